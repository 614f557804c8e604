/* `defeat diff SPEC SPEC`: which keys differ, as they are written and in the cells, and which cells are the same. Two specs ask for the same runs
 * if their cells have the same ids, however they are written. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/cli/command.h"
#include "ablations/cli/common.h"

struct diff_options {
    struct df_common_options common; /* of which the rows below are offered */
    bool json;
};
static const df_option options_table[] = {
    { "set", DF_TEXTS_OPTION(struct diff_options, common.set), .help = "KEY=VALUE put over both specs; may be given again" },
    { "seeds", DF_STRING_OPTION(struct diff_options, common.seeds), .text = "",
      .help = "in place of both specs' seeds: how many (5: 0 to 4), or a list (0,3,7; of one: 7,)" },
    { "data_path", DF_STRING_OPTION(struct diff_options, common.data_path), .text = "",
      .help = "folder that the data sets' paths are relative to" },
    { "plugin", DF_TEXTS_OPTION(struct diff_options, common.plugin),
      .help = "shared object that exports `df_distiller`; may be given again" },
    { "json", DF_BOOL_OPTION(struct diff_options, json), .help = "print JSON" },
    { 0 },
};

/* ---- flat: "methods.DeFeat.distillers.defeat.w_fg" and its value ---- */

struct entry {
    char *key, *value;
};
struct flat {
    struct entry *entry;
    size_t count;
};

static void add_entry(struct flat *flat, const char *key, const cJSON *value)
{
    struct df_text text = DF_TEXT_INIT;

    df_json_canonical(value, &text);
    flat->entry = df_realloc(flat->entry, (flat->count + 1) * sizeof *flat->entry);
    flat->entry[flat->count++] = (struct entry){ df_strdup(key), df_strdup(df_text_get(&text)) };
    df_text_release(&text);
}

/* How --set calls an element of a list: by its label or name, else by its index. */
static const char *element_name(const cJSON *item, size_t at, char number[24])
{
    const char *label = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "label"));
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "name"));

    snprintf(number, 24, "%zu", at);
    return label ? label : name ? name : number;
}

static void flatten(const cJSON *node, const char *prefix, struct flat *flat)
{
    const bool list = cJSON_IsArray(node) && cJSON_IsObject(node->child);
    size_t at = 0;

    if (!cJSON_IsObject(node) && !list) {
        add_entry(flat, prefix, node);
        return;
    }
    for (const cJSON *item = node->child; item; item = item->next) {
        struct df_text key = DF_TEXT_INIT;
        char number[24];

        df_text_addf(&key, "%s%s%s", prefix, prefix[0] ? "." : "", list ? element_name(item, at++, number) : item->string);
        flatten(item, key.data, flat);
        df_text_release(&key);
    }
}

static void flat_release(struct flat *flat)
{
    for (size_t i = 0; i < flat->count; i++) {
        free(flat->entry[i].key);
        free(flat->entry[i].value);
    }
    free(flat->entry);
}

static const char *value_of(const struct flat *flat, const char *key)
{
    for (size_t i = 0; i < flat->count; i++)
        if (strcmp(flat->entry[i].key, key) == 0)
            return flat->entry[i].value;
    return NULL;
}

/* ---- what differs ---- */

struct change {
    char *key, *value[2]; /* value NULL: not there */
    size_t cells;
};
struct changes {
    struct change *change;
    size_t count;
};

static bool same_text(const char *a, const char *b) { return a && b ? strcmp(a, b) == 0 : a == b; }

static void add_change(struct changes *changes, const char *key, const char *first, const char *second)
{
    for (size_t i = 0; i < changes->count; i++) {
        struct change *c = &changes->change[i];

        if (strcmp(c->key, key) == 0 && same_text(c->value[0], first) && same_text(c->value[1], second)) {
            c->cells++;
            return;
        }
    }
    changes->change = df_realloc(changes->change, (changes->count + 1) * sizeof *changes->change);
    changes->change[changes->count++] =
        (struct change){ df_strdup(key), { first ? df_strdup(first) : NULL, second ? df_strdup(second) : NULL }, 1 };
}

static void compare(const struct flat *first, const struct flat *second, struct changes *changes)
{
    for (size_t i = 0; i < first->count; i++) {
        const char *other = value_of(second, first->entry[i].key);

        if (!same_text(first->entry[i].value, other))
            add_change(changes, first->entry[i].key, first->entry[i].value, other);
    }
    for (size_t i = 0; i < second->count; i++)
        if (!value_of(first, second->entry[i].key))
            add_change(changes, second->entry[i].key, NULL, second->entry[i].value);
}

