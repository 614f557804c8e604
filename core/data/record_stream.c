#include "core/data/record_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yajl/yajl_parse.h>

#include "core/base/hash.h"
#include "core/base/json.h"
#include "core/base/text.h"

#define CHUNK     ((size_t)1 << 16)
#define DEPTH_MAX 64

enum level { AT_START, IN_ROOT, IN_SECTION, IN_RECORD, IN_BOX, AT_END };

struct df_stream {
    const char *path;
    const struct df_section *sections, *section;
    void *context;
    struct df_arena *memory;
    yajl_handle parser;
    const unsigned char *chunk;
    size_t bytes;          /* before this chunk */
    size_t lines, counted; /* line ends so far, looked for in so much of this chunk */
    enum level level;
    size_t depth, skip; /* open containers; those of them inside a value that nobody asked for */
    const struct df_field *field;
    size_t box_count;
    bool warned_key;
    unsigned found;
    struct df_record record;
    struct df_error *err;
    df_status status;
};

/* Counts on from where it was asked last: a file is gone through once. */
static size_t line_here(struct df_stream *s)
{
    const size_t consumed = s->chunk ? yajl_get_bytes_consumed(s->parser) : 0;

    for (; s->counted < consumed; s->counted++)
        s->lines += s->chunk[s->counted] == '\n';
    return s->lines + 1;
}

df_status df_stream_fail(struct df_stream *s, const char *format, ...)
{
    char text[512], id[40] = "";
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (s->level >= IN_RECORD && s->section->field[0].type == DF_FIELD_INT && strcmp(s->section->field[0].name, "id") == 0 &&
        s->record.seen & 1)
        snprintf(id, sizeof id, " (id %lld)", (long long)s->record.value[0].integer);
    if (s->level >= IN_RECORD)
        s->status =
            df_fail(s->err, DF_ERR_FORMAT, "%s:%zu: %s %zu%s: %s", s->path, line_here(s), s->section->record, s->record.position, id, text);
    else
        s->status = df_fail(s->err, DF_ERR_FORMAT, "%s:%zu: %s", s->path, line_here(s), text);
    return s->status;
}

static size_t field_index(const struct df_stream *s) { return (size_t)(s->field - s->section->field); }

static const char *expected(enum df_field_type type)
{
    static const char *const names[] = { "an integer of 64 bits",
                                         "a finite number",
                                         "a string",
                                         "four numbers [x, y, width, height]",
                                         "0 or 1",
                                         "an integer",
                                         "a string",
                                         "0 or 1" };

    return names[type];
}

/* A value of the wrong kind where the stream is now; 0 stops the parser. */
static int refuse(struct df_stream *s, const char *what)
{
    switch (s->level) {
    case AT_START:
        df_stream_fail(s, "found %s, expected %s", what, s->sections[0].name ? "an object" : "an array");
        break;
    case IN_ROOT:
        df_stream_fail(s, "'%s' is %s, expected an array", s->section->name, what);
        break;
    case IN_SECTION:
        df_stream_fail(s, "%s %zu is %s, expected an object", s->section->record, s->record.position + 1, what);
        break;
    case IN_BOX:
        df_stream_fail(s, "'%s' holds %s, expected %s", s->field->name, what, expected(s->field->type));
        break;
    default:
        df_stream_fail(s, "'%s' is %s, expected %s", s->field->name, what, expected(s->field->type));
    }
    return 0;
}

/* Is the value at hand one that nobody asked for? */
static bool unasked(const struct df_stream *s)
{
    return s->skip > 0 || (s->level == IN_ROOT && !s->section) || (s->level == IN_RECORD && !s->field);
}

/* The same, or one of another kind where any kind may stand. */
static bool ignored(const struct df_stream *s)
{
    return unasked(s) || (s->level == IN_RECORD && (s->field->type == DF_FIELD_NAME || s->field->type == DF_FIELD_HINT));
}

static bool is_type(const struct df_stream *s, enum df_field_type type)
{
    return s->level == IN_RECORD && s->field && s->skip == 0 && s->field->type == type;
}

