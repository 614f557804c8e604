/* Plots: the data beside them, names that gnuplot would read as commands, pictures that are there and not blank. Skipped without gnuplot. */
#include "plots/plot.h"
#include "plots/script.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "results/csv_rows.h"
#include "tests/results/sample.h"
#include "tests/support/support.h"

static struct df_error err;

static void need_gnuplot(void)
{
    const char *path = getenv("PATH");
    bool found = false;

    for (; path && *path; path += strcspn(path, ":"), path += *path == ':') {
        char folder[512];

        snprintf(folder, sizeof folder, "%.*s", (int)strcspn(path, ":"), path);
        char *program = df_path_join(folder, "gnuplot");

        found |= access(program, X_OK) == 0;
        free(program);
    }
    if (!found)
        skip();
}

static void read_text(const char *folder, const char *name, char **data, size_t *bytes)
{
    char *path = df_path_join(folder, name);

    assert_ok(df_file_read(path, 0, data, bytes, &err));
    free(path);
}

/* Marks that show: gnuplot 5 lays a white one under each of yerrorbars, whatever it is told. */
static size_t count(const char *text, const char *mark)
{
    size_t n = 0;

    while ((text = strstr(text, mark)) != NULL) {
        const size_t bytes = strcspn(text, ">");

        n += memmem(text, bytes, "#FFFFFF", 7) == NULL;
        text += bytes;
    }
    return n;
}

/* All pictures are there; the SVG has the words; the PNG is of twice the SVG's size. Returns how many marks the SVG has. */
static size_t check_pictures(const char *folder, const char *name, const char *const *words, const char *mark)
{
    char file[64], *svg, *png, *pdf;
    size_t bytes, width, height;

    snprintf(file, sizeof file, "%s.svg", name);
    read_text(folder, file, &svg, &bytes);
    for (; *words; words++)
        if (!strstr(svg, *words))
            fail_msg("%s: '%s' is not in it", file, *words);
    assert_int_equal(sscanf(strstr(svg, "<svg"), "<svg width=\"%zu\" height=\"%zu\"", &width, &height), 2);
    snprintf(file, sizeof file, "%s.png", name);
    read_text(folder, file, &png, &bytes);
    assert_true(bytes > 5000 && memcmp(png, "\x89PNG", 4) == 0);
    const unsigned char *size = (const unsigned char *)png + 16;

    assert_int_equal(size[2] * 256 + size[3], 2 * width);
    assert_int_equal(size[6] * 256 + size[7], 2 * height);
    snprintf(file, sizeof file, "%s.pdf", name);
    read_text(folder, file, &pdf, &bytes);
    assert_true(bytes > 3000 && memcmp(pdf, "%PDF-", 5) == 0);
    free(pdf);
    const size_t marks = count(svg, mark);

    free(svg);
    free(png);
    return marks;
}

static void bars(void **state)
{
    (void)state;
    static const char *const words[] = { "A &amp; B: 100%_sure",
                                         "DeFeat | 100% &amp; {neck}_1",
                                         "w_fg=4 w_bg=16",
                                         "'quoted'",
                                         "`ls`",
                                         "31.00 \xc2\xb1 2.48",
                                         "mAP (%)",
                                         "Student t",
                                         NULL };
    struct sample s;
    struct df_table *table;
    struct df_csv_row row = { 0 };
    size_t bytes, lines, rows = 0, seeds = 0;

    need_gnuplot();
    char *folder = df_path_join(df_test_folder(), "bars");

    sample_fill(&s);
    assert_ok(df_table_build(&s.journal, &s.request, &table, &err));
    assert_ok(df_plot_bars(table, folder, "bars", &err));
    assert_int_equal(check_pictures(folder, "bars", words, "<use xlink:href='#gpPt6'"),
                     12 + 1); /* seeds; one difference outside the noise */
    char *data;

    read_text(folder, "bars.csv", &data, &bytes);

    for (size_t at = 0, n; (n = df_csv_row_bytes(data + at, bytes - at, &lines)) > 0; at += n, rows++) {
        assert_ok(df_csv_row_parse(&row, data + at, n, "bars.csv", &err));
        if (rows == 1) {
            assert_string_equal(row.cell[2], "31");
            assert_string_equal(row.cell[10], "none");
        }
        seeds += rows > 0 && strcmp(row.cell[1], "0") != 0;
    }
    assert_int_equal(rows, 1 + SAMPLE_LINES + 12);
    assert_int_equal(seeds, 12);
    df_csv_row_release(&row);
    free(data);
    df_table_free(table);
    free(folder);
}

