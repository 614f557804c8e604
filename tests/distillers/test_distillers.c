/* All distillers in float, the registry, plugins' errors, and the check itself: distillers that are wrong in one way must be caught. */
#include "tests/distillers/cases.h"

#include <stdio.h>

#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/nn/losses.h"
#include "core/nn/ops.h"

/* ---- the check catches ---- */

struct wrong_options {
    double w;
};
static const df_option wrong_options[] = { { "w", DF_REAL_OPTION(struct wrong_options, w), 2, 0, 10, "weight", NULL, NULL, NULL }, { 0 } };
static enum fault { NO_FAULT, DETACHED, CONSTANT, TO_TEACHER, DROPS_WEIGHT, DIVIDES, HALF_GRADIENT, COUNTS_STEPS, HIDES_A_TERM } fault;

static df_tensor *wrong_loss(const struct df_distill_context *context, const struct df_detection_state *student,
                             const struct df_detection_state *teacher)
{
    static int calls;
    df_tape *tape = context->tape;
    const double w = ((const struct wrong_options *)context->options)->w;
    df_tensor *s = student->class_logits, *t = teacher->class_logits, *d, *y;

    if (fault == DETACHED)
        s = df_detach(tape, s);
    if (fault != TO_TEACHER)
        t = df_detach(tape, t);
    d = df_sub(tape, fault == CONSTANT ? df_scale(tape, t, 2) : s, t);
    if (fault == HALF_GRADIENT)
        d = df_sub(tape, df_add(tape, df_scale(tape, s, 0.5), df_scale(tape, df_detach(tape, s), 0.5)), t);
    y = df_mean(tape, df_mul(tape, d, d), 15);
    if (fault == DIVIDES)
        y = df_scale(tape, y, 1 / (double)student->positives);
    if (fault == COUNTS_STEPS)
        y = df_scale(tape, y, 1 + 1e-3 * (double)(++calls % 7));
    if (fault != HIDES_A_TERM)
        df_loss_terms_add(context->terms, "wrong", y, fault == DROPS_WEIGHT ? 2 : w);
    return df_scale(tape, y, fault == DROPS_WEIGHT ? 2 : w);
}

static void test_check_catches(void **state)
{
    static const struct {
        enum fault fault;
        const char *line;
    } expected[] = { { DETACHED, "FAIL gradient: derivative 0" },
                     { CONSTANT, "FAIL gradient: nothing" },
                     { TO_TEACHER, "FAIL teacher: gets a gradient" },
                     { DROPS_WEIGHT, "FAIL weight zero: the loss" },
                     { DIVIDES, "FAIL empty ground truth: not finite" },
                     { HALF_GRADIENT, "FAIL gradient: derivative" },
                     { COUNTS_STEPS, "FAIL repeat" },
                     { HIDES_A_TERM, "FAIL terms: weighted sum" } };
    const struct df_distiller_class class = { .abi = DF_DISTILLER_ABI,
                                              .name = "wrong",
                                              .summary = "s",
                                              .cite = "",
                                              .needs = DF_NEEDS_DENSE_HEAD,
                                              .options = wrong_options,
                                              .options_size = sizeof(struct wrong_options),
                                              .loss = wrong_loss };
    struct df_device *device;
    struct df_error err;

    (void)state;
    assert_ok(df_device_open("ref", &device, &err));
    for (size_t i = 0; i < 1 + sizeof expected / sizeof *expected; i++) {
        struct df_text report = DF_TEXT_INIT;

        fault = i ? expected[i - 1].fault : NO_FAULT;
        if (i) {
            assert_fails(df_distiller_check(&class, device, &report, &err), DF_ERR_CHECK, "distiller 'wrong'");
            if (!strstr(df_text_get(&report), expected[i - 1].line))
                fail_msg("expected '%s' in\n%s", expected[i - 1].line, df_text_get(&report));
        } else {
            assert_ok(df_distiller_check(&class, device, &report, &err));
        }
        df_text_release(&report);
    }
    df_device_close(device);
}

