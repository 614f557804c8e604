/* A few threads that wait for work and share it: part p of P, each on a thread of its own, the caller's being the first. */
#ifndef DF_CORE_BASE_TEAM_H
#define DF_CORE_BASE_TEAM_H
#include <stddef.h>

#include "core/base/status.h"

struct df_team;
typedef void df_team_fn(const void *context, size_t part, size_t parts);

/* threads >= 1. NULL is a team of one, and what is given for it. Fails when a thread cannot be had. */
df_status df_team_new(size_t threads, struct df_team **out, struct df_error *err);
void df_team_free(struct df_team *team);
size_t df_team_size(const struct df_team *team);
/* Calls fn(context, 0 .. parts - 1, parts), parts = df_team_size(), and returns when all are through. Not from inside such a call. Allocates
 * nothing. What is written must not depend on `parts`. */
void df_team_run(struct df_team *team, df_team_fn *fn, const void *context);
/* The share of `count` things that part p of P has: [first, last); shares are whole multiples of `unit`, but for the last. */
void df_team_share(size_t count, size_t unit, size_t part, size_t parts, size_t *first, size_t *last);
#endif
