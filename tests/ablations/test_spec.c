/* Spec files: what a good one gives, and what each kind of bad one is told. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/run/cost.h"
#include "ablations/spec_teachers.h"
#include "core/base/file.h"
#include "tests/support/support.h"

#define DATA "\"data\":{\"kind\":\"scenes\"},\"detector\":{\"kind\":\"retinanet\"},"
#define NETS "\"student\":{\"network\":{\"depth\":18}},\"teacher\":{\"network\":{\"depth\":50}},"
#define METHODS                                                                                                                            \
    "\"methods\":[{\"label\":\"none\",\"distillers\":[]},"                                                                                 \
    "{\"label\":\"DeFeat\",\"distillers\":[{\"name\":\"defeat\",\"w_fg\":[1,2],\"w_bg\":[4,8,16]},{\"name\":\"head_kl\"}]}],"
#define GOOD "{\"name\":\"good\"," DATA NETS METHODS "\"seeds\":[3,5]}"

static char path[512];

static df_status read_text(const char *text, const struct df_spec_overrides *overrides, struct df_spec **spec, struct df_error *err)
{
    snprintf(path, sizeof path, "%s/spec.json", df_test_folder());
    DF_TRY(df_file_write(path, text, strlen(text), err));
    return df_spec_read(path, overrides, spec, err);
}

/* GOOD with one piece of text replaced. */
static char *with(const char *from, const char *to)
{
    const char *at = strstr(GOOD, from);
    struct df_text text = DF_TEXT_INIT;

    assert_non_null(at);
    df_text_add_bytes(&text, GOOD, (size_t)(at - GOOD));
    df_text_add(&text, to);
    df_text_add(&text, at + strlen(from));
    return text.data;
}

static void axes_multiply_and_seeds_are_innermost(void **state)
{
    struct df_error err = { 0 };
    struct df_spec *spec;

    (void)state;
    assert_ok(read_text(GOOD, NULL, &spec, &err));
    assert_int_equal(spec->lines, 1 + 2 * 3);
    assert_int_equal(spec->count, 7 * 2);
    assert_int_equal(spec->variant[0].baseline, 0);
    assert_string_equal(spec->cell[2]->axes, "w_fg=1 w_bg=4");
    assert_string_equal(spec->cell[5]->axes, "w_fg=1 w_bg=8");
    assert_string_equal(spec->cell[13]->axes, "w_fg=2 w_bg=16");
    assert_int_equal(spec->cell[12]->seed, 3);
    assert_int_equal(spec->cell[13]->seed, 5);
    assert_int_equal(spec->cell[2]->distillers, 2);
    assert_int_equal(spec->cell[0]->teachers, 0);
    assert_ptr_equal(spec->cell[2]->teacher[0].cell, spec->variant[0].teacher[0].cell);
    assert_int_equal(spec->cell[2]->teacher[0].needs.count, 2);
    assert_string_equal(spec->cell[2]->teacher[0].needs.name[0], "logits");
    assert_string_equal(spec->cell[2]->teacher[0].needs.name[1], "neck/*");
    for (size_t i = 0; i < spec->count; i++)
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(spec->cell[i]->id, spec->cell[j]->id);
    df_spec_free(spec);
}

/* A key of the spec, which a device's name may say for short; float32 is what goes without saying. */
static void precision_is_a_gpus(void **state)
{
    static const struct {
        const char *device, *override, *precision, *message;
    } bad[] = {
        { "cpu", NULL, "tf32",
          "/precision: tf32 is how a GPU's tensor cores round, and device 'cpu' has none [choose a GPU: --device cuda" },
        { "cuda", "ref", "tf32", "device 'ref' has none" },
        { "cuda+tf32", NULL, "float32", "/precision: float32, but /device is 'cuda+tf32' [remove one of both]" },
        { "cpu", NULL, "fp16", "expected one of float32|tf32" },
        { "cuda:123456789", NULL, "tf32", "too long" },
    };
    struct df_error err = { 0 };
    struct df_spec *spec;
    char id[17];

    (void)state;
    assert_ok(read_text(GOOD, NULL, &spec, &err));
    memcpy(id, spec->cell[0]->id, sizeof id);
    df_spec_free(spec);

    char *said = with("\"name\":\"good\"", "\"name\":\"good\",\"precision\":\"float32\"");

    assert_ok(read_text(said, NULL, &spec, &err));
    assert_string_equal(spec->cell[0]->id, id);
    assert_null(strstr(spec->cell[0]->json.data, "precision"));
    df_spec_free(spec);
    free(said);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char members[160];

        snprintf(members, sizeof members, "\"name\":\"good\",\"device\":\"%s\",\"precision\":\"%s\"", bad[i].device, bad[i].precision);

        char *text = with("\"name\":\"good\"", members);
        const df_status status = read_text(text, &(struct df_spec_overrides){ .device = bad[i].override }, &spec, &err);

        if (status == DF_OK || !strstr(err.text, bad[i].message))
            fail_msg("%s, %s: status %d, message '%s', expected '%s'", bad[i].device, bad[i].precision, (int)status, err.text,
                     bad[i].message);
        free(text);
    }
}

