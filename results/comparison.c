#include "results/comparison.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "results/environment.h"
#include "results/inference.h"

/* ---- pairs ------------------------------------------------------------------------------------------------------------------------ */

bool df_score_is_cost(const char *metric)
{
    static const char *const costs[] = { "TIDE.",           "calibration.D-ECE", "calibration.MCE", "explain.energy_gap",
                                         "explain.outside", "explain.deletion",  "marker.",         "attack.evasion",
                                         "attack.score" };

    for (size_t i = 0; i < sizeof costs / sizeof *costs; i++)
        if (strncmp(metric, costs[i], strlen(costs[i])) == 0)
            return true;
    return false;
}

const char *df_score_class_dot(const char *text)
{
    return strncmp(text, "AP", 2) == 0 || strncmp(text, "AR", 2) == 0 ? strchr(text, '.') : NULL;
}

/* Points: scores are shares, -1 where there is nothing to measure. (TIDE's FalseNeg may be a little below 0.) */
static double points(const struct df_run_row *row, const struct df_comparison_request *request)
{
    const double value = df_run_row_score(row, request->metric, request->class);

    return value == -1 ? NAN : 100 * value;
}

/* By how much the pair's a is better. */
static double advantage(const struct df_comparison *c, const struct df_compare_pair *pair)
{
    return df_score_is_cost(c->request.metric) ? pair->b - pair->a : pair->a - pair->b;
}

static const struct df_compare_run *find_run(const struct df_compare_side *side, int64_t seed, size_t group)
{
    for (size_t i = 0; i < side->runs; i++)
        if (side->run[i].seed == seed && side->run[i].group == group)
            return &side->run[i];
    return NULL;
}

/* The number of the teacher's hash, of more than one those of the row that has more, among those seen so far. */
static size_t teacher_index(char ***seen, size_t *count, const struct df_run_row *a, const struct df_run_row *b)
{
    char *hash = df_row_teacher(a), *other = df_row_teacher(b);
    size_t t = 0;

    if (strlen(other) > strlen(hash)) {
        free(hash);
        hash = other;
    } else {
        free(other);
    }
    if (!*hash) {
        free(hash);
        return SIZE_MAX;
    }
    while (t < *count && strcmp((*seen)[t], hash) != 0)
        t++;
    if (t == *count) {
        *seen = df_realloc(*seen, (*count + 1) * sizeof **seen);
        (*seen)[(*count)++] = hash;
    } else {
        free(hash);
    }
    return t;
}

/* One of them taught by no others than the other: rows that do not tell their teachers' weights tell their cells. */
static bool share_teacher(const struct df_run_row *a, const struct df_run_row *b)
{
    char *one = df_row_teacher(a), *other = df_row_teacher(b);
    const bool share = df_teachers_pair(one, other);

    free(one);
    free(other);
    return share;
}

/* Why two runs of one seed and group make no pair is counted. */
static bool is_pair(struct df_comparison *c, const struct df_run_row *a, const struct df_run_row *b)
{
    if (df_run_row_ok(a) && df_run_row_ok(b)) {
        if (!share_teacher(a, b))
            c->other_teacher++;
        else if (isnan(points(a, &c->request) - points(b, &c->request)))
            c->unmeasured++;
        else
            return true;
        return false;
    }
    c->missing_a += !a;
    c->missing_b += !b;
    c->failed_a += a && !df_run_row_ok(a);
    c->failed_b += b && !df_run_row_ok(b);
    return false;
}

static int by_seed(const void *a, const void *b)
{
    const struct df_compare_pair *x = a, *y = b;

    if (x->seed != y->seed)
        return x->seed < y->seed ? -1 : 1;
    return (x->group > y->group) - (x->group < y->group);
}

