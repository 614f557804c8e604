#include "results/run_row.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "results/csv_rows.h"

#define MOST_STEPS 9007199254740992.0 /* JSON's numbers are doubles */

/* X(name, kind, deterministic): a column is called as the field that it is in */
/* clang-format off */
#define COLUMNS(X)                        \
    X(semantics, INT, true)               \
    X(run, TEXT, true)                    \
    X(spec, TEXT, true)                   \
    X(label, TEXT, true)                  \
    X(axes, TEXT, true)                   \
    X(seed, INT, true)                    \
    X(status, TEXT, true)                 \
    X(train_seconds, REAL, false)         \
    X(eval_seconds, REAL, false)          \
    X(images_per_second, REAL, false)     \
    X(peak_anonymous_bytes, INT, false)   \
    X(revision, TEXT, false)              \
    X(device, TEXT, true)                 \
    X(environment, JSON, false)           \
    X(started, TEXT, false)               \
    X(finished, TEXT, false)              \
    X(cell, JSON, true)
/* clang-format on */
#define COLUMN(name_, kind_, deterministic_) { #name_, DF_COLUMN_##kind_, offsetof(struct df_run_row, name_), deterministic_ },

const struct df_run_column df_run_columns[] = { COLUMNS(COLUMN){ 0 } };

static void *field(struct df_run_row *row, const struct df_run_column *column) { return (char *)row + column->offset; }

static const void *const_field(const struct df_run_row *row, const struct df_run_column *column)
{
    return (const char *)row + column->offset;
}

static const char *text_of(const struct df_run_row *row, const struct df_run_column *column)
{
    return *(const char *const *)const_field(row, column);
}

static int64_t int_of(const struct df_run_row *row, const struct df_run_column *column)
{
    return *(const int64_t *)const_field(row, column);
}

static double real_of(const struct df_run_row *row, const struct df_run_column *column)
{
    return *(const double *)const_field(row, column);
}

void df_run_row_init(struct df_run_row *row)
{
    memset(row, 0, sizeof *row);
    for (const struct df_run_column *column = df_run_columns; column->name; column++)
        if (column->kind == DF_COLUMN_REAL)
            *(double *)field(row, column) = NAN;
        else if (column->kind != DF_COLUMN_INT)
            *(const char **)field(row, column) = "";
}

bool df_score_possible(const char *metric, double value)
{
    const bool share = strncmp(metric, "AP", 2) == 0 || strncmp(metric, "AR", 2) == 0;

    return !share || isnan(value) || value == -1 || (value >= 0 && value <= 1);
}

bool df_run_row_ok(const struct df_run_row *row) { return row && strcmp(row->status, "ok") == 0; }

double df_run_row_score(const struct df_run_row *row, const char *metric, const char *class)
{
    const struct df_score *score = row->scores.score;

    for (size_t i = 0; i < row->scores.count; i++)
        if (strcmp(score[i].metric, metric) == 0 && strcmp(score[i].class, class) == 0)
            return score[i].value;
    return NAN;
}

/* The list of n items, in twice the room when n is a power of two. */
static void *grown(void *list, size_t n, size_t bytes, struct df_arena *memory)
{
    if (n & (n - 1))
        return list;

    void *larger = df_arena_alloc(memory, (n ? 2 * n : 1) * bytes);

    if (n)
        memcpy(larger, list, n * bytes);
    return larger;
}

void df_scores_add(struct df_scores *scores, struct df_arena *memory, struct df_score score)
{
    const char *last = scores->count ? scores->score[scores->count - 1].metric : NULL;

    score.metric = last && strcmp(last, score.metric) == 0 ? last : df_arena_strdup(memory, score.metric);
    score.class = df_arena_strdup(memory, score.class);
    scores->score = grown(scores->score, scores->count, sizeof score, memory);
    scores->score[scores->count++] = score;
}

/* The name as one of the last points has it: a curve repeats a handful of names. */
static const char *kept_name(const char *name, const struct df_curve *curve, struct df_arena *memory)
{
    for (size_t i = curve->count; i > 0 && curve->count - i < 128; i--) {
        const struct df_curve_point *point = &curve->point[i - 1];

        if (strcmp(point->metric, name) == 0)
            return point->metric;
        if (strcmp(point->split, name) == 0)
            return point->split;
    }
    return df_arena_strdup(memory, name);
}