/* What is only looked at on paper may be meant for a GPU. */
static void precision_costs_nothing_on_paper(void **state)
{
    char *text = with("\"name\":\"good\"", "\"name\":\"good\",\"precision\":\"tf32\"");
    struct df_error err = { 0 };
    struct df_spec *spec;

    (void)state;
    assert_ok(read_text(text, &(struct df_spec_overrides){ .device = "cpu", .unread = true }, &spec, &err));
    assert_string_equal(spec->cell[0]->device, "cpu");
    df_spec_free(spec);
    free(text);
}

static void axes_may_step_together(void **state)
{
    static const char *const bad[][2] = {
        { "\"axes\":\"together\",\"distillers\":[{\"name\":\"defeat\",\"w_fg\":[1,2],\"w_bg\":[4,8,16]}",
          "w_bg: 3 values, but w_fg has 2" },
        { "\"axes\":\"together\",\"distillers\":[{\"name\":\"defeat\",\"w_fg\":[1,2,1],\"w_bg\":[4,8,4]}",
          "/axes: the same values stand twice" },
        { "\"axes\":\"together\",\"distillers\":[{\"name\":\"defeat\",\"w_fg\":1}", "/methods/1/axes: has no effect" },
        { "\"axes\":\"zipped\",\"distillers\":[{\"name\":\"defeat\",\"w_fg\":[1,2]}", "'zipped' (expected multiply or together)" },
    };
    static const char *const axes[] = { "w_fg=1 w_bg=4 w_pos=0.1", "w_fg=2 w_bg=8 w_pos=0.1", "w_fg=1 w_bg=16 w_pos=0.3" };
    static const char from[] = "\"distillers\":[{\"name\":\"defeat\",\"w_fg\":[1,2],\"w_bg\":[4,8,16]}";
    char *good = with("\"distillers\":[{\"name\":\"defeat\",\"w_fg\":[1,2],\"w_bg\":[4,8,16]},{\"name\":\"head_kl\"}",
                      "\"axes\":\"together\",\"distillers\":[{\"name\":\"defeat\",\"w_fg\":[1,2,1],\"w_bg\":[4,8,16]},"
                      "{\"name\":\"head_kl\",\"w_pos\":[0.1,0.1,0.3]}");
    struct df_error err = { 0 };
    struct df_spec *spec;

    (void)state;
    assert_ok(read_text(good, NULL, &spec, &err));
    assert_int_equal(spec->lines, 1 + 3);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(spec->cell[2 * (1 + i)]->axes, axes[i]);
    assert_int_equal(spec->cell[7]->seed, 5);
    df_spec_free(spec);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char *text = with(from, bad[i][0]);

        assert_fails(read_text(text, NULL, &spec, &err), DF_ERR_USAGE, bad[i][1]);
        free(text);
    }
    free(good);
}

#define TWO  "\"teachers\":{\"wide\":{\"network\":{\"depth\":34}},\"big\":{\"network\":{\"depth\":50}}},"
#define NONE "{\"label\":\"none\"},"

/* A spec of two teachers and these methods. */
static df_status read_taught(const char *teachers, const char *methods, struct df_spec **spec, struct df_error *err)
{
    char text[2048];

    snprintf(text, sizeof text,
             "{\"name\":\"taught\"," DATA "\"student\":{\"network\":{\"depth\":18}},%s\"methods\":[" NONE "%s],\"seeds\":[3]}", teachers,
             methods);
    return read_text(text, NULL, spec, err);
}

/* Each distiller has its own; where a method has one of several, its cells are those of a spec that has no other. */
static void several_teachers_have_names(void **state)
{
    struct df_error err = { 0 };
    struct df_spec *spec, *turned, *plain;
    struct df_cell *both;

    (void)state;
    assert_ok(read_taught(TWO,
                          "{\"label\":\"both\",\"init_student\":\"wide\",\"distillers\":[{\"name\":\"full_feature\",\"teacher\":\"wide\"},"
                          "{\"name\":\"head_kl\",\"teacher\":\"big\"},{\"name\":\"none\"}]},"
                          "{\"label\":\"one\",\"distillers\":[{\"name\":\"head_kl\",\"teacher\":[\"wide\",\"big\"]}]}",
                          &spec, &err));
    assert_int_equal(spec->count, 4);
    assert_int_equal(spec->variant[0].teachers, 2);
    assert_string_equal(spec->variant[0].teacher[1].name, "big");
    assert_string_equal(spec->variant[0].teacher[1].cell->label, "teacher big");
    assert_ptr_equal(spec->variant[0].first, spec->cell[1]);
    assert_ptr_equal(spec->variant[0].teacher[1].first, spec->cell[1]);
    both = spec->cell[1];
    assert_int_equal(both->teachers, 2);
    assert_ptr_equal(both->teacher[both->distiller[0].teacher].cell, spec->variant[0].teacher[0].cell);
    assert_ptr_equal(both->teacher[both->distiller[1].teacher].cell, spec->variant[0].teacher[1].cell);
    assert_true(both->distiller[2].teacher == DF_NO_TEACHER);
    assert_string_equal(both->teacher[both->init_from].name, "wide");
    assert_int_equal(both->teacher[both->distiller[1].teacher].needs.count, 1);
    assert_string_equal(both->teacher[both->distiller[1].teacher].needs.name[0], "logits");
    assert_string_equal(spec->cell[2]->axes, "teacher=wide");
    assert_string_equal(spec->cell[3]->teacher[0].name, "big");
    assert_ok(read_taught("\"teacher\":{\"network\":{\"depth\":50}},", "{\"label\":\"one\",\"distillers\":[{\"name\":\"head_kl\"}]}",
                          &plain, &err));
    assert_string_equal(spec->cell[3]->id, plain->cell[1]->id);
    assert_string_equal(spec->cell[0]->id, plain->cell[0]->id);
    assert_string_not_equal(spec->cell[2]->id, plain->cell[1]->id);
    df_spec_free(plain);

    /* no trace of the order that they stand in */
    assert_ok(read_taught("\"teachers\":{\"big\":{\"network\":{\"depth\":50}},\"wide\":{\"network\":{\"depth\":34}}},",
                          "{\"label\":\"both\",\"init_student\":\"wide\",\"distillers\":[{\"name\":\"full_feature\",\"teacher\":\"wide\"},"
                          "{\"name\":\"head_kl\",\"teacher\":\"big\"},{\"name\":\"none\"}]}",
                          &turned, &err));
    assert_string_equal(turned->cell[1]->id, both->id);
    df_spec_free(turned);
    df_spec_free(spec);
}

