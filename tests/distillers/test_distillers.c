/* All distillers in float, the registry, plugins' errors, and the check itself: distillers that are wrong in one way must be caught. */
#include "tests/distillers/cases.h"

#include <stdio.h>

#include "core/base/file.h"
#include "core/base/fpu.h"
#include "core/base/hash.h"
#include "core/nn/losses.h"
#include "core/nn/ops.h"
#include "distillers/common.h"
#include "tests/support/fpu.h"

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
    df_tensor *s = df_part_tensor(student, "logits"), *t = df_part_tensor(teacher, "logits"), *d, *y;

    if (fault == DETACHED)
        s = df_detach(tape, s);
    if (fault != TO_TEACHER)
        t = df_detach(tape, t);
    d = df_sub(tape, fault == CONSTANT ? df_scale(tape, t, 2) : s, t);
    if (fault == HALF_GRADIENT)
        d = df_sub(tape, df_add(tape, df_scale(tape, s, 0.5), df_scale(tape, df_detach(tape, s), 0.5)), t);
    y = df_mean(tape, df_mul(tape, d, d), 15);
    if (fault == DIVIDES)
        y = df_scale(tape, y, 1 / (double)student->images->truth->count);
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
                                              .needs = "logits",
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

static void needs_more(const void *options, struct df_needs *needs)
{
    (void)options;
    df_needs_add(needs, "neck/*");
}

