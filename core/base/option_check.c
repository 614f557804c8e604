/* Whether an option table is one: for tables from elsewhere (plugins). All that reading, help and conditions assert is asked here. */
#include <ctype.h>
#include <string.h>

#include "core/base/option_internal.h"

static bool is_plain_name(const char *name)
{
    if (!name || !islower((unsigned char)*name))
        return false;
    return !name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_")];
}

static df_status fault(const df_option *option, const char *text, struct df_error *err)
{
    return df_fail(err, DF_ERR_FORMAT, "option '%s': %s", option->name, text);
}

/* "a|b|c": at least one, none empty, none twice. */
static bool choices_are_legal(const char *choices)
{
    const char *at;
    size_t length;

    for (int i = 0; choices && (at = df_option_part(choices, i, &length)); i++)
        if (length == 0 || df_option_part_index(choices, at, length) != i)
            return false;
    return choices != NULL;
}

static int choice_count(const char *choices)
{
    size_t length;
    int count = 0;

    while (df_option_part(choices, count, &length))
        count++;
    return count;
}

static bool default_is_legal(const df_option *option)
{
    union df_option_value value = { 0 };

    switch (option->type) {
    case DF_OPTION_BOOL:
        return option->standard == 0 || option->standard == 1;
    case DF_OPTION_INT:
        if (option->standard != (double)(int64_t)option->standard)
            return false;
        /* fall through */
    case DF_OPTION_REAL:
        return (option->min == 0 && option->max == 0) || (option->min <= option->standard && option->standard <= option->max);
    case DF_OPTION_CHOICE:
        return option->standard >= 0 && option->standard == (double)(int)option->standard &&
               (int)option->standard < choice_count(option->choices);
    case DF_OPTION_STRING:
    case DF_OPTION_INT_LIST:
    case DF_OPTION_REAL_LIST:
        break;
    case DF_OPTION_TEXTS:
        return true;
    }
    return df_option_from_text(option, option->text ? option->text : "", &value);
}

static df_status row_is_legal(const df_option *table, const df_option *option, size_t bytes, struct df_error *err)
{
    if (!is_plain_name(option->name))
        return df_fail(err, DF_ERR_FORMAT, "option %td lacks a plain name (expected lower-case letters, digits and '_')", option - table);
    if (!option->help || !option->help[0])
        return fault(option, "it lacks a help text", err);
    if ((int)option->type < 0 || option->type > DF_OPTION_REAL_LIST)
        return fault(option, "its type is none of a spec's", err);
    if (option->offset > bytes || df_option_bytes(option) > bytes - option->offset)
        return fault(option, "it lies outside of options_size", err);
    if (option->type == DF_OPTION_CHOICE && !choices_are_legal(option->choices))
        return fault(option, "its choices are not of the form \"a|b|c\", each once", err);
    if (!default_is_legal(option))
        return fault(option, "its default is outside of its range", err);
    if (!df_option_absent_is_legal(option))
        return fault(option, "its 'absent' is none of its values", err);
    for (const df_option *other = table; other < option; other++)
        if (strcmp(other->name, option->name) == 0)
            return fault(option, "two options have the same name", err);
    return DF_OK;
}

/* One that the other option can have, written as `when` compares it: 4.0 is never found, for it prints as 4. */
static bool value_is_legal(const df_option *other, const char *text)
{
    union df_option_value value = { 0 };
    struct df_text written = DF_TEXT_INIT;

    if (other->type == DF_OPTION_BOOL)
        return strcmp(text, "0") == 0 || strcmp(text, "1") == 0;
    if (!df_option_from_text(other, text, &value))
        return false;
    df_option_value_text(other, &value, &written);

    const bool same = strcmp(df_text_get(&written), text) == 0;

    df_text_release(&written);
    return same;
}

/* "1", "none|group", "2,3": whether the other option can have all of these values. */
static bool values_are_legal(const df_option *other, const char *values, size_t length)
{
    char text[DF_STRING_MAX];

    for (size_t at = 0; at <= length;) {
        const size_t part = strcspn(values + at, "|"), n = part < length - at ? part : length - at;

        if (n >= sizeof text)
            return false;
        memcpy(text, values + at, n);
        text[n] = 0;
        if (!value_is_legal(other, text))
            return false;
        at += n + 1;
    }
    return true;
}

/* The condition that begins at *at, which moves behind it and what joins it to the next; *other: the option that it asks. */
static df_status next_condition(const df_option *table, const df_option *option, const char **at, const df_option **other,
                                struct df_error *err)
{
    const char *either = strstr(*at, " or ");
    size_t length = strcspn(*at, "&");

    length = either && either < *at + length ? (size_t)(either - *at) : length;

    const size_t equals = strcspn(*at, "=");
    const bool negated = equals > 0 && equals < length && (*at)[equals - 1] == '!';

    if (equals >= length)
        return fault(option, "its 'when' is not of the form \"other=a|b&third!=c or ...\"", err);
    *other = df_option_find(table, *at, equals - negated);
    if (!*other)
        return fault(option, "its 'when' asks for an option that the table does not have", err);
    if (!values_are_legal(*other, *at + equals + 1, length - equals - 1))
        return fault(option, "its 'when' asks for a value that the other option cannot have", err);
    *at += length;
    if (**at == 0)
        return DF_OK;
    *at += **at == '&' ? 1 : strlen(" or ");
    return **at ? DF_OK : fault(option, "its 'when' ends in the middle", err);
}

/* Follows the conditions; deeper than a table is long is a circle. The depth that df_options_read bears is 16. */
static df_status conditions_are_legal(const df_option *table, const df_option *option, int depth, struct df_error *err)
{
    const df_option *other = NULL;

    if (depth > 15)
        return fault(option, "its 'when' leads in a circle, or through more than 15 options", err);
    if (option->when && !option->when[0])
        return fault(option, "its 'when' is empty (leave it out)", err);
    for (const char *at = option->when; at && *at;) {
        DF_TRY(next_condition(table, option, &at, &other, err));
        DF_TRY(conditions_are_legal(table, other, depth + 1, err));
    }
    return DF_OK;
}

df_status df_options_legal(const df_option *table, size_t bytes, struct df_error *err)
{
    for (const df_option *option = table; option->name; option++)
        DF_TRY(row_is_legal(table, option, bytes, err));
    for (const df_option *option = table; option->name; option++)
        DF_TRY(conditions_are_legal(table, option, 0, err));
    return DF_OK;
}
