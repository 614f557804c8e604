/* Characters that a terminal obeys or hides, shown. */
#include "core/base/show.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* The character that UTF-8 text begins with (RFC 3629); 0: none, and one byte long. */
static size_t character(const char *text, uint32_t *code)
{
    static const uint32_t least_code[] = { 0, 0, 0x80, 0x800, 0x10000 };
    const unsigned char first = (unsigned char)text[0];
    const size_t bytes = first < 0x80 ? 1 : first >> 5 == 6 ? 2 : first >> 4 == 14 ? 3 : first >> 3 == 30 ? 4 : 0;

    *code = bytes == 1 ? first : bytes ? first & (0x7fu >> bytes) : 0;
    for (size_t i = 1; i < bytes; i++) {
        if (((unsigned char)text[i] & 0xc0) != 0x80) {
            *code = 0;
            return 1;
        }
        *code = *code << 6 | ((unsigned char)text[i] & 0x3f);
    }
    if (!bytes || *code < least_code[bytes] || *code > 0x10ffff || (*code >= 0xd800 && *code <= 0xdfff)) {
        *code = 0;
        return 1;
    }
    return bytes;
}

/* Unicode's general categories Cc, Zl and Zp, and of Cf what has no width: the marks of direction (UAX 9, 2.1 to 2.6) and U+FEFF. */
static bool is_hidden(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x61c || (code >= 0x200b && code <= 0x200f) ||
           (code >= 0x2028 && code <= 0x202e) || (code >= 0x2060 && code <= 0x206f) || code == 0xfeff;
}

size_t df_hidden(const char *text, uint32_t *code)
{
    const size_t bytes = character(text, code);

    return *text && (*code || bytes > 1) && is_hidden(*code) ? bytes : 0;
}

size_t df_show(const char *text, char *out, size_t room)
{
    size_t needed = 0, length = 0;

    while (*text) {
        char piece[16];
        uint32_t code;
        const size_t bytes = character(text, &code);
        int n = (int)bytes;

        if (!is_hidden(code))
            memcpy(piece, text, bytes);
        else if (bytes == 1)
            n = snprintf(piece, sizeof piece, "\\x%02x", (unsigned char)*text);
        else
            n = snprintf(piece, sizeof piece, "\\u%04x", (unsigned)code);
        if (needed == length && length + (size_t)n < room) {
            memcpy(out + length, piece, (size_t)n);
            length += (size_t)n;
        }
        needed += (size_t)n;
        text += bytes;
    }
    out[length] = 0;
    return needed;
}

struct df_shown df_shown(const char *name)
{
    struct df_shown shown = { .columns = 0 };
    const size_t room = sizeof shown.text - 3;

    if (df_show(name, shown.text, room) >= room)
        strcat(shown.text, "...");
    for (const char *c = shown.text; *c; c++)
        shown.columns += ((unsigned char)*c & 0xc0) != 0x80;
    return shown;
}
