#include "ablations/spec_source.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/shell.h"
#include "core/data/dataset.h"

#define MOST_FILES 8 /* that extend each other */

/* ---- merging ---- */

cJSON *df_spec_merged(const cJSON *base, const cJSON *over)
{
    cJSON *out = base ? cJSON_Duplicate(base, 1) : cJSON_CreateObject();

    for (const cJSON *member = over ? over->child : NULL; member; member = member->next) {
        const cJSON *old = cJSON_GetObjectItemCaseSensitive(out, member->string);
        cJSON *value = cJSON_IsNull(member)      ? NULL
                       : !cJSON_IsObject(member) ? cJSON_Duplicate(member, 1)
                                                 : df_spec_merged(cJSON_IsObject(old) ? old : NULL, member);

        cJSON_DeleteItemFromObjectCaseSensitive(out, member->string);
        if (value)
            cJSON_AddItemToObject(out, member->string, value);
    }
    return out;
}

/* ---- extends ---- */

/* The path at `key`, if there is one, seen from another folder. */
static void move_path(cJSON *object, const char *key, const char *folder)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

    if (!cJSON_IsString(item))
        return;
    char *path = df_path_join(folder, item->valuestring);

    cJSON_ReplaceItemInObjectCaseSensitive(object, key, cJSON_CreateString(path));
    free(path);
}

static void move_files(cJSON *owner, const char *folder)
{
    cJSON *teacher;

    move_path(cJSON_GetObjectItemCaseSensitive(owner, "student"), "file", folder);
    move_path(cJSON_GetObjectItemCaseSensitive(owner, "teacher"), "file", folder);
    cJSON_ArrayForEach(teacher, cJSON_GetObjectItemCaseSensitive(owner, "teachers")) move_path(teacher, "file", folder);
}

/* Data from files lie in the spec's folder unless it says otherwise. */
static void move_base(cJSON *root, const char *folder)
{
    const cJSON *data = cJSON_GetObjectItemCaseSensitive(root, "data");
    const char *kind = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(data, "kind"));
    const struct df_dataset_class *class = kind ? df_dataset_class_find(kind, NULL) : NULL;

    if (cJSON_GetObjectItemCaseSensitive(root, "base"))
        move_path(root, "base", folder);
    else if (class && class->from_files)
        cJSON_AddStringToObject(root, "base", folder);
}

void df_spec_move_paths(cJSON *root, const char *folder)
{
    cJSON *variant, *plugins = cJSON_GetObjectItemCaseSensitive(root, "plugins");

    if (strcmp(folder, ".") == 0)
        return;
    move_base(root, folder);
    move_files(root, folder);
    cJSON_ArrayForEach(variant, cJSON_GetObjectItemCaseSensitive(root, "variants")) move_files(variant, folder);
    for (int i = 0; cJSON_IsArray(plugins) && i < cJSON_GetArraySize(plugins); i++) {
        const char *plugin = cJSON_GetStringValue(cJSON_GetArrayItem(plugins, i));
        char *path = plugin ? df_path_join(folder, plugin) : NULL;

        if (path)
            cJSON_ReplaceItemInArray(plugins, i, cJSON_CreateString(path));
        free(path);
    }
}

struct chain {
    char real[MOST_FILES][PATH_MAX]; /* that are being read, the spec first */
    size_t files;
    struct df_text *from;
};

static df_status read_chain(const char *path, struct chain *chain, cJSON **out, struct df_error *err);

/* *root, which extends `name`, put over it. */
static df_status extend(const char *path, const char *name, struct chain *chain, cJSON **root, struct df_error *err)
{
    char *own = df_path_folder(path), *other = df_path_join(own, name), *folder = df_path_folder(name);
    cJSON *base = NULL;

    df_text_addf(chain->from, "%sextends '%s'", chain->from->length ? ", which " : "", other);

    const df_status status = read_chain(other, chain, &base, err);

    if (status == DF_OK) {
        cJSON_DeleteItemFromObjectCaseSensitive(base, "name");
        cJSON_DeleteItemFromObjectCaseSensitive(base, "title");
        df_spec_move_paths(base, folder);

        cJSON *merged = df_spec_merged(base, *root);

        cJSON_Delete(*root);
        *root = merged;
    }
    cJSON_Delete(base);
    free(own);
    free(other);
    free(folder);
    return status == DF_OK ? status : df_fail_in(err, status, "%s: /extends", path);
}