static void hint(struct df_stream *s)
{
    s->record.value[field_index(s)].integer = 1;
    s->record.seen |= 1u << field_index(s);
}

static int open_container(struct df_stream *s)
{
    if (++s->depth > DEPTH_MAX) {
        df_stream_fail(s, "nested deeper than %d levels", DEPTH_MAX);
        return 0;
    }
    return 1;
}

static int on_map_start(void *context)
{
    struct df_stream *s = context;

    if (!open_container(s))
        return 0;
    if (ignored(s)) {
        s->skip++;
        return 1;
    }
    if (s->level == AT_START && s->sections[0].name) {
        s->level = IN_ROOT;
        return 1;
    }
    if (s->level != IN_SECTION)
        return refuse(s, "an object");
    s->level = IN_RECORD;
    s->record = (struct df_record){ .position = s->record.position + 1, .line = line_here(s) };
    return 1;
}

static int on_map_end(void *context)
{
    struct df_stream *s = context;

    s->depth--;
    if (s->skip) {
        s->skip--;
    } else if (s->level == IN_RECORD) {
        s->field = NULL;
        if (s->section->add(s->context, &s->record, s) != DF_OK)
            return 0;
        s->level = IN_SECTION;
    } else {
        s->level = AT_END;
    }
    return 1;
}

static int on_array_start(void *context)
{
    struct df_stream *s = context;

    if (!open_container(s))
        return 0;
    if (ignored(s)) {
        s->skip++;
        return 1;
    }
    if ((s->level == AT_START && !s->sections[0].name) || s->level == IN_ROOT) {
        if (s->level == AT_START)
            s->section = &s->sections[0];
        s->found |= 1u << (s->section - s->sections);
        s->level = IN_SECTION;
        s->record.position = 0;
        return 1;
    }
    if (s->level == IN_RECORD && s->field->type == DF_FIELD_BOX) {
        s->level = IN_BOX;
        s->box_count = 0;
        return 1;
    }
    return refuse(s, "an array");
}

static int on_array_end(void *context)
{
    struct df_stream *s = context;

    s->depth--;
    if (s->skip) {
        s->skip--;
    } else if (s->level == IN_BOX) {
        if (s->box_count != 4) {
            df_stream_fail(s, "'%s' has %zu numbers, expected %s", s->field->name, s->box_count, expected(DF_FIELD_BOX));
            return 0;
        }
        s->level = IN_RECORD;
        s->record.seen |= 1u << field_index(s);
    } else {
        s->level = s->section->name ? IN_ROOT : AT_END;
    }
    return 1;
}

static void warn_twice(struct df_stream *s, const char *name)
{
    if (!s->warned_key)
        df_warn("%s:%zu: key '%s' twice in one object: the last one counts", s->path, line_here(s), name);
    s->warned_key = true;
}

static bool is_name(const unsigned char *key, size_t length, const char *name)
{
    return strlen(name) == length && memcmp(key, name, length) == 0;
}

static int on_key(void *context, const unsigned char *key, size_t length)
{
    struct df_stream *s = context;

    if (s->skip)
        return 1;
    if (s->level == IN_ROOT) {
        s->section = NULL;
        for (const struct df_section *at = s->sections; at->record; at++)
            if (is_name(key, length, at->name))
                s->section = at;
        if (s->section && s->found & 1u << (s->section - s->sections)) {
            warn_twice(s, s->section->name);
            s->section->clear(s->context);
        }
        return 1;
    }
    s->field = NULL;
    for (const struct df_field *at = s->section->field; at->name; at++)
        if (is_name(key, length, at->name))
            s->field = at;
    if (s->field && s->record.seen & 1u << field_index(s))
        warn_twice(s, s->field->name);
    return 1;
}

static int on_null(void *context) { return ignored(context) || is_type(context, DF_FIELD_SIZE) ? 1 : refuse(context, "null"); }