/* Five points per run; the AP rises by line and point. What is no AP of the tuning split is not drawn. */
static void curves(void **state)
{
    (void)state;
    enum { POINTS = 5, RUNS = 13 };
    static const char *const words[] = { "DeFeat | 100% &amp; {neck}_1", "w_fg=2 w_bg=8", "epoch", "mAP (%)", "standard deviation", NULL };
    struct sample s;
    struct df_curve_point point[RUNS][3 * POINTS];
    size_t bytes;

    need_gnuplot();
    char *folder = df_path_join(df_test_folder(), "curves");

    sample_fill(&s);
    for (size_t r = 0; r < RUNS; r++) {
        for (size_t p = 0; p < POINTS; p++) {
            const double ap = s.score[r][0].value * (1 - pow(0.5, (double)p + 1)), epoch = 2 * (double)(p + 1);

            point[r][3 * p] = (struct df_curve_point){ 100, epoch, "train", "AP", 0.9 };
            point[r][3 * p + 1] = (struct df_curve_point){ 100, epoch, "tune", "AP", ap };
            point[r][3 * p + 2] = (struct df_curve_point){ 100, epoch, "tune", "AP50", 0.9 };
        }
        s.row[r].curve = (struct df_curve){ 3 * POINTS, point[r] };
    }
    assert_ok(df_plot_curves(&s.journal, &s.request, folder, "curves", &err));
    assert_int_equal(check_pictures(folder, "curves", words, "<use xlink:href='#gpPt6'"),
                     4 * 2 * POINTS); /* four panels, each with the baseline */
    char *data;

    read_text(folder, "curves.csv", &data, &bytes);

    assert_non_null(strstr(data, "\n0,2,15.5,0.5,3,none,\n")); /* 15, 15.5, 16 */
    assert_non_null(strstr(data, "\n3,4,23.25,"));             /* two finished seeds: 24.75, 21.75 */
    assert_null(strstr(data, "nan"));
    free(data);
    for (size_t r = 0; r < RUNS; r++)
        s.row[r].curve.count = 0;
    assert_fails(df_plot_curves(&s.journal, &s.request, folder, "curves", &err), DF_ERR_NOT_FOUND, "no learning curves");
    free(folder);
}

/* A 3 x 2 grid with one hole, values to be sorted as numbers; two lines without the axes. */
static void heat(void **state)
{
    (void)state;
    static const char *const axes[] = {
        "", "w_bg=16 w_fg=4", "w_bg=16 w_fg=10", "defeat.w_bg=8 w_fg=4", "w_fg=10 w_bg=8 norm=group", "w_bg=8 w_fg=0.5", "w_bg=4"
    };
    static const char *const words[] = { "w_fg", "w_bg", "0.5", ">16<", "34.00", "mAP (%)", NULL };
    struct df_table_line line[7] = { { 0 } };
    struct df_table table = { .lines = 7, .line = line, .title = "heat" };
    size_t bytes;

    need_gnuplot();
    char *folder = df_path_join(df_test_folder(), "heat");

    for (size_t l = 0; l < 7; l++) {
        const double value[] = { 29.5 + (double)l, 30.5 + (double)l };

        line[l] = (struct df_table_line){
            .label = "defeat", .axes = axes[l], .points = 2, .expected = 2, .metric = { df_mean_interval(value, 2, 0.95) }
        };
    }
    assert_ok(df_plot_heat(&table, "w_fg", "w_bg", folder, "heat", &err));
    const size_t polygons = check_pictures(folder, "heat", words, "<polygon"); /* cells and the colour box */

    char *data;

    read_text(folder, "heat.csv", &data, &bytes);

    assert_non_null(strstr(data, "lines,w_fg,w_bg\n"));
    assert_non_null(strstr(data, "\n0,0,35,"));
    assert_non_null(strstr(data, "\n2,0,34,"));
    assert_non_null(strstr(data, "\n0,1,,,0,0.5,16\n"));
    free(data);
    line[6].axes = "w_fg=0.5 w_bg=16"; /* the hole */
    assert_ok(df_plot_heat(&table, "w_fg", "w_bg", folder, "heat", &err));
    assert_int_equal(check_pictures(folder, "heat", words, "<polygon"), polygons + 1);
    assert_fails(df_plot_heat(&table, "w_fg", "norm", folder, "heat", &err), DF_ERR_UNSUPPORTED, "found 1 x 1");
    free(folder);
}

/* Two methods over three variants; one method has an option besides the variant and is no line. */
static void gain(void **state)
{
    (void)state;
    static const char *const words[] = { "p=0", "p=0.5", "p=1", "a &amp; b", "full", "Difference to none of the same variant", NULL };
    static const char *const variant[] = { "p=0", "p=0.5", "p=1" };
    static const char *const label[] = { "none", "a & b", "full", "axes" };
    struct df_table_line line[12] = { { 0 } };
    struct df_table table = { .lines = 12, .line = line, .title = "gain" };
    size_t bytes;

    need_gnuplot();
    char *folder = df_path_join(df_test_folder(), "gain");

    for (size_t l = 0; l < 12; l++) {
        const double value[] = { (double)l - 0.5, (double)l + 0.5 };

        line[l] = (struct df_table_line){
            .label = label[l % 4], .axes = l % 4 == 3 ? "p=0 w=1" : variant[l / 4], .variant = variant[l / 4], .baseline = l - l % 4
        };
        if (l % 4)
            line[l].difference = df_mean_interval(value, 2, 0.95);
    }
    assert_ok(df_plot_gain(&table, folder, "gain", &err));
    assert_int_equal(check_pictures(folder, "gain", words, "<use xlink:href='#gpPt6'"), 2 * 6 + 2); /* lines, points, and two in the key */

    char *data;

    read_text(folder, "gain.csv", &data, &bytes);
    assert_non_null(strstr(data, "\n-0.12,0,1,"));
    assert_non_null(strstr(data, "\n2.12,1,10,"));
    assert_null(strstr(data, "axes"));
    free(data);
    table.lines = 4;
    assert_fails(df_plot_gain(&table, folder, "gain", &err), DF_ERR_UNSUPPORTED, "1 variants");
    free(folder);
}

