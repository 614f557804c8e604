/* A table of differences in several scores: a line per method, a column per score. Lines and pairs are those of the methods' table
 * (results/table.h): by seed, never two rows that were taught by other weights; a pair counts if both rows have all the scores. The intervals of all
 * differences hold at once with 95 % (Bonferroni over columns and the lines that have a baseline, with rows or without). */
#ifndef DF_RESULTS_SCORE_TABLE_H
#define DF_RESULTS_SCORE_TABLE_H
#include "results/table.h"

struct df_score_columns {
    const char *title;
    size_t count;
    const char *const *metric; /* [count] in long form, of all classes */
    const char *const *head;   /* [count] */
    const char *notes;         /* what the scores are: sentences, each a line with its end */
};
struct df_score_line {
    const char *label, *axes, *variant;
    size_t baseline; /* line */
    size_t expected, runs, unpaired;
    size_t pairs;                   /* 0 for a baseline */
    struct df_interval *value;      /* [columns] over the runs, percent points, 95 % */
    struct df_interval *difference; /* [columns] to the baseline, percent points */
};
struct df_score_table {
    size_t lines, columns, comparisons;
    double confidence; /* of each difference's interval */
    struct df_score_line *line;
    const struct df_score_columns *column;
    struct df_arena *memory;
};
/* `columns` and what it points to must outlive the table. */
df_status df_score_table_build(const struct df_journal *journal, const struct df_table_request *request,
                               const struct df_score_columns *columns, struct df_score_table **out, struct df_error *err);
void df_score_table_free(struct df_score_table *table);
/* more: further notes. CSV has no notes, and the values of every line. */
void df_score_table_print(const struct df_score_table *table, enum df_table_format format, const char *more, struct df_text *out);
#endif
