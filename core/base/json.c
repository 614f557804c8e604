/* JSON over cJSON. A scan of our own comes first: it holds the text to RFC 8259 where cJSON is lax (numbers, control characters, \u0000)
 * and knows line and column; then cJSON builds the tree, and the tree is searched for duplicate keys. */
#include "core/base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"

enum { DEEPEST = 64, LONGEST_NUMBER = 60, LARGEST_FILE = 64 << 20 };

/* cJSON leaves out a member that it finds no memory for, and says nothing: it gets ours, which is never NULL. Before main, for every user of cJSON. */
__attribute__((constructor)) static void give_memory(void)
{
    cJSON_Hooks hooks = { df_malloc, free };

    cJSON_InitHooks(&hooks);
}

const char *df_json_encoding(const char *text, size_t bytes)
{
    static const struct {
        const char *mark, *name;
        size_t bytes;
    } marks[] = { { "\xff\xfe\0\0", "UTF-32", 4 }, { "\0\0\xfe\xff", "UTF-32", 4 }, { "\xff\xfe", "UTF-16", 2 },
                  { "\xfe\xff", "UTF-16", 2 },     { "{\0", "UTF-16LE", 2 },        { "\0{", "UTF-16BE", 2 },
                  { "[\0", "UTF-16LE", 2 },        { "\0[", "UTF-16BE", 2 } };

    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        if (bytes >= marks[i].bytes && memcmp(text, marks[i].mark, marks[i].bytes) == 0)
            return marks[i].name;
    return NULL;
}

struct scan {
    const char *start, *at, *end, *where;
    int depth;
    struct df_error *err;
};

static df_status scan_fail(const struct scan *s, const char *at, const char *what)
{
    size_t line = 1, column = 1;
    char found[16] = "the end";

    for (const char *c = s->start; c < at; c++) {
        column = *c == '\n' ? 1 : column + 1;
        line += *c == '\n';
    }
    if (at<s->end && * at> ' ' && *at != 127)
        snprintf(found, sizeof found, "'%c'", *at);
    else if (at < s->end)
        snprintf(found, sizeof found, "byte 0x%02x", (unsigned char)*at);
    return df_fail(s->err, DF_ERR_FORMAT, "%s:%zu:%zu: %s, found %s", s->where, line, column, what, found);
}

static void scan_space(struct scan *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\t' || *s->at == '\n' || *s->at == '\r'))
        s->at++;
}

static char peek(const struct scan *s) { return s->at < s->end ? *s->at : 0; }

static bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

static df_status scan_escape(struct scan *s)
{
    const char *escape = s->at++;

    if (peek(s) == 'u') {
        for (int i = 1; i <= 4; i++)
            if (s->at + i >= s->end || !is_hex(s->at[i]))
                return scan_fail(s, escape, "expected \\u and four hexadecimal digits");
        if (memcmp(s->at, "u0000", 5) == 0)
            return scan_fail(s, escape, "the character \\u0000 is not supported in a string");
        s->at += 5;
        return DF_OK;
    }
    if (peek(s) == 0 || !strchr("\"\\/bfnrt", peek(s)))
        return scan_fail(s, s->at, "unknown escape in a string: expected one of \"\\/bfnrtu after \\");
    s->at++;
    return DF_OK;
}

static df_status scan_string(struct scan *s)
{
    const char *opened = s->at++;

    while (s->at < s->end && *s->at != '"') {
        if ((unsigned char)*s->at < ' ')
            return scan_fail(s, s->at, "control character in a string: expected an escape such as \\n");
        if (*s->at == '\\')
            DF_TRY(scan_escape(s));
        else
            s->at++;
    }
    if (s->at == s->end)
        return scan_fail(s, opened, "string without a closing '\"'");
    s->at++;
    return DF_OK;
}

static bool scan_digits(struct scan *s)
{
    const char *from = s->at;

    while (peek(s) >= '0' && peek(s) <= '9')
        s->at++;
    return s->at > from;
}

