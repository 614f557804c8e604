/* A gnuplot script and the CSV beside it: quoting, the two terminals, running gnuplot. */
#ifndef DF_PLOTS_SCRIPT_H
#define DF_PLOTS_SCRIPT_H
#include "core/base/status.h"
#include "core/base/text.h"

/* Adds 'text' as gnuplot reads it: single-quoted (nothing is substituted in it), control characters as spaces. */
void df_script_quote(struct df_text *script, const char *text);
/* The same for a tic's label, where gnuplot reads '%' as a format. */
void df_script_quote_tic(struct df_text *script, const char *text);
/* Settings, and a loop over the terminals SVG, PNG (twice the size) and PDF that df_script_end closes. width, height: pixels of the SVG, 96 to
 * the inch of the PDF. */
void df_script_begin(struct df_text *script, const char *name, size_t width, size_t height);
void df_script_end(struct df_text *script);
/* An axis that shows all of these values and zero, no whisker cut, with a little room at the ends that data reach. */
struct df_script_range {
    double low, high;
};
void df_script_widen(struct df_script_range *range, double value); /* NAN changes nothing */
void df_script_add_range(struct df_text *script, const char *axis, const struct df_script_range *range);
/* Writes <folder>/<name>.csv and .gp and runs gnuplot in the folder, which makes <name>.svg, .png and .pdf. */
df_status df_script_run(const char *folder, const char *name, const struct df_text *data, const struct df_text *script,
                        struct df_error *err);
#endif