static void test_check_contract(void **state)
{
    static const df_option twice[] = { { "w", DF_REAL_OPTION(struct wrong_options, w), 2, 0, 10, "weight", NULL, NULL, NULL },
                                       { "w", DF_REAL_OPTION(struct wrong_options, w), 2, 0, 10, "weight", NULL, NULL, NULL },
                                       { 0 } };
    static const df_option whose[] = { { "teacher", DF_REAL_OPTION(struct wrong_options, w), 2, 0, 10, "weight", NULL, NULL, NULL },
                                       { 0 } };
    static const df_option absent[] = { { "w", DF_REAL_OPTION(struct wrong_options, w), 2, 0, 10, "weight", .absent = "11" }, { 0 } };
    static const df_option range[] = { { "w", DF_REAL_OPTION(struct wrong_options, w), 20, 0, 10, "weight", NULL, NULL, NULL }, { 0 } };
    const struct df_distiller_class good = { .abi = DF_DISTILLER_ABI,
                                             .name = "wrong",
                                             .summary = "s",
                                             .cite = "",
                                             .needs = "",
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
    bad = good, bad.needs = NULL;
    assert_fails(df_distiller_check(&bad, NULL, &report, &err), DF_ERR_CHECK, "needs");
    bad = good, bad.needs_of = needs_more;
    assert_fails(df_distiller_check(&bad, NULL, &report, &err), DF_ERR_CHECK, "1 of");
    assert_non_null(strstr(df_text_get(&report), "needs_of adds 'neck/*', which is not among the needs ''"));
    bad = good, bad.loss = NULL;
    assert_fails(df_distiller_check(&bad, NULL, &report, &err), DF_ERR_CHECK, "loss");
    bad = good, bad.options = whose;
    assert_fails(df_distiller_check(&bad, NULL, &report, &err), DF_ERR_CHECK, "option 'teacher' is called as a key");
    bad = good, bad.options = twice;
    assert_fails(df_distiller_check(&bad, NULL, &report, &err), DF_ERR_CHECK, "same name");
    bad = good, bad.options = range;
    assert_fails(df_distiller_check(&bad, NULL, &report, &err), DF_ERR_CHECK, "outside of its range");
    bad = good, bad.options = absent;
    assert_fails(df_distiller_check(&bad, NULL, &report, &err), DF_ERR_CHECK, "'absent' is none of its values");
    bad = good, bad.tunable = "w w_fg";
    assert_fails(df_distiller_check(&bad, NULL, &report, &err), DF_ERR_CHECK, "tunable 'w w_fg': 1 of its 2 names are real options");
    bad = good, bad.revision = -1;
    assert_fails(df_distiller_check(&bad, NULL, &report, &err), DF_ERR_CHECK, "revision");
    bad = good, bad.options_size = 4;
    assert_fails(df_distiller_check(&bad, NULL, &report, &err), DF_ERR_CHECK, "outside of options_size");
    df_text_release(&report);
}

/* Whatever has a teacher has a weight, and tuning knows it. */
static void check_tunable(void)
{
    for (size_t i = 0; df_distiller_classes[i]; i++) {
        const struct df_distiller_class *class = df_distiller_classes[i];
        size_t weights = 0;

        for (const df_option *row = class->options; row->name; row++) {
            const bool weight = strncmp(row->name, "w_", 2) == 0 || strcmp(row->name, "w") == 0;

            weights += weight;
            assert_true(weight == df_distiller_tunes(class, row->name));
        }
        assert_true((weights > 0) == (class->needs[0] != 0));
    }
}

/* ---- registry, options, plugins ---- */

static void test_registry(void **state)
{
    static const char *const names[] = { "none",  "full_feature", "foreground", "background", "head_kl", "defeat",
                                         "mimic", "fgfi",         "frs",        "cwd",        "pkd",     "dist" };
    struct df_error err;

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_string_equal(df_distiller_class_find(names[i], &err)->name, names[i]);
    assert_null(df_distiller_class_find("defaet", &err));
    assert_int_equal(err.status, DF_ERR_USAGE);
    assert_non_null(strstr(err.text, "unknown distiller 'defaet' (did you mean 'defeat'?"));
    check_tunable();
}

/* What `defeat distillers NAME` tells of those that are built in: a formula whose lines fit a terminal, and texts of whole sentences. */
static void test_texts(void **state)
{
    (void)state;
    for (size_t i = 0; df_distiller_classes[i]; i++) {
        const struct df_distiller_class *class = df_distiller_classes[i];
        const char *const texts[] = { class->deviation, class->published };

        assert_non_null(class->formula);
        assert_true(strncmp(class->formula, "L = ", 4) == 0);
        for (const char *line = class->formula; *line; line += strcspn(line, "\n"), line += *line == '\n')
            assert_in_range(strcspn(line, "\n"), 1, 120);
        for (size_t k = 0; k < 2; k++) {
            assert_non_null(texts[k]);
            assert_true(!texts[k][0] || texts[k][strlen(texts[k]) - 1] == '.');
            assert_null(strchr(texts[k], '\n'));
        }
    }
}

static df_status read_options(const char *name, const char *json, void *options, struct df_error *err)
{
    cJSON *object = cJSON_Parse(json);
    const df_status status = df_options_read(df_distiller_class_find(name, NULL)->options, object, NULL, name, options, err);

    cJSON_Delete(object);
    return status;
}

/* "neck/[star] logits" of these options. */
static const char *needs_text(const struct df_distiller_class *class, const void *options)
{
    static char text[256];
    struct df_text all = DF_TEXT_INIT;
    struct df_needs needs = { 0 };

    class->needs_of(options, &needs);
    df_needs_text(&needs, " ", &all);
    snprintf(text, sizeof text, "%s", df_text_get(&all));
    df_text_release(&all);
    return text;
}

static void test_options(void **state)
{
    const struct df_distiller_class *defeat = df_distiller_class_find("defeat", NULL);
    char *options = df_calloc(1, defeat->options_size);
    struct df_text help = DF_TEXT_INIT;
    struct df_error err;

    (void)state;
    assert_ok(read_options("defeat", "{}", options, &err));
    assert_string_equal(needs_text(defeat, options), "neck/*");
    cJSON *written = df_options_write(defeat->options, options);
    assert_close(cJSON_GetObjectItem(written, "w_fg")->valuedouble, 4, 0, 0);
    assert_close(cJSON_GetObjectItem(written, "w_bg")->valuedouble, 16, 0, 0);
    assert_close(cJSON_GetObjectItem(written, "adapt_std")->valuedouble, 1e-4, 0, 0);
    assert_null(cJSON_GetObjectItem(written, "w_pos"));
    cJSON_Delete(written);
    assert_ok(read_options("defeat", "{\"head\":\"decoupled\",\"w_pos\":0,\"w_neg\":0}", options, &err)); /* weight 0: still needed */
    assert_string_equal(needs_text(defeat, options), "class_logits neck/*");
    assert_ok(read_options("defeat", "{\"bb_stages\":[3]}", options, &err));
    assert_string_equal(needs_text(defeat, options), "backbone/3 neck/*");
    assert_fails(read_options("defeat", "{\"w_pos\":1}", options, &err), DF_ERR_USAGE, "w_pos");
    assert_fails(read_options("defeat", "{\"adapt\":\"none\",\"adapt_std\":1}", options, &err), DF_ERR_USAGE, "adapt_std");
    assert_fails(read_options("full_feature", "{\"level_rule\":\"all\"}", options, &err), DF_ERR_USAGE, "level_rule");
    df_options_markdown(defeat->options, &help);
    assert_non_null(strstr(df_text_get(&help), "w_bg"));
    df_text_release(&help);
    free(options);
}

/* What no code path of the chosen options reads. */
static void test_ineffective(void **state)
{
    static const char *const refused[][2] = {
        { "{\"authors\":true,\"rounding\":\"authors\"}", "rounding" }, /* fixed, even where it agrees */
        { "{\"authors\":true,\"adapt_std\":0.1}", "adapt_std" },
        { "{\"authors\":true,\"norm\":\"image\"}", "norm" },
        { "{\"authors\":true,\"level_rule\":\"all\"}", "level_rule" },
        { "{\"authors\":true,\"exclude_padding\":true}", "exclude_padding" },
        { "{\"authors\":true,\"level_reduce\":\"cells\"}", "level_reduce" },
        { "{\"authors\":true,\"normalise_teacher\":true}", "normalise_teacher" },
        { "{\"authors\":true,\"bb_stages\":[3],\"bb_adapt\":\"none\"}", "bb_adapt" },
        { "{\"authors\":true,\"head\":\"decoupled\",\"t_neg\":2}", "t_neg" },
        { "{\"authors\":true,\"head\":\"decoupled\",\"one_temperature\":false}", "one_temperature" },
        { "{\"authors\":true,\"head\":\"fg\",\"authors_labels\":false}", "authors_labels" },
        { "{\"authors\":true,\"head\":\"fg\",\"authors_background\":false}", "authors_background" },
        { "{\"authors\":true,\"head\":\"fg\",\"head_norm\":\"positives\"}", "head_norm" },
        { "{\"mask\":\"one\",\"level_rule\":\"all\"}", "level_rule" },
        { "{\"mask\":\"roi\",\"rounding\":\"cover\"}", "rounding" },
        { "{\"roi_share\":0.4}", "roi_share" },
        { "{\"adapt\":\"none\",\"adapt_relu\":true}", "adapt_relu" },
        { "{\"w_bb_fg\":1}", "w_bb_fg" },
        { "{\"bb_adapt_relu\":false}", "bb_adapt_relu" },
        { "{\"bb_stages\":[2],\"bb_adapt\":\"none\",\"bb_adapt_relu\":false}", "bb_adapt_relu" },
        { "{\"bb_stages\":[2],\"bb_adapt\":\"none\",\"adapt\":\"none\",\"adapt_init\":\"normal\"}", "adapt_init" },
        { "{\"head\":\"fg\",\"w_neg\":1}", "w_neg" },
        { "{\"head\":\"bg\",\"w_pos\":1}", "w_pos" },
        { "{\"head\":\"bg\",\"t_pos\":1}", "t_pos" },
        { "{\"head\":\"correct\",\"t_neg\":1}", "t_neg" },
        { "{\"head\":\"decoupled\",\"one_temperature\":true,\"t_neg\":1}", "t_neg" },
        { "{\"head\":\"decoupled\",\"authors_labels\":true}", "authors_labels" },
        { "{\"head\":\"all\",\"rois\":\"teacher\",\"authors_labels\":true}", "authors_labels" },
        { "{\"head\":\"correct\",\"authors_background\":true}", "authors_background" },
        { "{\"rois\":\"student\"}", "rois" },
    };
    static const char *const accepted[] = {
        "{\"mask\":\"one\",\"bb_stages\":[3],\"rounding\":\"cover\"}",
        "{\"adapt\":\"1x1\",\"adapt_relu\":true,\"adapt_std\":1}",
        "{\"bb_stages\":[2],\"adapt\":\"none\",\"adapt_init\":\"normal\"}",
        "{\"head\":\"bg\",\"one_temperature\":true,\"t_pos\":2}",
        "{\"authors\":true,\"head\":\"bg\",\"t_pos\":2,\"rois\":\"student\",\"mask\":\"roi\"}",
        "{\"head\":\"fg\",\"rois\":\"both\",\"authors_labels\":true,\"authors_background\":true}",
    };
    char *options = df_calloc(1, df_distiller_class_find("defeat", NULL)->options_size);
    char expected[64];
    struct df_error err;

    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        snprintf(expected, sizeof expected, "option '%s' has no effect here", refused[i][1]);
        assert_fails(read_options("defeat", refused[i][0], options, &err), DF_ERR_USAGE, expected);
    }
    for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++)
        assert_ok(read_options("defeat", accepted[i], options, &err));
    free(options);
}

