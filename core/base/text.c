/* Growable strings, near names, strict numbers. Numbers are read and printed in the C locale whatever the program's locale is. */
#include "core/base/text.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static locale_t c_locale;

static void make_c_locale(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!c_locale)
        df_out_of_memory(0);
}

static locale_t the_c_locale(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, make_c_locale);
    return c_locale;
}

static void reserve(struct df_text *text, size_t more)
{
    const size_t needed = text->length + more + 1;

    if (needed <= text->capacity)
        return;
    text->capacity = needed > 2 * text->capacity ? needed : 2 * text->capacity;
    if (text->capacity < 64)
        text->capacity = 64;
    text->data = df_realloc(text->data, text->capacity);
}

void df_text_add_bytes(struct df_text *text, const void *bytes, size_t n)
{
    reserve(text, n);
    if (n)
        memcpy(text->data + text->length, bytes, n);
    text->length += n;
    text->data[text->length] = 0;
}

void df_text_add(struct df_text *text, const char *s) { df_text_add_bytes(text, s, strlen(s)); }

void df_text_addf(struct df_text *text, const char *format, ...)
{
    const locale_t before = uselocale(the_c_locale());
    va_list arguments, again;
    int n;

    va_start(arguments, format);
    va_copy(again, arguments);
    n = vsnprintf(NULL, 0, format, arguments);
    if (n < 0) /* the formats are ours: what can fail is the memory for long numbers */
        df_out_of_memory(0);
    reserve(text, (size_t)n);
    vsnprintf(text->data + text->length, (size_t)n + 1, format, again);
    text->length += (size_t)n;
    va_end(again);
    va_end(arguments);
    uselocale(before);
}

const char *df_text_get(const struct df_text *text) { return text->data ? text->data : ""; }

void df_text_clear(struct df_text *text)
{
    text->length = 0;
    if (text->data)
        text->data[0] = 0;
}

void df_text_release(struct df_text *text)
{
    free(text->data);
    *text = (struct df_text)DF_TEXT_INIT;
}

void df_text_add_shown(struct df_text *text, const char *name)
{
    const size_t room = 4 * strlen(name) + 4; /* "\\x1b" of a byte is the longest */

    reserve(text, room);
    text->length += df_show(name, text->data + text->length, room);
}

enum { LONGEST_WORD = 63 };

static size_t least(size_t a, size_t b) { return a < b ? a : b; }
static char fold(char c) { return (char)(c == '-' ? '_' : c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c); }

/* Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours cost 1; case, and - for _, cost nothing. */
static size_t edit_distance(const char *a, size_t na, const char *b, size_t nb)
{
    size_t rows[3][LONGEST_WORD + 2], *before = rows[0], *last = rows[1], *now = rows[2];

    for (size_t j = 0; j <= nb; j++)
        last[j] = j;
    for (size_t i = 1; i <= na; i++) {
        size_t *const oldest = before;

        now[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            const bool same = fold(a[i - 1]) == fold(b[j - 1]);

            now[j] = least(least(last[j], now[j - 1]) + 1, last[j - 1] + !same);
            if (i > 1 && j > 1 && fold(a[i - 1]) == fold(b[j - 2]) && fold(a[i - 2]) == fold(b[j - 1]))
                now[j] = least(now[j], before[j - 2] + 1);
        }
        before = last;
        last = now;
        now = oldest;
    }
    return last[nb];
}

const char *df_nearest(const char *word, const char *const *names)
{
    const size_t n = strlen(word);
    const char *nearest = NULL;
    size_t best = n < 3 ? 2 : least(n / 3 + 2, 5); /* below this many edits a name is near */

    if (n == 0 || n > LONGEST_WORD)
        return NULL;
    for (; *names; names++) {
        const size_t length = strlen(*names);
        const size_t distance = length > LONGEST_WORD ? best : edit_distance(word, n, *names, length);

        if (distance < best && distance < n) {
            best = distance;
            nearest = *names;
        }
    }
    return nearest;
}