static void find_pairs(struct df_comparison *c, const struct df_compare_side *a, const struct df_compare_side *b)
{
    char **seen = NULL;

    c->pair = df_calloc(a->runs + 1, sizeof *c->pair);
    for (size_t i = 0; i < a->runs; i++) {
        const struct df_compare_run *one = &a->run[i], *other = find_run(b, one->seed, one->group);

        if (!is_pair(c, one->row, other ? other->row : NULL))
            continue;
        c->pair[c->pairs++] = (struct df_compare_pair){ .seed = one->seed,
                                                        .group = one->group,
                                                        .teacher = teacher_index(&seen, &c->teachers, one->row, other->row),
                                                        .run_a = one->row->run,
                                                        .run_b = other->row->run,
                                                        .a = points(one->row, &c->request),
                                                        .b = points(other->row, &c->request) };
        c->other_machine += !df_rows_share_machine(one->row, other->row);
    }
    for (size_t i = 0; i < b->runs; i++)
        c->missing_a += !find_run(a, b->run[i].seed, b->run[i].group);
    qsort(c->pair, c->pairs, sizeof *c->pair, by_seed);
    for (size_t t = 0; t < c->teachers; t++)
        free(seen[t]);
    free(seen);
}

static bool share_runs(const struct df_comparison *c)
{
    for (size_t i = 0; i < c->pairs; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(c->pair[i].run_a, c->pair[j].run_a) == 0 || strcmp(c->pair[i].run_b, c->pair[j].run_b) == 0)
                return true;
    return false;
}

/* What is counted as independent: every pair; a seed, whose pairs share a run; a teacher, whose pairs share it. */
static bool same_unit(const struct df_comparison *c, const struct df_compare_pair *a, const struct df_compare_pair *b)
{
    if (c->request.beyond)
        return a->teacher == b->teacher;
    return c->averaged ? a->seed == b->seed : a == b;
}

static void make_units(struct df_comparison *c)
{
    c->averaged = share_runs(c);
    c->unit = df_calloc(c->pairs + 1, sizeof *c->unit);
    c->runs = df_calloc(c->pairs + 1, sizeof *c->runs);
    for (size_t i = 0; i < c->pairs; i++) {
        double sum = 0;
        size_t n = 0, before = 0;

        while (!same_unit(c, &c->pair[i], &c->pair[before]))
            before++;
        if (before < i)
            continue; /* it is in that one's mean */
        for (size_t j = i; j < c->pairs; j++)
            if (same_unit(c, &c->pair[i], &c->pair[j])) {
                sum += advantage(c, &c->pair[j]);
                df_text_addf(&c->runs[c->units], "%s%s-%s", n++ ? "+" : "", c->pair[j].run_a, c->pair[j].run_b);
            }
        c->unit[c->units++] = sum / (double)n;
    }
}

/* ---- what they say ---------------------------------------------------------------------------------------------------------------- */

/* About how many more units decide it, were mean and sd what they seem: a difference found, or (with a margin) its equivalence. */
static size_t more_units(const struct df_comparison *c)
{
    enum { MOST = 2000 };
    const double mean = fabs(c->interval.mean), sd = c->interval.sd, level = 1 - c->request.confidence;
    const double room = c->request.margin - mean;
    size_t need = mean > 0 ? df_pairs_to_find(mean / sd, level, 0.8, MOST) : 0;

    if (room > 0) {
        const size_t equal = df_pairs_to_find(room / sd, level, 0.8, MOST);

        need = equal && (!need || equal < need) ? equal : need;
    }
    return !need ? SIZE_MAX : need > c->units ? need - c->units : 1;
}

static void judge(struct df_comparison *c)
{
    double *a = df_malloc((c->pairs + 1) * sizeof *a), *b = df_malloc((c->pairs + 1) * sizeof *b);

    for (size_t i = 0; i < c->pairs; i++) {
        a[i] = c->pair[i].a;
        b[i] = c->pair[i].b;
    }
    c->interval = df_mean_interval(c->unit, c->units, c->request.confidence);
    c->verdict = df_verdict_of(&c->interval, c->request.margin);
    c->p = c->holm = df_paired_t_p(c->unit, c->units);
    c->equivalence = c->request.margin > 0 ? df_equivalence_p(c->unit, c->units, c->request.margin) : NAN;
    c->flip = df_sign_flip_p(c->unit, c->units);
    c->improvement =
        df_score_is_cost(c->request.metric) ? df_improvement(b, c->pairs, a, c->pairs) : df_improvement(a, c->pairs, b, c->pairs);
    c->more = c->verdict == DF_UNDECIDED && c->interval.sd > 0 ? more_units(c) : 0;
    free(a);
    free(b);
}

