#include "ablations/executors/slurm_manifest.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/run/store.h"
#include "core/base/file.h"
#include "core/base/json.h"

#define SCHEMA 1

static const char manifest_suffix[] = ".json", job_suffix[] = ".job";

/* ---- paths ---- */

char *df_slurm_folder(const char *out, const char *spec)
{
    char *folder = df_store_spec_folder(out, spec), *path = df_path_join(folder, "slurm");

    free(folder);
    return path;
}

char *df_slurm_path(const struct df_slurm_manifest *manifest, const char *suffix)
{
    struct df_text path = DF_TEXT_INIT;

    df_text_addf(&path, "%s%s", manifest->stem, suffix);
    return path.data;
}

char *df_slurm_part_log(const struct df_slurm_manifest *manifest, size_t part)
{
    char suffix[32] = ".log";

    if (manifest->array)
        snprintf(suffix, sizeof suffix, ".%zu.log", part);
    return df_slurm_path(manifest, suffix);
}

/* ---- works ---- */

static const char **copy_words(const char *const *words)
{
    size_t n = 0;

    while (words[n])
        n++;

    const char **copy = df_calloc(n + 1, sizeof *copy);

    for (size_t i = 0; i < n; i++)
        copy[i] = df_strdup(words[i]);
    return copy;
}

struct df_slurm_work df_slurm_work_new(const char *title, const char *key, const char *log, bool cell, const char *const *words)
{
    return (struct df_slurm_work){
        .title = df_strdup(title), .key = df_strdup(key), .log = df_strdup(log), .cell = cell, .words = copy_words(words)
    };
}

void df_slurm_work_release(struct df_slurm_work *work)
{
    for (const char **word = work->words; word && *word; word++)
        free((char *)(uintptr_t)*word);
    free(work->words);
    free(work->title);
    free(work->key);
    free(work->log);
    *work = (struct df_slurm_work){ 0 };
}

void df_slurm_manifest_release(struct df_slurm_manifest *manifest)
{
    for (size_t p = 0; p < manifest->parts; p++) {
        for (size_t w = 0; w < manifest->part[p].works; w++)
            df_slurm_work_release(&manifest->part[p].work[w]);
        free(manifest->part[p].work);
    }
    free(manifest->part);
    free(manifest->stem);
    *manifest = (struct df_slurm_manifest){ 0 };
}

/* ---- writing ---- */

static cJSON *work_json(const struct df_slurm_work *work)
{
    cJSON *object = cJSON_CreateObject(), *words;

    cJSON_AddStringToObject(object, "title", work->title);
    cJSON_AddStringToObject(object, "key", work->key);
    cJSON_AddBoolToObject(object, "cell", work->cell);
    cJSON_AddStringToObject(object, "log", work->log);
    words = cJSON_AddArrayToObject(object, "words");
    for (const char **word = work->words; *word; word++)
        cJSON_AddItemToArray(words, cJSON_CreateString(*word));
    return object;
}

/* Writes the tree and deletes it. */
static df_status write_json(const struct df_slurm_manifest *manifest, const char *suffix, cJSON *root, struct df_error *err)
{
    char *path = df_slurm_path(manifest, suffix);
    struct df_text text = DF_TEXT_INIT;

    df_json_canonical(root, &text);
    df_text_add(&text, "\n");
    const df_status status = df_file_write(path, text.data, text.length, err);

    df_text_release(&text);
    cJSON_Delete(root);
    free(path);
    return status;
}

df_status df_slurm_manifest_write(const struct df_slurm_manifest *manifest, struct df_error *err)
{
    cJSON *root = cJSON_CreateObject(), *parts;

    cJSON_AddNumberToObject(root, "schema", SCHEMA);
    cJSON_AddStringToObject(root, "signal", manifest->signal);
    cJSON_AddNumberToObject(root, "requeues", (double)manifest->requeues);
    cJSON_AddBoolToObject(root, "array", manifest->array);
    parts = cJSON_AddArrayToObject(root, "parts");
    for (size_t p = 0; p < manifest->parts; p++) {
        cJSON *part = cJSON_CreateArray();

        for (size_t w = 0; w < manifest->part[p].works; w++)
            cJSON_AddItemToArray(part, work_json(&manifest->part[p].work[w]));
        cJSON_AddItemToArray(parts, part);
    }
    return write_json(manifest, manifest_suffix, root, err);
}

df_status df_slurm_job_write(const struct df_slurm_manifest *manifest, struct df_error *err)
{
    cJSON *root = cJSON_CreateObject(), *ended;

    cJSON_AddNumberToObject(root, "job", (double)manifest->job);
    ended = cJSON_AddArrayToObject(root, "ended");
    for (size_t p = 0; p < manifest->parts; p++) {
        const struct df_slurm_part *part = &manifest->part[p];
        cJSON *object = part->seen ? cJSON_CreateObject() : cJSON_CreateNull();

        if (part->seen) {
            cJSON_AddStringToObject(object, "state", part->now.state);
            cJSON_AddStringToObject(object, "node", part->now.node);
            cJSON_AddNumberToObject(object, "exit", part->now.exit);
            cJSON_AddNumberToObject(object, "seen", (double)part->seen);
        }
        cJSON_AddItemToArray(ended, object);
    }
    return write_json(manifest, job_suffix, root, err);
}

/* ---- reading ---- */