df_status df_fail_unknown(struct df_error *err, const char *what, const char *word, const char *near, const char *hint)
{
    if (near)
        return df_fail(err, DF_ERR_USAGE, "unknown %s '%s' (did you mean '%s'? %s)", what, word, near, hint);
    return df_fail(err, DF_ERR_USAGE, "unknown %s '%s' (%s)", what, word, hint);
}

size_t df_find_name(df_name_at *name, const void *table, const char *word, const char *what, const char *hint, struct df_error *err)
{
    struct df_text all = DF_TEXT_INIT;
    const char **names;
    size_t count = 0;

    for (; name(table, count); count++) {
        if (strcmp(name(table, count), word) == 0) {
            df_text_release(&all);
            return count;
        }
        df_text_addf(&all, "%s%s", count ? ", " : "there are: ", name(table, count));
    }
    names = df_calloc(count + 1, sizeof *names);
    for (size_t i = 0; i < count; i++)
        names[i] = name(table, i);
    df_fail_unknown(err, what, word, df_nearest(word, names), hint ? hint : df_text_get(&all));
    free(names);
    df_text_release(&all);
    return SIZE_MAX;
}

static const char *skip_digits(const char *s)
{
    while (*s >= '0' && *s <= '9')
        s++;
    return s;
}

/* [+-] digits [. digits] [e [+-] digits], at least one digit before the exponent */
static bool is_decimal(const char *s)
{
    const char *whole, *fraction;
    size_t digits;

    s += *s == '-' || *s == '+';
    whole = skip_digits(s);
    digits = (size_t)(whole - s);
    if (*whole == '.') {
        fraction = skip_digits(whole + 1);
        digits += (size_t)(fraction - whole - 1);
        whole = fraction;
    }
    if (digits == 0)
        return false;
    if (*whole == 'e' || *whole == 'E') {
        s = whole + 1;
        s += *s == '-' || *s == '+';
        whole = skip_digits(s);
        if (whole == s)
            return false;
    }
    return *whole == 0;
}

bool df_parse_real(const char *text, double *out)
{
    double value;

    if (!is_decimal(text))
        return false;
    value = strtod_l(text, NULL, the_c_locale());
    if (!isfinite(value))
        return false;
    *out = value;
    return true;
}

bool df_parse_int(const char *text, int64_t *out)
{
    const bool negative = *text == '-';
    const uint64_t limit = negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
    const char *s = text + (*text == '-' || *text == '+');
    uint64_t value = 0;

    if (*s == 0 || *skip_digits(s) != 0)
        return false;
    for (; *s; s++) {
        const uint64_t digit = (uint64_t)(*s - '0');

        if (value > (limit - digit) / 10)
            return false;
        value = 10 * value + digit;
    }
    *out = negative ? (value ? -(int64_t)(value - 1) - 1 : 0) : (int64_t)value;
    return true;
}

bool df_parse_seconds(const char *text, double *out)
{
    static const struct {
        char letter;
        double seconds;
    } units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
    const size_t length = strlen(text);
    char number[32];
    double unit = 0, value;

    if (length == 0 || length >= sizeof number)
        return false;
    memcpy(number, text, length + 1);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        unit = number[length - 1] == units[i].letter ? units[i].seconds : unit;
    if (unit > 0)
        number[length - 1] = 0;
    if (!df_parse_real(number, &value) || value <= 0)
        return false;
    *out = value * (unit > 0 ? unit : 1);
    return true;
}

/* %g drops trailing zeros, so 15 digits already give the shortest form of every value that has one of at most 15 digits;
 * subnormals hold fewer digits and are tried from 1 up. */
char *df_format_real(char buffer[32], double value)
{
    const locale_t before = uselocale(the_c_locale());
    const int first = fabs(value) < DBL_MIN && value != 0 ? 1 : 15;

    for (int digits = first; digits <= 17; digits++) {
        snprintf(buffer, 32, "%.*g", digits, value);
        if (!isfinite(value) || strtod_l(buffer, NULL, the_c_locale()) == value)
            break;
    }
    uselocale(before);
    return buffer;
}
