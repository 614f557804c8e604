/* One table tells a row's columns (df_run_columns): writing and reading both walk it. What is in runs.csv and is none of them is a metric. */
#include "results/journal_csv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "results/csv_rows.h"
#include "results/environment.h"

static const char runs_name[] = "runs.csv", scores_name[] = "scores.csv", curves_name[] = "curves.csv";
static const char scores_head[] = "run,metric,class,value\n", curves_head[] = "run,step,epoch,split,metric,value\n";
/* Metrics of all classes stand behind this column. */
static const char before_metrics[] = "status";
/* Of older schemas. */
static const char older_isa[] = "isa", older_classes[] = "class_ap";

char *df_journal_csv_path(const char *folder) { return df_path_join(folder, runs_name); }

/* ---- writing ---- */

/* What row i is called in the tables: its run, and for further environments of that run the hash of its own. */
static void row_name(const struct df_journal *journal, size_t i, struct df_text *out)
{
    const struct df_run_row *row = &journal->run[i];
    char hash[17];

    df_text_clear(out);
    df_text_add(out, row->run);
    if (i > 0 && strcmp(row->run, row[-1].run) == 0)
        df_text_addf(out, ".%s", df_environment_hash(row, hash));
}

struct names {
    size_t count;
    const char **name;
};

/* The metrics of all classes that any row has, as they appear. */
static void find_metrics(const struct df_journal *journal, struct names *out)
{
    *out = (struct names){ 0 };
    for (size_t i = 0; i < journal->runs; i++)
        for (size_t s = 0, known; s < journal->run[i].scores.count; s++) {
            const struct df_score *score = &journal->run[i].scores.score[s];

            for (known = 0; known < out->count && strcmp(out->name[known], score->metric) != 0;)
                known++;
            if (known < out->count || score->class[0])
                continue;
            out->name = df_realloc(out->name, (out->count + 1) * sizeof *out->name);
            out->name[out->count++] = score->metric;
        }
}

/* A line of runs.csv; its header where row is NULL. */
static void add_run(struct df_text *out, const struct df_run_row *row, const char *name, const struct names *metrics)
{
    if (row)
        df_csv_add_int(out, DF_ROW_SCHEMA, true);
    else
        df_csv_add(out, "schema", true);
    for (const struct df_run_column *column = df_run_columns; column->name; column++) {
        if (!row || strcmp(column->name, "run") == 0)
            df_csv_add(out, row ? name : column->name, false);
        else
            df_csv_add_column(out, row, column, false);
        for (size_t m = 0; m < metrics->count && strcmp(column->name, before_metrics) == 0; m++)
            if (row)
                df_csv_add_real(out, df_run_row_score(row, metrics->name[m], ""), false);
            else
                df_csv_add(out, metrics->name[m], false);
    }
    df_text_add(out, "\n");
}

/* runs.csv is written last: where it is, the others were. */
static void tell_loss(const char *folder, const char *path, df_status status, const char *data, size_t bytes)
{
    char *runs = df_journal_csv_path(folder);

    if (status == DF_ERR_NOT_FOUND && df_file_exists(runs))
        df_warn("'%s' was lost: made again from the rows", path);
    else if (status == DF_OK && (bytes == 0 || data[bytes - 1] != '\n'))
        df_warn("'%s' was torn: made again from the rows", path);
    free(runs);
}

static df_status write_changed(const char *folder, const char *name, const struct df_text *text, struct df_error *err)
{
    char *path = df_path_join(folder, name), *data = NULL;
    size_t bytes = 0;
    df_status status = df_file_read(path, 0, &data, &bytes, NULL); /* what cannot be read is replaced */

    tell_loss(folder, path, status, data, bytes);
    if (status != DF_OK || bytes != text->length || memcmp(data, text->data, bytes) != 0)
        status = df_file_write(path, text->data, text->length, err);
    free(data);
    free(path);
    return status;
}

