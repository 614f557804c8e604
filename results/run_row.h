/* A run as it is kept: what was asked for (the cell), what it ran on, and what came of it: scores and the learning curve in long form, so that a
 * new metric changes no old row. As a file of its own (row.json) it is one object: "schema", the columns of df_run_columns by their names, and
 *   "scores": [["AP","",0.31],["AP","disk",0.29], ...]                                 metric, class ("": of all classes), value
 *   "curve": [[200,0.8,"tune","AP",0.08],[200,0.8,"train","loss",1.18], ...]           step, epoch, split, metric, value
 * A value that is not finite is null; "cell" and "environment" are JSON in JSON. */
#ifndef DF_RESULTS_RUN_ROW_H
#define DF_RESULTS_RUN_ROW_H
#include "core/base/arena.h"
#include "core/base/json.h"

#define DF_ROW_SCHEMA 3

struct df_score {
    const char *metric, *class; /* "AP"; "disk", or "": of all classes */
    double value;               /* COCO's: 0..1, -1 where there is nothing to measure */
};
/* NaN (nothing was measured), or what this metric can be: of COCO's, "AP..." and "AR...", 0 to 1 or -1; of others anything. */
bool df_score_possible(const char *metric, double value);
struct df_scores {
    size_t count;
    struct df_score *score;
};
struct df_curve_point {
    int64_t step;
    double epoch;
    const char *split, *metric; /* "tune": AP; "train": loss, lr, term.<name>: means since the last point; telemetry.* */
    double value;
};
/* Whether it is telemetry's: that somebody looked on while it trained is no part of what a run is. */
bool df_curve_point_looks_on(const struct df_curve_point *point);
struct df_curve { /* by step */
    size_t count;
    struct df_curve_point *point;
};
struct df_run_row { /* strings belong to whoever made the row; "" is an empty cell */
    int64_t semantics;
    const char *run;                 /* 16 hex digits: hash of the canonical cell */
    const char *spec, *label, *axes; /* "reproduce-table", "DeFeat neck", "w_fg=4 w_bg=16" */
    const char *cell;                /* canonical JSON */
    int64_t seed;
    const char *status; /* "ok" or "failed: <reason>" */
    double train_seconds, eval_seconds, images_per_second;
    int64_t peak_anonymous_bytes;
    const char *revision, *device;
    const char *environment; /* what the machine added, as JSON: results/environment.h */
    const char *started, *finished;
    struct df_scores scores;
    struct df_curve curve;
};

/* What is one value of a row: its name in row.json and in runs.csv, in file order. "The same rows" means the deterministic ones, scores and curve,
 * sorted by run: one table. */
struct df_run_column {
    const char *name;
    enum { DF_COLUMN_TEXT, DF_COLUMN_JSON, DF_COLUMN_INT, DF_COLUMN_REAL } kind;
    size_t offset;
    bool deterministic;
};
extern const struct df_run_column df_run_columns[]; /* NULL name ends */

void df_run_row_init(struct df_run_row *row);                                                 /* "", 0, NAN; no scores, no curve */
bool df_run_row_ok(const struct df_run_row *row);                                             /* finished; false for NULL */
double df_run_row_score(const struct df_run_row *row, const char *metric, const char *class); /* NAN: not measured */
/* At the end; the names are kept in memory, and so is the list. */
void df_scores_add(struct df_scores *scores, struct df_arena *memory, struct df_score score);
void df_curve_add(struct df_curve *curve, struct df_arena *memory, struct df_curve_point point);

/* Cells of CSV. The text that is set is kept in memory; false: it is no number where one must be. An empty REAL is NAN. */
bool df_run_row_set(struct df_run_row *row, const struct df_run_column *column, const char *text, struct df_arena *memory);
void df_csv_add_column(struct df_text *out, const struct df_run_row *row, const struct df_run_column *column, bool first);
void df_csv_add_score(struct df_text *out, const char *run, const struct df_score *score);       /* a line: run,metric,class,value */
void df_csv_add_point(struct df_text *out, const char *run, const struct df_curve_point *point); /* run,step,epoch,split,metric,value */
/* The deterministic part as lines of CSV, without telemetry, which a run has if somebody looked on. */
void df_run_row_deterministic(const struct df_run_row *row, struct df_text *out);

/* row.json as text; its reading, which names `where` and the member that is not as it must be. */
void df_run_row_json(const struct df_run_row *row, struct df_text *out);
df_status df_run_row_parse(const char *text, size_t bytes, const char *where, struct df_arena *memory, struct df_run_row *out,
                           struct df_error *err);
/* The curve's list alone. */
cJSON *df_curve_json(const struct df_curve *curve);
df_status df_curve_read(const cJSON *list, const char *where, struct df_arena *memory, struct df_curve *out, struct df_error *err);
#endif
