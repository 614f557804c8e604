/* The user's wish to stop: looked at between steps and images, and while something is waited for. */
#ifndef DF_ABLATIONS_RUN_STOP_H
#define DF_ABLATIONS_RUN_STOP_H
#include <signal.h>

#include "core/base/status.h"

/* Set by a signal handler: what runs stops at the next step with DF_ERR_INTERRUPTED. */
extern volatile sig_atomic_t df_run_stop;

/* df_lock that waits, but not for a user who wants to stop. */
df_status df_lock_wait(const char *path, int *fd, struct df_error *err);
#endif
