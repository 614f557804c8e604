/* Ranks that are threads of the test: a comm between them, and what they all run. */
#ifndef DF_TESTS_RANKS_H
#define DF_TESTS_RANKS_H
#include "core/base/comm.h"

typedef void df_test_rank_fn(struct df_comm *comm, void *context);
/* fn(comm, context) on each of `ranks` threads (at most 8); returns when all are through. Assertions belong behind it, into the main thread. */
void df_test_ranks(size_t ranks, df_test_rank_fn *fn, void *context);
#endif
