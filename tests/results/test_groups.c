/* Groups against their definition on drawn rows: two lines share a letter exactly if Holm's p over all pairs says that they are not told apart,
 * and no group is inside another; by hand; missing rows, other teachers, variants; the forms as golden text (tests/golden/tables). */
#include "results/groups.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/rng.h"
#include "results/inference.h"
#include "tests/results/sample.h"
#include "tests/support/support.h"

enum { LINES = 9, SEEDS = 5 };
static struct df_error err;

/* LINES methods x SEEDS seeds, AP in percent. */
struct rows {
    struct df_journal journal;
    struct df_run_row row[LINES * SEEDS];
    struct df_score score[LINES * SEEDS];
    char id[LINES * SEEDS][17], label[LINES][4];
    const char *run[LINES * SEEDS];
    int64_t seed[LINES * SEEDS];
    struct df_table_line_request line[LINES];
    struct df_table_request request;
    double ap[LINES][SEEDS];
};

static void fill(struct rows *r)
{
    for (size_t l = 0; l < LINES; l++) {
        snprintf(r->label[l], sizeof r->label[l], "m%zu", l);
        for (size_t i = 0; i < SEEDS; i++) {
            const size_t at = l * SEEDS + i;

            snprintf(r->id[at], sizeof r->id[at], "%016zx", at + 1);
            r->run[at] = r->id[at];
            r->seed[at] = (int64_t)i;
            r->score[at] = (struct df_score){ "AP", "", r->ap[l][i] / 100 };
            r->row[at] = (struct df_run_row){ .semantics = 2,
                                              .run = r->id[at],
                                              .label = r->label[l],
                                              .axes = "",
                                              .seed = (int64_t)i,
                                              .status = "ok",
                                              .device = "cpu",
                                              .environment = "{}",
                                              .cell = "{}",
                                              .scores = { 1, &r->score[at] } };
        }
        r->line[l] = (struct df_table_line_request){
            .label = r->label[l], .axes = "", .runs = SEEDS, .run = r->run + l * SEEDS, .seed = r->seed + l * SEEDS
        };
    }
    r->journal = (struct df_journal){ .runs = LINES * SEEDS, .run = r->row };
    r->request = (struct df_table_request){ .title = "", .lines = LINES, .line = r->line, .semantics = 2 };
}

static struct df_groups *groups_of(const struct df_journal *journal, const struct df_table_request *request)
{
    struct df_groups *groups;

    assert_ok(df_groups_build(journal, request, &groups, &err));
    assert_int_equal(groups->lines, request->lines);
    return groups;
}

static size_t line_of(const struct df_groups *groups, const char *label)
{
    for (size_t l = 0; l < groups->lines; l++)
        if (strcmp(groups->line[l].label, label) == 0)
            return l;
    fail_msg("no line '%s'", label);
    return 0;
}

static bool share(const struct df_groups *groups, size_t i, size_t j) { return strpbrk(groups->line[i].letters, groups->line[j].letters); }

/* told[i][j] by the definition; in the order of the methods. */
static void tell(const struct rows *r, bool told[LINES][LINES])
{
    enum { PAIRS = LINES * (LINES - 1) / 2 };
    double p[PAIRS], adjusted[PAIRS], difference[SEEDS];
    size_t k = 0;

    for (size_t i = 0; i < LINES; i++)
        for (size_t j = i + 1; j < LINES; j++, k++) {
            for (size_t s = 0; s < SEEDS; s++)
                difference[s] = r->ap[i][s] - r->ap[j][s];
            p[k] = df_paired_t_p(difference, SEEDS);
        }
    df_holm(p, PAIRS, adjusted);
    k = 0;
    for (size_t i = 0; i < LINES; i++)
        for (size_t j = i + 1; j < LINES; j++, k++)
            told[i][j] = told[j][i] = adjusted[k] < 0.05;
}

/* No letter whose lines all have another letter in common. */
static void check_largest(const struct df_groups *groups)
{
    for (char a = 'a'; a <= 'z'; a++)
        for (char b = 'a'; b <= 'z'; b++) {
            size_t in = 0, both = 0;

            for (size_t l = 0; l < groups->lines; l++) {
                const char *letters = groups->line[l].letters;

                in += strchr(letters, a) != NULL;
                both += strchr(letters, a) && strchr(letters, b);
            }
            if (a != b && in)
                assert_true(both < in);
        }
}