static void teachers_that_cannot_be(void **state)
{
    static const char one[] = "{\"label\":\"m\",\"distillers\":[{\"name\":\"head_kl\",\"teacher\":\"big\"}]}";
    static const struct {
        const char *teachers, *methods, *message;
    } bad[] = {
        { TWO, one, "/teachers/wide: has no effect, for no distiller is taught by it" },
        { TWO, "{\"label\":\"m\",\"distillers\":[{\"name\":\"head_kl\"}]}",
          "/methods/1/distillers/0: needs a teacher, and the spec has several [add \"teacher\": one of 'wide', 'big']" },
        { TWO, "{\"label\":\"m\",\"distillers\":[{\"name\":\"head_kl\",\"teacher\":\"bigg\"}]}",
          "/methods/1/distillers/0/teacher: unknown teacher 'bigg' (did you mean 'big'?" },
        { TWO, "{\"label\":\"m\",\"distillers\":[{\"name\":\"none\",\"teacher\":\"big\"}]}",
          "/methods/1/distillers/0/teacher: has no effect, for the distiller needs nothing" },
        { TWO,
          "{\"label\":\"m\",\"init_student\":true,\"distillers\":[{\"name\":\"head_kl\",\"teacher\":\"big\"},{\"name\":\"full_feature\","
          "\"teacher\":\"wide\"}]}",
          "/methods/1/init_student: expected the name of one of the method's 2 teachers" },
        { TWO, "{\"label\":\"m\",\"init_student\":\"wide\",\"distillers\":[{\"name\":\"head_kl\",\"teacher\":\"big\"}]}",
          "/methods/1/init_student: unknown teacher of the method 'wide'" },
        { TWO "\"teacher\":{\"network\":{\"depth\":50}},", one, "/teachers: stands beside \"teacher\"" },
        { "\"teachers\":{},", one, "/teachers: empty" },
        { "\"teachers\":{\"a b\":{\"network\":{\"depth\":50}}},", one, "/teachers: name 'a b'" },
        { "\"teachers\":{\"big\":{\"network\":{\"dept\":50}}},", one, "/teachers/big/network" },
        { "\"teachers\":{\"big\":{\"network\":{\"depth\":50},\"sed\":1}},", one, "/teachers/big" },
        { "\"teachers\":{\"big\":3},", one, "/teachers: /big: found 3, expected an object" },
        { "\"teachers\":{\"big\":{\"network\":{\"depth\":50},\"seed\":[]}},", one, "/teachers/big/seed: empty" },
        { "\"teachers\":{\"big\":{\"network\":{\"depth\":50},\"seed\":[3,4,3]}},", one, "/teachers/big/seed: the same one stands twice" },
        { "\"teachers\":{\"big\":{\"network\":{\"depth\":50},\"seed\":[3,-4]}},", one, "/teachers/big/seed: -4 is negative" },
        { "\"teachers\":{\"big\":{\"network\":{\"depth\":50},\"file\":[\"a\",7]}},", one, "/teachers/big" },
    };
    struct df_error err = { 0 };
    struct df_spec *spec;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (read_taught(bad[i].teachers, bad[i].methods, &spec, &err) == DF_OK || !strstr(err.text, bad[i].message))
            fail_msg("case %zu: message '%s', expected '%s'", i, err.text, bad[i].message);
}

/* A seed has the teacher whose turn it is, whichever seeds a command asks for; that teacher, and the cell's id, are those of a spec that has only
 * this one. */
