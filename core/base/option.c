/* Option tables: reading from JSON and from text, defaults, what has an effect, writing, help. */
#include "core/base/option_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

size_t df_option_bytes(const df_option *option)
{
    switch (option->type) {
    case DF_OPTION_BOOL:
        return sizeof(bool);
    case DF_OPTION_INT:
        return sizeof(int64_t);
    case DF_OPTION_REAL:
        return sizeof(double);
    case DF_OPTION_CHOICE:
        return sizeof(int);
    case DF_OPTION_STRING:
        return DF_STRING_MAX;
    case DF_OPTION_TEXTS:
        return sizeof(struct df_texts);
    case DF_OPTION_INT_LIST:
    case DF_OPTION_REAL_LIST:
        break;
    }
    return sizeof(struct df_list);
}

bool df_option_is_list(const df_option *option) { return option->type == DF_OPTION_INT_LIST || option->type == DF_OPTION_REAL_LIST; }

/* memcpy: the options struct need not be typed as we know it */
static void load(const df_option *option, const void *values, union df_option_value *out)
{
    memcpy(out, (const char *)values + option->offset, df_option_bytes(option));
}

static void store(const df_option *option, const union df_option_value *value, void *values)
{
    memcpy((char *)values + option->offset, value, df_option_bytes(option));
}

const df_option *df_option_find(const df_option *table, const char *name, size_t length)
{
    for (; table->name; table++)
        if (strlen(table->name) == length && memcmp(table->name, name, length) == 0)
            return table;
    return NULL;
}

const char *df_option_part(const char *parts, int index, size_t *length)
{
    for (;; parts++, index--) {
        *length = strcspn(parts, "|");
        if (index == 0)
            return parts;
        parts += *length;
        if (!*parts)
            return NULL;
    }
}

int df_option_part_index(const char *parts, const char *text, size_t length)
{
    size_t n;
    const char *at;

    for (int i = 0; (at = df_option_part(parts, i, &n)); i++)
        if (n == length && memcmp(at, text, n) == 0)
            return i;
    return -1;
}

bool df_option_has_bounds(const df_option *option)
{
    return option->type == DF_OPTION_INT || option->type == DF_OPTION_REAL || df_option_is_list(option);
}

static bool in_range(const df_option *option, double value)
{
    if (option->min == 0 && option->max == 0)
        return true;
    return value >= option->min && value <= option->max; /* NaN is not */
}

void df_option_add_bounds(const df_option *option, struct df_text *out)
{
    char text[32];
    const bool below = isfinite(option->min), above = isfinite(option->max);

    if ((option->min == 0 && option->max == 0) || (!below && !above))
        return;
    df_text_add(out, below ? df_format_real(text, option->min) : "");
    df_text_add(out, "..");
    df_text_add(out, above ? df_format_real(text, option->max) : "");
}

static void describe_legal(const df_option *option, struct df_text *out)
{
    static const char *const kinds[] = { "true or false",      "an integer",        "a number", "one of ", "a text of at most 511 bytes",
                                         "a list of integers", "a list of numbers", "texts" };
    struct df_text bounds = DF_TEXT_INIT;

    df_text_add(out, kinds[option->type]);
    if (option->type == DF_OPTION_CHOICE)
        df_text_add(out, option->choices);
    if (df_option_is_list(option))
        df_text_addf(out, " (at most %d)", DF_LIST_MAX);
    if (!df_option_has_bounds(option))
        return;
    df_option_add_bounds(option, &bounds);
    if (bounds.length)
        df_text_addf(out, " in %s", bounds.data);
    df_text_release(&bounds);
}

static bool set_integer(const df_option *option, int64_t integer, union df_option_value *out)
{
    out->integer = integer;
    return in_range(option, (double)integer);
}

static bool set_real(const df_option *option, double real, union df_option_value *out)
{
    out->real = real;
    return in_range(option, real);
}

static bool set_string(const char *text, size_t length, union df_option_value *out)
{
    if (length >= DF_STRING_MAX)
        return false;
    memset(out->string, 0, DF_STRING_MAX); /* no old bytes behind the 0: equal options are equal memory */
    memcpy(out->string, text, length);
    return true;
}

static bool add_element(const df_option *option, double element, struct df_list *list)
{
    if (list->count == DF_LIST_MAX || !in_range(option, element))
        return false;
    if (option->type == DF_OPTION_INT_LIST && (element != floor(element) || fabs(element) > 0x1p53))
        return false;
    list->value[list->count++] = element;
    return true;
}

