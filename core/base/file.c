/* Whole files, folders, locks, clocks, and the process's own memory (Linux: /proc/self/status). */
#include "core/base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/base/text.h"

#define DF_UNFINISHED ".part-" /* between a file's name and six letters of mkostemp's, while it is written */

static df_status fail_errno(struct df_error *err, const char *verb, const char *path)
{
    const int number = errno;

    return df_fail(err, number == ENOENT || number == ENOTDIR ? DF_ERR_NOT_FOUND : DF_ERR_IO, "cannot %s '%s': %s", verb, path,
                   strerror(number));
}

static ssize_t read_some(int fd, char *data, size_t bytes)
{
    ssize_t n;

    do {
        n = read(fd, data, bytes);
    } while (n < 0 && errno == EINTR);
    return n;
}

df_status df_file_read(const char *path, size_t limit, char **data, size_t *bytes, struct df_error *err)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t capacity = 4096, length = 0;
    struct stat about;
    char *buffer;
    ssize_t n;

    if (fd < 0)
        return fail_errno(err, "open", path);
    if (limit == 0)
        limit = (size_t)4 << 30;
    if (fstat(fd, &about) == 0 && S_ISREG(about.st_mode) && (size_t)about.st_size <= limit)
        capacity = (size_t)about.st_size + 2; /* the 0, and one byte to find the end with */
    buffer = df_malloc(capacity);
    while ((n = read_some(fd, buffer + length, capacity - length - 1)) > 0) {
        length += (size_t)n;
        if (length > limit)
            break;
        if (length + 1 == capacity)
            buffer = df_realloc(buffer, capacity *= 2);
    }
    if (n < 0 || length > limit) {
        const df_status status = n < 0 ? fail_errno(err, "read", path)
                                       : df_fail(err, DF_ERR_FORMAT, "'%s' is too large: expected at most %zu bytes", path, limit);
        close(fd);
        free(buffer);
        return status;
    }
    close(fd);
    buffer[length] = 0;
    *data = buffer;
    *bytes = length;
    return DF_OK;
}

static bool write_all(int fd, const char *data, size_t bytes)
{
    while (bytes) {
        const ssize_t n = write(fd, data, bytes);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        data += n;
        bytes -= (size_t)n;
    }
    return true;
}

static mode_t new_file_mode(void)
{
    const mode_t mask = umask(022);

    umask(mask);
    return 0666 & ~mask;
}

char *df_path_folder(const char *path)
{
    char *folder = df_strdup(strchr(path, '/') ? path : "./"), *slash = strrchr(folder, '/');

    slash[slash == folder] = 0; /* "/" of "/b" */
    return folder;
}

df_status df_path_from(const char *path, const char *folder, char **out, struct df_error *err)
{
    char to[PATH_MAX], from[PATH_MAX];
    struct df_text text = DF_TEXT_INIT;
    size_t same = 0;

    *out = NULL;
    if (!realpath(path, to))
        return fail_errno(err, "find", path);
    if (!realpath(folder, from))
        return fail_errno(err, "find", folder);
    for (size_t i = 0; i == 0 || (to[i - 1] == from[i - 1] && to[i - 1]); i++)
        if ((!to[i] || to[i] == '/') && (!from[i] || from[i] == '/'))
            same = i; /* whole names agree up to here */
    for (const char *up = from + same; *up; up++)
        if (*up == '/' && up[1])
            df_text_add(&text, text.length ? "/.." : "..");
    if (to[same] && to[same + 1])
        df_text_addf(&text, "%s%s", text.length ? "/" : "", to + same + 1);
    *out = df_strdup(text.length ? text.data : ".");
    df_text_release(&text);
    return DF_OK;
}

static int open_folder_of(const char *path)
{
    char *folder = df_path_folder(path);
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    free(folder);
    return fd;
}

static void sync_and_close(int folder)
{
    if (folder < 0)
        return;
    fsync(folder); /* best effort: some file systems cannot */
    close(folder);
}

