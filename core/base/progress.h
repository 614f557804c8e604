/* Progress on stderr: a bar with rate and ETA on a terminal (at most 10 redraws a second, nothing before 0.5 s), plain lines at most
 * every 10 s otherwise; silent when off. One bar at a time; results never go here. What a bar shows can go to a file too (progress_file.h). */
#ifndef DF_CORE_BASE_PROGRESS_H
#define DF_CORE_BASE_PROGRESS_H
#include "core/base/progress_line.h"

struct df_progress;
void df_progress_enable(bool on); /* process-wide; off in workers */
struct df_progress *df_progress_new(const char *label, const char *unit, double total);
void df_progress_set(struct df_progress *progress, double done, const char *note /* may be NULL */);
/* For work that others do: when it will be over (seconds, NAN: not known; a rate is not told then), and a line for each of them, on a terminal below
 * the bar. part: the caller's, until the next call or the end. */
void df_progress_parts(struct df_progress *progress, double eta, const struct df_progress_view *part, size_t parts);
void df_progress_free(struct df_progress *progress); /* ends the line; NULL is fine */
/* Takes what is being shown off the terminal, for a line of another kind; the next report brings it back. */
void df_progress_clear_line(void);
#endif
