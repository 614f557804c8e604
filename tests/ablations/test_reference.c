/* Reference cells: small specs (tests/reference/) whose rows are committed. The ordinary program runs them; ids, the twelve numbers and the trained
 * weights must be those of tests/reference/rows.csv, to the last bit, on every machine and instruction set. They may change only where semantics
 * or the revision of a class that takes part has risen; then `make reference` (this program with --write) writes the rows again. Under
 * sanitizers only the cells called defeat and fgd run, for time. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ablations/run/store.h"
#include "ablations/spec.h"
#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/metrics/coco_eval.h"
#include "results/cells.h"
#include "results/csv_rows.h"
#include "tests/support/support.h"

#define ROWS "tests/reference/rows.csv"
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

static const char *const specs[] = { "retinanet", "faster_rcnn", "files", "imitation", "canvases", "classifier", "faster_imitation" };
enum { SPECS = sizeof specs / sizeof *specs, SPECS_RUN = SANITIZED ? 4 /* that have cells called so */ : SPECS, CELLS_MAX = 64 };

/* A row of the file: spec,label,axes | run, weights, 12 numbers, cell. Cells of one spec have one seed. */
enum column { SPEC, LABEL, AXES, RUN, WEIGHTS, AP, CELL = AP + DF_COCO_METRICS, COLUMNS };
struct row {
    char *cell[COLUMNS];
};
static struct rows {
    size_t count;
    struct row row[CELLS_MAX];
} committed, found;
static char program[512]; /* the ordinary one, of this build */

/* ---- the file --------------------------------------------------------------------------------------------------------------------- */

static const char *column_name(int column)
{
    static const char *const names[] = { "spec", "label", "axes", "run", "weights" };

    return column < AP ? names[column] : column == CELL ? "cell" : df_coco_metric_names[column - AP];
}

static void add_row(struct df_text *out, const struct row *row)
{
    for (int c = 0; c < COLUMNS; c++)
        df_csv_add(out, row ? row->cell[c] : column_name(c), c == 0);
    df_text_add(out, "\n");
}

static df_status read_rows(const char *path, struct rows *out, struct df_error *err)
{
    struct df_csv_file file;
    bool more = false;
    df_status status = df_csv_open(path, &file, err);

    out->count = 0;
    if (status == DF_OK)
        status = df_csv_next(&file, &more, err);
    while (status == DF_OK && (status = df_csv_next(&file, &more, err)) == DF_OK && more) {
        if (file.row.count != COLUMNS || out->count == CELLS_MAX)
            status = df_fail(err, DF_ERR_FORMAT, "%s: a row of %zu cells, expected %d, of at most %d rows", path, file.row.count, COLUMNS,
                             CELLS_MAX);
        for (int c = 0; c < COLUMNS && status == DF_OK; c++)
            out->row[out->count].cell[c] = df_strdup(file.row.cell[c]);
        out->count += status == DF_OK;
    }
    df_csv_close(&file);
    return status;
}

static void rows_release(struct rows *rows)
{
    for (size_t i = 0; i < rows->count; i++)
        for (int c = 0; c < COLUMNS; c++)
            free(rows->row[i].cell[c]);
    rows->count = 0;
}

/* ---- running ---------------------------------------------------------------------------------------------------------------------- */

/* Of the numbers alone: the header tells the cell, whose text may change where no number does. */
static df_status weights_hash(const struct df_cell *cell, char hash[17], struct df_error *err)
{
    char *path = df_store_cell_file(df_test_folder(), cell, DF_CELL_WEIGHTS);
    uint64_t header;
    size_t bytes;
    char *data;

    const df_status status = df_file_read(path, 0, &data, &bytes, err);

    free(path);
    if (status != DF_OK)
        return status;
    DF_ASSERT(bytes > sizeof header);
    memcpy(&header, data, sizeof header); /* little-endian, as every machine that this runs on */
    DF_ASSERT(header < bytes - sizeof header);
    df_hash_text(hash, df_hash(data + sizeof header + header, bytes - sizeof header - header));
    free(data);
    return DF_OK;
}