void df_curve_add(struct df_curve *curve, struct df_arena *memory, struct df_curve_point point)
{
    point.split = kept_name(point.split, curve, memory);
    point.metric = kept_name(point.metric, curve, memory);
    curve->point = grown(curve->point, curve->count, sizeof point, memory);
    curve->point[curve->count++] = point;
}

bool df_run_row_set(struct df_run_row *row, const struct df_run_column *column, const char *text, struct df_arena *memory)
{
    switch (column->kind) {
    case DF_COLUMN_TEXT:
    case DF_COLUMN_JSON:
        *(const char **)field(row, column) = df_arena_strdup(memory, text);
        return true;
    case DF_COLUMN_INT:
        return df_parse_int(text, field(row, column));
    case DF_COLUMN_REAL:
        *(double *)field(row, column) = NAN;
        return !*text || df_parse_real(text, field(row, column));
    }
    return false;
}

/* ---- lines of CSV ---- */

void df_csv_add_column(struct df_text *out, const struct df_run_row *row, const struct df_run_column *column, bool first)
{
    switch (column->kind) {
    case DF_COLUMN_TEXT:
    case DF_COLUMN_JSON:
        df_csv_add(out, text_of(row, column), first);
        break;
    case DF_COLUMN_INT:
        df_csv_add_int(out, int_of(row, column), first);
        break;
    case DF_COLUMN_REAL:
        df_csv_add_real(out, real_of(row, column), first);
        break;
    }
}

void df_csv_add_score(struct df_text *out, const char *run, const struct df_score *score)
{
    df_csv_add(out, run, true);
    df_csv_add(out, score->metric, false);
    df_csv_add(out, score->class, false);
    df_csv_add_real(out, score->value, false);
    df_text_add(out, "\n");
}

void df_csv_add_point(struct df_text *out, const char *run, const struct df_curve_point *point)
{
    df_csv_add(out, run, true);
    df_csv_add_int(out, point->step, false);
    df_csv_add_real(out, point->epoch, false);
    df_csv_add(out, point->split, false);
    df_csv_add(out, point->metric, false);
    df_csv_add_real(out, point->value, false);
    df_text_add(out, "\n");
}

bool df_curve_point_looks_on(const struct df_curve_point *point) { return strncmp(point->metric, "telemetry.", 10) == 0; }

void df_run_row_deterministic(const struct df_run_row *row, struct df_text *out)
{
    bool first = true;

    for (const struct df_run_column *column = df_run_columns; column->name; column++)
        if (column->deterministic) {
            df_csv_add_column(out, row, column, first);
            first = false;
        }
    df_text_add(out, "\n");
    for (size_t i = 0; i < row->scores.count; i++)
        df_csv_add_score(out, row->run, &row->scores.score[i]);
    for (size_t i = 0; i < row->curve.count; i++)
        if (!df_curve_point_looks_on(&row->curve.point[i]))
            df_csv_add_point(out, row->run, &row->curve.point[i]);
}

/* ---- row.json: writing ---- */

static cJSON *real_json(double value) { return isfinite(value) ? cJSON_CreateNumber(value) : cJSON_CreateNull(); }

/* JSON in JSON, as long as it reads back as the very same text (a cell's hash is its id); else a string. */
static cJSON *text_json(const char *text)
{
    struct df_text again = DF_TEXT_INIT;
    cJSON *object = NULL;

    if (df_json_parse(text, strlen(text), "", &object, NULL) == DF_OK)
        df_json_canonical(object, &again);
    if (!cJSON_IsObject(object) || strcmp(df_text_get(&again), text) != 0) {
        cJSON_Delete(object);
        object = cJSON_CreateString(text);
    }
    df_text_release(&again);
    return object;
}

