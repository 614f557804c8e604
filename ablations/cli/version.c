/* defeat version: what a bug report needs. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <png.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>
#include <yajl/yajl_version.h>

#include "ablations/cli/command.h"
#include "ablations/run/environment.h"
#include "core/device/isa.h"
#include "core/device/open.h"

#ifndef DF_REVISION
#define DF_REVISION "unknown"
#endif

struct version_options {
    bool json;
};
static const df_option version_options[] = {
    { "json", DF_BOOL_OPTION(struct version_options, json), .help = "print JSON" },
    { 0 },
};

static cJSON *libraries(void)
{
    cJSON *object = cJSON_CreateObject();
    const int yajl = yajl_version();
    char text[64];

    cJSON_AddStringToObject(object, "cJSON", cJSON_Version());
    snprintf(text, sizeof text, "%d.%d.%d", yajl / 10000, yajl / 100 % 100, yajl % 100);
    cJSON_AddStringToObject(object, "yajl", text);
    if (pcre2_config(PCRE2_CONFIG_VERSION, NULL) < (int)sizeof text && pcre2_config(PCRE2_CONFIG_VERSION, text) > 0) {
        text[strcspn(text, " ")] = 0; /* without its date */
        cJSON_AddStringToObject(object, "PCRE2", text);
    }
    cJSON_AddStringToObject(object, "libpng", png_get_libpng_ver(NULL));
    snprintf(text, sizeof text, "%u.%u.%u", XXH_versionNumber() / 10000, XXH_versionNumber() / 100 % 100, XXH_versionNumber() % 100);
    cJSON_AddStringToObject(object, "xxHash", text);
    return object;
}

static void add_instruction_sets(cJSON *root)
{
    const char *const *names = df_isa_names();
    struct df_text text = DF_TEXT_INIT;

    for (size_t i = 0; names[i]; i++)
        df_text_addf(&text, "%s%s", i ? ", " : "", names[i]);
    cJSON_AddStringToObject(root, "instruction_sets", df_text_get(&text));
    cJSON_AddStringToObject(root, "instruction_set", df_device_isa());
    df_text_release(&text);
}

static int run(const void *values, int count, char *const *arguments)
{
    const struct version_options *options = values;
    struct df_text text = DF_TEXT_INIT;
    cJSON *root = cJSON_CreateObject(), *used = libraries();
    const cJSON *library;

    (void)count;
    (void)arguments;
    cJSON_AddStringToObject(root, "revision", DF_REVISION);
    cJSON_AddNumberToObject(root, "semantics", DF_SEMANTICS);
    cJSON_AddStringToObject(root, "compiler", df_run_compiler());
    cJSON_AddStringToObject(root, "devices", df_device_names());
    add_instruction_sets(root);
    cJSON_AddItemToObject(root, "libraries", used);
    if (options->json) {
        df_json_canonical(root, &text);
        df_text_add(&text, "\n");
    } else {
        df_text_addf(&text, "defeat %s\nsemantics %d\ncompiler %s\ndevices %s\ninstruction sets %s (%s computes)\nlibraries", DF_REVISION,
                     DF_SEMANTICS, df_run_compiler(), df_device_names(), cJSON_GetObjectItem(root, "instruction_sets")->valuestring,
                     df_device_isa());
        cJSON_ArrayForEach(library, used)
            df_text_addf(&text, "%s %s %s", library == used->child ? "" : ",", library->string, library->valuestring);
        df_text_add(&text, "\n");
    }
    fputs(df_text_get(&text), stdout);
    df_text_release(&text);
    cJSON_Delete(root);
    return 0;
}

const struct df_command df_command_version = {
    .name = "version",
    .summary = "revision, semantics (raised when the code's numbers change), libraries",
    .usage = "defeat version [--json]",
    .example = "defeat version",
    .options = version_options,
    .options_size = sizeof(struct version_options),
    .run = run,
};