static void teachers_take_turns_by_the_seed(void **state)
{
    static const char text[] =
        "{\"name\":\"turns\"," DATA "\"student\":{\"network\":{\"depth\":18}},\"teacher\":{\"network\":{\"depth\":50},"
        "\"seed\":%s},\"methods\":[" NONE "{\"label\":\"kl\",\"distillers\":[{\"name\":\"head_kl\"}]}],\"seeds\":[0]}";
    const struct df_spec_overrides seeds = { .seeds = "0,4,3,7" };
    const struct df_spec_teacher *found;
    static const int seed[] = { 11, 22, 11, 22 };
    struct df_spec_lesson lesson = { NULL };
    struct df_error err = { 0 };
    struct df_spec *spec, *alone;
    char one[1024];

    (void)state;
    snprintf(one, sizeof one, text, "[11, 22, 33]");
    assert_ok(read_text(one, &seeds, &spec, &err));
    assert_int_equal(spec->variant[0].teachers, 2); /* nobody's turn is 2 */
    assert_string_equal(spec->variant[0].teacher[0].which, "0");
    assert_string_equal(spec->variant[0].teacher[1].cell->label, "teacher 1");
    assert_int_equal(spec->variant[0].teacher[1].cell->seed, 22);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(spec->cell[4 + i]->teacher[0].cell->seed, seed[i]);
    assert_ok(df_spec_teacher_find(spec, &spec->variant[0], "1", &found, &err));
    assert_ptr_equal(found, &spec->variant[0].teacher[1]);
    assert_fails(df_spec_teacher_find(spec, &spec->variant[0], "2", &found, &err), DF_ERR_USAGE, "expected one of '0', '1'");
    assert_true(df_spec_next_lesson(spec, &spec->variant[0], &lesson));
    assert_string_equal(lesson.which, "0");
    assert_true(df_spec_next_lesson(spec, &spec->variant[0], &lesson));
    assert_string_equal(lesson.which, "1");
    assert_false(df_spec_next_lesson(spec, &spec->variant[0], &lesson));

    snprintf(one, sizeof one, text, "22");
    assert_ok(read_text(one, &seeds, &alone, &err));
    assert_string_equal(alone->cell[5]->id, spec->cell[5]->id);
    assert_string_not_equal(alone->cell[4]->id, spec->cell[4]->id);
    df_spec_free(alone);
    df_spec_free(spec);
}

/* What differs in teacher or needs, each once. */
static void lessons_are_walked(void **state)
{
    static const char *const expected[][2] = {
        { "wide", "neck/*" }, { "big", "logits" }, { "wide", "logits" }, { "wide", "logits neck/*" }
    };
    struct df_spec_lesson lesson = { NULL };
    struct df_error err = { 0 };
    struct df_spec *spec;
    size_t n = 0;

    (void)state;
    assert_ok(read_taught(
        TWO,
        "{\"label\":\"a\",\"distillers\":[{\"name\":\"full_feature\",\"teacher\":\"wide\"},{\"name\":\"head_kl\",\"teacher\":\"big\"}]},"
        "{\"label\":\"b\",\"distillers\":[{\"name\":\"head_kl\",\"teacher\":[\"wide\",\"big\"],\"w_pos\":[1,2]}]},"
        "{\"label\":\"c\",\"distillers\":[{\"name\":\"full_feature\",\"teacher\":\"wide\"},{\"name\":\"head_kl\",\"teacher\":\"wide\"}]}",
        &spec, &err));
    while (df_spec_next_lesson(spec, &spec->variant[0], &lesson)) {
        struct df_text needs = DF_TEXT_INIT;

        assert_true(n < sizeof expected / sizeof *expected);
        df_needs_text(&lesson.by->needs, " ", &needs);
        assert_string_equal(lesson.by->name, expected[n][0]);
        assert_string_equal(needs.data, expected[n++][1]);
        df_text_release(&needs);
    }
    assert_int_equal(n, 4);
    df_spec_free(spec);
}

