#include "results/look_journal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"

/* ---- reading ---------------------------------------------------------------------------------------------------------------------- */

static df_status read_units(const cJSON *root, const char *path, struct df_look_journal *j, struct df_error *err)
{
    const cJSON *list, *item;

    DF_TRY(df_json_array(root, "units", true, path, &list, err));
    j->unit = df_calloc((size_t)cJSON_GetArraySize(list) + 1, sizeof *j->unit);
    cJSON_ArrayForEach(item, list)
    {
        const cJSON *runs = cJSON_GetArrayItem(item, 0), *difference = cJSON_GetArrayItem(item, 1);

        if (!cJSON_IsString(runs) || !cJSON_IsNumber(difference))
            return df_fail(err, DF_ERR_FORMAT, "%s/units/%zu: expected [runs, difference]", path, j->units);
        j->unit[j->units++] = (struct df_look_unit){ df_strdup(runs->valuestring), difference->valuedouble };
    }
    return DF_OK;
}

static df_status read_look(const cJSON *item, const char *where, const struct df_look_journal *j, struct df_look *out, struct df_error *err)
{
    const size_t before = j->looks ? j->look[j->looks - 1].units : 0;
    const char *verdict;
    int64_t units;

    DF_TRY(df_json_int(item, "units", true, where, &units, err));
    DF_TRY(df_json_real(item, "spent", true, where, &out->spent, err));
    DF_TRY(df_json_real(item, "bound", true, where, &out->bound, err));
    DF_TRY(df_json_string(item, "verdict", true, where, &verdict, err));
    out->interval = (struct df_interval){ .mean = NAN, .sd = NAN, .low = NAN, .high = NAN };
    if (!cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(item, "low"))) {
        DF_TRY(df_json_real(item, "low", true, where, &out->interval.low, err));
        DF_TRY(df_json_real(item, "high", true, where, &out->interval.high, err));
    }
    if (units <= (int64_t)before || units > (int64_t)j->units)
        return df_fail(err, DF_ERR_FORMAT, "%s/units: %lld, expected more than %zu and at most the %zu that were looked at", where,
                       (long long)units, before, j->units);
    out->units = (size_t)units;
    for (int v = DF_UNDECIDED; v <= DF_EQUIVALENT; v++)
        if (strcmp(verdict, df_verdict_names[v]) == 0) {
            out->verdict = (enum df_verdict)v;
            return DF_OK;
        }
    return df_fail(err, DF_ERR_FORMAT, "%s/verdict: unknown '%s'", where, verdict);
}

static df_status read_looks(const cJSON *root, const char *path, struct df_look_journal *j, struct df_error *err)
{
    const cJSON *list, *item;
    char where[1024];

    DF_TRY(df_json_array(root, "looks", true, path, &list, err));
    j->look = df_calloc((size_t)cJSON_GetArraySize(list) + 1, sizeof *j->look);
    cJSON_ArrayForEach(item, list)
    {
        snprintf(where, sizeof where, "%s/looks/%zu", path, j->looks);
        DF_TRY(read_look(item, where, j, &j->look[j->looks], err));
        j->looks++;
    }
    return DF_OK;
}

/* The plan of the file must be the one that is asked for: another one would spend the level again. */
static df_status check_plan(const cJSON *root, const char *path, const struct df_look_journal *j, struct df_error *err)
{
    double margin, level;
    int64_t most;

    DF_TRY(df_json_real(root, "margin", true, path, &margin, err));
    DF_TRY(df_json_real(root, "level", true, path, &level, err));
    DF_TRY(df_json_int(root, "most", true, path, &most, err));
    if (margin != j->plan.margin || level != j->plan.level || most != (int64_t)j->plan.most)
        return df_fail(err, DF_ERR_STALE,
                       "'%s': these looks were planned to resolve %g with at most %lld pairs at level %g; now %g with %zu at %g are asked, "
                       "which would spend the level twice [ask as before]",
                       path, margin, (long long)most, level, j->plan.margin, j->plan.most, j->plan.level);
    return DF_OK;
}

