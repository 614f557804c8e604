/* For this room: an option's value, and what reading, help and the check of a table share. */
#ifndef DF_CORE_BASE_OPTION_INTERNAL_H
#define DF_CORE_BASE_OPTION_INTERNAL_H
#include "core/base/option.h"

union df_option_value { /* as it lies in the options struct */
    bool boolean;
    int64_t integer;
    double real;
    int choice;
    char string[DF_STRING_MAX];
    struct df_list list;
    struct df_texts texts;
};

const df_option *df_option_find(const df_option *table, const char *name, size_t length); /* NULL: none has this name */
bool df_option_is_list(const df_option *option);
bool df_option_has_bounds(const df_option *option); /* its type has: numbers and lists of them */
/* "1..64"; nothing without limits. */
void df_option_add_bounds(const df_option *option, struct df_text *out);
/* The part of "a|b|c" at index: its start, and its length in *length. NULL when there are fewer. */
const char *df_option_part(const char *parts, int index, size_t *length);
int df_option_part_index(const char *parts, const char *text, size_t length); /* -1: no part is this text */
/* False when the text is not a legal value. Texts grow by it. */
bool df_option_from_text(const df_option *option, const char *text, union df_option_value *out);
/* The value as `when` compares it and help prints it; a bool as 0 or 1. */
void df_option_value_text(const df_option *option, const union df_option_value *value, struct df_text *out);
void df_option_standard(const df_option *option, union df_option_value *out); /* its default */
#endif
