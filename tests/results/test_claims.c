/* Claims over made-up rows: each answer can come out, at its very borders; the file's mistakes are told; nothing is claimed of nothing. */
#include "results/claims.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "tests/support/support.h"

enum { PAIRS = 4 };
static struct df_error err;
static const struct df_claim better = { .name = "a teaches",
                                        .detector = "D",
                                        .spec = "s.json",
                                        .a = "a",
                                        .b = "b",
                                        .metric = "AP",
                                        .margin = 0.5,
                                        .paper_a = 39.7,
                                        .paper_b = 36.5,
                                        .paper = "abstract" };

/* A journal's rows of two methods: seed i of a is 40 + difference[i], of b 40. */
struct made {
    struct df_run_row row[2][PAIRS];
    struct df_score score[2][PAIRS];
    struct df_compare_run run[2][PAIRS];
    char id[2][PAIRS][17];
};

/* Of so many seeds; pairs around `mean`, whose 95 % interval is mean -+ half (of 4). */
static struct df_comparison *compare(size_t seeds, double mean, double half)
{
    static const double shape[PAIRS] = { -1, 1, -1, 1 }; /* sd 2 / sqrt(3), t of 3 degrees 3.18245: half an interval of 1.83739 */
    static struct made made;
    const struct df_comparison_request request = { .metric = "AP", .class = "", .margin = 0.5, .confidence = 0.95, .comparisons = 1 };
    struct df_compare_side side[2];

    made = (struct made){ 0 };
    for (size_t k = 0; k < 2; k++) {
        for (size_t i = 0; i < seeds; i++) {
            struct df_run_row *row = &made.row[k][i];

            df_run_row_init(row);
            snprintf(made.id[k][i], sizeof made.id[k][i], "%c%zu", "ab"[k], i);
            made.score[k][i] = (struct df_score){ "AP", "", k ? 0.4 : 0.4 + (mean + half * shape[i] / 1.8373862) / 100 };
            row->run = made.id[k][i];
            row->cell = "{}";
            row->seed = (int64_t)i;
            row->device = "cpu";
            row->status = "ok";
            row->environment = "{\"teacher\":\"t\"}";
            row->scores = (struct df_scores){ 1, &made.score[k][i] };
            made.run[k][i] = (struct df_compare_run){ (int64_t)i, 0, row };
        }
        side[k] = (struct df_compare_side){ k ? "b" : "a", seeds, made.run[k] };
    }
    return df_compare(&side[0], &side[1], &request);
}

static void check(enum df_claim_kind kind, double mean, double half, enum df_claim_answer want)
{
    struct df_comparison *c = compare(PAIRS, mean, half);
    struct df_claim claim = better;

    claim.kind = kind;
    assert_close(c->interval.low, mean - half, 1e-6, 1e-6);
    if (df_claim_judge(&claim, c) != want)
        fail_msg("%s, %g -+ %g: %s, expected %s", kind == DF_CLAIM_EQUAL ? "equal" : "better", mean, half,
                 df_claim_answer_names[df_claim_judge(&claim, c)], df_claim_answer_names[want]);
    df_comparison_free(c);
}

static void answers(void **state)
{
    (void)state;
    check(DF_CLAIM_BETTER, 1, 0.9, DF_REPRODUCED);
    check(DF_CLAIM_BETTER, 0.2, 0.1, DF_REPRODUCED); /* less than what counts, but above 0: the direction is right */
    check(DF_CLAIM_BETTER, 1, 1.1, DF_NOT_RESOLVED);
    check(DF_CLAIM_BETTER, 0.1, 0.3, DF_REFUTED); /* neither above 0, nor can it be what counts */
    check(DF_CLAIM_BETTER, 0.1, 0.45, DF_NOT_RESOLVED);
    check(DF_CLAIM_BETTER, -1, 0.9, DF_REFUTED);
    check(DF_CLAIM_BETTER, -1, 1.4, DF_REFUTED);
    check(DF_CLAIM_BETTER, -1, 1.6, DF_NOT_RESOLVED);
    check(DF_CLAIM_EQUAL, 0.2, 0.29, DF_REPRODUCED);
    check(DF_CLAIM_EQUAL, 0.2, 0.31, DF_NOT_RESOLVED);
    check(DF_CLAIM_EQUAL, -0.2, 0.31, DF_NOT_RESOLVED);
    check(DF_CLAIM_EQUAL, 1, 0.49, DF_REFUTED);
    check(DF_CLAIM_EQUAL, 1, 0.51, DF_NOT_RESOLVED);
    check(DF_CLAIM_EQUAL, -1, 0.49, DF_REFUTED);
}

static void check_line(const struct df_claim *claim, struct df_comparison *c, const char *want)
{
    struct df_text text = DF_TEXT_INIT;

    df_claim_line(claim, c, &text);
    assert_string_equal(df_text_get(&text), want);
    df_text_release(&text);
    df_comparison_free(c);
}

