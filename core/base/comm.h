/* The ranks that train one network together, each on its part of every batch: processes on machines of their own, or threads in a test. NULL is
 * a rank that is alone, and moves no bit. Every rank makes the same calls, in the same order. What a transport (later: MPI, NCCL) brings is
 * `gather`; a failure there ends the program, as one rank cannot go on without the others.
 * Three places know of it: the loader's order (which part of a batch), the normalisers of losses (counts are summed before they divide) and the
 * optimiser (gradients are summed before their norm). Batch norm in training takes its statistics of a rank's own part. */
#ifndef DF_CORE_BASE_COMM_H
#define DF_CORE_BASE_COMM_H
#include "core/base/real.h"

struct df_comm {
    size_t rank, size;
    /* all: `size` blocks of `bytes`, each what a rank gave, in rank order */
    void (*gather)(struct df_comm *comm, const void *mine, size_t bytes, void *all);
    void *state; /* the transport's */
};

size_t df_comm_rank(const struct df_comm *comm);
size_t df_comm_size(const struct df_comm *comm);
void df_comm_gather(struct df_comm *comm, const void *mine, size_t bytes, void *all);
/* values [n] become their sums over the ranks, from 0 on, in rank order and in double: the same bits on every rank. */
void df_comm_sum(struct df_comm *comm, double *values, size_t n);
void df_comm_sum_reals(struct df_comm *comm, df_real *values, size_t n); /* rounded once, at the end */
#endif
