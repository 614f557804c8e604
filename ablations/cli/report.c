/* `defeat report`: a sweep as one HTML page. */
#include "ablations/report/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ablations/cli/command.h"
#include "ablations/cli/compare_source.h"
#include "ablations/run/store.h"
#include "core/base/file.h"
#include "core/base/shell.h"

struct report_options {
    struct df_common_options common;
    struct df_which_rows which;
    char output[DF_STRING_MAX], baseline[DF_STRING_MAX], claims[DF_STRING_MAX];
    bool detections;
    int64_t images;
};
static const df_option options_table[] = {
    DF_SPEC_OPTION_ROWS(struct report_options, common),
    DF_WHICH_ROWS_OPTION_ROWS(struct report_options, which),
    { "output", DF_STRING_OPTION(struct report_options, output), .text = "",
      .help = "the page; its data go to a folder beside it (X.html: X-data); empty: report.html beside the rows" },
    { "baseline", DF_STRING_OPTION(struct report_options, baseline), .text = "",
      .help = "differences are to this label; empty: as the spec says, of a folder those without distillers" },
    { "claims", DF_STRING_OPTION(struct report_options, claims), .text = "",
      .help = "a paper's claims, such as ablations/claims.json: those about this spec are answered; empty: none" },
    { "detections", DF_BOOL_OPTION(struct report_options, detections), .standard = 1,
      .help = "read the results.json of every finished run: kinds of errors (TIDE), images" },
    { "images", DF_INT_OPTION(struct report_options, images), .standard = 4, .max = 64, .when = "detections=1",
      .help = "validation images with detections" },
    { 0 },
};

/* ---- warnings are told twice: at once, and on the page ----------------------------------------------------------------------------- */

struct kept {
    struct df_report_warnings list;
    char **text;
};

static void keep(void *context, const char *text)
{
    struct kept *kept = context;

    fprintf(stderr, "warning: %s\n", text);
    kept->text = df_realloc(kept->text, (kept->list.count + 1) * sizeof *kept->text);
    kept->text[kept->list.count++] = df_strdup(text);
    kept->list.text = (const char *const *)kept->text;
}

static void kept_release(struct kept *kept)
{
    for (size_t i = 0; i < kept->list.count; i++)
        free(kept->text[i]);
    free(kept->text);
}

/* ---- rows ------------------------------------------------------------------------------------------------------------------------- */

static bool is_baseline(const struct df_table_source *source, const char *label, size_t line)
{
    const struct df_table_line_request *of = &source->request.line[line];
    const struct df_run_row *row = df_journal_find(source->journal, of->run[0], source->request.semantics);

    return *label ? strcmp(of->label, label) == 0 : row && strstr(row->cell, "\"distillers\":[]");
}

/* Whether the words of `begin` are the first ones of `text`. */
static bool begins_with(const char *text, const char *begin)
{
    const size_t length = strlen(begin);

    return strncmp(text, begin, length) == 0 && (!length || !text[length] || text[length] == ' ');
}

static const char *label_at(const void *table, size_t i)
{
    const struct df_table_request *rows = table;

    return i < rows->lines ? rows->line[i].label : NULL;
}

static bool stands_before(const struct df_table_source *source, const char *label, size_t a, size_t b)
{
    const struct df_table_line_request *x = &source->request.line[a], *y = &source->request.line[b];
    const bool first = is_baseline(source, label, a), second = is_baseline(source, label, b);
    const int by_label = strcmp(x->label, y->label);

    return first != second ? first : by_label != 0 ? by_label < 0 : strcmp(x->axes, y->axes) < 0;
}

/* A folder has its rows by run, which is no order for a reader: what others are compared with comes first, then by name. */
static void sort_lines(const char *label, struct df_table_source *source)
{
    struct df_table_request *rows = &source->request;

    for (size_t i = 1; i < rows->lines; i++)
        for (size_t k = i; k > 0 && stands_before(source, label, k, k - 1); k--) {
            const struct df_table_line_request swap = rows->line[k];

            rows->line[k] = rows->line[k - 1];
            rows->line[k - 1] = swap;
        }
}

