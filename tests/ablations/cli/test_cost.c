/* `defeat cost`: a spec at COCO's scale without COCO, what it prints, and what it refuses. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ablations/cli/command.h"
#include "core/base/file.h"
#include "core/base/json.h"
#include "core/base/progress.h"
#include "tests/support/support.h"

#define COCO "ablations/specs/coco-faster.json"

/* Runs `defeat cost` with these words (NULL at the end); *output: what it printed. */
static int cost(const char *const *words, char **output)
{
    char *argv[32] = { (char *)(uintptr_t) "defeat", (char *)(uintptr_t) "cost" };
    const int stdout_copy = dup(1);
    struct df_error err = { 0 };
    char path[600];
    size_t bytes;
    int argc = 2, status;

    for (; words[argc - 2]; argc++)
        argv[argc] = (char *)(uintptr_t)words[argc - 2];
    snprintf(path, sizeof path, "%s/output", df_test_folder());
    fflush(stdout);
    assert_non_null(freopen(path, "w", stdout));
    status = df_command_main(df_commands, argc, argv);
    fflush(stdout);
    dup2(stdout_copy, 1);
    close(stdout_copy);
    assert_ok(df_file_read(path, 0, output, &bytes, &err));
    return status;
}
#define COST(output, ...) cost((const char *[]){ __VA_ARGS__, NULL }, output)

static cJSON *json(const char *text)
{
    struct df_error err = { 0 };
    cJSON *root;

    assert_ok(df_json_parse(text, strlen(text), "cost", &root, &err));
    return root;
}

static double number(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

    if (!cJSON_IsNumber(item))
        fail_msg("no number '%s'", key);
    return item->valuedouble;
}

static const cJSON *part(const cJSON *method, const char *name)
{
    const cJSON *row;

    cJSON_ArrayForEach(
        row, cJSON_GetObjectItemCaseSensitive(method, "parts")) if (strcmp(cJSON_GetObjectItemCaseSensitive(row, "name")->valuestring,
                                                                           name) == 0) return row;
    fail_msg("no part '%s'", name);
    return NULL;
}

static double all_flops(const cJSON *method)
{
    const cJSON *row;
    double sum = 0;

    cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(method, "parts")) sum += number(row, "flops");
    return sum;
}

/* The paper's setting; 16 images a step. */
static void coco_without_coco(void **state)
{
    char *output;

    (void)state;
    assert_int_equal(COST(&output, COCO, "--images", "118287", "--classes", "80", "--canvas", "1344x800", "--teacher", "--json"), 0);

    cJSON *root = json(output);
    const cJSON *methods = cJSON_GetObjectItemCaseSensitive(root, "methods");
    const cJSON *teacher = cJSON_GetArrayItem(methods, 0), *none = cJSON_GetArrayItem(methods, 1), *defeat = cJSON_GetArrayItem(methods, 2);

    assert_int_equal(cJSON_GetArraySize(methods), 3);
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(teacher, "label")->valuestring, "teacher");
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(defeat, "label")->valuestring, "DeFeat neck");
    assert_close(number(none, "steps"), 12 * (118287 / 16), 0, 0);
    assert_close(number(none, "height"), 800, 0, 0);
    assert_close(number(none, "parameters"), number(defeat, "parameters"), 0, 0);
    assert_true(number(teacher, "parameters") > 1.5 * number(none, "parameters"));
    assert_close(number(part(none, "student: backward"), "flops"), number(part(defeat, "student: backward"), "flops"), 0, 0);
    assert_close(number(part(none, "teacher, live"), "flops"), 0, 0, 0);
    assert_true(number(part(defeat, "teacher, live"), "flops") > number(part(none, "student: backbone and neck"), "flops"));
    /* 6.7 TFLOP an image for the student alone would be wrong by its unit; its floor is compute's at 67 TFLOP/s */
    assert_close(number(none, "float32_floor_seconds"), 20e12 / 67e12, 0.01, 0);
    assert_true(number(none, "tf32_floor_seconds") < 0.5 * number(none, "float32_floor_seconds"));
    assert_close(number(none, "float32_days"), number(none, "float32_floor_seconds") * number(none, "steps") / 86400, 1e-12, 0);
    /* the neck of 16 images, 89523 cells of 256 channels each: a live teacher leaves it on the device, and gets pixels */
    assert_close(number(part(defeat, "teacher's cache"), "copied_bytes"), 16 * 89523.0 * 256 * 4, 1e-12, 0);
    assert_true(number(part(defeat, "teacher, live"), "copied_bytes") < 1.01 * 16 * 1344 * 800 * 3 * 4);
    /* a record: 89523 cells of 256 channels and 3 objectness logits in float */
    assert_close(number(defeat, "record_bytes"), 89523.0 * (256 + 3) * 4, 1e-4, 0);
    assert_close(number(defeat, "cache_bytes"), 2 * 118287 * number(defeat, "record_bytes"), 1e-3, 0);
    assert_close(number(defeat, "cache_images_max"), 23, 0, 0);
    assert_true(cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(defeat, "cached")));
    /* it also has the proposal network's logits, for other methods of a sweep: 256 channels, 9 x 256 + 3 x (1 + 4) terms for each, a cell */
    assert_close(16 * number(defeat, "record_flops"), number(part(defeat, "teacher, live"), "flops") + 16 * 89523.0 * 512 * (9 * 256 + 15),
                 1e-9, 0);
    /* the control's longer training: every step's distillers, and the teacher once for every image and its mirror image */
    const double more =
        number(none, "steps") * (number(part(defeat, "distillers"), "flops") + number(part(defeat, "distillers: backward"), "flops")) +
        2 * 118287 * number(defeat, "record_flops");

    assert_close(number(defeat, "stretch"), 1 + more / (number(none, "steps") * all_flops(none)), 1e-12, 0);
    assert_null(cJSON_GetObjectItemCaseSensitive(none, "stretch"));
    cJSON_Delete(root);
    free(output);
}

