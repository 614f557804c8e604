/* Option tables: defaults, reading, every kind of refusal, what depends on what, and write -> read. */
#include "core/base/option.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/support.h"

struct options {
    double unlisted; /* not an option: reading must leave it alone */
    bool cache;
    int64_t jobs, any, either;
    double w_fg, limit;
    int norm, level;
    char path[DF_STRING_MAX];
    struct df_list stages, ratios;
};
static const df_option table[] = {
    { "cache", DF_BOOL_OPTION(struct options, cache), 1, 0, 1, "keep what the teacher says" },
    { "jobs", DF_INT_OPTION(struct options, jobs), 2, 1, 64, "processes" },
    { "any", DF_INT_OPTION(struct options, any), -3, 0, 0, "no limit" },
    { "w_fg", DF_REAL_OPTION(struct options, w_fg), 4, 0, 1e4, "weight of object regions" },
    { "limit", DF_REAL_OPTION(struct options, limit), 0.5, 0, (double)INFINITY, "GiB on disk", .when = "cache=1" },
    { "norm", DF_CHOICE_OPTION(struct options, norm), 1, 0, 2, "what the sum is divided by", .choices = "none|group|positives" },
    { "level", DF_CHOICE_OPTION(struct options, level), 0, 0, 1, "which levels", .choices = "one|all",
      .when = "norm=group|positives&jobs!=1" },
    { "path", DF_STRING_OPTION(struct options, path), .help = "folder", .text = "out", .when = "level=one" },
    { "stages", DF_INT_LIST_OPTION(struct options, stages), 0, 1, 9, "blocks per stage", .text = "2,3" },
    { "ratios", DF_REAL_LIST_OPTION(struct options, ratios), 0, 0, 10, "sizes", .text = "", .when = "stages=2,3" },
    { "either", DF_INT_OPTION(struct options, either), 1, 0, 9, "any of three", .when = "cache=0 or norm=none&jobs!=2|3 or ratios!=" },
    { 0 },
};

static df_status read_text(const char *text, struct options *options, struct df_error *err)
{
    static const char *const others[] = { "name", NULL };
    cJSON *object = NULL;
    df_status status = df_json_parse(text, strlen(text), "t", &object, err);

    if (status == DF_OK)
        status = df_options_read(table, object, others, "t.json: /distillers/0", options, err);
    cJSON_Delete(object);
    return status;
}

static void defaults_fill_everything(void **state)
{
    struct options o = { .unlisted = 7 };

    (void)state;
    df_options_standard(table, &o);
    assert_true(o.unlisted == 7 && o.cache && o.jobs == 2 && o.any == -3 && o.w_fg == 4 && o.limit == 0.5 && o.norm == 1 && o.level == 0);
    assert_string_equal(o.path, "out");
    assert_true(o.stages.count == 2 && o.stages.value[0] == 2 && o.stages.value[1] == 3 && o.ratios.count == 0);
}

static void members_are_read_over_the_defaults(void **state)
{
    struct options o = { .unlisted = 7, .jobs = 99 };
    struct df_error err;

    (void)state;
    assert_ok(read_text("{\"name\":\"x\",\"cache\":0,\"any\":-9007199254740992,\"w_fg\":1e4,\"norm\":\"positives\",\"path\":\"a b\","
                        "\"stages\":[9,1,4],\"level\":\"one\"}",
                        &o, &err));
    assert_true(o.unlisted == 7 && !o.cache && o.jobs == 2 && o.any == -9007199254740992 && o.w_fg == 1e4 && o.norm == 2 && o.level == 0);
    assert_string_equal(o.path, "a b");
    assert_true(o.stages.count == 3 && o.stages.value[0] == 9 && o.stages.value[2] == 4);
    assert_ok(read_text("{\"stages\":5}", &o, &err)); /* one number alone is a list of one */
    assert_true(o.stages.count == 1 && o.stages.value[0] == 5);
    assert_ok(df_options_read(table, NULL, NULL, "t", &o, &err));
    assert_true(o.stages.count == 2 && o.norm == 1);
}