static void assert_same_needs(const struct df_needs *needs, const char *expected)
{
    struct df_text text = DF_TEXT_INIT;

    df_needs_text(needs, " ", &text);
    assert_string_equal(df_text_get(&text), expected);
    df_text_release(&text);
}

/* What options need of a detector: the head that says the classes, or an error that names the option. */
static void test_needs(void **state)
{
    static const struct {
        const char *distiller, *options;
        const char *one_stage, *two_stage; /* one_stage NULL: refused */
        const char *option;
    } cases[] = {
        { "defeat", "{}", "neck/*", "neck/*", NULL },
        { "defeat", "{\"head\":\"fg\"}", "logits neck/*", "neck/* roi/logits", NULL },
        { "defeat", "{\"head\":\"fg\",\"rois\":\"student\"}", NULL, "neck/* roi/logits", "option 'rois' needs 'roi/logits'" },
        { "defeat", "{\"head\":\"fg\",\"authors_background\":true}", NULL, "neck/* roi/logits", "option 'authors_background'" },
        { "defeat", "{\"head\":\"fg\",\"authors\":true}", NULL, "neck/* roi/logits", "option 'authors'" },
        { "defeat", "{\"authors\":true}", "neck/*", "neck/*", NULL },
        { "defeat", "{\"bb_stages\":[4,2]}", "backbone/2 backbone/4 neck/*", "backbone/2 backbone/4 neck/*", NULL },
        { "head_kl", "{}", "logits", "roi/logits", NULL },
        { "fgd", "{}", "neck/*", "neck/*", NULL },
        { "head_kl", "{\"rois\":\"both\"}", NULL, "roi/logits", "option 'rois'" },
        { "full_feature", "{}", "neck/*", "neck/*", NULL },
    };
    const struct df_detector_class *one = df_detector_class_find("retinanet", NULL), *two = df_detector_class_find("faster_rcnn", NULL);
    const struct df_detector_class blind = { .name = "blind", .offers = "logits", .on_request = "", .class_logits = "logits" };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct df_distiller_class *class = df_distiller_class_find(cases[i].distiller, NULL);
        char *options = df_calloc(1, class->options_size);
        struct df_error err = { 0 };
        struct df_needs needs;

        assert_ok(read_options(cases[i].distiller, cases[i].options, options, &err));
        if (cases[i].one_stage) {
            assert_ok(df_distiller_needs(class, options, one, one, &needs, &err));
            assert_same_needs(&needs, cases[i].one_stage);
        } else {
            assert_fails(df_distiller_needs(class, options, one, one, &needs, &err), DF_ERR_UNSUPPORTED, cases[i].option);
            assert_non_null(
                strstr(err.text, "detector 'retinanet' does not have (it has backbone/* neck/* class_tower/* box_tower/* logits deltas)"));
        }
        assert_ok(df_distiller_needs(class, options, two, two, &needs, &err));
        assert_same_needs(&needs, cases[i].two_stage);
        if (class == df_distiller_class_find("full_feature", NULL)) { /* no option can help */
            assert_fails(df_distiller_needs(class, options, &blind, &blind, &needs, &err), DF_ERR_UNSUPPORTED,
                         "distiller 'full_feature' needs 'neck/*', which detector 'blind' does not have");
            assert_ok(df_distiller_needs(class, options, one, two, &needs, &err));
        }
        if (class == df_distiller_class_find("head_kl", NULL) && cases[i].one_stage) /* not the same head */
            assert_fails(df_distiller_needs(class, options, one, two, &needs, &err), DF_ERR_UNSUPPORTED,
                         "'roi/logits' of the teacher's detector 'faster_rcnn', but 'logits' of the student's 'retinanet'");
        free(options);
    }
}

