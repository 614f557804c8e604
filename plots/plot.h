/* Plots through gnuplot (a program we start; absent: DF_ERR_NOT_FOUND that says how to get it). Each writes <folder>/<name>.csv (the data
 * it shows), <name>.gp (the script, runnable by hand in that folder), <name>.svg, <name>.png
 * and <name>.pdf. */
#ifndef DF_PLOTS_PLOT_H
#define DF_PLOTS_PLOT_H
#include "results/table.h"

df_status df_plot_bars(const struct df_table *table, const char *folder, const char *name,
                       struct df_error *err); /* mAP per method, 95 % intervals, seeds as points */
df_status df_plot_curves(const struct df_journal *journal, const struct df_table_request *request, const char *folder, const char *name,
                         struct df_error *err); /* mean over seeds and band per method */
/* Heat map of the mean mAP over two option axes of the spec, as far as the lines' axes text has them ("w_fg=4 w_bg=16"). Lines without both are
 * left out; fewer than 2x2 cells: DF_ERR_UNSUPPORTED. */
df_status df_plot_heat(const struct df_table *table, const char *axis_x, const char *axis_y, const char *folder, const char *name,
                       struct df_error *err);
/* Paired differences over the variants of a spec, a line per method; fewer than two variants, or no difference yet: DF_ERR_UNSUPPORTED. */
df_status df_plot_gain(const struct df_table *table, const char *folder, const char *name, struct df_error *err);
/* Precision against score, a line per method: the means over its runs that have the scores calibration.* (core/metrics/calibration.h). None:
 * DF_ERR_NOT_FOUND. */
df_status df_plot_reliability(const struct df_journal *journal, const struct df_table_request *request, const char *folder,
                              const char *name, struct df_error *err);

/* What trials say of weights. */
struct df_plot_trial {
    double value, score; /* of the weight; AP in percent, NAN: a trial without a score, which is not drawn */
};
struct df_plot_weight { /* a panel */
    const char *method, *weight;
    size_t trials;
    const struct df_plot_trial *trial;
    size_t start, best; /* trials */
};
struct df_sensitivity {
    const char *title;
    size_t weights;
    const struct df_plot_weight *weight;
    const char *reference; /* a method that has no weights, and its score: a line in all panels; NULL: none */
    double reference_score;
};
/* Score against each weight, on a logarithmic axis, a panel per method and weight; all panels have one vertical axis. No weights:
 * DF_ERR_UNSUPPORTED. */
df_status df_plot_sensitivity(const struct df_sensitivity *what, const char *folder, const char *name, struct df_error *err);
#endif