static cJSON *member_json(const struct df_run_row *row, const struct df_run_column *column)
{
    switch (column->kind) {
    case DF_COLUMN_TEXT:
        return cJSON_CreateString(text_of(row, column));
    case DF_COLUMN_JSON:
        return text_json(text_of(row, column));
    case DF_COLUMN_INT:
        return cJSON_CreateNumber((double)int_of(row, column));
    case DF_COLUMN_REAL:
        return real_json(real_of(row, column));
    }
    return NULL;
}

cJSON *df_curve_json(const struct df_curve *curve)
{
    cJSON *list = cJSON_CreateArray();

    for (size_t i = 0; i < curve->count; i++) {
        const struct df_curve_point *p = &curve->point[i];
        cJSON *one = cJSON_CreateArray();

        cJSON_AddItemToArray(one, cJSON_CreateNumber((double)p->step));
        cJSON_AddItemToArray(one, real_json(p->epoch));
        cJSON_AddItemToArray(one, cJSON_CreateString(p->split));
        cJSON_AddItemToArray(one, cJSON_CreateString(p->metric));
        cJSON_AddItemToArray(one, real_json(p->value));
        cJSON_AddItemToArray(list, one);
    }
    return list;
}

void df_run_row_json(const struct df_run_row *row, struct df_text *out)
{
    cJSON *root = cJSON_CreateObject(), *scores = cJSON_CreateArray();

    cJSON_AddNumberToObject(root, "schema", DF_ROW_SCHEMA);
    for (const struct df_run_column *column = df_run_columns; column->name; column++)
        cJSON_AddItemToObject(root, column->name, member_json(row, column));
    for (size_t i = 0; i < row->scores.count; i++) {
        const struct df_score *score = &row->scores.score[i];
        cJSON *one = cJSON_CreateArray();

        cJSON_AddItemToArray(one, cJSON_CreateString(score->metric));
        cJSON_AddItemToArray(one, cJSON_CreateString(score->class));
        cJSON_AddItemToArray(one, real_json(score->value));
        cJSON_AddItemToArray(scores, one);
    }
    cJSON_AddItemToObject(root, "scores", scores);
    cJSON_AddItemToObject(root, "curve", df_curve_json(&row->curve));
    df_json_canonical(root, out);
    df_text_add(out, "\n");
    cJSON_Delete(root);
}

/* ---- row.json: reading ---- */

/* The member's text as a CSV would have it; "" for null and for what is not there: it came later than the row. False: it is of another kind. */
static bool member_text(const cJSON *item, const struct df_run_column *column, struct df_text *out)
{
    df_text_clear(out);
    if (!item || (cJSON_IsNull(item) && column->kind == DF_COLUMN_REAL)) {
        df_text_add(out, column->kind == DF_COLUMN_INT ? "0" : "");
        return true;
    }
    if (cJSON_IsString(item) && (column->kind == DF_COLUMN_TEXT || column->kind == DF_COLUMN_JSON)) {
        df_text_add(out, item->valuestring);
        return true;
    }
    if (column->kind == DF_COLUMN_INT && cJSON_IsNumber(item) && item->valuedouble == floor(item->valuedouble)) {
        df_text_addf(out, "%.0f", item->valuedouble); /* not 9e+15 */
        return true;
    }
    df_json_canonical(item, out);
    return column->kind == DF_COLUMN_JSON ? cJSON_IsObject(item) : column->kind == DF_COLUMN_REAL && cJSON_IsNumber(item);
}

static df_status read_columns(const cJSON *root, const char *where, struct df_arena *memory, struct df_run_row *out, struct df_error *err)
{
    static const char *const expected[] = { "a string", "an object", "an integer", "a number or null" };
    struct df_text text = DF_TEXT_INIT;
    df_status status = DF_OK;

    for (const struct df_run_column *column = df_run_columns; column->name && status == DF_OK; column++)
        if (!member_text(cJSON_GetObjectItemCaseSensitive(root, column->name), column, &text) ||
            !df_run_row_set(out, column, df_text_get(&text), memory))
            status = df_fail(err, DF_ERR_FORMAT, "%s: /%s: found %.80s, expected %s", where, column->name, df_text_get(&text),
                             expected[column->kind]);
    df_text_release(&text);
    return status;
}