/* What contradicts itself or the networks. */
static void test_conflicts(void **state)
{
    static const char *const cases[][2] = {
        { "{\"authors\":true,\"mask\":\"gaussian\"}", "authors: mask=gaussian is never called" },
        { "{\"authors\":true,\"head\":\"fg\",\"rois\":\"both\"}",
          "authors: rois=both fails in the released code unless head is all or bg" },
        { "{\"bb_stages\":[3,4,3]}", "bb_stages: stage 3 stands twice" },
        { "{\"bb_stages\":[5]}", "bb_stages: the student's backbone has no stage 5 (detector 'retinanet')" },
        { "{\"bb_stages\":[2]}", "bb_stages: the teacher's backbone has no stage 2" },
        { "{\"bb_stages\":[3],\"bb_adapt\":\"none\"}", "bb_adapt none: 'backbone/3' has 4 channels in the student, 5 in the teacher" },
    };
    const struct df_distiller_class *class = df_distiller_class_find("defeat", NULL);
    struct df_parts student = { 0 }, teacher = { 0 };
    struct df_distiller_setup setup = {
        .prefix = "", .levels = 1, .student = &student, .teacher = &teacher, .detector = df_detector_class_find("retinanet", NULL)
    };
    char *options = df_calloc(1, class->options_size), *memory = df_calloc(1, class->state_size);
    struct df_error err;

    (void)state;
    describe(&student, "neck", 0, 6, 0);
    describe(&teacher, "neck", 0, 6, 0);
    for (size_t k = 0; k < 3; k++) {
        describe(&student, "backbone", 2 + k, 3 + k, 0); /* C2, C3, C4 */
        describe(&teacher, "backbone", 3 + k, k ? 4 + k : 5, 0);
    }
    setup.options = options;
    setup.state = memory;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        setup.parameters = df_parameters_new();
        assert_ok(read_options("defeat", cases[i][0], options, &err));
        assert_fails(class->init(&setup, &err), DF_ERR_USAGE, cases[i][1]);
        df_parameters_free(setup.parameters);
    }
    /* parameters are there only where they are asked for */
    setup.parameters = df_parameters_new();
    assert_ok(
        read_options("defeat", "{\"adapt\":\"none\",\"bb_stages\":[3,4],\"adapt_init\":\"normal\",\"adapt_std\":0.5}", options, &err));
    assert_ok(class->init(&setup, &err));
    assert_int_equal(setup.parameters->count, 4);
    const struct df_parameter *weight = df_parameters_find(setup.parameters, "bb_adapt.3.weight");
    assert_true(weight->init.kind == DF_INIT_NORMAL && weight->init.a == 0.5); /* the neck's options */
    assert_non_null(df_parameters_find(setup.parameters, "bb_adapt.4.bias"));
    df_parameters_free(setup.parameters);
    free(options);
    free(memory);
}