/* Of a folder of rows, which says nothing of baselines: a line's is the one whose options are the first of its own, the longest of them, for a
 * variant's label stands before the options. Without any it is the first line. */
static df_status choose_baselines(const char *label, struct df_table_source *source, struct df_error *err)
{
    struct df_table_request *rows = &source->request;

    if (*label && df_find_name(label_at, rows, label, "method", NULL, err) == SIZE_MAX)
        return df_fail_in(err, DF_ERR_USAGE, "--baseline");
    sort_lines(label, source);
    for (size_t l = 0; l < rows->lines; l++) {
        size_t best = SIZE_MAX;

        for (size_t b = 0; b < rows->lines; b++)
            if (is_baseline(source, label, b) && begins_with(rows->line[l].axes, rows->line[b].axes) &&
                (best == SIZE_MAX || strlen(rows->line[b].axes) > strlen(rows->line[best].axes)))
                best = b;
        rows->line[l].baseline = best == SIZE_MAX ? 0 : best;
        rows->line[l].variant = best == SIZE_MAX ? "" : rows->line[best].axes;
    }
    return DF_OK;
}

/* A folder of rows, or a spec with its own seeds (--seeds: those), as `table` has it. */
static df_status open_rows(const struct report_options *options, const char *path, struct df_compare_source *out, struct df_error *err)
{
    df_status status;

    if (!df_folder_is(path)) {
        *out = (struct df_compare_source){ 0 };
        status = df_table_source_open(&options->common, &options->which, path, options->baseline, &out->rows, err);
        out->path = status == DF_OK ? df_strdup(path) : NULL;
        return status;
    }
    DF_TRY(df_compare_source_open(&options->common, &options->which, path, out, err));
    status = choose_baselines(options->baseline, &out->rows, err);
    if (status != DF_OK)
        df_compare_source_close(out);
    return status;
}

/* ---- the page --------------------------------------------------------------------------------------------------------------------- */

/* As they work when pasted. */
struct commands {
    struct df_text sweep, run, report;
};

static void make_commands(const struct report_options *options, const struct df_compare_source *source, struct commands *out)
{
    *out = (struct commands){ 0 };
    if (source->rows.spec) {
        df_common_command(&options->common, "sweep", source->path, &out->sweep);
        df_common_command(&options->common, "run", source->path, &out->run);
        df_common_command(&options->common, "report", source->path, &out->report);
    } else {
        df_text_addf(&out->report, "%s report", df_program());
        df_shell_add(&out->report, source->path);
    }
    if (options->which.semantics != DF_SEMANTICS)
        df_text_addf(&out->report, " --semantics %lld", (long long)options->which.semantics);
}

/* Those of the file that are about this spec. */
struct chosen_claims {
    struct df_claims all;
    const struct df_claim **claim;
    size_t count;
};