/* Whether the list holds what `form` says: s string, n number, v number or null. */
static bool has_form(const cJSON *list, const char *form)
{
    const cJSON *item = cJSON_IsArray(list) ? list->child : NULL;

    for (; item && *form; item = item->next, form++)
        if (!(*form == 's' ? cJSON_IsString(item) : cJSON_IsNumber(item) || (*form == 'v' && cJSON_IsNull(item))))
            return false;
    return cJSON_IsArray(list) && !item && !*form;
}

static double number_of(const cJSON *item) { return cJSON_IsNumber(item) ? item->valuedouble : NAN; }

static df_status bad_item(const cJSON *item, const char *where, const char *list, size_t at, const char *expected, struct df_error *err)
{
    struct df_text text = DF_TEXT_INIT;

    df_json_canonical(item, &text);
    df_fail(err, DF_ERR_FORMAT, "%s: /%s/%zu: found %.80s, expected %s", where, list, at, df_text_get(&text), expected);
    df_text_release(&text);
    return DF_ERR_FORMAT;
}

df_status df_curve_read(const cJSON *list, const char *where, struct df_arena *memory, struct df_curve *out, struct df_error *err)
{
    struct df_curve curve = { 0 };

    for (const cJSON *one = list->child; one; one = one->next) {
        if (!has_form(one, "nvssv"))
            return bad_item(one, where, "curve", curve.count, "[step, epoch, \"split\", \"metric\", value]", err);
        const cJSON *split = one->child->next->next, *metric = split->next;

        if (!(number_of(one->child) >= 0 && number_of(one->child) <= MOST_STEPS) || number_of(one->child->next) < 0 ||
            !df_score_possible(metric->valuestring, number_of(metric->next)))
            return bad_item(one, where, "curve", curve.count, "a step and an epoch from 0, and a value that its metric can have", err);
        df_curve_add(&curve, memory,
                     (struct df_curve_point){ .step = (int64_t)number_of(one->child),
                                              .epoch = number_of(one->child->next),
                                              .split = split->valuestring,
                                              .metric = metric->valuestring,
                                              .value = number_of(metric->next) });
    }
    *out = curve;
    return DF_OK;
}

static df_status read_scores(const cJSON *list, const char *where, struct df_arena *memory, struct df_scores *out, struct df_error *err)
{
    for (const cJSON *one = list->child; one; one = one->next) {
        if (!has_form(one, "ssv"))
            return bad_item(one, where, "scores", out->count, "[\"metric\", \"class\", value]", err);
        const cJSON *metric = one->child, *class = metric->next;

        if (!df_score_possible(metric->valuestring, number_of(class->next)))
            return bad_item(one, where, "scores", out->count, "0 to 1, or -1 where there is nothing to find", err);
        df_scores_add(out, memory, (struct df_score){ metric->valuestring, class->valuestring, number_of(class->next) });
    }
    return DF_OK;
}

static df_status read_root(const cJSON *root, const char *where, struct df_arena *memory, struct df_run_row *out, struct df_error *err)
{
    const cJSON *scores, *curve;
    int64_t schema;

    df_run_row_init(out);
    DF_TRY(df_json_int(root, "schema", true, where, &schema, err));
    if (schema != DF_ROW_SCHEMA)
        return df_fail(err, DF_ERR_STALE, "%s: /schema: found %lld, expected %d (another version wrote it)", where, (long long)schema,
                       DF_ROW_SCHEMA);
    DF_TRY(read_columns(root, where, memory, out, err));
    DF_TRY(df_json_array(root, "scores", true, where, &scores, err));
    DF_TRY(read_scores(scores, where, memory, &out->scores, err));
    DF_TRY(df_json_array(root, "curve", true, where, &curve, err));
    return df_curve_read(curve, where, memory, &out->curve, err);
}

df_status df_run_row_parse(const char *text, size_t bytes, const char *where, struct df_arena *memory, struct df_run_row *out,
                           struct df_error *err)
{
    cJSON *root;

    DF_TRY(df_json_parse(text, bytes, where, &root, err));
    const df_status status =
        cJSON_IsObject(root) ? read_root(root, where, memory, out, err) : df_fail(err, DF_ERR_FORMAT, "%s: expected an object", where);

    cJSON_Delete(root);
    return status;
}