static void variants_repeat_the_spec_with_their_members(void **state)
{
    struct df_error err = { 0 };
    struct df_spec *spec, *plain;
    const struct df_spec_variant *found;
    char *text = with("\"name\":\"good\"", "\"name\":\"good\",\"variants\":[{\"label\":\"context=0\",\"data\":{\"context\":0}},"
                                           "{\"label\":\"big\",\"teacher\":{\"network\":{\"depth\":101}}}]");
    char *same = with("\"name\":\"good\"", "\"name\":\"good\",\"variants\":[{\"label\":\"a\",\"data\":{\"context\":0}},"
                                           "{\"label\":\"b\",\"data\":{\"train\":99}},{\"label\":\"c\",\"data\":{\"context\":0}}]");

    (void)state;
    assert_ok(read_text(same, NULL, &spec, &err));
    assert_ptr_not_equal(spec->cell[0]->data, spec->cell[14]->data);
    assert_ptr_equal(spec->cell[0]->data, spec->cell[28]->data); /* said twice, owned once */
    df_spec_free(spec);
    assert_ok(read_text(GOOD, NULL, &plain, &err));
    assert_ok(read_text(text, NULL, &spec, &err));
    assert_int_equal(spec->variants, 2);
    assert_int_equal(spec->lines, 2 * 7);
    assert_int_equal(spec->count, 2 * 7 * 2);
    assert_int_equal(spec->variant[1].line, 7);
    assert_int_equal(spec->variant[1].baseline, 7);
    assert_ptr_equal(spec->variant[1].first, spec->cell[16]);
    assert_ptr_equal(spec->cell[16]->teacher[0].cell, spec->variant[1].teacher[0].cell);
    assert_ptr_equal(spec->cell[2]->teacher[0].cell, spec->variant[0].teacher[0].cell);
    assert_ptr_equal(df_spec_variant_of(spec, 13), &spec->variant[0]);
    assert_ptr_equal(df_spec_variant_of(spec, 14), &spec->variant[1]);
    assert_string_equal(spec->cell[0]->axes, "context=0");
    assert_string_equal(spec->cell[2]->axes, "context=0 w_fg=1 w_bg=4");
    assert_string_equal(spec->cell[16]->axes, "big w_fg=1 w_bg=4");
    assert_string_not_equal(spec->cell[0]->id, plain->cell[0]->id); /* other data */
    for (size_t i = 0; i < spec->count; i++)
        assert_ptr_equal(spec->cell[i]->data, i < 14 ? spec->data->older : spec->data);
    assert_null(spec->data->older->older);
    assert_string_equal(spec->cell[14]->id, plain->cell[0]->id); /* only the teacher is another: none is the same run */
    assert_string_not_equal(spec->cell[16]->id, plain->cell[2]->id);
    assert_ok(df_spec_variant_find(spec, "big", &found, &err));
    assert_ptr_equal(found, &spec->variant[1]);
    assert_fails(df_spec_variant_find(spec, "", &found, &err), DF_ERR_USAGE, "expected one of context=0, big");
    assert_fails(df_spec_variant_find(plain, "big", &found, &err), DF_ERR_USAGE, "the spec has none");
    df_spec_free(spec);
    df_spec_free(plain);
    free(text);
    free(same);
}

static void the_identity_is_what_decides_the_numbers(void **state)
{
    struct df_error err = { 0 };
    struct df_spec *a, *b;
    char *renamed = with("\"label\":\"none\"", "\"label\":\"plain\""),
         *spelt = with("\"w_fg\":[1,2],\"w_bg\":[4,8,16]", "\"w_bg\":[4.0,8,16],\"w_fg\":[1,2]");
    char *moved = with("\"depth\":18", "\"depth\":18,\"norm_eps\":1e-4"), *taught = with("\"depth\":50", "\"depth\":34");

    (void)state;
    assert_ok(read_text(GOOD, NULL, &a, &err));
    assert_ok(read_text(renamed, NULL, &b, &err));
    assert_string_equal(a->cell[0]->id, b->cell[0]->id); /* a label is a name, not a number */
    df_spec_free(b);
    assert_ok(read_text(moved, NULL, &b, &err));
    assert_string_not_equal(a->cell[0]->id, b->cell[0]->id);
    df_spec_free(b);
    assert_ok(read_text(taught, NULL, &b, &err));
    assert_string_equal(a->cell[0]->id, b->cell[0]->id); /* none has no teacher */
    assert_string_not_equal(a->cell[2]->id, b->cell[2]->id);
    df_spec_free(b);
    assert_ok(read_text(spelt, NULL, &b, &err));
    assert_string_equal(b->cell[2]->axes, "w_bg=4 w_fg=1");
    assert_string_equal(a->cell[2]->id, b->cell[2]->id); /* order and spelling of options do not count */
    df_spec_free(b);
    df_spec_free(a);
    free(renamed);
    free(spelt);
    free(moved);
    free(taught);
}

/* A teacher may be another detector on another canvas; it is trained so. The old form gives the same cells as ever (test_reference). */
static void a_teacher_may_be_another_network(void **state)
{
    char *plain = with(",{\"name\":\"head_kl\"}", "");
    struct df_error err = { 0 };
    struct df_spec *a, *b;
    struct df_text text = DF_TEXT_INIT;
    const char *at = strstr(plain, "\"teacher\":{") + strlen("\"teacher\":{");

    (void)state;
    df_text_add_bytes(&text, plain, (size_t)(at - plain));
    df_text_add(&text, "\"kind\":\"detector\",\"detector\":{\"kind\":\"faster_rcnn\",\"roi_batch\":64},\"canvas\":{\"divisor\":64},");
    df_text_add(&text, at);
    assert_ok(read_text(plain, NULL, &a, &err));
    assert_ok(read_text(df_text_get(&text), NULL, &b, &err));
    assert_string_equal(a->cell[0]->id, b->cell[0]->id);
    assert_string_not_equal(a->cell[2]->id, b->cell[2]->id);
    assert_string_equal(b->cell[2]->detector->name, "retinanet");
    assert_string_equal(b->cell[2]->teacher[0].cell->detector->name, "faster_rcnn");
    assert_int_equal(b->cell[2]->teacher[0].cell->canvas.divisor, 64);
    assert_int_equal(b->cell[2]->canvas.divisor, 32);
    assert_non_null(strstr(df_text_get(&b->variant[0].teacher[0].cell->json), "\"roi_batch\":64"));
    df_spec_free(a);
    df_spec_free(b);
    df_text_release(&text);
    free(plain);
}