/* A small spec brings its own images, classes and canvas; its cache is used, and its days are without the teacher's pass. */
static void a_small_spec_needs_no_options(void **state)
{
    char *output;

    (void)state;
    assert_int_equal(
        COST(&output, "ablations/specs/tiny.json", "--method", "full feature", "--json", "--peak", "0.1", "--bandwidth", "0.02"), 0);

    cJSON *root = json(output);
    const cJSON *methods = cJSON_GetObjectItemCaseSensitive(root, "methods"), *method = cJSON_GetArrayItem(methods, 0);

    assert_int_equal(cJSON_GetArraySize(methods), 1);
    assert_close(number(method, "images"), 64, 0, 0);
    assert_close(number(method, "width"), 64, 0, 0);
    assert_close(number(method, "runs"), 2, 0, 0);
    assert_close(number(method, "steps"), 2 * 64 / 8, 0, 0);
    assert_true(cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(method, "cached")));
    assert_true(number(method, "float32_floor_seconds_cached") < number(method, "float32_floor_seconds"));
    assert_close(number(method, "float32_days"), 2 * 16 * number(method, "float32_floor_seconds_cached") / 86400, 1e-12, 0);
    assert_null(cJSON_GetObjectItemCaseSensitive(method, "tf32_days")); /* of another machine nobody told */
    cJSON_Delete(root);
    free(output);

    assert_int_equal(COST(&output, "ablations/specs/tiny.json", "--method", "none"), 0);
    assert_non_null(strstr(output, "student: backward"));
    assert_non_null(strstr(output, "TF32"));
    assert_null(strstr(output, "cache"));
    free(output);
    assert_int_equal(COST(&output, "ablations/specs/tiny.json", "--method", "full feature", "--cache-limit", "0"), 0);
    assert_non_null(strstr(output, "lets the teacher run live"));
    free(output);
}

static void what_is_missing_or_wrong_is_told(void **state)
{
    char *output;

    (void)state;
    assert_int_equal(COST(&output, COCO), 1); /* no data: how many images, how many classes? */
    free(output);
    assert_int_equal(COST(&output, COCO, "--images", "100"), 1);
    free(output);
    assert_int_equal(COST(&output, COCO, "--images", "15", "--classes", "80"), 2); /* less than a batch */
    free(output);
    assert_int_equal(COST(&output, "ablations/specs/tiny.json", "--canvas", "1344"), 2);
    free(output);
    assert_int_equal(COST(&output, "ablations/specs/tiny.json", "--canvas", "16x64"), 2);
    free(output);
    assert_int_equal(COST(&output, "ablations/specs/tiny.json", "--method", "nobody"), 2);
    assert_string_equal(output, "");
    free(output);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(coco_without_coco),
        cmocka_unit_test(a_small_spec_needs_no_options),
        cmocka_unit_test(what_is_missing_or_wrong_is_told),
    };

    df_progress_enable(false);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