static void letters_are_their_definition(void **state)
{
    struct df_rng rng;
    size_t apart = 0, overlapping = 0;

    (void)state;
    df_rng_init(&rng, 11, DF_RNG_TEST, 0);
    for (int draw = 0; draw < 60; draw++) {
        struct rows r;
        bool told[LINES][LINES];

        for (size_t l = 0; l < LINES; l++)
            for (size_t i = 0; i < SEEDS; i++)
                r.ap[l][i] = 40 + (double)l * (0.5 + draw % 6) + 0.5 * df_rng_normal(&rng);
        fill(&r);
        tell(&r, told);
        struct df_groups *groups = groups_of(&r.journal, &r.request);

        assert_int_equal(groups->comparisons, LINES * (LINES - 1) / 2);
        for (size_t i = 0; i < LINES; i++) {
            const size_t a = line_of(groups, r.label[i]);
            size_t others = 0;

            assert_true(i == 0 || groups->line[i - 1].ap.mean >= groups->line[i].ap.mean);
            overlapping += strlen(groups->line[a].letters) > 1;
            for (size_t j = 0; j < LINES; j++) {
                if (i != j)
                    assert_true(share(groups, a, line_of(groups, r.label[j])) == !told[i][j]);
                others += told[i][j];
            }
            assert_int_equal(groups->line[a].ahead + groups->line[a].behind, others);
            apart += others;
        }
        assert_true(groups->line[0].letters[0] == 'a' && groups->line[0].behind == 0);
        check_largest(groups);
        df_groups_free(groups);
    }
    assert_true(apart > 200 && overlapping > 50);
}

/* Two clear steps: 10 10.5 | 30 | 31, of which the last is ahead of the third by 1 +- 0.01, and the first two are one. */
static void by_hand(void **state)
{
    struct rows r;

    (void)state;
    for (size_t i = 0; i < SEEDS; i++) {
        r.ap[0][i] = 30 + (double)i;
        r.ap[1][i] = 31 + (double)i + (i % 2 ? 0.01 : -0.01);
        r.ap[2][i] = 10 + (double)(i % 2);
        r.ap[3][i] = 10 + (double)(i / 2 % 2);
    }
    fill(&r);
    r.request.lines = 4;
    struct df_groups *groups = groups_of(&r.journal, &r.request);

    assert_int_equal(groups->comparisons, 6);
    assert_string_equal(groups->line[0].label, "m1");
    assert_string_equal(groups->line[1].label, "m0");
    assert_string_equal(groups->line[2].label, "m2"); /* an equal mean: the request's order */
    assert_string_equal(groups->line[0].letters, "a");
    assert_string_equal(groups->line[1].letters, "b");
    assert_string_equal(groups->line[2].letters, "c");
    assert_string_equal(groups->line[3].letters, "c");
    assert_true(groups->line[0].ahead == 3 && groups->line[1].ahead == 2 && groups->line[1].behind == 1 && groups->line[3].behind == 2);
    df_groups_free(groups);

    r.row[5].environment = "{\"teacher\":\"1\"}"; /* other weights: m1's pairs of the first seed go */
    r.row[0].environment = r.row[10].environment = r.row[15].environment = "{\"teacher\":\"2\"}";
    groups = groups_of(&r.journal, &r.request);
    assert_int_equal(groups->unpaired, 3);
    df_groups_free(groups);

    r.line[1].variant = r.line[3].variant = "new"; /* only within a variant; the first one's lines come first */
    groups = groups_of(&r.journal, &r.request);
    assert_string_equal(groups->line[0].label, "m0");
    assert_string_equal(groups->line[1].label, "m2");
    assert_string_equal(groups->line[2].label, "m1");
    assert_true(groups->comparisons == 1 && groups->line[2].ahead == 1 && groups->line[0].ahead == 1 && groups->line[0].behind == 0);
    assert_string_equal(groups->line[2].letters, "a");
    assert_string_equal(groups->line[3].letters, "b");
    df_groups_free(groups);
    r.request.lines = 0;
    assert_fails(df_groups_build(&r.journal, &r.request, &groups, &err), DF_ERR_USAGE, "groups of no lines");
}