/* One alternative of three is enough, wherever it stands. */
static void alternatives(void **state)
{
    static const char *const legal[] = { "{\"cache\":false,\"either\":2}", "{\"norm\":\"none\",\"jobs\":4,\"either\":2}",
                                         "{\"ratios\":[1],\"either\":2}" };
    struct options o = { 0 };
    struct df_error err;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        o.either = 0;
        assert_ok(read_text(legal[i], &o, &err));
        assert_int_equal(o.either, 2);
    }
}

static void what_is_off_is_said_and_changes_nothing(void **state)
{
    static const char *const cases[][2] = {
        { "{\"jobs\":0}", "t.json: /distillers/0/jobs: found 0, expected an integer in 1..64" },
        { "{\"jobs\":65}", "found 65, expected an integer in 1..64" },
        { "{\"jobs\":2.5}", "found 2.5, expected an integer in 1..64" },
        { "{\"jobs\":\"2\"}", "found \"2\", expected an integer in 1..64" },
        { "{\"any\":1e300}", "found 1e+300, expected an integer" },
        { "{\"w_fg\":-1}", "/w_fg: found -1, expected a number in 0..10000" },
        { "{\"w_fg\":true}", "/w_fg: found true, expected a number" },
        { "{\"limit\":-0.5}", "/limit: found -0.5, expected a number in 0.." },
        { "{\"cache\":2}", "/cache: found 2, expected true or false" },
        { "{\"cache\":\"on\"}", "/cache: found \"on\", expected true or false" },
        { "{\"norm\":\"grup\"}", "/norm: found \"grup\", expected one of none|group|positives" },
        { "{\"norm\":\"none|group\"}", "expected one of none|group|positives" },
        { "{\"norm\":1}", "/norm: found 1, expected one of" },
        { "{\"path\":null}", "/path: found null, expected a text" },
        { "{\"stages\":[1,10]}", "/stages: found [1,10], expected a list of integers (at most 32) in 1..9" },
        { "{\"stages\":[1.5]}", "/stages: found [1.5], expected a list of integers" },
        { "{\"stages\":[]}", "/stages: found [], expected a list of integers" },
        { "{\"stages\":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}", "at most 32" },
        { "{\"ratios\":[\"a\"]}", "/ratios: found [\"a\"], expected a list of numbers" },
        { "{\"w_gf\":1}", "t.json: /distillers/0/w_gf: unknown option 'w_gf' (did you mean 'w_fg'? known here: name, cache, jobs" },
        { "{\"nmae\":1}", "did you mean 'name'?" },
        { "{\"zzzzzz\":1}", "unknown option 'zzzzzz' (known here: name, cache" },
        { "{\"cache\":false,\"limit\":1}",
          "t.json: /distillers/0/limit: option 'limit' has no effect here: it is read only when cache is true (" },
        { "{\"limit\":1,\"cache\":false}", "/limit: option 'limit' has no effect" },
        { "{\"norm\":\"none\",\"level\":\"all\"}",
          "/level: option 'level' has no effect here: it is read only when norm is group or positives and jobs is not 1 (" },
        { "{\"jobs\":1,\"level\":\"all\"}", "/level: option 'level' has no effect" },
        { "{\"jobs\":1,\"path\":\"x\"}", "/path: option 'path' has no effect" }, /* level is 'one', but has no effect itself */
        { "{\"stages\":[3,2],\"ratios\":[1]}", "/ratios: option 'ratios' has no effect" },
        { "{\"either\":2}", "option 'either' has no effect here: it is read only when cache is false, or norm is none and "
                            "jobs is not 2 nor 3, or ratios is not empty (" },
        { "{\"norm\":\"none\",\"either\":2}", "/either: option 'either' has no effect" },
        { "{\"norm\":\"none\",\"jobs\":3,\"either\":2}", "/either: option 'either' has no effect" },
        { "{\"jobs\":4,\"either\":2}", "/either: option 'either' has no effect" },
    };
    struct options before, o;
    struct df_error err;

    (void)state;
    memset(&before, 0, sizeof before);
    before.jobs = 33;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        memcpy(&o, &before, sizeof o);
        assert_fails(read_text(cases[i][0], &o, &err), DF_ERR_USAGE, cases[i][1]);
        assert_memory_equal(&o, &before, sizeof o);
    }
    cJSON *list = cJSON_CreateArray();

    assert_fails(df_options_read(table, list, NULL, "t.json: /x", &o, &err), DF_ERR_USAGE, "t.json: /x: expected an object");
    cJSON_Delete(list);
}