struct df_comparison *df_compare(const struct df_compare_side *a, const struct df_compare_side *b,
                                 const struct df_comparison_request *request)
{
    struct df_comparison *c = df_calloc(1, sizeof *c);
    size_t groups = 0;

    c->request = *request;
    c->a = df_strdup(a->name);
    c->b = df_strdup(b->name);
    c->request.metric = c->metric = df_strdup(request->metric);
    c->request.class = c->class = df_strdup(request->class);
    find_pairs(c, a, b);
    make_units(c);
    for (size_t i = 0; i < a->runs; i++)
        groups = a->run[i].group + 1 > groups ? a->run[i].group + 1 : groups;
    c->per_seed = request->beyond ? 0 : c->averaged ? 1 : groups;
    judge(c);
    return c;
}

void df_comparison_free(struct df_comparison *comparison)
{
    if (!comparison)
        return;
    free(comparison->a);
    free(comparison->b);
    free(comparison->metric);
    free(comparison->class);
    free(comparison->pair);
    for (size_t i = 0; i < comparison->units; i++)
        df_text_release(&comparison->runs[i]);
    free(comparison->runs);
    free(comparison->unit);
    free(comparison);
}

void df_comparisons_adjust(struct df_comparison *const *comparison, size_t count)
{
    double *p = df_malloc((count + 1) * sizeof *p), *adjusted = df_malloc((count + 1) * sizeof *adjusted);

    for (size_t i = 0; i < count; i++)
        p[i] = comparison[i]->p;
    df_holm(p, count, adjusted);
    for (size_t i = 0; i < count; i++)
        comparison[i]->holm = adjusted[i];
    free(p);
    free(adjusted);
}

/* ---- in words --------------------------------------------------------------------------------------------------------------------- */

static const char *plural(size_t n) { return n == 1 ? "" : "s"; }

void df_comparison_count(const struct df_comparison *c, struct df_text *out)
{
    df_text_addf(out, "%zu pair%s", c->pairs, plural(c->pairs));
    if (c->request.beyond)
        df_text_addf(out, ", one mean for each of %zu teacher%s", c->teachers, plural(c->teachers));
    else if (c->teachers == 1)
        df_text_add(out, ", for this teacher");
    else if (c->teachers > 1)
        df_text_addf(out, ", for these %zu teachers", c->teachers);
}

static void add_metric(const struct df_comparison *c, struct df_text *out)
{
    if (strcmp(c->request.metric, "AP") != 0 || c->request.class[0])
        df_text_addf(out, " in %s%s%s", c->request.metric, c->request.class[0] ? " of " : "", c->request.class);
    if (df_score_is_cost(c->request.metric))
        df_text_add(out, ", of which less is better");
}

static void add_undecided(const struct df_comparison *c, struct df_text *out)
{
    const size_t seeds = c->per_seed && c->more != SIZE_MAX ? (c->more + c->per_seed - 1) / c->per_seed : c->more;

    df_text_add(out, "undecided");
    if (c->more == SIZE_MAX)
        df_text_addf(out, ": thousands more %ss, were the difference what it seems%s", c->per_seed ? "seed" : "teacher",
                     c->request.margin > 0 ? "" : "; name one that is small enough to be none");
    else if (c->more)
        df_text_addf(out, ": about %zu more %s%s", seeds, c->per_seed ? "seed" : "teacher", plural(seeds));
}

static void add_verdict(const struct df_comparison *c, struct df_text *out)
{
    const bool small = c->request.margin > 0 && c->interval.low > -c->request.margin && c->interval.high < c->request.margin;

    if (c->verdict == DF_EQUIVALENT)
        df_text_addf(out, "equivalent within %g", c->request.margin);
    else if (c->verdict == DF_UNDECIDED)
        add_undecided(c, out);
    else
        df_text_addf(out, "%s%s", df_verdict_names[c->verdict], small ? ", by less than the margin" : "");
}

