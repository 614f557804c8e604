/* A table for people: cells as text, a heading row first, what stands above and below them; as text, Markdown, LaTeX or HTML. */
#ifndef DF_RESULTS_GRID_H
#define DF_RESULTS_GRID_H
#include "core/base/text.h"

enum df_table_format { DF_TABLE_TEXT, DF_TABLE_MARKDOWN, DF_TABLE_CSV, DF_TABLE_LATEX, DF_TABLE_HTML };

struct df_grid {
    size_t rows, columns;
    const struct df_text *cell;   /* [rows, columns]; a plus-minus sign may stand in them, as UTF-8 */
    const bool *number;           /* [columns]: set right, in LaTeX as a formula */
    const char *title, *subtitle; /* "": none */
    const char *notes;            /* sentences, each a line with its end */
};
/* Escapes what the form must; every form but CSV. HTML is a part of a page: a table in a box that scrolls, paragraphs above and below it. */
void df_grid_print(const struct df_grid *grid, enum df_table_format format, struct df_text *out);
#endif
