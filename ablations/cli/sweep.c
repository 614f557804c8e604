/* `defeat sweep SPEC`: runs the cells that have no row yet, here or on a cluster. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/cli/command.h"
#include "ablations/cli/common.h"
#include "ablations/cli/status_jobs.h"
#include "ablations/executors/executors.h"
#include "ablations/propose.h"
#include "ablations/run/store.h"
#include "ablations/spec_check.h"
#include "ablations/sweep.h"
#include "core/base/progress.h"

struct sweep_options {
    struct df_common_options common;
    int64_t jobs;
    char only[DF_STRING_MAX];
    bool dry_run, list;
    int executor; /* in df_executors */
    char sbatch[DF_STRING_MAX], signal[DF_STRING_MAX];
    int64_t cells_per_task, throttle, requeues;
    bool wait, cancel;
};
static const df_option options_table[] = {
    DF_COMMON_OPTION_ROWS(struct sweep_options, common),
    { "jobs", DF_INT_OPTION(struct sweep_options, jobs), .max = 1024, .when = "executor=local",
      .help = "worker processes, one thread each; 0: one per core" },
    { "only", DF_STRING_OPTION(struct sweep_options, only), .text = "",
      .help = "run only the cells whose 'label axes seed=K name.option=value...' match this regular expression" },
    { "dry_run", DF_BOOL_OPTION(struct sweep_options, dry_run), .when = "list=0",
      .help = "check all that can be known, then list what would run (index, id, label, axes, seed)" },
    { "list", DF_BOOL_OPTION(struct sweep_options, list),
      .help = "list every cell: index, id, state (done, failed, running, left), label, axes, seed" },
    { "executor", DF_CHOICE_OPTION(struct sweep_options, executor), .choices = DF_EXECUTOR_NAMES,
      .help =
          "local: worker processes here; list: print a command a line, for GNU parallel or another scheduler; slurm: jobs of a cluster" },
    { "sbatch", DF_STRING_OPTION(struct sweep_options, sbatch), .text = "", .when = "executor=slurm",
      .help = "words for every sbatch, such as '--partition=gpu --gres=gpu:1 --time=2:00:00 --mem=8G'" },
    { "cells_per_task", DF_INT_OPTION(struct sweep_options, cells_per_task), .standard = 1, .min = 1, .max = 1e6, .when = "executor=slurm",
      .help = "cells that a task of the array runs one after the other: several where they are short" },
    { "throttle", DF_INT_OPTION(struct sweep_options, throttle), .max = 1e6, .when = "executor=slurm",
      .help = "tasks of an array that run at a time; 0: as many as Slurm lets" },
    { "signal", DF_STRING_OPTION(struct sweep_options, signal), .text = "USR2@90", .when = "executor=slurm",
      .help =
          "what Slurm sends so many seconds before a time limit (TERM, USR1, USR2): the cell writes its position, its task goes back into "
          "the queue" },
    { "requeues", DF_INT_OPTION(struct sweep_options, requeues), .standard = 10, .max = 1e6, .when = "executor=slurm",
      .help = "how often an interrupted task goes back into the queue by itself" },
    { "wait", DF_BOOL_OPTION(struct sweep_options, wait), .when = "executor=slurm",
      .help = "stay until all jobs have ended; Ctrl-C leaves, and they go on" },
    { "cancel", DF_BOOL_OPTION(struct sweep_options, cancel), .when = "executor=slurm&only=&dry_run=0&list=0&wait=0",
      .help = "cancel all jobs of this spec" },
    { 0 }
};

static void print_next(const char *command_name, const char *spec, const struct df_common_options *common)
{
    struct df_text command = DF_TEXT_INIT;

    df_common_command(common, command_name, spec, &command);
    printf("next: %s\n", df_text_get(&command));
    df_text_release(&command);
}