/* Its own data are put over the spec's and are part of what it is, and so of what its students are; those have the spec's. */
static void a_teacher_may_learn_other_data(void **state)
{
    char *plain = with(",{\"name\":\"head_kl\"}", "");
    const char *at = strstr(plain, "\"teacher\":{") + strlen("\"teacher\":{");
    struct df_error err = { 0 };
    struct df_text text = DF_TEXT_INIT;
    struct df_spec *a, *b;

    (void)state;
    df_text_add_bytes(&text, plain, (size_t)(at - plain));
    df_text_add(&text, "\"data\":{\"marker\":2},");
    df_text_add(&text, at);
    assert_ok(read_text(plain, NULL, &a, &err));
    assert_ok(read_text(df_text_get(&text), NULL, &b, &err));
    assert_string_equal(a->cell[0]->id, b->cell[0]->id); /* it has no teacher */
    assert_string_not_equal(a->cell[2]->id, b->cell[2]->id);
    assert_null(strstr(df_text_get(&a->variant[0].teacher[0].cell->json), "marker"));
    assert_null(strstr(df_text_get(&b->cell[2]->json), "marker"));
    assert_non_null(strstr(df_text_get(&b->variant[0].teacher[0].cell->json), "\"marker\":2,\"marker_with\":1,\"marker_without\":0"));
    assert_ptr_equal(b->cell[0]->data, b->cell[2]->data);
    assert_ptr_not_equal(b->cell[2]->teacher[0].cell->data, b->cell[2]->data);
    df_spec_free(a);
    df_spec_free(b);
    df_text_release(&text);
    free(plain);
}

