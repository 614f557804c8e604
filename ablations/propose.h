/* What a cluster may be asked for, for the cells of a spec: time and memory, of rows that are there; without any, memory of what a step needs on
 * paper. */
#ifndef DF_ABLATIONS_PROPOSE_H
#define DF_ABLATIONS_PROPOSE_H
#include "ablations/spec.h"

struct df_proposal {
    size_t rows;    /* finished, that it is made of; 0: of the counts (ablations/run/cost.h) */
    double seconds; /* of the longest; 0: not known */
    double bytes;   /* of memory, of the largest; 0: not known */
};
/* On `cuda` the counts are of the card's memory, which nobody asks Slurm for: then bytes is 0 without rows. */
df_status df_propose(const struct df_spec *spec, const char *out, struct df_proposal *proposal, struct df_error *err);
/* "--time=0:10:00 --mem=600M": twice the time of so many cells, in minutes; half as much memory again, in 100 MiB. "": nothing is known. */
void df_proposal_words(const struct df_proposal *proposal, size_t cells, struct df_text *words);
#endif
