#include "ablations/run/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ablations/run/cache.h"
#include "ablations/run/stop.h"
#include "core/base/file.h"

#define CHUNK ((size_t)1 << 20)

/* "$TMPDIR/caches" as it is here; free() it. */
static df_status find_folder(const char *scratch, char **out, struct df_error *err)
{
    char name[128];
    const char *rest = strchr(scratch, '/'), *value;

    *out = NULL;
    if (scratch[0] != '$') {
        *out = df_strdup(scratch);
        return DF_OK;
    }
    snprintf(name, sizeof name, "%.*s", rest ? (int)(rest - scratch - 1) : (int)sizeof name - 1, scratch + 1);
    value = getenv(name);
    if (!value || !*value)
        return df_fail(err, DF_ERR_NOT_FOUND, "--scratch '%s': the variable is not set here", scratch);
    *out = rest ? df_path_join(value, rest + 1) : df_strdup(value);
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

static bool copy_bytes(int from, int to)
{
    char *chunk = df_malloc(CHUNK);
    ssize_t n;
    bool good = true;

    while (good && ((n = read(from, chunk, CHUNK)) > 0 || (n < 0 && errno == EINTR)))
        good = !df_run_stop && (n < 0 || write_all(to, chunk, (size_t)n));
    free(chunk);
    return good && n == 0;
}

/* Under a name of its own, then by rename. */
static df_status copy_file(const char *shared, const char *local, struct df_error *err)
{
    const int from = open(shared, O_RDONLY | O_CLOEXEC);
    struct df_text part = DF_TEXT_INIT;
    df_status status = DF_OK;
    int to;

    df_text_addf(&part, "%s.XXXXXX", local);
    to = mkostemp(part.data, O_CLOEXEC);
    if (from < 0 || to < 0 || !copy_bytes(from, to) || rename(part.data, local) != 0)
        status = df_run_stop ? df_fail(err, DF_ERR_INTERRUPTED, "interrupted while '%s' was copied", shared)
                             : df_fail(err, DF_ERR_IO, "cannot copy '%s' to '%s': %s", shared, local, strerror(errno));
    if (status != DF_OK && to >= 0)
        unlink(part.data);
    if (from >= 0)
        close(from);
    if (to >= 0)
        close(to);
    df_text_release(&part);
    return status;
}

/* Under the lock of the copy: it is there, and whole. What is there and is not is made again. */
static df_status ensure_copy(const char *shared, const char *local, const char *key, size_t count, struct df_error *err)
{
    if (df_cache_verify(local, key, count, NULL) == DF_OK)
        return DF_OK;
    DF_TRY(copy_file(shared, local, err));
    const df_status status = df_cache_verify(local, key, count, err);

    if (status != DF_OK)
        unlink(local);
    return status;
}

static df_status copy_into(const char *folder, const char *local, const char *shared, const char *key, size_t count, struct df_error *err)
{
    struct df_text lock = DF_TEXT_INIT;
    int fd = -1;
    df_status status = df_folder_make(folder, err);

    df_text_addf(&lock, "%s.lock", local);
    if (status == DF_OK)
        status = df_lock_wait(lock.data, &fd, err);
    if (status == DF_OK)
        status = ensure_copy(shared, local, key, count, err);
    df_unlock(fd);
    df_text_release(&lock);
    return status;
}

char *df_scratch_copy(const char *scratch, const char *shared, const char *key, unsigned long count)
{
    const char *name = strrchr(shared, '/');
    char *folder, *local = NULL;
    struct df_error err = { 0 };
    df_status status = find_folder(scratch, &folder, &err);

    if (status == DF_OK) {
        local = df_path_join(folder, name ? name + 1 : shared);
        status = copy_into(folder, local, shared, key, count, &err);
    }
    free(folder);
    if (status == DF_OK)
        return local;
    if (status != DF_ERR_INTERRUPTED) /* who wants to stop does so at the next step */
        df_warn("%s: the shared cache is read", err.text);
    free(local);
    return NULL;
}
