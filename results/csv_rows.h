/* RFC 4180 rows over libcsv: quoting a cell, finding where a row ends, taking a row apart. */
#ifndef DF_RESULTS_CSV_ROWS_H
#define DF_RESULTS_CSV_ROWS_H
#include "core/base/text.h"

/* Adds a cell to a row: a comma before it unless it is the row's first; quoted where its text needs it. */
void df_csv_add(struct df_text *row, const char *cell, bool first);
/* Shortest exact decimal; a value that is not finite gives an empty cell. */
void df_csv_add_real(struct df_text *row, double value, bool first);
void df_csv_add_int(struct df_text *row, int64_t value, bool first);

/* Bytes of the row that starts at text, its line end included; 0 when it has no end (torn). *lines counts its line ends, those inside quotes too. */
size_t df_csv_row_bytes(const char *text, size_t bytes, size_t *lines);

struct df_csv_row {
    size_t count;
    const char **cell; /* [count], valid until the next parse */
    struct df_text text;
    size_t *offset, capacity;
};
/* One whole row as df_csv_row_bytes delimits it; an empty line has 0 cells. `where` names file and line in the message. */
df_status df_csv_row_parse(struct df_csv_row *row, const char *text, size_t bytes, const char *where, struct df_error *err);
void df_csv_row_release(struct df_csv_row *row);

/* A file, row by row: its first row is the header. */
struct df_csv_file {
    const char *path;
    size_t line;           /* that the row begins in */
    struct df_csv_row row; /* after df_csv_next */
    char *data;
    size_t bytes, at, lines;
};
/* DF_ERR_NOT_FOUND: there is none. *more: whether there is a row. A last line without an end (a crash while it was written) is left out with a
 * warning; a row without an end that goes on over lines is a stray quote, and an error. Whatever happens, df_csv_close. */
df_status df_csv_open(const char *path, struct df_csv_file *file, struct df_error *err);
df_status df_csv_next(struct df_csv_file *file, bool *more, struct df_error *err);
void df_csv_close(struct df_csv_file *file);
#endif
