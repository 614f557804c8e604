/* The options that every command about a spec shares. */
#ifndef DF_ABLATIONS_CLI_COMMON_H
#define DF_ABLATIONS_CLI_COMMON_H
#include "ablations/run/options.h"
#include "ablations/spec.h"

struct df_common_options {
    char out[DF_STRING_MAX], seeds[DF_STRING_MAX], data_path[DF_STRING_MAX], device[DF_STRING_MAX];
    struct df_texts set, plugin;
    int cache;
    double cache_limit;
    char scratch[DF_STRING_MAX];
    int on_bad_image;
    bool prefetch, guards;
    int64_t telemetry;
};
/* Rows for the table of a command whose struct has `struct df_common_options member`: which cells are meant, and where they are; for commands that
 * run them beside that how. */
/* clang-format off */
#define DF_SPEC_OPTION_ROWS(type_, member)                                                                                                 \
    { "out", DF_STRING_OPTION(type_, member.out), .text = "out", .help = "folder of rows, weights, teachers and caches" },                \
    { "set", DF_TEXTS_OPTION(type_, member.set),                                                                                           \
      .help = "KEY=VALUE put over the spec, such as schedule.epochs=8 (see 'defeat help spec'); may be given again" },                     \
    { "seeds", DF_STRING_OPTION(type_, member.seeds), .text = "",                                                                          \
      .help = "in place of the spec's seeds: how many (5: 0 to 4), or a list (0,3,7; of one: 7,)" },                                                   \
    { "data_path", DF_STRING_OPTION(type_, member.data_path), .text = "", .help = "folder that the data set's paths are relative to" },   \
    { "device", DF_STRING_OPTION(type_, member.device), .text = "", .help = "in place of the spec's: cpu, ref, cuda[:N][+tf32]" },        \
    { "plugin", DF_TEXTS_OPTION(type_, member.plugin),                                                                                     \
      .help = "shared object that exports `df_distiller` (a spec's \"plugins\" do the same); may be given again" }
#define DF_COMMON_OPTION_ROWS(type_, member)                                                                                               \
    DF_SPEC_OPTION_ROWS(type_, member),                                                                                                    \
    { "cache", DF_CHOICE_OPTION(type_, member.cache), .choices = "auto|on|off",                                                           \
      .help = "keep what the teacher says of every image; auto: unless that is larger than cache-limit" },                                 \
    { "cache_limit", DF_REAL_OPTION(type_, member.cache_limit), .standard = DF_CACHE_LIMIT_GIB, .max = 1e6, .when = "cache=auto",         \
      .help = "GiB that an automatic teacher cache may take on disk" },                                                                    \
    { "scratch", DF_STRING_OPTION(type_, member.scratch), .text = "", .when = "cache=auto|on",                                             \
      .help = "folder of this machine's own disk that teacher caches are copied to, and checked; '$TMPDIR/x': as it is where a cell runs" },   \
    { "on_bad_image", DF_CHOICE_OPTION(type_, member.on_bad_image), .choices = "stop|skip",                                               \
      .help = "an image that cannot be read stops the run, or is replaced by an empty one and counted" },                                  \
    { "prefetch", DF_BOOL_OPTION(type_, member.prefetch), .help = "a second thread prepares the next batch; on a GPU always" }, \
    { "guards", DF_BOOL_OPTION(type_, member.guards), .standard = 1,                                                                      \
      .help = "stop a run whose distiller teaches nothing; before a sweep of more than ten runs: prove that weights of 0 change no bit" },  \
    { "telemetry", DF_INT_OPTION(type_, member.telemetry), .max = 1e9,                                                                     \
      .help = "look at gradients and features every so many steps, as telemetry.* in the learning curve; 0: never; no bit moves; 50 and more take less "   \
              "than 2 % of the time" }
/* clang-format on */

/* The device that the command line asks for, else the environment's DEFEAT_DEVICE, else NULL: the spec's. */
const char *df_common_device(const char *asked);
/* Loads the plugins that are named, reads the spec with the overrides. A spec without a folder that is not here is looked for among the installed
 * ones (PREFIX/share/defeat-bench/specs), with or without ".json". */
df_status df_common_spec(const struct df_common_options *options, const char *path, struct df_spec **out, struct df_error *err);
/* The same without a look at any other file: for rows that no id finds. */
df_status df_common_spec_unread(const struct df_common_options *options, const char *path, struct df_spec **out, struct df_error *err);
void df_common_run(const struct df_common_options *options, struct df_run_options *out);
/* The words that hand these options to a worker (all but --out), NULL-terminated: free() the array, whose words live in options and a static
 * buffer. */
const char **df_common_pass(const struct df_common_options *options);
/* "./defeat table 'my spec.json' --out X --seeds 5": another command about the same cells, to be pasted. */
void df_common_command(const struct df_common_options *options, const char *command, const char *spec, struct df_text *out);
#endif
