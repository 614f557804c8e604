/* Option tables as help: aligned text, Markdown, conditions in words. */
#include <string.h>

#include "core/base/option_internal.h"

static void standard_text(const df_option *option, struct df_text *out)
{
    union df_option_value value;

    df_option_standard(option, &value);
    if (option->type == DF_OPTION_BOOL)
        df_text_add(out, value.boolean ? "true" : "false");
    else
        df_option_value_text(option, &value, out);
    if (!out->length)
        df_text_add(out, "none");
}

static void range_text(const df_option *option, struct df_text *out)
{
    static const char *const kinds[] = { "true|false", "integer", "number", NULL, "text", "integers", "numbers", "texts" };
    struct df_text bounds = DF_TEXT_INIT;

    df_text_add(out, option->type == DF_OPTION_CHOICE ? option->choices : kinds[option->type]);
    if (df_option_has_bounds(option))
        df_option_add_bounds(option, &bounds);
    if (bounds.length)
        df_text_addf(out, " %s", bounds.data);
    df_text_release(&bounds);
}

/* The words of one condition: "jobs=2|3" is "jobs is 2 or 3", "norm!=" is "norm is not empty". */
static void add_words(const df_option *table, const char *condition, size_t length, struct df_text *out)
{
    const size_t equals = strcspn(condition, "=");
    const bool negated = equals > 0 && condition[equals - 1] == '!';
    const df_option *other = df_option_find(table, condition, equals - negated);
    const bool flag = other && other->type == DF_OPTION_BOOL;

    df_text_add_bytes(out, condition, equals - negated);
    df_text_add(out, negated ? " is not " : " is ");
    if (equals + 1 == length)
        df_text_add(out, "empty");
    for (size_t at = equals + 1; at < length; at++) {
        if (condition[at] == '|')
            df_text_add(out, negated ? " nor " : " or ");
        else if (flag)
            df_text_add(out, condition[at] == '1' ? "true" : "false");
        else
            df_text_add_bytes(out, condition + at, 1);
    }
}

void df_option_condition(const df_option *table, const df_option *option, struct df_text *out)
{
    static const char either[] = " or ";

    for (const char *at = option->when; at && *at;) {
        const char *next = strstr(at, either);
        size_t length = strcspn(at, "&");

        length = next && next < at + length ? (size_t)(next - at) : length;
        add_words(table, at, length, out);
        at += length;
        if (*at == '&') {
            df_text_add(out, " and ");
            at++;
        } else if (*at) {
            df_text_add(out, ", or ");
            at += strlen(either);
        }
    }
}

static void add_condition(const df_option *table, const df_option *option, struct df_text *out)
{
    if (!option->when)
        return;
    df_text_add(out, " (when ");
    df_option_condition(table, option, out);
    df_text_add(out, ")");
}

void df_options_help(const df_option *table, struct df_text *out)
{
    size_t width[3] = { 0, 0, 0 };

    for (int pass = 0; pass < 2; pass++) { /* measure, then print */
        for (const df_option *option = table; option->name; option++) {
            struct df_text column[2] = { DF_TEXT_INIT, DF_TEXT_INIT };
            const size_t name = strlen(option->name);

            standard_text(option, &column[0]);
            range_text(option, &column[1]);
            if (pass == 0) {
                width[0] = name > width[0] ? name : width[0];
                for (int i = 0; i < 2; i++)
                    width[i + 1] = column[i].length > width[i + 1] && column[i].length <= 24 ? column[i].length : width[i + 1];
            } else {
                df_text_addf(out, "  %-*s  %-*s  %-*s  %s", (int)width[0], option->name, (int)width[1], column[0].data, (int)width[2],
                             column[1].data, option->help);
                add_condition(table, option, out);
                df_text_add(out, "\n");
            }
            df_text_release(&column[0]);
            df_text_release(&column[1]);
        }
    }
}

/* A '|' ends a cell of a Markdown table unless it is escaped. */
static void add_cell(const char *s, struct df_text *out)
{
    for (; *s; s++)
        df_text_addf(out, *s == '|' ? "\\%c" : "%c", *s);
}

void df_options_markdown(const df_option *table, struct df_text *out)
{
    for (const df_option *option = table; option->name; option++) {
        struct df_text column[3] = { DF_TEXT_INIT, DF_TEXT_INIT, DF_TEXT_INIT };

        standard_text(option, &column[0]);
        range_text(option, &column[1]);
        df_text_add(&column[2], option->help);
        add_condition(table, option, &column[2]);
        df_text_addf(out, "| `%s` |", option->name);
        for (int i = 0; i < 3; i++) {
            df_text_add(out, " ");
            add_cell(column[i].data, out);
            df_text_add(out, " |");
            df_text_release(&column[i]);
        }
        df_text_add(out, "\n");
    }
}
