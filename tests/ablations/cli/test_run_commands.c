/* The commands that run one thing: what they leave as rows and files, and their exit status. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "ablations/cli/running.h"
#include "ablations/run/stop.h"
#include "ablations/run/store.h"
#include "core/base/file.h"
#include "core/data/image_codec.h"
#include "core/nn/checkpoint.h"
#include "tests/ablations/cli/commands.h"

/* ablations/specs/tiny.json with fewer images and steps, and the given batch. */
static const char *write_spec(const char *name, int batch)
{
    static char path[4][600];
    static int next;
    char *file = path[next++ % 4];
    struct df_text text = DF_TEXT_INIT;
    struct df_error err = { 0 };
    cJSON *root, *data, *schedule;

    snprintf(file, sizeof path[0], "%s/%s.json", df_test_folder(), name);
    assert_ok(df_json_read("ablations/specs/tiny.json", &root, &err));
    cJSON_SetValuestring(cJSON_GetObjectItem(root, "name"), name);
    data = cJSON_GetObjectItem(root, "data");
    schedule = cJSON_GetObjectItem(root, "schedule");
    cJSON_SetNumberValue(cJSON_GetObjectItem(data, "train"), 16);
    cJSON_SetNumberValue(cJSON_GetObjectItem(data, "tune"), 3);
    cJSON_SetNumberValue(cJSON_GetObjectItem(data, "validation"), 4);
    cJSON_SetNumberValue(cJSON_GetObjectItem(schedule, "batch"), batch);
    df_json_canonical(root, &text);
    assert_ok(df_file_write(file, text.data, text.length, &err));
    df_text_release(&text);
    cJSON_Delete(root);
    return file;
}

static const char *out(void)
{
    static char path[600];

    snprintf(path, sizeof path, "%s/out", df_test_folder());
    return path;
}

static struct df_journal *journal(const char *spec)
{
    struct df_journal *read;
    struct df_error err = { 0 };
    char *folder = df_path_join(out(), spec);

    assert_ok(df_store_read(folder, &read, &err));
    free(folder);
    return read;
}

static void run_writes_its_row_and_its_curve(void **state)
{
    const char *spec = write_spec("runs", 8);

    (void)state;
    assert_int_equal(command((const char *[]){ "run", spec, "--cell", "0", "--out", out(), NULL }), 0);
    assert_int_equal(command((const char *[]){ "run", spec, "--cell", "3", "--out", out(), NULL }), 0);

    struct df_journal *read = journal("runs");

    assert_int_equal(read->runs, 2);
    for (size_t i = 0; i < 2; i++) {
        const struct df_run_row *row = &read->run[i];
        size_t points = 0;

        assert_string_equal(row->status, "ok");
        assert_string_equal(row->label, row->seed ? "full feature" : "none");
        for (size_t p = 0; p < row->curve.count; p++)
            points += strcmp(row->curve.point[p].metric, "AP") == 0;
        assert_int_equal(points, 4); /* 4 steps: no more points than steps */
    }
    assert_int_equal(read->run[0].seed + read->run[1].seed, 1);
    df_journal_free(read);

    char *tables = df_path_join(out(), "runs/runs.csv");

    assert_false(df_file_exists(tables)); /* nobody has asked for them */
    assert_int_equal(command((const char *[]){ "table", spec, "--out", out(), NULL }), 0);
    assert_true(df_file_exists(tables));
    free(tables);
}

static size_t rows(const char *spec)
{
    struct df_journal *read = journal(spec);
    const size_t n = read->runs;

    df_journal_free(read);
    return n;
}