static df_status check_names(const cJSON *root, const char *path, const struct df_look_journal *j, struct df_error *err)
{
    const char *const key[] = { "a", "b", "metric", "class" };
    const char *const want[] = { j->a, j->b, j->metric, j->class };
    int64_t schema;

    DF_TRY(df_json_int(root, "schema", true, path, &schema, err));
    if (schema != 1)
        return df_fail(err, DF_ERR_STALE, "%s/schema: %lld, expected 1", path, (long long)schema);
    for (size_t i = 0; i < 4; i++) {
        const char *is;

        DF_TRY(df_json_string(root, key[i], true, path, &is, err));
        if (strcmp(is, want[i]) != 0)
            return df_fail(err, DF_ERR_STALE, "%s/%s: '%s', expected '%s': looks at another comparison", path, key[i], is, want[i]);
    }
    return DF_OK;
}

df_status df_look_journal_read(const char *path, const struct df_looks_plan *plan, const struct df_comparison *comparison,
                               struct df_look_journal **out, struct df_error *err)
{
    struct df_look_journal *j = df_calloc(1, sizeof *j);
    cJSON *root = NULL;
    df_status status = DF_OK;

    *out = NULL;
    j->plan = *plan;
    j->a = df_strdup(comparison->a);
    j->b = df_strdup(comparison->b);
    j->metric = df_strdup(comparison->request.metric);
    j->class = df_strdup(comparison->request.class);
    if (df_file_exists(path)) {
        status = df_json_read(path, &root, err);
        if (status == DF_OK)
            status = check_names(root, path, j, err);
        if (status == DF_OK)
            status = check_plan(root, path, j, err);
        if (status == DF_OK)
            status = read_units(root, path, j, err);
        if (status == DF_OK)
            status = read_looks(root, path, j, err);
    }
    cJSON_Delete(root);
    if (status == DF_OK)
        *out = j;
    else
        df_look_journal_free(j);
    return status;
}

/* ---- looking ---------------------------------------------------------------------------------------------------------------------- */

static size_t find_unit(const struct df_comparison *c, const char *runs)
{
    size_t i = 0;

    while (i < c->units && strcmp(df_text_get(&c->runs[i]), runs) != 0)
        i++;
    return i;
}

static bool was_seen(const struct df_look_journal *j, const char *runs)
{
    for (size_t i = 0; i < j->units; i++)
        if (strcmp(j->unit[i].runs, runs) == 0)
            return true;
    return false;
}

/* What was looked at is there as it was; what is new stands behind it. */
static df_status take_units(struct df_look_journal *j, const struct df_comparison *c, struct df_error *err)
{
    for (size_t i = 0; i < j->units; i++) {
        const size_t at = find_unit(c, j->unit[i].runs);

        if (at == c->units)
            return df_fail(err, DF_ERR_STALE,
                           "runs %s were looked at, and are not among the rows now [bring them back: 'defeat journal import']",
                           j->unit[i].runs);
        if (c->unit[at] != j->unit[i].difference)
            return df_fail(err, DF_ERR_STALE, "runs %s differed by %.17g when they were looked at, now by %.17g", j->unit[i].runs,
                           j->unit[i].difference, c->unit[at]);
    }
    j->unit = df_realloc(j->unit, (j->units + c->units + 1) * sizeof *j->unit);
    for (size_t i = 0; i < c->units && j->units < j->plan.most; i++)
        if (!was_seen(j, df_text_get(&c->runs[i])))
            j->unit[j->units++] = (struct df_look_unit){ df_strdup(df_text_get(&c->runs[i])), c->unit[i] };
    return DF_OK;
}

