/* JSON: what is refused and where the message points, typed members, the canonical form. */
#include "core/base/json.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "tests/support/support.h"

static cJSON *parsed(const char *text)
{
    struct df_error err;
    cJSON *tree;

    assert_ok(df_json_parse(text, strlen(text), "t.json", &tree, &err));
    return tree;
}

static void what_is_not_json_is_refused_at_its_place(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        { "", "t.json:1:1: expected a value" },
        { "{\n  \"a\": 1,\n  \"b\": x\n}", "t.json:3:8: expected a value" },
        { "{\"a\": 1,}", "t.json:1:9: expected a key in double quotes, found '}'" },
        { "{\"a\" 1}", "t.json:1:6: expected ':' after the key, found '1'" },
        { "[1, 2", "t.json:1:6: expected ',' or ']', found the end" },
        { "[1 2]", "t.json:1:4: expected ',' or ']', found '2'" },
        { "{\"a\": 1]", "t.json:1:8: expected ',' or '}', found ']'" },
        { "{} {}", "t.json:1:4: expected nothing after the value" },
        { "[01]", "t.json:1:3: expected ',' or ']'" },
        { "[1.]", "t.json:1:4: expected a digit after the decimal point" },
        { "[+1]", "t.json:1:2: expected a value" },
        { "[1e]", "t.json:1:4: expected a digit in the exponent" },
        { "[-]", "t.json:1:3: expected a digit" },
        { "[1e999]", "t.json:1:2: number beyond the range of double" },
        { "[NaN]", "t.json:1:2: expected a value" },
        { "[Infinity]", "t.json:1:2: expected a value" },
        { "[nul]", "t.json:1:2: expected a value" },
        { "[\"a\nb\"]", "t.json:1:4: control character in a string" },
        { "[\"abc]", "t.json:1:2: string without a closing" },
        { "[\"\\x\"]", "t.json:1:4: unknown escape" },
        { "[\"\\u12g4\"]", "t.json:1:3: expected \\u and four hexadecimal digits" },
        { "[\"\\u0000\"]", "t.json:1:3: the character \\u0000" },
        { "[1111111111111111111111111111111111111111111111111111111111111]", "number of more than 60 characters" },
        { "// no\n{}", "t.json:1:1: expected a value" },
        { "[9007199254740993]", "t.json:1:2: integer beyond 2^53 that double cannot hold exactly" },
        { "[-9223372036854775807]", "t.json:1:2: integer beyond 2^53" },
        { "\xff\xfe{", "t.json: found UTF-16, expected UTF-8 [iconv -f UTF-16 -t UTF-8 " },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const size_t bytes = strlen(cases[i].text);
        char *exact = df_malloc(bytes); /* not 0-terminated: the parser must keep to the length */
        struct df_error err;
        cJSON *tree = (cJSON *)&err;

        memcpy(exact, cases[i].text, bytes);
        assert_fails(df_json_parse(exact, bytes, "t.json", &tree, &err), DF_ERR_FORMAT, cases[i].message);
        assert_null(tree);
        free(exact);
    }
}

/* Every prefix of a good text is refused, without reading behind it. */
static void every_prefix_is_refused(void **state)
{
    static const char text[] = "{\"a\\u00e9\": [1.5e-3, true, false, null, \"x\\n\"], \"b\": {\"c\": -0}}";

    (void)state;
    for (size_t n = 0; n + 1 < sizeof text; n++) {
        char *exact = df_malloc(n);
        cJSON *tree;

        memcpy(exact, text, n);
        if (df_json_parse(exact, n, "t", &tree, NULL) == DF_OK)
            fail_msg("accepted: %.*s", (int)n, text);
        free(exact);
    }
    cJSON_Delete(parsed(text));
}

static void nesting_stops_at_64(void **state)
{
    char text[200];
    struct df_error err;
    cJSON *tree;

    (void)state;
    memset(text, '[', 64);
    memset(text + 64, ']', 64);
    assert_ok(df_json_parse(text, 128, "t.json", &tree, &err));
    cJSON_Delete(tree);
    memset(text, '[', 65);
    memset(text + 65, ']', 65);
    assert_fails(df_json_parse(text, 130, "t.json", &tree, &err), DF_ERR_FORMAT, "t.json:1:65: nested deeper than 64 levels");
    memset(text, '[', sizeof text);
    assert_fails(df_json_parse(text, sizeof text, "t.json", &tree, &err), DF_ERR_FORMAT, "64 levels");
    cJSON_Delete(parsed("[[],[],[[],[]],{},{\"a\":{}}]")); /* many, but not deep */
}

