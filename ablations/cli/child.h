/* Work that may crash, for it runs somebody else's code. */
#ifndef DF_ABLATIONS_CLI_CHILD_H
#define DF_ABLATIONS_CLI_CHILD_H
#include "core/base/status.h"

/* Runs work(context, err) in a child process: its prints are seen, its error is handed over, and a crash of it is DF_ERR_CHECK here. Before it
 * there must be no other threads. */
df_status df_child_run(df_status (*work)(const void *context, struct df_error *err), const void *context, struct df_error *err);
/* In the child: what it is at from now on, for the message should it crash there. */
void df_child_at(const char *what);
#endif
