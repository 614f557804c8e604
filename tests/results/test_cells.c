/* Cells of two versions: what supersedes what, and which old row answers what a spec asks for. Made-up cells. */
#include "results/cells.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/support.h"

#define HEAD "{\"semantics\":2,\"role\":\"student\",\"data\":{\"kind\":\"coco\""
#define TAIL "\"seed\":0,\"device\":\"cpu\"}"

static const char cell[] =
    HEAD ",\"train\":\"t\"},\"canvas\":{\"divisor\":32},\"data_hash\":\"d1\",\"detector\":{\"kind\":\"retinanet\",\"prior\":1},"
         "\"teacher\":\"t1\",\"distillers\":[{\"name\":\"defeat\",\"w\":4},{\"name\":\"head_kl\"}]," TAIL;

/* `cell` with pieces of its text replaced; the caller's until the next call. */
static const char *with(const char *const *pieces /* from, to, ..., NULL */)
{
    static struct df_text text[2];
    static int next;
    struct df_text *out = &text[next++ % 2];

    df_text_clear(out);
    df_text_add(out, cell);
    for (; *pieces; pieces += 2) {
        char *at = strstr(out->data, pieces[0]), *rest = df_strdup(at + strlen(pieces[0]));

        out->length = (size_t)(at - out->data);
        out->data[out->length] = 0;
        df_text_add(out, pieces[1]);
        df_text_add(out, rest);
        free(rest);
    }
    return out->data;
}
#define WITH(...) with((const char *const[]){ __VA_ARGS__, NULL })

#define DATA_2       "\"kind\":\"coco\"", "\"kind\":\"coco\",\"revision\":2"
#define DETECTOR_2   "\"retinanet\"", "\"retinanet\",\"revision\":2"
#define DEFEAT_2     "\"defeat\"", "\"defeat\",\"revision\":2"
#define DEFEAT_3     "\"defeat\"", "\"defeat\",\"revision\":3"
#define HEAD_2       "\"head_kl\"", "\"head_kl\",\"revision\":2"
#define OTHER_DATA   "\"d1\"", "\"d2\""
#define OTHER_TAUGHT "\"t1\"", "\"t2\""

static void a_lower_revision_is_superseded(void **state)
{
    (void)state;
    assert_true(df_cell_is_superseded(cell, WITH(DEFEAT_2)));
    assert_true(df_cell_is_superseded(WITH(DEFEAT_2), WITH(DEFEAT_3)));
    assert_true(df_cell_is_superseded(cell, WITH(HEAD_2)));
    assert_true(df_cell_is_superseded(WITH(HEAD_2), WITH(DEFEAT_2, HEAD_2)));
    assert_true(df_cell_is_superseded(cell, WITH(DETECTOR_2)));
    assert_true(df_cell_is_superseded(cell, WITH(DETECTOR_2, OTHER_TAUGHT))); /* its teacher is of the new detector */
    assert_true(df_cell_is_superseded(cell, WITH(DATA_2, OTHER_TAUGHT, OTHER_DATA)));
}

static void nothing_else_is(void **state)
{
    (void)state;
    assert_false(df_cell_is_superseded(cell, cell));
    assert_false(df_cell_is_superseded(WITH(DEFEAT_2), cell)); /* of a newer version: not stale, unknown */
    assert_false(df_cell_is_superseded(WITH(HEAD_2), WITH(DEFEAT_2)));
    assert_false(df_cell_is_superseded(cell, WITH(DEFEAT_2, "\"w\":4", "\"w\":5")));
    assert_false(df_cell_is_superseded(cell, WITH(DEFEAT_2, OTHER_TAUGHT))); /* another recipe */
    assert_false(df_cell_is_superseded(cell, WITH(DEFEAT_2, OTHER_DATA)));
    assert_false(df_cell_is_superseded(cell, WITH(OTHER_TAUGHT)));
    assert_false(df_cell_is_superseded(cell, WITH(DEFEAT_2, "\"seed\":0", "\"seed\":1")));
    assert_false(df_cell_is_superseded(cell, WITH(DEFEAT_2, "\"semantics\":2", "\"semantics\":3")));
    assert_false(df_cell_is_superseded(cell, WITH(DEFEAT_2, ",{\"name\":\"head_kl\"}", "")));
    assert_false(df_cell_is_superseded("{}", cell));
    assert_false(df_cell_is_superseded("no cell", cell));
    assert_false(df_cell_is_superseded("", cell));
}