static bool list_may_be(const df_option *option, const struct df_list *list)
{
    return list->count > 0 || !option->text || !option->text[0];
}

static bool parse_list(const df_option *option, const char *text, struct df_list *list)
{
    char element[64];
    double number;

    memset(list, 0, sizeof *list);
    while (*text) {
        const size_t n = strcspn(text, ",");

        if (n == 0 || n >= sizeof element)
            return false;
        memcpy(element, text, n);
        element[n] = 0;
        if (!df_parse_real(element, &number) || !add_element(option, number, list))
            return false;
        text += n;
        if (*text == ',' && !*++text)
            return false;
    }
    return list_may_be(option, list);
}

static bool parse_bool(const char *text, bool *out)
{
    static const char yes[] = "true|on|yes|1", no[] = "false|off|no|0";

    *out = df_option_part_index(yes, text, strlen(text)) >= 0;
    return *out || df_option_part_index(no, text, strlen(text)) >= 0;
}

/* Behind those that are there. */
static bool add_text(const char *text, struct df_texts *texts)
{
    if (texts->count == DF_TEXTS_MAX)
        return false;
    texts->text[texts->count++] = text;
    return true;
}

bool df_option_from_text(const df_option *option, const char *text, union df_option_value *out)
{
    int64_t integer;
    double real;

    switch (option->type) {
    case DF_OPTION_BOOL:
        return parse_bool(text, &out->boolean);
    case DF_OPTION_INT:
        return df_parse_int(text, &integer) && set_integer(option, integer, out);
    case DF_OPTION_REAL:
        return df_parse_real(text, &real) && set_real(option, real, out);
    case DF_OPTION_CHOICE:
        return (out->choice = df_option_part_index(option->choices, text, strlen(text))) >= 0;
    case DF_OPTION_STRING:
        return set_string(text, strlen(text), out);
    case DF_OPTION_TEXTS:
        return add_text(text, &out->texts);
    case DF_OPTION_INT_LIST:
    case DF_OPTION_REAL_LIST:
        break;
    }
    return parse_list(option, text, &out->list);
}

static bool list_from_json(const df_option *option, const cJSON *node, struct df_list *list)
{
    const cJSON *child;

    memset(list, 0, sizeof *list);
    if (cJSON_IsNumber(node))
        return add_element(option, node->valuedouble, list);
    if (!cJSON_IsArray(node))
        return false;
    cJSON_ArrayForEach(child, node)
    {
        if (!cJSON_IsNumber(child) || !add_element(option, child->valuedouble, list))
            return false;
    }
    return list_may_be(option, list);
}

static bool from_json(const df_option *option, const cJSON *node, union df_option_value *out)
{
    const double number = cJSON_IsNumber(node) ? node->valuedouble : 0;
    const char *text = cJSON_IsString(node) ? node->valuestring : NULL;

    switch (option->type) {
    case DF_OPTION_BOOL:
        out->boolean = cJSON_IsTrue(node) || number == 1;
        return cJSON_IsBool(node) || (cJSON_IsNumber(node) && (number == 0 || number == 1));
    case DF_OPTION_INT:
        return cJSON_IsNumber(node) && number == floor(number) && fabs(number) <= 0x1p53 && set_integer(option, (int64_t)number, out);
    case DF_OPTION_REAL:
        return cJSON_IsNumber(node) && set_real(option, number, out);
    case DF_OPTION_CHOICE:
        return text && (out->choice = df_option_part_index(option->choices, text, strlen(text))) >= 0;
    case DF_OPTION_STRING:
        return text && set_string(text, strlen(text), out);
    case DF_OPTION_TEXTS:
        return false;
    case DF_OPTION_INT_LIST:
    case DF_OPTION_REAL_LIST:
        break;
    }
    return list_from_json(option, node, &out->list);
}

void df_option_standard(const df_option *option, union df_option_value *out)
{
    switch (option->type) {
    case DF_OPTION_BOOL:
        out->boolean = option->standard != 0;
        return;
    case DF_OPTION_INT:
        out->integer = (int64_t)option->standard;
        return;
    case DF_OPTION_REAL:
        out->real = option->standard;
        return;
    case DF_OPTION_CHOICE:
        out->choice = (int)option->standard;
        return;
    case DF_OPTION_TEXTS:
        out->texts = (struct df_texts){ 0 };
        return;
    case DF_OPTION_STRING:
    case DF_OPTION_INT_LIST:
    case DF_OPTION_REAL_LIST:
        break;
    }
    DF_ASSERT(df_option_from_text(option, option->text ? option->text : "", out)); /* the table's default must be legal */
}

