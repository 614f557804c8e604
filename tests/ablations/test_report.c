/* The report's page: well-formed, whole without anything else, its names text, its figures' data beside it; the charts' places. */
#include "ablations/report/report.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/report/chart.h"
#include "core/base/file.h"
#include "results/csv_rows.h"
#include "tests/results/sample.h"
#include "tests/support/support.h"

static struct df_error err;

/* Rows whose names are what a page must not obey; every finished run has a curve with telemetry. */
static const char evil[] = "<script>alert('1')</script> & \"\xe2\x80\xae]]>\x1b\xd8\xb4</title><!--";
enum { POINTS = 3, KINDS = 4 };
static struct df_curve_point point[POINTS * KINDS];

static void fill(struct sample *s)
{
    static const struct {
        const char *split, *metric;
        double value;
    } kind[KINDS] = { { "tune", "AP", 0.1 }, { "train", "loss", 2 }, { "train", "lr", 0.1 }, { "train", "telemetry.<cosine>", 0.5 } };

    sample_fill(s);
    for (size_t p = 0; p < POINTS * KINDS; p++) {
        const size_t k = p % KINDS;

        point[p] = (struct df_curve_point){ (int64_t)(100 * (p / KINDS + 1)), (double)(p / KINDS + 1), kind[k].split, kind[k].metric,
                                            kind[k].value + 0.01 * (double)p };
    }
    for (size_t i = 0; i < s->journal.runs; i++) {
        s->row[i].curve = (struct df_curve){ POINTS * KINDS, point };
        if (strcmp(s->row[i].label, s->line[1].label) == 0)
            s->row[i].label = evil;
        if (!df_run_row_ok(&s->row[i]))
            s->row[i].status = "failed: <b>out of luck</b>";
    }
    s->line[1].label = evil;
}

static char *write_page(struct sample *s, const char *name, const struct df_report_warnings *warnings, size_t *bytes)
{
    char *path = df_path_join(df_test_folder(), name), *text;
    struct df_report_written written;
    const struct df_report_request request = { .journal = &s->journal,
                                               .rows = &s->request,
                                               .source = "rows <of> another",
                                               .out = "out",
                                               .report = "defeat report 'rows <of> another'",
                                               .path = path,
                                               .detections = true,
                                               .images = 4,
                                               .warnings = warnings };

    assert_ok(df_report_write(&request, &written, &err));
    assert_ok(df_file_read(path, 0, &text, bytes, &err));
    assert_int_equal(written.bytes, *bytes);
    assert_true(written.files >= 6);
    free(path);
    return text;
}

static const struct df_report_warnings no_warnings;

/* ---- structure -------------------------------------------------------------------------------------------------------------------- */

enum { DEEPEST = 64 };

/* A tag from '<' on: every attribute quoted, whatever opens is closed in order. Returns what is behind it. */
static const char *check_tag(const char *at, char open[DEEPEST][32], size_t *depth)
{
    const bool closes = at[1] == '/';
    const char *name = at + 1 + closes, *c = name;
    char word[32];

    while (isalnum((unsigned char)*c))
        c++;
    if (c == name || c - name >= 32)
        fail_msg("no tag: '%.40s'", at);
    snprintf(word, sizeof word, "%.*s", (int)(c - name), name);
    while (*c == ' ') {
        c += 1 + strcspn(c + 1, "=<> \"");
        if (c[0] != '=' || c[1] != '"')
            fail_msg("an attribute without a quoted value: '%.60s'", at);
        c += 2;
        c += strcspn(c, "\"<");
        if (*c != '"')
            fail_msg("an attribute that does not end: '%.60s'", at);
        c++;
    }
    const bool alone = *c == '/';

    if (c[alone] != '>')
        fail_msg("a tag that does not end: '%.60s'", at);
    if (closes && (*depth == 0 || strcmp(open[--*depth], word) != 0))
        fail_msg("'</%s>' closes '%s'", word, open[*depth]);
    if (!closes && !alone) {
        assert_true(*depth < DEEPEST);
        strcpy(open[(*depth)++], word);
    }
    return c + alone + 1;
}