/* Several teachers are named each by its own hash; a distiller's "teacher" is no hash. */
static void of_several_teachers(void **state)
{
    static const char *const several = "\"teachers\":{\"a\":{\"teacher\":\"t1\"},\"b\":{\"teacher\":\"t2\",\"teacher_classes\":3}}";
    static const char *const others = "\"teachers\":{\"a\":{\"teacher\":\"t8\"},\"b\":{\"teacher\":\"t9\",\"teacher_classes\":3}}";
    static const char *const classes = "\"teachers\":{\"a\":{\"teacher\":\"t8\"},\"b\":{\"teacher\":\"t9\",\"teacher_classes\":4}}";
    static const char *const by = "\"name\":\"head_kl\",\"teacher\":\"a\"";
    char *old = df_strdup(WITH("\"teacher\":\"t1\"", several, "\"name\":\"head_kl\"", by));
    cJSON *asked = cJSON_Parse("{\"distillers\":[{\"name\":\"defeat\"},{\"name\":\"head_kl\",\"teacher\":\"a\"}]}");

    (void)state;
    assert_true(df_cell_is_superseded(old, WITH("\"teacher\":\"t1\"", others, "\"name\":\"head_kl\"", by, DETECTOR_2)));
    assert_false(df_cell_is_superseded(old, WITH("\"teacher\":\"t1\"", classes, "\"name\":\"head_kl\"", by, DETECTOR_2)));
    assert_false(df_cell_is_superseded(old, WITH("\"teacher\":\"t1\"", others, "\"name\":\"head_kl\"", by, DEFEAT_2)));
    assert_true(df_cell_answers(old, asked));
    cJSON_ReplaceItemInObjectCaseSensitive(cJSON_GetObjectItemCaseSensitive(asked, "distillers")->child->next, "teacher",
                                           cJSON_CreateString("b"));
    assert_false(df_cell_answers(old, asked));
    cJSON_Delete(asked);
    free(old);
}

static bool answers(const char *older, const char *asked)
{
    cJSON *object = cJSON_Parse(asked);
    const bool yes = df_cell_answers(older, object);

    assert_non_null(object);
    cJSON_Delete(object);
    return yes;
}

static void an_old_row_answers_what_both_know(void **state)
{
    static const struct {
        const char *asked;
        bool yes;
    } cases[] = {
        { "{}", true },
        { "{\"seed\":0,\"device\":\"cpu\",\"data\":{\"kind\":\"coco\"},\"canvas\":{}}", true },
        { "{\"seed\":1}", false },
        { "{\"device\":\"cuda\"}", false },
        { "{\"data\":{\"kind\":\"scenes\"}}", false },
        { "{\"detector\":{\"kind\":\"retinanet\",\"revision\":2,\"prior\":1,\"unheard_of\":7}}", true }, /* it did not know */
        { "{\"detector\":{\"prior\":2}}", false },
        { "{\"precision\":\"tf32\"}", true },
        { "{\"teacher\":\"t9\",\"data_hash\":\"d9\",\"distillers\":[{\"name\":\"defeat\",\"plugin\":\"p9\"},{\"name\":\"head_kl\"}]}",
          true },
        { "{\"distillers\":[{\"name\":\"defeat\",\"w\":5},{\"name\":\"head_kl\"}]}", false },
        { "{\"distillers\":[{\"name\":\"defeat\",\"w\":4}]}", false },
        { "{\"distillers\":[{\"name\":\"head_kl\"},{\"name\":\"defeat\"}]}", false },
        { "{\"distillers\":[]}", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (answers(cell, cases[i].asked) != cases[i].yes)
            fail_msg("%s: expected %d", cases[i].asked, cases[i].yes);
    assert_false(answers("{\"anchors\":[1,2]}", "{\"anchors\":[1,3]}"));
    assert_true(answers("{\"anchors\":[1,2]}", "{\"anchors\":[1,2]}"));
    assert_false(answers("no cell", "{}"));
}

/* Whom it was put to is not what was asked. */
static void a_question_is_the_same_to_all(void **state)
{
    static const char *const text[] = {
        "{\"question\":\"explain\",\"networks\":[{\"cell\":\"a\"}],\"options\":{\"masks\":40}}",
        "{\"question\":\"explain\",\"networks\":[{\"cell\":\"b\"},{\"cell\":\"a\"}],\"options\":{\"masks\":40}}",
        "{\"question\":\"explain\",\"networks\":[{\"cell\":\"a\"}],\"options\":{\"masks\":41}}"
    };
    char id[3][17], none[17] = "x";

    (void)state;
    for (size_t i = 0; i < 3; i++)
        df_cell_question(text[i], id[i]);
    assert_int_equal(strlen(id[0]), 16);
    assert_string_equal(id[0], id[1]);
    assert_string_not_equal(id[0], id[2]);
    df_cell_question(cell, none);
    assert_string_equal(none, "");
    df_cell_question("no cell", none);
    assert_string_equal(none, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(a_lower_revision_is_superseded), cmocka_unit_test(nothing_else_is),
                                        cmocka_unit_test(of_several_teachers), cmocka_unit_test(an_old_row_answers_what_both_know),
                                        cmocka_unit_test(a_question_is_the_same_to_all) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