static int on_boolean(void *context, int value)
{
    struct df_stream *s = context;

    if (is_type(s, DF_FIELD_HINT) && value)
        hint(s);
    if (ignored(s))
        return 1;
    if (s->level != IN_RECORD || s->field->type != DF_FIELD_FLAG)
        return refuse(s, value ? "true" : "false");
    s->record.value[field_index(s)].integer = value;
    s->record.seen |= 1u << field_index(s);
    s->record.odd_flag = true;
    return 1;
}

static bool integer_of(const char *text, int64_t *out)
{
    double real;

    if (df_parse_int(text, out))
        return true;
    if (!strpbrk(text, ".eE") || !df_parse_real(text, &real) || real != floor(real) || fabs(real) > 9007199254740992.0)
        return false;
    *out = (int64_t)real;
    return true;
}

static int on_number(void *context, const char *digits, size_t length)
{
    struct df_stream *s = context;
    char text[512], what[64];

    for (size_t i = 0; i < length && is_type(s, DF_FIELD_HINT); i++)
        if (digits[i] >= '1' && digits[i] <= '9')
            hint(s);
    if (ignored(s))
        return 1;
    const size_t kept = length < sizeof text - 1 ? length : sizeof text - 1;
    memcpy(text, digits, kept);
    text[kept] = 0;
    snprintf(what, sizeof what, "%.40s%s", text, length > 40 ? "..." : "");
    if (length != kept || (s->level != IN_RECORD && s->level != IN_BOX))
        return refuse(s, what);
    struct df_value *value = &s->record.value[field_index(s)];
    bool good = false;

    if (s->level == IN_BOX) {
        good = s->box_count > 3 || df_parse_real(text, &value->box[s->box_count]);
        s->box_count++;
    } else if (s->field->type == DF_FIELD_INT || s->field->type == DF_FIELD_SIZE) {
        good = integer_of(text, &value->integer);
    } else if (s->field->type == DF_FIELD_FLAG) {
        good = integer_of(text, &value->integer) && (value->integer == 0 || value->integer == 1);
    } else if (s->field->type == DF_FIELD_REAL) {
        good = df_parse_real(text, &value->real);
    }
    if (!good)
        return refuse(s, what);
    if (s->level == IN_RECORD)
        s->record.seen |= 1u << field_index(s);
    return 1;
}

static int on_string(void *context, const unsigned char *bytes, size_t length)
{
    struct df_stream *s = context;

    if (unasked(s) || is_type(s, DF_FIELD_HINT))
        return 1;
    if (s->level != IN_RECORD || (s->field->type != DF_FIELD_TEXT && s->field->type != DF_FIELD_NAME))
        return refuse(s, "a string");
    if (memchr(bytes, 0, length)) {
        df_stream_fail(s, "'%s' contains a NUL character", s->field->name);
        return 0;
    }
    char *text = df_arena_alloc(s->memory, length + 1);
    memcpy(text, bytes, length);
    text[length] = 0;
    s->record.value[field_index(s)].text = text;
    s->record.seen |= 1u << field_index(s);
    return 1;
}

/* What Python's json writes for numbers that JSON does not have, if it stands where the parser gave up; else NULL. n: bytes of the chunk. */
static const char *no_number(const struct df_stream *s, size_t n)
{
    static const char *const words[] = { "NaN", "-Infinity", "Infinity" };
    const size_t at = s->chunk ? yajl_get_bytes_consumed(s->parser) : 0;

    for (size_t w = 0; w < sizeof words / sizeof *words; w++)
        for (size_t back = 0; back < 4 && back <= at; back++)
            if (n - (at - back) >= strlen(words[w]) && memcmp(s->chunk + at - back, words[w], strlen(words[w])) == 0)
                return words[w];
    return NULL;
}

