/* Comparisons of made-up rows: what makes a pair, what is independent, every sentence, JSON; and the journal of looks. */
#include "results/comparison.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "results/look_journal.h"
#include "tests/support/support.h"

enum { MOST = 32 };
static struct df_error err;

/* A side of at most MOST runs: seed s of group g, AP in percent; NAN: failed. */
struct made {
    struct df_compare_run run[MOST];
    struct df_run_row row[MOST];
    struct df_score score[MOST][2];
    char id[MOST][17], environment[MOST][64];
    size_t runs;
};

static void add(struct made *made, const char *name, int64_t seed, size_t group, const char *teacher, double ap)
{
    const size_t i = made->runs++;
    struct df_run_row *row = &made->row[i];

    df_run_row_init(row);
    snprintf(made->id[i], sizeof made->id[i], "%s%zu.%lld", name, group, (long long)seed);
    snprintf(made->environment[i], sizeof made->environment[i], *teacher ? "{\"teacher\":\"%s\"}" : "{}", teacher);
    made->score[i][0] = (struct df_score){ "AP", "", ap / 100 };
    made->score[i][1] = (struct df_score){ "AP", "disk", ap < 50 ? ap / 400 : -1 };
    row->run = made->id[i];
    row->label = name;
    row->cell = "{}";
    row->seed = seed;
    row->device = "cpu";
    row->status = isnan(ap) ? "failed: by design" : "ok";
    row->environment = made->environment[i];
    row->scores = (struct df_scores){ 2, made->score[i] };
    made->run[i] = (struct df_compare_run){ seed, group, row };
}

static struct df_comparison *compare(const struct made *a, const struct made *b, struct df_comparison_request request)
{
    const struct df_compare_side one = { "A", a->runs, a->run }, other = { "B", b->runs, b->run };

    request.metric = request.metric ? request.metric : "AP";
    request.class = request.class ? request.class : "";
    request.confidence = 0.95;
    request.comparisons = 1;
    return df_compare(&one, &other, &request);
}

static void check_sentence(struct df_comparison *c, const char *want)
{
    struct df_text text = DF_TEXT_INIT;

    df_comparison_sentence(c, &text);
    assert_string_equal(df_text_get(&text), want);
    df_text_release(&text);
    df_comparison_free(c);
}

/* n pairs with these differences, under one teacher; b is 40. */
static void make(struct made *a, struct made *b, size_t n, const double *difference)
{
    *a = *b = (struct made){ 0 };
    for (size_t i = 0; i < n; i++) {
        add(a, "a", (int64_t)i, 0, "t", 40 + difference[i]);
        add(b, "b", (int64_t)i, 0, "", 40);
    }
}

static void sentences(void **state)
{
    const double better[] = { 1, 1.2, 0.8, 1.12 }, small[] = { 0.1, -0.1, 0.05, -0.02 }, noise[] = { 1, -0.8, 0.5, 0.9, -0.1 };
    const double equal[] = { 0.25, 0.25 }, none[] = { 0, 0, 0 }, far[] = { 3, -2.9, 0.1, -0.3 };
    struct made a, b;

    (void)state;
    make(&a, &b, 4, better); /* mean 1.03, sd 0.1740, t 3.182: 0.2768 */
    check_sentence(compare(&a, &b, (struct df_comparison_request){ 0 }),
                   "A is 1.03 better than B (0.75 to 1.31; 4 pairs, for this teacher): better.");
    check_sentence(compare(&b, &a, (struct df_comparison_request){ 0 }),
                   "A is 1.03 worse than B (-1.31 to -0.75; 4 pairs, for this teacher): worse.");
    check_sentence(compare(&a, &b, (struct df_comparison_request){ .margin = 2 }),
                   "A is 1.03 better than B (0.75 to 1.31; 4 pairs, for this teacher): better, by less than the margin.");
    check_sentence(compare(&a, &b, (struct df_comparison_request){ .class = "disk" }),
                   "A is 0.26 better than B in AP of disk (0.19 to 0.33; 4 pairs, for this teacher): better.");
    make(&a, &b, 4, small);
    check_sentence(compare(&a, &b, (struct df_comparison_request){ .margin = 0.5 }),
                   "A is 0.01 better than B (-0.13 to 0.15; 4 pairs, for this teacher): equivalent within 0.5.");
    make(&a, &b, 5, noise);
    check_sentence(compare(&a, &b, (struct df_comparison_request){ 0 }),
                   "A is 0.30 better than B (-0.63 to 1.23; 5 pairs, for this teacher): undecided: about 47 more seeds.");
    make(&a, &b, 4, far);
    check_sentence(
        compare(&a, &b, (struct df_comparison_request){ 0 }),
        "A is 0.02 worse than B (-3.87 to 3.82; 4 pairs, for this teacher): undecided: thousands more seeds, were the difference what it "
        "seems; name one that is small enough to be none.");
    make(&a, &b, 2, equal);
    check_sentence(compare(&a, &b, (struct df_comparison_request){ 0 }),
                   "A is 0.25 better than B (2 pairs, for this teacher): undecided: equal differences have no spread, and no interval.");
    make(&a, &b, 3, none);
    check_sentence(compare(&a, &b, (struct df_comparison_request){ 0 }),
                   "A is 0.00 better than B (3 pairs, for this teacher): the same in every pair.");
    make(&a, &b, 1, better);
    check_sentence(compare(&a, &b, (struct df_comparison_request){ 0 }),
                   "A is 1.00 better than B (1 pair, for this teacher): undecided: one pair has no interval.");
    b.runs = 0;
    check_sentence(compare(&a, &b, (struct df_comparison_request){ 0 }), "A and B have no pair: undecided.");
}