void df_options_standard(const df_option *table, void *values)
{
    union df_option_value value;

    for (; table->name; table++) {
        df_option_standard(table, &value);
        store(table, &value, values);
    }
}

void df_option_value_text(const df_option *option, const union df_option_value *value, struct df_text *out)
{
    char number[32];
    const char *name;
    size_t n = 0;

    switch (option->type) {
    case DF_OPTION_BOOL:
        df_text_add(out, value->boolean ? "1" : "0");
        return;
    case DF_OPTION_INT:
        df_text_addf(out, "%lld", (long long)value->integer);
        return;
    case DF_OPTION_REAL:
        df_text_add(out, df_format_real(number, value->real));
        return;
    case DF_OPTION_CHOICE:
        name = df_option_part(option->choices, value->choice, &n);
        DF_ASSERT(name);
        df_text_add_bytes(out, name, n);
        return;
    case DF_OPTION_STRING:
        df_text_add(out, value->string);
        return;
    case DF_OPTION_TEXTS:
        for (size_t i = 0; i < value->texts.count; i++)
            df_text_addf(out, "%s%s", i ? "," : "", value->texts.text[i]);
        return;
    case DF_OPTION_INT_LIST:
    case DF_OPTION_REAL_LIST:
        break;
    }
    for (size_t i = 0; i < value->list.count; i++)
        df_text_addf(out, "%s%s", i ? "," : "", df_format_real(number, value->list.value[i]));
}

static bool has_effect(const df_option *table, const df_option *option, const void *values, int depth);

/* One condition, "other=a|b" or "other!=a|b", of the given length. */
static bool holds(const df_option *table, const char *condition, size_t length, const void *values, int depth)
{
    const size_t equals = strcspn(condition, "=");
    const bool negated = equals > 0 && condition[equals - 1] == '!';
    const df_option *other = df_option_find(table, condition, equals - negated);
    char *accepted;
    struct df_text text = DF_TEXT_INIT;
    union df_option_value value;
    bool among;

    DF_ASSERT(equals < length && other && depth < 16); /* a condition names an option of its table, without going round in circles */
    accepted = df_calloc(length - equals, 1);
    memcpy(accepted, condition + equals + 1, length - equals - 1);
    load(other, values, &value);
    df_option_value_text(other, &value, &text);
    among = df_option_part_index(accepted, df_text_get(&text), text.length) >= 0;
    free(accepted);
    df_text_release(&text);
    return among != negated && has_effect(table, other, values, depth + 1);
}

/* All conditions "a=1&b!=2" of the given length. */
static bool all_hold(const df_option *table, const char *conditions, size_t length, const void *values, int depth)
{
    for (size_t at = 0, n; at < length; at += n + 1) {
        n = strcspn(conditions + at, "&");
        n = n < length - at ? n : length - at;
        if (!holds(table, conditions + at, n, values, depth))
            return false;
    }
    return true;
}

static bool has_effect(const df_option *table, const df_option *option, const void *values, int depth)
{
    static const char either[] = " or ";
    const char *at = option->when ? option->when : "";

    for (const char *next; (next = strstr(at, either)); at = next + strlen(either))
        if (all_hold(table, at, (size_t)(next - at), values, depth))
            return true;
    return all_hold(table, at, strlen(at), values, depth);
}

/* "specs/a.json: /teacher" and "depth" -> "specs/a.json: /teacher/depth" */
static void add_place(const char *where, const char *key, struct df_text *out)
{
    const size_t n = strlen(where);

    df_text_addf(out, "%s%s%s", where, n && where[n - 1] == '/' ? "" : strstr(where, ": /") ? "/" : ": /", key);
}

static df_status fail_value(const df_option *option, const char *place, const char *found, struct df_error *err)
{
    struct df_text legal = DF_TEXT_INIT;

    describe_legal(option, &legal);
    df_fail(err, DF_ERR_USAGE, "%s: found %s, expected %s", place, found, legal.data);
    df_text_release(&legal);
    return DF_ERR_USAGE;
}