static df_status read_work(const cJSON *object, const char *where, struct df_slurm_work *out, struct df_error *err)
{
    const char *title, *key, *log;
    const cJSON *words, *word, *cell = cJSON_GetObjectItemCaseSensitive(object, "cell");
    size_t n = 0;

    DF_TRY(df_json_string(object, "title", true, where, &title, err));
    DF_TRY(df_json_string(object, "key", true, where, &key, err));
    DF_TRY(df_json_string(object, "log", true, where, &log, err));
    DF_TRY(df_json_array(object, "words", true, where, &words, err));

    const char **list = df_calloc((size_t)cJSON_GetArraySize(words) + 1, sizeof *list);

    cJSON_ArrayForEach(word, words) if (cJSON_IsString(word)) list[n++] = word->valuestring;
    const bool good = n > 0 && n == (size_t)cJSON_GetArraySize(words);

    if (good)
        *out = df_slurm_work_new(title, key, log, cJSON_IsTrue(cell), list);
    free(list);
    return good ? DF_OK : df_fail(err, DF_ERR_FORMAT, "%s: /words: expected texts", where);
}

static df_status read_part(const cJSON *list, const char *where, struct df_slurm_part *out, struct df_error *err)
{
    const cJSON *object;

    out->work = df_calloc((size_t)cJSON_GetArraySize(list) + 1, sizeof *out->work);
    cJSON_ArrayForEach(object, list)
    {
        DF_TRY(read_work(object, where, &out->work[out->works], err));
        out->works++;
    }
    return out->works ? DF_OK : df_fail(err, DF_ERR_FORMAT, "%s: a part without work", where);
}

static df_status read_parts(const cJSON *root, const char *where, struct df_slurm_manifest *out, struct df_error *err)
{
    int64_t schema, requeues;
    const char *signal;
    const cJSON *parts, *part;

    DF_TRY(df_json_int(root, "schema", true, where, &schema, err));
    if (schema != SCHEMA)
        return df_fail(err, DF_ERR_STALE, "%s: /schema: found %lld, expected %d: another version of this program submitted it", where,
                       (long long)schema, SCHEMA);
    DF_TRY(df_json_string(root, "signal", true, where, &signal, err));
    DF_TRY(df_json_int(root, "requeues", true, where, &requeues, err));
    DF_TRY(df_json_array(root, "parts", true, where, &parts, err));
    snprintf(out->signal, sizeof out->signal, "%s", signal);
    out->requeues = requeues > 0 ? (size_t)requeues : 0;
    out->array = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(root, "array"));
    out->part = df_calloc((size_t)cJSON_GetArraySize(parts) + 1, sizeof *out->part);
    cJSON_ArrayForEach(part, parts)
    {
        out->parts++;
        DF_TRY(read_part(part, where, &out->part[out->parts - 1], err));
    }
    if (!out->array && out->parts != 1)
        return df_fail(err, DF_ERR_FORMAT, "%s: /parts: found %zu, expected 1 of what is no array", where, out->parts);
    return DF_OK;
}

static df_status read_end(const cJSON *object, const char *where, struct df_slurm_part *out, struct df_error *err)
{
    const char *state, *node;
    int64_t code;

    DF_TRY(df_json_string(object, "state", true, where, &state, err));
    DF_TRY(df_json_string(object, "node", true, where, &node, err));
    DF_TRY(df_json_int(object, "exit", true, where, &code, err));
    DF_TRY(df_json_int(object, "seen", true, where, &out->seen, err));
    out->known = true;
    out->now.phase = DF_SLURM_ENDED;
    out->now.exit = (int)code;
    snprintf(out->now.state, sizeof out->now.state, "%s", state);
    snprintf(out->now.node, sizeof out->now.node, "%s", node);
    return DF_OK;
}

static df_status read_job(const cJSON *root, const char *where, struct df_slurm_manifest *out, struct df_error *err)
{
    const cJSON *ended, *object;
    size_t p = 0;

    DF_TRY(df_json_int(root, "job", true, where, &out->job, err));
    DF_TRY(df_json_array(root, "ended", true, where, &ended, err));
    if ((size_t)cJSON_GetArraySize(ended) != out->parts)
        return df_fail(err, DF_ERR_FORMAT, "%s: /ended: found %d, expected %zu, as its manifest has parts", where,
                       cJSON_GetArraySize(ended), out->parts);
    cJSON_ArrayForEach(object, ended)
    {
        struct df_slurm_part *part = &out->part[p];

        part->now.job = out->job;
        part->now.index = out->array ? (int64_t)p : -1;
        p++;
        if (!cJSON_IsNull(object))
            DF_TRY(read_end(object, where, part, err));
    }
    return DF_OK;
}

static df_status read_file(const char *path, df_status (*read)(const cJSON *, const char *, struct df_slurm_manifest *, struct df_error *),
                           struct df_slurm_manifest *out, struct df_error *err)
{
    cJSON *root;

    DF_TRY(df_json_read(path, &root, err));
    const df_status status = read(root, path, out, err);

    cJSON_Delete(root);
    return status;
}

df_status df_slurm_manifest_read(const char *path, struct df_slurm_manifest *out, struct df_error *err)
{
    const size_t length = strlen(path), end = strlen(manifest_suffix);

    *out = (struct df_slurm_manifest){ .stem = df_strdup(path) };
    out->stem[length > end && strcmp(path + length - end, manifest_suffix) == 0 ? length - end : length] = 0;

    char *job = df_slurm_path(out, job_suffix);
    df_status status = read_file(path, read_parts, out, err);

    if (status == DF_OK)
        status = df_absent_is_fine(read_file(job, read_job, out, err), err);
    free(job);
    if (status != DF_OK)
        df_slurm_manifest_release(out);
    return status;
}
