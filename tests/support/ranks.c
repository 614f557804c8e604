#include "tests/support/ranks.h"

#include <pthread.h>
#include <string.h>

#include "core/base/status.h"

enum { MOST = 8 };

struct meeting {
    pthread_barrier_t barrier;
    const void *given[MOST];
};

struct member {
    struct df_comm comm;
    df_test_rank_fn *fn;
    void *context;
};

static void gather(struct df_comm *comm, const void *mine, size_t bytes, void *all)
{
    struct meeting *meeting = comm->state;

    meeting->given[comm->rank] = mine;
    pthread_barrier_wait(&meeting->barrier);
    for (size_t r = 0; r < comm->size; r++)
        memcpy((char *)all + r * bytes, meeting->given[r], bytes);
    pthread_barrier_wait(&meeting->barrier); /* what was given may change again */
}

static void *run(void *argument)
{
    struct member *member = argument;

    member->fn(&member->comm, member->context);
    return NULL;
}

void df_test_ranks(size_t ranks, df_test_rank_fn *fn, void *context)
{
    struct meeting meeting;
    struct member member[MOST];
    pthread_t thread[MOST];

    DF_ASSERT(ranks <= MOST && pthread_barrier_init(&meeting.barrier, NULL, (unsigned)ranks) == 0);
    for (size_t r = 0; r < ranks; r++) {
        member[r] = (struct member){ { r, ranks, gather, &meeting }, fn, context };
        DF_ASSERT(pthread_create(&thread[r], NULL, run, &member[r]) == 0);
    }
    for (size_t r = 0; r < ranks; r++)
        pthread_join(thread[r], NULL);
    pthread_barrier_destroy(&meeting.barrier);
}