/* What those with layers of their own refuse: a teacher's neck of one channel, towers that differ or are missing. */
static void test_refused_layers(void **state)
{
    static const char *const cases[][3] = {
        { "fgd", "{\"fg\":false,\"bg\":false,\"attention\":false,\"global\":false}", "fgd: fg, bg, attention and global are all off" },
        { "fgd", "{}", "global: the teacher's 'neck/0' has 1 channel" },
        { "fgd", "{\"levels\":2}", "levels: 2 of a neck that has 1" },
        { "mgd", "{\"levels\":3}", "levels: 3 of a neck that has 1" },
        { "reviewkd", "{\"levels\":2}", "levels: 2 of a neck that has 1" },
        { "crosskd", "{}", "crosskd: 'class_tower/0' has 6 channels in the student, 7 in the teacher" },
        { "crosskd", "{}", "crosskd: the teacher's head has no 'box_tower/0' (expected two or more convolutions a branch)" },
    };
    struct df_parts student = { 0 }, teacher = { 0 };
    struct df_distiller_setup setup = { .prefix = "", .levels = 1, .student = &student, .teacher = &teacher };
    struct df_error err;

    (void)state;
    describe(&student, "neck", 0, 6, 0);
    describe(&teacher, "neck", 0, 1, 0);
    describe(&student, "class_tower", 0, 6, 0);
    describe(&teacher, "class_tower", 0, 7, 0);
    describe(&student, "box_tower", 0, 6, 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct df_distiller_class *class = df_distiller_class_find(cases[i][0], NULL);
        char *options = df_calloc(1, class->options_size), *memory = df_calloc(1, class->state_size + 1);

        if (i == 6)
            describe(&teacher, "class_tower", 0, 6, 0);
        setup.options = options;
        setup.state = memory;
        setup.parameters = df_parameters_new();
        assert_ok(read_options(cases[i][0], cases[i][1], options, &err));
        assert_fails(class->init(&setup, &err), DF_ERR_USAGE, cases[i][2]);
        df_parameters_free(setup.parameters);
        free(options);
        free(memory);
    }
}

