/* For this room and its tests: the clock and the stream of the progress line. */
#ifndef DF_CORE_BASE_PROGRESS_INTERNAL_H
#define DF_CORE_BASE_PROGRESS_INTERNAL_H
#include <stdbool.h>
#include <stdio.h>

/* NULL stream: stderr, a terminal or not as it is. NULL clock: df_now. */
void df_progress_inject(double (*clock)(void), FILE *stream, bool terminal, int columns);
#endif