static void duplicates_are_refused_with_their_path(void **state)
{
    struct df_error err;
    cJSON *tree;
    const char *text = "{\"a\": [0, {\"seed\": 1, \"x\": 2, \"seed\": 3}]}";

    (void)state;
    assert_fails(df_json_parse(text, strlen(text), "t.json", &tree, &err), DF_ERR_FORMAT,
                 "t.json: /a/1/seed: key 'seed' stands here twice");
    assert_null(tree);
    cJSON_Delete(parsed("{\"a\": 1, \"A\": 2, \"b\": {\"a\": 1}}")); /* case counts, other objects do not */
}

static void a_mark_at_the_start_and_white_space_are_fine(void **state)
{
    cJSON *tree = parsed("\xef\xbb\xbf \r\n\t{ } \n");

    (void)state;
    assert_true(cJSON_IsObject(tree));
    cJSON_Delete(tree);
}

static void members_are_typed(void **state)
{
    cJSON *t = parsed("{\"s\":\"x\",\"i\":-7,\"r\":2.5,\"o\":{},\"l\":[1],\"big\":9007199254740994,\"z\":null}");
    const char *string = NULL, *where = "t.json: /teacher";
    const cJSON *node = NULL;
    int64_t integer = 5;
    double real = 5;
    struct df_error err;

    (void)state;
    assert_ok(df_json_string(t, "s", true, where, &string, &err));
    assert_string_equal(string, "x");
    assert_ok(df_json_int(t, "i", true, where, &integer, &err));
    assert_int_equal(integer, -7);
    assert_ok(df_json_real(t, "r", true, where, &real, &err));
    assert_true(real == 2.5);
    assert_ok(df_json_real(t, "i", true, where, &real, &err));
    assert_true(real == -7);
    assert_ok(df_json_object(t, "o", true, where, &node, &err));
    assert_true(cJSON_IsObject(node));
    assert_ok(df_json_array(t, "l", true, where, &node, &err));
    assert_true(cJSON_IsArray(node));

    integer = 5;
    assert_ok(df_json_int(t, "absent", false, where, &integer, &err));
    assert_int_equal(integer, 5);
    assert_fails(df_json_int(t, "absent", true, where, &integer, &err), DF_ERR_USAGE,
                 "t.json: /teacher/absent: missing, expected an integer");
    assert_fails(df_json_int(t, "r", false, where, &integer, &err), DF_ERR_USAGE, "t.json: /teacher/r: found 2.5, expected an integer");
    assert_fails(df_json_int(t, "big", true, where, &integer, &err), DF_ERR_USAGE, "expected an integer");
    assert_fails(df_json_real(t, "s", true, where, &real, &err), DF_ERR_USAGE, "/s: found \"x\", expected a number");
    assert_fails(df_json_string(t, "z", false, where, &string, &err), DF_ERR_USAGE, "/z: found null, expected a string");
    assert_fails(df_json_object(t, "l", true, where, &node, &err), DF_ERR_USAGE, "/l: found [1], expected an object");
    assert_fails(df_json_array(t, "o", true, "t.json", &node, &err), DF_ERR_USAGE, "t.json: /o: found {}, expected a list");
    assert_fails(df_json_int(cJSON_GetObjectItem(t, "l"), "x", true, where, &integer, &err), DF_ERR_USAGE, "expected an object");
    assert_int_equal(integer, 5);
    cJSON_Delete(t);
}

static void unknown_keys_name_the_nearest(void **state)
{
    static const char *const names[] = { "teacher", "student", "seeds", NULL };
    cJSON *good = parsed("{\"seeds\":1,\"teacher\":2}"), *slip = parsed("{\"seeds\":1,\"teecher\":2}"), *far = parsed("{\"zzzzzz\":2}");
    struct df_error err;

    (void)state;
    assert_ok(df_json_only(good, names, "t.json", &err));
    assert_fails(df_json_only(slip, names, "t.json", &err), DF_ERR_USAGE,
                 "t.json: /teecher: unknown key 'teecher' (did you mean 'teacher'? known here: teacher, student, seeds)");
    assert_fails(df_json_only(far, names, "t.json: /x", &err), DF_ERR_USAGE,
                 "t.json: /x/zzzzzz: unknown key 'zzzzzz' (known here: teacher,");
    cJSON_Delete(good);
    cJSON_Delete(slip);
    cJSON_Delete(far);
}

