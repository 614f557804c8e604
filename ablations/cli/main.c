/* DeFeat Bench's program. Results go to stdout, all else to stderr. Exit status: 0 done, 1 the work failed or a check says no, 2 usage,
 * 130 interrupted. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "ablations/cli/command.h"
#include "core/base/fpu.h"
#include "core/base/progress.h"
#include "core/base/shell.h"
#include "core/base/warnings.h"

int main(int argc, char **argv)
{
    int status;

    (void)df_fpu_reset();     /* a library that was loaded before may have changed it */
    signal(SIGPIPE, SIG_DFL); /* `defeat table SPEC | head` ends quietly, whatever the parent had set */
    df_program_set(argc > 0 ? argv[0] : NULL);
    df_progress_enable(true);
    df_warnings_begin();
    status = df_command_main(df_commands, argc, argv);
    df_warnings_end();
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "defeat: cannot write the results: %s\n", strerror(errno));
        return status ? status : 1;
    }
    return status;
}