df_status df_journal_csv_write(const struct df_journal *journal, const char *folder, struct df_error *err)
{
    struct df_text runs = DF_TEXT_INIT, scores = DF_TEXT_INIT, curves = DF_TEXT_INIT, name = DF_TEXT_INIT;
    struct names metrics;

    find_metrics(journal, &metrics);
    add_run(&runs, NULL, NULL, &metrics);
    df_text_add(&scores, scores_head);
    df_text_add(&curves, curves_head);
    for (size_t i = 0; i < journal->runs; i++) {
        const struct df_run_row *row = &journal->run[i];

        row_name(journal, i, &name);
        add_run(&runs, row, name.data, &metrics);
        for (size_t s = 0; s < row->scores.count; s++)
            df_csv_add_score(&scores, name.data, &row->scores.score[s]);
        for (size_t p = 0; p < row->curve.count; p++)
            df_csv_add_point(&curves, name.data, &row->curve.point[p]);
    }
    df_status status = write_changed(folder, scores_name, &scores, err);

    if (status == DF_OK)
        status = write_changed(folder, curves_name, &curves, err);
    if (status == DF_OK)
        status = write_changed(folder, runs_name, &runs, err);
    free(metrics.name);
    df_text_release(&runs);
    df_text_release(&scores);
    df_text_release(&curves);
    df_text_release(&name);
    return status;
}

/* ---- reading ---- */

static const char possible[] = "a number or nothing (of COCO's 0 to 1, or -1)";

/* Rows being read, and what each is called in the other tables. */
struct reader {
    struct df_journal *journal;
    size_t first, found; /* the file's first row; the row found last, from there */
    size_t rows;
    char **name; /* [rows] */
};
/* What the columns of a runs.csv are. */
struct header {
    size_t count;
    struct {
        enum { SCHEMA, RUN, VALUE, ISA, CLASSES, METRIC } kind;
        const struct df_run_column *column; /* of RUN, VALUE and ISA */
        char *name;
    } * cell;
};

static const struct df_run_column *column_of(const char *name)
{
    const struct df_run_column *column = df_run_columns;

    while (column->name && strcmp(column->name, name) != 0)
        column++;
    return column->name ? column : NULL;
}

/* Every column but the environment, which schema 1 has not, must be there. */
static df_status check_header(const struct df_csv_file *file, struct df_error *err)
{
    if (strcmp(file->row.cell[0], "schema") != 0)
        return df_fail(err, DF_ERR_FORMAT, "'%s': line 1: found '%.80s' as the first of %zu columns, expected 'schema' (no journal?)",
                       file->path, file->row.cell[0], file->row.count);
    for (const struct df_run_column *column = df_run_columns; column->name; column++) {
        bool there = false;

        for (size_t i = 0; i < file->row.count; i++)
            there |= strcmp(file->row.cell[i], column->name) == 0 ||
                     (strcmp(file->row.cell[i], older_isa) == 0 && strcmp(column->name, "environment") == 0);
        if (!there)
            return df_fail(err, DF_ERR_FORMAT, "'%s': line 1: found no column '%s'", file->path, column->name);
    }
    return DF_OK;
}

static df_status read_header(const struct df_csv_file *file, struct header *out, struct df_error *err)
{
    DF_TRY(check_header(file, err));
    out->count = file->row.count;
    out->cell = df_calloc(out->count, sizeof *out->cell);
    for (size_t i = 0; i < out->count; i++) {
        const char *name = file->row.cell[i];

        out->cell[i].name = df_strdup(name);
        out->cell[i].column = column_of(strcmp(name, older_isa) == 0 ? "environment" : name);
        out->cell[i].kind = i == 0                             ? SCHEMA
                            : strcmp(name, "run") == 0         ? RUN
                            : strcmp(name, older_isa) == 0     ? ISA
                            : strcmp(name, older_classes) == 0 ? CLASSES
                            : out->cell[i].column              ? VALUE
                                                               : METRIC;
    }
    return DF_OK;
}

static void header_release(struct header *header)
{
    for (size_t i = 0; i < header->count; i++)
        free(header->cell[i].name);
    free(header->cell);
}