static df_status add_found(const struct df_cell *cell, const struct df_run_row *row, struct df_error *err)
{
    struct row *out = &found.row[found.count];
    char hash[17], number[32];

    DF_ASSERT(found.count < CELLS_MAX);
    DF_TRY(weights_hash(cell, hash, err));

    const char *const texts[] = { cell->spec, cell->label, cell->axes, cell->id, hash };

    for (int c = 0; c < AP; c++)
        out->cell[c] = df_strdup(texts[c]);
    for (int m = 0; m < DF_COCO_METRICS; m++) {
        const double value = df_run_row_score(row, df_coco_metric_names[m], "");

        out->cell[AP + m] = df_strdup(isnan(value) ? "" : df_format_real(number, value));
    }
    out->cell[CELL] = df_strdup(df_text_get(&cell->json));
    found.count++;
    return DF_OK;
}

static df_status sweep(const char *path, df_status *status, struct df_error *err)
{
    struct df_text command = DF_TEXT_INIT;
    char *log = df_path_join(df_test_folder(), "log"), *data;
    size_t bytes;

    df_text_addf(&command, "'%s' sweep '%s' --out '%s' %s >'%s' 2>&1", program, path, df_test_folder(),
                 SANITIZED ? "--only '^(defeat|fgd)'" : "", log);
    *status = system(command.data) == 0 ? DF_OK : DF_ERR_CHECK;
    if (*status != DF_OK && df_file_read(log, 0, &data, &bytes, err) == DF_OK) {
        df_fail(err, DF_ERR_CHECK, "%s\n%s", command.data, data);
        free(data);
    }
    df_text_release(&command);
    free(log);
    return *status;
}

/* Runs the spec's cells and adds their rows to `found`. */
static df_status run_spec(const char *name, struct df_error *err)
{
    char path[128];
    char *folder = df_store_spec_folder(df_test_folder(), name);
    struct df_journal *journal = NULL;
    struct df_spec *spec = NULL;
    df_status status;

    snprintf(path, sizeof path, "tests/reference/%s.json", name);
    if (sweep(path, &status, err) == DF_OK)
        status = df_spec_read(path, NULL, &spec, err);
    if (status == DF_OK)
        status = df_store_read(folder, &journal, err);
    for (size_t i = 0; status == DF_OK && i < spec->count; i++) {
        const struct df_run_row *row = df_journal_find(journal, spec->cell[i]->id, DF_SEMANTICS);

        if (df_run_row_ok(row))
            status = add_found(spec->cell[i], row, err);
        else if (!SANITIZED)
            status = df_fail(err, DF_ERR_CHECK, "%s: %s left no row", path, spec->cell[i]->label);
    }
    df_journal_free(journal);
    df_spec_free(spec);
    free(folder);
    return status;
}

/* ---- judging ---------------------------------------------------------------------------------------------------------------------- */

enum verdict { SAME, NEW, RAISED, MOVED, RENAMED };
static const char *const advice[] = {
    [NEW] = "has no reference row [write it: make reference]",
    [RAISED] = "is of a higher semantics or revision than its reference row [write the row again: make reference]",
    [MOVED] = "gives other bits, and neither semantics nor a revision of a class that takes part says so [if they were meant to change, "
              "raise the "
              "class's revision, or DF_SEMANTICS where they belong to no one class, and run: make reference]",
    [RENAMED] =
        "has another id, and neither semantics nor a revision says why: every such row there is would be orphaned [give a new option its "
        "'absent' value; if the reference spec or its data are others now, delete the row's line in " ROWS " and run: make reference]",
};

static double semantics_of(const char *cell)
{
    cJSON *object = cJSON_Parse(cell);
    const cJSON *semantics = cJSON_GetObjectItemCaseSensitive(object, "semantics");
    const double value = cJSON_IsNumber(semantics) ? semantics->valuedouble : 0;

    cJSON_Delete(object);
    return value;
}

