/* Memory that ends: each allocation of a one-step `run`, plain and distilled, of `eval` and of `table` fails in turn. The command ends with status 1
 * and a message; it leaves no finished row and no temporary file, and never another result: a library that can do without its memory (stdio without a
 * buffer) must give the same one. DEFEAT_EVERY=1: all of them (default: every 50th, from another first one for each command; of a few
 * calls each). */
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "ablations/run/store.h"
#include "core/base/file.h"
#include "core/nn/checkpoint.h"
#include "tests/ablations/cli/commands.h"
#include "tests/support/heap.h"

static char out[600], spec[600], said[600], printed[600];

#if COUNT_HEAP
static struct df_error err;
enum { FEW_CALLS = 1000, SPARED_SHARE = 50 }; /* at most one in so many calls may be one that nothing hangs on */

/* ablations/specs/tiny.json: one step, plain and distilled, one seed. */
static void write_spec(void)
{
    struct df_text text = DF_TEXT_INIT;
    cJSON *root, *data, *schedule;

    assert_ok(df_json_read("ablations/specs/tiny.json", &root, &err));
    data = cJSON_GetObjectItem(root, "data");
    schedule = cJSON_GetObjectItem(root, "schedule");
    cJSON_SetNumberValue(cJSON_GetObjectItem(data, "train"), 4);
    cJSON_SetNumberValue(cJSON_GetObjectItem(data, "tune"), 2);
    cJSON_SetNumberValue(cJSON_GetObjectItem(data, "validation"), 2);
    cJSON_SetNumberValue(cJSON_GetObjectItem(schedule, "batch"), 4);
    cJSON_SetNumberValue(cJSON_GetObjectItem(schedule, "epochs"), 1);
    cJSON_DeleteItemFromObject(cJSON_GetObjectItem(root, "teacher"), "schedule");
    cJSON_DeleteItemFromArray(cJSON_GetObjectItem(root, "methods"), 2);
    cJSON_DeleteItemFromArray(cJSON_GetObjectItem(root, "seeds"), 1);
    cJSON_DeleteItemFromObject(root, "plots");
    df_json_canonical(root, &text);
    assert_ok(df_file_write(spec, text.data, text.length, &err));
    df_text_release(&text);
    cJSON_Delete(root);
}

static void redirect(const char *path, int to)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

    if (fd < 0 || dup2(fd, to) < 0)
        _exit(99);
}

