/* `defeat bench` of a spec whose data are not there, whose networks are 50 and 152 layers deep and whose norms are frozen: made-up data, numbers
 * that are numbers, the teacher live; each part of a step by the clock and on paper. */
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "tests/ablations/cli/commands.h"

#define NETWORK(depth_)                                                                                                                    \
    "{\"network\":{\"depth\":" depth_                                                                                                      \
    ",\"base_width\":8,\"norm\":\"frozen\",\"fpn_stages\":[2,3,4,5],\"fpn_channels\":16,\"extra\":\"pool\"}}"
static const char spec[] =
    "{\"name\":\"deep\",\"base\":\"nowhere\","
    "\"data\":{\"kind\":\"coco\",\"images\":\"none\",\"train\":\"none.json\",\"validation\":\"none.json\"},"
    "\"canvas\":{\"min_side\":64,\"max_side\":96,\"fixed\":true,\"canvas_width\":96,\"canvas_height\":96},"
    "\"detector\":{\"kind\":\"faster_rcnn\",\"rpn_pre_nms_train\":100,\"rpn_post_nms_train\":50,\"roi_batch\":16,\"fc_width\":16},"
    "\"student\":" NETWORK("50") ",\"teacher\":" NETWORK(
        "152") ","
               "\"schedule\":{\"optimiser\":\"sgd\",\"lr\":0.02,\"batch\":2},"
               "\"methods\":[{\"label\":\"none\"},{\"label\":\"DeFeat neck\",\"distillers\":[{\"name\":\"defeat\"}]}],\"seeds\":[0]}";

static const char *write_spec(void)
{
    static char path[600];
    FILE *file;

    snprintf(path, sizeof path, "%s/deep.json", df_test_folder());
    file = fopen(path, "w");
    assert_non_null(file);
    fputs(spec, file);
    fclose(file);
    return path;
}

static double number(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

    if (!cJSON_IsNumber(item))
        fail_msg("no number '%s'", key);
    return item->valuedouble;
}

static const cJSON *part_of(const cJSON *side, const char *name)
{
    const cJSON *part;

    cJSON_ArrayForEach(part, cJSON_GetObjectItemCaseSensitive(side, "parts"))
    {
        if (strcmp(cJSON_GetObjectItemCaseSensitive(part, "name")->valuestring, name) == 0)
            return part;
    }
    return NULL;
}

/* Every part takes time, the parts' floors are the step's, and what the teacher computes is in the step. */
static void check_parts(const cJSON *side, int parts)
{
    const cJSON *array = cJSON_GetObjectItemCaseSensitive(side, "parts"), *part;
    double floors = 0;

    assert_int_equal(cJSON_GetArraySize(array), parts);
    cJSON_ArrayForEach(part, array)
    {
        assert_true(number(part, "seconds") > 0);
        floors += number(part, "floor_seconds");
    }
    assert_close(floors, number(side, "floor_seconds"), 1e-12, 0);
    assert_true(number(side, "memory_bytes") > 1e6);
}

static void a_deep_spec_without_its_data(void **state)
{
    const char *path = write_spec();
    struct df_error err = { 0 };
    char *output;
    cJSON *root;

    (void)state;
    assert_int_equal(command((const char *[]){ "bench", path, "--steps", "3", NULL }), 1); /* nobody has the data */
    assert_int_equal(
        command_says((const char *[]){ "bench", path, "--synthetic", "--steps", "4", "--set", "data.classes=5", "--json", NULL }, &output),
        0);
    assert_ok(df_json_parse(output, strlen(output), "bench", &root, &err));

    const cJSON *plain = cJSON_GetObjectItemCaseSensitive(root, "plain"), *distilled = cJSON_GetObjectItemCaseSensitive(root, "distilled");

    assert_int_equal(number(root, "profiled_steps"), 4);
    assert_true(number(plain, "loss") > 1 && number(plain, "loss") < 30); /* cross entropy over 5 classes begins around log 6 */
    assert_true(number(distilled, "loss") > number(plain, "loss") &&
                number(distilled, "loss") < 1000); /* features around 1, weights of 16 */
    check_parts(plain, 5);
    check_parts(distilled, 7);
    assert_null(part_of(plain, "teacher, live"));
    assert_non_null(part_of(distilled, "distillers"));
    assert_true(number(part_of(distilled, "teacher, live"), "floor_seconds") > 0);
    assert_int_equal(number(distilled, "adaptation_parameters"), 5 * (16 * 9 * 16 + 16)); /* a 3x3 convolution of each level */
    assert_true(number(distilled, "teacher_parameters") > number(root, "parameters"));    /* 152 layers and 50 */
    assert_int_equal(number(plain, "adaptation_parameters"), 0);
    assert_int_equal(number(plain, "teacher_parameters"), 0);
    assert_true(number(distilled, "flops") > 1.2 * number(plain, "flops")); /* 150 layers, forward, beside 50, forward and back */
    assert_true(number(root, "bytes_per_second") > 1e8 && number(root, "product_gflops") > 0);
    cJSON_Delete(root);
    free(output);
}

/* What has no effect is refused. */
static void live_goes_without_saying(void **state)
{
    (void)state;
    assert_int_equal(command((const char *[]){ "bench", write_spec(), "--synthetic", "--live", NULL }), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_deep_spec_without_its_data),
        cmocka_unit_test(live_goes_without_saying),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