static void test_check_contract(void **state)
{
    static const df_option twice[] = { { "w", DF_REAL_OPTION(struct wrong_options, w), 2, 0, 10, "weight", NULL, NULL, NULL },
                                       { "w", DF_REAL_OPTION(struct wrong_options, w), 2, 0, 10, "weight", NULL, NULL, NULL },
                                       { 0 } };
    static const df_option range[] = { { "w", DF_REAL_OPTION(struct wrong_options, w), 20, 0, 10, "weight", NULL, NULL, NULL }, { 0 } };
    const struct df_distiller_class good = { .abi = DF_DISTILLER_ABI,
                                             .name = "wrong",
                                             .summary = "s",
                                             .cite = "",
                                             .options = wrong_options,
                                             .options_size = sizeof(struct wrong_options),
                                             .loss = wrong_loss };
    struct df_distiller_class bad;
    struct df_text report = DF_TEXT_INIT;
    struct df_error err;

    (void)state;
    bad = good, bad.abi = 99;
    assert_fails(df_distiller_check(&bad, NULL, &report, &err), DF_ERR_CHECK, "abi");
    bad = good, bad.name = "Wrong One";
    assert_fails(df_distiller_check(&bad, NULL, &report, &err), DF_ERR_CHECK, "lower-case");
    bad = good, bad.loss = NULL;
    assert_fails(df_distiller_check(&bad, NULL, &report, &err), DF_ERR_CHECK, "loss");
    bad = good, bad.options = twice;
    assert_fails(df_distiller_check(&bad, NULL, &report, &err), DF_ERR_CHECK, "same name");
    bad = good, bad.options = range;
    assert_fails(df_distiller_check(&bad, NULL, &report, &err), DF_ERR_CHECK, "outside of its range");
    bad = good, bad.options_size = 4;
    assert_fails(df_distiller_check(&bad, NULL, &report, &err), DF_ERR_CHECK, "outside of options_size");
    df_text_release(&report);
}

/* ---- registry, options, plugins ---- */

static void test_registry(void **state)
{
    static const char *const names[] = { "none", "full_feature", "foreground", "background", "head_kl", "defeat" };
    struct df_error err;

    (void)state;
    for (size_t i = 0; i < 6; i++)
        assert_string_equal(df_distiller_class_find(names[i], &err)->name, names[i]);
    assert_null(df_distiller_class_find("defaet", &err));
    assert_int_equal(err.status, DF_ERR_USAGE);
    assert_non_null(strstr(err.text, "unknown distiller 'defaet' (did you mean 'defeat'?"));
}

static df_status read_options(const char *name, const char *json, void *options, struct df_error *err)
{
    cJSON *object = cJSON_Parse(json);
    const df_status status = df_options_read(df_distiller_class_find(name, NULL)->options, object, NULL, name, options, err);

    cJSON_Delete(object);
    return status;
}