/* reference: NULL where there is none. */
static enum verdict judge(const struct row *reference, const struct row *now)
{
    if (!reference)
        return NEW;
    if (strcmp(reference->cell[RUN], now->cell[RUN]) != 0)
        return semantics_of(reference->cell[CELL]) < semantics_of(now->cell[CELL]) ||
                       df_cell_is_superseded(reference->cell[CELL], now->cell[CELL])
                   ? RAISED
                   : RENAMED;
    for (int c = WEIGHTS; c < CELL; c++)
        if (strcmp(reference->cell[c], now->cell[c]) != 0)
            return MOVED;
    return SAME;
}

static const struct row *find(const struct rows *rows, const struct row *wanted)
{
    for (size_t i = 0; i < rows->count; i++)
        if (strcmp(rows->row[i].cell[SPEC], wanted->cell[SPEC]) == 0 && strcmp(rows->row[i].cell[LABEL], wanted->cell[LABEL]) == 0 &&
            strcmp(rows->row[i].cell[AXES], wanted->cell[AXES]) == 0)
            return &rows->row[i];
    return NULL;
}

/* One line per row that is not the same; how many of them are worse than `most`. */
static size_t complain(enum verdict most, struct df_text *out)
{
    size_t n = 0;

    for (size_t i = 0; i < found.count; i++) {
        const struct row *now = &found.row[i], *reference = find(&committed, now);
        const enum verdict verdict = judge(reference, now);

        if (verdict <= most)
            continue;
        n++;
        df_text_addf(out, "%s: %s %s\n", now->cell[SPEC], now->cell[LABEL], advice[verdict]);
        for (int c = RUN; c < CELL && reference; c++)
            if (strcmp(reference->cell[c], now->cell[c]) != 0)
                df_text_addf(out, "    %s: found %s, expected %s\n", column_name(c), now->cell[c], reference->cell[c]);
    }
    return n;
}

/* ---- the tests -------------------------------------------------------------------------------------------------------------------- */

static void the_rows_are_the_reference(void **state)
{
    struct df_text text = DF_TEXT_INIT;
    struct df_error err = { 0 };

    (void)state;
    assert_ok(read_rows(ROWS, &committed, &err));
    for (size_t i = 0; i < SPECS_RUN; i++)
        assert_ok(run_spec(specs[i], &err));
    const size_t others = complain(SAME, &text);

    fputs(df_text_get(&text), stderr); /* cmocka would cut it off */
    df_text_release(&text);
    if (others)
        fail_msg("%zu of %zu rows are not the reference's", others, found.count);
    assert_true(found.count >= 3); /* a sanitized build runs fewer */
    for (size_t i = 0; i < committed.count && !SANITIZED; i++)
        if (!find(&found, &committed.row[i]))
            fail_msg("%s: %s is in " ROWS " and in no spec [make reference]", committed.row[i].cell[SPEC], committed.row[i].cell[LABEL]);
    rows_release(&committed);
    rows_release(&found);
}

#define CELL_OF(semantics, class, more)                                                                                                    \
    "{\"semantics\":" semantics ",\"data\":{\"kind\":\"scenes\"" more                                                                      \
    "},\"detector\":{\"kind\":\"retinanet\"},\"distillers\":[{\"name\":\"" class "}]}"