/* A device or a pipe (/dev/stdout) cannot be replaced by a rename: written to as it is. */
static df_status write_through(const char *path, const void *data, size_t bytes, struct df_error *err)
{
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    df_status status = DF_OK;

    if (fd < 0 || !write_all(fd, data, bytes))
        status = fail_errno(err, "write", path);
    if (fd >= 0)
        close(fd);
    return status;
}

/* A rename that a file server has done, and whose answer was lost, is tried again and finds nothing to rename: errno stays, where it was not done. */
static bool is_there(const char *path, const struct stat *written)
{
    const int number = errno;
    struct stat about;
    const bool there = number == ENOENT && stat(path, &about) == 0 && about.st_dev == written->st_dev && about.st_ino == written->st_ino;

    errno = number;
    return there;
}

df_status df_file_put(int fd, const char *part, const char *path, struct df_error *err)
{
    const int folder = open_folder_of(part); /* before the rename: behind it nothing may fail any more */
    struct stat written = { 0 };
    df_status status = DF_OK;

    if (fchmod(fd, new_file_mode()) != 0 || fsync(fd) != 0 || fstat(fd, &written) != 0)
        status = fail_errno(err, "write", path);
    if (close(fd) != 0 && status == DF_OK)
        status = fail_errno(err, "write", path);
    if (status == DF_OK && rename(part, path) != 0 && !is_there(path, &written))
        status = fail_errno(err, "replace", path);
    sync_and_close(folder);
    return status;
}

df_status df_file_write(const char *path, const void *data, size_t bytes, struct df_error *err)
{
    struct stat about;
    char *target, *temporary;
    struct df_text name = DF_TEXT_INIT;
    df_status status = DF_OK;
    int fd;

    if (stat(path, &about) == 0 && !S_ISREG(about.st_mode) && !S_ISDIR(about.st_mode))
        return write_through(path, data, bytes, err);
    target = realpath(path, NULL); /* a link stays, what it points to is replaced */
    if (!target && errno == ENOMEM)
        df_out_of_memory(0);
    df_text_addf(&name, "%s" DF_UNFINISHED "XXXXXX", target ? target : path);
    temporary = name.data;
    fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0) {
        status = fail_errno(err, "write", path);
    } else {
        (void)flock(fd, LOCK_EX | LOCK_NB); /* says that its writer lives, where the file system can */
        if (write_all(fd, data, bytes)) {
            status = df_file_put(fd, temporary, target ? target : path, err);
        } else {
            status = fail_errno(err, "write", path);
            close(fd);
        }
        if (status != DF_OK)
            unlink(temporary);
    }
    df_text_release(&name);
    free(target);
    return status;
}

bool df_file_is_unfinished(const char *name)
{
    const size_t length = strlen(name), tail = sizeof DF_UNFINISHED - 1 + 6;
    const char *end = length > tail ? name + length - tail : "";

    return strncmp(end, DF_UNFINISHED, sizeof DF_UNFINISHED - 1) == 0;
}

bool df_folder_is(const char *path)
{
    struct stat about;

    return stat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

bool df_file_exists(const char *path) { return access(path, F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR); }

df_status df_file_size(const char *path, size_t *bytes, struct df_error *err)
{
    struct stat about;

    if (stat(path, &about) != 0)
        return fail_errno(err, "look at", path);
    *bytes = (size_t)about.st_size;
    return DF_OK;
}

df_status df_file_remove(const char *path, struct df_error *err)
{
    if (unlink(path) == 0 || errno == ENOENT) /* also when a server did it and its answer was lost */
        return DF_OK;
    return fail_errno(err, "remove", path);
}

/* A stream or a folder that could not be opened for want of memory is not there for no reason of its own. */
static void *or_memory(void *opened)
{
    if (!opened && errno == ENOMEM)
        df_out_of_memory(0);
    return opened;
}

FILE *df_file_open(const char *path, const char *mode) { return or_memory(fopen(path, mode)); }

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

df_status df_folder_list(const char *path, char ***names, struct df_error *err)
{
    DIR *folder = or_memory(opendir(path));
    struct dirent *entry;
    char **list = NULL;
    size_t n = 0, room = 0;

    if (!folder)
        return fail_errno(err, "open folder", path);
    for (errno = 0; (entry = readdir(folder)); errno = 0) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (n + 1 >= room)
            list = df_realloc(list, (room = room ? 2 * room : 16) * sizeof *list);
        list[n++] = df_strdup(entry->d_name);
    }
    const df_status status = errno ? fail_errno(err, "read folder", path) : DF_OK;

    closedir(folder);
    list = list ? list : df_malloc(sizeof *list);
    list[n] = NULL;
    if (status != DF_OK) {
        df_names_free(list);
        return status;
    }
    qsort(list, n, sizeof *list, by_name);
    *names = list;
    return DF_OK;
}