static void check_well_formed(const char *page)
{
    static const char *const entity[] = { "&amp;", "&lt;", "&gt;", "&quot;", "&#39;" };
    static const char begin[] = "<!DOCTYPE html>\n";
    char open[DEEPEST][32];
    size_t depth = 0, tags = 0;

    assert_memory_equal(page, begin, sizeof begin - 1);
    for (const char *c = page + sizeof begin - 1; *c;) {
        if (*c == '<') {
            c = check_tag(c, open, &depth);
            tags++;
            continue;
        }
        if (*c == '&') {
            size_t i = 0;

            while (i < 5 && strncmp(c, entity[i], strlen(entity[i])) != 0)
                i++;
            if (i == 5)
                fail_msg("no entity: '%.20s'", c);
        }
        assert_true((unsigned char)*c >= ' ' || *c == '\n');
        c++;
    }
    assert_int_equal(depth, 0);
    assert_true(tags > 500);
}

/* What would fetch something: nothing but a link that somebody follows to a CSV beside the page. */
static void check_alone(const char *page, const char *data)
{
    static const char *const fetches[] = { "<script", "<iframe", "<object", "<embed",     "<base", "<form",       " src=",
                                           "srcset",  "@import", "url(",    "http-equiv", " on",   "javascript:", "//" };

    for (size_t i = 0; i < sizeof fetches / sizeof *fetches; i++)
        for (const char *at = page; (at = strstr(at, fetches[i])); at++)
            if (at[strlen(fetches[i])] != ' ' && (strcmp(fetches[i], " on") != 0 || memchr(at, '=', strcspn(at + 1, " >") + 1)))
                fail_msg("the page would not be alone: '%.60s'", at);
    for (const char *at = page; (at = strstr(at, "href=\"")); at++) {
        const char *to = at + 6;

        if (*to != '#' && strncmp(to, "data:", 5) != 0 && strncmp(to, data, strlen(data)) != 0)
            fail_msg("a link that leaves: '%.60s'", to);
    }
}

static size_t count(const char *text, const char *part)
{
    size_t n = 0;

    for (; (text = strstr(text, part)); text++)
        n++;
    return n;
}

static void has(const char *page, const char *part)
{
    if (!strstr(page, part))
        fail_msg("the page has no '%s'", part);
}

static void the_page_is_whole(void **state)
{
    struct sample s;
    size_t bytes, again;

    (void)state;
    fill(&s);
    char *page = write_page(&s, "evil.html", &no_warnings, &bytes), *same = write_page(&s, "evil.html", &no_warnings, &again);

    assert_int_equal(strlen(page), bytes);
    assert_true(bytes < 5 * 1024 * 1024);
    check_well_formed(page);
    check_alone(page, "evil-data/");
    assert_string_equal(page, same);
    free(page);
    free(same);
}

static void names_are_text(void **state)
{
    struct sample s;
    size_t bytes;

    (void)state;
    fill(&s);
    char *page = write_page(&s, "names.html", &(struct df_report_warnings){ 1, (const char *const[]){ "<i>a warning</i>" } }, &bytes);

    assert_int_equal(count(page, "<script"), 0);
    assert_int_equal(count(page, "\x1b"), 0);
    assert_int_equal(count(page, "\xe2\x80\xae"), 0);
    assert_int_equal(count(page, "</title><!--"), 0);
    has(page, "<bdi>&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; &amp; &quot;\\u202e]]&gt;\\x1b\xd8\xb4&lt;/title&gt;&lt;!-- w_fg=4 "
              "w_bg=16</bdi>");
    has(page, "<bdi>&lt;i&gt;a warning&lt;/i&gt;</bdi>");
    has(page, "failed: &lt;b&gt;out of luck&lt;/b&gt;");
    has(page, "<bdi>telemetry.&lt;cosine&gt;</bdi>");
    has(page, "<title>A &amp; B: 100%_sure</title>");
    free(page);
}

/* ---- content ---------------------------------------------------------------------------------------------------------------------- */

