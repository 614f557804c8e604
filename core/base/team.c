#include "core/base/team.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fpu.h"

struct member {
    struct df_team *team;
    size_t part;
    pthread_t thread;
};
struct df_team {
    pthread_mutex_t lock;
    pthread_cond_t begin, end;
    size_t size, turn /* of work, counted */, busy;
    bool over;
    df_team_fn *fn;
    const void *context;
    struct member member[]; /* [size]; the first is the caller */
};

static void *serve(void *argument)
{
    const struct member *member = argument;
    struct df_team *team = member->team;

    (void)df_fpu_reset();
    pthread_mutex_lock(&team->lock);
    for (size_t turn = 1;; turn++) {
        while (team->turn < turn && !team->over)
            pthread_cond_wait(&team->begin, &team->lock);
        if (team->over)
            break;
        pthread_mutex_unlock(&team->lock);
        team->fn(team->context, member->part, team->size);
        pthread_mutex_lock(&team->lock);
        if (--team->busy == 0)
            pthread_cond_signal(&team->end);
    }
    pthread_mutex_unlock(&team->lock);
    return NULL;
}

/* Signals are the main thread's business. */
static int start(struct member *member)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int problem = pthread_create(&member->thread, NULL, serve, member);

    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return problem;
}

df_status df_team_new(size_t threads, struct df_team **out, struct df_error *err)
{
    *out = NULL;
    if (threads <= 1)
        return DF_OK;
    struct df_team *team = df_calloc(1, sizeof *team + threads * sizeof team->member[0]);

    pthread_mutex_init(&team->lock, NULL);
    pthread_cond_init(&team->begin, NULL);
    pthread_cond_init(&team->end, NULL);
    for (team->size = 1; team->size < threads; team->size++) {
        struct member *member = &team->member[team->size];

        member->team = team;
        member->part = team->size;
        const int problem = start(member);

        if (problem) {
            const size_t had = team->size;

            df_team_free(team);
            return df_fail(err, DF_ERR_UNSUPPORTED, "cannot start thread %zu of %zu: %s [ask for fewer threads]", had + 1, threads,
                           strerror(problem));
        }
    }
    *out = team;
    return DF_OK;
}

void df_team_free(struct df_team *team)
{
    if (!team)
        return;
    pthread_mutex_lock(&team->lock);
    team->over = true;
    pthread_cond_broadcast(&team->begin);
    pthread_mutex_unlock(&team->lock);
    for (size_t i = 1; i < team->size; i++)
        pthread_join(team->member[i].thread, NULL);
    pthread_cond_destroy(&team->end);
    pthread_cond_destroy(&team->begin);
    pthread_mutex_destroy(&team->lock);
    free(team);
}

size_t df_team_size(const struct df_team *team) { return team ? team->size : 1; }

void df_team_run(struct df_team *team, df_team_fn *fn, const void *context)
{
    if (!team) {
        fn(context, 0, 1);
        return;
    }
    pthread_mutex_lock(&team->lock);
    team->fn = fn;
    team->context = context;
    team->busy = team->size - 1;
    team->turn++;
    pthread_cond_broadcast(&team->begin);
    pthread_mutex_unlock(&team->lock);
    fn(context, 0, team->size);
    pthread_mutex_lock(&team->lock);
    while (team->busy)
        pthread_cond_wait(&team->end, &team->lock);
    pthread_mutex_unlock(&team->lock);
}

void df_team_share(size_t count, size_t unit, size_t part, size_t parts, size_t *first, size_t *last)
{
    const size_t units = (count + unit - 1) / unit;

    *first = units * part / parts * unit;
    *last = part + 1 == parts ? count : units * (part + 1) / parts * unit;
    *first = *first < count ? *first : count;
    *last = *last < count ? *last : count;
}
