/* A row and its JSON: what is written is read, to the last bit; what is damaged is named. */
#include "results/run_row.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/support.h"

#define CELL "{\"w\":1,\"name\":\"a\\\"b\",\"x\":[0.1,1e-05]}"

static struct df_error err;
static struct df_arena memory;

/* Every column has its own value. */
static struct df_run_row row_of(void)
{
    struct df_run_row row = { .semantics = 3,
                              .run = "0123456789abcdef",
                              .spec = "small",
                              .label = "a \"b\", c\nd ",
                              .axes = " w=1,2",
                              .cell = CELL,
                              .seed = 9007199254740991,
                              .status = "ok",
                              .train_seconds = 1.5,
                              .eval_seconds = NAN,
                              .images_per_second = 1e3 / 3,
                              .peak_anonymous_bytes = 1 << 20,
                              .revision = "abc-dirty",
                              .device = "cpu",
                              .environment = "{\"isa\":\"avx2\"}",
                              .started = "2026-01-31T23:59:59Z",
                              .finished = "2026-02-01T00:00:09Z" };

    for (int i = 0; i < 5; i++) {
        df_scores_add(&row.scores, &memory, (struct df_score){ i < 3 ? "AP" : "TIDE", i % 3 ? "a;b=c" : "", i == 4 ? NAN : 1.0 / (i + 3) });
        df_curve_add(&row.curve, &memory,
                     (struct df_curve_point){ 100 * i, i / 3.0, "tune", i % 2 ? "AP" : "loss", i == 1 ? NAN : 2.0 / 3 });
    }
    return row;
}

static bool same_real(double a, double b) { return a == b || (isnan(a) && isnan(b)); }

static df_status parse(const char *text, struct df_run_row *out)
{
    return df_run_row_parse(text, strlen(text), "row.json", &memory, out, &err);
}

static void written_is_read(void **state)
{
    const struct df_run_row want = row_of();
    struct df_text text = DF_TEXT_INIT, again = DF_TEXT_INIT;
    struct df_run_row got;

    (void)state;
    df_run_row_json(&want, &text);
    assert_non_null(strstr(text.data, "\"cell\":" CELL ",")); /* JSON in JSON */
    assert_ok(parse(text.data, &got));
    for (const struct df_run_column *column = df_run_columns; column->name; column++) {
        struct df_text a = DF_TEXT_INIT, b = DF_TEXT_INIT;

        df_csv_add_column(&a, &want, column, true);
        df_csv_add_column(&b, &got, column, true);
        assert_string_equal(df_text_get(&a), df_text_get(&b));
        df_text_release(&a);
        df_text_release(&b);
    }
    assert_string_equal(got.cell, CELL);
    assert_int_equal(got.seed, 9007199254740991);
    assert_int_equal(got.scores.count, 5);
    assert_int_equal(got.curve.count, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_string_equal(got.scores.score[i].class, want.scores.score[i].class);
        assert_true(same_real(got.scores.score[i].value, want.scores.score[i].value));
        assert_string_equal(got.curve.point[i].metric, want.curve.point[i].metric);
        assert_true(got.curve.point[i].step == want.curve.point[i].step && got.curve.point[i].epoch == want.curve.point[i].epoch);
        assert_true(same_real(got.curve.point[i].value, want.curve.point[i].value));
    }
    assert_true(df_run_row_score(&got, "AP", "a;b=c") == 0.25 && df_run_row_score(&got, "TIDE", "") == 1.0 / 6);
    assert_true(isnan(df_run_row_score(&got, "AP", "c")) && isnan(df_run_row_score(&got, "mAP", "")));
    df_run_row_json(&got, &again);
    assert_string_equal(text.data, again.data);
    df_text_release(&text);
    df_text_release(&again);
}

/* A cell that is no JSON as we write it keeps its very text: its hash is the run's id. */
static void a_cell_is_kept_as_it_is(void **state)
{
    static const char *const cells[] = { "", "x", "{\"a\":1.0}", "{ \"a\": 1 }", "[1]", "{\"a\":1}" };

    (void)state;
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++) {
        struct df_run_row row = row_of(), got;
        struct df_text text = DF_TEXT_INIT;

        row.cell = cells[i];
        df_run_row_json(&row, &text);
        assert_ok(parse(text.data, &got));
        assert_string_equal(got.cell, cells[i]);
        df_text_release(&text);
    }
}