static void bad_specs_are_told_where_and_why(void **state)
{
    static const struct {
        const char *from, *to, *message;
    } bad[] = {
        { "\"seeds\"", "\"seed\"", "did you mean 'seeds'" },
        { "\"kind\":\"scenes\"", "\"kind\":\"scene\"", "scenes" },
        { "\"kind\":\"scenes\"", "\"kind\":\"scenes\",\"trian\":3", "/data" },
        { "\"kind\":\"retinanet\"", "\"kind\":\"retinet\"", "/detector/kind" },
        { "\"depth\":18", "\"depth\":19", "/student/network" },
        { "\"depth\":18", "\"dept\":18", "depth" },
        { "\"name\":\"defeat\"", "\"name\":\"defaet\"", "'defeat'" },
        { "\"w_fg\":[1,2]", "\"w_fg\":[1,-2]", "/methods/1/distillers/0" },
        { "\"w_fg\":[1,2]", "\"w_fgg\":[1,2]", "w_fg" },
        { "\"w_fg\":[1,2]", "\"w_fg\":[]", "empty list" },
        { "\"w_fg\":[1,2]", "\"w_pos\":2", "w_pos" }, /* head=off: no effect */
        { "\"w_fg\":[1,2]", "\"head\":\"fg\",\"rois\":\"teacher\"",
          "/methods/1/distillers/0: distiller 'defeat': option 'rois' needs 'roi/logits', which detector 'retinanet' does not have" },
        { "\"w_fg\":[1,2]", "\"head\":\"decoupled\",\"authors\":true", "option 'authors' needs 'roi/logits'" },
        { "\"label\":\"DeFeat\"", "\"label\":\"none\"", "stands twice" },
        { "[3,5]", "[3,3]", "seed 3 stands twice" },
        { "[3,5]", "[]", "at least one seed" },
        { "[3,5]", "[-1]", "negative" },
        { "[3,5]", "[0.5]", "/seeds/0" },
        { "\"name\":\"good\"", "\"name\":\"../good\"", "letters, digits" },
        { "\"name\":\"good\"", "\"name\":\"good\",\"baseline\":\"nothing\"",
          "unknown label of a method 'nothing' (there are: none, DeFeat)" },
        { "\"name\":\"good\"", "\"name\":\"good\",\"plots\":{\"heat\":[\"w_fg\",\"w_x\"]}", "'w_x' is no axis" },
        { "\"name\":\"good\"", "\"name\":\"good\",\"threads\":0", "/threads" },
        { "\"name\":\"good\"", "\"name\":\"good\",\"device\":\"cpi\"", "/device" },
        { "\"name\":\"good\"", "\"name\":\"good\",\"base\":\"elsewhere\"", "/base: has no effect" },
        { "\"name\":\"good\"", "\"name\":\"good\",\"plots\":{\"heat\":[\"w_fg\",\"fg\"]}", "'fg' is no axis" },
        { "\"name\":\"good\"", "\"name\":\"good\",\"schedule\":{\"evaluations\":4}",
          "/evaluations: found 4, expected an integer in 5..1000" },
        { "\"name\":\"good\"", "\"name\":\"good\",\"schedule\":{\"batch\":4096}", "one batch of 4096" },
        { "\"kind\":\"retinanet\"", "\"kind\":\"retinanet\",\"anchor_size\":[8,16]", "/student/network" },
        { "\"depth\":18", "\"depth\":18,\"base_width\":8,\"stem_width\":8,\"widths\":[8,8,8,8]", "/base_width: has no effect" },
        { "\"w_fg\":[1,2]", "\"w_fg\":[4,4]", "stands twice" },
        { "[3,5]", "[1e300]", "/seeds/0" },
        { ",\"teacher\":{\"network\":{\"depth\":50}}", "", "needs a teacher, but the spec has none" },
        { ",{\"label\":\"DeFeat\",\"distillers\":[{\"name\":\"defeat\",\"w_fg\":[1,2],\"w_bg\":[4,8,16]},{\"name\":\"head_kl\"}]}", "",
          "no method needs a teacher" },
        { "\"name\":\"good\"", "\"name\":\"good\",\"variants\":[]", "/variants: 0 of them" },
        { "\"name\":\"good\"", "\"name\":\"good\",\"variants\":[{\"label\":\"a b\"}]", "'a b': expected one word" },
        { "\"name\":\"good\"", "\"name\":\"good\",\"variants\":[{\"label\":\"a\"},{\"label\":\"a\"}]", "/variants/1: " },
        { "\"name\":\"good\"", "\"name\":\"good\",\"variants\":[{\"label\":\"a\",\"methods\":[]}]", "methods" },
        { "\"name\":\"good\"", "\"name\":\"good\",\"variants\":[{\"label\":\"a\",\"data\":{\"contxt\":0}}]", "did you mean 'context'" },
        { "\"teacher\":{", "\"teacher\":{\"file\":\"t.safetensors\",\"seed\":1,", "seed" },
        { "\"teacher\":{", "\"teacher\":{\"kind\":\"clasifier\",",
          "/teacher/kind: unknown kind of teacher 'clasifier' (did you mean 'classifier'?" },
        { "\"teacher\":{", "\"teacher\":{\"classifier\":{\"size\":32},",
          "/teacher/classifier: has no effect, for the teacher's kind is 'detector'" },
        { "\"teacher\":{\"network\":{", "\"teacher\":{\"kind\":\"classifier\",\"network\":{\"fpn_channels\":8,",
          "/teacher/network/fpn_channels: has no effect on a classifier" },
        { "\"teacher\":{", "\"teacher\":{\"kind\":\"classifier\",\"classifier\":{\"sise\":32},", "/teacher/classifier" },
        { "\"teacher\":{", "\"teacher\":{\"kind\":\"classifier\",",
          "needs 'neck/*', which detector 'classifier' does not have (it has object/logits)" },
        { "\"teacher\":{", "\"teacher\":{\"detector\":{\"kind\":\"faster_rcnn\"},",
          "'roi/logits' of the teacher's detector 'faster_rcnn', but 'logits' of the student's 'retinanet'" },
        { "\"teacher\":{", "\"teacher\":{\"detector\":{\"kind\":\"retinanet\",\"anchor_size\":[8]},", "/teacher/network" },
        { "\"teacher\":{", "\"teacher\":{\"canvas\":{\"divisr\":64},", "/teacher/canvas" },
        { "\"teacher\":{", "\"teacher\":{\"data\":{\"markr\":2},", "/teacher/data" },
        { "\"teacher\":{", "\"teacher\":{\"data\":{\"kind\":\"coco\"},", "is given as a \"file\"" },
        { "\"teacher\":{", "\"teacher\":{\"file\":\"t.safetensors\",\"data\":{\"marker\":2},", "/teacher/data: has no effect" },
        { "\"teacher\":{", "\"teacher\":{\"classes\":80,", "classes" }, /* of a file only */
        { "\"teacher\":{", "\"teacher\":{\"file\":\"t.safetensors\",\"classes\":0,", "/teacher/classes: 0 (expected 1..100000)" },
        { "\"student\":{", "\"student\":{\"take\":\"backbone\",", "/student/take: has no effect" },
        { "\"label\":\"DeFeat\",", "\"label\":\"DeFeat\",\"init_student\":1,",
          "/methods/1/init_student: expected true, false or the name" },
        { "\"label\":\"DeFeat\",", "\"label\":\"DeFeat\",\"init_student\":\"big\",",
          "/init_student: 'big', but the spec's teacher has no name" },
        { "\"name\":\"head_kl\"", "\"name\":\"head_kl\",\"teacher\":\"big\"",
          "/methods/1/distillers/1/teacher: has no effect without \"teachers\"" },
        { "\"label\":\"none\",", "\"label\":\"none\",\"init_student\":true,", "/methods/0/init_student: has no effect" },
        { "\"student\":{", "\"student\":{\"file\":\"none.safetensors\",", "none.safetensors" },
        { "\"teacher\":{", "\"teacher\":{\"schedule\":{\"optimiser\":\"adamw\",\"momentum\":0.5},", "momentum" },
    };
    struct df_error err = { 0 };
    struct df_spec *spec;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char *text = with(bad[i].from, bad[i].to);
        const df_status status = read_text(text, NULL, &spec, &err);

        if (status == DF_OK || spec || !strstr(err.text, bad[i].message) || !strstr(err.text, "spec.json"))
            fail_msg("case %zu (%s): status %d, message '%s', expected '%s'", i, bad[i].to, (int)status, err.text, bad[i].message);
        free(text);
    }
    assert_fails(read_text("{\"name\":", NULL, &spec, &err), DF_ERR_FORMAT, "spec.json");
}