/* In a child whose call number `fails` finds no memory; *calls: how many it made. */
static int run_child(const char *const *words, size_t fails, size_t *calls)
{
    atomic_size_t *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int status = 0;

    assert_true(shared != MAP_FAILED);
    const pid_t child = fork();

    if (child == 0) {
        char *argv[16] = { (char *)(uintptr_t) "defeat" };
        int argc = 1;

        redirect(said, 2);
        redirect(printed, 1);
        for (; words[argc - 1]; argc++)
            argv[argc] = (char *)(uintptr_t)words[argc - 1];
        atomic_store(&heap_calls, 0);
        atomic_store(&heap_fails, fails);
        status = df_command_main(df_commands, argc, argv);
        status = fflush(stdout) ? 1 : status;
        atomic_store(shared, atomic_load(&heap_calls));
        _exit(status);
    }
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    *calls = atomic_load(shared);
    munmap(shared, sizeof *shared);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static char *contents(const char *path)
{
    char *text;
    size_t bytes;

    assert_ok(df_file_read(path, 0, &text, &bytes, &err));
    return text;
}

static const char *first_left;

/* "x.part", "x.json.Ab12Cd" */
static int note_temporary(const char *path, const struct stat *about, int type, struct FTW *place)
{
    const char *name = path + place->base, *dot = strrchr(name, '.');

    (void)about;
    if (type == FTW_F && dot && (strcmp(dot, ".part") == 0 || (strlen(dot) == 7 && strchr(name, '.') != dot)))
        first_left = df_strdup(path);
    return 0;
}

/* What a run gives, whatever it says on the way. */
static char *result_of(bool rows)
{
    struct df_text text = DF_TEXT_INIT;
    struct df_journal *journal;
    char *folder = df_path_join(out, "tiny");

    if (!rows) {
        free(folder);
        return contents(printed);
    }
    assert_ok(df_store_read(folder, &journal, &err));
    for (size_t i = 0; i < journal->runs; i++) /* a file that cannot be opened for want of memory is a failed row, which says so */
        if (df_run_row_ok(&journal->run[i]))
            df_run_row_deterministic(&journal->run[i], &text);
    df_journal_free(journal);
    free(folder);
    return text.data ? text.data : df_strdup("");
}

static int remove_one(const char *path, const struct stat *about, int type, struct FTW *place)
{
    (void)about;
    (void)type;
    (void)place;
    return remove(path);
}

/* What a command makes, and must make anew every time. */
enum what { NOTHING, ROWS, ROWS_AND_CACHE };

static void forget(enum what what)
{
    char path[700];

    snprintf(path, sizeof path, "%s/tiny", out);
    if (what != NOTHING)
        nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    snprintf(path, sizeof path, "%s/cache", out);
    if (what == ROWS_AND_CACHE)
        nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void fail_in_turn(const char *const *words, enum what what, size_t first)
{
    const char *asked = getenv("DEFEAT_EVERY");
    size_t every = asked && atoi(asked) > 0 ? (size_t)atoi(asked) : 50, calls, spared = 0, tried = 0, ignored;

    forget(what);
    assert_int_equal(run_child(words, 0, &calls), 0);
    const bool rows = what != NOTHING;
    char *const right = result_of(rows);

    assert_true(calls > 100);
    every = calls < FEW_CALLS ? 1 : every;
    for (size_t k = every == 1 ? 1 : first; k <= calls; k += every, tried++) {
        forget(what);
        const int status = run_child(words, k, &ignored);
        char *const result = status == 0 || rows ? result_of(rows) : NULL, *const message = contents(said);

        first_left = NULL;
        nftw(out, note_temporary, 16, FTW_PHYS);
        if (first_left)
            fail_msg("%s, call %zu of %zu: '%s' is left", words[0], k, calls, first_left);
        if (status == 0 && strcmp(result, right) != 0)
            fail_msg("%s, call %zu of %zu: exit 0 with another result:\n%s", words[0], k, calls, result);
        if (status != 0 && (status != 1 || !strstr(message, "defeat: ") || strstr(message, "defeat: bug")))
            fail_msg("%s, call %zu of %zu: exit %d, '%s'", words[0], k, calls, status, message);
        if (status == 1 && rows && *result)
            fail_msg("%s, call %zu of %zu: a finished row of a run that failed", words[0], k, calls);
        spared += status == 0;
        free(result);
        free(message);
    }
    print_message("%s: %zu of %zu calls failed in turn, %zu without consequence\n", words[0], tried, calls, spared);
    assert_true(spared <= 2 + tried / SPARED_SHARE);
    free(right);
}

/* What opens a file or a folder takes memory of its own: without it nobody goes on as if there was none. */
static void opening(void **state)
{
    (void)state;
    for (int folder = 0; folder < 2; folder++) {
        const pid_t child = fork();
        char **names, *message;
        int status = 0;

        if (child == 0) {
            redirect(said, 2);
            atomic_store(&heap_calls, 0);
            atomic_store(&heap_fails, 1);
            if (folder)
                (void)df_folder_list("tests", &names, NULL);
            else
                (void)df_file_open("LICENSE", "rb");
            _exit(0);
        }
        assert_true(child > 0 && waitpid(child, &status, 0) == child);
        message = contents(said);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 1 || !strstr(message, "defeat: out of memory"))
            fail_msg("a %s: status %d, '%s'", folder ? "folder" : "file", status, message);
        free(message);
    }
}

static void eval(void **state)
{
    (void)state;
    fail_in_turn((const char *[]){ "eval", "--gt", "tests/golden/coco_eval/crowds.gt.json", "--dt", "tests/golden/coco_eval/crowds.dt.json",
                                   "--per-class", "--json", NULL },
                 NOTHING, 7);
}

static void run(void **state)
{
    (void)state;
    assert_int_equal(command((const char *[]){ "run", spec, "--cell", "1", "--out", out, NULL }),
                     0); /* teacher and cache are there from now on */
    fail_in_turn((const char *[]){ "run", spec, "--cell", "0", "--out", out, NULL }, ROWS, 11);
    fail_in_turn((const char *[]){ "run", spec, "--cell", "1", "--out", out, NULL }, ROWS, 23);
    fail_in_turn((const char *[]){ "run", spec, "--cell", "1", "--out", out, NULL }, ROWS_AND_CACHE, 37);
}

static void table(void **state)
{
    (void)state;
    forget(ROWS);
    for (int cell = 0; cell < 2; cell++)
        assert_int_equal(command((const char *[]){ "run", spec, "--cell", cell ? "1" : "0", "--out", out, NULL }), 0);
    fail_in_turn((const char *[]){ "table", spec, "--out", out, "--classes", NULL }, NOTHING, 3);
}
#else
static void write_spec(void) {}
static void opening(void **state)
{
    (void)state;
    skip();
}

static void eval(void **state)
{
    (void)state;
    skip();
}

static void run(void **state)
{
    (void)state;
    skip();
}

static void table(void **state)
{
    (void)state;
    skip();
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(opening), cmocka_unit_test(eval), cmocka_unit_test(run), cmocka_unit_test(table) };

    snprintf(out, sizeof out, "%s/out", df_test_folder());
    snprintf(spec, sizeof spec, "%s/tiny.json", df_test_folder());
    snprintf(said, sizeof said, "%s/said", df_test_folder());
    snprintf(printed, sizeof printed, "%s/printed", df_test_folder());
    write_spec();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
