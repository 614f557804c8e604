#include "ablations/cli/common.h"

#include <stdlib.h>
#include <string.h>

const char *df_common_device(const char *asked)
{
    const char *device = asked[0] ? asked : getenv("DEFEAT_DEVICE");

    return device && *device ? device : NULL;
}

static df_status read_spec(const struct df_common_options *options, const char *path, bool unread, struct df_spec **out,
                           struct df_error *err)
{
    const struct df_spec_overrides overrides = { .seeds = options->seeds[0] ? options->seeds : NULL,
                                                 .data_path = options->data_path[0] ? options->data_path : NULL,
                                                 .device = df_common_device(options->device),
                                                 .unread = unread };
    const struct df_distiller_class *plugin;

    *out = NULL;
    if (options->plugin[0])
        DF_TRY(df_distiller_load_plugin(options->plugin, &plugin, err));
    return df_spec_read(path, &overrides, out, err);
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
                                    .skip_bad_images = options->on_bad_image == 1,
                                    .prefetch = options->prefetch,
                                    .export_results = true,
                                    .resume = true };
}

void df_common_pass(const struct df_common_options *options, const char *words[DF_COMMON_PASS_MAX])
{
    static const char *const cache[] = { "auto", "on", "off" };
    static char limit[32];
    size_t n = 0;

    words[n++] = "--cache";
    words[n++] = cache[options->cache];
    if (options->cache == 0) {
        words[n++] = "--cache-limit";
        words[n++] = df_format_real(limit, options->cache_limit);
    }
    if (options->on_bad_image) {
        words[n++] = "--on-bad-image";
        words[n++] = "skip";
    }
    if (options->prefetch)
        words[n++] = "--prefetch";
    const char *const name[] = { "--seeds", "--data-path", "--plugin", "--device" };
    const char *const value[] = { options->seeds, options->data_path, options->plugin, df_common_device(options->device) };

    for (size_t i = 0; i < 4; i++)
        if (value[i] && value[i][0]) {
            words[n++] = name[i];
            words[n++] = value[i];
        }
    words[n] = NULL;
}

void df_common_repeat(const struct df_common_options *options, struct df_text *out)
{
    const char *const name[] = { "out", "seeds", "data-path", "plugin", "device" };
    const char *const value[] = { strcmp(options->out, "out") == 0 ? "" : options->out, options->seeds, options->data_path, options->plugin,
                                  df_common_device(options->device) };

    for (size_t i = 0; i < sizeof name / sizeof *name; i++) {
        if (!value[i])
            continue;
        const char *quote = strpbrk(value[i], " \t\"$&();*?<>|`\\#~") ? "'" : "";

        if (value[i][0])
            df_text_addf(out, " --%s %s%s%s", name[i], quote, value[i], quote);
    }
}
