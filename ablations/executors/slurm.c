/* `slurm`: a cluster. What cells stand on is a job each; the cells that stand on the same jobs are an array behind them (afterok), several cells
 * to a task if asked for. Nothing is submitted before all is known; then a job's number is kept as soon as Slurm has said it. Work that an earlier
 * call submitted and that has not ended is not submitted again: it is waited for. A task is `defeat task MANIFEST` (slurm_task.h).
 * Several submitters of one login node take turns (a lock); no lock is held between nodes, and a cell that runs twice leaves one row. */
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wordexp.h>

#include "ablations/executors/executor.h"
#include "ablations/executors/slurm_queue.h"
#include "ablations/run/store.h"
#include "core/base/file.h"
#include "core/base/shell.h"

#define POLL_FIRST  1.0  /* seconds between two questions to Slurm: from this */
#define POLL_LAST   30.0 /* to this */
#define ROUND_LEAST 0.2  /* seconds between two looks at what all items are at */

/* A piece of work that was handed over. */
struct item {
    struct df_slurm_work work; /* empty: it was submitted before */
    char *key;
    const struct df_cell *cell;
    size_t *after, afters; /* handles */
    int64_t job;           /* 0: not submitted yet */
    bool ended;
};
struct slurm {
    struct df_executor_options options;
    char *folder, *program;
    int lock;
    wordexp_t words; /* of --sbatch */
    struct df_slurm_queue queue;
    struct item *item;
    size_t items, before; /* before: those that were submitted by another call */
    size_t array_limit, manifests;
    bool submitted;
    double next, pause;       /* when Slurm may be asked again */
    size_t refusals;          /* how often it did not answer, in a row */
    size_t at;                /* the item that is looked at next */
    double round, round_next; /* when the items were begun with, and when they may be again */
};

/* ---- what is asked for ---- */

/* As a shell splits them, without commands in them. */
static df_status split_words(const char *text, wordexp_t *out, struct df_error *err)
{
    const int failed = wordexp(text, out, WRDE_NOCMD | WRDE_UNDEF);

    if (failed == WRDE_NOSPACE)
        df_out_of_memory(0);
    if (failed)
        return df_fail(err, DF_ERR_USAGE, "--sbatch '%s': %s (expected words of sbatch, such as '--partition=gpu --gres=gpu:1')", text,
                       failed == WRDE_SYNTAX   ? "a quote is not closed"
                       : failed == WRDE_BADVAL ? "a variable in it is not set"
                                               : "it holds what only a shell may run");
    return DF_OK;
}

/* The signal's name of "USR2@90"; "" of "". */
static df_status read_signal(const char *text, char name[8], struct df_error *err)
{
    static const char *const names[] = { "TERM", "USR1", "USR2", NULL };
    const char *at = strchr(text, '@');
    int64_t seconds;

    snprintf(name, 8, "%.*s", at ? (int)(at - text) : 0, text);
    for (const char *const *known = names; *known; known++)
        if (at && strcmp(name, *known) == 0 && df_parse_int(at + 1, &seconds) && seconds > 0 && seconds < 65536)
            return DF_OK;
    name[0] = 0;
    return *text ? df_fail(err, DF_ERR_USAGE, "--signal '%s': expected TERM, USR1 or USR2, @ and seconds, such as USR2@90", text) : DF_OK;
}

/* This very program, by a name that other nodes know too. */
static df_status find_program(const char *program, char **out, struct df_error *err)
{
    char path[PATH_MAX];

    if (!realpath(program, path))
        return df_fail(err, DF_ERR_IO, "cannot find this program as '%s' [it must lie where every node sees it]", program);
    *out = df_strdup(path);
    return DF_OK;
}

/* Others that submit this spec from here are waited for. */
static df_status take_turn(struct slurm *slurm, struct df_error *err)
{
    char *lock = df_path_join(slurm->folder, "lock");
    df_status status = df_folder_make(slurm->folder, err);

    if (status == DF_OK)
        status = df_lock(lock, false, &slurm->lock, err);
    free(lock);
    return status;
}

