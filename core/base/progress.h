/* Progress on stderr: a bar with rate and ETA on a terminal (at most 10 redraws a second, nothing before 0.5 s), plain lines at most
 * every 10 s otherwise; silent when off. One line at a time; results never go here. */
#ifndef DF_CORE_BASE_PROGRESS_H
#define DF_CORE_BASE_PROGRESS_H
#include <stdbool.h>
#include <stddef.h>

struct df_progress;
void df_progress_enable(bool on); /* process-wide; off in workers */
struct df_progress *df_progress_new(const char *label, const char *unit, double total);
void df_progress_set(struct df_progress *progress, double done, const char *note /* may be NULL */);
void df_progress_free(struct df_progress *progress); /* ends the line; NULL is fine */
/* "1h 02m", "3m 20s", "12s"; buffer >= 24 bytes */
char *df_duration_text(char buffer[24], double seconds);
#endif