/* Next "name=value" of an older list such as "a=1;b=0.5"; false at its end. The name may hold '=' itself. */
static bool next_pair(const char **text, struct df_text *name, double *value)
{
    const size_t length = strcspn(*text, ";");
    const char *end = *text + length, *equals = memrchr(*text, '=', length);
    struct df_text number = DF_TEXT_INIT;

    if (!**text)
        return false;
    df_text_clear(name);
    df_text_add_bytes(name, *text, (size_t)((equals ? equals : end) - *text));
    if (equals)
        df_text_add_bytes(&number, equals + 1, (size_t)(end - equals - 1));
    if (!df_parse_real(df_text_get(&number), value))
        *value = NAN;
    df_text_release(&number);
    *text = *end ? end + 1 : end;
    return true;
}

/* False: one of them is no AP. */
static bool read_classes(const char *text, struct df_arena *memory, struct df_run_row *row)
{
    struct df_text name = DF_TEXT_INIT;
    bool good = true;
    double value;

    for (; next_pair(&text, &name, &value); good &= df_score_possible("AP", value))
        df_scores_add(&row->scores, memory, (struct df_score){ "AP", df_text_get(&name), value });
    df_text_release(&name);
    return good;
}

/* What schema 1 says of the machine is an environment that says no more. */
static void read_isa(const char *isa, const struct df_run_column *environment, struct df_arena *memory, struct df_run_row *row)
{
    struct df_text text = DF_TEXT_INIT;
    cJSON *object = cJSON_CreateObject();

    cJSON_AddStringToObject(object, older_isa, isa);
    df_json_canonical(object, &text);
    df_run_row_set(row, environment, text.data, memory);
    cJSON_Delete(object);
    df_text_release(&text);
}

/* "0123456789abcdef" or "0123456789abcdef.<hash of its environment>" */
static void read_name(const char *name, struct reader *reader, struct df_run_row *row)
{
    char *run = df_arena_strdup(reader->journal->memory, name);

    run[strcspn(run, ".")] = 0;
    row->run = run;
    reader->name = df_realloc(reader->name, (reader->rows + 1) * sizeof *reader->name);
    reader->name[reader->rows++] = df_strdup(name);
}

static bool read_cell(const struct header *header, size_t i, const char *text, struct reader *reader, struct df_run_row *row)
{
    struct df_arena *memory = reader->journal->memory;
    double value;
    int64_t schema;

    switch (header->cell[i].kind) {
    case SCHEMA:
        return df_parse_int(text, &schema) && schema >= 1 && schema <= DF_ROW_SCHEMA;
    case RUN:
        read_name(text, reader, row);
        return true;
    case VALUE:
        return df_run_row_set(row, header->cell[i].column, text, memory);
    case ISA:
        read_isa(text, header->cell[i].column, memory, row);
        return true;
    case CLASSES:
        return read_classes(text, memory, row);
    case METRIC:
        if (!*text)
            return true;
        if (!df_parse_real(text, &value) || !df_score_possible(header->cell[i].name, value))
            return false;
        df_scores_add(&row->scores, memory, (struct df_score){ header->cell[i].name, "", value });
        return true;
    }
    return false;
}

static df_status bad_count(const struct df_csv_file *file, size_t expected, struct df_error *err)
{
    return df_fail(err, DF_ERR_FORMAT, "'%s': line %zu: found %zu cells, expected %zu", file->path, file->line, file->row.count, expected);
}

static df_status bad_cell(const struct df_csv_file *file, const char *column, const char *text, const char *expected, struct df_error *err)
{
    return df_fail(err, DF_ERR_FORMAT, "'%s': line %zu, column '%s': found '%.80s', expected %s", file->path, file->line, column, text,
                   expected);
}

static df_status read_row(const struct df_csv_file *file, const struct header *header, struct reader *reader, struct df_error *err)
{
    struct df_run_row *row = df_journal_add(reader->journal);

    if (file->row.count != header->count)
        return bad_count(file, header->count, err);
    for (size_t i = 0; i < header->count; i++)
        if (!read_cell(header, i, file->row.cell[i], reader, row))
            return bad_cell(file, header->cell[i].name, file->row.cell[i],
                            header->cell[i].kind == SCHEMA ? "a schema from 1 to 3 (of a newer version?)"
                            : header->cell[i].column && header->cell[i].column->kind == DF_COLUMN_INT ? "an integer"
                            : header->cell[i].kind == METRIC || header->cell[i].kind == CLASSES       ? possible
                                                                                                      : "a number or nothing",
                            err);
    return DF_OK;
}

