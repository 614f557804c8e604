/* How far something is, as one line of a terminal or of a log. */
#ifndef DF_CORE_BASE_PROGRESS_LINE_H
#define DF_CORE_BASE_PROGRESS_LINE_H
#include <stdbool.h>
#include <stddef.h>

#include "core/base/text.h"

struct df_progress_view {
    char label[256], unit[24], note[96];
    double total, done;  /* total 0: not known; then without a unit `done` is not told either */
    double rate;         /* units a second; 0: none to tell */
    double eta, elapsed; /* seconds; eta NAN: not known */
};

/* "label [===>   ] 42 %  12.3 images/s  eta 3m 20s  note" within `columns` of a terminal. What does not fit goes, in this order: the rate, the bar,
 * the note, the label's middle; percent and ETA stay. label_columns: room that the label takes at least, so that several lines stand in columns. */
void df_progress_line(const struct df_progress_view *view, size_t columns, size_t label_columns, struct df_text *line);
/* "label: 42 %  12.3 images/s  eta 3m 20s  note", however long */
void df_progress_plain(const struct df_progress_view *view, struct df_text *line);
/* Columns of a text that df_shown has made. */
size_t df_text_columns(const char *text);
/* "1h 02m", "3m 20s", "12s"; buffer >= 24 bytes */
char *df_duration_text(char buffer[24], double seconds);
#endif
