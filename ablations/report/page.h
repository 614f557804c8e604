/* The page under construction: what it is about, its sections, the CSV files beside it. */
#ifndef DF_ABLATIONS_REPORT_PAGE_H
#define DF_ABLATIONS_REPORT_PAGE_H
#include "ablations/report/request.h"

/* A page is no larger. Parts that could be large ask for room, and tell what they leave out. */
#define DF_PAGE_MOST_BYTES ((size_t)5 * 1024 * 1024)

struct df_page {
    const struct df_report_request *request;
    struct df_table *table;               /* of the request's rows */
    struct df_text body, contents, rules; /* rules: style of this page alone */
    char *data, *link;                    /* folder of the CSV files; the same as the page names it */
    size_t files;
};
/* Makes the folder. */
df_status df_page_init(struct df_page *page, const struct df_report_request *request, struct df_error *err);
void df_page_release(struct df_page *page);
/* id: a word of ASCII letters, the section's address in the page. */
void df_page_section_begin(struct df_page *page, const char *id, const char *title);
void df_page_section_end(struct df_page *page);
/* A paragraph; class "": of the page's usual kind. */
void df_page_say(struct df_page *page, const char *class, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The method of a line, "DeFeat w_fg=4", as text and as HTML. */
void df_page_method_text(const struct df_page *page, size_t line, struct df_text *out);
void df_page_method(const struct df_page *page, size_t line, struct df_text *out);
/* Writes <data>/<name>.csv, and a link to it under `what`. */
df_status df_page_csv(struct df_page *page, const char *name, const char *what, const struct df_text *csv, struct df_error *err);
/* Whether so many more bytes fit. */
bool df_page_has_room(const struct df_page *page, size_t bytes);
/* The whole document. */
void df_page_document(const struct df_page *page, struct df_text *out);
#endif