static df_status read_runs(const char *path, struct reader *reader, bool *older, struct df_error *err)
{
    struct header header = { 0 };
    struct df_csv_file file;
    bool more;
    df_status status = df_csv_open(path, &file, err);

    *older = false;
    if (status == DF_OK)
        status = df_csv_next(&file, &more, err);
    if (status == DF_OK && more)
        status = read_header(&file, &header, err);
    for (size_t i = 0; i < header.count; i++)
        *older |= header.cell[i].kind == CLASSES;
    while (status == DF_OK && (status = df_csv_next(&file, &more, err)) == DF_OK && more)
        status = read_row(&file, &header, reader, err);
    header_release(&header);
    df_csv_close(&file);
    return status;
}

/* The row of that name; the tables are in one order: found at once. NULL: there is none. */
static struct df_run_row *named_row(struct reader *reader, const char *name)
{
    for (size_t k = 0; k < reader->rows; k++) {
        const size_t i = (reader->found + k) % reader->rows;

        if (strcmp(reader->name[i], name) == 0) {
            reader->found = i;
            return &reader->journal->run[reader->first + i];
        }
    }
    return NULL;
}

/* Those of all classes stand in runs.csv. */
static df_status read_score(const struct df_csv_file *file, struct reader *reader, struct df_error *err)
{
    enum { ROW, METRIC_NAME, CLASS, SCORE };
    const char *const *cell = file->row.cell;
    struct df_run_row *row = named_row(reader, cell[ROW]);
    double value = NAN;

    if (*cell[SCORE] && (!df_parse_real(cell[SCORE], &value) || !df_score_possible(cell[METRIC_NAME], value)))
        return bad_cell(file, "value", cell[SCORE], possible, err);
    if (row && *cell[CLASS])
        df_scores_add(&row->scores, reader->journal->memory, (struct df_score){ cell[METRIC_NAME], cell[CLASS], value });
    return DF_OK;
}

/* Where on a curve. */
static df_status read_place(const struct df_csv_file *file, const char *step, const char *epoch, struct df_curve_point *point,
                            struct df_error *err)
{
    if (!df_parse_int(step, &point->step) || point->step < 0 || point->step > (int64_t)1 << 53)
        return bad_cell(file, "step", step, "an integer from 0 to 2^53", err);
    if (*epoch && (!df_parse_real(epoch, &point->epoch) || point->epoch < 0))
        return bad_cell(file, "epoch", epoch, "a number from 0, or nothing", err);
    return DF_OK;
}

static df_status read_point(const struct df_csv_file *file, struct reader *reader, struct df_error *err)
{
    enum { ROW, STEP, EPOCH, SPLIT, METRIC_NAME, POINT };
    const char *const *cell = file->row.cell;
    struct df_run_row *row = named_row(reader, cell[ROW]);
    struct df_curve_point point = { .epoch = NAN, .split = cell[SPLIT], .metric = cell[METRIC_NAME], .value = NAN };

    DF_TRY(read_place(file, cell[STEP], cell[EPOCH], &point, err));
    if (*cell[POINT] && (!df_parse_real(cell[POINT], &point.value) || !df_score_possible(point.metric, point.value)))
        return bad_cell(file, "value", cell[POINT], possible, err);
    if (row)
        df_curve_add(&row->curve, reader->journal->memory, point);
    return DF_OK;
}