static df_status fail_unknown(const df_option *table, const char *const *others, const char *name, const char *place, struct df_error *err)
{
    struct df_text legal = DF_TEXT_INIT;
    size_t count = 0, known = 0;
    const char **names, *near;

    while (table[count].name)
        count++;
    while (others && others[known])
        known++;
    names = df_calloc(count + known + 1, sizeof *names);
    for (size_t i = 0; i < known; i++)
        names[i] = others[i];
    for (size_t i = 0; i < count; i++)
        names[known + i] = table[i].name;
    for (size_t i = 0; names[i]; i++)
        df_text_addf(&legal, "%s%s", i ? ", " : "", names[i]);
    near = df_nearest(name, names);
    if (near)
        df_fail(err, DF_ERR_USAGE, "%s: unknown option '%s' (did you mean '%s'? known here: %s)", place, name, near, df_text_get(&legal));
    else
        df_fail(err, DF_ERR_USAGE, "%s: unknown option '%s' (known here: %s)", place, name, legal.length ? legal.data : "none");
    df_text_release(&legal);
    free(names);
    return DF_ERR_USAGE;
}

static df_status fail_ineffective(const df_option *table, const df_option *option, const char *place, struct df_error *err)
{
    struct df_text condition = DF_TEXT_INIT;

    df_option_condition(table, option, &condition);
    df_fail(err, DF_ERR_USAGE, "%s: option '%s' has no effect here: it is read only when %s (drop it, or change what it depends on)", place,
            option->name, condition.data);
    df_text_release(&condition);
    return DF_ERR_USAGE;
}

static bool named(const char *const *names, const char *name)
{
    for (; names && *names; names++)
        if (strcmp(*names, name) == 0)
            return true;
    return false;
}

/* What may stand in an object. */
struct members {
    const df_option *table;
    const char *const *others; /* not options: read elsewhere */
    const char *where;         /* the object's place, for messages */
};

/* Reads one member of the object into values; on failure err is filled. */
static df_status read_member(const struct members *members, const cJSON *node, const char *place, void *values, struct df_error *err)
{
    const df_option *option = df_option_find(members->table, node->string, strlen(node->string));
    struct df_text found = DF_TEXT_INIT;
    union df_option_value value;
    df_status status;

    if (!option)
        return fail_unknown(members->table, members->others, node->string, place, err);
    if (from_json(option, node, &value)) {
        store(option, &value, values);
        return DF_OK;
    }
    df_json_canonical(node, &found);
    if (found.length > 80) {
        found.data[found.length = 77] = 0;
        df_text_add(&found, "...");
    }
    status = fail_value(option, place, found.data, err);
    df_text_release(&found);
    return status;
}

static size_t extent(const df_option *table)
{
    size_t end = 1;

    for (; table->name; table++)
        if (table->offset + df_option_bytes(table) > end)
            end = table->offset + df_option_bytes(table);
    return end;
}

static df_status read_over(void (*fill)(const df_option *option, union df_option_value *out), struct members members, const cJSON *object,
                           void *values, struct df_error *err)
{
    const df_option *table = members.table;
    struct df_text place = DF_TEXT_INIT;
    df_status status = DF_OK;
    void *draft;
    const cJSON *node;
    union df_option_value value;

    if (object && !cJSON_IsObject(object))
        return df_fail(err, DF_ERR_USAGE, "%s: expected an object with options", members.where);
    draft = df_calloc(1, extent(table));
    for (const df_option *option = table; option->name; option++) {
        fill(option, &value);
        store(option, &value, draft);
    }
    for (node = object ? object->child : NULL; node && status == DF_OK; node = node->next) {
        df_text_clear(&place);
        add_place(members.where, node->string, &place);
        if (!named(members.others, node->string))
            status = read_member(&members, node, place.data, draft, err);
    }
    for (node = object ? object->child : NULL; node && status == DF_OK; node = node->next) {
        const df_option *option = named(members.others, node->string) ? NULL : df_option_find(table, node->string, strlen(node->string));

        df_text_clear(&place);
        add_place(members.where, node->string, &place);
        if (option && !has_effect(table, option, draft, 0))
            status = fail_ineffective(table, option, place.data, err);
    }
    for (const df_option *option = table; option->name && status == DF_OK; option++) {
        load(option, draft, &value);
        store(option, &value, values);
    }
    df_text_release(&place);
    free(draft);
    return status;
}

df_status df_options_read(const df_option *table, const cJSON *object, const char *const *others, const char *where, void *values,
                          struct df_error *err)
{
    return read_over(df_option_standard, (struct members){ table, others, where }, object, values, err);
}