static void a_finished_cell_is_run_again_only_when_asked(void **state)
{
    const char *spec = write_spec("again", 8);
    struct df_error err = { 0 };
    char lock[700];
    int held;

    (void)state;
    assert_int_equal(command((const char *[]){ "run", spec, "--cell", "0", "--out", out(), NULL }), 0);
    assert_int_equal(command((const char *[]){ "run", spec, "--cell", "0", "--out", out(), NULL }), 0);
    assert_int_equal(command((const char *[]){ "distill", spec, "--method", "none", "--out", out(), NULL }), 0);
    assert_int_equal(rows("again"), 1);

    struct df_journal *read = journal("again");

    snprintf(lock, sizeof lock, "%s/again/runs/%s/lock", out(), read->run[0].run);
    df_journal_free(read);
    assert_ok(df_lock(lock, true, &held, &err)); /* as another sweep would */
    assert_int_equal(command((const char *[]){ "run", spec, "--cell", "0", "--again", "--out", out(), NULL }), 1);
    assert_int_equal(command((const char *[]){ "distill", spec, "--method", "none", "--again", "--out", out(), NULL }), 1);
    assert_int_equal(rows("again"), 1);
    assert_int_equal(command((const char *[]){ "run", spec, "--cell", "0", "--again", "--locked", "--out", out(), NULL }), 0);
    assert_int_equal(rows("again"), 1);
    df_unlock(held);
}

static void a_cell_of_another_identity_is_refused(void **state)
{
    const char *spec = write_spec("identity", 8);

    (void)state;
    assert_int_equal(command((const char *[]){ "run", spec, "--cell", "0", "--id", "0123456789abcdef", "--out", out(), NULL }), 1);
    assert_int_equal(command((const char *[]){ "prepare", spec, "--id", "0123456789abcdef", "--out", out(), NULL }), 1);
    assert_int_equal(rows("identity"), 0);
}

static bool catches(pid_t pid, int number)
{
    char path[64], line[256];
    unsigned long long caught = 0;

    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "r");

    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "SigCgt:", 7) == 0)
            caught = strtoull(line + 7, NULL, 16);
    if (file)
        fclose(file);
    return caught >> (number - 1) & 1;
}

/* A teacher whose neck has other levels than the student's is not trained for it. */
static void what_does_not_fit_is_told_before_training(void **state)
{
    const char *spec = write_spec("misfit", 8);
    struct df_text text = DF_TEXT_INIT;
    struct df_error err = { 0 };
    char *folder = df_path_join(out(), "misfit-out"), *teachers = df_path_join(folder, "teachers");
    cJSON *root, *teacher, *detector;

    (void)state;
    assert_ok(df_json_read(spec, &root, &err));
    teacher = cJSON_GetObjectItem(root, "teacher");
    detector = cJSON_Duplicate(cJSON_GetObjectItem(root, "detector"), true);
    cJSON_AddItemToObject(teacher, "detector", detector);
    cJSON_ReplaceItemInObject(cJSON_GetObjectItem(teacher, "network"), "fpn_stages", cJSON_Parse("[2,3]"));
    cJSON_ReplaceItemInObject(detector, "anchor_size", cJSON_Parse("[13,23]"));
    df_json_canonical(root, &text);
    assert_ok(df_file_write(spec, text.data, text.length, &err));
    assert_int_equal(command((const char *[]){ "prepare", spec, "--out", folder, NULL }), 1);
    assert_false(df_file_exists(teachers));
    df_text_release(&text);
    cJSON_Delete(root);
    free(folder);
    free(teachers);
}

static void an_interrupted_prepare_says_so(void **state)
{
    const char *spec = write_spec("prepares", 8);
    int status;

    (void)state;
    const pid_t pid = fork();

    if (pid == 0)
        _exit(command((const char *[]){ "prepare", spec, "--out", out(), NULL }));
    for (int i = 0; i < 5000 && !catches(pid, SIGTERM); i++)
        usleep(1000);
    kill(pid, SIGTERM);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 130);
}

static void a_failed_run_leaves_its_reason(void **state)
{
    const char *spec = write_spec("fails", 8);
    struct df_error err = { 0 };
    struct df_spec *cells;
    char folder[700];

    (void)state;
    assert_ok(df_spec_read(spec, NULL, &cells, &err));
    snprintf(folder, sizeof folder, "%s/fails/runs/%s/student.safetensors", out(), cells->cell[0]->id);
    df_spec_free(cells);
    assert_ok(df_folder_make(folder, &err)); /* where the weights will go */
    assert_int_equal(command((const char *[]){ "run", spec, "--cell", "0", "--out", out(), NULL }), 1);

    struct df_journal *read = journal("fails");

    assert_int_equal(read->runs, 1);
    assert_int_equal(strncmp(read->run[0].status, "failed: ", 8), 0);
    assert_non_null(strstr(read->run[0].status, "student.safetensors"));
    assert_int_equal(read->run[0].curve.count, 0);
    df_journal_free(read);
}

