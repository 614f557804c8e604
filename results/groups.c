/* The letters: one group of all lines; every pair that is told apart splits the groups that hold both; a group inside another one goes. What is
 * left are the largest sets without such a pair. */
#include "results/groups.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/arena.h"
#include "results/inference.h"
#include "results/pairs.h"

enum { SETS_MOST = 512 }; /* on the way to the letters, where there may be more than in the end */
static const double level = 0.05;

/* ---- sets of lines ---- */

struct sets {
    size_t count, room, lines;
    bool *in; /* [count, lines] */
};

static bool *set_of(const struct sets *sets, size_t s) { return sets->in + s * sets->lines; }

static bool *add_set(struct sets *sets)
{
    if (sets->count == sets->room) {
        sets->room = 2 * sets->room + 8;
        sets->in = df_realloc(sets->in, sets->room * sets->lines * sizeof *sets->in);
    }
    return set_of(sets, sets->count++);
}

static bool is_inside(const struct sets *sets, size_t s, size_t other)
{
    for (size_t l = 0; l < sets->lines; l++)
        if (set_of(sets, s)[l] && !set_of(sets, other)[l])
            return false;
    return true;
}

/* Of equal sets the first one stays. */
static void absorb(struct sets *sets)
{
    size_t kept = 0;

    for (size_t s = 0; s < sets->count; s++) {
        bool inside = false;

        for (size_t other = 0; other < sets->count && !inside; other++)
            inside = other != s && is_inside(sets, s, other) && (other < s || !is_inside(sets, other, s));
        if (!inside)
            memmove(set_of(sets, kept++), set_of(sets, s), sets->lines * sizeof *sets->in);
    }
    sets->count = kept;
}

static void split(struct sets *sets, size_t i, size_t j)
{
    for (size_t s = 0, before = sets->count; s < before; s++) {
        if (!set_of(sets, s)[i] || !set_of(sets, s)[j])
            continue;
        bool *without = add_set(sets);

        memcpy(without, set_of(sets, s), sets->lines * sizeof *without);
        without[j] = false;
        set_of(sets, s)[i] = false;
    }
    absorb(sets);
}

/* The one whose first member is earlier goes first. */
static int by_members(const void *a, const void *b, void *lines) { return memcmp(b, a, *(size_t *)lines); }

/* apart: [lines, lines]. */
static df_status find_sets(const bool *apart, struct sets *sets, struct df_error *err)
{
    size_t lines = sets->lines;

    memset(add_set(sets), true, lines * sizeof *sets->in);
    for (size_t i = 0; i < lines; i++)
        for (size_t j = i + 1; j < lines && sets->count <= SETS_MOST; j++)
            if (apart[i * lines + j])
                split(sets, i, j);
    if (sets->count > SETS_MOST)
        return df_fail(err, DF_ERR_UNSUPPORTED, "%zu lines fall into too many overlapping groups: more than %d before all pairs are asked",
                       lines, SETS_MOST);
    if (sets->count > DF_GROUP_LETTERS)
        return df_fail(err, DF_ERR_UNSUPPORTED, "%zu lines fall into more than %d overlapping groups: there are no letters for so many",
                       lines, DF_GROUP_LETTERS);
    qsort_r(sets->in, sets->count, lines * sizeof *sets->in, by_members, &lines);
    return DF_OK;
}

/* ---- the lines of a variant ---- */

struct part {
    size_t lines;
    size_t *line; /* [lines] of the request, in the order of df_groups */
    struct df_line_rows *rows;
};

static const char *variant_of(const struct df_table_line_request *line) { return line->variant ? line->variant : ""; }

static struct df_interval ap_of(const struct df_line_rows *rows)
{
    double *value = df_malloc(rows->count * sizeof *value + 1);
    const size_t n = df_row_percents(rows, df_table_metrics[DF_TABLE_AP], "", value);
    const struct df_interval interval = df_mean_interval(value, n, 1 - level);

    free(value);
    return interval;
}

/* Falling mean, then the request's order; lines without runs last. */
static void insert_line(const struct df_interval *ap, size_t line, struct part *part)
{
    size_t at = part->lines++;

    for (; at > 0 && ap[line].n && (!ap[part->line[at - 1]].n || ap[line].mean > ap[part->line[at - 1]].mean); at--)
        part->line[at] = part->line[at - 1];
    part->line[at] = line;
}

/* p of line i against line j, and which of them is ahead: the sign of its mean. NAN: nothing can be said. */
static double compare_lines(const struct part *part, size_t i, size_t j, double *mean, size_t *unpaired)
{
    const struct df_line_rows *one = &part->rows[part->line[i]], *other = &part->rows[part->line[j]];
    double *difference = df_malloc(one->count * sizeof *difference + 1);
    const size_t n = df_row_differences(one, other, df_table_metrics[DF_TABLE_AP], difference, unpaired);
    const double p = df_paired_t_p(difference, n);

    *mean = df_mean_spread(difference, n).mean;
    free(difference);
    return p;
}