/* Where there is no interval: one unit, or units that are all equal. */
static void add_no_interval(const struct df_comparison *c, struct df_text *out)
{
    if (c->units == 1)
        df_text_addf(out, "undecided: one %s has no interval", c->request.beyond ? "teacher" : c->averaged ? "seed" : "pair");
    else if (fabs(c->interval.mean) < 1e-9)
        df_text_add(out, "the same in every pair");
    else
        df_text_add(out, "undecided: equal differences have no spread, and no interval");
}

void df_comparison_sentence(const struct df_comparison *c, struct df_text *out)
{
    if (!c->pairs) {
        df_text_addf(out, "%s and %s", c->a, c->b);
        add_metric(c, out);
        df_text_add(out, " have no pair: undecided.");
        return;
    }
    df_text_addf(out, "%s is %.2f %s than %s", c->a, fabs(c->interval.mean), c->interval.mean < 0 ? "worse" : "better", c->b);
    add_metric(c, out);
    df_text_add(out, " (");
    if (c->interval.sd > 0)
        df_text_addf(out, "%.2f to %.2f; ", c->interval.low, c->interval.high);
    df_comparison_count(c, out);
    df_text_add(out, "): ");
    if (c->interval.sd > 0)
        add_verdict(c, out);
    else
        add_no_interval(c, out);
    df_text_add(out, ".");
}

static void add_p(const struct df_comparison *c, struct df_text *out)
{
    const char *what = c->request.beyond ? "teachers" : c->averaged ? "seeds" : "pairs";

    if (!isnan(c->p))
        df_text_addf(out, "t test: p = %.4g", c->p);
    if (!isnan(c->p) && c->request.comparisons > 1)
        df_text_addf(out, ", Holm's over %zu comparisons %.4g", c->request.comparisons, c->holm);
    if (!isnan(c->equivalence))
        df_text_addf(out, "; equivalence within %g: p = %.4g (two one-sided t tests)", c->request.margin, c->equivalence);
    if (!isnan(c->p))
        df_text_add(out, ".\n");
    if (!isnan(c->flip))
        df_text_addf(out, "sign flips: p = %.4g, exact over 2^%zu patterns.\n", c->flip, c->units);
    else if (c->units && c->units < DF_SIGN_FLIP_FEWEST)
        df_text_addf(out, "sign flips: none asked of %zu %s, whose smallest possible p is %.4g (from %d on).\n", c->units, what,
                     df_sign_flip_least(c->units), DF_SIGN_FLIP_FEWEST);
    else if (c->units)
        df_text_addf(out, "sign flips: not counted for more than %d %s.\n", DF_SIGN_FLIP_MOST, what);
    if (c->pairs)
        df_text_addf(out, "a run of %s beats one of %s, of any seeds, with a chance of %.2f.\n", c->a, c->b, c->improvement);
}

static void add_left_out(const struct df_comparison *c, struct df_text *out)
{
    const struct {
        size_t n;
        const char *what, *whose;
    } why[] = { { c->missing_a, "no row of ", c->a },
                { c->missing_b, "no row of ", c->b },
                { c->failed_a, "a failed run of ", c->a },
                { c->failed_b, "a failed run of ", c->b },
                { c->other_teacher, "taught by other weights", "" },
                { c->unmeasured, "the score was not measured", "" } };

    for (size_t i = 0; i < sizeof why / sizeof *why; i++)
        if (why[i].n)
            df_text_addf(out, "pairs left out: %zu (%s%s).\n", why[i].n, why[i].what, why[i].whose);
    if (c->other_machine)
        df_text_addf(out, "pairs of two machines: %zu; on cuda a machine moves bits, so that the difference holds the machines' too.\n",
                     c->other_machine);
}

