#include "results/effects.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "results/inference.h"

/* The lines of the label, and the value of every axis in each. */
struct design {
    const struct df_table_line_request **line;
    size_t *level; /* [lines, axes] */
    double *score; /* [lines, seeds] points; NAN: none */
    size_t seeds;
};

/* ---- axes ------------------------------------------------------------------------------------------------------------------------- */

static size_t find_axis(struct df_effects *e, const char *name, size_t bytes)
{
    size_t a = 0;

    while (a < e->axes && (strlen(e->axis[a].name) != bytes || strncmp(e->axis[a].name, name, bytes) != 0))
        a++;
    if (a == e->axes) {
        e->axis = df_realloc(e->axis, (e->axes + 1) * sizeof *e->axis);
        e->axis[e->axes] = (struct df_axis){ .name = df_strdup(name) };
        e->axis[e->axes++].name[bytes] = 0;
    }
    return a;
}

static size_t find_value(struct df_axis *axis, const char *value, size_t bytes)
{
    size_t v = 0;

    while (v < axis->values && (strlen(axis->value[v]) != bytes || strncmp(axis->value[v], value, bytes) != 0))
        v++;
    if (v == axis->values) {
        axis->value = df_realloc(axis->value, (axis->values + 1) * sizeof *axis->value);
        axis->value[axis->values] = df_strdup(value);
        axis->value[axis->values++][bytes] = 0;
    }
    return v;
}

/* One word of a line's options: "w_fg=4"; without a name it is a variant's label. */
static void take_word(struct df_effects *e, const char *word, size_t bytes, size_t *axis, size_t *value)
{
    const char *equals = memchr(word, '=', bytes);
    const size_t name = equals ? (size_t)(equals - word) : strlen("variant");

    *axis = find_axis(e, equals ? word : "variant", name);
    *value = find_value(&e->axis[*axis], equals ? equals + 1 : word, equals ? bytes - name - 1 : bytes);
}

/* Reads every line's options twice: the axes must be known before the levels have a place. */
static df_status read_levels(struct df_effects *e, struct design *d, const char *label, struct df_error *err)
{
    for (int pass = 0; pass < 2; pass++)
        for (size_t l = 0; l < e->lines; l++) {
            size_t words = 0;

            for (const char *at = d->line[l]->axes; *at; at += strspn(at, " ")) {
                const size_t bytes = strcspn(at, " ");
                size_t axis, value;

                take_word(e, at, bytes, &axis, &value);
                if (pass == 1)
                    d->level[l * e->axes + axis] = value;
                at += bytes;
                words++;
            }
            if (pass == 1 && words != e->axes)
                return df_fail(err, DF_ERR_USAGE, "'%s': the line '%s' has %zu options, others have %zu: no full factorial", label,
                               d->line[l]->axes, words, e->axes);
            if (pass == 0 && l + 1 == e->lines) {
                free(d->level);
                d->level = df_calloc(e->lines * e->axes + 1, sizeof *d->level);
            }
        }
    return DF_OK;
}

static size_t lines_with(const struct df_effects *e, const struct design *d, const size_t *level)
{
    size_t n = 0;

    for (size_t l = 0; l < e->lines; l++)
        n += memcmp(d->level + l * e->axes, level, e->axes * sizeof *level) == 0;
    return n;
}

static df_status check_factorial(const struct df_effects *e, const struct design *d, const char *label, struct df_error *err)
{
    size_t *level = df_calloc(e->axes + 1, sizeof *level), a = 0;
    df_status status = DF_OK;

    while (a < e->axes && status == DF_OK) { /* counts through all combinations */
        const size_t n = lines_with(e, d, level);
        struct df_text name = DF_TEXT_INIT;

        for (size_t i = 0; n != 1 && i < e->axes; i++)
            df_text_addf(&name, "%s%s=%s", i ? " " : "", e->axis[i].name, e->axis[i].value[level[i]]);
        if (n != 1)
            status = df_fail(err, DF_ERR_USAGE, "'%s': %zu lines with %s, expected one: no full factorial", label, n, df_text_get(&name));
        df_text_release(&name);
        for (a = 0; a < e->axes && ++level[a] == e->axis[a].values; a++)
            level[a] = 0;
    }
    free(level);
    return status;
}

/* ---- scores ----------------------------------------------------------------------------------------------------------------------- */

static const struct df_run_row *row_of_seed(const struct df_journal *journal, const struct df_table_line_request *line, int64_t seed,
                                            int64_t semantics)
{
    for (size_t i = 0; i < line->runs; i++)
        if (line->seed[i] == seed)
            return df_journal_find(journal, line->run[i], semantics);
    return NULL;
}

/* The scores of the seeds that every line has; the first line's seeds are all that may be. */
static void read_scores(struct df_effects *e, struct design *d, const struct df_journal *journal, const struct df_effects_request *request)
{
    const struct df_table_line_request *first = d->line[0];

    d->score = df_calloc(e->lines * first->runs + 1, sizeof *d->score);
    for (size_t i = 0; i < first->runs; i++) {
        bool whole = true;

        for (size_t l = 0; l < e->lines; l++) {
            const struct df_run_row *row = row_of_seed(journal, d->line[l], first->seed[i], request->table->semantics);
            const double value = df_run_row_ok(row) ? df_run_row_score(row, request->metric, request->class) : NAN;

            d->score[e->seeds * e->lines + l] = 100 * value;
            whole &= value >= 0;
        }
        e->seeds += whole;
        e->left_out += !whole;
    }
}