static void changes_release(struct changes *changes)
{
    for (size_t i = 0; i < changes->count; i++) {
        free(changes->change[i].key);
        free(changes->change[i].value[0]);
        free(changes->change[i].value[1]);
    }
    free(changes->change);
}

/* The cell's canonical JSON; in place of its teachers' ids what the teachers are. */
static void flatten_cell(const struct df_cell *cell, struct flat *flat)
{
    cJSON *root = cJSON_Parse(df_text_get(&cell->json)), *several = cJSON_GetObjectItemCaseSensitive(root, "teachers");

    for (size_t t = 0; t < cell->teachers; t++) {
        const struct df_cell_teacher *by = &cell->teacher[t];
        cJSON *owner = several ? cJSON_GetObjectItemCaseSensitive(several, by->name) : root;

        if (!by->cell->file[0])
            cJSON_ReplaceItemInObjectCaseSensitive(owner, "teacher", cJSON_Parse(df_text_get(&by->cell->json)));
    }
    flatten(root, "", flat);
    cJSON_Delete(root);
}

/* ---- the cells ---- */

struct difference {
    const struct df_spec *spec[2];
    size_t *partner[2]; /* [cells]: of the other spec's cells the same one, or that of the same line and seed; SIZE_MAX: none */
    size_t same, changed, only[2];
    struct changes keys, cells;
};

static bool same_place(const struct df_cell *a, const struct df_cell *b)
{
    return a->seed == b->seed && strcmp(a->label, b->label) == 0 && strcmp(a->axes, b->axes) == 0;
}

static bool same_run(const struct df_cell *a, const struct df_cell *b) { return strcmp(a->id, b->id) == 0; }

static void pair(struct difference *d, bool (*match)(const struct df_cell *a, const struct df_cell *b))
{
    for (size_t i = 0; i < d->spec[0]->count; i++)
        for (size_t j = 0; j < d->spec[1]->count && d->partner[0][i] == SIZE_MAX; j++)
            if (d->partner[1][j] == SIZE_MAX && match(d->spec[0]->cell[i], d->spec[1]->cell[j])) {
                d->partner[0][i] = j;
                d->partner[1][j] = i;
            }
}

static void compare_cells(struct difference *d)
{
    for (int k = 0; k < 2; k++) {
        d->partner[k] = df_malloc((d->spec[k]->count + 1) * sizeof *d->partner[k]);
        for (size_t i = 0; i < d->spec[k]->count; i++)
            d->partner[k][i] = SIZE_MAX;
    }
    pair(d, same_run);
    pair(d, same_place);
    for (size_t i = 0; i < d->spec[0]->count; i++) {
        const struct df_cell *cell = d->spec[0]->cell[i];
        const struct df_cell *other = d->partner[0][i] == SIZE_MAX ? NULL : d->spec[1]->cell[d->partner[0][i]];
        struct flat flat[2] = { { 0 } };

        if (!other) {
            d->only[0]++;
            continue;
        }
        if (same_run(cell, other)) {
            d->same++;
            continue;
        }
        d->changed++;
        flatten_cell(cell, &flat[0]);
        flatten_cell(other, &flat[1]);
        compare(&flat[0], &flat[1], &d->cells);
        flat_release(&flat[0]);
        flat_release(&flat[1]);
    }
    for (size_t j = 0; j < d->spec[1]->count; j++)
        d->only[1] += d->partner[1][j] == SIZE_MAX;
}

static void compare_keys(struct difference *d)
{
    struct flat flat[2] = { { 0 } };

    for (int k = 0; k < 2; k++)
        flatten(d->spec[k]->source, "", &flat[k]);
    compare(&flat[0], &flat[1], &d->keys);
    flat_release(&flat[0]);
    flat_release(&flat[1]);
}

/* ---- printing ---- */

static void print_changes(const char *title, const struct changes *changes, bool cells)
{
    size_t width = 0;

    if (!changes->count)
        return;
    printf("\n%s\n", title);
    for (size_t i = 0; i < changes->count; i++)
        width = strlen(changes->change[i].key) > width ? strlen(changes->change[i].key) : width;
    for (size_t i = 0; i < changes->count; i++) {
        const struct change *c = &changes->change[i];

        printf("  %-*s  %s -> %s", (int)width, c->key, c->value[0] ? c->value[0] : "(none)", c->value[1] ? c->value[1] : "(none)");
        printf(cells ? "  (%zu cells)\n" : "\n", c->cells);
    }
}