static void a_weight_of_zero_is_not_without_effect(void **state)
{
    struct options o;
    struct df_error err;

    (void)state;
    assert_ok(read_text("{\"w_fg\":0,\"limit\":0.25,\"ratios\":[0.5]}", &o, &err));
    assert_true(o.w_fg == 0 && o.limit == 0.25 && o.ratios.count == 1);
}

static void text_sets_one_option(void **state)
{
    static const char *const bools[][2] = { { "true", "1" }, { "on", "1" }, { "yes", "1" }, { "1", "1" },
                                            { "false", "" }, { "off", "" }, { "no", "" },   { "0", "" } };
    static const char *const bad[][3] = {
        { "cache", "maybe", "cli: cache: found 'maybe', expected true or false" },
        { "cache", "", "expected true or false" },
        { "jobs", "x", "cli: jobs: found 'x', expected an integer in 1..64" },
        { "jobs", "65", "in 1..64" },
        { "w_fg", "1,5", "expected a number" },
        { "w_fg", "nan", "expected a number" },
        { "norm", "", "expected one of none|group|positives" },
        { "stages", "1,,2", "expected a list of integers" },
        { "stages", "1,2,", "expected a list of integers" },
        { "stages", "", "expected a list of integers" },
        { "w_bg", "1", "cli: unknown option 'w_bg' (did you mean 'w_fg'?" },
    };
    struct options o;
    struct df_error err;
    char long_text[DF_STRING_MAX + 1];

    (void)state;
    df_options_standard(table, &o);
    for (size_t i = 0; i < 8; i++) {
        assert_ok(df_options_set(table, "cache", bools[i][0], "cli", &o, &err));
        assert_int_equal(o.cache, bools[i][1][0] != 0);
    }
    assert_ok(df_options_set(table, "any", "9223372036854775807", "cli", &o, &err));
    assert_true(o.any == INT64_MAX);
    assert_ok(df_options_set(table, "w_fg", "2.5", "cli", &o, &err));
    assert_ok(df_options_set(table, "norm", "none", "cli", &o, &err));
    assert_ok(df_options_set(table, "stages", "7,8,9", "cli", &o, &err));
    assert_ok(df_options_set(table, "ratios", "", "cli", &o, &err)); /* its default is empty */
    assert_true(o.w_fg == 2.5 && o.norm == 0 && o.stages.count == 3 && o.stages.value[1] == 8 && o.ratios.count == 0 && o.jobs == 2);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_fails(df_options_set(table, bad[i][0], bad[i][1], "cli", &o, &err), DF_ERR_USAGE, bad[i][2]);
    assert_true(o.w_fg == 2.5 && o.norm == 0 && o.stages.count == 3 && o.jobs == 2);
    memset(long_text, 'x', sizeof long_text);
    long_text[DF_STRING_MAX] = 0;
    assert_fails(df_options_set(table, "path", long_text, "cli", &o, &err), DF_ERR_USAGE, "a text of at most 511 bytes");
    long_text[DF_STRING_MAX - 1] = 0;
    assert_ok(df_options_set(table, "path", long_text, "cli", &o, &err));
    assert_int_equal(strlen(o.path), 511);
}

static void check_knows_what_was_set(void **state)
{
    static const char *const limit[] = { "jobs", "limit", NULL }, *const unknown[] = { "nothing", NULL };
    struct options o;
    struct df_error err;

    (void)state;
    df_options_standard(table, &o);
    assert_ok(df_options_check(table, &o, limit, "cli", &err));
    o.cache = false;
    assert_fails(df_options_check(table, &o, limit, "cli", &err), DF_ERR_USAGE, "cli: option 'limit' has no effect here");
    assert_fails(df_options_check(table, &o, unknown, "cli", &err), DF_ERR_USAGE, "unknown option 'nothing'");
}