static void print_logs(const char *out, const char *spec)
{
    struct df_cell any = { .id = "<run id>" };

    snprintf(any.spec, sizeof any.spec, "%s", spec);
    char *log = df_store_cell_file(out, &any, DF_CELL_LOG);

    printf("failed cells are tried again by the same command; their logs: %s\n", log);
    free(log);
}

static const struct df_executor_class *executor_of(const struct sweep_options *options) { return df_executors[options->executor]; }

/* Whether what is left is nobody's any more when the command ends. */
static bool ends_with_it(const struct sweep_options *options) { return !executor_of(options)->ahead || options->wait; }

/* What --sbatch may say, where it says neither time nor memory. A proposal that cannot be made is none. */
static void print_proposal(const struct df_spec *spec, const struct sweep_options *options)
{
    struct df_proposal proposal;
    struct df_text words = DF_TEXT_INIT;
    char seconds[24];

    if (strstr(options->sbatch, "--time") || strstr(options->sbatch, "--mem"))
        return;
    if (df_propose(spec, options->common.out, &proposal, NULL) == DF_OK)
        df_proposal_words(&proposal, (size_t)options->cells_per_task, &words);
    if (words.length && proposal.rows)
        printf("proposed for --sbatch, of %zu rows (the longest %s, the largest %.0f MiB): %s\n", proposal.rows,
               df_duration_text(seconds, proposal.seconds), proposal.bytes / 1048576, words.data);
    else if (words.length)
        printf("proposed for --sbatch, of what a step needs on paper (%.0f MiB; no rows yet): %s\n", proposal.bytes / 1048576, words.data);
    df_text_release(&words);
}

static void print_counts(const struct df_spec *spec, const struct sweep_options *options, const struct df_sweep_summary *summary,
                         df_status status)
{
    printf("%s: %zu of %zu cells selected; %zu done before, ", spec->name, summary->selected, summary->cells, summary->already);
    if (ends_with_it(options))
        printf("%zu done now, %zu failed, %zu left; %.0f s\n", summary->done, summary->failed, summary->left, summary->seconds);
    else if (status == DF_OK)
        printf("%zu with Slurm\n", summary->left);
    else
        printf("%zu left\n", summary->left);
}

static void print_end(const struct df_spec *spec, const struct sweep_options *options, const struct df_sweep_summary *summary,
                      df_status status)
{
    const bool looked = options->dry_run || options->list || executor_of(options)->prints;

    if (looked && !options->list && status == DF_OK && summary->left == 0) /* not on stdout, where each line is a cell */
        fprintf(stderr, "nothing is left of the %zu selected cells of '%s'\n", summary->selected, spec->name);
    if (looked || status == DF_ERR_USAGE)
        return;
    print_counts(spec, options, summary, status);
    if (status != DF_OK)
        return;
    if (!ends_with_it(options) && summary->left)
        print_proposal(spec, options);
    if (summary->failed)
        print_logs(options->common.out, spec->name);
    else
        print_next(ends_with_it(options) || !summary->left ? "table" : "status", spec->path, &options->common);
}

/* Before anything is trained, and in a dry run: where something is left to do. */
static df_status check(const struct df_spec *spec, const struct sweep_options *options, const struct df_sweep_options *with,
                       struct df_error *err)
{
    struct df_sweep_options look = *with;
    struct df_sweep_summary summary;
    struct df_spec_checked checked;
    struct df_text list = DF_TEXT_INIT;

    look.list = &list;

    const df_status status = df_sweep(spec, &look, &summary, err);

    df_text_release(&list);
    if (status != DF_OK || options->list || summary.left == 0)
        return status;
    DF_TRY(df_spec_check(spec, options->common.on_bad_image == 1, &checked, err));
    if (checked.images < checked.of)
        fprintf(stderr, "of %zu image files %zu were decoded as a check\n", checked.of, checked.images);
    return DF_OK;
}

