#include "results/html.h"

#include <stdint.h>
#include <string.h>

/* U+FFFE and U+FFFF, which no document may hold. */
static bool is_no_character(const char *at) { return strncmp(at, "\xef\xbf\xbe", 3) == 0 || strncmp(at, "\xef\xbf\xbf", 3) == 0; }

static void add_escaped(struct df_text *out, const char *text)
{
    static const char special[] = "&<>\"'";
    static const char *const entity[] = { "&amp;", "&lt;", "&gt;", "&quot;", "&#39;" };

    for (; *text; text++) {
        const char *found = strchr(special, *text);

        if (found) {
            df_text_add(out, entity[found - special]);
        } else if (is_no_character(text)) {
            df_text_add(out, "\xef\xbf\xbd");
            text += 2;
        } else {
            df_text_add_bytes(out, text, 1);
        }
    }
}

void df_html_add(struct df_text *out, const char *text)
{
    struct df_text part = DF_TEXT_INIT, shown = DF_TEXT_INIT;

    while (*text) {
        const size_t length = strcspn(text, "\n\t");

        df_text_clear(&part);
        df_text_clear(&shown);
        df_text_add_bytes(&part, text, length);
        df_text_add_shown(&shown, df_text_get(&part));
        add_escaped(out, df_text_get(&shown));
        text += length;
        if (*text)
            df_text_add_bytes(out, text++, 1);
    }
    df_text_release(&part);
    df_text_release(&shown);
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