static void written_reads_back(void **state)
{
    static const char *const cases[] = { "{}", "{\"cache\":false,\"jobs\":1,\"any\":12345678901,\"w_fg\":0.1}",
                                         "{\"norm\":\"none\",\"stages\":[1,2,3,4],\"w_fg\":3.3333333333333335}",
                                         "{\"level\":\"all\",\"ratios\":[0.1,0.7,1e-05],\"limit\":1e300}", "{\"path\":\"q\\\"uote\\\\\"}" };
    struct df_error err;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct options first, second;
        struct df_text text = DF_TEXT_INIT, again = DF_TEXT_INIT;
        cJSON *object;

        assert_ok(read_text(cases[i], &first, &err));
        object = df_options_write(table, &first);
        df_json_canonical(object, &text);
        cJSON_Delete(object);
        assert_ok(read_text(text.data, &second, &err)); /* nothing without effect was written */
        object = df_options_write(table, &second);
        df_json_canonical(object, &again);
        cJSON_Delete(object);
        assert_string_equal(again.data, text.data);
        assert_true(first.w_fg == second.w_fg && first.any == second.any && first.stages.count == second.stages.count);
        df_text_release(&text);
        df_text_release(&again);
    }
}

static void the_canonical_form_has_what_has_an_effect(void **state)
{
    struct options o;
    struct df_text text = DF_TEXT_INIT;
    cJSON *object;

    (void)state;
    df_options_standard(table, &o);
    o.cache = false; /* limit is not read */
    o.level = 1;     /* path is not read */
    object = df_options_write(table, &o);
    df_json_canonical(object, &text);
    assert_string_equal(text.data,
                        "{\"cache\":false,\"jobs\":2,\"any\":-3,\"w_fg\":4,\"norm\":\"group\",\"level\":\"all\",\"stages\":[2,3],"
                        "\"ratios\":[],\"either\":1}");
    cJSON_Delete(object);
    df_text_release(&text);
}

/* A row that came later is left out at the value that changes nothing, whatever its default is; what was asked for is what is no default. */
static void a_later_option_is_left_out_of_the_identity(void **state)
{
    static const df_option later[] = {
        { "jobs", DF_INT_OPTION(struct options, jobs), 2, 1, 64, "processes" },
        { "any", DF_INT_OPTION(struct options, any), 7, 0, 0, "came later", .absent = "-3" },
        { "norm", DF_CHOICE_OPTION(struct options, norm), 0, 0, 2, "came later", .choices = "none|group|positives", .absent = "none" },
        { "stages", DF_INT_LIST_OPTION(struct options, stages), 0, 1, 9, "came later", .text = "", .absent = "",
          .when = "norm!=positives" },
        { "path", DF_STRING_OPTION(struct options, path), .help = "came later", .text = "out", .absent = "out" },
        { 0 },
    };
    static const struct {
        int64_t any;
        int norm;
        const char *identity, *asked, *written;
    } cases[] = {
        { 7, 0, "{\"jobs\":2,\"any\":7}", "{}", "{\"jobs\":2,\"any\":7,\"norm\":\"none\",\"stages\":[],\"path\":\"out\"}" },
        { -3, 2, "{\"jobs\":2,\"norm\":\"positives\"}", "{\"any\":-3,\"norm\":\"positives\"}",
          "{\"jobs\":2,\"any\":-3,\"norm\":\"positives\",\"path\":\"out\"}" },
    };
    cJSON *(*const write[])(const df_option *, const void *) = { df_options_identity, df_options_asked, df_options_write };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *const expected[] = { cases[i].identity, cases[i].asked, cases[i].written };
        struct options o = { 0 };

        df_options_standard(later, &o);
        o.any = cases[i].any;
        o.norm = cases[i].norm;
        for (size_t k = 0; k < 3; k++) {
            struct df_text text = DF_TEXT_INIT;
            cJSON *object = write[k](later, &o);

            df_json_canonical(object, &text);
            assert_string_equal(text.data, expected[k]);
            cJSON_Delete(object);
            df_text_release(&text);
        }
    }
    for (const df_option *row = later; row->name; row++)
        assert_true(df_option_absent_is_legal(row));
    assert_false(df_option_absent_is_legal(&(df_option){ "jobs", DF_INT_OPTION(struct options, jobs), 2, 1, 64, "", .absent = "65" }));
    assert_false(df_option_absent_is_legal(&(df_option){ "jobs", DF_INT_OPTION(struct options, jobs), 2, 1, 64, "", .absent = "x" }));
}