static void it_tells_what_there_is(void **state)
{
    struct sample s;
    size_t bytes;

    (void)state;
    fill(&s);
    char *page = write_page(&s, "told.html", &no_warnings, &bytes);

    has(page, "Of 4 methods against &#39;none&#39;: 1 better, 0 worse, 3 undecided.");
    has(page, "w_fg=4 w_bg=16 is 2.00 better than none (");
    has(page, "full feature is 0.17 better than none (");
    has(page, "5 methods, semantics 2");
    has(page, "Runs that failed: 1; runs that are missing: 2; warnings: 0.");
    has(page, "foreground w_fg=2 w_bg=8, seed 20 (");
    has(page, "a folder of rows does not say which data");
    /* five lines: 20 sentences of two, of which the style shows one; radio inputs, one of each list chosen */
    assert_int_equal(count(page, "<li class=\"pair v"), 20);
    assert_int_equal(count(page, "type=\"radio\""), 10);
    assert_int_equal(count(page, "checked=\"checked\""), 2);
    has(page, "id=\"b0\" checked=\"checked\"");
    has(page, "#two:has(#a3:checked):has(#b1:checked) .v");
    /* a panel for AP, telemetry and loss; the learning rate is the same for all. Five methods in each. */
    assert_int_equal(count(page, "<svg class=\"data\""), 3);
    assert_int_equal(count(page, "<g class=\"m m"), 15);
    has(page, "<h3>Telemetry</h3>");
    has(page, "<bdi>disk</bdi>");
    assert_int_equal(count(page, "<svg class=\"strip\""), 10);
    free(page);
}

static void without_telemetry_it_says_so(void **state)
{
    struct sample s;
    size_t bytes;

    (void)state;
    fill(&s);
    for (size_t i = 0; i < s.journal.runs; i++)
        s.row[i].curve.count = 3;
    char *page = write_page(&s, "plain.html", &no_warnings, &bytes);

    has(page, "These runs kept no telemetry.");
    assert_int_equal(count(page, "<h3>Telemetry</h3>"), 0);
    assert_int_equal(count(page, "<svg class=\"data\""), 2);
    free(page);
}

/* More metrics than a page can hold: it stays within its size and tells how many it left out, which the CSV has all the same. */
static void a_page_has_its_size(void **state)
{
    enum { METRICS = 250, STEPS = 190 };
    struct df_curve_point *many = df_malloc(METRICS * STEPS * sizeof *many);
    char(*name)[16] = df_malloc(METRICS * sizeof *name);
    struct sample s;
    size_t bytes, drawn;

    (void)state;
    for (size_t m = 0; m < METRICS; m++)
        snprintf(name[m], sizeof name[m], "telemetry.%zu", m);
    for (size_t p = 0; p < METRICS * STEPS; p++)
        many[p] =
            (struct df_curve_point){ (int64_t)(p / METRICS), (double)(p / METRICS), "train", name[p % METRICS], (double)(p * p % 1013) };
    fill(&s);
    for (size_t i = 0; i < s.journal.runs; i++)
        s.row[i].curve = (struct df_curve){ METRICS * STEPS, many };
    char *page = write_page(&s, "large.html", &no_warnings, &bytes);

    assert_true(bytes > 3 * 1024 * 1024 && bytes <= 5 * 1024 * 1024);
    drawn = count(page, "<svg class=\"data\"");
    assert_true(drawn > 100 && drawn < METRICS);
    char told[64];

    snprintf(told, sizeof told, "<p class=\"note\">%zu metrics are not drawn", METRICS - drawn);
    has(page, told);
    check_well_formed(page);
    free(page);
    free(many);
    free(name);
}

/* A band of one standard deviation around a mean, in thousandths of the frame: of one run there is none. */
static void a_curve_stands_where_it_should(void **state)
{
    const struct df_chart_frame frame = { .x = { 0, 10 }, .y = { 0, 4 }, .x_title = "", .y_title = "", .title = "" };
    const struct df_chart_point line[] = { { 0, 1, 1 }, { 5, 2, 0 }, { 7, NAN, 0 }, { 10, 3, 1 } };
    struct df_text out = DF_TEXT_INIT;

    (void)state;
    df_chart_curve(&frame, line, 4, &out);
    assert_string_equal(out.data, "<path class=\"band\" d=\"M0 500L500 500L500 500L0 1000ZM1000 0L1000 500Z\"/>"
                                  "<path class=\"mean\" d=\"M0 750L500 500M1000 250\"/>");
    df_text_release(&out);
}

static void ticks_are_round(void **state)
{
    static const struct {
        struct df_chart_range range;
        size_t count;
        double first, step;
    } expected[] = {
        { { 0, 1 }, 6, 0, 0.2 }, { { 31.2, 33.9 }, 5, 31.5, 0.5 }, { { -7, 12 }, 4, -5, 5 }, { { 0.00011, 0.00052 }, 4, 0.0002, 0.0001 }
    };

    (void)state;
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        struct df_chart_ticks ticks;

        df_chart_ticks(&expected[i].range, 4, &ticks);
        assert_int_equal(ticks.count, expected[i].count);
        for (size_t k = 0; k < ticks.count; k++)
            assert_close(ticks.at[k], expected[i].first + (double)k * expected[i].step, 1e-12, 1e-15);
    }
}