static df_status parse_error(struct df_stream *s, size_t n)
{
    if (s->status != DF_OK) /* the callbacks' own */
        return s->status;
    const char *word = s->chunk ? no_number(s, n) : NULL;
    unsigned char *text = yajl_get_error(s->parser, 0, NULL, 0);
    const int length = (int)strcspn((const char *)text, "\n");
    const size_t at = s->bytes + (s->chunk ? yajl_get_bytes_consumed(s->parser) : 0);

    if (word && s->level >= IN_RECORD && s->field)
        df_stream_fail(s, "'%s' %s %s, expected %s [JSON has no %s: leave these out, or ask what wrote them why]", s->field->name,
                       s->level == IN_BOX ? "holds" : "is", word, expected(s->field->type), word);
    else
        s->status =
            df_fail(s->err, DF_ERR_FORMAT, "%s:%zu: not JSON: %.*s at byte %zu%s", s->path, line_here(s), length, (const char *)text, at,
                    strstr((const char *)text, "UTF8") ? " [if it is Latin-1: iconv -f LATIN1 -t UTF-8 FILE >NEW]" : "");
    yajl_free_error(s->parser, text);
    return s->status;
}

static void *yajl_get(void *context, size_t bytes)
{
    (void)context;
    return df_malloc(bytes);
}

static void *yajl_more(void *context, void *old, size_t bytes)
{
    (void)context;
    return df_realloc(old, bytes);
}

static void yajl_give_back(void *context, void *memory)
{
    (void)context;
    free(memory);
}

/* A byte order mark is passed over; what is no UTF-8 at all is told by its name. *skip: bytes before the JSON. */
static df_status begin(struct df_stream *s, const unsigned char *chunk, size_t n, size_t *skip)
{
    const char *encoding = df_json_encoding((const char *)chunk, n);

    *skip = n >= 3 && memcmp(chunk, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    if (encoding)
        return df_fail(s->err, DF_ERR_FORMAT, "%s: found %s, expected UTF-8 [iconv -f %s -t UTF-8 FILE >NEW]", s->path, encoding, encoding);
    return DF_OK;
}

static df_status feed(struct df_stream *s, int fd, struct df_hasher *hasher, unsigned char *chunk)
{
    for (;;) {
        const ssize_t n = read(fd, chunk, CHUNK);
        size_t skip = 0;

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return df_fail(s->err, DF_ERR_IO, "cannot read '%s': %s", s->path, strerror(errno));
        if (n == 0)
            break;
        df_hasher_add(hasher, chunk, (size_t)n);
        if (s->bytes == 0)
            DF_TRY(begin(s, chunk, (size_t)n, &skip));
        s->chunk = chunk + skip;
        if (yajl_parse(s->parser, s->chunk, (size_t)n - skip) != yajl_status_ok)
            return parse_error(s, (size_t)n - skip);
        line_here(s);
        s->bytes += (size_t)n;
        s->chunk = NULL;
        s->counted = 0;
    }
    const bool good = yajl_complete_parse(s->parser) == yajl_status_ok;

    if (s->level == AT_START && s->status == DF_OK)
        return df_fail(s->err, DF_ERR_FORMAT, "%s: empty, expected JSON", s->path);
    return good ? DF_OK : parse_error(s, 0);
}

df_status df_stream_read(const char *path, const struct df_section *sections, void *context, struct df_arena *memory,
                         struct df_stream_seen *out, struct df_error *err)
{
    yajl_alloc_funcs memory_of_ours = { yajl_get, yajl_more, yajl_give_back, NULL };
    static const yajl_callbacks callbacks = { on_null,      on_boolean, NULL,       NULL,           on_number,   on_string,
                                              on_map_start, on_key,     on_map_end, on_array_start, on_array_end };
    struct df_stream s = { .path = path, .sections = sections, .context = context, .memory = memory, .err = err };
    const int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return df_fail(err, errno == ENOENT || errno == ENOTDIR ? DF_ERR_NOT_FOUND : DF_ERR_IO, "cannot open '%s': %s", path,
                       strerror(errno));
    unsigned char *chunk = df_malloc(CHUNK);
    struct df_hasher *hasher = df_hasher_new();
    s.parser = yajl_alloc(&callbacks, &memory_of_ours, &s);
    const df_status status = feed(&s, fd, hasher, chunk);
    if (status == DF_OK)
        *out = (struct df_stream_seen){ s.found, df_hasher_value(hasher) };
    yajl_free(s.parser);
    df_hasher_free(hasher);
    free(chunk);
    close(fd);
    return status;
}