static void test_options(void **state)
{
    const struct df_distiller_class *defeat = df_distiller_class_find("defeat", NULL);
    char *options = df_calloc(1, defeat->options_size);
    struct df_text help = DF_TEXT_INIT;
    struct df_error err;

    (void)state;
    assert_ok(read_options("defeat", "{}", options, &err));
    assert_int_equal(defeat->needs_of(options), DF_NEEDS_NECK);
    cJSON *written = df_options_write(defeat->options, options);
    assert_close(cJSON_GetObjectItem(written, "w_fg")->valuedouble, 4, 0, 0);
    assert_close(cJSON_GetObjectItem(written, "w_bg")->valuedouble, 16, 0, 0);
    assert_close(cJSON_GetObjectItem(written, "adapt_std")->valuedouble, 1e-4, 0, 0);
    assert_null(cJSON_GetObjectItem(written, "w_pos"));
    cJSON_Delete(written);
    assert_ok(read_options("defeat", "{\"head\":\"decoupled\",\"w_pos\":0,\"w_neg\":0}", options, &err)); /* weight 0: still needed */
    assert_int_equal(defeat->needs_of(options), DF_NEEDS_NECK | DF_NEEDS_DENSE_HEAD);
    assert_fails(read_options("defeat", "{\"w_pos\":1}", options, &err), DF_ERR_USAGE, "w_pos");
    assert_fails(read_options("defeat", "{\"adapt\":\"none\",\"adapt_std\":1}", options, &err), DF_ERR_USAGE, "adapt_std");
    assert_fails(read_options("full_feature", "{\"level_rule\":\"all\"}", options, &err), DF_ERR_USAGE, "level_rule");
    df_options_markdown(defeat->options, &help);
    assert_non_null(strstr(df_text_get(&help), "w_bg"));
    df_text_release(&help);
    free(options);
}

/* init: names, first values, and what does not fit */
static void test_init(void **state)
{
    const struct df_distiller_class *class = df_distiller_class_find("foreground", NULL);
    char *options = df_calloc(1, class->options_size), *memory = df_calloc(1, class->state_size);
    static const double measured[] = { 1, 1 }, missing[] = { 1, 0 };
    struct df_distiller_setup setup = { .options = options,
                                        .state = memory,
                                        .prefix = "distiller.1.",
                                        .levels = 2,
                                        .student_channels = { 6, 6 },
                                        .teacher_channels = { 9, 9 } };
    struct df_device *device;
    struct df_error err;
    df_real values[9 * 9 * 6];
    double squares = 0, largest = 0;

    (void)state;
    assert_ok(df_device_open("ref", &device, &err));
    setup.parameters = df_parameters_new();
    assert_ok(read_options("foreground", "{}", options, &err));
    assert_ok(class->init(&setup, &err));
    df_parameters_build(setup.parameters, device, 4, true);
    assert_int_equal(setup.parameters->count, 4);
    const struct df_parameter *weight = df_parameters_find(setup.parameters, "distiller.1.adapt.1.weight");
    const struct df_parameter *bias = df_parameters_find(setup.parameters, "distiller.1.adapt.1.bias");
    assert_true(df_same_shape(weight->shape, (df_shape){ 9, 3, 3, 6 }) && weight->purpose == DF_RNG_ADAPT);
    df_read(device, values, weight->value, sizeof values);
    for (size_t i = 0; i < 486; i++) {
        squares += (double)values[i] * (double)values[i];
        largest = (double)values[i] > largest ? (double)values[i] : largest;
    }
    assert_close(squares / 486, 0.866e-4 * 0.866e-4, 0.25, 0); /* wrapped normal; 486 draws: 6 % standard error */
    assert_true(largest <= 2e-4);
    df_read(device, values, bias->value, 9 * sizeof *values);
    for (size_t i = 0; i < 9; i++)
        assert_true(values[i] != 0 && (double)values[i] * (double)values[i] <= 1.0 / 54);
    df_parameters_free(setup.parameters);

    setup.parameters = df_parameters_new();
    assert_ok(read_options("foreground", "{\"adapt\":\"none\"}", options, &err));
    assert_fails(class->init(&setup, &err), DF_ERR_USAGE, "neck level 0 has 6 channels in the student, 9 in the teacher");
    assert_ok(read_options("foreground", "{\"normalise_teacher\":true,\"adapt\":\"1x1\",\"adapt_init\":\"normal\"}", options, &err));
    setup.teacher_std = missing;
    assert_fails(class->init(&setup, &err), DF_ERR_USAGE, "level 1 was not measured");
    df_parameters_free(setup.parameters);
    setup.parameters = df_parameters_new();
    setup.teacher_std = measured;
    assert_ok(class->init(&setup, &err));
    assert_true(df_same_shape(df_parameters_find(setup.parameters, "distiller.1.adapt.0.weight")->shape, (df_shape){ 9, 1, 1, 6 }));
    df_parameters_free(setup.parameters);
    free(options);
    free(memory);
    df_device_close(device);
}

