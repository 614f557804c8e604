#include "results/looks.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/rng.h"
#include "core/base/status.h"

#define PI 3.14159265358979323846

const char *const df_verdict_names[] = { "undecided", "better", "worse", "equivalent" };

/* ---- the chain of angles ---------------------------------------------------------------------------------------------------------- */

/* Mass per cell of the angle; cell i is centred on (i + 1/2) STEP, from 0 to pi. The mass is symmetric about pi / 2. */
enum { CELLS = 2000, TURNS = 201 };
#define STEP (PI / CELLS)

static void scale_to(double *mass, size_t n, double sum)
{
    double is = 0;

    for (size_t i = 0; i < n; i++)
        is += mass[i];
    for (size_t i = 0; i < n && is > 0; i++)
        mass[i] *= sum / is;
}

static void first_angles(size_t pairs, double *mass)
{
    for (size_t i = 0; i < CELLS; i++)
        mass[i] = exp(((double)pairs - 2) * log(sin(((double)i + 0.5) * STEP)));
    scale_to(mass, CELLS, 1);
}

/* The turns that a pair behind n others can give, and their chances. */
static void turns_of(size_t n, double *psi, double *chance)
{
    const double wide = fmin(PI / 2, 9 / sqrt((double)n));

    for (size_t j = 0; j < TURNS; j++) {
        psi[j] = wide * (2 * ((double)j + 0.5) / TURNS - 1);
        chance[j] = exp(((double)n - 1) * log(cos(psi[j])));
    }
    scale_to(chance, TURNS, 1);
}

/* Into the two cells whose centres the angle lies between. */
static void put(double *mass, double angle, double part)
{
    const double at = angle / STEP - 0.5, cell = floor(at), share = at - cell;
    const size_t low = cell < 0 ? 0 : (size_t)cell, high = cell + 1 >= CELLS ? CELLS - 1 : (size_t)(cell + 1);

    mass[low] += part * (1 - share);
    mass[high] += part * share;
}

/* One more pair behind n. */
static void add_pair(size_t n, double *mass, double *next)
{
    const double root = sqrt((double)n), whole = sqrt((double)n + 1);
    double psi[TURNS], chance[TURNS];

    turns_of(n, psi, chance);
    memset(next, 0, CELLS * sizeof *next);
    for (size_t i = 0; i < CELLS / 2; i++) {
        if (mass[i] <= 0)
            continue;
        for (size_t j = 0; j < TURNS; j++)
            put(next, acos(fmax(-1, fmin(1, (root * cos(((double)i + 0.5) * STEP) * cos(psi[j]) + sin(psi[j])) / whole))),
                mass[i] * chance[j]);
    }
    for (size_t i = 0; i < CELLS / 2; i++) /* the other half is the mirror of this one */
        mass[i] = mass[CELLS - 1 - i] = next[i] + next[CELLS - 1 - i];
}

/* Takes `level` off both ends together; the angle where it was cut. */
static double cut(double *mass, double level)
{
    double left = level / 2;

    for (size_t i = 0; i < CELLS / 2; i++) {
        if (mass[i] >= left) {
            const double share = left / mass[i];

            mass[i] -= left;
            mass[CELLS - 1 - i] = mass[i];
            return ((double)i + share) * STEP;
        }
        left -= mass[i];
        mass[i] = mass[CELLS - 1 - i] = 0;
    }
    return PI / 2;
}

void df_looks_bounds(const struct df_looks_plan *plan, const size_t *pairs, size_t looks, double *bound, double *spent)
{
    double *mass = df_malloc(2 * CELLS * sizeof *mass), *next = mass + CELLS, before = 0;
    size_t n = looks ? pairs[0] : 0;

    DF_ASSERT(!looks || (pairs[0] >= 2 && pairs[looks - 1] <= plan->most));
    if (looks)
        first_angles(n, mass);
    for (size_t k = 0; k < looks; k++) {
        const double now = plan->level * (double)pairs[k] / (double)plan->most;

        for (; n < pairs[k]; n++)
            add_pair(n, mass, next);
        const double angle = cut(mass, now - before);

        bound[k] = k ? sqrt((double)n - 1) / tan(angle) : df_student_t_quantile(1 - now / 2, (double)n - 1);
        if (spent)
            spent[k] = now;
        before = now;
    }
    free(mass);
}

/* ---- what a look says ------------------------------------------------------------------------------------------------------------- */

