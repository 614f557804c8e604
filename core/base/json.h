/* JSON for specs and results, over cJSON: strict parsing (duplicate keys, trailing text, non-finite numbers and more than 64 levels are
 * errors), and readers that say the path, what was found and what was expected. `where` is the file and the path so far, for messages:
 * "specs/a.json: /teacher/network". */
#ifndef DF_CORE_BASE_JSON_H
#define DF_CORE_BASE_JSON_H
#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/status.h"
#include "core/base/text.h"

df_status df_json_parse(const char *text, size_t bytes, const char *where, cJSON **out, struct df_error *err); /* line:column in errors */
/* What a text begins as if it is none of UTF-8, in iconv's names; NULL: it may be. */
const char *df_json_encoding(const char *text, size_t bytes);
df_status df_json_read(const char *path, cJSON **out, struct df_error *err);
/* Fails unless it is an object and every key of it is in names (NULL-terminated); names the nearest valid key. */
df_status df_json_only(const cJSON *object, const char *const *names, const char *where, struct df_error *err);
/* Typed members. A missing key is an error when `required`, else *out is untouched and DF_OK. */
df_status df_json_string(const cJSON *object, const char *key, bool required, const char *where, const char **out, struct df_error *err);
df_status df_json_int(const cJSON *object, const char *key, bool required, const char *where, int64_t *out, struct df_error *err);
df_status df_json_real(const cJSON *object, const char *key, bool required, const char *where, double *out, struct df_error *err);
df_status df_json_object(const cJSON *object, const char *key, bool required, const char *where, const cJSON **out, struct df_error *err);
df_status df_json_array(const cJSON *object, const char *key, bool required, const char *where, const cJSON **out, struct df_error *err);
/* Canonical form: keys in the order given by the tree, no white space, numbers as df_format_real prints them, what a terminal
 * would obey or hide as \u escapes: the text may go to one. */
void df_json_canonical(const cJSON *node, struct df_text *out);
/* For people, as the spec files are written: what fits on a line of 140 stands on one, else a member or element a line, indented by two. */
void df_json_pretty(const cJSON *node, struct df_text *out);
#endif