static df_status open_all(struct slurm *slurm, struct df_error *err)
{
    char signal[8];

    DF_TRY(read_signal(slurm->options.slurm.signal, signal, err));
    DF_TRY(split_words(slurm->options.slurm.sbatch, &slurm->words, err));
    DF_TRY(find_program(slurm->options.program, &slurm->program, err));
    DF_TRY(df_slurm_array_limit(&slurm->array_limit, err));
    DF_TRY(take_turn(slurm, err));
    DF_TRY(df_slurm_queue_read(slurm->options.out, slurm->options.spec, &slurm->queue, err));
    return df_slurm_queue_ask(&slurm->queue, err);
}

static void slurm_close(void *state)
{
    struct slurm *slurm = state;

    for (size_t i = 0; i < slurm->items; i++) {
        df_slurm_work_release(&slurm->item[i].work);
        free(slurm->item[i].key);
        free(slurm->item[i].after);
    }
    free(slurm->item);
    df_slurm_queue_release(&slurm->queue);
    wordfree(&slurm->words);
    df_unlock(slurm->lock);
    free(slurm->folder);
    free(slurm->program);
    free(slurm);
}

static df_status slurm_open(const struct df_executor_options *options, void **state, struct df_error *err)
{
    struct slurm *slurm = df_calloc(1, sizeof *slurm);

    *slurm = (struct slurm){ .options = *options, .folder = df_slurm_folder(options->out, options->spec), .lock = -1, .pause = POLL_FIRST };
    const df_status status = open_all(slurm, err);

    *state = status == DF_OK ? slurm : NULL;
    if (status != DF_OK)
        slurm_close(slurm);
    return status;
}

static size_t slurm_slots(const void *state)
{
    (void)state;
    return SIZE_MAX;
}

/* ---- handing over ---- */

/* What makes two pieces of work the same: the cell, else the words. */
static char *key_of(const struct df_work *work)
{
    struct df_text key = DF_TEXT_INIT;

    if (work->cell)
        return df_strdup(work->cell->id);
    for (const char *const *word = work->words + 1; *word; word++)
        df_shell_add(&key, *word);
    return key.data;
}

static df_status slurm_start(void *state, const struct df_work *work, size_t *handle, struct df_error *err)
{
    struct slurm *slurm = state;
    struct item item = { .key = key_of(work), .cell = work->cell, .afters = work->afters };
    struct df_slurm_place place;

    (void)err;
    DF_ASSERT(!slurm->submitted);
    item.after = df_calloc(work->afters + 1, sizeof *item.after);
    for (size_t i = 0; i < work->afters; i++)
        item.after[i] = work->after[i];
    if (df_slurm_queue_find(&slurm->queue, item.key, &place) && !place.part->seen) {
        item.job = place.manifest->job;
        slurm->before++;
    } else {
        item.work = df_slurm_work_new(work->title, item.key, work->log, work->cell != NULL, work->words);
    }
    slurm->item = df_realloc(slurm->item, (slurm->items + 1) * sizeof *slurm->item);
    slurm->item[slurm->items] = item;
    *handle = slurm->items++;
    return DF_OK;
}

/* ---- submitting ---- */

/* The words of an sbatch. */
struct words {
    char **word;
    size_t count;
};

