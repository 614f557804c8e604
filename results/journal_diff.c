#include "results/journal_diff.h"

#include <stdio.h>
#include <string.h>

#include "results/csv_rows.h"

/* What of two rows differs: how many values, and of the first its name and what each row says, as CSV cells. */
struct found {
    size_t values;
    struct df_text name, here, there;
};

/* Compares the cells that a and b hold; keeps the first pair that differs, under the name. */
static void compare_cells(struct found *found, struct df_text *a, struct df_text *b, const char *name)
{
    if (strcmp(df_text_get(a), df_text_get(b)) != 0 && found->values++ == 0) {
        df_text_add(&found->name, name);
        df_text_add(&found->here, a->length ? a->data : "nothing");
        df_text_add(&found->there, b->length ? b->data : "nothing");
    }
    df_text_clear(a);
    df_text_clear(b);
}

static void compare_columns(struct found *found, const struct df_run_row *a, const struct df_run_row *b)
{
    struct df_text x = DF_TEXT_INIT, y = DF_TEXT_INIT;

    for (const struct df_run_column *column = df_run_columns; column->name; column++)
        if (column->deterministic) {
            df_csv_add_column(&x, a, column, true);
            df_csv_add_column(&y, b, column, true);
            compare_cells(found, &x, &y, column->name);
        }
    df_text_release(&x);
    df_text_release(&y);
}

static const struct df_score *score_named(const struct df_scores *scores, const struct df_score *like)
{
    for (size_t i = 0; i < scores->count; i++)
        if (strcmp(scores->score[i].metric, like->metric) == 0 && strcmp(scores->score[i].class, like->class) == 0)
            return &scores->score[i];
    return NULL;
}

/* One score of both rows; NULL: a row has none of that name. */
static void compare_score(struct found *found, const struct df_score *a, const struct df_score *b)
{
    const struct df_score *named = a ? a : b;
    struct df_text name = DF_TEXT_INIT, x = DF_TEXT_INIT, y = DF_TEXT_INIT;

    df_text_addf(&name, "%s%s%s", named->metric, named->class[0] ? " of " : "", named->class);
    if (a)
        df_csv_add_real(&x, a->value, true);
    if (b)
        df_csv_add_real(&y, b->value, true);
    if (!a != !b) /* a score that is not finite is an empty cell, too */
        df_text_add(a ? &y : &x, "no such score");
    compare_cells(found, &x, &y, name.data);
    df_text_release(&name);
    df_text_release(&x);
    df_text_release(&y);
}

static void compare_scores(struct found *found, const struct df_scores *a, const struct df_scores *b)
{
    for (size_t i = 0; i < a->count; i++)
        compare_score(found, &a->score[i], score_named(b, &a->score[i]));
    for (size_t i = 0; i < b->count; i++)
        if (!score_named(a, &b->score[i]))
            compare_score(found, NULL, &b->score[i]);
}

/* The next point from *at on that is not telemetry's; NULL: there is none. */
static const struct df_curve_point *next_point(const struct df_curve *curve, size_t *at)
{
    while (*at < curve->count && df_curve_point_looks_on(&curve->point[*at]))
        ++*at;
    return *at < curve->count ? &curve->point[(*at)++] : NULL;
}

/* "tune AP at step 200,0.8,0.085"; no such point: nothing. */
static void add_point(const struct df_curve_point *point, struct df_text *out)
{
    if (!point)
        return;
    df_text_addf(out, "%s %s at step %lld", point->split, point->metric, (long long)point->step);
    df_csv_add_real(out, point->epoch, false);
    df_csv_add_real(out, point->value, false);
}

static void compare_curves(struct found *found, const struct df_curve *a, const struct df_curve *b)
{
    struct df_text x = DF_TEXT_INIT, y = DF_TEXT_INIT;
    size_t at = 0, in_b = 0;
    char name[64];

    for (size_t i = 1;; i++) {
        const struct df_curve_point *one = next_point(a, &at), *other = next_point(b, &in_b);

        if (!one && !other)
            break;
        add_point(one, &x);
        add_point(other, &y);
        snprintf(name, sizeof name, "value %zu of the curve (epoch, value)", i);
        compare_cells(found, &x, &y, name);
    }
    df_text_release(&x);
    df_text_release(&y);
}

/* Adds a line if the rows differ; true: they are the same. */
static bool compare_rows(const struct df_run_row *a, const struct df_run_row *b, struct df_text *said)
{
    struct found found = { 0 };

    compare_columns(&found, a, b);
    compare_scores(&found, &a->scores, &b->scores);
    compare_curves(&found, &a->curve, &b->curve);
    if (found.values)
        df_text_addf(said, "%s%s%s seed %lld (run %s): %zu values differ; the first: %s is %.80s here, %.80s there\n", a->label,
                     a->axes[0] ? " " : "", a->axes, (long long)a->seed, a->run, found.values, found.name.data, found.here.data,
                     found.there.data);
    df_text_release(&found.name);
    df_text_release(&found.here);
    df_text_release(&found.there);
    return found.values == 0;
}

static int order_of(const struct df_run_row *a, const struct df_run_row *b)
{
    const int by_run = strcmp(a->run, b->run);

    return by_run || strncmp(a->device, "cuda", 4) != 0 ? by_run : strcmp(a->environment, b->environment);
}

/* The row of the same cell (and environment, where that decides); NULL: there is none. */
static const struct df_run_row *counterpart(const struct df_journal *journal, const struct df_run_row *row)
{
    for (size_t i = 0; i < journal->runs; i++)
        if (order_of(row, &journal->run[i]) == 0)
            return &journal->run[i];
    return NULL;
}

static bool has_semantics(const struct df_journal *journal, int64_t semantics)
{
    for (size_t i = 0; i < journal->runs; i++)
        if (journal->run[i].semantics == semantics)
            return true;
    return false;
}

void df_journal_compare(const struct df_journal *here, const struct df_journal *there, struct df_journal_diff *diff, struct df_text *said)
{
    for (size_t i = 0; i < here->runs; i++) {
        const struct df_run_row *other = counterpart(there, &here->run[i]);

        if (!other)
            diff->only_here++;
        else if (compare_rows(&here->run[i], other, said))
            diff->equal++;
        else
            diff->differ++;
    }
    for (size_t i = 0; i < there->runs; i++)
        if (!has_semantics(here, there->run[i].semantics))
            diff->versions++;
        else if (!counterpart(here, &there->run[i]))
            diff->only_there++;
}
