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
#endif
