/* The journal: two CSV files, append-only. One table per file tells its columns, their place in the row's struct and whether they are
 * deterministic; writing, reading and comparing all walk that table. A torn tail is kept in <file>.torn when an append cuts it off. */
#include "results/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/arena.h"
#include "core/base/file.h"
#include "results/csv_rows.h"

enum kind { TEXT, INT, REAL };

struct field {
    enum kind kind;
    size_t offset;
};

/* X(name, kind, field of the struct, deterministic) */
/* clang-format off */
#define RUN_COLUMNS(X)                                          \
    X("schema", INT, schema, true)                              \
    X("semantics", INT, semantics, true)                        \
    X("run", TEXT, run, true)                                   \
    X("spec", TEXT, spec, true)                                 \
    X("label", TEXT, label, true)                               \
    X("axes", TEXT, axes, true)                                 \
    X("seed", INT, seed, true)                                  \
    X("status", TEXT, status, true)                             \
    X("AP", REAL, metric[0], true)                              \
    X("AP50", REAL, metric[1], true)                            \
    X("AP75", REAL, metric[2], true)                            \
    X("APs", REAL, metric[3], true)                             \
    X("APm", REAL, metric[4], true)                             \
    X("APl", REAL, metric[5], true)                             \
    X("AR1", REAL, metric[6], true)                             \
    X("AR10", REAL, metric[7], true)                            \
    X("AR100", REAL, metric[8], true)                           \
    X("ARs", REAL, metric[9], true)                             \
    X("ARm", REAL, metric[10], true)                            \
    X("ARl", REAL, metric[11], true)                            \
    X("class_ap", TEXT, class_ap, true)                         \
    X("train_seconds", REAL, train_seconds, false)              \
    X("eval_seconds", REAL, eval_seconds, false)                \
    X("images_per_second", REAL, images_per_second, false)      \
    X("peak_anonymous_bytes", INT, peak_anonymous_bytes, false) \
    X("revision", TEXT, revision, false)                        \
    X("device", TEXT, device, true)                             \
    X("environment", TEXT, environment, false)                  \
    X("started", TEXT, started, false)                          \
    X("finished", TEXT, finished, false)                        \
    X("cell", TEXT, cell, true)

#define CURVE_COLUMNS(X)           \
    X("schema", INT, schema, true) \
    X("run", TEXT, run, true)      \
    X("point", INT, point, true)   \
    X("step", INT, step, true)     \
    X("epoch", REAL, epoch, true)  \
    X("split", TEXT, split, true)  \
    X("map", REAL, map, true)      \
    X("loss", REAL, loss, true)    \
    X("lr", REAL, lr, true)        \
    X("terms", TEXT, terms, true)
/* clang-format on */

#define COLUMN(name_, kind_, field_, deterministic_)      { name_, deterministic_ },
#define RUN_FIELD(name_, kind_, field_, deterministic_)   { kind_, offsetof(struct df_run_row, field_) },
#define CURVE_FIELD(name_, kind_, field_, deterministic_) { kind_, offsetof(struct df_curve_row, field_) },

const struct df_journal_column df_run_columns[] = { RUN_COLUMNS(COLUMN){ 0 } };
const struct df_journal_column df_curve_columns[] = { CURVE_COLUMNS(COLUMN){ 0 } };
static const struct field run_fields[] = { RUN_COLUMNS(RUN_FIELD) };
static const struct field curve_fields[] = { CURVE_COLUMNS(CURVE_FIELD) };

/* The older column and what stands in its place now: schema 1's "isa" is an environment that says no more. */
static const char older_column[] = "isa", newer_column[] = "environment";

enum { MAX_COLUMNS = 64 };
_Static_assert(sizeof run_fields / sizeof *run_fields <= MAX_COLUMNS, "the reader's map of columns is too small");

static const struct layout {
    const char *file;
    const struct df_journal_column *column;
    const struct field *field;
    size_t columns, row_bytes;
} run_layout = { "runs.csv", df_run_columns, run_fields, sizeof run_fields / sizeof *run_fields, sizeof(struct df_run_row) },
  curve_layout = { "curves.csv", df_curve_columns, curve_fields, sizeof curve_fields / sizeof *curve_fields, sizeof(struct df_curve_row) };

