#include "results/html.h"

#include <stdint.h>
#include <string.h>

/* The character that begins here, and how many bytes it takes; -1 for a byte that begins none. The forms of UTF-8: RFC 3629. */
static int32_t next_character(const unsigned char *at, size_t *bytes)
{
    const size_t more = at[0] < 0x80 ? 0 : at[0] < 0xc2 ? 4 : at[0] < 0xe0 ? 1 : at[0] < 0xf0 ? 2 : at[0] < 0xf5 ? 3 : 4;
    int32_t c = more == 0 ? at[0] : more == 4 ? -1 : at[0] & (0x3f >> more);

    *bytes = 1;
    if (c < 0 || more == 0)
        return c;
    for (size_t i = 1; i <= more; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return -1;
        c = c << 6 | (at[i] & 0x3f);
    }
    if ((more == 2 && c < 0x800) || (more == 3 && (c < 0x10000 || c > 0x10ffff)) || (c >= 0xd800 && c < 0xe000))
        return -1;
    *bytes = more + 1;
    return c;
}

/* Controls but for tab and line feed, marks of direction, what is no character. */
static bool is_unseen(int32_t c)
{
    static const struct {
        int32_t first, last;
    } unseen[] = { { 0x0, 0x8 },       { 0xb, 0x1f },      { 0x7f, 0x9f },     { 0xad, 0xad },     { 0x61c, 0x61c },
                   { 0x200b, 0x200f }, { 0x2028, 0x202e }, { 0x2060, 0x206f }, { 0xfdd0, 0xfdef }, { 0xfeff, 0xfeff } };

    for (size_t i = 0; i < sizeof unseen / sizeof *unseen; i++)
        if (c >= unseen[i].first && c <= unseen[i].last)
            return true;
    return (c & 0xfffe) == 0xfffe || c >= 0xe0000;
}

void df_html_add(struct df_text *out, const char *text)
{
    static const char special[] = "&<>\"'";
    static const char *const entity[] = { "&amp;", "&lt;", "&gt;", "&quot;", "&#39;" };
    const unsigned char *at = (const unsigned char *)text;
    size_t bytes;

    for (; *at; at += bytes) {
        const int32_t c = next_character(at, &bytes);
        const char *found = c > 0 && c < 0x80 ? strchr(special, c) : NULL;

        if (c < 0)
            df_text_add(out, "\xef\xbf\xbd");
        else if (is_unseen(c))
            df_text_addf(out, "[U+%04X]", (unsigned)c);
        else if (found)
            df_text_add(out, entity[found - special]);
        else
            df_text_add_bytes(out, at, bytes);
    }
}

void df_html_add_name(struct df_text *out, const char *name)
{
    df_text_add(out, "<bdi>");
    df_html_add(out, name);
    df_text_add(out, "</bdi>");
}

/* Base 64: RFC 4648, section 4. */
void df_html_add_data(struct df_text *out, const char *mime, const void *bytes, size_t count)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *from = bytes;

    df_text_addf(out, "data:%s;base64,", mime);
    for (size_t i = 0; i < count; i += 3) {
        const size_t left = count - i;
        const uint32_t three = (uint32_t)from[i] << 16 | (left > 1 ? (uint32_t)from[i + 1] << 8 : 0) | (left > 2 ? from[i + 2] : 0);
        const char four[4] = { digit[three >> 18], digit[three >> 12 & 63], left > 1 ? digit[three >> 6 & 63] : '=',
                               left > 2 ? digit[three & 63] : '=' };

        df_text_add_bytes(out, four, 4);
    }
}