static void lines(void **state)
{
    struct df_claim claim = better;

    (void)state;
    check_line(&claim, compare(4, 1, 0.9),
               "reproduced    a teaches: a is 1.00 better than b (0.10 to 1.90; 4 pairs, for this teacher); the paper: +3.2 (39.7, 36.5; "
               "abstract)");
    claim.paper_a = claim.paper_b = NAN;
    claim.paper = "no figure";
    check_line(&claim, compare(4, -1, 0.9),
               "refuted       a teaches: a is 1.00 worse than b (-1.90 to -0.10; 4 pairs, for this teacher); the paper: no figure");
    check_line(&claim, compare(1, 1, 0),
               "not resolved  a teaches: a is 1.00 better than b (1 pair, for this teacher); the paper: no figure");
    check_line(&claim, compare(0, 1, 0), "not resolved  a teaches: a and b have no pair; the paper: no figure");
    check_line(&claim, compare(4, 1, 0),
               "not resolved  a teaches: a is 1.00 better than b (4 pairs, for this teacher); the paper: no figure");
}

static void json(void **state)
{
    struct df_comparison *c = compare(4, 1, 0.9);
    cJSON *root = df_claim_json(&better, c);
    const cJSON *paper = cJSON_GetObjectItem(root, "paper");

    (void)state;
    assert_string_equal(cJSON_GetObjectItem(root, "answer")->valuestring, "reproduced");
    assert_close(cJSON_GetObjectItem(paper, "difference")->valuedouble, 3.2, 1e-12, 0);
    assert_close(cJSON_GetObjectItem(cJSON_GetObjectItem(root, "comparison"), "pairs")->valuedouble, 4, 0, 0);
    cJSON_Delete(root);
    df_comparison_free(c);
}

/* ---- the file --------------------------------------------------------------------------------------------------------------------- */

static const char *write(const char *claims)
{
    static char path[600];
    char text[1200];

    snprintf(path, sizeof path, "%s/claims.json", df_test_folder());
    snprintf(text, sizeof text, "{\"paper\": \"P\", \"claims\": [%s]}", claims);
    assert_ok(df_file_write(path, text, strlen(text), &err));
    return path;
}

#define CLAIM(more) "{\"name\": \"n\", \"detector\": \"D\", \"spec\": \"s\", \"a\": \"x\", \"b\": \"y\", \"claim\": " more "}"

static void files(void **state)
{
    static const char *const good = CLAIM("\"equal\", \"margin\": 0.5, \"metric\": \"AP50\", \"paper\": {\"source\": \"none\"}");
    struct df_claims claims;

    (void)state;
    assert_ok(df_claims_read(write(good), &claims, &err));
    assert_int_equal(claims.count, 1);
    assert_int_equal(claims.claim[0].kind, DF_CLAIM_EQUAL);
    assert_string_equal(claims.claim[0].metric, "AP50");
    assert_true(isnan(claims.claim[0].paper_a));
    df_claims_release(&claims);
    assert_fails(df_claims_read(write(""), &claims, &err), DF_ERR_USAGE, "claims.json/claims: empty");
    assert_fails(df_claims_read(write(CLAIM("\"worse\", \"margin\": 1, \"paper\": {\"source\": \"\"}")), &claims, &err), DF_ERR_USAGE,
                 "claims.json/claims/0/claim: 'worse' (expected better or equal)");
    assert_fails(df_claims_read(write(CLAIM("\"better\", \"margin\": 0, \"paper\": {\"source\": \"\"}")), &claims, &err), DF_ERR_USAGE,
                 "margin: 0 (expected points above 0");
    assert_fails(df_claims_read(write(CLAIM("\"better\", \"margin\": 1, \"paper\": {\"a\": 3, \"source\": \"\"}")), &claims, &err),
                 DF_ERR_USAGE, "a figure of one method alone");
    assert_fails(df_claims_read(write(CLAIM("\"better\", \"margn\": 1, \"paper\": {\"source\": \"\"}")), &claims, &err), DF_ERR_USAGE,
                 "margin");
    assert_fails(df_claims_read(write(CLAIM("\"better\", \"margin\": 1, \"paper\": {\"source\": \"\"}") ", " CLAIM(
                                    "\"equal\", \"margin\": 1, \"paper\": {\"source\": \"\"}")),
                                &claims, &err),
                 DF_ERR_USAGE, "claims/1/name: 'n' stands twice for 's'");
}

/* Every claim that is shipped can be read. */
static void shipped(void **state)
{
    struct df_claims claims;

    (void)state;
    assert_ok(df_claims_read("ablations/claims.json", &claims, &err));
    assert_true(claims.count >= 10);
    df_claims_release(&claims);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(answers), cmocka_unit_test(lines), cmocka_unit_test(json), cmocka_unit_test(files),
                                        cmocka_unit_test(shipped) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
