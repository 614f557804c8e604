#include "core/base/comm.h"

#include <string.h>

#include "core/base/status.h"

size_t df_comm_rank(const struct df_comm *comm) { return comm ? comm->rank : 0; }
size_t df_comm_size(const struct df_comm *comm) { return comm ? comm->size : 1; }

void df_comm_gather(struct df_comm *comm, const void *mine, size_t bytes, void *all)
{
    if (comm)
        comm->gather(comm, mine, bytes, all);
    else if (bytes)
        memcpy(all, mine, bytes);
}

enum { ROOM = 4096 /* values of all ranks at a time: nothing is allocated here */ };

#define SUM(name, type)                                                                                                                    \
    void name(struct df_comm *comm, type *values, size_t n)                                                                                \
    {                                                                                                                                      \
        const size_t ranks = df_comm_size(comm), piece = ROOM / ranks;                                                                     \
        type all[ROOM];                                                                                                                    \
                                                                                                                                           \
        DF_ASSERT(piece > 0);                                                                                                              \
        for (size_t first = 0; comm && first < n; first += piece) {                                                                        \
            const size_t some = n - first < piece ? n - first : piece;                                                                     \
                                                                                                                                           \
            comm->gather(comm, values + first, some * sizeof *all, all);                                                                   \
            for (size_t i = 0; i < some; i++) {                                                                                            \
                double sum = (double)all[i];                                                                                               \
                                                                                                                                           \
                for (size_t r = 1; r < ranks; r++)                                                                                         \
                    sum += (double)all[r * some + i];                                                                                      \
                values[first + i] = (type)sum;                                                                                             \
            }                                                                                                                              \
        }                                                                                                                                  \
    }
SUM(df_comm_sum, double)
SUM(df_comm_sum_reals, df_real)