/* ---- the reference's vectors ---- */

/* E = 4 and 12 as printed there; below 4 epochs up_down rises for one epoch. */
static void test_schedule(void **state)
{
    static const struct {
        enum df_decay decay;
        size_t epochs;
        double factor[12];
    } cases[] = {
        { DF_DECAY_NONE, 4, { 1, 1, 1, 1 } },
        { DF_DECAY_LINEAR, 4, { 1, 0.75, 0.5, 0.25 } },
        { DF_DECAY_COSINE, 4, { 1, 0.8535533905932737, 0.5, 0.1464466094067263 } },
        { DF_DECAY_UP_DOWN, 12, { 1, 4.0 / 3, 5.0 / 3, 2, 16.0 / 9, 14.0 / 9, 12.0 / 9, 10.0 / 9, 8.0 / 9, 6.0 / 9, 4.0 / 9, 2.0 / 9 } },
        { DF_DECAY_UP_DOWN, 4, { 1, 2, 4.0 / 3, 2.0 / 3 } },
        { DF_DECAY_UP_DOWN, 7, { 1, 2, 5.0 / 3, 4.0 / 3, 1, 2.0 / 3, 1.0 / 3 } },
        { DF_DECAY_UP_DOWN, 3, { 1, 2, 1 } },
        { DF_DECAY_UP_DOWN, 2, { 1, 2 } },
        { DF_DECAY_UP_DOWN, 1, { 1 } },
        { DF_DECAY_LINEAR, 1, { 1 } }
    };
    struct df_distill_context context = { .step = 5 };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        context.epochs = cases[i].epochs;
        for (context.epoch = 0; context.epoch < cases[i].epochs; context.epoch++) {
            const double expected = cases[i].factor[context.epoch];

            assert_close(df_weight_factor(&context, cases[i].decay, 0), expected, 1e-14, 1e-15);
            assert_close(df_weight_factor(&context, cases[i].decay, 6), expected, 1e-14, 1e-15); /* its last step */
            assert_close(df_weight_factor(&context, cases[i].decay, 24), expected / 4, 1e-14, 1e-15);
        }
    }
}

