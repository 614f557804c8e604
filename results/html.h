/* Names and sentences as HTML: whatever somebody called a method, it is shown as text. */
#ifndef DF_RESULTS_HTML_H
#define DF_RESULTS_HTML_H
#include "core/base/text.h"

/* Adds text as that of an element or of a quoted attribute: what would be mark-up is escaped, what could not be seen or would turn the text around
 * it is shown as a terminal sees it (core/base/show.h). Tabs and ends of lines stay. */
void df_html_add(struct df_text *out, const char *text);
/* The same as an element of its own, whose direction (Hebrew, Arabic) stays inside of it. */
void df_html_add_name(struct df_text *out, const char *name);
/* Bytes as a data: URI. mime: "image/png" */
void df_html_add_data(struct df_text *out, const char *mime, const void *bytes, size_t count);
#endif