/* apart: [lines, lines] of the part, both ways; first: where its lines begin in `groups`. */
static void tell_apart(const struct part *part, size_t first, struct df_groups *groups, bool *apart)
{
    const size_t lines = part->lines, pairs = lines * (lines - 1) / 2;
    double *p = df_malloc((pairs + 1) * sizeof *p), *adjusted = df_malloc((pairs + 1) * sizeof *adjusted);
    double *mean = df_malloc((pairs + 1) * sizeof *mean);
    size_t k = 0;

    for (size_t i = 0; i < lines; i++)
        for (size_t j = i + 1; j < lines; j++, k++)
            p[k] = compare_lines(part, i, j, &mean[k], &groups->unpaired);
    df_holm(p, pairs, adjusted);
    k = 0;
    for (size_t i = 0; i < lines; i++)
        for (size_t j = i + 1; j < lines; j++, k++) {
            const bool told = adjusted[k] < level;

            apart[i * lines + j] = apart[j * lines + i] = told;
            groups->line[first + (mean[k] > 0 ? i : j)].ahead += told;
            groups->line[first + (mean[k] > 0 ? j : i)].behind += told;
        }
    groups->comparisons = pairs > groups->comparisons ? pairs : groups->comparisons;
    free(p);
    free(adjusted);
    free(mean);
}

static void give_letters(const struct sets *sets, size_t line, struct df_group_line *to, struct df_arena *memory)
{
    char letters[DF_GROUP_LETTERS + 1];
    size_t n = 0;

    for (size_t s = 0; s < sets->count; s++)
        if (set_of(sets, s)[line])
            letters[n++] = (char)('a' + s);
    letters[n] = 0;
    to->letters = to->ap.n ? df_arena_strdup(memory, letters) : "";
}

static df_status group_part(const struct part *part, size_t first, struct df_groups *groups, struct df_error *err)
{
    struct sets sets = { .lines = part->lines };
    bool *apart = df_calloc(part->lines * part->lines, sizeof *apart);

    tell_apart(part, first, groups, apart);
    const df_status status = find_sets(apart, &sets, err);

    for (size_t i = 0; i < part->lines && status == DF_OK; i++)
        give_letters(&sets, i, &groups->line[first + i], groups->memory);
    free(sets.in);
    free(apart);
    return status;
}

/* The lines of the variant that line `lead` is the first of. */
static void collect_part(const struct df_table_request *request, const struct df_interval *ap, size_t lead, struct part *part)
{
    part->lines = 0;
    for (size_t l = lead; l < request->lines; l++)
        if (strcmp(variant_of(&request->line[l]), variant_of(&request->line[lead])) == 0)
            insert_line(ap, l, part);
}

static bool leads(const struct df_table_request *request, size_t line)
{
    for (size_t l = 0; l < line; l++)
        if (strcmp(variant_of(&request->line[l]), variant_of(&request->line[line])) == 0)
            return false;
    return true;
}

static void copy_lines(const struct df_table_request *request, const struct df_interval *ap, const struct part *part, size_t first,
                       struct df_groups *groups)
{
    for (size_t i = 0; i < part->lines; i++) {
        const struct df_table_line_request *from = &request->line[part->line[i]];

        groups->line[first + i] = (struct df_group_line){ .label = df_arena_strdup(groups->memory, from->label),
                                                          .axes = df_arena_strdup(groups->memory, from->axes),
                                                          .variant = df_arena_strdup(groups->memory, variant_of(from)),
                                                          .expected = from->runs,
                                                          .ap = ap[part->line[i]] };
    }
}

static df_status group_all(const struct df_journal *journal, const struct df_table_request *request, struct df_groups *groups,
                           struct df_error *err)
{
    struct part part = { .line = df_malloc(request->lines * sizeof *part.line), .rows = df_malloc(request->lines * sizeof *part.rows) };
    struct df_interval *ap = df_malloc(request->lines * sizeof *ap);
    df_status status = DF_OK;
    size_t first = 0;

    for (size_t l = 0; l < request->lines; l++) {
        part.rows[l] = df_line_rows_find(journal, request->line[l].runs, request->line[l].run, request->semantics);
        ap[l] = ap_of(&part.rows[l]);
    }
    for (size_t l = 0; l < request->lines && status == DF_OK; l++) {
        if (!leads(request, l))
            continue;
        collect_part(request, ap, l, &part);
        copy_lines(request, ap, &part, first, groups);
        status = group_part(&part, first, groups, err);
        first += part.lines;
    }
    for (size_t l = 0; l < request->lines; l++)
        df_line_rows_release(&part.rows[l]);
    free(part.rows);
    free(part.line);
    free(ap);
    return status;
}

df_status df_groups_build(const struct df_journal *journal, const struct df_table_request *request, struct df_groups **out,
                          struct df_error *err)
{
    *out = NULL;
    if (request->lines == 0)
        return df_fail(err, DF_ERR_USAGE, "groups of no lines: expected at least one");
    struct df_groups *groups = df_calloc(1, sizeof *groups);

    groups->memory = df_calloc(1, sizeof *groups->memory);
    df_arena_init(groups->memory, NULL, 16 * 1024);
    groups->lines = request->lines;
    groups->line = df_arena_alloc(groups->memory, groups->lines * sizeof *groups->line);
    const df_status status = group_all(journal, request, groups, err);

    if (status != DF_OK)
        df_groups_free(groups);
    else
        *out = groups;
    return status;
}

void df_groups_free(struct df_groups *groups)
{
    if (!groups)
        return;
    df_arena_release(groups->memory);
    free(groups->memory);
    free(groups);
}