/* Who waits for hours learns the jobs' numbers first. */
static void print_report(struct df_text *report)
{
    fputs(df_text_get(report), stdout);
    fflush(stdout);
    df_text_clear(report);
}

static struct df_sweep_options sweep_with(const struct sweep_options *options, const char **pass, struct df_text *list,
                                          struct df_text *commands, struct df_text *report)
{
    struct df_sweep_options with = { .executor = executor_of(options),
                                     .jobs = (size_t)options->jobs,
                                     .only = options->only[0] ? options->only : NULL,
                                     .list = options->dry_run || options->list ? list : NULL,
                                     .list_all = options->list,
                                     .commands = commands,
                                     .program = "/proc/self/exe",
                                     .wait = options->wait,
                                     .handed_over = options->wait ? print_report : NULL,
                                     .pass = pass };

    with.slurm = (struct df_slurm_options){ .sbatch = options->sbatch,
                                            .cells_per_task = (size_t)options->cells_per_task,
                                            .throttle = (size_t)options->throttle,
                                            .signal = options->signal,
                                            .requeues = (size_t)options->requeues,
                                            .report = report };
    df_common_run(&options->common, &with.run);
    return with;
}

/* Why jobs of before have failed is kept first: what is said of them goes when others are submitted, whichever cells these are. */
static df_status keep_failures(const struct df_spec *spec, const struct sweep_options *options, struct df_error *err)
{
    struct df_slurm_queue queue = { 0 };

    if (!executor_of(options)->ahead || executor_of(options)->prints || options->dry_run || options->list)
        return DF_OK;
    const df_status status = df_status_jobs_open(spec, options->common.out, &queue, err);

    df_slurm_queue_release(&queue);
    return status;
}

/* What came of it goes to stdout, first what the executor has to say. */
static df_status sweep(const struct df_spec *spec, const struct sweep_options *options, struct df_sweep_summary *summary,
                       struct df_error *err)
{
    struct df_text list = DF_TEXT_INIT, commands = DF_TEXT_INIT, report = DF_TEXT_INIT;
    const char **pass = df_common_pass(&options->common);
    const struct df_sweep_options with = sweep_with(options, pass, &list, &commands, &report);
    df_status status = options->cancel ? DF_OK : check(spec, options, &with, err);

    if (status == DF_OK && !options->cancel)
        status = keep_failures(spec, options, err);
    if (status == DF_OK)
        status = options->cancel ? df_sweep_cancel(spec, &with, err) : df_sweep(spec, &with, summary, err);
    fputs(df_text_get(&list), stdout);
    fputs(df_text_get(&commands), stdout);
    print_report(&report);
    df_text_release(&list);
    df_text_release(&commands);
    df_text_release(&report);
    free(pass);
    return status;
}

static int run(const void *values, int count, char *const *arguments)
{
    const struct sweep_options *options = values;
    struct df_sweep_summary summary = { 0 };
    struct df_error err = { 0 };
    struct df_spec *spec;

    (void)count;
    if (df_common_spec(&options->common, arguments[0], &spec, &err) != DF_OK)
        return df_command_fail(&err);

    const df_status status = sweep(spec, options, &summary, &err);
    const bool undone = summary.left && ends_with_it(options) && !options->dry_run && !options->list;

    if (!options->cancel)
        print_end(spec, options, &summary, status);
    df_spec_free(spec);
    return status != DF_OK ? df_command_fail(&err) : summary.failed || undone ? 1 : 0;
}

const struct df_command df_command_sweep = {
    .name = "sweep",
    .summary = "run every cell of a spec that has no row yet",
    .usage = "defeat sweep SPEC [--jobs N] [--only PCRE] [--set KEY=VALUE] [--dry-run|--list] [--executor local|list|slurm]",
    .example = "defeat sweep ablations/specs/reproduce-table.json --only 'DeFeat.*seed=[01] '",
    .options = options_table,
    .options_size = sizeof(struct sweep_options),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run,
};
