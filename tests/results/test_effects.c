/* Effects of made-up factorials, by hand: additive ones without interaction, one with, two seeds, what is no factorial. */
#include "results/effects.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/support.h"

enum { LINES = 6, SEEDS = 3 };
static struct df_error err;

struct made {
    struct df_journal journal;
    struct df_run_row row[LINES * SEEDS];
    struct df_score score[LINES * SEEDS];
    char id[LINES * SEEDS][17];
    const char *run[LINES * SEEDS];
    int64_t seed[LINES * SEEDS];
    struct df_table_line_request line[LINES];
    struct df_table_request request;
};

/* a in {1, 2}, b in {x, y, z}: ap(a, b, seed) in percent; NAN: failed. */
static void make(struct made *m, double (*ap)(size_t a, size_t b, size_t seed))
{
    static const char *const axes[LINES] = { "v0 a=1 b=x", "v0 a=1 b=y", "v0 a=1 b=z", "v0 a=2 b=x", "v0 a=2 b=y", "v0 a=2 b=z" };

    *m = (struct made){ 0 };
    for (size_t l = 0; l < LINES; l++) {
        for (size_t s = 0; s < SEEDS; s++) {
            const size_t i = l * SEEDS + s;
            const double value = ap(l / 3, l % 3, s);

            snprintf(m->id[i], sizeof m->id[i], "%016zx", i + 1);
            df_run_row_init(&m->row[i]);
            m->run[i] = m->row[i].run = m->id[i];
            m->seed[i] = m->row[i].seed = (int64_t)s;
            m->row[i].semantics = 2;
            m->row[i].status = isnan(value) ? "failed: by design" : "ok";
            m->score[i] = (struct df_score){ "AP", "", value / 100 };
            m->row[i].scores = (struct df_scores){ 1, &m->score[i] };
        }
        m->line[l] = (struct df_table_line_request){
            .label = "m", .axes = axes[l], .runs = SEEDS, .run = m->run + l * SEEDS, .seed = m->seed + l * SEEDS
        };
    }
    m->journal = (struct df_journal){ .runs = LINES * SEEDS, .run = m->row };
    m->request = (struct df_table_request){ .lines = LINES, .line = m->line, .semantics = 2 };
}

static void check(const struct df_effects *e, size_t i, const char *name, double mean)
{
    struct df_text text = DF_TEXT_INIT;

    df_effect_name(e, &e->effect[i], &text);
    assert_string_equal(text.data, name);
    assert_close(e->effect[i].interval.mean, mean, 0, 1e-9);
    df_text_release(&text);
}

static df_status effects_of(const struct made *m, const char *label, struct df_effects **out)
{
    return df_effects_of(&m->journal, &(struct df_effects_request){ &m->request, label, "AP", "" }, out, &err);
}

static double additive(size_t a, size_t b, size_t seed) { return 30 + 2 * (double)a + 3 * (double)b + (double)seed; }

/* The effect of a=2 is 1, 4, 10 points where b is x, y, z, and differs by seed. */
static double crossed(size_t a, size_t b, size_t seed)
{
    static const double effect[] = { 1, 4, 10 };

    return 30 + (double)(b * b) + (a ? effect[b] + (double)seed : 0);
}

static double broken(size_t a, size_t b, size_t seed) { return a == 1 && b == 2 && seed == 1 ? NAN : crossed(a, b, seed); }

static void additive_effects(void **state)
{
    struct made m;
    struct df_effects *e;

    (void)state;
    make(&m, additive);
    assert_ok(effects_of(&m, "m", &e));
    assert_int_equal(e->axes, 3); /* variant, with one value, too */
    assert_int_equal(e->effects, 5);
    assert_int_equal(e->seeds, SEEDS);
    check(e, 0, "a 2 instead of 1", 2);
    check(e, 1, "b y instead of x", 3);
    check(e, 2, "b z instead of x", 6);
    check(e, 3, "a 2 instead of 1, where b is y instead of x", 0);
    check(e, 4, "a 2 instead of 1, where b is z instead of x", 0);
    assert_true(isnan(e->effect[0].interval.low)); /* every seed says the same: no spread, no interval */
    df_effects_free(e);
}

static void interactions(void **state)
{
    struct made m;
    struct df_effects *e;

    (void)state;
    make(&m, crossed);
    assert_ok(effects_of(&m, "m", &e));
    check(e, 0, "a 2 instead of 1", 6);   /* 5, 6, 7 by seed */
    check(e, 1, "b y instead of x", 2.5); /* 1 + 3 / 2 */
    check(e, 2, "b z instead of x", 8.5);
    check(e, 3, "a 2 instead of 1, where b is y instead of x", 3);
    check(e, 4, "a 2 instead of 1, where b is z instead of x", 9);
    assert_close(e->confidence, 0.99, 1e-12, 0);
    assert_close(e->effect[0].interval.high - 6, df_student_t_quantile(0.995, 2) / sqrt(3), 1e-9, 0);
    df_effects_free(e);
    make(&m, broken);
    assert_ok(effects_of(&m, "m", &e));
    assert_int_equal(e->seeds, 2);
    assert_int_equal(e->left_out, 1);
    check(e, 0, "a 2 instead of 1", 6); /* seeds 0 and 2 */
    df_effects_free(e);
}

static void no_factorial(void **state)
{
    struct made m;
    struct df_effects *e;

    (void)state;
    make(&m, additive);
    m.request.lines = LINES - 1;
    assert_fails(effects_of(&m, "m", &e), DF_ERR_USAGE, "0 lines with variant=v0 a=2 b=z");
    assert_null(e);
    m.request.lines = LINES;
    m.line[1].axes = m.line[0].axes;
    assert_fails(effects_of(&m, "m", &e), DF_ERR_USAGE, "2 lines with variant=v0 a=1 b=x");
    m.line[1].axes = "v0 a=1";
    assert_fails(effects_of(&m, "m", &e), DF_ERR_USAGE, "has 2 options");
    assert_fails(effects_of(&m, "none", &e), DF_ERR_USAGE, "has 0 lines");
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(additive_effects), cmocka_unit_test(interactions),
                                        cmocka_unit_test(no_factorial) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
