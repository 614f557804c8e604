#include "results/journal.h"

#include <stdlib.h>
#include <string.h>

struct df_journal *df_journal_new(void)
{
    struct df_journal *journal = df_calloc(1, sizeof *journal);

    journal->memory = df_calloc(1, sizeof *journal->memory);
    df_arena_init(journal->memory, NULL, 64 * 1024);
    return journal;
}

void df_journal_free(struct df_journal *journal)
{
    if (!journal)
        return;
    df_arena_release(journal->memory);
    free(journal->memory);
    free(journal->run);
    free(journal);
}

struct df_run_row *df_journal_add(struct df_journal *journal)
{
    const size_t n = journal->runs++;

    if ((n & (n - 1)) == 0) /* 0 and the powers of two: room for twice as many */
        journal->run = df_realloc(journal->run, (n ? 2 * n : 1) * sizeof *journal->run);
    df_run_row_init(&journal->run[n]);
    return &journal->run[n];
}

/* By run, then as they came. */
static int compare_runs(const void *a, const void *b)
{
    const struct df_run_row *x = *(const struct df_run_row *const *)a, *y = *(const struct df_run_row *const *)b;
    const int by_run = strcmp(x->run, y->run);

    return by_run ? by_run : (x > y) - (x < y);
}

/* Whether of two rows of one run only one counts. */
static bool one_counts(const struct df_run_row *a, const struct df_run_row *b)
{
    return !df_run_row_ok(a) || !df_run_row_ok(b) || strncmp(a->device, "cuda", 4) != 0 || strcmp(a->environment, b->environment) == 0;
}

void df_journal_settle(struct df_journal *journal)
{
    const struct df_run_row **sorted = df_malloc((journal->runs + 1) * sizeof *sorted);
    struct df_run_row *kept = df_malloc((2 * journal->runs + 1) * sizeof *kept);
    size_t n = 0;

    for (size_t i = 0; i < journal->runs; i++)
        sorted[i] = &journal->run[i];
    qsort(sorted, journal->runs, sizeof *sorted, compare_runs);
    for (size_t i = 0; i < journal->runs; i++) {
        size_t at = n; /* of the row that it is instead of */

        while (at > 0 && strcmp(kept[at - 1].run, sorted[i]->run) == 0 && !one_counts(&kept[at - 1], sorted[i]))
            at--;
        if (at == 0 || strcmp(kept[at - 1].run, sorted[i]->run) != 0)
            kept[n++] = *sorted[i];
        else if (!df_run_row_ok(&kept[at - 1]))
            kept[at - 1] = *sorted[i];
    }
    free(sorted);
    free(journal->run);
    journal->run = kept;
    journal->runs = n;
}

const struct df_run_row *df_journal_find(const struct df_journal *journal, const char *run, int64_t semantics)
{
    const struct df_run_row *last = NULL;

    for (size_t i = 0; i < journal->runs; i++) {
        const struct df_run_row *row = &journal->run[i];

        if (row->semantics != semantics || strcmp(row->run, run) != 0)
            continue;
        if (df_run_row_ok(row))
            return row;
        last = row;
    }
    return last;
}

void df_journal_deterministic(const struct df_journal *journal, struct df_text *out)
{
    for (size_t i = 0; i < journal->runs; i++)
        df_run_row_deterministic(&journal->run[i], out);
}