static void long_values_are_cut_in_messages(void **state)
{
    char text[600] = "{\"k\":\"";
    struct df_error err;
    int64_t integer = 0;

    (void)state;
    for (int i = 0; i < 200; i++)
        memcpy(text + 6 + 2 * i, "\xc3\xa9", 2); /* two-byte letters: not cut in the middle of one */
    memcpy(text + 406, "\"}", 3);
    cJSON *tree = parsed(text);

    assert_fails(df_json_int(tree, "k", true, "t", &integer, &err), DF_ERR_USAGE, "\xc3\xa9..., expected an integer");
    assert_true(strlen(err.text) < 120);
    cJSON_Delete(tree);
}

static void the_canonical_form_keeps_order_and_reads_back(void **state)
{
    cJSON
        *tree = parsed(
            " { \"z\" : [ 1.50 , 1e2, -0.1, true, null ] , \"a\" : \"q\\\"\\\\\\n\\u00e9/\xe2\x80\xae\x7f\" , \"e\" : {} , \"l\" : [] } "),
        *again;
    struct df_text text = DF_TEXT_INIT, second = DF_TEXT_INIT;

    (void)state;
    df_json_canonical(tree, &text);
    assert_string_equal(text.data, "{\"z\":[1.5,100,-0.1,true,null],\"a\":\"q\\\"\\\\\\u000a\xc3\xa9/\\u202e\\u007f\",\"e\":{},\"l\":[]}");
    again = parsed(text.data);
    df_json_canonical(again, &second);
    assert_string_equal(second.data, text.data);
    df_text_release(&text);
    df_text_release(&second);
    cJSON_Delete(tree);
    cJSON_Delete(again);
}

static void files_are_read_and_named(void **state)
{
    char *path = df_path_join(df_test_folder(), "spec.json");
    struct df_error err;
    cJSON *tree;

    (void)state;
    assert_fails(df_json_read(path, &tree, &err), DF_ERR_NOT_FOUND, "spec.json'");
    assert_null(tree);
    assert_ok(df_file_write(path, "{\n\"a\":\n}", 8, &err));
    assert_fails(df_json_read(path, &tree, &err), DF_ERR_FORMAT, "spec.json:3:1: expected a value");
    assert_ok(df_file_write(path, "{\"a\":7}", 7, &err));
    assert_ok(df_json_read(path, &tree, &err));
    assert_true(cJSON_GetObjectItem(tree, "a")->valuedouble == 7);
    cJSON_Delete(tree);
    free(path);
}

/* 140 columns, the comma behind included: an element more, and it is broken. */
static void for_people_what_fits_stands_on_a_line(void **state)
{
    struct df_text text = DF_TEXT_INIT, long_line = DF_TEXT_INIT;
    cJSON *tree = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(tree, "list"), *object = cJSON_AddObjectToObject(tree, "o");
    struct df_error err;

    (void)state;
    cJSON_AddStringToObject(object, "text", "a \"b\"");
    cJSON_AddItemToObject(object, "none", cJSON_CreateArray());
    for (int i = 0; i < 43; i++) /* `  "list": [` and `],` are 13, the elements 3 each less 2 */
        cJSON_AddItemToArray(list, cJSON_CreateNumber(i % 10));
    df_json_pretty(tree, &text);
    const char *end = strchr(text.data + 2, '\n');

    assert_int_equal(end - text.data - 2, 140);
    assert_non_null(strstr(text.data, "\n  \"o\": {\"text\": \"a \\\"b\\\"\", \"none\": []}\n}\n"));
    cJSON_AddItemToArray(list, cJSON_CreateNumber(7));
    df_json_pretty(tree, &long_line);
    assert_non_null(strstr(long_line.data, "{\n  \"list\": [\n    0,\n    1,"));
    assert_non_null(strstr(long_line.data, "    2,\n    7\n  ],\n"));
    cJSON_Delete(tree);
    assert_ok(df_json_parse(long_line.data, long_line.length, "pretty", &tree, &err));
    assert_int_equal(cJSON_GetArraySize(tree->child), 44);
    cJSON_Delete(tree);
    df_text_release(&text);
    df_text_release(&long_line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_json_is_refused_at_its_place),
        cmocka_unit_test(every_prefix_is_refused),
        cmocka_unit_test(nesting_stops_at_64),
        cmocka_unit_test(duplicates_are_refused_with_their_path),
        cmocka_unit_test(a_mark_at_the_start_and_white_space_are_fine),
        cmocka_unit_test(members_are_typed),
        cmocka_unit_test(unknown_keys_name_the_nearest),
        cmocka_unit_test(long_values_are_cut_in_messages),
        cmocka_unit_test(the_canonical_form_keeps_order_and_reads_back),
        cmocka_unit_test(for_people_what_fits_stands_on_a_line),
        cmocka_unit_test(files_are_read_and_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