static df_status note_file(const char *path, struct chain *chain, struct df_error *err)
{
    char *real = chain->real[chain->files];

    if (chain->files == MOST_FILES)
        return df_fail(err, DF_ERR_USAGE, "'%s' would be file %d of those that extend each other (expected at most %d)", path,
                       MOST_FILES + 1, MOST_FILES);
    if (!realpath(path, real))
        return DF_OK; /* reading it says why */
    for (size_t i = 0; i < chain->files; i++)
        if (strcmp(chain->real[i], real) == 0)
            return df_fail(err, DF_ERR_USAGE, "'%s' extends itself: the spec %s", path, df_text_get(chain->from));
    chain->files++;
    return DF_OK;
}

static df_status read_chain(const char *path, struct chain *chain, cJSON **out, struct df_error *err)
{
    const char *name = NULL;
    cJSON *root;

    DF_TRY(note_file(path, chain, err));
    DF_TRY(df_json_read(path, &root, err));

    df_status status = cJSON_IsObject(root)
                           ? DF_OK
                           : df_fail(err, DF_ERR_USAGE, "%s: expected an object [what is in it: %s help spec]", path, df_program());

    if (status == DF_OK)
        status = df_json_string(root, "extends", false, path, &name, err);
    if (status == DF_OK && name) {
        char *kept = df_strdup(name);

        cJSON_DeleteItemFromObjectCaseSensitive(root, "extends");
        status = extend(path, kept, chain, &root, err);
        free(kept);
    }
    if (status == DF_OK)
        *out = root;
    else
        cJSON_Delete(root);
    return status;
}

/* ---- --set ---- */

static bool is_index(const char *word) { return *word && !word[strspn(word, "0123456789")] && strlen(word) < 9; }

/* An element of a list: by its index, or by its "label" or "name". */
static cJSON *element(const cJSON *list, const char *word)
{
    cJSON *item;

    if (is_index(word))
        return cJSON_GetArrayItem(list, (int)strtol(word, NULL, 10));
    cJSON_ArrayForEach(item, list)
    {
        const char *label = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "label"));
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "name"));

        if ((label && strcmp(label, word) == 0) || (name && strcmp(name, word) == 0))
            return item;
    }
    return NULL;
}

/* The owner's member or element; of an object one that is not there is made, as an object. */
static df_status step_into(cJSON *owner, const char *word, const char *set, cJSON **out, struct df_error *err)
{
    *out = cJSON_IsArray(owner) ? element(owner, word) : cJSON_GetObjectItemCaseSensitive(owner, word);
    if (!*out && cJSON_IsArray(owner))
        return df_fail(err, DF_ERR_USAGE, "--set '%s': the list has no element '%s' (expected 0 to %d, or an element's label or name)", set,
                       word, cJSON_GetArraySize(owner) - 1);
    if (!*out)
        *out = cJSON_AddObjectToObject(owner, word);
    if (!cJSON_IsObject(*out) && !cJSON_IsArray(*out))
        return df_fail(err, DF_ERR_USAGE, "--set '%s': '%s' is neither an object nor a list and has no members", set, word);
    return DF_OK;
}

static df_status put(cJSON *owner, const char *word, const char *text, const char *set, struct df_error *err)
{
    cJSON *value = NULL;

    if (df_json_parse(text, strlen(text), "--set", &value, NULL) != DF_OK)
        value = cJSON_CreateString(text);
    if (cJSON_IsObject(owner)) {
        cJSON_DeleteItemFromObjectCaseSensitive(owner, word);
        if (cJSON_IsNull(value))
            cJSON_Delete(value);
        else
            cJSON_AddItemToObject(owner, word, value);
        return DF_OK;
    }

    cJSON *old = element(owner, word);

    if (!old) {
        cJSON_Delete(value);
        return df_fail(err, DF_ERR_USAGE, "--set '%s': the list has no element '%s' (expected 0 to %d, or an element's label or name)", set,
                       word, cJSON_GetArraySize(owner) - 1);
    }
    if (cJSON_IsNull(value)) {
        cJSON_Delete(cJSON_DetachItemViaPointer(owner, old));
        cJSON_Delete(value);
    } else {
        cJSON_ReplaceItemViaPointer(owner, old, value);
    }
    return DF_OK;
}