static void overrides_replace_seeds_and_device(void **state)
{
    struct df_error err = { 0 };
    struct df_spec *spec;

    (void)state;
    assert_ok(read_text(GOOD, &(struct df_spec_overrides){ .seeds = "3", .device = "ref" }, &spec, &err));
    assert_int_equal(spec->seeds, 3);
    assert_int_equal(spec->cell[2]->seed, 2);
    assert_string_equal(spec->cell[2]->device, "ref");
    df_spec_free(spec);
    assert_ok(read_text(GOOD, &(struct df_spec_overrides){ .seeds = "7,2" }, &spec, &err));
    assert_int_equal(spec->seeds, 2);
    assert_int_equal(spec->cell[0]->seed, 7);
    df_spec_free(spec);
    assert_fails(read_text(GOOD, &(struct df_spec_overrides){ .data_path = "/elsewhere" }, &spec, &err), DF_ERR_USAGE,
                 "--data-path: has no effect");
    assert_fails(read_text(GOOD, &(struct df_spec_overrides){ .seeds = "x" }, &spec, &err), DF_ERR_USAGE, "--seeds 'x'");
    assert_fails(read_text(GOOD, &(struct df_spec_overrides){ .seeds = "1,,2" }, &spec, &err), DF_ERR_USAGE, "not an integer");
}

/* A control that trains longer: its epochs alone, and every epoch that is counted; other methods as they were. */
static void a_method_may_be_stretched(void **state)
{
    struct df_error err = { 0 };
    struct df_spec *spec, *plain;
    char *text = with("{\"label\":\"none\",\"distillers\":[]},", "{\"label\":\"none\"},{\"label\":\"longer\",\"stretch\":1.5},");

    (void)state;
    assert_ok(read_text(text, NULL, &spec, &err));
    assert_ok(read_text(GOOD, NULL, &plain, &err));
    assert_string_equal(spec->cell[2]->label, "longer");
    assert_close(spec->cell[2]->schedule.epochs, 18, 0, 0);
    assert_close(spec->cell[2]->schedule.decay_at.value[0], 12, 0, 0);
    assert_close(spec->cell[2]->schedule.decay_at.value[1], 16.5, 0, 0);
    assert_int_equal(spec->cell[2]->schedule.warmup_steps, spec->cell[0]->schedule.warmup_steps);
    assert_string_equal(spec->cell[0]->id, plain->cell[0]->id);
    assert_string_equal(spec->cell[4]->id, plain->cell[2]->id);
    assert_string_not_equal(spec->cell[2]->id, spec->cell[0]->id);
    df_spec_free(spec);
    df_spec_free(plain);
    free(text);
    text = with("{\"label\":\"none\",\"distillers\":[]},", "{\"label\":\"none\",\"stretch\":1000},");
    assert_fails(read_text(text, NULL, &spec, &err), DF_ERR_USAGE, "/methods/0/stretch: 1000 times 12 epochs (expected 0.01..100 times");
    free(text);
}

/* The control that is shipped computes what its distilled methods do, to a part in a thousand. */
static void the_shipped_stretch_is_the_counted_one(void **state)
{
    const struct df_cost_images images = { 96, 96, 8 };
    struct df_error err = { 0 };
    struct df_cost cost;
    struct df_spec *spec;

    (void)state;
    assert_ok(df_spec_read("ablations/specs/equal-compute.json", NULL, &spec, &err));
    const struct df_cell *plain = spec->cell[0], *longer = spec->cell[spec->seeds];
    const size_t train = df_data_images(plain->data, DF_TRAIN), batch = (size_t)plain->schedule.batch;

    for (size_t line = 2; line < spec->lines; line++) {
        assert_ok(df_cost_count(spec->cell[line * spec->seeds], images, false, &cost, &err));
        assert_close(longer->schedule.epochs / plain->schedule.epochs,
                     df_cost_stretch(&cost, batch, plain->schedule.epochs * (double)(train / batch), 2 * train), 1e-3, 0);
    }
    df_spec_free(spec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_method_may_be_stretched),
        cmocka_unit_test(the_shipped_stretch_is_the_counted_one),
        cmocka_unit_test(axes_multiply_and_seeds_are_innermost),
        cmocka_unit_test(axes_may_step_together),
        cmocka_unit_test(several_teachers_have_names),
        cmocka_unit_test(teachers_that_cannot_be),
        cmocka_unit_test(teachers_take_turns_by_the_seed),
        cmocka_unit_test(lessons_are_walked),
        cmocka_unit_test(variants_repeat_the_spec_with_their_members),
        cmocka_unit_test(the_identity_is_what_decides_the_numbers),
        cmocka_unit_test(bad_specs_are_told_where_and_why),
        cmocka_unit_test(overrides_replace_seeds_and_device),
        cmocka_unit_test(precision_is_a_gpus),
        cmocka_unit_test(precision_costs_nothing_on_paper),
        cmocka_unit_test(a_teacher_may_be_another_network),
        cmocka_unit_test(a_teacher_may_learn_other_data),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
