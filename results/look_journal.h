/* The looks at one comparison, as a file: what was planned, which runs each look saw, what it spent and said. It is written before anything is told,
 * so that asking again neither resets the level nor leaves a pair out.
 *   {"schema":1,"a":"DeFeat neck","b":"none","metric":"AP","class":"","margin":0.5,"level":0.05,"most":20,
 *    "units":[["<run a>-<run b>",0.31], ...],                       in the order in which they were first looked at; points
 *    "looks":[{"units":5,"spent":0.0125,"bound":4.1,"low":-0.2,"high":0.9,"verdict":"undecided"}, ...]} */
#ifndef DF_RESULTS_LOOK_JOURNAL_H
#define DF_RESULTS_LOOK_JOURNAL_H
#include "results/comparison.h"

struct df_look {
    size_t units;
    double spent, bound;
    struct df_interval interval; /* as far as it is known: low and high */
    enum df_verdict verdict;
};
struct df_look_journal {
    struct df_looks_plan plan;
    char *a, *b, *metric, *class;
    size_t units, looks;
    struct df_look_unit {
        char *runs;
        double difference;
    } * unit;
    struct df_look *look;
};
/* Of a comparison that has not been looked at: an empty one with this plan. A file with another plan or of another comparison is DF_ERR_STALE. */
df_status df_look_journal_read(const char *path, const struct df_looks_plan *plan, const struct df_comparison *comparison,
                               struct df_look_journal **out, struct df_error *err);
/* Looks, if there are units that no look saw, and DF_LOOK_FEWEST of them in all. Units that it saw must be there still, with the same difference: else
 * DF_ERR_STALE. What goes beyond plan.most is not looked at. The caller writes. */
df_status df_look_journal_look(struct df_look_journal *journal, const struct df_comparison *comparison, struct df_error *err);
df_status df_look_journal_write(const struct df_look_journal *journal, const char *path, struct df_error *err);
void df_look_journal_free(struct df_look_journal *journal);
/* NULL: none yet. */
const struct df_look *df_look_journal_last(const struct df_look_journal *journal);
#endif
