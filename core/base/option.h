/* Option tables: one row per option; the spec parser, the command line, --help, the documentation and the CSV all read the same row. */
#ifndef DF_CORE_BASE_OPTION_H
#define DF_CORE_BASE_OPTION_H
#include <stdbool.h>
#include <stddef.h>

#include "core/base/json.h"
#include "core/base/status.h"
#include "core/base/text.h"

#define DF_LIST_MAX 32
/* Integers or reals, in order. */
struct df_list {
    size_t count;
    double value[DF_LIST_MAX];
};
#define DF_TEXTS_MAX 64
/* What was said several times, in order; the words are the caller's (argv's). */
struct df_texts {
    size_t count;
    const char *text[DF_TEXTS_MAX];
};

enum df_option_type {
    DF_OPTION_BOOL,     /* bool; JSON true/false/0/1, text true/false/on/off/yes/no/0/1 */
    DF_OPTION_INT,      /* int64_t */
    DF_OPTION_REAL,     /* double */
    DF_OPTION_CHOICE,   /* int: index into choices "a|b|c" */
    DF_OPTION_STRING,   /* char[DF_STRING_MAX] in the struct */
    DF_OPTION_INT_LIST, /* struct df_list; every element within min..max and integral; default in text "1,2,3"; empty is
                         * legal only if the default is; JSON may give one number alone */
    DF_OPTION_REAL_LIST,
    DF_OPTION_TEXTS /* struct df_texts: of a command line, where every use adds one; not of JSON; default none */
};
#define DF_STRING_MAX 512

typedef struct df_option {
    const char *name;
    enum df_option_type type;
    size_t offset;
    double standard, min, max; /* default (bool, int, real, choice index), smallest and largest legal value; both 0: no limit */
    const char *help;          /* one line, with the unit */
    const char *text;          /* default of strings and lists */
    const char *choices;       /* "a|b|c" for DF_OPTION_CHOICE */
    const char *when;          /* NULL: always read. "other=a|b" or "other!=a|b", several joined by '&', alternatives by " or ": the
                                * option has an effect only if these hold; setting it otherwise is an error. `other` is an option of
                                * the same table; a bool compares as 0/1, a number as df_format_real prints it, a list as "1,2,3".
                                * What depends on an option without effect has none either. */
    const char *absent;        /* NULL: always part of an identity. Else the value, as text, that reproduces the behaviour before the
                                * option existed: an identity leaves it out, so that a new option orphans no row. It stays what it is
                                * when the default changes. */
} df_option;                   /* a table ends with a row whose name is NULL */

/* Rows: { "w_fg", DF_REAL_OPTION(struct defeat_options, w_fg), 4, 0, 1e4, "weight of object regions" } */
#define DF_BOOL_OPTION(type_, field)      DF_OPTION_BOOL, offsetof(type_, field)
#define DF_INT_OPTION(type_, field)       DF_OPTION_INT, offsetof(type_, field)
#define DF_REAL_OPTION(type_, field)      DF_OPTION_REAL, offsetof(type_, field)
#define DF_CHOICE_OPTION(type_, field)    DF_OPTION_CHOICE, offsetof(type_, field)
#define DF_STRING_OPTION(type_, field)    DF_OPTION_STRING, offsetof(type_, field)
#define DF_INT_LIST_OPTION(type_, field)  DF_OPTION_INT_LIST, offsetof(type_, field)
#define DF_REAL_LIST_OPTION(type_, field) DF_OPTION_REAL_LIST, offsetof(type_, field)
#define DF_TEXTS_OPTION(type_, field)     DF_OPTION_TEXTS, offsetof(type_, field)

size_t df_option_bytes(const df_option *option);                /* of its value in the options struct */
void df_options_standard(const df_option *table, void *values); /* fills in every default */
/* Defaults, then the members of object (NULL: none). Unknown, mistyped, out-of-range and ineffective keys are errors that name `where`,
 * the key, what was found, what is legal and the nearest valid key. `others`: keys of the object that are not options (NULL-terminated,
 * may be NULL). On failure values is untouched. */
df_status df_options_read(const df_option *table, const cJSON *object, const char *const *others, const char *where, void *values,
                          struct df_error *err);
/* The same for what df_options_identity has written: what is left out has its `absent` value, not its default. */
df_status df_options_restore(const df_option *table, const cJSON *object, const char *const *others, const char *where, void *values,
                             struct df_error *err);
/* One "name=value" from text, over what values already holds; ineffective is not checked here (df_options_check does, given the names set). */
df_status df_options_set(const df_option *table, const char *name, const char *value, const char *where, void *values,
                         struct df_error *err);
df_status df_options_check(const df_option *table, const void *values, const char *const *set, const char *where, struct df_error *err);
/* All options that have an effect, in table order, as a new JSON object (cJSON_Delete it). */
cJSON *df_options_write(const df_option *table, const void *values);
/* Of those, without what has its `absent` value: the canonical form, part of what a cell is. */
cJSON *df_options_identity(const df_option *table, const void *values);
/* Of those, without what has its default: what somebody must have asked for. */
cJSON *df_options_asked(const df_option *table, const void *values);
bool df_option_absent_is_legal(const df_option *option); /* its `absent` is NULL or one of its values */
/* A table from elsewhere: names, types, places in a struct of `bytes`, defaults, ranges, choices, conditions. Error: names the option. Nothing
 * else here may meet a table that is not legal. */
df_status df_options_legal(const df_option *table, size_t bytes, struct df_error *err);
/* "adapt is not none and bb_stages is empty": an option's `when` as words; "" without one. */
void df_option_condition(const df_option *table, const df_option *option, struct df_text *out);
void df_options_help(const df_option *table, struct df_text *out);     /* aligned text: name, default, type and range, help, condition */
void df_options_markdown(const df_option *table, struct df_text *out); /* table rows | name | default | range | help | */
#endif