/* What is no pair is counted by why. */
static void pairs_left_out(void **state)
{
    struct made a = { 0 }, b = { 0 };
    struct df_text text = DF_TEXT_INIT;

    (void)state;
    add(&a, "a", 7, 0, "t", 41);
    add(&b, "b", 7, 0, "t", 40);
    add(&a, "a", 1, 0, "t", 43);
    add(&b, "b", 1, 0, "u", 40); /* taught by other weights */
    add(&a, "a", 2, 0, "t", NAN);
    add(&b, "b", 2, 0, "t", 40);
    add(&a, "a", 3, 0, "t", 41);
    add(&b, "b", 3, 0, "t", NAN);
    add(&a, "a", 4, 0, "t", 41); /* B has none */
    add(&b, "b", 5, 0, "t", 41); /* A has none */
    add(&a, "a", 6, 0, "t", -100);
    add(&b, "b", 6, 0, "t", 41);
    struct df_comparison *c = compare(&a, &b, (struct df_comparison_request){ 0 });

    assert_int_equal(c->pairs, 1);
    assert_int_equal(c->pair[0].seed, 7);
    assert_close(c->interval.mean, 1, 1e-12, 0);
    assert_int_equal(c->other_teacher, 1);
    assert_int_equal(c->failed_a, 1);
    assert_int_equal(c->failed_b, 1);
    assert_int_equal(c->missing_a, 1);
    assert_int_equal(c->missing_b, 1);
    assert_int_equal(c->unmeasured, 1);
    df_comparison_details(c, &text);
    assert_non_null(strstr(text.data, "pairs left out: 1 (no row of B)."));
    assert_non_null(strstr(text.data, "pairs left out: 1 (taught by other weights)."));
    assert_non_null(strstr(text.data, "pairs left out: 1 (a failed run of A)."));
    df_text_release(&text);
    df_comparison_free(c);
}

/* Three teachers, two seeds: pairs that are independent, pairs that share the plain student's run, one mean per teacher. */
static void teachers(void **state)
{
    static const double difference[3][2] = { { 1, 2 }, { 3, 5 }, { 4, 9 } };
    struct made a = { 0 }, b = { 0 };

    (void)state;
    for (size_t t = 0; t < 3; t++)
        for (int64_t s = 0; s < 2; s++) {
            const char name[] = { (char)('t' + t), 0 };

            add(&a, "a", s, t, name, 20 + difference[t][s]);
            add(&b, "b", s, t, name, 20);
        }
    struct df_comparison *c = compare(&a, &b, (struct df_comparison_request){ 0 });

    assert_int_equal(c->units, 6);
    assert_int_equal(c->teachers, 3);
    assert_int_equal(c->per_seed, 3);
    assert_false(c->averaged);
    check_sentence(c, "A is 4.00 better than B (1.03 to 6.97; 6 pairs, for these 3 teachers): better.");
    c = compare(&a, &b, (struct df_comparison_request){ .beyond = true });
    assert_int_equal(c->units, 3); /* 1.5, 4, 6.5: sd 2.5 */
    assert_close(c->interval.sd, 2.5, 1e-12, 0);
    check_sentence(c,
                   "A is 4.00 better than B (-2.21 to 10.21; 6 pairs, one mean for each of 3 teachers): undecided: about 3 more teachers.");
    for (size_t i = 0; i < b.runs; i++) { /* the plain student is the same run under every teacher */
        snprintf(b.id[i], sizeof b.id[i], "plain%lld", (long long)b.row[i].seed);
        snprintf(b.environment[i], sizeof b.environment[i], "{}");
    }
    c = compare(&a, &b, (struct df_comparison_request){ 0 });
    assert_true(c->averaged);
    assert_int_equal(c->units, 2);
    assert_int_equal(c->per_seed, 1);
    assert_close(c->unit[0], 8.0 / 3, 1e-12, 0);
    assert_close(c->unit[1], 16.0 / 3, 1e-12, 0);
    assert_string_equal(df_text_get(&c->runs[0]), "a0.0-plain0+a1.0-plain0+a2.0-plain0");
    df_comparison_free(c);
}

