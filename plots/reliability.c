/* Reliability: how often detections of a score are right, a line per method, beside the diagonal where scores mean what they say. */
#include <math.h>

#include "plots/plot.h"
#include "plots/script.h"
#include "results/csv_rows.h"

enum { BINS = 10, WIDTH = 760, HEIGHT = 480 };

struct bin {
    size_t runs;
    double share, confidence, precision; /* means over the runs that have detections in it */
};

static double score_of(const struct df_run_row *row, const char *what, int b)
{
    struct df_text metric = DF_TEXT_INIT;

    df_text_addf(&metric, "calibration.%s.0.%d", what, b);
    const double value = df_run_row_score(row, df_text_get(&metric), "");

    df_text_release(&metric);
    return value;
}

static struct bin bin_of(const struct df_journal *journal, const struct df_table_request *request, size_t line, int b)
{
    const struct df_table_line_request *of = &request->line[line];
    struct bin bin = { 0 };

    for (size_t i = 0; i < of->runs; i++) {
        const struct df_run_row *row = df_journal_find(journal, of->run[i], request->semantics);
        const double precision = df_run_row_ok(row) ? score_of(row, "precision", b) : NAN;

        if (isnan(precision))
            continue;
        bin.runs++;
        bin.share += score_of(row, "share", b);
        bin.confidence += score_of(row, "confidence", b);
        bin.precision += precision;
    }
    bin.share /= (double)(bin.runs ? bin.runs : 1);
    bin.confidence /= (double)(bin.runs ? bin.runs : 1);
    bin.precision /= (double)(bin.runs ? bin.runs : 1);
    return bin;
}

/* Rows of a line stand together. Returns how many there are. */
static size_t add_line(const struct df_journal *journal, const struct df_table_request *request, size_t line, struct df_text *out)
{
    size_t rows = 0;

    for (int b = 0; b < BINS; b++) {
        const struct bin bin = bin_of(journal, request, line, b);

        if (!bin.runs)
            continue;
        df_csv_add_int(out, (int64_t)line, true);
        df_csv_add_int(out, (int64_t)bin.runs, false);
        df_csv_add_real(out, bin.share, false);
        df_csv_add_real(out, bin.confidence, false);
        df_csv_add_real(out, bin.precision, false);
        df_csv_add(out, request->line[line].label, false);
        df_csv_add(out, request->line[line].axes, false);
        df_text_add(out, "\n");
        rows++;
    }
    return rows;
}

static void add_curve(const struct df_table_line_request *line, size_t number, struct df_text *script)
{
    struct df_text name = DF_TEXT_INIT;

    df_text_addf(&name, "%s%s%s", line->label, line->axes[0] ? " " : "", line->axes);
    df_text_addf(script,
                 ", \\\n     DATA skip 1 using ($1==%zu ? $4 : NaN):5 with linespoints pointtype 7 pointsize 0.6 linewidth 1.6 title ",
                 number);
    df_script_quote(script, df_text_get(&name));
    df_text_release(&name);
}

df_status df_plot_reliability(const struct df_journal *journal, const struct df_table_request *request, const char *folder,
                              const char *name, struct df_error *err)
{
    struct df_text data = DF_TEXT_INIT, script = DF_TEXT_INIT;
    df_status status = DF_ERR_NOT_FOUND;
    size_t rows = 0;

    df_text_add(&data, "line,runs,share,confidence,precision,method,options\n");
    df_script_begin(&script, name, WIDTH, HEIGHT);
    df_text_addf(&script, "DATA = '%s.csv'\nset datafile missing NaN\nset key outside right top Left reverse\nset size ratio 1\n", name);
    df_text_add(&script, "set xrange [0:1]\nset yrange [0:1]\nset xlabel 'mean score'\nset ylabel 'precision at IoU 0.5'\n"
                         "set grid linetype 1 linewidth 0.6 linecolor rgb '#dddddd'\nset tmargin at screen 0.9\nset label 1 ");
    df_script_quote(&script, request->title); /* over the whole picture: the square is left of its middle, and narrow */
    df_text_add(&script,
                " at screen 0.5, 0.95 center\nplot x with lines dashtype 2 linecolor rgb '#000000' title 'scores mean what they say'");
    for (size_t l = 0; l < request->lines; l++) {
        const size_t added = add_line(journal, request, l, &data);

        if (added)
            add_curve(&request->line[l], l, &script);
        rows += added;
    }
    df_text_add(&script, "\n");
    df_script_end(&script);
    if (rows)
        status = df_script_run(folder, name, &data, &script, err);
    else
        df_fail(err, DF_ERR_NOT_FOUND, "no run of these methods has calibration scores to be drawn");
    df_text_release(&data);
    df_text_release(&script);
    return status;
}
