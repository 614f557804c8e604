/* Files: whole reads and writes, what a failed write leaves, folders, locks between processes, memory. */
#include "core/base/file.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/support.h"

static char *path_of(const char *name) { return df_path_join(df_test_folder(), name); }

static size_t entries(const char *folder)
{
    DIR *dir = opendir(folder);
    size_t n = 0;

    assert_non_null(dir);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n - 2;
}

static void written_is_read(void **state)
{
    char *path = path_of("whole"), *data = NULL;
    struct df_error err;
    struct stat about;
    size_t bytes = 0;

    (void)state;
    umask(022);
    assert_false(df_file_exists(path));
    assert_ok(df_file_write(path, "old contents, longer", 20, &err));
    assert_ok(df_file_write(path, "a\0b", 3, &err));
    assert_true(df_file_exists(path));
    assert_ok(df_file_read(path, 0, &data, &bytes, &err));
    assert_int_equal(bytes, 3);
    assert_memory_equal(data, "a\0b", 4); /* and a 0 behind */
    free(data);
    assert_ok(df_file_read(path, 3, &data, &bytes, &err));
    free(data);
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0644); /* what the umask gives, not the temporary file's 0600 */
    assert_ok(df_file_write(path, "", 0, &err));
    assert_ok(df_file_read(path, 0, &data, &bytes, &err));
    assert_int_equal(bytes, 0);
    free(data);
    unlink(path);
    free(path);
}

static void failures_name_the_file(void **state)
{
    char *path = path_of("absent/file"), *data = NULL, *big = path_of("big");
    struct df_error err;
    size_t bytes = 77;

    (void)state;
    assert_fails(df_file_read(path, 0, &data, &bytes, &err), DF_ERR_NOT_FOUND, "absent/file'");
    assert_fails(df_file_write(path, "x", 1, &err), DF_ERR_NOT_FOUND, "absent/file'");
    assert_fails(df_file_read(df_test_folder(), 0, &data, &bytes, &err), DF_ERR_IO, df_test_folder());
    assert_ok(df_file_write(big, "12345", 5, &err));
    assert_fails(df_file_read(big, 4, &data, &bytes, &err), DF_ERR_FORMAT, "at most 4 bytes");
    assert_null(data);
    assert_int_equal(bytes, 77);
    unlink(big);
    free(big);
    free(path);
}

/* A link to itself cannot be looked at by anybody: it is not absent. */
static void what_cannot_be_seen_is_not_absent(void **state)
{
    char *loop = path_of("loop"), *inside = path_of("loop/inside"), *absent = path_of("absent"), *data = NULL;
    struct df_error err;
    size_t bytes;

    (void)state;
    assert_int_equal(symlink(loop, loop), 0);
    assert_true(df_file_exists(loop));
    assert_true(df_file_exists(inside));
    assert_false(df_file_exists(absent));
    assert_fails(df_file_read(inside, 0, &data, &bytes, &err), DF_ERR_IO, "Too many levels of symbolic links");
    free(loop);
    free(inside);
    free(absent);
}

static void a_failed_write_leaves_the_old_and_no_temporary(void **state)
{
    char *folder = path_of("target"), *inside = path_of("target/file");
    struct df_error err;

    (void)state;
    assert_ok(df_folder_make(inside, &err)); /* a folder stands where the file should go */
    const size_t before = entries(folder);

    assert_fails(df_file_write(inside, "x", 1, &err), DF_ERR_IO, "target/file'");
    assert_int_equal(entries(folder), before);
    free(folder);
    free(inside);
}

static void links_stay_and_devices_are_written_through(void **state)
{
    char *file = path_of("real"), *link = path_of("link"), *data;
    struct df_error err;
    struct stat about;
    size_t bytes;

    (void)state;
    assert_ok(df_file_write(file, "1", 1, &err));
    assert_int_equal(symlink("real", link), 0);
    assert_ok(df_file_write(link, "22", 2, &err));
    assert_int_equal(lstat(link, &about), 0);
    assert_true(S_ISLNK(about.st_mode));
    assert_ok(df_file_read(file, 0, &data, &bytes, &err));
    assert_string_equal(data, "22");
    free(data);
    assert_ok(df_file_write("/dev/null", "x", 1, &err));
    assert_int_equal(stat("/dev/null", &about), 0);
    assert_true(S_ISCHR(about.st_mode));
    free(file);
    free(link);
}

static void folders_are_made_with_their_parents(void **state)
{
    char *deep = path_of("a/b//c"), *file = path_of("plain"), *below = path_of("plain/x");
    struct df_error err;

    (void)state;
    assert_ok(df_folder_make(deep, &err));
    assert_ok(df_folder_make(deep, &err));
    assert_ok(df_file_write(file, "x", 1, &err));
    assert_fails(df_folder_make(below, &err), DF_ERR_IO, "plain'");
    assert_ok(df_folder_make("/", &err));
    free(deep);
    free(file);
    free(below);
}

