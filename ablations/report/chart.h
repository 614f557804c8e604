/* Charts as inline SVG that follow the width of the page: places are in percent, letters and marks keep their size, colours are the page's (dark,
 * light, print). A frame has two axes; a strip is one row of a chart whose axis stands under all of its rows. */
#ifndef DF_ABLATIONS_REPORT_CHART_H
#define DF_ABLATIONS_REPORT_CHART_H
#include <stdbool.h>

#include "core/base/text.h"

struct df_chart_range {
    double low, high; /* low > high: nothing is in it */
};
#define DF_CHART_RANGE_INIT                                                                                                                \
    {                                                                                                                                      \
        1, 0                                                                                                                               \
    }
void df_chart_widen(struct df_chart_range *range, double value); /* what is not finite changes nothing */
/* A little room at both ends; a range without extent, or without values, gets some. */
void df_chart_round(struct df_chart_range *range);
double df_chart_place(const struct df_chart_range *range, double value); /* percent of the way from low to high */

enum { DF_CHART_TICKS = 12 };
struct df_chart_ticks {
    size_t count;
    double at[DF_CHART_TICKS];
};
/* Round numbers (1, 2 or 5 times a power of ten) inside of the range, about as many as wanted. */
void df_chart_ticks(const struct df_chart_range *range, size_t wanted, struct df_chart_ticks *out);

/* ---- frames ---- */

struct df_chart_frame {
    struct df_chart_range x, y;
    const char *x_title, *y_title, *title; /* title: text, also what is read out */
    const char *const *x_name;             /* of the places 0, 1, ... of x, in place of numbers; NULL: numbers */
    size_t x_names;
};
/* Up to _end come marks (percent of the frame), and between _data_begin and _data_end lines in thousandths of it. */
void df_chart_frame_begin(const struct df_chart_frame *frame, struct df_text *out);
void df_chart_frame_end(struct df_text *out);
void df_chart_data_begin(struct df_text *out);
void df_chart_data_end(struct df_text *out);

struct df_chart_point {
    double x, mean, half; /* half: of the band; 0: none */
};
/* <path class="band"> and <path class="mean"> of points by rising x, inside data. Places that are not finite interrupt the line. */
void df_chart_curve(const struct df_chart_frame *frame, const struct df_chart_point *point, size_t points, struct df_text *out);

/* ---- strips ---- */

struct df_chart_interval {
    double mean, low, high; /* NAN: none */
};
void df_chart_strip_begin(const struct df_chart_range *range, const char *read_out, struct df_text *out); /* with a line at 0 */
void df_chart_strip_end(struct df_text *out);
/* From 0 to the value. class: of the page's style */
void df_chart_bar(const struct df_chart_range *range, double from, double to, const char *class, struct df_text *out);
void df_chart_dot(const struct df_chart_range *range, double value, double y, const char *class, struct df_text *out);
void df_chart_whisker(const struct df_chart_range *range, const struct df_chart_interval *interval, const char *class, struct df_text *out);
/* The row with the numbers. */
void df_chart_strip_axis(const struct df_chart_range *range, const char *title, struct df_text *out);
#endif