static void look_now(struct df_look_journal *j)
{
    const size_t n = j->looks + 1;
    size_t *units = df_malloc(n * sizeof *units);
    double *bound = df_malloc(2 * n * sizeof *bound), *spent = bound + n, *value = df_malloc(j->units * sizeof *value);
    struct df_look look = { .units = j->units };

    for (size_t k = 0; k < j->looks; k++)
        units[k] = j->look[k].units;
    units[j->looks] = j->units;
    df_looks_bounds(&j->plan, units, n, bound, spent);
    for (size_t i = 0; i < j->units; i++)
        value[i] = j->unit[i].difference;
    look.bound = bound[j->looks];
    look.spent = spent[j->looks];
    look.interval = df_look_interval(value, j->units, look.bound);
    look.verdict = df_verdict_of(&look.interval, j->plan.margin);
    j->look = df_realloc(j->look, n * sizeof *j->look);
    j->look[j->looks++] = look;
    free(units);
    free(bound);
    free(value);
}

df_status df_look_journal_look(struct df_look_journal *journal, const struct df_comparison *comparison, struct df_error *err)
{
    const struct df_look *last = df_look_journal_last(journal);

    DF_TRY(take_units(journal, comparison, err));
    if (journal->units >= DF_LOOK_FEWEST && (!last || journal->units > last->units))
        look_now(journal);
    return DF_OK;
}

const struct df_look *df_look_journal_last(const struct df_look_journal *journal)
{
    return journal->looks ? &journal->look[journal->looks - 1] : NULL;
}

/* ---- writing ---------------------------------------------------------------------------------------------------------------------- */

static void add_number(cJSON *object, const char *name, double value)
{
    if (isfinite(value))
        cJSON_AddNumberToObject(object, name, value);
    else
        cJSON_AddNullToObject(object, name);
}

static void add_looks(const struct df_look_journal *j, cJSON *root)
{
    cJSON *list = cJSON_AddArrayToObject(root, "looks");

    for (size_t k = 0; k < j->looks; k++) {
        cJSON *look = cJSON_CreateObject();

        add_number(look, "units", (double)j->look[k].units);
        add_number(look, "spent", j->look[k].spent);
        add_number(look, "bound", j->look[k].bound);
        add_number(look, "low", j->look[k].interval.low);
        add_number(look, "high", j->look[k].interval.high);
        cJSON_AddStringToObject(look, "verdict", df_verdict_names[j->look[k].verdict]);
        cJSON_AddItemToArray(list, look);
    }
}

df_status df_look_journal_write(const struct df_look_journal *journal, const char *path, struct df_error *err)
{
    cJSON *root = cJSON_CreateObject(), *units;
    struct df_text text = DF_TEXT_INIT;
    char *folder = df_path_folder(path);

    cJSON_AddNumberToObject(root, "schema", 1);
    cJSON_AddStringToObject(root, "a", journal->a);
    cJSON_AddStringToObject(root, "b", journal->b);
    cJSON_AddStringToObject(root, "metric", journal->metric);
    cJSON_AddStringToObject(root, "class", journal->class);
    cJSON_AddNumberToObject(root, "margin", journal->plan.margin);
    cJSON_AddNumberToObject(root, "level", journal->plan.level);
    cJSON_AddNumberToObject(root, "most", (double)journal->plan.most);
    units = cJSON_AddArrayToObject(root, "units");
    for (size_t i = 0; i < journal->units; i++) {
        cJSON *unit = cJSON_CreateArray();

        cJSON_AddItemToArray(unit, cJSON_CreateString(journal->unit[i].runs));
        cJSON_AddItemToArray(unit, cJSON_CreateNumber(journal->unit[i].difference));
        cJSON_AddItemToArray(units, unit);
    }
    add_looks(journal, root);
    df_json_canonical(root, &text);
    df_text_add(&text, "\n");
    df_status status = df_folder_make(folder, err);

    if (status == DF_OK)
        status = df_file_write(path, text.data, text.length, err);
    df_text_release(&text);
    cJSON_Delete(root);
    free(folder);
    return status;
}

void df_look_journal_free(struct df_look_journal *journal)
{
    if (!journal)
        return;
    for (size_t i = 0; i < journal->units; i++)
        free(journal->unit[i].runs);
    free(journal->unit);
    free(journal->look);
    free(journal->a);
    free(journal->b);
    free(journal->metric);
    free(journal->class);
    free(journal);
}