static void absent_value(const df_option *option, union df_option_value *out)
{
    if (option->absent)
        DF_ASSERT(df_option_from_text(option, option->absent, out)); /* df_option_absent_is_legal */
    else
        df_option_standard(option, out);
}

df_status df_options_restore(const df_option *table, const cJSON *object, const char *const *others, const char *where, void *values,
                             struct df_error *err)
{
    return read_over(absent_value, (struct members){ table, others, where }, object, values, err);
}

df_status df_options_set(const df_option *table, const char *name, const char *text, const char *where, void *values, struct df_error *err)
{
    const df_option *option = df_option_find(table, name, strlen(name));
    struct df_text place = DF_TEXT_INIT, found = DF_TEXT_INIT;
    df_status status;
    union df_option_value value;

    if (!option)
        return fail_unknown(table, NULL, name, where, err);
    load(option, values, &value);
    if (df_option_from_text(option, text, &value)) {
        store(option, &value, values);
        return DF_OK;
    }
    df_text_addf(&place, "%s: %s", where, name);
    df_text_addf(&found, "'%s'", text);
    status = fail_value(option, place.data, found.data, err);
    df_text_release(&place);
    df_text_release(&found);
    return status;
}

df_status df_options_check(const df_option *table, const void *values, const char *const *set, const char *where, struct df_error *err)
{
    for (; *set; set++) {
        const df_option *option = df_option_find(table, *set, strlen(*set));

        if (!option)
            return fail_unknown(table, NULL, *set, where, err);
        if (!has_effect(table, option, values, 0))
            return fail_ineffective(table, option, where, err);
    }
    return DF_OK;
}

static cJSON *value_json(const df_option *option, const union df_option_value *value)
{
    struct df_text text = DF_TEXT_INIT;
    cJSON *node;

    switch (option->type) {
    case DF_OPTION_BOOL:
        return cJSON_CreateBool(value->boolean);
    case DF_OPTION_INT:
        return cJSON_CreateNumber((double)value->integer);
    case DF_OPTION_REAL:
        return cJSON_CreateNumber(value->real);
    case DF_OPTION_INT_LIST:
    case DF_OPTION_REAL_LIST:
        return cJSON_CreateDoubleArray(value->list.value, (int)value->list.count);
    case DF_OPTION_TEXTS:
    case DF_OPTION_CHOICE:
    case DF_OPTION_STRING:
        break;
    }
    df_option_value_text(option, value, &text);
    node = cJSON_CreateString(df_text_get(&text));
    df_text_release(&text);
    return node;
}

static bool never(const df_option *option, const union df_option_value *value)
{
    (void)option;
    (void)value;
    return false;
}

static bool same_value(const df_option *option, const union df_option_value *a, const union df_option_value *b)
{
    cJSON *x = value_json(option, a), *y = value_json(option, b);
    const bool same = cJSON_Compare(x, y, true);

    cJSON_Delete(x);
    cJSON_Delete(y);
    return same;
}

static bool is_absent(const df_option *option, const union df_option_value *value)
{
    union df_option_value absent;

    if (!option->absent)
        return false;
    DF_ASSERT(df_option_from_text(option, option->absent, &absent)); /* df_option_absent_is_legal */
    return same_value(option, value, &absent);
}

static bool is_standard(const df_option *option, const union df_option_value *value)
{
    union df_option_value standard;

    df_option_standard(option, &standard);
    return same_value(option, value, &standard);
}

static cJSON *write_but(const df_option *table, const void *values,
                        bool (*left_out)(const df_option *option, const union df_option_value *value))
{
    cJSON *object = cJSON_CreateObject();
    union df_option_value value;

    for (const df_option *option = table; option->name; option++) {
        load(option, values, &value);
        if (has_effect(table, option, values, 0) && !left_out(option, &value))
            DF_ASSERT(cJSON_AddItemToObject(object, option->name, value_json(option, &value)));
    }
    return object;
}

cJSON *df_options_write(const df_option *table, const void *values) { return write_but(table, values, never); }

cJSON *df_options_identity(const df_option *table, const void *values) { return write_but(table, values, is_absent); }

cJSON *df_options_asked(const df_option *table, const void *values) { return write_but(table, values, is_standard); }

bool df_option_absent_is_legal(const df_option *option)
{
    union df_option_value value;

    return !option->absent || df_option_from_text(option, option->absent, &value);
}