/* ---- writing ---- */

static void add_cell(struct df_text *out, const struct layout *layout, size_t column, const void *row, bool first)
{
    const char *at = (const char *)row + layout->field[column].offset;

    switch (layout->field[column].kind) {
    case TEXT: {
        const char *const text = *(const char *const *)(const void *)at;

        df_csv_add(out, text ? text : "", first);
        break;
    }
    case INT:
        df_csv_add_int(out, *(const int64_t *)(const void *)at, first);
        break;
    case REAL:
        df_csv_add_real(out, *(const double *)(const void *)at, first);
        break;
    }
}

static void add_header(struct df_text *out, const struct layout *layout, int schema)
{
    for (size_t i = 0; i < layout->columns; i++) {
        const bool older = schema < DF_JOURNAL_SCHEMA && strcmp(layout->column[i].name, newer_column) == 0;

        df_csv_add(out, older ? older_column : layout->column[i].name, i == 0);
    }
    df_text_add(out, "\n");
}

static void add_row(struct df_text *out, const struct layout *layout, const void *row, bool only_deterministic)
{
    bool first = true;

    for (size_t i = 0; i < layout->columns; i++) {
        if (only_deterministic && !layout->column[i].deterministic)
            continue;
        add_cell(out, layout, i, row, first);
        first = false;
    }
    df_text_add(out, "\n");
}

/* Bytes of the whole rows at the start of the file. */
static size_t whole_bytes(const char *data, size_t bytes)
{
    size_t at = 0, lines;

    for (size_t row; (row = df_csv_row_bytes(data + at, bytes - at, &lines)) > 0;)
        at += row;
    return at;
}

/* "2,2,0123456789abcdef,": schema, in runs.csv the semantics, run id. */
static bool starts_row(const char *line, const char *end)
{
    for (int numbers = 0; numbers < 3; numbers++) {
        const char *comma = memchr(line, ',', (size_t)(end - line));
        size_t digits = 0;

        if (!comma)
            return false;
        while (line + digits < comma && memchr("0123456789abcdef", line[digits], numbers ? 16 : 10))
            digits++;
        if (digits == 0 || line + digits != comma)
            return false;
        if (numbers > 0 && digits == 16)
            return true;
        line = comma + 1;
    }
    return false;
}

/* What a crash tears is the last row. An unfinished row with rows behind it is a stray quote, and cutting there would lose them. */
static df_status check_tail(const char *path, const char *data, size_t whole, size_t bytes, struct df_error *err)
{
    size_t line = 1;

    for (size_t i = 0; i < whole; i++)
        line += data[i] == '\n';
    for (const char *at = data + whole, *end = data + bytes; whole < bytes && (at = memchr(at, '\n', (size_t)(end - at))) && ++at < end;)
        if (starts_row(at, end))
            return df_fail(
                err, DF_ERR_FORMAT,
                "'%s': line %zu: found a row without an end and rows behind it, expected an even number of quotes [correct it by "
                "hand]",
                path, line);
    return DF_OK;
}

/* Puts what a crash left of a last row into <path>.torn and cuts it off. */
static df_status cut_torn(const char *path, int fd, const char *data, size_t whole, size_t bytes, struct df_error *err)
{
    struct df_text aside = DF_TEXT_INIT;
    df_status status = DF_OK;

    df_text_addf(&aside, "%s.torn", path);
    const int kept = open(aside.data, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);

    if (kept < 0 || write(kept, data + whole, bytes - whole) != (ssize_t)(bytes - whole) || ftruncate(fd, (off_t)whole) != 0)
        status = df_fail(err, DF_ERR_IO, "cannot cut the torn last line off '%s': %s", path, strerror(errno));
    else
        df_warn("'%s' ended in a torn line of %zu bytes (a crash while it was written): cut off, kept in '%s'", path, bytes - whole,
                aside.data);
    if (kept >= 0)
        close(kept);
    df_text_release(&aside);
    return status;
}