/* One level, no adaptation: object and background sums 2 and 12 over divisors 4 and 12, so 4 * 0.5 + 16 * 1 = 18. */
static void test_vector_neck(void **state)
{
    static const df_real s[] = { 1, 0, 2, -1, 3, 2, 4, 1 }, t[] = { 0, 1, 2, 1, 1, 2, 4, -1 }; /* [1,2,2,2] */
    static const struct df_box box = { 0, 0, 8, 8 };                                           /* the first cell of stride 8 */
    static const struct df_ground_truth truth = { 1, &box, NULL };
    const size_t side = 16;
    const struct df_batch batch = { .n = 1, .truth = &truth, .valid_h = &side, .valid_w = &side };
    const struct df_distiller_class *class = df_distiller_class_find("defeat", NULL);
    char *options = df_calloc(1, class->options_size), *memory = df_calloc(1, class->state_size);
    struct df_detection_state student = { .batch = 1, .canvas_h = 16, .canvas_w = 16, .images = &batch, .levels = 1 }, teacher;
    struct df_loss_terms log = { 0 };
    struct df_device *device;
    struct df_error err;

    (void)state;
    assert_ok(df_device_open("ref", &device, &err));
    assert_ok(read_options("defeat", "{\"adapt\":\"none\"}", options, &err));
    df_tape *tape = df_tape_new(device, true);
    const struct df_distill_context context = { .tape = tape, .options = options, .state = memory, .epochs = 1, .terms = &log };

    teacher = student;
    df_parts_set(&student.parts, "neck", 0, 8, df_leaf(tape, (df_shape){ 1, 2, 2, 2 }, s));
    df_parts_set(&teacher.parts, "neck", 0, 8, df_leaf(tape, (df_shape){ 1, 2, 2, 2 }, t));
    assert_close(df_item(tape, class->loss(&context, &student, &teacher)), 18, 1e-7, 0);
    assert_close(df_item(tape, log.term[0].value), 0.5, 1e-7, 0);
    assert_close(df_item(tape, log.term[1].value), 1, 1e-7, 0);
    df_tape_free(tape);
    df_device_close(device);
    free(options);
    free(memory);
}

/* KL(t || s) of one RoI, times T^2; the terms of the other groups are 0. */
static void one_roi(struct df_detector *base, df_tape *tape, const struct df_detection_state *features, const struct df_rois *on,
                    struct df_detection_state *out)
{
    static const df_real z[] = { 1, 1.5F, -0.5F };

    (void)base, (void)on;
    *out = *features;
    df_parts_set(&out->parts, "roi/logits", DF_NO_LEVEL, 0, df_tensor_from(tape, (df_shape){ 1, 1, 1, 3 }, z));
}

static void test_vector_head(void **state)
{
    static const struct {
        const char *options;
        double value;
    } cases[] = { { "{\"mode\":\"fg\",\"w_pos\":1}", 0.451092 },
                  { "{\"mode\":\"all\",\"w_pos\":1,\"t_pos\":2}", 0.433669 },
                  { "{\"mode\":\"correct\",\"w_pos\":1,\"t_pos\":4}", 0.405106 },
                  { "{\"mode\":\"bg\",\"w_neg\":1}", 0 } };
    static const df_real z[] = { 2, 0.5F, -1 };
    static const df_real label[] = { 0 }; /* column 1: the teacher's largest */
    const struct df_detector_class two_stage = { .run_head = one_roi };
    struct df_detector detector = { .class = &two_stage };
    const struct df_distiller_class *class = df_distiller_class_find("head_kl", NULL);
    char *options = df_calloc(1, class->options_size);
    struct df_device *device;
    struct df_error err;

    (void)state;
    assert_ok(df_device_open("ref", &device, &err));
    df_tape *tape = df_tape_new(device, true);
    struct df_detection_state student = { .rois.count = 1, .detector = &detector }, teacher = { .detector = &detector };

    df_parts_set_host(&student.parts, tape, "roi/label", (df_shape){ 1, 1, 1, 1 }, label);
    df_parts_set(&student.parts, "roi/logits", DF_NO_LEVEL, 0, df_leaf(tape, (df_shape){ 1, 1, 1, 3 }, z));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct df_distill_context context = { .tape = tape, .options = options, .epochs = 1 };

        assert_ok(read_options("head_kl", cases[i].options, options, &err));
        assert_close(df_item(tape, class->loss(&context, &student, &teacher)), cases[i].value, 2e-6, 0); /* six digits are printed */
    }
    df_tape_free(tape);
    df_device_close(device);
    free(options);
}