/* -?(0|[1-9][0-9]*)(.[0-9]+)?([eE][+-]?[0-9]+)?, finite */
static df_status scan_number(struct scan *s)
{
    const char *from = s->at;
    char text[LONGEST_NUMBER + 1];
    double value;
    int64_t integer;

    s->at += peek(s) == '-';
    if (peek(s) == '0')
        s->at++;
    else if (!scan_digits(s))
        return scan_fail(s, s->at, "expected a digit");
    if (peek(s) == '.') {
        s->at++;
        if (!scan_digits(s))
            return scan_fail(s, s->at, "expected a digit after the decimal point");
    }
    if (peek(s) == 'e' || peek(s) == 'E') {
        s->at++;
        s->at += peek(s) == '-' || peek(s) == '+';
        if (!scan_digits(s))
            return scan_fail(s, s->at, "expected a digit in the exponent");
    }
    if (s->at - from > LONGEST_NUMBER)
        return scan_fail(s, from, "number of more than 60 characters");
    memcpy(text, from, (size_t)(s->at - from));
    text[s->at - from] = 0;
    if (!df_parse_real(text, &value))
        return scan_fail(s, from, "number beyond the range of double");
    if (df_parse_int(text, &integer) && fabs(value) > 0x1p53 - 1 && (fabs(value) >= 0x1p63 || (int64_t)value != integer))
        return scan_fail(s, from, "integer beyond 2^53 that double cannot hold exactly");
    return DF_OK;
}

static df_status scan_value(struct scan *s);

static df_status scan_members(struct scan *s, char closing)
{
    const char *opened = s->at++;

    if (++s->depth > DEEPEST)
        return scan_fail(s, opened, "nested deeper than 64 levels");
    scan_space(s);
    if (peek(s) == closing) {
        s->at++;
        s->depth--;
        return DF_OK;
    }
    for (;; s->at++) {
        if (closing == '}') {
            scan_space(s);
            if (peek(s) != '"')
                return scan_fail(s, s->at, "expected a key in double quotes");
            DF_TRY(scan_string(s));
            scan_space(s);
            if (peek(s) != ':')
                return scan_fail(s, s->at, "expected ':' after the key");
            s->at++;
        }
        DF_TRY(scan_value(s));
        scan_space(s);
        if (peek(s) != ',')
            break;
    }
    if (peek(s) != closing || s->at == s->end)
        return scan_fail(s, s->at, closing == '}' ? "expected ',' or '}'" : "expected ',' or ']'");
    s->at++;
    s->depth--;
    return DF_OK;
}

static df_status scan_word(struct scan *s, const char *word)
{
    const size_t n = strlen(word);

    if ((size_t)(s->end - s->at) < n || memcmp(s->at, word, n) != 0)
        return scan_fail(s, s->at, "expected a value (an object, a list, a string, a number, true, false or null)");
    s->at += n;
    return DF_OK;
}

static df_status scan_value(struct scan *s)
{
    scan_space(s);
    switch (peek(s)) {
    case '{':
        return scan_members(s, '}');
    case '[':
        return scan_members(s, ']');
    case '"':
        return scan_string(s);
    case 't':
        return scan_word(s, "true");
    case 'f':
        return scan_word(s, "false");
    case 'n':
        return scan_word(s, "null");
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9':
        return scan_number(s);
    default:
        return scan_word(s, "a value");
    }
}