static void an_interrupted_run_leaves_no_row(void **state)
{
    const char *spec = write_spec("stops", 8);

    (void)state;
    df_run_stop = 1;
    assert_int_equal(command((const char *[]){ "run", spec, "--cell", "0", "--out", out(), NULL }), 130);
    df_run_stop = 0;

    struct df_journal *read = journal("stops");

    assert_int_equal(read->runs, 0);
    df_journal_free(read);
}

static void wrong_words_are_usage(void **state)
{
    const char *spec = write_spec("words", 8);

    (void)state;
    assert_int_equal(command((const char *[]){ "run", spec, "--out", out(), NULL }), 2);
    assert_int_equal(command((const char *[]){ "run", spec, "--cell", "12", "--out", out(), NULL }), 2);
    assert_int_equal(command((const char *[]){ "distill", spec, "--method", "Defat", "--out", out(), NULL }), 2);
    assert_int_equal(command((const char *[]){ "distill", spec, "--method", "DeFeat", "--axes", "w_fg=9", "--out", out(), NULL }), 2);
    assert_int_equal(command((const char *[]){ "predict", spec, "--out", out(), NULL }), 2);
    assert_int_equal(command((const char *[]){ "predict", spec, "--teacher", "--cell", "3", "--out", out(), NULL }), 2);
    assert_int_equal(command((const char *[]){ "table", spec, "--runs", "--classes", "--out", out(), NULL }), 2);
    assert_int_equal(command((const char *[]){ "plot", spec, "--out", out(), NULL }), 1);
    assert_int_equal(command((const char *[]){ "inspect", df_test_folder(), NULL }), 1);
    assert_int_equal(command((const char *[]){ "inspect", spec, NULL }), 1);
    assert_int_equal(command((const char *[]){ "inspect", spec, "--verify", NULL }), 2);
}

/* The data of a coco spec lie in a folder that only --data-path names. */
static void data_from_files_are_found(void **state)
{
    enum { IMAGES = 10, SIDE = 64 };
    static uint8_t pixels[SIDE * SIDE * 3];
    char folder[600], path[700], spec[600];
    struct df_text text = DF_TEXT_INIT;
    struct df_error err = { 0 };
    cJSON *root, *data = cJSON_Parse("{\"kind\":\"coco\",\"train\":\"all.json\",\"validation\":\"all.json\"}");

    (void)state;
    snprintf(folder, sizeof folder, "%s/pictures", df_test_folder());
    assert_ok(df_folder_make(folder, &err));
    df_text_add(&text, "{\"categories\":[{\"id\":1,\"name\":\"disc\"}],\"images\":[");
    for (int i = 0; i < IMAGES; i++) {
        snprintf(path, sizeof path, "%s/%d.png", folder, i);
        assert_ok(df_png_write(path, pixels, SIDE, SIDE, &err));
        df_text_addf(&text, "%s{\"id\":%d,\"file_name\":\"%d.png\",\"width\":%d,\"height\":%d}", i ? "," : "", i + 1, i, SIDE, SIDE);
    }
    df_text_add(&text, "],\"annotations\":[{\"id\":1,\"image_id\":2,\"category_id\":1,\"bbox\":[8,4,20,30],\"area\":600}]}");
    snprintf(path, sizeof path, "%s/all.json", folder);
    assert_ok(df_file_write(path, text.data, text.length, &err));

    snprintf(spec, sizeof spec, "%s/files.json", df_test_folder());
    assert_ok(df_json_read(write_spec("files", 4), &root, &err));
    cJSON_ReplaceItemInObject(root, "data", data);
    df_text_clear(&text);
    df_json_canonical(root, &text);
    assert_ok(df_file_write(spec, text.data, text.length, &err));
    assert_int_equal(command((const char *[]){ "sweep", spec, "--dry-run", "--out", out(), NULL }), 1);
    assert_int_equal(command((const char *[]){ "sweep", spec, "--dry-run", "--data-path", folder, "--out", out(), NULL }), 0);
    assert_int_equal(command((const char *[]){ "run", spec, "--cell", "0", "--data-path", folder, "--out", out(), NULL }), 0);
    assert_int_equal(rows("files"), 1);
    df_text_release(&text);
    cJSON_Delete(root);
}