/* init: names, first values, and what does not fit */
static void test_init(void **state)
{
    const struct df_distiller_class *class = df_distiller_class_find("foreground", NULL);
    char *options = df_calloc(1, class->options_size), *memory = df_calloc(1, class->state_size);
    struct df_parts student = { 0 }, teacher = { 0 };
    struct df_distiller_setup setup = {
        .options = options, .state = memory, .prefix = "distiller.1.", .levels = 2, .student = &student, .teacher = &teacher
    };
    struct df_device *device;
    struct df_error err;
    df_real values[9 * 9 * 6];
    double squares = 0, largest = 0;

    (void)state;
    for (size_t l = 0; l < 2; l++) {
        describe(&student, "neck", l, 6, 0);
        describe(&teacher, "neck", l, 9, l ? 0 : 1); /* of level 1 no deviation */
    }
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
    assert_fails(class->init(&setup, &err), DF_ERR_USAGE, "'neck/0' has 6 channels in the student, 9 in the teacher");
    assert_ok(read_options("foreground", "{\"normalise_teacher\":true,\"adapt\":\"1x1\",\"adapt_init\":\"normal\"}", options, &err));
    assert_fails(class->init(&setup, &err), DF_ERR_USAGE, "of the teacher's 'neck/1' is 0 (expected more than 0)");
    df_parameters_free(setup.parameters);
    setup.parameters = df_parameters_new();
    describe(&teacher, "neck", 1, 9, 1);
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
    assert_fails(df_distiller_load_plugin(path, &class, &err), DF_ERR_UNSUPPORTED, "built for ABI 0, expected 5");
    assert_null(class);
    assert_true(compile_plugin("TAKEN_NAME", path, sizeof path));
    assert_fails(df_distiller_load_plugin(path, &class, &err), DF_ERR_USAGE, "there is a distiller 'defeat' already");
    assert_true(compile_plugin("NO_CITE", path, sizeof path));
    assert_fails(df_distiller_load_plugin(path, &class, &err), DF_ERR_FORMAT, "summary, cite, needs, loss");
    assert_true(compile_plugin("NO_SYMBOL", path, sizeof path));
    assert_fails(df_distiller_load_plugin(path, &class, &err), DF_ERR_FORMAT, "has no symbol 'df_distiller'");
}

static void keep_warning(void *context, const char *text) { snprintf(context, 512, "%s", text); }

/* What a plugin does to the control word is undone, and told with its name. */
static void test_plugin_control_word(void **state)
{
    const struct df_distiller_class *class;
    struct df_error err;
    char path[512], warning[512] = "";

    (void)state;
    if (!compile_plugin("FLUSHES", path, sizeof path) || !df_test_flush_denormals())
        skip();
    (void)df_fpu_reset();
    df_warn_set(keep_warning, warning);
    assert_ok(df_distiller_load_plugin(path, &class, &err));
    df_warn_set(NULL, NULL);
    assert_string_equal(class->name, "cosine_flushing");
    assert_non_null(strstr(warning, path));
    assert_non_null(strstr(warning, "denormal"));
    assert_true(df_test_keeps_denormals());
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
        cmocka_unit_test(test_conformance),
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_check_catches),
        cmocka_unit_test(test_check_contract),
        cmocka_unit_test(test_registry),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_ineffective),
        cmocka_unit_test(test_needs),
        cmocka_unit_test(test_conflicts),
        cmocka_unit_test(test_refused_layers),
        cmocka_unit_test(test_schedule),
        cmocka_unit_test(test_vector_neck),
        cmocka_unit_test(test_vector_head),
        cmocka_unit_test(test_init),
        cmocka_unit_test(test_plugin),
        cmocka_unit_test(test_plugin_errors),
        cmocka_unit_test(test_plugin_control_word),
        cmocka_unit_test(test_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