/* The axis of differences has zero and all that is there, and no empty half. */
static void ranges(void **state)
{
    static const struct {
        double value[3];
        const char *expected;
    } cases[] = {
        { { 8, 5, 10 }, "set xrange [0:10.6]\n" },
        { { -2, -10, NAN }, "set xrange [-10.6:0]\n" },
        { { 1, -4, 6 }, "set xrange [-4.6:6.6]\n" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct df_script_range range = { 0 };
        struct df_text text = DF_TEXT_INIT;

        for (size_t k = 0; k < 3; k++)
            df_script_widen(&range, cases[i].value[k]);
        df_script_add_range(&text, "x", &range);
        assert_string_equal(text.data, cases[i].expected);
        df_text_release(&text);
    }
}

/* One seed has differences without intervals: they are drawn, and the plot says so. */
static void one_seed(void **state)
{
    (void)state;
    static const char *const words[] = { "one seed: no interval", NULL };
    struct sample s;
    struct df_table *table;

    need_gnuplot();
    char *folder = df_path_join(df_test_folder(), "one");

    sample_fill(&s);
    for (size_t l = 0; l < SAMPLE_LINES; l++)
        s.line[l].runs = 1;
    assert_ok(df_table_build(&s.journal, &s.request, &table, &err));
    assert_ok(df_plot_bars(table, folder, "one", &err));
    assert_int_equal(check_pictures(folder, "one", words, "<use xlink:href='#gpPt5' transform"),
                     SAMPLE_LINES - 1); /* hollow: inside the noise */
    df_table_free(table);
    free(folder);
}

static void without_gnuplot(void **state)
{
    (void)state;
    char *folder = df_path_join(df_test_folder(), "absent"), *path = df_strdup(getenv("PATH")), *data;
    struct sample s;
    struct df_table *table;
    size_t bytes;

    sample_fill(&s);
    assert_ok(df_table_build(&s.journal, &s.request, &table, &err));
    setenv("PATH", "/nowhere", 1);
    assert_fails(df_plot_bars(table, folder, "bars", &err), DF_ERR_NOT_FOUND, "gnuplot");
    setenv("PATH", path, 1);
    read_text(folder, "bars.gp", &data, &bytes); /* the data and the script are there all the same */
    assert_true(bytes > 100);
    free(data);
    df_table_free(table);
    free(path);
    free(folder);
}

/* Three weights of two methods: a point per trial that has a score, the start ringed, the best filled, a line for the method without weights. */
static void sensitivity(void **state)
{
    (void)state;
    static const char *const words[] = { "A &amp; B", "cwd 100%_'x'", "w_fg", "w_bg", ">10<", "mAP (%)", "line: none", NULL };
    static const struct df_plot_trial one[] = { { 10, 30 }, { 100, 32 }, { 1, 31 }, { 3, NAN } };
    static const struct df_plot_trial fg[] = { { 4, 33 }, { 8, 31 }, { 2, 30 } }, bg[] = { { 16, 33 }, { 2, 31 }, { 99, 30 } };
    static const struct df_plot_weight weight[] = { { "cwd 100%_'x'", "w", 4, one, 0, 1 },
                                                    { "DeFeat", "w_fg", 3, fg, 0, 0 },
                                                    { "DeFeat", "w_bg", 3, bg, 0, 0 } };
    struct df_sensitivity what = { "A & B", 3, weight, "none", 29 };
    size_t bytes;
    char *data;

    need_gnuplot();
    char *folder = df_path_join(df_test_folder(), "sensitivity");

    assert_ok(df_plot_sensitivity(&what, folder, "s", &err));
    assert_int_equal(check_pictures(folder, "s", words, "<use xlink:href='#gpPt6'"), 2 + 3 + 3); /* one trial has no score, one is a ring */
    read_text(folder, "s.csv", &data, &bytes);
    assert_non_null(strstr(data, "\n0,100,32,best,cwd 100%_'x',w\n0,1,31,trial,"));
    assert_non_null(strstr(data, "\n2,16,33,best,DeFeat,w_bg\n"));
    assert_null(strstr(data, "nan"));
    free(data);
    what.weights = 0;
    assert_fails(df_plot_sensitivity(&what, folder, "s", &err), DF_ERR_UNSUPPORTED, "no method has weights");
    free(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(bars),        cmocka_unit_test(curves),         cmocka_unit_test(heat),
                                        cmocka_unit_test(gain),        cmocka_unit_test(ranges),         cmocka_unit_test(one_seed),
                                        cmocka_unit_test(sensitivity), cmocka_unit_test(without_gnuplot) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