/* train, distill, predict and inspect on one another's files. */
static void networks_go_from_command_to_command(void **state)
{
    const char *spec = write_spec("chain", 8);
    char weights[600], results[600];
    struct df_error err = { 0 };
    cJSON *metadata;

    (void)state;
    snprintf(weights, sizeof weights, "%s/weights.safetensors", df_test_folder());
    snprintf(results, sizeof results, "%s/results.json", df_test_folder());
    assert_int_equal(command((const char *[]){ "train", spec, "--out", out(), "--output", weights, NULL }), 0);
    assert_ok(df_checkpoint_metadata(weights, &metadata, &err));
    assert_non_null(cJSON_GetObjectItem(metadata, "neck_std"));
    cJSON_Delete(metadata);
    assert_int_equal(command((const char *[]){ "predict", spec, "--teacher", "--out", out(), "--output", results, NULL }), 0);
    assert_true(df_file_exists(results));
    assert_int_equal(command((const char *[]){ "distill", spec, "--method", "DeFeat", "--axes", "w_fg=4 w_bg=8", "--seed", "8", "--out",
                                               out(), "--output", weights, NULL }),
                     0);
    assert_ok(df_checkpoint_metadata(weights, &metadata, &err));
    assert_non_null(strstr(cJSON_GetObjectItem(metadata, "cell")->valuestring, "\"seed\":8"));
    cJSON_Delete(metadata);
    assert_int_equal(command((const char *[]){ "predict", spec, "--cell", "0", "--checkpoint", weights, "--split", "tune", "--limit", "2",
                                               "--out", out(), "--output", results, NULL }),
                     0);
    assert_int_equal(command((const char *[]){ "inspect", weights, NULL }), 0);
    assert_int_equal(command((const char *[]){ "bench", spec, "--steps", "3", "--json", NULL }), 0);

    struct df_journal *read = journal("chain"), *again;

    assert_int_equal(read->runs, 1); /* the distilled cell's, as a sweep would leave it: it is not run once more */
    assert_string_equal(read->run[0].label, "DeFeat");
    assert_int_equal(read->run[0].seed, 8);
    assert_string_equal(read->run[0].status, "ok");
    assert_int_equal(
        command((const char *[]){ "distill", spec, "--method", "DeFeat", "--axes", "w_fg=4 w_bg=8", "--seed", "8", "--out", out(), NULL }),
        0);
    again = journal("chain");
    assert_true(again->run[0].train_seconds == read->run[0].train_seconds);
    df_journal_free(again);
    df_journal_free(read);
}

static void silent(void *context, const char *text)
{
    (void)context;
    (void)text;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run_writes_its_row_and_its_curve),
        cmocka_unit_test(a_failed_run_leaves_its_reason),
        cmocka_unit_test(an_interrupted_run_leaves_no_row),
        cmocka_unit_test(wrong_words_are_usage),
        cmocka_unit_test(a_finished_cell_is_run_again_only_when_asked),
        cmocka_unit_test(a_cell_of_another_identity_is_refused),
        cmocka_unit_test(what_does_not_fit_is_told_before_training),
        cmocka_unit_test(an_interrupted_prepare_says_so),
        cmocka_unit_test(data_from_files_are_found),
        cmocka_unit_test(networks_go_from_command_to_command),
    };

    df_warn_set(silent, NULL);
    return cmocka_run_group_tests_name("run commands", tests, NULL, NULL);
}