static df_status set_member(cJSON *root, const char *set, struct df_error *err)
{
    const char *equals = strchr(set, '=');
    cJSON *owner = root;
    df_status status = DF_OK;

    if (!equals || equals == set || *set == '.' || equals[-1] == '.')
        return df_fail(err, DF_ERR_USAGE, "--set '%s': expected KEY=VALUE, such as schedule.epochs=8 [to list the keys: %s help spec]", set,
                       df_program());
    char *path = df_strdup(set), *word = path;

    path[equals - set] = 0;
    for (char *dot; status == DF_OK && (dot = strchr(word, '.')); word = dot + 1) {
        *dot = 0;
        status = step_into(owner, word, set, &owner, err);
    }
    if (status == DF_OK && owner == root && strcmp(word, "extends") == 0)
        status = df_fail(err, DF_ERR_USAGE, "--set '%s': what a spec extends is said in its file", set);
    if (status == DF_OK)
        status = put(owner, word, equals + 1, set, err);
    free(path);
    return status;
}

/* Whether a variant's own members replace what stands at the path: a value of its own there, or one that is no object on the way. */
static bool replaces(const cJSON *variant, const char *path, size_t length)
{
    const cJSON *at = variant;
    size_t begin = 0;

    while (cJSON_IsObject(at) && begin < length) {
        const char *dot = memchr(path + begin, '.', length - begin);
        const size_t end = dot ? (size_t)(dot - path) : length;
        char word[DF_STRING_MAX];

        snprintf(word, sizeof word, "%.*s", (int)(end - begin), path + begin);
        at = cJSON_GetObjectItemCaseSensitive(at, word);
        begin = end + 1;
    }
    return at && !cJSON_IsObject(at);
}

/* What every variant puts its own over is set for nobody. */
static df_status check_effect(const cJSON *root, const char *set, struct df_error *err)
{
    const cJSON *variants = cJSON_GetObjectItemCaseSensitive(root, "variants"), *variant;
    const size_t length = (size_t)(strchr(set, '=') - set);
    struct df_text labels = DF_TEXT_INIT, first = DF_TEXT_INIT;
    struct df_shell_word cure;
    int replacing = 0;

    cJSON_ArrayForEach(variant, variants)
    {
        const char *label = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(variant, "label"));

        if (!replaces(variant, set, length))
            continue;
        if (!replacing++)
            df_text_addf(&first, "variants.%s.%s", label ? label : "0", set);
        df_text_addf(&labels, "%s'%s'", labels.length ? ", " : "", label ? label : "");
    }

    const bool lost = replacing && replacing == cJSON_GetArraySize(variants);

    if (lost)
        df_fail(err, DF_ERR_USAGE, "--set '%s': has no effect, for every variant has its own %.*s: %s [for one of them: --set %s]", set,
                (int)length, set, df_text_get(&labels), df_shell_word(&cure, df_text_get(&first)));
    df_text_release(&labels);
    df_text_release(&first);
    return lost ? DF_ERR_USAGE : DF_OK;
}

df_status df_spec_source_read(const char *path, const struct df_texts *set, cJSON **root, struct df_text *from, struct df_error *err)
{
    struct chain *chain = df_calloc(1, sizeof *chain);
    df_status status;

    *root = NULL;
    chain->from = from;
    status = read_chain(path, chain, root, err);
    for (size_t i = 0; status == DF_OK && set && i < set->count; i++)
        status = set_member(*root, set->text[i], err);
    for (size_t i = 0; status == DF_OK && set && i < set->count; i++) /* when all is set: a setting may have made or changed a variant */
        status = check_effect(*root, set->text[i], err);
    if (status != DF_OK) {
        cJSON_Delete(*root);
        *root = NULL;
    }
    free(chain);
    return status;
}
