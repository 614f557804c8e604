/* `defeat inspect FILE`: what a checkpoint or a teacher cache holds. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "ablations/cli/command.h"
#include "ablations/run/cache.h"
#include "core/nn/checkpoint.h"

struct inspect_options {
    bool json, verify;
};
static const df_option options_table[] = {
    { "json", DF_BOOL_OPTION(struct inspect_options, json), .help = "print JSON (checkpoints)" },
    { "verify", DF_BOOL_OPTION(struct inspect_options, verify), .help = "compare all checksums (teacher caches)" },
    { 0 },
};

static double elements(const cJSON *shape)
{
    const cJSON *size;
    double n = 1;

    cJSON_ArrayForEach(size, shape) n *= size->valuedouble;
    return n;
}

static void print_text(const char *path, const cJSON *metadata, const cJSON *index)
{
    const cJSON *item;
    double total = 0;

    printf("checkpoint %s\n", path);
    cJSON_ArrayForEach(item, metadata)
    {
        struct df_text value = DF_TEXT_INIT;

        df_text_add_shown(&value, cJSON_IsString(item) ? item->valuestring : "");
        printf("  %-16s %s\n", df_shown(item->string).text, df_text_get(&value));
        df_text_release(&value);
    }
    cJSON_ArrayForEach(item, index)
    {
        const cJSON *shape = cJSON_GetObjectItemCaseSensitive(item, "shape");
        struct df_text text = DF_TEXT_INIT;

        df_json_canonical(shape, &text);
        printf("  %-5s %-20s %s\n", cJSON_GetObjectItemCaseSensitive(item, "dtype")->valuestring, df_text_get(&text),
               df_shown(cJSON_GetObjectItemCaseSensitive(item, "name")->valuestring).text);
        df_text_release(&text);
        total += elements(shape);
    }
    printf("  %d tensors, %.0f numbers\n", cJSON_GetArraySize(index), total);
}

static df_status inspect_checkpoint(const char *path, bool json, struct df_error *err)
{
    cJSON *metadata = NULL, *index = NULL;
    df_status status = df_checkpoint_metadata(path, &metadata, err);

    if (status == DF_OK)
        status = df_checkpoint_index(path, &index, err);
    if (status == DF_OK && json) {
        cJSON *root = cJSON_CreateObject();
        struct df_text text = DF_TEXT_INIT;

        cJSON_AddItemToObject(root, "metadata", metadata);
        cJSON_AddItemToObject(root, "tensors", index);
        metadata = index = NULL;
        df_json_canonical(root, &text);
        puts(df_text_get(&text));
        df_text_release(&text);
        cJSON_Delete(root);
    } else if (status == DF_OK) {
        print_text(path, metadata, index);
    }
    cJSON_Delete(metadata);
    cJSON_Delete(index);
    return status;
}

static df_status inspect_cache(const char *path, bool verify, struct df_error *err)
{
    struct df_text text = DF_TEXT_INIT;
    const df_status status = df_cache_describe(path, verify, &text, err);

    fputs(df_text_get(&text), stdout);
    df_text_release(&text);
    return status;
}

static int run(const void *values, int count, char *const *arguments)
{
    const struct inspect_options *options = values;
    struct df_error err = { 0 };
    const char *path = arguments[0];
    struct stat about;
    df_status status;

    (void)count;
    if (stat(path, &about) == 0 && !S_ISREG(about.st_mode))
        status = df_fail(&err, DF_ERR_FORMAT, "'%s' is not a regular file, expected a checkpoint or a teacher cache", path);
    else if (df_cache_is(path))
        status = options->json ? df_fail(&err, DF_ERR_USAGE, "'%s' is a teacher cache: --json is for checkpoints", path)
                               : inspect_cache(path, options->verify, &err);
    else
        status = options->verify ? df_fail(&err, DF_ERR_USAGE, "'%s' is not a teacher cache: --verify has nothing to compare", path)
                                 : inspect_checkpoint(path, options->json, &err);
    return status == DF_OK ? 0 : df_command_fail(&err);
}

const struct df_command df_command_inspect = {
    .name = "inspect",
    .summary = "what a checkpoint or a teacher cache holds",
    .usage = "defeat inspect FILE [--json] [--verify]",
    .example = "defeat inspect out/teachers/0123456789abcdef.safetensors",
    .options = options_table,
    .options_size = sizeof(struct inspect_options),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run,
};