static void names_in_a_folder(void **state)
{
    char *folder = path_of("names"), *b = path_of("names/b"), *a = path_of("names/.a"), **names;
    struct df_error err;
    size_t bytes = 9;

    (void)state;
    assert_fails(df_folder_list(folder, &names, &err), DF_ERR_NOT_FOUND, "names'");
    assert_ok(df_folder_make(folder, &err));
    assert_ok(df_folder_list(folder, &names, &err));
    assert_null(names[0]);
    df_names_free(names);
    assert_ok(df_file_write(b, "four", 4, &err));
    assert_ok(df_file_write(a, "", 0, &err));
    assert_ok(df_folder_list(folder, &names, &err));
    assert_string_equal(names[0], ".a");
    assert_string_equal(names[1], "b");
    assert_null(names[2]);
    df_names_free(names);
    df_names_free(NULL);
    assert_ok(df_file_size(b, &bytes, &err));
    assert_int_equal(bytes, 4);
    assert_ok(df_file_remove(b, &err));
    assert_ok(df_file_remove(b, &err));
    assert_fails(df_file_size(b, &bytes, &err), DF_ERR_NOT_FOUND, "names/b'");
    assert_int_equal(bytes, 4);
    assert_fails(df_file_remove(folder, &err), DF_ERR_IO, "names'");
    assert_int_equal(symlink("b", b), 0); /* a loop: what cannot be looked at is not absent */
    assert_fails(df_file_size(b, &bytes, &err), DF_ERR_IO, "cannot look at");
    free(folder);
    free(a);
    free(b);
}

static void paths_join(void **state)
{
    static const char *const cases[][3] = { { "a", "b", "a/b" }, { "a/", "b", "a/b" }, { "", "b", "b" },
                                            { "a", "/b", "/b" }, { "/", "b", "/b" },   { "a//", "b/c", "a/b/c" } };
    static const char *const folders[][2] = {
        { "a/b", "a" }, { "b", "." }, { "/b", "/" }, { "/a/b", "/a" }, { "./b", "." }, { "a/", "a" }
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *joined = df_path_join(cases[i][0], cases[i][1]);

        assert_string_equal(joined, cases[i][2]);
        free(joined);
    }
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        char *folder = df_path_folder(folders[i][0]);

        assert_string_equal(folder, folders[i][1]);
        free(folder);
    }
}

/* In another process: 0 when the lock is had at once, 1 when it is held. */
static int try_elsewhere(const char *path)
{
    const pid_t child = fork();
    int result;

    if (child == 0) {
        int fd = -2;

        if (df_lock(path, true, &fd, NULL) != DF_OK)
            _exit(9);
        _exit(fd == -1);
    }
    assert_int_equal(waitpid(child, &result, 0), child);
    return WEXITSTATUS(result);
}

/* What a process that is killed while it writes leaves behind is known by its name, and its lock is free. */
static void an_unfinished_file_is_known(void **state)
{
    static const struct {
        const char *name;
        bool unfinished;
    } cases[] = { { "row.json.part-aB3xYz", true },  { "a.part-123456", true }, { "row.json", false },
                  { "row.json.backup", false },      { ".part-123456", false }, { "row.json.part-12345", false },
                  { "row.part-123456.json", false }, { "x.json.aB3xYz", false } };
    char *folder = df_path_join(df_test_folder(), "killed"), *path = df_path_join(folder, "big.bin"), **names;
    const size_t bytes = (size_t)64 << 20;
    bool seen = false;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(df_file_is_unfinished(cases[i].name), cases[i].unfinished);
    assert_int_equal(df_folder_make(folder, NULL), DF_OK);

    const pid_t child = fork();

    if (child == 0) {
        char *data = calloc(1, bytes);

        for (;;)
            (void)df_file_write(path, data, bytes, NULL);
    }
    for (int i = 0; i < 4000 && !seen; i++) { /* until one is there, which its writer holds */
        const struct timespec pause = { 0, 500 * 1000 };

        nanosleep(&pause, NULL);
        assert_int_equal(df_folder_list(folder, &names, NULL), DF_OK);
        for (char **name = names; *name; name++)
            seen |= df_file_is_unfinished(*name);
        df_names_free(names);
        if (seen)
            kill(child, SIGKILL);
    }
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_true(seen);
    assert_int_equal(df_folder_list(folder, &names, NULL), DF_OK);
    for (char **name = names; *name; name++)
        if (df_file_is_unfinished(*name)) {
            char *left = df_path_join(folder, *name);

            assert_int_equal(try_elsewhere(left), 0);
            free(left);
        }
    df_names_free(names);
    free(folder);
    free(path);
}

