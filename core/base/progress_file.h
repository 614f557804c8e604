/* The progress of another process: a small file that it keeps up to date and holds a lock on while it lives. */
#ifndef DF_CORE_BASE_PROGRESS_FILE_H
#define DF_CORE_BASE_PROGRESS_FILE_H
#include "core/base/progress_line.h"

/* From here on what this process's bars show goes to the file too, once a second; df_progress_untell removes it. A file that cannot be written, or that
 * another process holds, is none: nothing depends on it. */
void df_progress_tell(const char *path);
void df_progress_untell(void);
/* For the bars: whether it is time to write; writes. */
bool df_progress_telling(double now);
void df_progress_told(const struct df_progress_view *view);
/* What the process that holds the file was at; false: there is no such process. */
bool df_progress_read(const char *path, struct df_progress_view *out);
#endif