/* What errors cost: less is better, and everything that is said says so. */
static void costs(void **state)
{
    const double difference[] = { -1, -1.2, -0.8, -1.12 };
    struct made a, b;

    (void)state;
    make(&a, &b, 4, difference);
    for (size_t i = 0; i < 4; i++)
        a.score[i][0].metric = b.score[i][0].metric = "TIDE.Bkg";
    struct df_comparison *c = compare(&a, &b, (struct df_comparison_request){ .metric = "TIDE.Bkg" });
    cJSON *root = df_comparison_json(c);

    assert_int_equal(c->verdict, DF_BETTER);
    assert_close(c->pair[0].a, 39, 1e-12, 0);
    assert_close(c->improvement, 1, 0, 0);
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(root, "less_is_better")));
    assert_true(df_score_is_cost("marker.response") && df_score_is_cost("marker.reliance"));
    assert_true(df_score_is_cost("attack.evasion") && df_score_is_cost("attack.score") && !df_score_is_cost("attack.AP_patched"));
    cJSON_Delete(root);
    check_sentence(c, "A is 1.03 better than B in TIDE.Bkg, of which less is better (0.75 to 1.31; 4 pairs, for this teacher): better.");
    a.score[0][0].value = -0.001; /* FalseNeg may be, with ties */
    b.score[1][0].value = -1;     /* nothing to measure */
    c = compare(&a, &b, (struct df_comparison_request){ .metric = "TIDE.Bkg" });
    assert_int_equal(c->pairs, 3);
    assert_int_equal(c->unmeasured, 1);
    assert_close(c->pair[0].a, -0.1, 1e-12, 0);
    df_comparison_free(c);
}

/* On cuda another card is told; on cpu the machine moves nothing. */
static void machines(void **state)
{
    const double difference[] = { 1, 2, 3 };
    struct made a, b;
    struct df_comparison *c;

    (void)state;
    make(&a, &b, 3, difference);
    for (size_t i = 0; i < 3; i++) {
        snprintf(a.environment[i], sizeof a.environment[i], "{\"gpu\":\"one\"}");
        snprintf(b.environment[i], sizeof b.environment[i], i ? "{\"gpu\":\"two\"}" : "{\"gpu\":\"one\"}");
    }
    c = compare(&a, &b, (struct df_comparison_request){ 0 });
    assert_int_equal(c->other_machine, 0);
    df_comparison_free(c);
    for (size_t i = 0; i < 3; i++)
        a.row[i].device = b.row[i].device = "cuda";
    c = compare(&a, &b, (struct df_comparison_request){ 0 });
    assert_int_equal(c->other_machine, 2);
    assert_int_equal(c->pairs, 3);
    df_comparison_free(c);
}

static void json(void **state)
{
    const double difference[] = { 1, 1.2, 0.8, 1.1, 0.9, 1, 1.3, 0.7, 1.05 };
    struct made a, b;

    (void)state;
    make(&a, &b, 9, difference);
    struct df_comparison *c = compare(&a, &b, (struct df_comparison_request){ .margin = 2 });
    cJSON *root = df_comparison_json(c);

    assert_string_equal(cJSON_GetObjectItem(root, "verdict")->valuestring, "better");
    assert_close(cJSON_GetObjectItem(root, "difference")->valuedouble, 9.05 / 9, 1e-12, 0);
    assert_close(cJSON_GetObjectItem(root, "p_sign_flip")->valuedouble, 2.0 / 512, 1e-12, 0);
    assert_close(cJSON_GetObjectItem(root, "pairs")->valuedouble, 9, 0, 0);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(root, "pair")), 9);
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(root, "more_units")));
    assert_true(cJSON_GetObjectItem(root, "p_equivalence")->valuedouble < 1e-6);
    cJSON_Delete(root);
    df_comparison_free(c);
}

/* ---- the journal of looks --------------------------------------------------------------------------------------------------------- */

static const char *looks_file(void)
{
    static char path[600];

    snprintf(path, sizeof path, "%s/looks/x.json", df_test_folder());
    return path;
}

/* Reads, looks, writes; the verdict of the last look, UNDECIDED before the first. *looks: how many there are. */
static enum df_verdict look_at(const struct df_looks_plan *plan, const struct made *a, const struct made *b, size_t *looks)
{
    struct df_comparison *c = compare(a, b, (struct df_comparison_request){ .margin = plan->margin });
    struct df_look_journal *journal;