/* What a later version adds is no matter, nor what this one has added. */
static void members_come_and_go(void **state)
{
    struct df_run_row got;

    (void)state;
    assert_ok(parse("{\"schema\":3,\"run\":\"1\",\"news\":{},\"scores\":[[\"LRP\",\"\",null]],\"curve\":[]}", &got));
    assert_string_equal(got.run, "1");
    assert_string_equal(got.revision, "");
    assert_true(isnan(got.train_seconds) && got.seed == 0 && isnan(got.scores.score[0].value));
}

static void damage_is_named(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        { "", "row.json" },
        { "[]", "expected an object" },
        { "{\"schema\":3,\"scores\":[],\"curve\":[", "row.json" },
        { "{\"run\":\"1\"}", "schema" },
        { "{\"schema\":3,\"run\":1,\"scores\":[],\"curve\":[]}", "/run: found 1, expected a string" },
        { "{\"schema\":3,\"seed\":0.5,\"scores\":[],\"curve\":[]}", "/seed: found 0.5, expected an integer" },
        { "{\"schema\":3,\"seed\":\"1\",\"scores\":[],\"curve\":[]}", "/seed: found \"1\", expected an integer" },
        { "{\"schema\":3,\"eval_seconds\":\"\",\"scores\":[],\"curve\":[]}", "/eval_seconds: found \"\", expected a number or null" },
        { "{\"schema\":3,\"cell\":[],\"scores\":[],\"curve\":[]}", "/cell: found [], expected an object" },
        { "{\"schema\":3,\"curve\":[]}", "scores" },
        { "{\"schema\":3,\"scores\":[[\"AP\",\"\"]],\"curve\":[]}", "/scores/0: found [\"AP\",\"\"]" },
        { "{\"schema\":3,\"scores\":[[\"AP\",\"\",1],[\"AP\",\"\",1,2]],\"curve\":[]}", "/scores/1: found [\"AP\",\"\",1,2]" },
        { "{\"schema\":3,\"scores\":[],\"curve\":[[1,2,\"tune\",\"AP\",\"x\"]]}", "/curve/0: found [1,2,\"tune\",\"AP\",\"x\"]" },
        { "{\"schema\":3,\"scores\":[],\"curve\":[[null,2,\"tune\",\"AP\",1]]}", "/curve/0" },
    };
    struct df_run_row got;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_not_equal(parse(cases[i].text, &got), DF_OK);
        if (!strstr(err.text, cases[i].says) || strncmp(err.text, "row.json", 8) != 0)
            fail_msg("found '%s', expected '%s'", err.text, cases[i].says);
    }
    assert_fails(parse("{\"schema\":4,\"scores\":[],\"curve\":[]}", &got), DF_ERR_STALE, "found 4, expected 3");
}

/* Every prefix of a row is a torn one. */
static void torn_at_every_byte(void **state)
{
    const struct df_run_row row = row_of();
    struct df_text text = DF_TEXT_INIT;
    struct df_run_row got;

    (void)state;
    df_run_row_json(&row, &text);
    for (size_t n = 0; n + 1 < text.length; n++) /* but for the line end, which is no matter */
        assert_int_not_equal(df_run_row_parse(text.data, n, "row.json", &memory, &got, &err), DF_OK);
    df_text_release(&text);
}

static void only_what_is_deterministic_counts(void **state)
{
    struct df_run_row a = row_of(), b = row_of();
    struct df_text one = DF_TEXT_INIT, other = DF_TEXT_INIT;

    (void)state;
    b.train_seconds = 99;
    b.revision = "other";
    b.environment = "{}";
    b.peak_anonymous_bytes = 1;
    b.started = b.finished = "";
    df_run_row_deterministic(&a, &one);
    df_run_row_deterministic(&b, &other);
    assert_string_equal(one.data, other.data);
    b.scores.score[1].value = nextafter(b.scores.score[1].value, 1);
    df_text_clear(&other);
    df_run_row_deterministic(&b, &other);
    assert_string_not_equal(one.data, other.data);
    b = row_of();
    b.curve.point[3].value = nextafter(b.curve.point[3].value, 1);
    df_text_clear(&other);
    df_run_row_deterministic(&b, &other);
    assert_string_not_equal(one.data, other.data);
    df_text_release(&one);
    df_text_release(&other);
}

static int open_memory(void **state)
{
    (void)state;
    df_arena_init(&memory, NULL, 4096);
    return 0;
}

static int release_memory(void **state)
{
    (void)state;
    df_arena_release(&memory);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_is_read), cmocka_unit_test(a_cell_is_kept_as_it_is), cmocka_unit_test(members_come_and_go),
        cmocka_unit_test(damage_is_named), cmocka_unit_test(torn_at_every_byte),      cmocka_unit_test(only_what_is_deterministic_counts),
    };

    return cmocka_run_group_tests(tests, open_memory, release_memory);
}