/* Of schemas 1 and 2: a line has all values of a point. */
static df_status read_older_point(const struct df_csv_file *file, struct reader *reader, struct df_error *err)
{
    enum { OLDER_SCHEMA, ROW, NUMBER, STEP, EPOCH, SPLIT, MAP, LOSS, LR, TERMS };
    const char *const *cell = file->row.cell;
    struct df_run_row *row = named_row(reader, cell[ROW]);
    struct df_arena *memory = reader->journal->memory;
    struct df_curve_point point = { .epoch = NAN, .value = NAN };
    struct df_text name = DF_TEXT_INIT, term = DF_TEXT_INIT;
    const struct {
        int at;
        const char *split, *metric;
    } values[] = { { MAP, cell[SPLIT], "AP" }, { LOSS, "train", "loss" }, { LR, "train", "lr" } };

    DF_TRY(read_place(file, cell[STEP], cell[EPOCH], &point, err));
    for (size_t i = 0; i < sizeof values / sizeof *values && row; i++) {
        const char *text = cell[values[i].at];

        if (*text && (!df_parse_real(text, &point.value) || !df_score_possible(values[i].metric, point.value)))
            return bad_cell(file, values[i].metric, text, possible, err);
        point.split = values[i].split;
        point.metric = values[i].metric;
        if (*text)
            df_curve_add(&row->curve, memory, point);
    }
    point.split = "train";
    for (const char *terms = cell[TERMS]; row && next_pair(&terms, &name, &point.value);) {
        df_text_clear(&term);
        df_text_addf(&term, "term.%s", df_text_get(&name));
        point.metric = term.data;
        df_curve_add(&row->curve, memory, point);
    }
    df_text_release(&name);
    df_text_release(&term);
    return DF_OK;
}

static const struct table {
    const char *file, *head;
    size_t columns;
    df_status (*read)(const struct df_csv_file *file, struct reader *reader, struct df_error *err);
    const struct table *older;
} older_curves = { curves_name, "schema,run,point,step,epoch,split,map,loss,lr,terms\n", 10, read_older_point, NULL },
  curves_table = { curves_name, curves_head, 6, read_point, &older_curves },
  scores_table = { scores_name, scores_head, 4, read_score, NULL };

static bool has_head(const struct df_csv_file *file, const char *head)
{
    return file->bytes >= strlen(head) && memcmp(file->data, head, strlen(head)) == 0;
}

static df_status read_table(const char *path, const struct table *table, struct reader *reader, struct df_error *err)
{
    struct df_csv_file file;
    bool more = false;
    df_status status = df_csv_open(path, &file, err);

    if (status == DF_OK && !has_head(&file, table->head) && table->older && has_head(&file, table->older->head))
        table = table->older;
    if (status == DF_OK && !has_head(&file, table->head))
        status = df_fail(err, DF_ERR_FORMAT, "'%s': line 1: expected the columns %.*s", path, (int)strlen(table->head) - 1, table->head);
    if (status == DF_OK)
        status = df_csv_next(&file, &more, err);
    while (status == DF_OK && (status = df_csv_next(&file, &more, err)) == DF_OK && more)
        status = file.row.count == table->columns ? table->read(&file, reader, err) : bad_count(&file, table->columns, err);
    df_csv_close(&file);
    return status;
}

/* The table beside runs.csv; that it is not there is fine: of some rows only the first is published. */
static df_status read_beside(const char *runs_path, const struct table *table, struct reader *reader, struct df_error *err)
{
    const char *slash = strrchr(runs_path, '/');
    struct df_text path = DF_TEXT_INIT;

    df_text_add_bytes(&path, runs_path, slash ? (size_t)(slash + 1 - runs_path) : 0);
    df_text_add(&path, table->file);
    const df_status status = df_absent_is_fine(read_table(path.data, table, reader, err), err);

    df_text_release(&path);
    return status;
}

df_status df_journal_csv_read(const char *runs_path, struct df_journal *journal, struct df_error *err)
{
    struct reader reader = { .journal = journal, .first = journal->runs };
    bool older;
    df_status status = read_runs(runs_path, &reader, &older, err);

    if (status == DF_OK && !older)
        status = read_beside(runs_path, &scores_table, &reader, err);
    if (status == DF_OK)
        status = read_beside(runs_path, &curves_table, &reader, err);
    for (size_t i = 0; i < reader.rows; i++)
        free(reader.name[i]);
    free(reader.name);
    return status;
}

df_status df_journal_csv_is_older(const char *runs_path, bool *older, struct df_error *err)
{
    struct df_csv_file file;
    bool more = false;
    df_status status = df_csv_open(runs_path, &file, err);

    *older = false;
    if (status == DF_OK)
        status = df_csv_next(&file, &more, err);
    for (size_t i = 0; status == DF_OK && more && i < file.row.count; i++)
        *older |= strcmp(file.row.cell[i], older_classes) == 0;
    df_csv_close(&file);
    return df_absent_is_fine(status, err);
}