static void add_word(struct words *words, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add_word(struct words *words, const char *format, ...)
{
    va_list arguments;
    char *word;

    va_start(arguments, format);
    if (vasprintf(&word, format, arguments) < 0)
        df_out_of_memory(0);
    va_end(arguments);
    words->word = df_realloc(words->word, (words->count + 2) * sizeof *words->word);
    words->word[words->count++] = word;
    words->word[words->count] = NULL;
}

static void words_release(struct words *words)
{
    for (size_t i = 0; i < words->count; i++)
        free(words->word[i]);
    free(words->word);
}

/* "%" is sbatch's own in a log's name. */
static void add_log(struct words *words, const struct df_slurm_manifest *manifest)
{
    struct df_text path = DF_TEXT_INIT;

    for (const char *c = manifest->stem; *c; c++)
        df_text_addf(&path, *c == '%' ? "%%%c" : "%c", *c);
    add_word(words, "--output=%s%s.log", path.data, manifest->array ? ".%a" : "");
    df_text_release(&path);
}

/* "--dependency=afterok:12:13": the jobs that the item stands on, each once. */
static void add_dependency(struct words *words, const struct slurm *slurm, const struct item *item)
{
    struct df_text jobs = DF_TEXT_INIT;

    for (size_t i = 0; i < item->afters; i++) {
        const int64_t job = slurm->item[item->after[i]].job;
        bool before = false;

        for (size_t k = 0; k < i; k++)
            before |= slurm->item[item->after[k]].job == job;
        if (!before)
            df_text_addf(&jobs, ":%lld", (long long)job);
    }
    if (jobs.length)
        add_word(words, "--dependency=afterok%s", jobs.data);
    df_text_release(&jobs);
}

static void add_task(struct words *words, const struct slurm *slurm, const struct df_slurm_manifest *manifest)
{
    char *path = df_slurm_path(manifest, ".json");
    struct df_text command = DF_TEXT_INIT;

    df_text_add(&command, "exec");
    df_shell_add(&command, slurm->program);
    df_shell_add(&command, "task");
    df_shell_add(&command, path);
    add_word(words, "--wrap=%s", command.data);
    df_text_release(&command);
    free(path);
}

/* Ours, then the user's: of two that say the same the last holds. The program is the batch step itself: B:. */
static void submit_words(const struct slurm *slurm, const struct df_slurm_manifest *manifest, const struct item *first, struct words *out)
{
    const struct df_slurm_options *options = &slurm->options.slurm;

    *out = (struct words){ 0 };
    add_word(out, "--job-name=defeat %s", slurm->options.spec);
    add_log(out, manifest);
    add_word(out, "--open-mode=append");
    add_word(out, "--requeue");
    add_word(out, "--kill-on-invalid-dep=yes");
    if (options->signal[0])
        add_word(out, "--signal=B:%s", options->signal);
    if (manifest->array && options->throttle)
        add_word(out, "--array=0-%zu%%%zu", manifest->parts - 1, options->throttle);
    else if (manifest->array)
        add_word(out, "--array=0-%zu", manifest->parts - 1);
    add_dependency(out, slurm, first);
    for (size_t i = 0; i < slurm->words.we_wordc; i++)
        add_word(out, "%s", slurm->words.we_wordv[i]);
    add_task(out, slurm, manifest);
}

/* "<folder>/20260131T235959Z-<process>-<number>" */
static char *new_stem(struct slurm *slurm)
{
    struct df_text path = DF_TEXT_INIT;
    char utc[24];

    df_utc(utc);
    df_text_addf(&path, "%s/", slurm->folder);
    for (const char *c = utc; *c; c++)
        if (*c != '-' && *c != ':')
            df_text_add_bytes(&path, c, 1);
    df_text_addf(&path, "-%07ld-%05zu", (long)getpid(), slurm->manifests++);
    return path.data;
}

static void report(const struct slurm *slurm, const struct df_slurm_manifest *manifest, const struct item *first, size_t works)
{
    struct df_text *out = slurm->options.slurm.report;
    const char *title = manifest->part[0].work[0].title;

    if (!out)
        return;
    df_text_addf(out, "job %lld: ", (long long)manifest->job);
    if (!first->cell)
        df_text_addf(out, "%s", title);
    else if (works == 1)
        df_text_addf(out, "1 cell (%s)", title);
    else
        df_text_addf(out, "%zu cells in %zu tasks", works, manifest->parts);
    for (size_t i = 0; i < first->afters; i++)
        df_text_addf(out, "%s%lld", i ? ", " : ", after ", (long long)slurm->item[first->after[i]].job);
    df_text_add(out, "\n");
}

/* What an older failure said goes, what a job wrote into its log before too; a log's folder is there. */
static df_status make_ready(const struct slurm *slurm, const struct item *item, struct df_error *err)
{
    if (!item->cell)
        return df_file_remove(item->work.log, err);

    char *folder = df_store_cell_folder(slurm->options.out, item->cell);
    df_status status = df_folder_make(folder, err);

    if (status == DF_OK)
        status = df_store_forget_failure(slurm->options.out, item->cell, err);
    free(folder);
    return status;
}

static df_status call_sbatch(struct slurm *slurm, struct df_slurm_manifest *manifest, const struct item *first, struct df_error *err)
{
    struct words words;

    submit_words(slurm, manifest, first, &words);
    const df_status status = df_slurm_submit((const char *const *)words.word, &manifest->job, err);

    words_release(&words);
    if (status != DF_OK) {
        char *path = df_slurm_path(manifest, ".json");

        remove(path);
        free(path);
    }
    return status;
}

/* A job whose number cannot be kept would be submitted a second time: it is taken back. */
static df_status keep_job(struct df_slurm_manifest *manifest, struct df_error *err)
{
    const df_status status = df_slurm_job_write(manifest, err);

    if (status == DF_OK)
        return DF_OK;
    const int64_t job = manifest->job;

    manifest->job = 0;
    if (df_slurm_cancel(&job, 1, NULL) == DF_OK)
        return status;
    return df_fail_in(err, status, "job %lld was submitted and is not kept [scancel %lld]", (long long)job, (long long)job);
}

/* `chosen`: [count] items that stand on the same; each goes with `per_task` others to a task. */
static df_status submit(struct slurm *slurm, const size_t *chosen, size_t count, size_t per_task, struct df_error *err)
{
    const struct item *first = &slurm->item[chosen[0]];
    struct df_slurm_manifest manifest = { .stem = new_stem(slurm),
                                          .requeues = slurm->options.slurm.requeues,
                                          .parts = (count + per_task - 1) / per_task };
    df_status status = read_signal(slurm->options.slurm.signal, manifest.signal, err);

    manifest.array = manifest.parts > 1;
    manifest.part = df_calloc(manifest.parts, sizeof *manifest.part);
    for (size_t i = 0; i < count && status == DF_OK; i++) {
        struct df_slurm_part *part = &manifest.part[i / per_task];

        if (!part->works)
            part->work = df_calloc(per_task, sizeof *part->work);
        part->work[part->works++] = slurm->item[chosen[i]].work;
        slurm->item[chosen[i]].work = (struct df_slurm_work){ 0 };
    }
    if (status == DF_OK)
        status = df_slurm_manifest_write(&manifest, err);
    if (status == DF_OK)
        status = call_sbatch(slurm, &manifest, first, err);
    if (status == DF_OK)
        status = keep_job(&manifest, err);
    for (size_t i = 0; i < count; i++)
        slurm->item[chosen[i]].job = manifest.job;
    if (status == DF_OK)
        report(slurm, &manifest, first, count);
    df_slurm_manifest_release(&manifest);
    return status;
}

static bool stand_on_the_same(const struct item *a, const struct item *b)
{
    if (a->afters != b->afters)
        return false;
    for (size_t i = 0; i < a->afters; i++)
        if (a->after[i] != b->after[i])
            return false;
    return true;
}

/* The next items that can be one array: the first that was not submitted, and those of its kind, `most` of them. */
static size_t choose(const struct slurm *slurm, size_t first, size_t most, size_t *chosen)
{
    size_t n = 0;

    for (size_t i = first; i < slurm->items && n < most; i++) {
        const struct item *item = &slurm->item[i];

        if (!item->job && item->cell && stand_on_the_same(item, &slurm->item[first]))
            chosen[n++] = i;
    }
    return n;
}

static df_status submit_all(struct slurm *slurm, struct df_error *err)
{
    const size_t per_task = slurm->options.slurm.cells_per_task, tasks = slurm->array_limit ? slurm->array_limit : 1;
    size_t *chosen = df_calloc(slurm->items + 1, sizeof *chosen);
    df_status status = df_slurm_queue_forget(&slurm->queue, err);

    for (size_t i = 0; i < slurm->items && status == DF_OK; i++)
        if (!slurm->item[i].job)
            status = make_ready(slurm, &slurm->item[i], err);
    for (size_t i = 0; i < slurm->items && status == DF_OK; i++) {
        size_t count = 1;

        if (slurm->item[i].job)
            continue;
        chosen[0] = i;
        if (slurm->item[i].cell)
            count = choose(slurm, i, tasks * per_task, chosen);
        status = submit(slurm, chosen, count, slurm->item[i].cell ? per_task : 1, err);
    }
    free(chosen);
    if (status == DF_OK && slurm->before && slurm->options.slurm.report)
        df_text_addf(slurm->options.slurm.report, "submitted before, and not again: %zu\n", slurm->before);
    if (status != DF_OK)
        return df_fail_in(err, status,
                          "not everything was submitted [the same command submits the rest; where a limit of the site is met: later, or "
                          "with more --cells-per-task]");
    return DF_OK;
}

/* ---- what comes of it ---- */

/* A Slurm that does not answer is asked again: it may be restarting. */
static df_status ask_again(struct slurm *slurm, struct df_error *err)
{
    struct df_error said = { 0 };

    if (df_now() < slurm->next)
        return DF_OK;
    df_slurm_queue_release(&slurm->queue);
    DF_TRY(df_slurm_queue_read(slurm->options.out, slurm->options.spec, &slurm->queue, err));
    if (df_slurm_queue_ask(&slurm->queue, &said) == DF_OK)
        slurm->refusals = 0;
    else if (slurm->refusals++ == 0)
        df_warn("%s (asked again until it answers)", said.text);
    slurm->next = df_now() + slurm->pause;
    slurm->pause = slurm->pause * 1.5 < POLL_LAST ? slurm->pause * 1.5 : POLL_LAST;
    return DF_OK;
}

/* The items are looked at one after the other, up to the next that has ended. A round of them reads files of each: it may take a twentieth of the
 * time at most. */
static bool may_look(struct slurm *slurm)
{
    if (slurm->at < slurm->items)
        return true;
    if (df_now() < slurm->round_next)
        return false;
    slurm->round = df_now();
    slurm->at = 0;
    return true;
}

/* A sweep beside this one lets go of what has ended: then who started the work learns from its row, if from anything, what came of it. */
static df_status look_at(const struct slurm *slurm, const struct item *item, bool *ended, struct df_work_end *end, struct df_error *err)
{
    struct df_slurm_place place;

    if (df_slurm_queue_find(&slurm->queue, item->key, &place))
        return df_slurm_outcome(&place, item->cell, slurm->options.out, ended, end, err);
    *ended = true;
    *end = (struct df_work_end){ .exit = -1 };
    snprintf(end->reason, sizeof end->reason, "job %lld: it has ended, and another sweep has seen how", (long long)item->job);
    return DF_OK;
}

static df_status slurm_poll(void *state, bool *ended, struct df_work_end *end, struct df_error *err)
{
    struct slurm *slurm = state;

    *ended = false;
    if (!slurm->submitted) {
        slurm->submitted = true;
        slurm->at = slurm->items;
        const df_status status = submit_all(slurm, err);

        df_unlock(slurm->lock);
        slurm->lock = -1;
        return status;
    }
    DF_TRY(ask_again(slurm, err));
    if (!may_look(slurm))
        return DF_OK;
    for (; slurm->at < slurm->items && !*ended; slurm->at++) {
        struct item *item = &slurm->item[slurm->at];

        if (item->ended)
            continue;
        DF_TRY(look_at(slurm, item, ended, end, err));
        item->ended = *ended;
        end->handle = slurm->at;
    }
    if (slurm->at == slurm->items)
        slurm->round_next = df_now() + fmin(fmax(ROUND_LEAST, 20 * (df_now() - slurm->round)), POLL_LAST);
    return DF_OK;
}

/* All that this spec has with Slurm, also what others submitted. */
static df_status slurm_stop(void *state, bool at_once, struct df_error *err)
{
    struct slurm *slurm = state;
    size_t count;
    int64_t *jobs = df_slurm_queue_jobs(&slurm->queue, &count);
    const df_status status = df_slurm_cancel(jobs, count, err);

    if (count == 0 && slurm->options.slurm.report)
        df_text_add(slurm->options.slurm.report, "nothing to cancel: no job of this spec is with Slurm\n");
    (void)at_once; /* Slurm sends TERM, and KILL after its KillWait */
    for (size_t i = 0; i < count && status == DF_OK && slurm->options.slurm.report; i++)
        df_text_addf(slurm->options.slurm.report, "cancelled: job %lld\n", (long long)jobs[i]);
    free(jobs);
    return status;
}

const struct df_executor_class df_executor_slurm = {
    .name = "slurm",
    .summary = "a cluster: jobs for teachers and caches, then arrays of cells",
    .ahead = true,
    .open = slurm_open,
    .slots = slurm_slots,
    .start = slurm_start,
    .poll = slurm_poll,
    .stop = slurm_stop,
    .close = slurm_close,
};
