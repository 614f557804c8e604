/* Other programs: started without a shell, waited for, their output kept. */
#ifndef DF_CORE_BASE_PROCESS_H
#define DF_CORE_BASE_PROCESS_H
#include "core/base/text.h"

struct df_process_end {
    int status;              /* exit status; of one that a signal ended 128 + its number */
    struct df_text out, err; /* all that it wrote */
};
/* Runs words[0], which is looked for on the PATH, with these words (NULL-terminated) and no input; `environment`: "NAME=value" put over ours,
 * NULL-terminated, may be NULL. DF_ERR_NOT_FOUND: there is no such program; only what cannot be started is an error, not how it ends.
 * df_process_end_release also after an error. */
df_status df_process_run(const char *const *words, const char *const *environment, struct df_process_end *end, struct df_error *err);
void df_process_end_release(struct df_process_end *end);
#endif