void df_names_free(char **names)
{
    for (char **name = names; name && *name; name++)
        free(*name);
    free(names);
}

df_status df_folder_make(const char *path, struct df_error *err)
{
    char *part = df_strdup(path);
    df_status status = DF_OK;
    struct stat about;

    for (char *end = part + 1; *part && status == DF_OK; end++) {
        const char kept = *end;

        if (kept != '/' && kept != 0)
            continue;
        *end = 0;
        if (mkdir(part, 0777) == 0) {
            sync_and_close(open_folder_of(part));
        } else {
            const int number = errno; /* of mkdir: EEXIST also when a server's answer was lost */

            if (stat(part, &about) != 0 || !S_ISDIR(about.st_mode)) {
                errno = number;
                status = fail_errno(err, "make folder", part);
            }
        }
        *end = kept;
        if (kept == 0)
            break;
    }
    free(part);
    return status;
}

/* Some cluster file systems. */
static void warn_of_no_locks(const char *path)
{
    static bool warned;

    if (!warned)
        df_warn("'%s': this file system has no locks: two processes that do the same do not wait for each other", path);
    warned = true;
}

df_status df_lock(const char *path, bool try_only, int *fd, struct df_error *err)
{
    const int opened = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    int failed;

    if (opened < 0)
        return fail_errno(err, "open the lock", path);
    do {
        failed = flock(opened, LOCK_EX | (try_only ? LOCK_NB : 0));
    } while (failed && errno == EINTR);
    if (!failed) {
        *fd = opened;
        return DF_OK;
    }
    if (errno == ENOSYS || errno == EOPNOTSUPP || errno == ENOLCK) {
        warn_of_no_locks(path);
        *fd = opened;
        return DF_OK;
    }
    if (try_only && errno == EWOULDBLOCK) {
        close(opened);
        *fd = -1;
        return DF_OK;
    }
    fail_errno(err, "lock", path);
    close(opened);
    return DF_ERR_IO;
}

void df_unlock(int fd)
{
    if (fd >= 0)
        close(fd); /* releases the lock: nobody else holds this open file */
}

char *df_path_join(const char *a, const char *b)
{
    struct df_text path = DF_TEXT_INIT;

    if (b[0] != '/' && a[0]) {
        size_t n = strlen(a);

        while (n > 0 && a[n - 1] == '/')
            n--;
        df_text_add_bytes(&path, a, n);
        df_text_add(&path, "/");
    }
    df_text_add(&path, b);
    return path.data;
}

double df_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void df_utc(char buffer[24])
{
    const time_t now = time(NULL);
    struct tm parts;

    gmtime_r(&now, &parts);
    strftime(buffer, 24, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

size_t df_anonymous_peak_bytes(void)
{
    static size_t peak;
    char text[8192];
    const int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    const ssize_t n = fd >= 0 ? read_some(fd, text, sizeof text - 1) : -1;
    const char *found;
    size_t bytes = 0;

    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return peak;
    text[n] = 0;
    found = strstr(text, "RssAnon:");
    if (found)
        bytes = (size_t)strtoul(found + strlen("RssAnon:"), NULL, 10) * 1024;
    if (bytes > peak)
        peak = bytes;
    return peak;
}