static void a_range_holds_its_values(void **state)
{
    struct df_chart_range range = DF_CHART_RANGE_INIT, same = DF_CHART_RANGE_INIT, empty = DF_CHART_RANGE_INIT, zero = DF_CHART_RANGE_INIT,
                          axis = { 0, 0 };

    (void)state;
    df_chart_widen(&range, NAN);
    df_chart_widen(&range, 3);
    df_chart_widen(&range, -1);
    assert_true(range.low == -1 && range.high == 3);
    df_chart_round(&range);
    assert_close(range.low, -1.2, 1e-12, 0);
    assert_close(range.high, 3.2, 1e-12, 0);
    assert_close(df_chart_place(&range, 1), 50, 1e-12, 0);
    df_chart_widen(&same, 5);
    df_chart_round(&same);
    assert_true(same.low < 5 && same.high > 5);
    df_chart_widen(&zero, 0);
    df_chart_round(&zero);
    assert_true(zero.low == 0 && zero.high > 1); /* nothing but 0 is no landscape of a millionth */
    df_chart_round(&empty);
    assert_true(empty.low < empty.high);
    df_chart_widen(&axis, 40);
    df_chart_round(&axis);
    assert_true(axis.low == 0 && axis.high > 40); /* bars stand on 0 */
}

/* ---- the data beside it ------------------------------------------------------------------------------------------------------------ */

/* Rows of <folder>/<name>.csv whose column has that text; all have as many cells as the head. */
static size_t rows_with(const char *folder, const char *name, const char *column, const char *text)
{
    struct df_text path = DF_TEXT_INIT;
    struct df_csv_file file;
    size_t at = SIZE_MAX, cells, n = 0;
    bool more;

    df_text_addf(&path, "%s/%s/%s.csv", df_test_folder(), folder, name);
    assert_ok(df_csv_open(path.data, &file, &err));
    assert_ok(df_csv_next(&file, &more, &err));
    cells = file.row.count;
    for (size_t c = 0; c < cells; c++)
        if (strcmp(file.row.cell[c], column) == 0)
            at = c;
    if (at == SIZE_MAX)
        fail_msg("%s has no column '%s'", path.data, column);
    for (;;) {
        assert_ok(df_csv_next(&file, &more, &err));
        if (!more)
            break;
        assert_int_equal(file.row.count, cells);
        n += strcmp(file.row.cell[at], text) == 0;
    }
    df_csv_close(&file);
    df_text_release(&path);
    return n;
}

static void figures_have_their_data(void **state)
{
    struct sample s;
    size_t bytes;

    (void)state;
    fill(&s);
    char *page = write_page(&s, "data.html", &no_warnings, &bytes);

    assert_int_equal(rows_with("data-data", "verdicts", "b", "none"), 4);
    assert_int_equal(rows_with("data-data", "pairs", "a", "none"), 4);
    assert_int_equal(rows_with("data-data", "pairs", "b", "none"), 0);
    assert_int_equal(rows_with("data-data", "bars", "method", evil), 4); /* the mean and three seeds */
    assert_int_equal(rows_with("data-data", "curves", "metric", "telemetry.<cosine>"), 15);
    assert_int_equal(rows_with("data-data", "curves", "metric", "lr"), 0);
    assert_int_equal(rows_with("data-data", "classes", "class", "disk"), 5);
    assert_int_equal(rows_with("data-data", "runs", "status", "ok"), 12);
    assert_int_equal(rows_with("data-data", "troubles", "kind", "Missing"), 2);
    for (const char *at = page; (at = strstr(at, "href=\"data-data/")); at++) {
        char *path = df_path_join(df_test_folder(), at + 6);

        path[strcspn(path, "\"")] = 0;
        assert_true(df_file_exists(path));
        free(path);
    }
    free(page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_page_is_whole),       cmocka_unit_test(names_are_text),
        cmocka_unit_test(it_tells_what_there_is),  cmocka_unit_test(without_telemetry_it_says_so),
        cmocka_unit_test(a_page_has_its_size),     cmocka_unit_test(a_curve_stands_where_it_should),
        cmocka_unit_test(ticks_are_round),         cmocka_unit_test(a_range_holds_its_values),
        cmocka_unit_test(figures_have_their_data),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