void df_comparison_details(const struct df_comparison *c, struct df_text *out)
{
    if (c->averaged && !c->request.beyond)
        df_text_addf(out, "pairs that share a run are not independent: the mean over the teachers of each of %zu seed%s is counted.\n",
                     c->units, plural(c->units));
    if (c->interval.sd > 0)
        df_text_addf(out, "interval: %.4g %% (Student t, %zu degrees)%s; sd of a difference %.2f points.\n", 100 * c->request.confidence,
                     c->units - 1, c->request.comparisons > 1 ? ", so that all hold at once with 95 % (Bonferroni)" : "", c->interval.sd);
    add_p(c, out);
    add_left_out(c, out);
}

/* ---- for programs ----------------------------------------------------------------------------------------------------------------- */

static void add_number(cJSON *object, const char *name, double value)
{
    if (isfinite(value))
        cJSON_AddNumberToObject(object, name, value);
    else
        cJSON_AddNullToObject(object, name);
}

static void add_left_out_json(const struct df_comparison *c, cJSON *root)
{
    cJSON *out = cJSON_AddObjectToObject(root, "left_out");

    add_number(out, "missing_a", (double)c->missing_a);
    add_number(out, "missing_b", (double)c->missing_b);
    add_number(out, "failed_a", (double)c->failed_a);
    add_number(out, "failed_b", (double)c->failed_b);
    add_number(out, "other_teacher", (double)c->other_teacher);
    add_number(out, "unmeasured", (double)c->unmeasured);
}

static void add_pairs_json(const struct df_comparison *c, cJSON *root)
{
    cJSON *list = cJSON_AddArrayToObject(root, "pair");

    for (size_t i = 0; i < c->pairs; i++) {
        cJSON *pair = cJSON_CreateObject();

        add_number(pair, "seed", (double)c->pair[i].seed);
        if (c->pair[i].teacher == SIZE_MAX)
            cJSON_AddNullToObject(pair, "teacher");
        else
            add_number(pair, "teacher", (double)c->pair[i].teacher);
        cJSON_AddStringToObject(pair, "run_a", c->pair[i].run_a);
        cJSON_AddStringToObject(pair, "run_b", c->pair[i].run_b);
        add_number(pair, "a", c->pair[i].a);
        add_number(pair, "b", c->pair[i].b);
        cJSON_AddItemToArray(list, pair);
    }
}

cJSON *df_comparison_json(const struct df_comparison *c)
{
    struct df_text sentence = DF_TEXT_INIT;
    cJSON *root = cJSON_CreateObject();
    const struct {
        const char *name;
        double value;
    } numbers[] = { { "difference", c->interval.mean },
                    { "low", c->interval.low },
                    { "high", c->interval.high },
                    { "sd", c->interval.sd },
                    { "p", c->p },
                    { "p_holm", c->holm },
                    { "p_equivalence", c->equivalence },
                    { "p_sign_flip", c->flip },
                    { "improvement", c->improvement } };

    df_comparison_sentence(c, &sentence);
    cJSON_AddStringToObject(root, "sentence", df_text_get(&sentence));
    cJSON_AddStringToObject(root, "verdict", df_verdict_names[c->verdict]);
    cJSON_AddStringToObject(root, "a", c->a);
    cJSON_AddStringToObject(root, "b", c->b);
    cJSON_AddStringToObject(root, "metric", c->request.metric);
    cJSON_AddStringToObject(root, "class", c->request.class);
    cJSON_AddBoolToObject(root, "less_is_better", df_score_is_cost(c->request.metric));
    add_number(root, "confidence", c->request.confidence);
    add_number(root, "comparisons", (double)c->request.comparisons);
    add_number(root, "margin", c->request.margin > 0 ? c->request.margin : NAN);
    cJSON_AddBoolToObject(root, "beyond_teachers", c->request.beyond);
    add_number(root, "pairs", (double)c->pairs);
    add_number(root, "units", (double)c->units);
    add_number(root, "teachers", (double)c->teachers);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        add_number(root, numbers[i].name, numbers[i].value);
    add_number(root, "more_units", c->more && c->more != SIZE_MAX ? (double)c->more : NAN);
    add_number(root, "pairs_of_two_machines", (double)c->other_machine);
    add_left_out_json(c, root);
    add_pairs_json(c, root);
    df_text_release(&sentence);
    return root;
}