/* ---- effects ---------------------------------------------------------------------------------------------------------------------- */

/* +1 at the value, -1 at the axis' first, 0 elsewhere; scaled so that sums over the lines are differences of means. */
static double weight(const struct df_effects *e, const struct design *d, size_t line, size_t axis, size_t value)
{
    const size_t level = d->level[line * e->axes + axis];

    return (level == value ? 1 : level == 0 ? -1 : 0) * (double)e->axis[axis].values;
}

static void fill_effect(const struct df_effects *e, const struct design *d, struct df_effect *effect)
{
    double *value = df_calloc(e->seeds + 1, sizeof *value);

    for (size_t s = 0; s < e->seeds; s++)
        for (size_t l = 0; l < e->lines; l++) {
            const double one = weight(e, d, l, effect->axis[0], effect->value[0]);
            const double other = effect->axis[1] == SIZE_MAX ? 1 : weight(e, d, l, effect->axis[1], effect->value[1]);

            value[s] += one * other * d->score[s * e->lines + l] / (double)e->lines;
        }
    effect->interval = df_mean_interval(value, e->seeds, e->confidence);
    effect->p = df_paired_t_p(value, e->seeds);
    free(value);
}

static void add_effect(struct df_effects *e, size_t axis, size_t value, size_t other_axis, size_t other_value)
{
    e->effect = df_realloc(e->effect, (e->effects + 1) * sizeof *e->effect);
    e->effect[e->effects++] = (struct df_effect){ { axis, other_axis }, { value, other_value }, { .mean = NAN }, NAN };
}

static void list_effects(struct df_effects *e)
{
    for (size_t a = 0; a < e->axes; a++)
        for (size_t v = 1; v < e->axis[a].values; v++)
            add_effect(e, a, v, SIZE_MAX, 0);
    for (size_t a = 0; a < e->axes; a++)
        for (size_t b = a + 1; b < e->axes; b++)
            for (size_t v = 1; v < e->axis[a].values; v++)
                for (size_t w = 1; w < e->axis[b].values; w++)
                    add_effect(e, a, v, b, w);
}

static void fill_effects(struct df_effects *e, const struct design *d)
{
    list_effects(e);
    double *p = df_malloc((2 * e->effects + 1) * sizeof *p), *adjusted = p + e->effects;

    e->confidence = df_simultaneous(0.95, e->effects);
    for (size_t i = 0; i < e->effects; i++) {
        fill_effect(e, d, &e->effect[i]);
        p[i] = e->effect[i].p;
    }
    df_holm(p, e->effects, adjusted);
    for (size_t i = 0; i < e->effects; i++)
        e->effect[i].p = adjusted[i];
    free(p);
}

df_status df_effects_of(const struct df_journal *journal, const struct df_effects_request *request, struct df_effects **out,
                        struct df_error *err)
{
    const struct df_table_request *table = request->table;
    struct df_effects *e = df_calloc(1, sizeof *e);
    struct design d = { .line = df_calloc(table->lines + 1, sizeof(const struct df_table_line_request *)) };
    df_status status = DF_OK;

    *out = NULL;
    for (size_t l = 0; l < table->lines; l++)
        if (strcmp(table->line[l].label, request->label) == 0)
            d.line[e->lines++] = &table->line[l];
    if (e->lines < 2)
        status = df_fail(err, DF_ERR_USAGE, "'%s' has %zu lines: effects need a method whose options have lists of values", request->label,
                         e->lines);
    if (status == DF_OK)
        status = read_levels(e, &d, request->label, err);
    if (status == DF_OK)
        status = check_factorial(e, &d, request->label, err);
    if (status == DF_OK) {
        read_scores(e, &d, journal, request);
        fill_effects(e, &d);
        *out = e;
    } else {
        df_effects_free(e);
    }
    free(d.line);
    free(d.level);
    free(d.score);
    return status;
}

void df_effects_free(struct df_effects *effects)
{
    if (!effects)
        return;
    for (size_t a = 0; a < effects->axes; a++) {
        for (size_t v = 0; v < effects->axis[a].values; v++)
            free(effects->axis[a].value[v]);
        free(effects->axis[a].value);
        free(effects->axis[a].name);
    }
    free(effects->axis);
    free(effects->effect);
    free(effects);
}

void df_effect_name(const struct df_effects *effects, const struct df_effect *effect, struct df_text *out)
{
    for (int k = 0; k < 2 && effect->axis[k] != SIZE_MAX; k++) {
        const struct df_axis *axis = &effects->axis[effect->axis[k]];

        df_text_addf(out, "%s%s %s%s instead of %s", k ? ", where " : "", axis->name, k ? "is " : "", axis->value[effect->value[k]],
                     axis->value[0]);
    }
}
