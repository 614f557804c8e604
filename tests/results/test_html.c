/* Names as HTML: nothing in a name is mark-up, nothing in it turns or hides what stands around it. */
#include "results/html.h"

#include <string.h>

#include "results/grid.h"
#include "tests/support/support.h"

static void check(const char *name, const char *expected)
{
    struct df_text out = DF_TEXT_INIT;

    df_html_add(&out, name);
    assert_string_equal(df_text_get(&out), expected);
    df_text_release(&out);
}

static void text_is_text(void **state)
{
    (void)state;
    check("", "");
    check("DeFeat w_fg=4", "DeFeat w_fg=4");
    check("</td><script>alert(1)</script>", "&lt;/td&gt;&lt;script&gt;alert(1)&lt;/script&gt;");
    check("a \"b\" 'c' &amp;", "a &quot;b&quot; &#39;c&#39; &amp;amp;");
    check("\xc3\xa9t\xc3\xa9 \xe2\x88\x9a \xf0\x9f\x98\x80", "\xc3\xa9t\xc3\xa9 \xe2\x88\x9a \xf0\x9f\x98\x80");
    check("two\nlines\tand a tab", "two\nlines\tand a tab");
}

static void hidden_is_shown(void **state)
{
    (void)state;
    check("a\x1b[31mb\x7f\r", "a\\x1b[31mb\\x7f\\x0d");
    check("\xe2\x80\xae<evil>\xe2\x80\xac", "\\u202e&lt;evil&gt;\\u202c");
    check("\xef\xbb\xbfmark", "\\ufeffmark");
    check("cut \xc3", "cut \\xc3");
    check("\xff\xfe", "\\xff\\xfe");
    check("no \xef\xbf\xbf character \xef\xbf\xbe", "no \xef\xbf\xbd character \xef\xbf\xbd");
}

/* Arabic stays Arabic, in an element of its own direction. */
static void a_name_is_isolated(void **state)
{
    struct df_text out = DF_TEXT_INIT;

    (void)state;
    df_html_add_name(&out, "\xd8\xb4<");
    assert_string_equal(out.data, "<bdi>\xd8\xb4&lt;</bdi>");
    df_text_release(&out);
}

/* The vectors of RFC 4648, section 10. */
static void data_are_base64(void **state)
{
    static const char *const vector[][2] = { { "", "" },
                                             { "f", "Zg==" },
                                             { "fo", "Zm8=" },
                                             { "foo", "Zm9v" },
                                             { "foob", "Zm9vYg==" },
                                             { "fooba", "Zm9vYmE=" },
                                             { "foobar", "Zm9vYmFy" },
                                             { "\xff\xef\xbf", "/++/" } };

    (void)state;
    for (size_t i = 0; i < sizeof vector / sizeof *vector; i++) {
        struct df_text out = DF_TEXT_INIT, expected = DF_TEXT_INIT;

        df_html_add_data(&out, "image/png", vector[i][0], strlen(vector[i][0]));
        df_text_addf(&expected, "data:image/png;base64,%s", vector[i][1]);
        assert_string_equal(out.data, expected.data);
        df_text_release(&out);
        df_text_release(&expected);
    }
}

static void a_table_is_a_part_of_a_page(void **state)
{
    static const char *const word[] = { "method", "<n>", "a & b", "3" };
    struct df_text cell[4] = { DF_TEXT_INIT, DF_TEXT_INIT, DF_TEXT_INIT, DF_TEXT_INIT }, out = DF_TEXT_INIT;

    (void)state;
    for (size_t i = 0; i < 4; i++)
        df_text_add(&cell[i], word[i]);
    df_grid_print(&(struct df_grid){ .rows = 2,
                                     .columns = 2,
                                     .cell = cell,
                                     .number = (const bool[]){ false, true },
                                     .title = "no title",
                                     .subtitle = "1 < 2",
                                     .notes = "First.\nSecond & last.\n" },
                  DF_TABLE_HTML, &out);
    assert_string_equal(out.data,
                        "<p>1 &lt; 2</p>\n"
                        "<div class=\"scroll\" tabindex=\"0\"><table>\n"
                        "<thead><tr><th scope=\"col\"><bdi>method</bdi></th><th scope=\"col\" class=\"number\"><bdi>&lt;n&gt;</bdi>"
                        "</th></tr></thead>\n<tbody>\n"
                        "<tr><th scope=\"row\"><bdi>a &amp; b</bdi></th><td class=\"number\"><bdi>3</bdi></td></tr>\n"
                        "</tbody></table></div>\n"
                        "<p class=\"note\">First.</p>\n<p class=\"note\">Second &amp; last.</p>\n");
    for (size_t i = 0; i < 4; i++)
        df_text_release(&cell[i]);
    df_text_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_text),
        cmocka_unit_test(hidden_is_shown),
        cmocka_unit_test(a_name_is_isolated),
        cmocka_unit_test(data_are_base64),
        cmocka_unit_test(a_table_is_a_part_of_a_page),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