static bool same_file(const char *a, const char *b)
{
    struct stat x, y;

    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static df_status choose_claims(const char *file, const struct df_spec *spec, struct chosen_claims *out, struct df_error *err)
{
    *out = (struct chosen_claims){ 0 };
    if (!file[0])
        return DF_OK;
    if (!spec)
        return df_fail(err, DF_ERR_USAGE, "--claims '%s': claims are about a spec, and a folder of rows names none [defeat report SPEC]",
                       file);
    DF_TRY(df_claims_read(file, &out->all, err));
    out->claim = df_calloc(out->all.count + 1, sizeof *out->claim);
    char *folder = df_path_folder(file);

    for (size_t i = 0; i < out->all.count; i++) {
        char *path = df_path_join(folder, out->all.claim[i].spec);

        if (same_file(path, spec->path))
            out->claim[out->count++] = &out->all.claim[i];
        free(path);
    }
    free(folder);
    if (!out->count)
        df_warn("'%s' claims nothing of '%s'", file, spec->path);
    return DF_OK;
}

static void chosen_claims_release(struct chosen_claims *claims)
{
    df_claims_release(&claims->all);
    free(claims->claim);
}

static df_status write_page(const struct report_options *options, struct df_compare_source *source, const struct kept *kept,
                            struct df_error *err)
{
    char *path = options->output[0] ? df_strdup(options->output) : df_store_report(source->rows.folder);
    struct df_report_written written;
    struct chosen_claims claims;
    struct commands commands;
    df_status status = choose_claims(options->claims, source->rows.spec, &claims, err);

    make_commands(options, source, &commands);
    const struct df_report_request request = { .spec = source->rows.spec,
                                               .journal = source->rows.journal,
                                               .rows = &source->rows.request,
                                               .source = source->path,
                                               .out = options->common.out,
                                               .sweep = commands.sweep.data,
                                               .run = commands.run.data,
                                               .report = commands.report.data,
                                               .path = path,
                                               .detections = options->detections,
                                               .images = (size_t)options->images,
                                               .claim = claims.claim,
                                               .claims = claims.count,
                                               .warnings = &kept->list };

    if (status == DF_OK)
        status = df_report_write(&request, &written, err);

    if (status == DF_OK)
        printf("%s: %.2f MB, and %zu CSV files beside it\n", df_shown(path).text, (double)written.bytes / 1e6, written.files);
    chosen_claims_release(&claims);
    df_text_release(&commands.sweep);
    df_text_release(&commands.run);
    df_text_release(&commands.report);
    free(path);
    return status;
}

/* A spec without any row has nothing to tell. */
static df_status check_rows(const struct df_compare_source *source, struct df_error *err)
{
    struct df_text why = DF_TEXT_INIT;
    df_status status = DF_OK;

    if (source->rows.spec && df_table_source_empty(&source->rows, &why))
        status = df_fail(err, DF_ERR_NOT_FOUND, "nothing to report: %s", why.data);
    if (source->rows.request.elsewhere)
        df_warn("rows of another GPU, driver or build left out: %zu (--environment chooses)", source->rows.request.elsewhere);
    df_text_release(&why);
    return status;
}

static int run(const void *values, int count, char *const *arguments)
{
    const struct report_options *options = values;
    struct df_compare_source source;
    struct df_error err = { 0 };
    struct kept kept = { 0 };

    (void)count;
    df_warn_set(keep, &kept);
    df_status status = open_rows(options, arguments[0], &source, &err);

    if (status == DF_OK) {
        status = check_rows(&source, &err);
        if (status == DF_OK)
            status = write_page(options, &source, &kept, &err);
        df_compare_source_close(&source);
    }
    df_warn_set(NULL, NULL);
    kept_release(&kept);
    return status == DF_OK ? 0 : df_command_fail(&err);
}

const struct df_command df_command_report = {
    .name = "report",
    .summary = "one self-contained HTML page: verdicts, table, figures, images, what went wrong, provenance",
    .usage = "defeat report SPEC|FOLDER [--output FILE.html] [--baseline LABEL] [--claims FILE] [--images N] [--semantics N]",
    .example =
        "defeat report ablations/specs/reproduce-table.json --out results/published --claims ablations/claims.json --output report.html",
    .notes =
        "The page needs no script, no network and no other file, follows light and dark screens, phones and paper, and is at most 5 MiB; "
        "the data of every figure lie beside it as CSV.\n"
        "SPEC: its rows under --out. FOLDER: rows whose spec is not at hand, such as another machine's out/SPEC; then there are no "
        "images and no kinds of errors, for nobody knows which data the runs were judged on. Both need each run's results.json, which "
        "published and imported rows have not: the page says what is missing.\n"
        "Intervals are as in 'defeat table': all of a list hold at once with 95 %. Any two methods may be chosen on the page.",
    .options = options_table,
    .options_size = sizeof(struct report_options),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run,
};
