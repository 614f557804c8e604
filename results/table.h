/* Tables over the journal. A table has one line per (label, axes) in the order the spec lists them; the baseline is the first line without
 * distillers, in every variant of the spec its own. A paired difference uses the seeds that both lines have, and never two rows that were taught by
 * other weights. The intervals of a table's differences hold all at once (Bonferroni over the lines that have a baseline, whether they have rows or
 * not); one that holds 0 is marked as inside the noise ("~"). */
#ifndef DF_RESULTS_TABLE_H
#define DF_RESULTS_TABLE_H
#include "results/grid.h"
#include "results/journal.h"
#include "results/statistics.h"

/* The metrics of all classes that a table has columns for, in its order; the first one is what differences are of. */
enum { DF_TABLE_AP, DF_TABLE_METRICS = 12 };
extern const char *const df_table_metrics[DF_TABLE_METRICS];

struct df_table_request { /* what should be there: the spec's cells, in order */
    const char *title;
    size_t lines;
    struct df_table_line_request {
        const char *label, *axes;
        size_t runs;
        const char *const *run; /* [runs] ids, one per seed; "" where there is none */
        const int64_t *seed;
        size_t baseline;         /* index of the line that its differences are to */
        const char *variant;     /* the first word of axes; "" or NULL: the spec has no variants */
        const char *const *cell; /* [runs] canonical JSON, for telling what is stale by a revision; may be NULL */
    } * line;
    int64_t semantics;
    size_t elsewhere;    /* finished rows that were left out: of another machine (df_journal_keep_environment) */
    const char *teacher; /* "" or a line about the teacher: "teacher 45.1 mAP" */
};
struct df_table_line {
    const char *label, *axes, *variant;
    size_t baseline; /* line */
    size_t expected, failed, stale;
    const char *why;                             /* of the first that failed: its status; NULL: none did */
    int64_t why_seed;                            /* and its seed */
    size_t unpaired;                             /* pairs that were left out: two teachers */
    struct df_interval metric[DF_TABLE_METRICS]; /* in percent points (x100) */
    struct df_interval difference;               /* of AP to the baseline, paired by seed, simultaneous; n = 0 for the baseline itself */
    double p;         /* two-sided t, Holm over the table's comparisons; NAN for fewer than 2 pairs or equal ones */
    int inside_noise; /* the interval holds 0, or there is none */
    double seconds;   /* mean train + eval seconds per run */
    size_t points;
    double *point; /* AP of each finished run, percent points, in the order of the request */
    size_t classes;
    const char **class_name;
    struct df_interval *class_ap;
};
struct df_table {
    size_t lines;
    struct df_table_line *line;
    struct df_arena *memory;
    const char *title, *teacher;
    size_t elsewhere;
    size_t comparisons; /* lines that have a baseline */
    double confidence;  /* of each difference's interval, so that all hold at once with 95 % */
};

df_status df_table_build(const struct df_journal *journal, const struct df_table_request *request, struct df_table **out,
                         struct df_error *err);
void df_table_free(struct df_table *table);
/* classes: per-class AP columns too. Every format escapes what it must. */
void df_table_print(const struct df_table *table, enum df_table_format format, bool classes, struct df_text *out);
/* One CSV row per run with options expanded into columns of their own ("defeat.w_fg"): `defeat table --csv --runs`. */
void df_table_runs_csv(const struct df_journal *journal, const struct df_table_request *request, struct df_text *out);
#endif