static int compare_keys(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static const char *duplicate_key(const cJSON *object)
{
    const size_t n = (size_t)cJSON_GetArraySize(object);
    const char **keys = df_malloc(n * sizeof *keys), *duplicate = NULL;
    size_t i = 0;
    const cJSON *child;

    cJSON_ArrayForEach(child, object) keys[i++] = child->string;
    qsort(keys, n, sizeof *keys, compare_keys);
    for (i = 1; i < n && !duplicate; i++)
        if (strcmp(keys[i - 1], keys[i]) == 0)
            duplicate = keys[i];
    free(keys);
    return duplicate;
}

/* path: "" at the root, "/a/0" below; its length is restored on return. */
static df_status refuse_duplicates(const cJSON *node, const char *where, struct df_text *path, struct df_error *err)
{
    const size_t length = path->length;
    const char *duplicate = cJSON_IsObject(node) ? duplicate_key(node) : NULL;
    size_t i = 0;
    const cJSON *child;

    if (duplicate)
        return df_fail(err, DF_ERR_FORMAT, "%s: %s/%s: key '%s' stands here twice", where, df_text_get(path), duplicate, duplicate);
    if (!cJSON_IsObject(node) && !cJSON_IsArray(node))
        return DF_OK;
    cJSON_ArrayForEach(child, node)
    {
        if (child->string)
            df_text_addf(path, "/%s", child->string);
        else
            df_text_addf(path, "/%zu", i++);
        DF_TRY(refuse_duplicates(child, where, path, err));
        path->data[path->length = length] = 0;
    }
    return DF_OK;
}

df_status df_json_parse(const char *text, size_t bytes, const char *where, cJSON **out, struct df_error *err)
{
    struct scan scan = { .start = text, .at = text, .end = text + bytes, .where = where, .err = err };
    const char *encoding = df_json_encoding(text, bytes);
    struct df_text path = DF_TEXT_INIT;
    df_status status;

    *out = NULL;
    if (encoding)
        return df_fail(err, DF_ERR_FORMAT, "%s: found %s, expected UTF-8 [iconv -f %s -t UTF-8 FILE >NEW]", where, encoding, encoding);
    if (bytes >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        scan.start = scan.at = text + 3; /* byte order mark */
    DF_TRY(scan_value(&scan));
    scan_space(&scan);
    if (scan.at < scan.end)
        return scan_fail(&scan, scan.at, "expected nothing after the value");
    *out = cJSON_ParseWithLength(scan.start, (size_t)(scan.end - scan.start));
    if (!*out)
        return scan_fail(&scan, cJSON_GetErrorPtr() ? cJSON_GetErrorPtr() : scan.end, "not a JSON text");
    status = refuse_duplicates(*out, where, &path, err);
    df_text_release(&path);
    if (status != DF_OK) {
        cJSON_Delete(*out);
        *out = NULL;
    }
    return status;
}

df_status df_json_read(const char *path, cJSON **out, struct df_error *err)
{
    char *text;
    size_t bytes;
    df_status status;

    *out = NULL;
    DF_TRY(df_file_read(path, LARGEST_FILE, &text, &bytes, err));
    status = df_json_parse(text, bytes, path, out, err);
    free(text);
    return status;
}

static const char *slash(const char *where)
{
    const size_t n = strlen(where);

    return n && where[n - 1] == '/' ? "" : strstr(where, ": /") ? "/" : ": /";
}

df_status df_json_only(const cJSON *object, const char *const *names, const char *where, struct df_error *err)
{
    const cJSON *child;

    if (!cJSON_IsObject(object))
        return df_fail(err, DF_ERR_USAGE, "%s: expected an object", where);
    cJSON_ArrayForEach(child, object)
    {
        struct df_text legal = DF_TEXT_INIT;
        const char *near, *const *name = names;

        while (*name && strcmp(*name, child->string) != 0)
            name++;
        if (*name)
            continue;
        near = df_nearest(child->string, names);
        for (name = names; *name; name++)
            df_text_addf(&legal, "%s%s", name == names ? "" : ", ", *name);
        if (near)
            df_fail(err, DF_ERR_USAGE, "%s%s%s: unknown key '%s' (did you mean '%s'? known here: %s)", where, slash(where), child->string,
                    child->string, near, df_text_get(&legal));
        else
            df_fail(err, DF_ERR_USAGE, "%s%s%s: unknown key '%s' (known here: %s)", where, slash(where), child->string, child->string,
                    df_text_get(&legal));
        df_text_release(&legal);
        return DF_ERR_USAGE;
    }
    return DF_OK;
}

static void describe(const cJSON *node, struct df_text *out)
{
    const size_t most = 60;

    df_json_canonical(node, out);
    if (out->length > most) {
        out->length = most;
        while (out->length && ((unsigned char)out->data[out->length] & 0xc0) == 0x80)
            out->length--; /* not inside a UTF-8 character */
        out->data[out->length] = 0;
        df_text_add(out, "...");
    }
}

static df_status fail_type(const cJSON *node, const char *key, const char *where, const char *expected, struct df_error *err)
{
    struct df_text found = DF_TEXT_INIT;

    describe(node, &found);
    df_fail(err, DF_ERR_USAGE, "%s%s%s: found %s, expected %s", where, slash(where), key, df_text_get(&found), expected);
    df_text_release(&found);
    return DF_ERR_USAGE;
}

struct member {
    const cJSON *object;
    const char *key;
    bool required;
    const char *where;
};

/* *found is NULL when the key is missing and need not be there. */
static df_status find(struct member m, cJSON_bool (*is)(const cJSON *node), const char *expected, const cJSON **found, struct df_error *err)
{
    *found = NULL;
    if (!cJSON_IsObject(m.object))
        return df_fail(err, DF_ERR_USAGE, "%s: expected an object", m.where);
    *found = cJSON_GetObjectItemCaseSensitive(m.object, m.key);
    if (!*found && m.required)
        return df_fail(err, DF_ERR_USAGE, "%s%s%s: missing, expected %s", m.where, slash(m.where), m.key, expected);
    return *found && !is(*found) ? fail_type(*found, m.key, m.where, expected, err) : DF_OK;
}

static cJSON_bool is_integer(const cJSON *node)
{
    return cJSON_IsNumber(node) && node->valuedouble == floor(node->valuedouble) && fabs(node->valuedouble) <= 0x1p53;
}

df_status df_json_string(const cJSON *object, const char *key, bool required, const char *where, const char **out, struct df_error *err)
{
    const cJSON *node;

    DF_TRY(find((struct member){ object, key, required, where }, cJSON_IsString, "a string", &node, err));
    if (node)
        *out = node->valuestring;
    return DF_OK;
}

df_status df_json_int(const cJSON *object, const char *key, bool required, const char *where, int64_t *out, struct df_error *err)
{
    const cJSON *node;

    DF_TRY(find((struct member){ object, key, required, where }, is_integer, "an integer", &node, err));
    if (node)
        *out = (int64_t)node->valuedouble;
    return DF_OK;
}

df_status df_json_real(const cJSON *object, const char *key, bool required, const char *where, double *out, struct df_error *err)
{
    const cJSON *node;

    DF_TRY(find((struct member){ object, key, required, where }, cJSON_IsNumber, "a number", &node, err));
    if (node)
        *out = node->valuedouble;
    return DF_OK;
}

df_status df_json_object(const cJSON *object, const char *key, bool required, const char *where, const cJSON **out, struct df_error *err)
{
    const cJSON *node;

    DF_TRY(find((struct member){ object, key, required, where }, cJSON_IsObject, "an object", &node, err));
    if (node)
        *out = node;
    return DF_OK;
}

df_status df_json_array(const cJSON *object, const char *key, bool required, const char *where, const cJSON **out, struct df_error *err)
{
    const cJSON *node;

    DF_TRY(find((struct member){ object, key, required, where }, cJSON_IsArray, "a list", &node, err));
    if (node)
        *out = node;
    return DF_OK;
}

static void quote(const char *s, struct df_text *out)
{
    uint32_t code;

    df_text_add(out, "\"");
    for (size_t n; *s; s += n ? n : 1) {
        n = df_hidden(s, &code);
        if (n)
            df_text_addf(out, "\\u%04x", (unsigned)code);
        else if (*s == '"' || *s == '\\')
            df_text_addf(out, "\\%c", *s);
        else
            df_text_add_bytes(out, s, 1);
    }
    df_text_add(out, "\"");
}

static void canonical_list(const cJSON *node, struct df_text *out)
{
    const bool object = cJSON_IsObject(node);
    const cJSON *child;

    df_text_add(out, object ? "{" : "[");
    cJSON_ArrayForEach(child, node)
    {
        if (child != node->child)
            df_text_add(out, ",");
        if (object) {
            quote(child->string, out);
            df_text_add(out, ":");
        }
        df_json_canonical(child, out);
    }
    df_text_add(out, object ? "}" : "]");
}

void df_json_canonical(const cJSON *node, struct df_text *out)
{
    char number[32];

    if (cJSON_IsObject(node) || cJSON_IsArray(node))
        canonical_list(node, out);
    else if (cJSON_IsString(node))
        quote(node->valuestring, out);
    else if (cJSON_IsNumber(node) && isfinite(node->valuedouble))
        df_text_add(out, df_format_real(number, node->valuedouble));
    else
        df_text_add(out, cJSON_IsTrue(node) ? "true" : cJSON_IsFalse(node) ? "false" : "null");
}

/* ---- for people ---- */

#define LINE 140

/* On one line, with blanks behind ':' and ','. */
static void add_flat(const cJSON *node, struct df_text *out)
{
    const bool object = cJSON_IsObject(node);
    const cJSON *child;

    if (!object && !cJSON_IsArray(node)) {
        df_json_canonical(node, out);
        return;
    }
    df_text_add(out, object ? "{" : "[");
    cJSON_ArrayForEach(child, node)
    {
        df_text_add(out, child == node->child ? "" : ", ");
        if (object) {
            quote(child->string, out);
            df_text_add(out, ": ");
        }
        add_flat(child, out);
    }
    df_text_add(out, object ? "}" : "]");
}

/* column: what stands on its line besides, the comma behind it included. The file's own object is never one line. */
static void add_pretty(const cJSON *node, size_t indent, size_t column, struct df_text *out)
{
    const size_t before = out->length;
    const bool object = cJSON_IsObject(node), list = object || cJSON_IsArray(node);
    const cJSON *child;

    add_flat(node, out);
    if (!list || !node->child || (indent > 0 && column + out->length - before <= LINE))
        return;
    out->length = before;
    df_text_add(out, object ? "{\n" : "[\n");
    cJSON_ArrayForEach(child, node)
    {
        const size_t line = out->length;

        df_text_addf(out, "%*s", (int)indent + 2, "");
        if (object) {
            quote(child->string, out);
            df_text_add(out, ": ");
        }
        add_pretty(child, indent + 2, out->length - line + 1, out);
        df_text_add(out, child->next ? ",\n" : "\n");
    }
    df_text_addf(out, "%*s%s", (int)indent, "", object ? "}" : "]");
}

void df_json_pretty(const cJSON *node, struct df_text *out)
{
    add_pretty(node, 0, 0, out);
    df_text_add(out, "\n");
}
