#include "ablations/propose.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/run/cost.h"
#include "ablations/run/store.h"

#define MORE_TIME   2.0 /* another node may be slower, and a cell waits for its files */
#define MORE_MEMORY 1.5
#define MEBIBYTE    1048576.0
#define MEMORY_STEP 100.0 /* MiB */

static void propose_of_rows(const struct df_spec *spec, const struct df_journal *journal, struct df_proposal *out)
{
    for (size_t i = 0; i < spec->count; i++) {
        const struct df_run_row *row = df_journal_find(journal, spec->cell[i]->id, DF_SEMANTICS);

        if (!df_run_row_ok(row))
            continue;
        out->rows++;
        out->seconds = fmax(out->seconds, row->train_seconds + row->eval_seconds);
        out->bytes = fmax(out->bytes, (double)row->peak_anonymous_bytes);
    }
}

/* As the first image's canvases are. */
static df_status count_cell(const struct df_cell *cell, double *bytes, struct df_error *err)
{
    struct df_cost_images images = { 0 };
    struct df_dataset *train;
    struct df_cost cost;

    DF_TRY(df_data_split(cell->data, DF_TRAIN, &train, err));

    const struct df_canvas_size canvas = df_canvas_of(&cell->canvas, &train->info[0]);

    images.height = canvas.height;
    images.width = canvas.width;
    images.classes = train->categories;
    for (size_t t = 0; t < cell->teachers; t++)
        images.teacher[t] = df_canvas_of(&cell->teacher[t].cell->canvas, &train->info[0]);
    DF_TRY(df_cost_count(cell, images, false, &cost, err));
    *bytes = fmax(*bytes, df_cost_memory(&cost, (size_t)cell->schedule.batch));
    return DF_OK;
}

static df_status propose_of_counts(const struct df_spec *spec, struct df_proposal *out, struct df_error *err)
{
    for (size_t line = 0; line < spec->lines; line++) {
        const struct df_cell *cell = spec->cell[line * spec->seeds];

        if (strncmp(cell->device, "cuda", 4) != 0)
            DF_TRY(count_cell(cell, &out->bytes, err));
    }
    return DF_OK;
}

df_status df_propose(const struct df_spec *spec, const char *out, struct df_proposal *proposal, struct df_error *err)
{
    char *folder = df_store_spec_folder(out, spec->name);
    struct df_journal *journal = NULL;
    df_status status = df_store_read(folder, &journal, err);

    *proposal = (struct df_proposal){ 0 };
    if (status == DF_OK)
        propose_of_rows(spec, journal, proposal);
    if (status == DF_OK && !proposal->rows)
        status = propose_of_counts(spec, proposal, err);
    df_journal_free(journal);
    free(folder);
    return status;
}

void df_proposal_words(const struct df_proposal *proposal, size_t cells, struct df_text *words)
{
    const unsigned long minutes = (unsigned long)ceil(MORE_TIME * proposal->seconds * (double)cells / 60);
    const double memory = ceil(MORE_MEMORY * proposal->bytes / MEBIBYTE / MEMORY_STEP) * MEMORY_STEP;

    if (minutes)
        df_text_addf(words, "--time=%lu:%02lu:00", minutes / 60, minutes % 60);
    if (memory > 0)
        df_text_addf(words, "%s--mem=%.0fM", words->length ? " " : "", memory);
}
