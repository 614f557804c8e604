/* Rows of CSV. libcsv quotes and takes apart; where a row ends is found here, because a torn row must be told from a whole one. */
#include "results/csv_rows.h"

#include <csv.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"

static bool needs_quotes(const char *cell, size_t length)
{
    return length && (strpbrk(cell, ",\"\r\n") || strchr(" \t", cell[0]) || strchr(" \t", cell[length - 1]));
}

void df_csv_add(struct df_text *row, const char *cell, bool first)
{
    const size_t length = strlen(cell);

    if (!first)
        df_text_add(row, ",");
    if (!needs_quotes(cell, length)) {
        df_text_add(row, cell);
        return;
    }
    const size_t bytes = csv_write(NULL, 0, cell, length);
    char *quoted = df_malloc(bytes);

    csv_write(quoted, bytes, cell, length);
    df_text_add_bytes(row, quoted, bytes);
    free(quoted);
}

void df_csv_add_real(struct df_text *row, double value, bool first)
{
    char number[32];

    df_csv_add(row, isfinite(value) ? df_format_real(number, value) : "", first);
}

void df_csv_add_int(struct df_text *row, int64_t value, bool first) { df_text_addf(row, "%s%lld", first ? "" : ",", (long long)value); }

size_t df_csv_row_bytes(const char *text, size_t bytes, size_t *lines)
{
    bool quoted = false;

    *lines = 0;
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] == '"')
            quoted = !quoted; /* a doubled quote turns twice */
        if (text[i] != '\n')
            continue;
        ++*lines;
        if (!quoted)
            return i + 1;
    }
    return 0;
}

static void *get_memory(void *old, size_t bytes) { return df_realloc(old, bytes); }

static void add_cell(void *cell, size_t bytes, void *context)
{
    struct df_csv_row *row = context;

    if (row->count == row->capacity) {
        row->capacity = row->capacity ? 2 * row->capacity : 32;
        row->offset = df_realloc(row->offset, row->capacity * sizeof *row->offset);
        row->cell = df_realloc(row->cell, row->capacity * sizeof *row->cell);
    }
    row->offset[row->count++] = row->text.length;
    df_text_add_bytes(&row->text, cell, bytes);
    df_text_add_bytes(&row->text, "", 1);
}

df_status df_csv_row_parse(struct df_csv_row *row, const char *text, size_t bytes, const char *where, struct df_error *err)
{
    struct csv_parser parser;

    row->count = 0;
    df_text_clear(&row->text);
    if (csv_init(&parser, CSV_STRICT) != 0)
        df_out_of_memory(0);
    csv_set_realloc_func(&parser, get_memory);
    csv_set_free_func(&parser, free);
    const size_t parsed = csv_parse(&parser, text, bytes, add_cell, NULL, row);
    const int error = csv_error(&parser);

    csv_free(&parser);
    if (parsed != bytes)
        return df_fail(err, DF_ERR_FORMAT, "%s: byte %zu of the row: %s, expected a cell, a comma or a line end", where, parsed + 1,
                       csv_strerror(error));
    for (size_t i = 0; i < row->count; i++)
        row->cell[i] = row->text.data + row->offset[i];
    return DF_OK;
}

void df_csv_row_release(struct df_csv_row *row)
{
    df_text_release(&row->text);
    free(row->cell);
    free(row->offset);
    *row = (struct df_csv_row){ 0 };
}

df_status df_csv_open(const char *path, struct df_csv_file *file, struct df_error *err)
{
    *file = (struct df_csv_file){ .path = path };
    return df_file_read(path, 0, &file->data, &file->bytes, err);
}

static df_status without_end(const struct df_csv_file *file, struct df_error *err)
{
    const size_t bytes = file->bytes - file->at;

    if (memchr(file->data + file->at, '\n', bytes))
        return df_fail(err, DF_ERR_FORMAT,
                       "'%s': line %zu: found a row without an end and lines behind it, expected an even number of quotes [correct it by "
                       "hand]",
                       file->path, file->line);
    df_warn("'%s' ends in a torn line of %zu bytes: left out", file->path, bytes);
    return DF_OK;
}

df_status df_csv_next(struct df_csv_file *file, bool *more, struct df_error *err)
{
    char where[1024];

    *more = false;
    for (file->row.count = 0; file->row.count == 0;) { /* empty lines have no cells */
        size_t lines;
        const size_t length = df_csv_row_bytes(file->data + file->at, file->bytes - file->at, &lines);

        file->line = file->lines + 1;
        if (!length)
            return file->at < file->bytes ? without_end(file, err) : DF_OK;
        snprintf(where, sizeof where, "'%s': line %zu", file->path, file->line);
        DF_TRY(df_csv_row_parse(&file->row, file->data + file->at, length, where, err));
        file->at += length;
        file->lines += lines;
    }
    *more = true;
    return DF_OK;
}

void df_csv_close(struct df_csv_file *file)
{
    df_csv_row_release(&file->row);
    free(file->data);
    *file = (struct df_csv_file){ 0 };
}