struct df_interval df_look_interval(const double *values, size_t n, double bound)
{
    struct df_interval i = df_mean_spread(values, n);
    const double half = bound * i.sd / sqrt((double)n);

    if (!(i.sd > 0))
        return i;
    i.low = i.mean - half;
    i.high = i.mean + half;
    return i;
}

enum df_verdict df_verdict_of(const struct df_interval *interval, double margin)
{
    if (interval->low > 0)
        return DF_BETTER;
    if (interval->high < 0)
        return DF_WORSE;
    return margin > 0 && interval->low > -margin && interval->high < margin ? DF_EQUIVALENT : DF_UNDECIDED;
}

/* ---- made-up experiments ---------------------------------------------------------------------------------------------------------- */

static double draw(struct df_rng *rng, enum df_tails tails)
{
    const double normal = df_rng_normal(rng);
    double squares = 0;

    if (tails == DF_TAILS_NORMAL)
        return normal;
    for (int i = 0; i < 3; i++) {
        const double other = df_rng_normal(rng);

        squares += other * other;
    }
    return normal / sqrt(squares / 3) / sqrt(3); /* the variance of t with 3 degrees is 3 */
}

/* One experiment from its own stream; *pairs: when it ended. */
static enum df_verdict try_one(const struct df_looks_plan *plan, const struct df_experiments *e, size_t index, const double *bound,
                               double *value, size_t *pairs)
{
    struct df_rng rng;

    df_rng_init(&rng, e->seed, DF_RNG_BOOTSTRAP, index);
    for (size_t n = 0; n < plan->most;) {
        value[n++] = e->mean + e->sd * draw(&rng, e->tails);
        *pairs = n;
        if (n < e->first)
            continue;
        const struct df_interval interval = df_look_interval(value, n, bound[n - e->first]);
        const enum df_verdict verdict = df_verdict_of(&interval, plan->margin);

        if (verdict != DF_UNDECIDED)
            return verdict;
    }
    return DF_UNDECIDED;
}

static struct df_experiments_result try_all(const struct df_looks_plan *plan, const struct df_experiments *e, const double *bound)
{
    double *value = df_malloc(plan->most * sizeof *value);
    struct df_experiments_result r = { { 0 }, 0 };

    for (size_t i = 0; i < e->count; i++) {
        size_t pairs = 0;

        r.verdict[try_one(plan, e, i, bound, value, &pairs)] += 1 / (double)e->count;
        r.pairs += (double)pairs / (double)e->count;
    }
    free(value);
    return r;
}

static double *bounds_from(const struct df_looks_plan *plan, size_t first)
{
    const size_t looks = plan->most - first + 1;
    double *bound = df_malloc(looks * sizeof *bound);
    size_t *pairs = df_malloc(looks * sizeof *pairs);

    for (size_t k = 0; k < looks; k++)
        pairs[k] = first + k;
    df_looks_bounds(plan, pairs, looks, bound, NULL);
    free(pairs);
    return bound;
}

struct df_experiments_result df_looks_try(const struct df_looks_plan *plan, const struct df_experiments *experiments)
{
    double *bound = bounds_from(plan, experiments->first);
    const struct df_experiments_result r = try_all(plan, experiments, bound);

    free(bound);
    return r;
}

static bool is_enough(const struct df_looks_plan *plan, double sd, size_t first, double power)
{
    struct df_experiments e = { .mean = plan->margin, .sd = sd, .first = first, .count = 2000 };
    double *bound = bounds_from(plan, first);
    const double found = try_all(plan, &e, bound).verdict[DF_BETTER];

    e.mean = 0;
    const double equal = try_all(plan, &e, bound).verdict[DF_EQUIVALENT];

    free(bound);
    return found >= power && equal >= power;
}

size_t df_looks_needed(const struct df_looks_plan *plan, double sd, size_t first, double power)
{
    const size_t limit = DF_LOOKS_MOST / 4;
    struct df_looks_plan p = *plan;
    size_t low = first - 1, high = first + 1;

    for (p.most = high; !is_enough(&p, sd, first, power); p.most = high) {
        if (high == limit)
            return 0;
        low = high;
        high = 2 * high < limit ? 2 * high : limit;
    }
    while (high - low > 1) {
        p.most = low + (high - low) / 2;
        if (is_enough(&p, sd, first, power))
            high = p.most;
        else
            low = p.most;
    }
    return high;
}
