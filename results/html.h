/* Names and sentences as HTML: whatever somebody called a method, it is shown as text. */
#ifndef DF_RESULTS_HTML_H
#define DF_RESULTS_HTML_H
#include "core/base/text.h"

/* Adds UTF-8 as text of an element or of a quoted attribute. What would be marked-up is escaped; what could not be seen, or would turn the text
 * around it (control characters, marks of direction, byte order marks), is told by its number, "[U+202E]"; bytes that are no UTF-8 are U+FFFD.
 * Tabs and ends of lines stay. */
void df_html_add(struct df_text *out, const char *text);
/* The same as an element of its own, whose direction (Hebrew, Arabic) stays inside of it. */
void df_html_add_name(struct df_text *out, const char *name);
/* Bytes as a data: URI. mime: "image/png" */
void df_html_add_data(struct df_text *out, const char *mime, const void *bytes, size_t count);
#endif
