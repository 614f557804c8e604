#include "ablations/rows.h"

#include <string.h>

#include "results/cells.h"
#include "results/machines.h"

/* "" where no row answers. The last one counts, as with df_journal_find: a finished one before a failed one. */
static const char *answering_run(const struct df_journal *journal, const struct df_cell *cell, int64_t semantics)
{
    cJSON *asked = df_cell_asked(cell);
    const char *found = "";

    for (size_t i = journal->runs; i-- > 0;) {
        const struct df_run_row *row = &journal->run[i];

        if (row->semantics != semantics || row->seed != cell->seed || strcmp(row->label, cell->label) != 0 ||
            strcmp(row->axes, cell->axes) != 0 || !df_cell_answers(row->cell, asked))
            continue;
        if (!*found || df_run_row_ok(row))
            found = row->run;
        if (df_run_row_ok(row))
            break;
    }
    cJSON_Delete(asked);
    return found;
}

/* Two lines may be one run (none, of variants that have other teachers): its row has the name of either. */
static const char *run_of(const struct df_spec *spec, const struct df_journal *journal, const struct df_cell *cell, int64_t semantics)
{
    const char *found = "";

    if (semantics == DF_SEMANTICS && !cell->unread)
        return cell->id;
    for (size_t i = 0; i < spec->count && !*found; i++)
        if (strcmp(spec->cell[i]->id, cell->id) == 0)
            found = answering_run(journal, spec->cell[i], semantics);
    return found;
}

static void fill_line(const struct df_spec *spec, const struct df_journal *journal, size_t line, int64_t semantics, struct df_arena *memory,
                      struct df_table_line_request *out)
{
    struct df_cell *const *cell = spec->cell + line * spec->seeds;
    const struct df_spec_variant *variant = df_spec_variant_of(spec, line * spec->seeds);
    const char **run = df_arena_alloc(memory, spec->seeds * sizeof *run), **text = df_arena_alloc(memory, spec->seeds * sizeof *text);
    int64_t *seed = df_arena_alloc(memory, spec->seeds * sizeof *seed);

    for (size_t i = 0; i < spec->seeds; i++) {
        run[i] = run_of(spec, journal, cell[i], semantics);
        text[i] = df_text_get(&cell[i]->json);
        seed[i] = cell[i]->seed;
    }
    *out = (struct df_table_line_request){
        .label = cell[0]->label,
        .axes = cell[0]->axes,
        .runs = spec->seeds,
        .run = run,
        .cell = text,
        .seed = seed,
        .variant = variant->label,
        .baseline = variant->baseline,
    };
}

df_status df_rows_request(const struct df_spec *spec, struct df_journal *journal, const struct df_rows_wanted *wanted,
                          struct df_arena *memory, struct df_table_request *out, struct df_error *err)
{
    *out = (struct df_table_request){ .title = spec->title, .lines = spec->lines, .semantics = wanted->semantics, .teacher = "" };
    out->line = df_arena_alloc(memory, spec->lines * sizeof *out->line);
    for (size_t line = 0; line < spec->lines; line++)
        fill_line(spec, journal, line, wanted->semantics, memory, &out->line[line]);
    if (!wanted->environment)
        return DF_OK;
    return df_journal_keep_environment(journal, out, wanted->environment, &out->elsewhere, err);
}

size_t df_rows_found(const struct df_journal *journal, const struct df_table_request *request)
{
    size_t n = 0;

    for (size_t l = 0; l < request->lines; l++)
        for (size_t i = 0; i < request->line[l].runs; i++)
            n += df_journal_find(journal, request->line[l].run[i], request->semantics) != NULL;
    return n;
}

static bool asked_for(const struct df_table_request *request, const char *run)
{
    for (size_t l = 0; l < request->lines; l++)
        for (size_t i = 0; i < request->line[l].runs; i++)
            if (strcmp(request->line[l].run[i], run) == 0)
                return true;
    return false;
}

/* Rows that are told together: those of one older (or newer) semantics, else those of one device. */
static bool told_together(const struct df_run_row *a, const struct df_run_row *b, int64_t semantics)
{
    return a->semantics == b->semantics && (a->semantics != semantics || strcmp(a->device, b->device) == 0);
}

void df_rows_others(const struct df_journal *journal, const struct df_table_request *request, const char *device, struct df_text *out)
{
    for (size_t i = 0; i < journal->runs; i++) {
        const struct df_run_row *row = &journal->run[i];
        size_t rows = 0, before = 0;

        for (size_t k = 0; k < journal->runs; k++)
            if (told_together(row, &journal->run[k], request->semantics) && !asked_for(request, journal->run[k].run)) {
                rows++;
                before += k < i;
            }
        if (!rows || before || asked_for(request, row->run))
            continue;
        df_text_addf(out, "%s%zu of ", out->length ? ", " : "", rows);
        if (row->semantics != request->semantics)
            df_text_addf(out, "semantics %lld (--semantics %lld shows them)", (long long)row->semantics, (long long)row->semantics);
        else if (strcmp(row->device, device) != 0)
            df_text_addf(out, "%s (--device %s)", row->device, row->device);
        else
            df_text_add(out, "other cells");
    }
}
