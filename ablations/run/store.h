/* The output tree: what lies where, and the rows in it. No other file spells a path of it.
 *
 * Under `out` (default "out"):
 *   <spec>/runs/<run id>/           row.json: the cell is finished, put there whole, by rename, and synced; failed.json: why it is not;
 *                                   log.txt, lock, position.safetensors and progress while it trains; student.safetensors (export), results.json (COCO
 *                                   results of the validation split). On `cuda` row.<hash>.json too: the same run in other environments.
 *   <spec>/                         runs.csv, scores.csv, curves.csv: made of the rows (results/journal_csv.h) under runs/lock; plots/;
 *                                   report.html, report-data/; looks/<key>.json; logs of the sweep's jobs
 *   <spec>.explain/ ...             the same of questions to a spec's networks, in place of runs: ablations/behaviour/question.h
 *   <spec>.attack/patches/<id>/     of that question's images, made for some networks: 000000.png, ...
 *   <spec>-tune/                    trials.json, the spec of the rows that lie here; <spec>-tuned.json: defeat tune
 *   teachers/<run id>.safetensors   trained teachers; metadata: cell, mAP on validation and on the gate's subset (17 digits), hashes,
 *                                   neck_std per level, images
 *   teachers/<run id>/              results.json of the teacher; its position while it trains
 *   cache/<key>.cache               teacher caches
 *
 * A cell that is run twice, by two machines that do not see each other's locks, leaves one row. */
#ifndef DF_ABLATIONS_RUN_STORE_H
#define DF_ABLATIONS_RUN_STORE_H
#include "ablations/run/cell.h"
#include "results/journal.h"

/* Paths: free() them. */
enum df_cell_file {
    DF_CELL_ROW,
    DF_CELL_FAILED,
    DF_CELL_LOG,
    DF_CELL_LOCK,
    DF_CELL_POSITION,
    DF_CELL_WEIGHTS,
    DF_CELL_RESULTS,
    DF_CELL_PROGRESS,
};
char *df_store_cell_folder(const char *out, const struct df_cell *cell);
char *df_store_cell_file(const char *out, const struct df_cell *cell, enum df_cell_file file);
char *df_store_spec_folder(const char *out, const char *spec);
char *df_store_question_folder(const char *out, const char *spec, const char *question);
char *df_store_pictures(const char *question_folder);
/* Of an attack, by image. */
char *df_store_patches(const char *question_folder, const char *id);
char *df_store_plots(const char *spec_folder);
char *df_store_looks(const char *spec_folder, const char *key);  /* of one comparison (results/look_journal.h) */
char *df_store_trials(const char *spec_folder);                  /* the spec that `defeat tune` makes, beside its rows */
char *df_store_tuned(const char *spec_folder, const char *spec); /* and the one that it chooses: <spec>-tuned.json */
char *df_store_report(const char *spec_folder);                  /* the page; its data beside it: ablations/report */
char *df_store_job_log(const char *out, const char *spec, const char *job, const char *variant); /* "teacher.log", "cache.context=0.log" */
char *df_store_job_progress(const char *out, const char *spec, const char *job, const char *variant); /* "teacher.progress" */
char *df_store_teachers(const char *out);
char *df_store_teacher(const char *out, const char *id);
char *df_store_teacher_lock(const char *out, const char *id);
char *df_store_caches(const char *out);
char *df_store_cache(const char *out, const char *key);
char *df_store_cache_lock(const char *out, const char *key);

/* ---- one cell ---- */

/* By the name of its row alone, which is not read; what cannot be looked at is an error. */
df_status df_store_finished(const char *out, const struct df_cell *cell, bool *finished, struct df_error *err);
/* What the cell and this program say of a row; its strings are in memory. Scores, times and environment are the run's. */
struct df_run_row df_store_row(const struct df_cell *cell, struct df_arena *memory);
/* A finished row, which removes what is said of a failure; or a failed one. On `cuda` the first finished row stays. */
df_status df_store_put(const char *out, const struct df_cell *cell, const struct df_run_row *row, struct df_error *err);
/* The same of a row that is no cell's, in <folder>/runs. */
df_status df_store_put_row(const char *folder, const struct df_run_row *row, struct df_error *err);
char *df_store_row_file(const char *folder, const char *id, const char *name); /* a file beside such a row: free it */
/* The failed row: "failed: <reason>". */
df_status df_store_put_failure(const char *out, const struct df_cell *cell, const char *started, const char *reason, struct df_error *err);
df_status df_store_forget_failure(const char *out, const struct df_cell *cell, struct df_error *err);
/* The cell's row, finished or failed; none: an empty journal. */
df_status df_store_read_cell(const char *out, const struct df_cell *cell, struct df_journal **journal, struct df_error *err);

/* ---- the cells of a spec ---- */

/* All rows under <out>/<spec>, settled. Where there are no row files, the CSV tables are read (published rows); a runs.csv of an older schema is
 * read beside them until it is imported. A row that cannot be read counts as not there; a warning names it. No folder: no rows. */
df_status df_store_read(const char *folder, struct df_journal **journal, struct df_error *err);
/* Makes the CSV tables of the row files; without any it leaves what is there. quiet: no warning about rows that cannot be read. An older runs.csv,
 * which would be lost, is DF_ERR_STALE. */
df_status df_store_make_tables(const char *folder, bool quiet, struct df_error *err);
/* DF_ERR_STALE if the folder has rows in a runs.csv of an older schema, which no sweep sees. */
df_status df_store_check(const char *folder, struct df_error *err);

struct df_imported {
    size_t finished, failed, known; /* rows: put there, of these that failed, that were there already */
};
/* Makes row files of the rows of a folder, or of a runs.csv of any name and schema: where they are, or (out not "") in that tree, each under its
 * spec; then the tables. */
df_status df_store_import(const char *from, const char *out, struct df_imported *count, struct df_error *err);
#endif