/* Compiles tests/distillers/plugin.c, with this macro if there is one, into the test's folder. false: no compiler here. */
static bool compile_plugin(const char *macro, char *path, size_t bytes)
{
    const char *compiler = getenv("CC");
    char command[2048];

    snprintf(path, bytes, "%s/plugin%s.so", df_test_folder(), macro);
    snprintf(command, sizeof command, "%s -std=c11 -D_GNU_SOURCE -shared -fPIC -I. %s%s -o '%s' tests/distillers/plugin.c 2>/dev/null",
             compiler ? compiler : "cc", macro[0] ? "-D" : "", macro, path);
    return system(command) == 0;
}

static void test_plugin(void **state)
{
    const struct df_distiller_class *class, *again;
    struct df_text report = DF_TEXT_INIT;
    struct df_device *device;
    struct df_error err;
    char path[512];

    (void)state;
    if (!compile_plugin("", path, sizeof path))
        skip();
    assert_ok(df_distiller_load_plugin(path, &class, &err));
    assert_string_equal(class->name, "cosine");
    assert_ptr_equal(df_distiller_class_find("cosine", &err), class);
    assert_ok(df_distiller_load_plugin(path, &again, &err)); /* twice is once */
    assert_ptr_equal(again, class);
    char hash[17], *bytes;
    size_t count;

    assert_ok(df_file_read(path, 0, &bytes, &count, &err));
    assert_string_equal(df_distiller_plugin_hash(class), df_hash_text(hash, df_hash(bytes, count)));
    assert_null(df_distiller_plugin_hash(df_distiller_class_find("defeat", &err)));
    free(bytes);
    assert_ok(df_device_open("ref", &device, &err));
    if (df_distiller_check(class, device, &report, &err) != DF_OK)
        fail_msg("%s\n%s", err.text, df_text_get(&report));
    df_text_release(&report);
    df_device_close(device);
    assert_true(compile_plugin("WRONG_ABI", path, sizeof path));
    assert_fails(df_distiller_load_plugin(path, &class, &err), DF_ERR_UNSUPPORTED, "built for ABI 0, expected 1");
    assert_null(class);
    assert_true(compile_plugin("TAKEN_NAME", path, sizeof path));
    assert_fails(df_distiller_load_plugin(path, &class, &err), DF_ERR_USAGE, "there is a distiller 'defeat' already");
    assert_true(compile_plugin("NO_CITE", path, sizeof path));
    assert_fails(df_distiller_load_plugin(path, &class, &err), DF_ERR_FORMAT, "summary, cite, loss");
    assert_true(compile_plugin("NO_SYMBOL", path, sizeof path));
    assert_fails(df_distiller_load_plugin(path, &class, &err), DF_ERR_FORMAT, "has no symbol 'df_distiller'");
}

static void test_plugin_errors(void **state)
{
    const struct df_distiller_class *class = df_distiller_class_find("none", NULL);
    struct df_error err;

    (void)state;
    assert_fails(df_distiller_load_plugin("no-such-plugin.so", &class, &err), DF_ERR_NOT_FOUND, "no-such-plugin.so");
    assert_null(class);
    assert_fails(df_distiller_load_plugin("tests/golden/distillers.json", &class, &err), DF_ERR_NOT_FOUND, "distillers.json");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conformance),    cmocka_unit_test(test_golden),   cmocka_unit_test(test_check_catches),
        cmocka_unit_test(test_check_contract), cmocka_unit_test(test_registry), cmocka_unit_test(test_options),
        cmocka_unit_test(test_init),           cmocka_unit_test(test_plugin),   cmocka_unit_test(test_plugin_errors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
