/* Four kinds of marks around the same cells. */
#include "results/grid.h"

#include <stdlib.h>
#include <string.h>

#include "results/html.h"

#define PLUS_MINUS "\xc2\xb1"

static size_t shown_width(const char *text)
{
    size_t width = 0;

    for (; *text; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80; /* not the rest of a UTF-8 sequence */
    return width;
}

static void add_plain(struct df_text *out, const char *text)
{
    for (; *text; text++)
        df_text_add_bytes(out, (unsigned char)*text < ' ' || *text == 127 ? " " : text, 1);
}

static void add_markdown(struct df_text *out, const char *text)
{
    for (; *text; text++) {
        if (strchr("\\`*_{}[]<>#|", *text))
            df_text_add(out, "\\");
        df_text_add_bytes(out, (unsigned char)*text < ' ' ? " " : text, 1);
    }
}

static void add_latex(struct df_text *out, const char *text)
{
    for (; *text; text++) {
        if (strncmp(text, PLUS_MINUS, 2) == 0) {
            df_text_add(out, "$\\pm$");
            text++;
        } else if (*text == '\\') {
            df_text_add(out, "\\textbackslash{}");
        } else if (*text == '~' || *text == '^') {
            df_text_add(out, *text == '~' ? "\\textasciitilde{}" : "\\textasciicircum{}");
        } else if (*text == '<' || *text == '>' || *text == '|') {
            df_text_addf(out, "$%c$", *text);
        } else {
            if (strchr("&%$#_{}", *text))
                df_text_add(out, "\\");
            df_text_add_bytes(out, (unsigned char)*text < ' ' ? " " : text, 1);
        }
    }
}

/* A number's cell as a formula: a real minus sign, and signs of LaTeX's own. */
static void add_formula(struct df_text *out, const char *text)
{
    if (strcmp(text, "-") == 0 || !*text) {
        df_text_add(out, *text ? "--" : "");
        return;
    }
    df_text_add(out, "$");
    for (; *text; text++) {
        if (strncmp(text, PLUS_MINUS, 2) == 0) {
            df_text_add(out, "\\pm");
            text++;
        } else if (*text == '~') {
            df_text_add(out, "\\sim");
        } else {
            df_text_add_bytes(out, text, 1);
        }
    }
    df_text_add(out, "$");
}

static void print_text(const struct df_grid *grid, struct df_text *out)
{
    struct df_text line = DF_TEXT_INIT, cell = DF_TEXT_INIT;

    if (grid->title[0]) {
        add_plain(out, grid->title);
        df_text_add(out, "\n");
    }
    if (grid->subtitle[0]) {
        add_plain(out, grid->subtitle);
        df_text_add(out, "\n");
    }
    for (size_t r = 0; r < grid->rows; r++) {
        df_text_clear(&line);
        for (size_t c = 0; c < grid->columns; c++) {
            size_t width = 0;

            for (size_t i = 0; i < grid->rows; i++) {
                const size_t w = shown_width(df_text_get(&grid->cell[i * grid->columns + c]));

                width = w > width ? w : width;
            }
            df_text_clear(&cell);
            add_plain(&cell, df_text_get(&grid->cell[r * grid->columns + c]));
            const int pad = (int)(width - shown_width(df_text_get(&cell)));

            df_text_addf(&line, "%s%*s%s%*s", c ? "  " : "", grid->number[c] ? pad : 0, "", df_text_get(&cell), grid->number[c] ? 0 : pad,
                         "");
        }
        while (line.length && line.data[line.length - 1] == ' ')
            line.data[--line.length] = 0;
        df_text_add(&line, "\n");
        df_text_add(out, line.data);
        for (size_t i = 0, n = r == 0 ? shown_width(line.data) - 1 : 0; i < n; i++)
            df_text_add(out, i + 1 < n ? "-" : "-\n");
    }
    df_text_add(out, "\n");
    df_text_add(out, grid->notes);
    df_text_release(&line);
    df_text_release(&cell);
}

/* Sentence by sentence. */
static void add_notes(const char *note, void (*add)(struct df_text *out, const char *text), const char *before, const char *behind,
                      struct df_text *out)
{
    while (*note) {
        const char *end = strchr(note, '\n');
        char *sentence = df_strdup(note);

        sentence[end - note] = 0;
        df_text_add(out, before);
        add(out, sentence);
        df_text_add(out, behind);
        free(sentence);
        note = end + 1;
    }
}

static void print_markdown(const struct df_grid *grid, struct df_text *out)
{
    if (grid->title[0]) {
        df_text_add(out, "**");
        add_markdown(out, grid->title);
        df_text_add(out, "**\n\n");
    }
    if (grid->subtitle[0]) {
        add_markdown(out, grid->subtitle);
        df_text_add(out, "\n\n");
    }
    for (size_t r = 0; r < grid->rows; r++) {
        for (size_t c = 0; c < grid->columns; c++) {
            df_text_add(out, c ? " | " : "| ");
            add_markdown(out, df_text_get(&grid->cell[r * grid->columns + c]));
        }
        df_text_add(out, " |\n");
        for (size_t c = 0; r == 0 && c < grid->columns; c++)
            df_text_addf(out, "%s%s", grid->number[c] ? "|---:" : "|---", c + 1 < grid->columns ? "" : "|\n");
    }
    add_notes(grid->notes, add_markdown, "\n", "\n", out);
}

static void print_html(const struct df_grid *grid, struct df_text *out)
{
    if (grid->subtitle[0]) {
        df_text_add(out, "<p>");
        df_html_add(out, grid->subtitle);
        df_text_add(out, "</p>\n");
    }
    df_text_add(out, "<div class=\"scroll\" tabindex=\"0\"><table>\n");
    for (size_t r = 0; r < grid->rows; r++) {
        df_text_add(out, r == 0 ? "<thead><tr>" : "<tr>");
        for (size_t c = 0; c < grid->columns; c++) {
            const char *mark = r == 0 ? "th scope=\"col\"" : c == 0 ? "th scope=\"row\"" : "td";

            df_text_addf(out, "<%s%s>", mark, grid->number[c] ? " class=\"number\"" : "");
            df_html_add_name(out, df_text_get(&grid->cell[r * grid->columns + c]));
            df_text_addf(out, "</%.2s>", mark);
        }
        df_text_add(out, r == 0 ? "</tr></thead>\n<tbody>\n" : "</tr>\n");
    }
    df_text_add(out, "</tbody></table></div>\n");
    add_notes(grid->notes, df_html_add, "<p class=\"note\">", "</p>\n", out);
}

/* What stands between a sentence of the caption and the next one. */
static const char *after(const char *sentence)
{
    const size_t length = strlen(sentence);

    return !length ? "" : strchr(".?!", sentence[length - 1]) ? " " : ". ";
}

static void print_latex(const struct df_grid *grid, struct df_text *out)
{
    df_text_add(out, "\\begin{table}\n\\centering\n\\begin{tabular}{");
    for (size_t c = 0; c < grid->columns; c++)
        df_text_add(out, grid->number[c] ? "r" : "l");
    df_text_add(out, "}\n\\hline\n");
    for (size_t r = 0; r < grid->rows; r++) {
        for (size_t c = 0; c < grid->columns; c++) {
            df_text_add(out, c ? " & " : "");
            (r > 0 && grid->number[c] ? add_formula : add_latex)(out, df_text_get(&grid->cell[r * grid->columns + c]));
        }
        df_text_add(out, r == 0 ? " \\\\\n\\hline\n" : " \\\\\n");
    }
    df_text_add(out, "\\hline\n\\end{tabular}\n\\caption{");
    add_latex(out, grid->title);
    df_text_add(out, after(grid->title));
    add_latex(out, grid->subtitle);
    df_text_add(out, after(grid->subtitle));
    add_latex(out, grid->notes);
    df_text_add(out, "}\n\\end{table}\n");
}

void df_grid_print(const struct df_grid *grid, enum df_table_format format, struct df_text *out)
{
    DF_ASSERT(format != DF_TABLE_CSV);
    if (format == DF_TABLE_TEXT)
        print_text(grid, out);
    else if (format == DF_TABLE_MARKDOWN)
        print_markdown(grid, out);
    else if (format == DF_TABLE_HTML)
        print_html(grid, out);
    else
        print_latex(grid, out);
}