/* The schema whose columns the file has; ours if it is empty, 0 if it is none that we know. */
static int schema_of(const struct layout *layout, const char *data, size_t whole)
{
    int schema = DF_JOURNAL_SCHEMA;

    for (bool found = whole == 0; !found && schema > 0;) {
        struct df_text header = DF_TEXT_INIT;

        add_header(&header, layout, schema);
        found = whole >= header.length && memcmp(data, header.data, header.length) == 0;
        schema -= !found;
        df_text_release(&header);
    }
    return schema;
}

/* One write; when it fails in the middle (disk full) the file gets its old length back. */
static df_status write_rows(const char *path, int fd, size_t whole, const struct df_text *rows, struct df_error *err)
{
    ssize_t n;

    do {
        n = pwrite(fd, rows->data, rows->length, (off_t)whole);
    } while (n < 0 && errno == EINTR);
    if (n == (ssize_t)rows->length && fsync(fd) == 0)
        return DF_OK;
    df_fail(err, DF_ERR_IO, "cannot append to '%s': %s", path, n < 0 || n == (ssize_t)rows->length ? strerror(errno) : "no space left");
    if (ftruncate(fd, (off_t)whole) != 0)
        df_warn("'%s' is left with a torn last line", path);
    return DF_ERR_IO;
}

static df_status append_to(const char *path, const struct layout *layout, const void *rows, size_t count, struct df_error *err)
{
    char *data = NULL;
    size_t bytes = 0, whole;
    struct df_text text = DF_TEXT_INIT;
    df_status status = df_file_exists(path) ? df_file_read(path, 0, &data, &bytes, err) : DF_OK;
    const int fd = status == DF_OK ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666) : -1;

    if (status == DF_OK && fd < 0)
        status = df_fail(err, DF_ERR_IO, "cannot open '%s': %s", path, strerror(errno));
    if (status != DF_OK)
        goto done;
    whole = whole_bytes(data, bytes);
    if (schema_of(layout, data, whole) != DF_JOURNAL_SCHEMA)
        status = df_fail(err, DF_ERR_STALE,
                         "'%s': line 1: the columns are not those of schema %d (written by another version: move the folder away, or give "
                         "another --out)",
                         path, DF_JOURNAL_SCHEMA);
    if (status == DF_OK)
        status = check_tail(path, data, whole, bytes, err);
    if (status == DF_OK && whole < bytes)
        status = cut_torn(path, fd, data, whole, bytes, err);
    if (status != DF_OK)
        goto done;
    if (whole == 0)
        add_header(&text, layout, DF_JOURNAL_SCHEMA);
    for (size_t i = 0; i < count; i++)
        add_row(&text, layout, (const char *)rows + i * layout->row_bytes, false);
    status = write_rows(path, fd, whole, &text, err);
done:
    if (fd >= 0)
        close(fd);
    df_text_release(&text);
    free(data);
    return status;
}

static df_status bring_up_to_date(const char *path, const struct layout *layout, struct df_error *err);

static df_status append(const char *folder, const struct layout *layout, const void *rows, size_t count, struct df_error *err)
{
    char *path = df_path_join(folder, layout->file);
    df_status status = bring_up_to_date(path, layout, err);

    if (status == DF_OK)
        status = append_to(path, layout, rows, count, err);
    free(path);
    return status;
}

static df_status lock(const char *folder, int *fd, struct df_error *err)
{
    char *path = df_path_join(folder, "runs.csv.lock");
    const df_status status = df_lock(path, false, fd, err);

    free(path);
    return status;
}

df_status df_journal_append(const char *folder, const struct df_run_row *row, const struct df_curve_row *curves, size_t count,
                            struct df_error *err)
{
    int held = -1;

    DF_TRY(df_folder_make(folder, err));
    DF_TRY(lock(folder, &held, err));
    df_status status = count ? append(folder, &curve_layout, curves, count, err) : DF_OK;

    if (status == DF_OK)
        status = append(folder, &run_layout, row, 1, err);
    df_unlock(held);
    return status;
}

/* ---- reading ---- */

static const char *keep_text(struct df_arena *memory, const char *text)
{
    const size_t bytes = strlen(text) + 1;

    return memcpy(df_arena_alloc(memory, bytes), text, bytes);
}