static void print_only(const struct difference *d, int k)
{
    if (!d->only[k])
        return;
    printf("\nonly in %s:\n", d->spec[k]->path);
    for (size_t i = 0; i < d->spec[k]->count; i++)
        if (d->partner[k][i] == SIZE_MAX)
            printf("  %s  %s%s%s seed=%lld\n", d->spec[k]->cell[i]->id, d->spec[k]->cell[i]->label, d->spec[k]->cell[i]->axes[0] ? " " : "",
                   d->spec[k]->cell[i]->axes, (long long)d->spec[k]->cell[i]->seed);
}

static void print_text(const struct difference *d)
{
    if (!d->changed && !d->only[0] && !d->only[1])
        printf("both ask for the same %zu runs\n", d->same);
    else
        printf("%zu runs are the same, %zu differ, %zu are only in %s, %zu only in %s\n", d->same, d->changed, d->only[0], d->spec[0]->path,
               d->only[1], d->spec[1]->path);
    print_changes("as they are written:", &d->keys, false);
    print_changes("in the cells:", &d->cells, true);
    print_only(d, 0);
    print_only(d, 1);
}

static cJSON *changes_json(const struct changes *changes, bool cells)
{
    cJSON *list = cJSON_CreateArray();

    for (size_t i = 0; i < changes->count; i++) {
        const struct change *c = &changes->change[i];
        cJSON *object = cJSON_CreateObject();

        cJSON_AddStringToObject(object, "key", c->key);
        cJSON_AddItemToObject(object, "first", c->value[0] ? cJSON_Parse(c->value[0]) : cJSON_CreateNull());
        cJSON_AddItemToObject(object, "second", c->value[1] ? cJSON_Parse(c->value[1]) : cJSON_CreateNull());
        if (cells)
            cJSON_AddNumberToObject(object, "cells", (double)c->cells);
        cJSON_AddItemToArray(list, object);
    }
    return list;
}

static void print_json(const struct difference *d)
{
    static const char *const only[] = { "only_first", "only_second" };
    cJSON *root = cJSON_CreateObject();
    struct df_text text = DF_TEXT_INIT;

    cJSON_AddNumberToObject(root, "same", (double)d->same);
    cJSON_AddNumberToObject(root, "differ", (double)d->changed);
    for (int k = 0; k < 2; k++) {
        cJSON *list = cJSON_AddArrayToObject(root, only[k]);

        for (size_t i = 0; i < d->spec[k]->count; i++)
            if (d->partner[k][i] == SIZE_MAX)
                cJSON_AddItemToArray(list, cJSON_CreateString(d->spec[k]->cell[i]->id));
    }
    cJSON_AddItemToObject(root, "keys", changes_json(&d->keys, false));
    cJSON_AddItemToObject(root, "cells", changes_json(&d->cells, true));
    df_json_canonical(root, &text);
    puts(df_text_get(&text));
    df_text_release(&text);
    cJSON_Delete(root);
}

/* As diff: 0 no difference in what is run, 1 there is one. */
static int run(const void *values, int count, char *const *arguments)
{
    const struct diff_options *options = values;
    struct df_error err = { 0 };
    struct df_spec *spec[2] = { NULL, NULL };
    struct difference d = { 0 };
    df_status status = DF_OK;

    (void)count;
    for (int k = 0; k < 2 && status == DF_OK; k++) {
        status = df_common_spec(&options->common, arguments[k], &spec[k], &err);
        d.spec[k] = spec[k];
    }
    if (status == DF_OK) {
        compare_keys(&d);
        compare_cells(&d);
        (options->json ? print_json : print_text)(&d);
    }
    for (int k = 0; k < 2; k++) {
        df_spec_free(spec[k]);
        free(d.partner[k]);
    }
    changes_release(&d.keys);
    changes_release(&d.cells);
    return status != DF_OK ? df_command_fail(&err) : d.changed || d.only[0] || d.only[1] ? 1 : 0;
}

const struct df_command df_command_diff = {
    .name = "diff",
    .summary = "compare two specs: which keys differ, and which runs are the same",
    .usage = "defeat diff SPEC SPEC [--set KEY=VALUE] [--json]",
    .example = "defeat diff ablations/specs/reproduce-table.json ablations/specs/reproduce-quick.json",
    .notes = "The exit status is 0 if both ask for the same runs, 1 if they do not.",
    .options = options_table,
    .options_size = sizeof(struct diff_options),
    .arguments_min = 2,
    .arguments_max = 2,
    .run = run,
};