/* What may change when, on made-up rows. */
static void only_what_is_raised_may_move(void **state)
{
    static const struct {
        const char *run, *weights, *map, *cell;
        enum verdict verdict;
    } cases[] = {
        { "1", "w", "0.5", CELL_OF("2", "d\"", ""), SAME },
        { "1", "w", "0.50000000000000011", CELL_OF("2", "d\"", ""), MOVED },
        { "1", "x", "0.5", CELL_OF("2", "d\"", ""), MOVED },
        { "2", "w", "0.5", CELL_OF("2", "d\",\"new\":1", ""), RENAMED }, /* the same bits: an option without its 'absent' */
        { "2", "x", "0.6", CELL_OF("2", "d\",\"new\":1", ""), RENAMED },
        { "2", "x", "0.6", CELL_OF("2", "d\",\"revision\":2", ""), RAISED },
        { "2", "x", "0.6", CELL_OF("2", "d\"", ",\"revision\":2"), RAISED },
        { "2", "x", "0.6", CELL_OF("2", "d\",\"revision\":2", ",\"new\":1"), RENAMED },
        { "2", "x", "0.6", CELL_OF("3", "d\",\"new\":1", ""), RAISED },
        { "2", "x", "0.6", CELL_OF("1", "d\"", ""), RENAMED },
    };
    struct row reference, now;

    (void)state;
    for (int c = 0; c < COLUMNS; c++)
        reference.cell[c] = now.cell[c] = (char *)(uintptr_t) "";
    reference.cell[RUN] = (char *)(uintptr_t)cases[0].run;
    reference.cell[WEIGHTS] = (char *)(uintptr_t)cases[0].weights;
    reference.cell[AP] = (char *)(uintptr_t)cases[0].map;
    reference.cell[CELL] = (char *)(uintptr_t)cases[0].cell;
    assert_int_equal(judge(NULL, &reference), NEW);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        now.cell[RUN] = (char *)(uintptr_t)cases[i].run;
        now.cell[WEIGHTS] = (char *)(uintptr_t)cases[i].weights;
        now.cell[AP] = (char *)(uintptr_t)cases[i].map;
        now.cell[CELL] = (char *)(uintptr_t)cases[i].cell;
        if (judge(&reference, &now) != cases[i].verdict)
            fail_msg("case %zu: verdict %d, expected %d", i, (int)judge(&reference, &now), (int)cases[i].verdict);
    }
}

/* ---- make reference --------------------------------------------------------------------------------------------------------------- */

static df_status write_reference(struct df_error *err)
{
    struct df_text text = DF_TEXT_INIT;
    df_status status = DF_OK;

    if (SANITIZED)
        return df_fail(err, DF_ERR_USAGE, "this build runs a part of the cells [make reference without SAN=1]");
    if (df_file_exists(ROWS))
        DF_TRY(read_rows(ROWS, &committed, err));
    for (size_t i = 0; i < SPECS_RUN; i++)
        DF_TRY(run_spec(specs[i], err));
    const size_t unexplained = complain(RAISED, &text);

    if (unexplained) {
        fputs(text.data, stderr);
        status = df_fail(err, DF_ERR_CHECK, "nothing was written: %zu rows changed without a reason", unexplained);
    } else {
        df_text_clear(&text);
        add_row(&text, NULL);
        for (size_t i = 0; i < found.count; i++)
            add_row(&text, &found.row[i]);
        status = df_file_write(ROWS, text.data, text.length, err);
    }
    if (status == DF_OK)
        printf("%zu rows in " ROWS "\n", found.count);
    df_text_release(&text);
    rows_release(&committed);
    rows_release(&found);
    return status;
}

/* build/.../tests/ablations/test_reference -> build/.../defeat */
static void find_program(const char *self)
{
    const char *tests = strstr(self, "/tests/ablations/");

    for (const char *next; tests && (next = strstr(tests + 1, "/tests/ablations/"));)
        tests = next;
    snprintf(program, sizeof program, "%.*s/defeat", tests ? (int)(tests - self) : 1, tests ? self : ".");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(only_what_is_raised_may_move), cmocka_unit_test(the_rows_are_the_reference) };
    struct df_error err = { 0 };

    unsetenv("DEFEAT_DEVICE");
    find_program(argv[0]);
    if (argc < 2)
        return cmocka_run_group_tests(tests, NULL, NULL);
    if (strcmp(argv[1], "--write") == 0 && write_reference(&err) == DF_OK)
        return 0;
    fprintf(stderr, "%s\n", err.text[0] ? err.text : "usage: test_reference [--write]");
    return 1;
}