static bool read_cell(const struct field *field, const char *cell, struct df_arena *memory, void *row)
{
    char *at = (char *)row + field->offset;

    switch (field->kind) {
    case TEXT:
        *(const char **)(void *)at = keep_text(memory, cell);
        return true;
    case INT:
        return df_parse_int(cell, (int64_t *)(void *)at);
    case REAL:
        *(double *)(void *)at = NAN;
        return !*cell || df_parse_real(cell, (double *)(void *)at);
    }
    return false;
}

/* An older column's text as the newer one has it. */
static const char *environment_of_isa(struct df_arena *memory, const char *isa)
{
    struct df_text text = DF_TEXT_INIT;
    cJSON *object = cJSON_CreateObject();

    cJSON_AddStringToObject(object, "isa", isa);
    df_json_canonical(object, &text);
    cJSON_Delete(object);

    const char *environment = keep_text(memory, text.data);

    df_text_release(&text);
    return environment;
}

static void empty_row(const struct layout *layout, void *row)
{
    memset(row, 0, layout->row_bytes);
    for (size_t i = 0; i < layout->columns; i++) {
        char *at = (char *)row + layout->field[i].offset;

        if (layout->field[i].kind == TEXT)
            *(const char **)(void *)at = "";
        else if (layout->field[i].kind == REAL)
            *(double *)(void *)at = NAN;
    }
}

/* A file being read: its columns may stand in any order and some may be strange, as long as the rows are of another schema. */
struct reader {
    const struct layout *layout;
    const char *path;
    size_t line, cells;
    int map[MAX_COLUMNS]; /* our column of each of the file's; -1: strange */
    size_t older;         /* the file's column that holds older_column; cells: there is none */
    bool ours;            /* every column is there */
};

static df_status read_header(struct reader *reader, const struct df_csv_row *row, struct df_error *err)
{
    size_t known = 0;

    if (row->count == 0 || row->count > MAX_COLUMNS || strcmp(row->cell[0], "schema") != 0)
        return df_fail(err, DF_ERR_FORMAT,
                       "'%s': line 1: found '%s' as the first of %zu columns, expected 'schema' (not a journal of ours?)", reader->path,
                       row->count ? row->cell[0] : "", row->count);
    reader->older = row->count;
    for (size_t i = 0; i < row->count; i++) {
        const bool older = strcmp(row->cell[i], older_column) == 0;

        reader->map[i] = -1;
        for (size_t j = 0; j < reader->layout->columns; j++)
            if (strcmp(older ? newer_column : row->cell[i], reader->layout->column[j].name) == 0)
                reader->map[i] = (int)j;
        reader->older = older && reader->map[i] >= 0 ? i : reader->older;
        known += reader->map[i] >= 0;
    }
    reader->cells = row->count;
    reader->ours = known == reader->layout->columns;
    return DF_OK;
}

static df_status read_row(const struct reader *reader, const struct df_csv_row *row, struct df_arena *memory, void *out,
                          struct df_error *err)
{
    const struct layout *layout = reader->layout;
    int64_t schema;

    if (row->count != reader->cells)
        return df_fail(err, DF_ERR_FORMAT, "'%s': line %zu: found %zu cells, expected %zu", reader->path, reader->line, row->count,
                       reader->cells);
    if (!df_parse_int(row->cell[0], &schema))
        return df_fail(err, DF_ERR_FORMAT, "'%s': line %zu, column 'schema': found '%s', expected an integer", reader->path, reader->line,
                       row->cell[0]);
    if (df_journal_knows(schema) && !reader->ours)
        return df_fail(err, DF_ERR_FORMAT, "'%s': line %zu is of schema %d, but line 1 lacks columns of it", reader->path, reader->line,
                       (int)schema);
    empty_row(layout, out);
    for (size_t i = 0; i < row->count; i++) {
        const struct field *field = reader->map[i] < 0 ? NULL : &layout->field[reader->map[i]];
        const char *cell = i == reader->older ? environment_of_isa(memory, row->cell[i]) : row->cell[i];

        if (field && !read_cell(field, cell, memory, out) && df_journal_knows(schema))
            return df_fail(err, DF_ERR_FORMAT, "'%s': line %zu, column '%s': found '%.80s', expected %s", reader->path, reader->line,
                           layout->column[reader->map[i]].name, row->cell[i], field->kind == INT ? "an integer" : "a number or nothing");
    }
    return DF_OK;
}

