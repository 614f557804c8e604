/* The journal: runs.csv (one row per finished or failed cell) and curves.csv (one row per evaluation point), RFC 4180 through libcsv.
 * Appending takes one lock (flock on runs.csv.lock), writes each file with one write, and fsyncs; both files get their rows under the same
 * lock, curves first. A torn last line (a crash in the middle of a write) is detected, reported and cut off by the next append, and ignored
 * by readers with a warning; an unfinished row in the middle is an error. Rows of another semantics are kept and shown as stale, never mixed in.
 * Schema 1 (the machine was a column "isa", and stood in the cell) is read, and rewritten by the first append; rows of a schema that is not
 * known are read as far as their columns are, and never found. */
#ifndef DF_RESULTS_JOURNAL_H
#define DF_RESULTS_JOURNAL_H
#include "core/base/json.h"
#include "core/base/status.h"

#define DF_JOURNAL_SCHEMA 2
#define DF_METRICS        12

struct df_run_row { /* strings are owned by the journal (reading) or the caller (appending); "" is an empty cell */
    int64_t schema, semantics;
    const char *run;                 /* 16 hex digits: hash of the canonical cell */
    const char *spec, *label, *axes; /* "reproduce-table", "DeFeat neck", "w_fg=4 w_bg=16" */
    const char *cell;                /* canonical JSON */
    int64_t seed;
    const char *status;        /* "ok" or "failed: <reason>" */
    double metric[DF_METRICS]; /* df_coco_metric_names order, 0..1; NAN: empty cell */
    const char *class_ap;      /* "disk=0.31;ring=0.28": 17 digits */
    double train_seconds, eval_seconds, images_per_second;
    int64_t peak_anonymous_bytes;
    const char *revision, *device;
    const char *environment; /* what the machine added, as JSON: results/environment.h */
    const char *started, *finished;
};
struct df_curve_row {
    int64_t schema;
    const char *run;
    int64_t point, step;
    double epoch;
    const char *split;    /* "tune" */
    double map, loss, lr; /* loss: mean since the last point */
    const char *terms;    /* "class=0.71;box=0.22;defeat.fg=1.3": means since the last point */
};

/* Column names in file order; deterministic columns ("the same rows" means these, sorted by run): one table. */
struct df_journal_column {
    const char *name;
    bool deterministic;
};
extern const struct df_journal_column df_run_columns[], df_curve_columns[]; /* NULL name ends */

struct df_journal {
    size_t runs, curves;
    struct df_run_row *run; /* in file order; which row of a run id counts: df_journal_find */
    struct df_curve_row *curve;
    struct df_arena *memory;
};
/* A missing file is an empty journal. Anything that does not parse is an error naming file, line and column. */
df_status df_journal_read(const char *folder, struct df_journal **out, struct df_error *err);
void df_journal_free(struct df_journal *journal);
/* The last row that is "ok", else the last of any status; NULL: none. A finished run that fails when it is done again stays finished. */
const struct df_run_row *df_journal_find(const struct df_journal *journal, const char *run, int64_t semantics);
bool df_run_row_ok(const struct df_run_row *row); /* false for NULL */
bool df_journal_knows(int64_t schema);            /* its rows count */
df_status df_journal_append(const char *folder, const struct df_run_row *row, const struct df_curve_row *curves, size_t count,
                            struct df_error *err);
/* The deterministic columns of all rows, sorted by run id, as text: equal texts = the same rows. */
void df_journal_deterministic(const struct df_journal *journal, struct df_text *out);
#endif
