#include "core/device/driver.h"

#include <string.h>

#define DIGITS "0123456789"
#define BLANKS " \t"
#define ENDS   BLANKS "\r\n"

/* "570.86.10": digits, with single dots between them, at least one */
static bool is_number(const char *word, size_t length)
{
    size_t at = strspn(word, DIGITS), dots = 0;

    for (; at && at < length && word[at] == '.'; dots++) {
        const size_t digits = strspn(word + at + 1, DIGITS);

        if (!digits)
            return false;
        at += 1 + digits;
    }
    return dots && at == length;
}

/* The first number on the line; NULL: there is none. */
static const char *find_number(const char *line, size_t *length)
{
    const char *word = line + strspn(line, BLANKS);

    while ((*length = strcspn(word, ENDS)) && !is_number(word, *length)) {
        word += *length;
        word += strspn(word, BLANKS);
    }
    return *length ? word : NULL;
}

bool df_driver_number(const char *text, char *number, size_t size)
{
    static const char before[] = "Kernel Module";
    const char *at = strstr(text, before), *word;
    size_t length;

    if (!at || !(word = find_number(at + sizeof before - 1, &length)) || length >= size)
        return false;
    memcpy(number, word, length);
    number[length] = 0;
    return true;
}