static void help_shows_name_default_range_text_and_condition(void **state)
{
    struct df_text text = DF_TEXT_INIT;

    (void)state;
    df_options_help(table, &text);
    assert_non_null(strstr(text.data, "\n  jobs    2      integer 1..64         processes\n"));
    assert_non_null(strstr(text.data, "\n  norm    group  none|group|positives  what the sum is divided by\n"));
    assert_non_null(strstr(text.data, "\n  limit   0.5    number 0..            GiB on disk (when cache is true)\n"));
    assert_non_null(strstr(text.data, "\n  stages  2,3    integers 1..9         blocks per stage\n"));
    assert_non_null(strstr(text.data, "\n  ratios  none   numbers 0..10 "));
    assert_memory_equal(text.data, "  cache   true   true|false ", 28);
    df_text_clear(&text);
    df_options_markdown(table, &text);
    assert_non_null(strstr(text.data, "| `norm` | group | none\\|group\\|positives | what the sum is divided by |\n"));
    assert_non_null(strstr(text.data, "| `limit` | 0.5 | number 0.. | GiB on disk (when cache is true) |\n"));
    df_text_release(&text);
}

struct made {
    bool flag;
    int64_t count;
    int kind;
    struct df_list list;
};

/* One row that is wrong beside good ones: each must be told, and nothing may abort. */
static void a_table_is_checked_whole(void **state)
{
#define ROW(name_, ...)                                                                                                                    \
    {                                                                                                                                      \
        .name = name_, .help = "h", __VA_ARGS__                                                                                            \
    }
#define INT  .type = DF_OPTION_INT, .offset = offsetof(struct made, count)
#define KIND .type = DF_OPTION_CHOICE, .offset = offsetof(struct made, kind)
#define LIST .type = DF_OPTION_INT_LIST, .offset = offsetof(struct made, list)
#define FLAG .type = DF_OPTION_BOOL, .offset = offsetof(struct made, flag)
    static const struct {
        df_option row;
        const char *told; /* NULL: legal */
    } cases[] = {
        { ROW("n", INT, .standard = 2, .min = 1, .max = 3), NULL },
        { ROW("n", INT, .when = "kind=a|b&flag=0 or count!=4"), NULL },
        { ROW("n", LIST, .text = "1,2", .max = 9), NULL },
        { ROW("N", INT), "option 3 lacks a plain name" },
        { { .name = "n", INT }, "option 'n': it lacks a help text" },
        { ROW("n", .type = (enum df_option_type)99), "its type is none of a spec's" },
        { ROW("n", .type = DF_OPTION_TEXTS), "its type is none of a spec's" },
        { ROW("n", .type = DF_OPTION_INT, .offset = sizeof(struct made)), "outside of options_size" },
        { ROW("n", .type = DF_OPTION_INT, .offset = (size_t)-8), "outside of options_size" },
        { ROW("n", INT, .standard = 9, .max = 3), "its default is outside of its range" },
        { ROW("n", INT, .standard = 0.5, .max = 3), "its default is outside of its range" },
        { ROW("n", FLAG, .standard = 2), "its default is outside of its range" },
        { ROW("n", KIND), "its choices are not of the form" },
        { ROW("n", KIND, .choices = ""), "its choices are not of the form" },
        { ROW("n", KIND, .choices = "a||b"), "its choices are not of the form" },
        { ROW("n", KIND, .choices = "a|b|a"), "its choices are not of the form" },
        { ROW("n", KIND, .choices = "a|b", .standard = 2), "its default is outside of its range" },
        { ROW("n", KIND, .choices = "a|b", .standard = -1), "its default is outside of its range" },
        { ROW("n", LIST, .text = "1,x"), "its default is outside of its range" },
        { ROW("n", LIST, .text = "1,20", .min = 1, .max = 9), "its default is outside of its range" },
        { ROW("n", INT, .absent = "x"), "its 'absent' is none of its values" },
        { ROW("kind", INT), "two options have the same name" },
        { ROW("n", INT, .when = ""), "its 'when' is empty" },
        { ROW("n", INT, .when = "kind"), "its 'when' is not of the form" },
        { ROW("n", INT, .when = "nobody=1"), "asks for an option that the table does not have" },
        { ROW("n", INT, .when = "kind=c"), "asks for a value that the other option cannot have" },
        { ROW("n", INT, .when = "flag=true"), "asks for a value that the other option cannot have" },
        { ROW("n", INT, .when = "count=4.0"), "asks for a value that the other option cannot have" },
        { ROW("n", INT, .when = "kind=a&"), "ends in the middle" },
        { ROW("n", INT, .when = "n=1"), "leads in a circle" },
    };
    struct df_error err;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const df_option made[] = { ROW("flag", FLAG), ROW("count", INT), ROW("kind", KIND, .choices = "a|b"), cases[i].row, { 0 } };

        if (cases[i].told)
            assert_fails(df_options_legal(made, sizeof(struct made), &err), DF_ERR_FORMAT, cases[i].told);
        else
            assert_ok(df_options_legal(made, sizeof(struct made), &err));
    }
    assert_ok(df_options_legal(table, sizeof(struct options), &err));
}