static void a_path_as_another_folder_calls_it(void **state)
{
    static const char *const cases[][3] = { { "a/b", "a", "b" },       { "a", "a/b", ".." },        { "a", "a", "." },
                                            { "a/b", "ab", "../a/b" }, { "ab", "a/b", "../../ab" }, { "a/../ab/.", "a", "../ab" } };
    char *root = df_path_join(df_test_folder(), "from"), *seen;
    struct df_error err;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        char *folder = df_path_join(root, i ? "ab" : "a/b");

        assert_ok(df_folder_make(folder, &err));
        free(folder);
    }
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *path = df_path_join(root, cases[i][0]), *folder = df_path_join(root, cases[i][1]);

        assert_ok(df_path_from(path, folder, &seen, &err));
        assert_string_equal(seen, cases[i][2]);
        free(seen);
        free(path);
        free(folder);
    }
    assert_ok(df_path_from("/usr", "/", &seen, &err));
    assert_string_equal(seen, "usr");
    free(seen);
    assert_ok(df_path_from("/", "/usr", &seen, &err));
    assert_string_equal(seen, "..");
    free(seen);
    assert_fails(df_path_from("/no/where", "/", &seen, &err), DF_ERR_NOT_FOUND, "cannot find '/no/where'");
    assert_null(seen);
    free(root);
}

static void a_lock_is_exclusive_and_is_released(void **state)
{
    char *path = path_of("lock"), *nowhere = path_of("no/lock");
    struct df_error err;
    int fd = -2, second = -2;

    (void)state;
    assert_ok(df_lock(path, false, &fd, &err));
    assert_true(fd >= 0);
    assert_int_equal(try_elsewhere(path), 1);
    assert_ok(df_lock(path, true, &second, &err));
    assert_int_equal(second, -1);
    df_unlock(second);
    df_unlock(fd);
    assert_int_equal(try_elsewhere(path), 0);
    assert_fails(df_lock(nowhere, true, &fd, &err), DF_ERR_NOT_FOUND, "no/lock'");
    free(path);
    free(nowhere);
}

/* Readers at the same time see the old or the new contents, never a part. */
static void a_reader_never_sees_a_part(void **state)
{
    enum { BYTES = 100000 };
    char *path = path_of("swapped"), *data = df_malloc(BYTES);
    struct df_error err;
    int result;

    (void)state;
    memset(data, 'a', BYTES);
    assert_ok(df_file_write(path, data, BYTES, &err));
    const pid_t child = fork();

    if (child == 0) {
        for (int i = 0; i < 20; i++) {
            memset(data, i % 2 ? 'a' : 'b', BYTES);
            if (df_file_write(path, data, BYTES, NULL) != DF_OK)
                _exit(1);
        }
        _exit(0);
    }
    while (waitpid(child, &result, WNOHANG) == 0) {
        size_t bytes;
        char *seen;

        assert_ok(df_file_read(path, 0, &seen, &bytes, &err));
        assert_int_equal(bytes, BYTES);
        assert_int_equal(seen[0], seen[BYTES - 1]);
        free(seen);
    }
    assert_int_equal(result, 0);
    free(data);
    free(path);
}

static void clocks_and_memory(void **state)
{
    enum { MIB = 1 << 20 };
    const double before = df_now();
    const size_t small = df_anonymous_peak_bytes();
    char utc[24], *block = df_malloc(40 * MIB);

    (void)state;
    memset(block, 1, 40 * MIB);
    const size_t large = df_anonymous_peak_bytes();

    free(block);
    assert_true(small > 0 && large >= small + 30 * MIB);
    assert_true(df_anonymous_peak_bytes() >= large); /* it is the peak */
    df_utc(utc);
    assert_int_equal(strlen(utc), 20);
    assert_true(utc[4] == '-' && utc[10] == 'T' && utc[19] == 'Z' && strncmp(utc, "2025", 4) >= 0);
    assert_true(df_now() >= before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_is_read),
        cmocka_unit_test(failures_name_the_file),
        cmocka_unit_test(what_cannot_be_seen_is_not_absent),
        cmocka_unit_test(a_failed_write_leaves_the_old_and_no_temporary),
        cmocka_unit_test(links_stay_and_devices_are_written_through),
        cmocka_unit_test(folders_are_made_with_their_parents),
        cmocka_unit_test(names_in_a_folder),
        cmocka_unit_test(paths_join),
        cmocka_unit_test(a_path_as_another_folder_calls_it),
        cmocka_unit_test(an_unfinished_file_is_known),
        cmocka_unit_test(a_lock_is_exclusive_and_is_released),
        cmocka_unit_test(a_reader_never_sees_a_part),
        cmocka_unit_test(clocks_and_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