    assert_ok(df_look_journal_read(looks_file(), plan, c, &journal, &err));
    assert_ok(df_look_journal_look(journal, c, &err));
    assert_ok(df_look_journal_write(journal, looks_file(), &err));
    const struct df_look *last = df_look_journal_last(journal);
    const enum df_verdict verdict = last ? last->verdict : DF_UNDECIDED;

    *looks = journal->looks;
    df_look_journal_free(journal);
    df_comparison_free(c);
    return verdict;
}

static void looks_cannot_be_reset(void **state)
{
    const struct df_looks_plan plan = { .margin = 0.5, .level = 0.05, .most = 8 };
    struct df_looks_plan other = plan;
    double difference[] = { 1, -0.2, 1.4, 1, 0.9, 1.1, 1, 1, 7, 7 };
    struct df_look_journal *journal;
    struct df_comparison *c;
    struct made a, b;
    size_t looks;

    (void)state;
    make(&a, &b, 2, difference);
    look_at(&plan, &a, &b, &looks);
    assert_int_equal(looks, 0); /* too few */
    make(&a, &b, 4, difference);
    assert_int_equal(look_at(&plan, &a, &b, &looks), DF_UNDECIDED);
    assert_int_equal(looks, 1);
    look_at(&plan, &a, &b, &looks);
    assert_int_equal(looks, 1); /* nothing new: no look */
    other.most = 9;
    c = compare(&a, &b, (struct df_comparison_request){ .margin = 0.5 });
    assert_fails(df_look_journal_read(looks_file(), &other, c, &journal, &err), DF_ERR_STALE, "spend the level twice");
    df_comparison_free(c);
    make(&a, &b, 8, difference);
    assert_int_equal(look_at(&plan, &a, &b, &looks), DF_BETTER);
    assert_int_equal(looks, 2);
    make(&a, &b, 10, difference); /* beyond the plan: not looked at */
    look_at(&plan, &a, &b, &looks);
    assert_int_equal(looks, 2);
    difference[1] = 3; /* what was seen is another number now */
    make(&a, &b, 8, difference);
    c = compare(&a, &b, (struct df_comparison_request){ .margin = 0.5 });
    assert_ok(df_look_journal_read(looks_file(), &plan, c, &journal, &err));
    assert_fails(df_look_journal_look(journal, c, &err), DF_ERR_STALE, "when they were looked at");
    df_comparison_free(c);
    make(&a, &b, 3, difference); /* rows that are gone */
    a.run[1].row = NULL;
    c = compare(&a, &b, (struct df_comparison_request){ .margin = 0.5 });
    assert_fails(df_look_journal_look(journal, c, &err), DF_ERR_STALE, "not among the rows now");
    df_look_journal_free(journal);
    df_comparison_free(c);
}

/* The bounds of a journal are those of its looks, and the second look spends the rest. */
static void looks_are_kept(void **state)
{
    const struct df_looks_plan plan = { .margin = 0.5, .level = 0.05, .most = 8 };
    const size_t units[] = { 4, 8 };
    struct df_look_journal *journal;
    double bound[2], spent[2];
    struct made a, b;
    const double difference[] = { 1, -0.2, 1.4, 1, 0.9, 1.1, 1, 1 };

    (void)state;
    make(&a, &b, 8, difference);
    struct df_comparison *c = compare(&a, &b, (struct df_comparison_request){ .margin = 0.5 });

    assert_ok(df_look_journal_read(looks_file(), &plan, c, &journal, &err));
    df_looks_bounds(&plan, units, 2, bound, spent);
    assert_int_equal(journal->units, 8);
    for (size_t k = 0; k < 2; k++) {
        assert_int_equal(journal->look[k].units, units[k]);
        assert_close(journal->look[k].bound, bound[k], 0, 0);
        assert_close(journal->look[k].spent, spent[k], 0, 0);
    }
    df_look_journal_free(journal);
    c->request.metric = "AP50";
    assert_fails(df_look_journal_read(looks_file(), &plan, c, &journal, &err), DF_ERR_STALE, "looks at another comparison");
    assert_null(journal);
    c->request.metric = "AP";
    assert_ok(df_file_write(looks_file(), "{\"schema\":1}", 12, &err));
    assert_fails(df_look_journal_read(looks_file(), &plan, c, &journal, &err), DF_ERR_USAGE, "/");
    df_comparison_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(sentences),
                                        cmocka_unit_test(pairs_left_out),
                                        cmocka_unit_test(teachers),
                                        cmocka_unit_test(costs),
                                        cmocka_unit_test(machines),
                                        cmocka_unit_test(json),
                                        cmocka_unit_test(looks_cannot_be_reset),
                                        cmocka_unit_test(looks_are_kept) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