static void texts_grow_with_every_use(void **state)
{
    static const df_option texts_table[] = { { "set", DF_TEXTS_OPTION(struct df_texts, count), .help = "h" }, { 0 } };
    struct df_texts texts = { .count = 9 };
    struct df_error err = { 0 };

    (void)state;
    df_options_standard(texts_table, &texts);
    assert_int_equal(texts.count, 0);
    assert_ok(df_options_set(texts_table, "set", "a=1", "t", &texts, &err));
    assert_ok(df_options_set(texts_table, "set", "b=2", "t", &texts, &err));
    assert_true(texts.count == 2 && strcmp(texts.text[0], "a=1") == 0 && strcmp(texts.text[1], "b=2") == 0);
    for (size_t i = texts.count; i < DF_TEXTS_MAX; i++)
        assert_ok(df_options_set(texts_table, "set", "c", "t", &texts, &err));
    assert_fails(df_options_set(texts_table, "set", "d", "t", &texts, &err), DF_ERR_USAGE, "t: set: found 'd'");
    assert_int_equal(texts.count, DF_TEXTS_MAX);
}

/* What an identity leaves out is read back as what it was, not as what it is by default now. */
static void an_identity_is_restored(void **state)
{
    static const df_option later[] = { { "count", DF_INT_OPTION(struct made, count), .standard = 5, .max = 9, .help = "h", .absent = "2" },
                                       { "flag", DF_BOOL_OPTION(struct made, flag), .standard = 1, .help = "h" },
                                       { 0 } };
    struct made made = { .count = 2, .flag = true }, restored;
    struct df_error err = { 0 };
    cJSON *identity = df_options_identity(later, &made);

    (void)state;
    assert_null(cJSON_GetObjectItem(identity, "count"));
    assert_ok(df_options_restore(later, identity, NULL, "t", &restored, &err));
    assert_true(restored.count == 2 && restored.flag);
    assert_ok(df_options_read(later, identity, NULL, "t", &restored, &err));
    assert_int_equal(restored.count, 5);
    cJSON_Delete(identity);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_fill_everything),
        cmocka_unit_test(members_are_read_over_the_defaults),
        cmocka_unit_test(alternatives),
        cmocka_unit_test(what_is_off_is_said_and_changes_nothing),
        cmocka_unit_test(a_weight_of_zero_is_not_without_effect),
        cmocka_unit_test(text_sets_one_option),
        cmocka_unit_test(check_knows_what_was_set),
        cmocka_unit_test(written_reads_back),
        cmocka_unit_test(the_canonical_form_has_what_has_an_effect),
        cmocka_unit_test(a_later_option_is_left_out_of_the_identity),
        cmocka_unit_test(help_shows_name_default_range_text_and_condition),
        cmocka_unit_test(a_table_is_checked_whole),
        cmocka_unit_test(texts_grow_with_every_use),
        cmocka_unit_test(an_identity_is_restored),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