static df_status read_rows(const struct layout *layout, const char *path, const char *data, size_t bytes, struct df_arena *memory,
                           void **rows, size_t *count, struct df_error *err)
{
    struct reader reader = { .layout = layout, .path = path, .line = 1 };
    struct df_csv_row row = { 0 };
    struct df_text where = DF_TEXT_INIT;
    df_status status = DF_OK;
    size_t n = 0, capacity = 0, at = 0, length, lines;
    char *out = NULL;

    for (; status == DF_OK && (length = df_csv_row_bytes(data + at, bytes - at, &lines)) > 0; at += length, reader.line += lines) {
        df_text_clear(&where);
        df_text_addf(&where, "'%s': line %zu", path, reader.line);
        status = df_csv_row_parse(&row, data + at, length, where.data, err);
        if (status == DF_OK && at == 0) {
            status = read_header(&reader, &row, err);
        } else if (status == DF_OK && row.count) {
            if (n == capacity)
                out = df_realloc(out, (capacity = capacity ? 2 * capacity : 64) * layout->row_bytes);
            status = read_row(&reader, &row, memory, out + n++ * layout->row_bytes, err);
        }
    }
    df_csv_row_release(&row);
    df_text_release(&where);
    *rows = out;
    *count = n;
    return status;
}

/* A file of an older schema, whole, with our columns; its rows keep their schema and semantics. What is torn stays with append_to, which
 * keeps it: until then the file stays as it is. */
static df_status bring_up_to_date(const char *path, const struct layout *layout, struct df_error *err)
{
    struct df_text text = DF_TEXT_INIT;
    struct df_arena memory;
    char *data = NULL;
    void *rows = NULL;
    size_t bytes = 0, count = 0;
    df_status status = DF_OK;

    if (df_file_exists(path))
        DF_TRY(df_file_read(path, 0, &data, &bytes, err));
    const size_t whole = whole_bytes(data, bytes);
    const int schema = schema_of(layout, data, whole);

    df_arena_init(&memory, NULL, 64 * 1024);
    if (schema > 0 && schema < DF_JOURNAL_SCHEMA) {
        status = read_rows(layout, path, data, whole, &memory, &rows, &count, err);
        add_header(&text, layout, DF_JOURNAL_SCHEMA);
        for (size_t i = 0; i < count; i++)
            add_row(&text, layout, (const char *)rows + i * layout->row_bytes, false);
        df_text_add_bytes(&text, data + whole, bytes - whole);
        if (status == DF_OK)
            status = df_file_write(path, text.data, text.length, err);
    }
    df_arena_release(&memory);
    df_text_release(&text);
    free(rows);
    free(data);
    return status;
}

/* A tail without end may be an append under way: looked at once more under the lock before it is called torn. */
static df_status read_settled(const char *folder, const char *path, char **data, size_t *bytes, struct df_error *err)
{
    int held = -1;

    DF_TRY(df_file_read(path, 0, data, bytes, err));
    if (whole_bytes(*data, *bytes) == *bytes || lock(folder, &held, NULL) != DF_OK)
        return DF_OK;
    free(*data);
    *data = NULL;
    const df_status status = df_file_read(path, 0, data, bytes, err);

    df_unlock(held);
    return status;
}

static df_status read_file(const char *folder, const struct layout *layout, struct df_arena *memory, void **rows, size_t *count,
                           struct df_error *err)
{
    char *path = df_path_join(folder, layout->file), *data = NULL;
    size_t bytes = 0;
    df_status status = DF_OK;

    if (df_file_exists(path))
        status = read_settled(folder, path, &data, &bytes, err);
    if (status == DF_OK && data) {
        const size_t whole = whole_bytes(data, bytes);

        status = check_tail(path, data, whole, bytes, err);
        if (status == DF_OK)
            status = read_rows(layout, path, data, whole, memory, rows, count, err);
        if (status == DF_OK && whole < bytes)
            df_warn("'%s' ends in a torn line of %zu bytes: ignored (the next run cuts it off)", path, bytes - whole);
    }
    free(data);
    free(path);
    return status;
}

