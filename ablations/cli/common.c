#include "ablations/cli/common.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/shell.h"

const char *df_common_device(const char *asked)
{
    const char *device = asked[0] ? asked : getenv("DEFEAT_DEVICE");

    return device && *device ? device : NULL;
}

/* The specs that were installed with this program: beside its folder, wherever that is. NULL: there is none of this name. */
static char *installed(const char *name)
{
    char program[PATH_MAX];
    const ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    char *folder, *path = NULL;

    if (length < 0 || strchr(name, '/'))
        return NULL;
    program[length] = 0;
    folder = df_path_folder(program);

    char *specs = df_path_join(folder, "../share/defeat-bench/specs");

    for (int i = 0; i < 2 && !path; i++) {
        char with_end[NAME_MAX + 8];

        snprintf(with_end, sizeof with_end, "%s%s", name, i ? ".json" : "");
        path = df_path_join(specs, with_end);
        if (!df_file_exists(path)) {
            free(path);
            path = NULL;
        }
    }
    free(specs);
    free(folder);
    return path;
}

static df_status read_spec(const struct df_common_options *options, const char *path, bool unread, struct df_spec **out,
                           struct df_error *err)
{
    const struct df_spec_overrides overrides = { .seeds = options->seeds[0] ? options->seeds : NULL,
                                                 .data_path = options->data_path[0] ? options->data_path : NULL,
                                                 .device = df_common_device(options->device),
                                                 .set = &options->set,
                                                 .unread = unread };
    const struct df_distiller_class *plugin;

    *out = NULL;
    for (size_t i = 0; i < options->plugin.count; i++)
        DF_TRY(df_distiller_load_plugin(options->plugin.text[i], &plugin, err));

    char *elsewhere = df_file_exists(path) ? NULL : installed(path);
    const df_status status = df_spec_read(elsewhere ? elsewhere : path, &overrides, out, err);

    free(elsewhere);
    return status;
}

df_status df_common_spec(const struct df_common_options *options, const char *path, struct df_spec **out, struct df_error *err)
{
    return read_spec(options, path, false, out, err);
}

df_status df_common_spec_unread(const struct df_common_options *options, const char *path, struct df_spec **out, struct df_error *err)
{
    return read_spec(options, path, true, out, err);
}

void df_common_run(const struct df_common_options *options, struct df_run_options *out)
{
    *out = (struct df_run_options){ .out = options->out,
                                    .cache = options->cache == 0   ? DF_CACHE_AUTO
                                             : options->cache == 1 ? DF_CACHE_ON
                                                                   : DF_CACHE_OFF,
                                    .cache_limit_bytes = options->cache_limit * 1073741824.0,
                                    .scratch = options->scratch[0] ? options->scratch : NULL,
                                    .skip_bad_images = options->on_bad_image == 1,
                                    .prefetch = options->prefetch,
                                    .guards = options->guards,
                                    .telemetry = (size_t)options->telemetry,
                                    .export_results = true,
                                    .resume = true };
}

/* Of the options that say which cells are meant, those that were given: f(context, "--seeds", "5"). */
static void each_given(const struct df_common_options *options, void (*f)(void *context, const char *name, const char *value),
                       void *context)
{
    const char *const name[] = { "--seeds", "--data-path", "--device" };
    const char *const value[] = { options->seeds, options->data_path, df_common_device(options->device) };

    for (size_t i = 0; i < sizeof name / sizeof *name; i++)
        if (value[i] && value[i][0])
            f(context, name[i], value[i]);
    for (size_t i = 0; i < options->set.count; i++)
        f(context, "--set", options->set.text[i]);
    for (size_t i = 0; i < options->plugin.count; i++)
        f(context, "--plugin", options->plugin.text[i]);
}

struct words {
    const char **word;
    size_t count;
};

static void add_word(struct words *words, const char *word)
{
    words->word = df_realloc(words->word, (words->count + 2) * sizeof *words->word);
    words->word[words->count++] = word;
    words->word[words->count] = NULL;
}

static void add_words(void *words, const char *name, const char *value)
{
    add_word(words, name);
    add_word(words, value);
}

const char **df_common_pass(const struct df_common_options *options)
{
    static const char *const cache[] = { "auto", "on", "off" };
    static char limit[32], telemetry[32];
    struct words words = { 0 };

    add_words(&words, "--cache", cache[options->cache]);
    if (options->cache == 0)
        add_words(&words, "--cache-limit", df_format_real(limit, options->cache_limit));
    if (options->scratch[0])
        add_words(&words, "--scratch", options->scratch);
    if (options->on_bad_image)
        add_words(&words, "--on-bad-image", "skip");
    if (options->prefetch)
        add_word(&words, "--prefetch");
    if (!options->guards)
        add_word(&words, "--no-guards");
    if (options->telemetry) {
        snprintf(telemetry, sizeof telemetry, "%lld", (long long)options->telemetry);
        add_words(&words, "--telemetry", telemetry);
    }
    each_given(options, add_words, &words);
    return words.word;
}

static void add_shell_pair(void *context, const char *name, const char *value)
{
    df_shell_add(context, name);
    df_shell_add(context, value);
}

void df_common_command(const struct df_common_options *options, const char *command, const char *spec, struct df_text *out)
{
    df_text_addf(out, "%s %s", df_program(), command);
    df_shell_add(out, spec);
    if (strcmp(options->out, "out") != 0)
        add_shell_pair(out, "--out", options->out);
    each_given(options, add_shell_pair, out);
}
