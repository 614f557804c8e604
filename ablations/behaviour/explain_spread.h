/* What is uncertain in a line's difference to its baseline besides the seeds: which images were asked about, and which masks were drawn. */
#ifndef DF_ABLATIONS_BEHAVIOUR_EXPLAIN_SPREAD_H
#define DF_ABLATIONS_BEHAVIOUR_EXPLAIN_SPREAD_H
#include "ablations/behaviour/explain.h"
#include "results/table.h"

enum { DF_EXPLAIN_DRAWS = 1000 };
struct df_explain_spread {
    size_t pairs;
    double mean;      /* percent points, over pairs and objects */
    double low, high; /* 95 % of so many draws of the images, with repetition: for these trained students. NAN for fewer than two images */
    double masks;     /* Monte-Carlo error: half of what even and odd masks say differently */
};
/* Of one of the scores that both halves tell, below DF_EXPLAIN_HALVED. Pairs are those of results/score_table.h. */
struct df_explain_spread df_explain_spread_of(const struct df_journal *journal, const struct df_table_request *request, size_t line,
                                              enum df_explain_score score);
#endif
