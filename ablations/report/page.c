#include "ablations/report/page.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/report/style.h"
#include "core/base/file.h"
#include "results/html.h"

/* "out/tiny/report.html" -> "out/tiny/report-data" */
static char *data_folder(const char *path)
{
    const size_t length = strlen(path), end = length > 5 && strcmp(path + length - 5, ".html") == 0 ? length - 5 : length;
    struct df_text folder = DF_TEXT_INIT;

    df_text_add_bytes(&folder, path, end);
    df_text_add(&folder, "-data");
    return folder.data;
}

/* The last part of a path as part of an address: what is no letter, digit, '-', '_' or '.' by its number. */
static char *address_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    struct df_text link = DF_TEXT_INIT;

    for (const char *c = slash ? slash + 1 : path; *c; c++) {
        const bool plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || strchr("-_.", *c);

        if (plain)
            df_text_add_bytes(&link, c, 1);
        else
            df_text_addf(&link, "%%%02X", (unsigned char)*c);
    }
    return link.data;
}

df_status df_page_init(struct df_page *page, const struct df_report_request *request, struct df_error *err)
{
    *page = (struct df_page){ .request = request };
    page->data = data_folder(request->path);
    page->link = address_of(page->data);
    DF_TRY(df_folder_make(page->data, err));
    return df_table_build(request->journal, request->rows, &page->table, err);
}

void df_page_release(struct df_page *page)
{
    df_table_free(page->table);
    df_text_release(&page->body);
    df_text_release(&page->contents);
    df_text_release(&page->rules);
    free(page->data);
    free(page->link);
}

void df_page_section_begin(struct df_page *page, const char *id, const char *title)
{
    df_text_addf(&page->body, "<section id=\"%s\">\n<h2>", id);
    df_html_add(&page->body, title);
    df_text_add(&page->body, "</h2>\n");
    df_text_addf(&page->contents, "<a href=\"#%s\">", id);
    df_html_add(&page->contents, title);
    df_text_add(&page->contents, "</a>\n");
}

void df_page_section_end(struct df_page *page) { df_text_add(&page->body, "</section>\n"); }

void df_page_say(struct df_page *page, const char *class, const char *format, ...)
{
    va_list arguments, again;

    va_start(arguments, format);
    va_copy(again, arguments);
    const int length = vsnprintf(NULL, 0, format, arguments);
    char *text = df_malloc((size_t)length + 1);

    vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    va_end(arguments);
    df_text_addf(&page->body, class[0] ? "<p class=\"%s\">" : "<p%s>", class);
    df_html_add(&page->body, text);
    df_text_add(&page->body, "</p>\n");
    free(text);
}

void df_page_method_text(const struct df_page *page, size_t line, struct df_text *out)
{
    const struct df_table_line_request *of = &page->request->rows->line[line];

    df_text_addf(out, "%s%s%s", of->label, of->axes[0] ? " " : "", of->axes);
}

void df_page_method(const struct df_page *page, size_t line, struct df_text *out)
{
    struct df_text name = DF_TEXT_INIT;

    df_page_method_text(page, line, &name);
    df_html_add_name(out, df_text_get(&name));
    df_text_release(&name);
}

df_status df_page_csv(struct df_page *page, const char *name, const char *what, const struct df_text *csv, struct df_error *err)
{
    struct df_text file = DF_TEXT_INIT;

    df_text_addf(&file, "%s/%s.csv", page->data, name);
    const df_status status = df_file_write(file.data, df_text_get(csv), csv->length, err);

    df_text_release(&file);
    DF_TRY(status);
    page->files++;
    df_text_addf(&page->body, "<p class=\"csv\"><a href=\"%s/%s.csv\">%s (CSV)</a></p>\n", page->link, name, what);
    return DF_OK;
}

/* What comes behind, head and contents included, takes less than 256 KiB. */
bool df_page_has_room(const struct df_page *page, size_t bytes)
{
    return page->body.length + page->rules.length + bytes + 256 * 1024 <= DF_PAGE_MOST_BYTES;
}

void df_page_document(const struct df_page *page, struct df_text *out)
{
    const struct df_report_request *request = page->request;
    const char *title = request->rows->title[0] ? request->rows->title : request->source;

    df_text_add(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
                     "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
                     "<meta name=\"color-scheme\" content=\"light dark\"/>\n<link rel=\"icon\" href=\"data:,\"/>\n<title>");
    df_html_add(out, title);
    df_text_add(out, "</title>\n<style>\n");
    df_text_add(out, df_report_style);
    df_text_add(out, df_text_get(&page->rules));
    df_text_add(out, "</style>\n</head>\n<body>\n<header><h1>");
    df_html_add_name(out, title);
    df_text_add(out, "</h1>\n<p class=\"dim\">");
    df_html_add(out, request->source);
    df_text_addf(out, "; %zu methods, semantics %lld</p>\n</header>\n<nav aria-label=\"Contents\">\n", request->rows->lines,
                 (long long)request->rows->semantics);
    df_text_add(out, df_text_get(&page->contents));
    df_text_add(out, "</nav>\n<main>\n");
    df_text_add(out, df_text_get(&page->body));
    df_text_add(out, "</main>\n</body>\n</html>\n");
}