/* Without rows: last, without a letter; with one: nothing can be said, so it is in every group. */
static void what_is_missing(void **state)
{
    struct sample s;

    (void)state;
    sample_fill(&s);
    s.row[9].status = s.row[10].status = "failed: again";
    struct df_groups *groups = groups_of(&s.journal, &s.request);

    assert_true(groups->line[4].ap.n == 0 && strcmp(groups->line[4].label, "foreground") == 0 && !groups->line[4].letters[0]);
    assert_true(groups->line[1].ap.n == 1 && isnan(groups->line[1].ap.low));
    assert_false(share(groups, 0, 3));
    for (size_t l = 0; l < 4; l++)
        assert_true(share(groups, l, 1));
    df_groups_free(groups);
}

/* Couples that are told apart within, by differences without spread, and not from the others: 2^5 groups. */
static void more_than_there_are_letters(void **state)
{
    enum { COUPLES = 5, N = 2 * COUPLES };
    static struct df_run_row row[N * SEEDS];
    static struct df_score score[N * SEEDS];
    static char id[N * SEEDS][17];
    const char *run[N * SEEDS];
    int64_t seed[SEEDS];
    struct df_table_line_request line[N];
    struct df_groups *groups;
    struct df_rng rng;

    (void)state;
    df_rng_init(&rng, 12, DF_RNG_TEST, 0);
    for (size_t l = 0; l < N; l++) {
        for (size_t i = 0; i < SEEDS; i++) {
            const size_t at = l * SEEDS + i;
            const double base = l % 2 ? score[at - SEEDS].value : 0.4 + 0.05 * df_rng_normal(&rng);

            snprintf(id[at], sizeof id[at], "%016zx", at + 1);
            run[at] = id[at];
            seed[i] = (int64_t)i;
            score[at] = (struct df_score){ "AP", "", l % 2 ? base + 0.001 + 1e-7 * (double)(i % 2) : base };
            row[at] = (struct df_run_row){ .semantics = 2,
                                           .run = id[at],
                                           .label = "m",
                                           .axes = "",
                                           .seed = (int64_t)i,
                                           .status = "ok",
                                           .device = "cpu",
                                           .cell = "{}",
                                           .environment = "{}",
                                           .scores = { 1, &score[at] } };
        }
        line[l] = (struct df_table_line_request){ .label = "m", .axes = "", .runs = SEEDS, .run = run + l * SEEDS, .seed = seed };
    }
    const struct df_journal journal = { .runs = N * SEEDS, .run = row };
    struct df_table_request request = { .title = "", .lines = N, .line = line, .semantics = 2 };

    assert_fails(df_groups_build(&journal, &request, &groups, &err), DF_ERR_UNSUPPORTED,
                 "10 lines fall into more than 26 overlapping groups");
    request.lines = 8; /* 2^4 */
    groups = groups_of(&journal, &request);
    assert_true(strlen(groups->line[0].letters) == 8 && strchr(groups->line[7].letters, 'p'));
    df_groups_free(groups);
}

/* DF_WRITE_GOLDEN=1 writes the files anew; the diff is for a person to read. */
static void golden_forms(void **state)
{
    static const char *const name[] = { "groups.txt", "groups.md", "groups.csv", "groups.tex" };
    struct df_text text = DF_TEXT_INIT;
    struct sample s;

    (void)state;
    sample_fill(&s);
    s.row[8].environment = "{\"isa\":\"avx2\",\"teacher\":\"2\"}";
    s.row[2].environment = "{\"isa\":\"avx2\",\"teacher\":\"1\"}";
    struct df_groups *groups = groups_of(&s.journal, &s.request);

    for (int f = DF_TABLE_TEXT; f <= DF_TABLE_LATEX; f++) {
        char *path = df_path_join("tests/golden/tables", name[f]), *want;
        size_t bytes;

        df_text_clear(&text);
        df_groups_print(groups, (enum df_table_format)f, &text);
        if (getenv("DF_WRITE_GOLDEN"))
            assert_ok(df_file_write(path, text.data, text.length, &err));
        assert_ok(df_file_read(path, 0, &want, &bytes, &err));
        assert_string_equal(text.data, want);
        free(want);
        free(path);
    }
    df_text_release(&text);
    df_groups_free(groups);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(letters_are_their_definition), cmocka_unit_test(by_hand),      cmocka_unit_test(what_is_missing),
        cmocka_unit_test(more_than_there_are_letters),  cmocka_unit_test(golden_forms),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
