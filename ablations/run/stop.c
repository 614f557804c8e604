#include "ablations/run/stop.h"

#include <time.h>

#include "core/base/file.h"

volatile sig_atomic_t df_run_stop;

df_status df_lock_wait(const char *path, int *fd, struct df_error *err)
{
    const struct timespec pause = { 0, 100 * 1000 * 1000 };

    for (;;) {
        DF_TRY(df_lock(path, true, fd, err));
        if (*fd >= 0)
            return DF_OK;
        if (df_run_stop)
            return df_fail(err, DF_ERR_INTERRUPTED, "interrupted while waiting for '%s'", path);
        nanosleep(&pause, NULL);
    }
}
