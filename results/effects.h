/* A full factorial: the lines of one method under every combination of its axes' values. Effects are of a value against its axis' first, with the
 * mean over everything else; a two-way interaction is how far one effect depends on another axis' value. Each seed gives one value of every effect;
 * their intervals (Student t over seeds) hold all at once. */
#ifndef DF_RESULTS_EFFECTS_H
#define DF_RESULTS_EFFECTS_H
#include "results/table.h"

struct df_axis {
    char *name;
    size_t values;
    char **value;
};
struct df_effect {
    size_t axis[2], value[2];    /* axis[1] == SIZE_MAX: a main effect */
    struct df_interval interval; /* points */
    double p;                    /* two-sided t, Holm over all effects */
};
struct df_effects {
    size_t axes, lines, effects;
    struct df_axis *axis;
    struct df_effect *effect; /* main effects, then interactions */
    double confidence;        /* of each interval */
    size_t seeds, left_out;   /* seeds with every line's score; those that lack one */
};
struct df_effects_request {
    const struct df_table_request *table;
    const char *label;          /* of the method */
    const char *metric, *class; /* class "": of all */
};
/* Of the table's lines with that label (their options: "w_fg=2 w_bg=8"; a variant's label is an axis too). Anything but a full factorial of at
 * least two lines is an error that names a combination that is missing or there twice. */
df_status df_effects_of(const struct df_journal *journal, const struct df_effects_request *request, struct df_effects **out,
                        struct df_error *err);
void df_effects_free(struct df_effects *effects);
/* "w_fg 4 instead of 2", "w_fg 4 instead of 2, where w_bg is 16 instead of 8" */
void df_effect_name(const struct df_effects *effects, const struct df_effect *effect, struct df_text *out);
#endif
