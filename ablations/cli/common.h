/* The options that every command about a spec shares. */
#ifndef DF_ABLATIONS_CLI_COMMON_H
#define DF_ABLATIONS_CLI_COMMON_H
#include "ablations/run/options.h"
#include "ablations/spec.h"

struct df_common_options {
    char out[DF_STRING_MAX], seeds[DF_STRING_MAX], data_path[DF_STRING_MAX], device[DF_STRING_MAX];
    int cache;
    double cache_limit;
    int on_bad_image;
    bool prefetch;
    char plugin[DF_STRING_MAX];
};
/* Rows for the table of a command whose struct has `struct df_common_options member`. */
/* clang-format off */
#define DF_COMMON_OPTION_ROWS(type_, member)                                                                                              \
    { "out", DF_STRING_OPTION(type_, member.out), 0, 0, 0, "folder of journals, teachers and caches", .text = "out" },                     \
    { "seeds", DF_STRING_OPTION(type_, member.seeds), 0, 0, 0, "in place of the spec's seeds: how many (5: 0 to 4), or a list (0,3,7)",   \
      .text = "" },                                                                                                                       \
    { "data_path", DF_STRING_OPTION(type_, member.data_path), 0, 0, 0, "folder that the dataset's paths are relative to", .text = "" },   \
    { "device", DF_STRING_OPTION(type_, member.device), 0, 0, 0, "in place of the spec's: cpu, ref, cuda[:N][+tf32]", .text = "" },                  \
    { "cache", DF_CHOICE_OPTION(type_, member.cache), 0, 0, 2, "teacher cache; auto: unless larger than cache-limit",                     \
      .choices = "auto|on|off" },                                                                                                         \
    { "cache_limit", DF_REAL_OPTION(type_, member.cache_limit), DF_CACHE_LIMIT_GIB, 0, 1e6, "GiB that an automatic teacher cache may take on disk",        \
      .when = "cache=auto" },                                                                                                             \
    { "on_bad_image", DF_CHOICE_OPTION(type_, member.on_bad_image), 0, 0, 1, "an image that cannot be read stops the run, or is counted", \
      .choices = "stop|skip" },                                                                                                           \
    { "prefetch", DF_BOOL_OPTION(type_, member.prefetch), 0, 0, 1, "a second thread prepares the next batch" },                           \
    { "plugin", DF_STRING_OPTION(type_, member.plugin), 0, 0, 0, "shared object that exports `df_distiller`", .text = "" }
/* clang-format on */

#define DF_COMMON_PASS_MAX 24
/* The device that the command line asks for, else the environment's DEFEAT_DEVICE, else NULL: the spec's. */
const char *df_common_device(const char *asked);
/* Loads the plugin if one is named, reads the spec with the overrides. */
df_status df_common_spec(const struct df_common_options *options, const char *path, struct df_spec **out, struct df_error *err);
/* The same without a look at any other file: for rows that no id finds. */
df_status df_common_spec_unread(const struct df_common_options *options, const char *path, struct df_spec **out, struct df_error *err);
void df_common_run(const struct df_common_options *options, struct df_run_options *out);
/* The words that hand these options to a worker (all but --out), NULL-terminated; they point into options and a static buffer. */
void df_common_pass(const struct df_common_options *options, const char *words[DF_COMMON_PASS_MAX]);
/* " --out X --seeds 5 ...": what another command about the same cells needs, quoted for a shell. */
void df_common_repeat(const struct df_common_options *options, struct df_text *out);
#endif