df_status df_journal_read(const char *folder, struct df_journal **out, struct df_error *err)
{
    struct df_journal *journal = df_calloc(1, sizeof *journal);
    void *runs = NULL, *curves = NULL;

    *out = NULL;
    journal->memory = df_calloc(1, sizeof *journal->memory);
    df_arena_init(journal->memory, NULL, 64 * 1024);
    /* runs first: an append writes curves first, so that every run seen here has its curves */
    df_status status = read_file(folder, &run_layout, journal->memory, &runs, &journal->runs, err);

    if (status == DF_OK)
        status = read_file(folder, &curve_layout, journal->memory, &curves, &journal->curves, err);
    journal->run = runs;
    journal->curve = curves;
    if (status == DF_OK)
        *out = journal;
    else
        df_journal_free(journal);
    return status;
}

void df_journal_free(struct df_journal *journal)
{
    if (!journal)
        return;
    df_arena_release(journal->memory);
    free(journal->memory);
    free(journal->run);
    free(journal->curve);
    free(journal);
}

bool df_run_row_ok(const struct df_run_row *row) { return row && strcmp(row->status, "ok") == 0; }

bool df_journal_knows(int64_t schema) { return schema >= 1 && schema <= DF_JOURNAL_SCHEMA; }

const struct df_run_row *df_journal_find(const struct df_journal *journal, const char *run, int64_t semantics)
{
    const struct df_run_row *last = NULL;

    for (size_t i = journal->runs; i-- > 0;) {
        const struct df_run_row *row = &journal->run[i];

        if (!df_journal_knows(row->schema) || row->semantics != semantics || strcmp(row->run, run) != 0)
            continue;
        if (df_run_row_ok(row))
            return row;
        last = last ? last : row;
    }
    return last;
}

/* ---- the same rows ---- */

static int compare_runs(const void *a, const void *b)
{
    const struct df_run_row *x = *(const struct df_run_row *const *)a, *y = *(const struct df_run_row *const *)b;
    const int by_run = strcmp(x->run, y->run), by_status = df_run_row_ok(x) - df_run_row_ok(y);

    return by_run ? by_run : by_status ? by_status : (x > y) - (x < y);
}

static int compare_curves(const void *a, const void *b)
{
    const struct df_curve_row *x = *(const struct df_curve_row *const *)a, *y = *(const struct df_curve_row *const *)b;
    const int by_run = strcmp(x->run, y->run);

    if (by_run)
        return by_run;
    return x->point != y->point ? (x->point > y->point) - (x->point < y->point) : (x > y) - (x < y);
}

/* A run that was done again (a crash between the two writes, a retry) stands there twice: the row counts that df_journal_find finds. Points without a run's row
 * belong to such a crash and do not count. */
void df_journal_deterministic(const struct df_journal *journal, struct df_text *out)
{
    const struct df_run_row **run = df_malloc((journal->runs + 1) * sizeof *run);
    const struct df_curve_row **curve = df_malloc((journal->curves + 1) * sizeof *curve);
    size_t next = 0;

    for (size_t i = 0; i < journal->runs; i++)
        run[i] = &journal->run[i];
    for (size_t i = 0; i < journal->curves; i++)
        curve[i] = &journal->curve[i];
    qsort(run, journal->runs, sizeof *run, compare_runs);
    qsort(curve, journal->curves, sizeof *curve, compare_curves);
    for (size_t i = 0; i < journal->runs; i++) {
        if (i + 1 < journal->runs && strcmp(run[i]->run, run[i + 1]->run) == 0)
            continue;
        add_row(out, &run_layout, run[i], true);
        while (next < journal->curves && strcmp(curve[next]->run, run[i]->run) < 0)
            next++;
        for (; next < journal->curves && strcmp(curve[next]->run, run[i]->run) == 0; next++)
            if (next + 1 == journal->curves || curve[next + 1]->point != curve[next]->point ||
                strcmp(curve[next + 1]->run, run[i]->run) != 0)
                add_row(out, &curve_layout, curve[next], true);
    }
    free(run);
    free(curve);
}
