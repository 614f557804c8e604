#include "ablations/executors/slurm_calls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/process.h"

const struct df_slurm_task *df_slurm_find(const struct df_slurm_tasks *tasks, int64_t job, int64_t index)
{
    for (size_t i = tasks->count; i-- > 0;)
        if (tasks->task[i].job == job && tasks->task[i].index == index)
            return &tasks->task[i];
    return NULL;
}

/* ---- running them ---- */

/* The first line, for a message. */
static int first_line(const struct df_text *text) { return (int)strcspn(df_text_get(text), "\n"); }

/* end->out is the caller's; an exit status that is not 0 is left to the caller. */
static df_status call(const char *const *words, struct df_process_end *end, struct df_error *err)
{
    static const char *const environment[] = { "LC_ALL=C", NULL };
    const df_status status = df_process_run(words, environment, end, err);

    if (status == DF_ERR_NOT_FOUND)
        return df_fail(err, status, "program '%s' is not there, expected it on the PATH [run this where Slurm is: on a login node]",
                       words[0]);
    return status;
}

static df_status refused(const char *const *words, const struct df_process_end *end, struct df_error *err)
{
    const struct df_text *said = end->err.length ? &end->err : &end->out;

    return df_fail(err, DF_ERR_CHECK, "%s: exit status %d: %.*s", words[0], end->status, first_line(said), df_text_get(said));
}

static df_status call_well(const char *const *words, struct df_process_end *end, struct df_error *err)
{
    DF_TRY(call(words, end, err));
    return end->status == 0 ? DF_OK : refused(words, end, err);
}

static df_status fail_form(const char *program, const char *line, const char *expected, struct df_error *err)
{
    return df_fail(err, DF_ERR_FORMAT, "%s: found '%.*s', expected %s", program, (int)strcspn(line, "\n"), line, expected);
}

/* ---- reading ---- */

/* "12_3" or "12"; an array's waiting part, "12_[4-9%2]", is none of them. */
static bool parse_name(const char *text, int64_t *job, int64_t *index)
{
    char first[24];
    const char *underline = strchr(text, '_');

    *index = -1;
    snprintf(first, sizeof first, "%.*s", underline ? (int)(underline - text) : 23, text);
    if (underline && (!df_parse_int(underline + 1, index) || *index < 0))
        return false;
    return df_parse_int(first, job) && *job > 0;
}

/* All states of Slurm 20 to 24, by what they mean here. */
static bool phase_of(const char *state, enum df_slurm_phase *phase)
{
    static const char *const pending[] = { "PENDING",     "CONFIGURING",   "REQUEUED",     "REQUEUE_HOLD",
                                           "REQUEUE_FED", "RESV_DEL_HOLD", "SPECIAL_EXIT", NULL },
                             *const running[] = { "RUNNING",   "COMPLETING", "SUSPENDED", "STOPPED",
                                                  "STAGE_OUT", "SIGNALING",  "RESIZING",  NULL },
                             *const ended[] = { "COMPLETED",     "FAILED",        "CANCELLED", "TIMEOUT", "NODE_FAIL",
                                                "PREEMPTED",     "BOOT_FAIL",     "DEADLINE",  "REVOKED", "OUT_OF_MEMORY",
                                                "LAUNCH_FAILED", "RECONFIG_FAIL", NULL };
    static const char *const *const words[] = { pending, running, ended };

    for (int i = 0; i < 3; i++)
        for (const char *const *word = words[i]; *word; word++)
            if (strcmp(state, *word) == 0) {
                *phase = (enum df_slurm_phase)i;
                return true;
            }
    return false;
}

/* "0:9": exit status and signal. */
static bool parse_exit(const char *text, int *out)
{
    const char *colon = strchr(text, ':');
    char first[16];
    int64_t code, number;

    snprintf(first, sizeof first, "%.*s", colon ? (int)(colon - text) : 0, text);
    if (!colon || !df_parse_int(first, &code) || !df_parse_int(colon + 1, &number))
        return false;
    *out = number ? -1 : (int)code;
    return true;
}

static void copy_field(char *out, size_t room, const char *text)
{
    const bool none = strcmp(text, "None") == 0 || strcmp(text, "(null)") == 0 || strcmp(text, "None assigned") == 0;

    snprintf(out, room, "%s", none ? "" : text);
}

static void add_task(struct df_slurm_tasks *tasks, const struct df_slurm_task *task)
{
    if ((tasks->count & (tasks->count - 1)) == 0)
        tasks->task = df_realloc(tasks->task, (tasks->count ? 2 * tasks->count : 1) * sizeof *tasks->task);
    tasks->task[tasks->count++] = *task;
}

enum { FIELDS = 4 };

/* Cuts a line "a|b|c|d" where the bars are. */
static bool split_fields(char *line, char *field[FIELDS])
{
    for (int i = 0; i < FIELDS; i++)
        field[i] = line + strlen(line); /* "" where there is none */
    for (int i = 0; i < FIELDS; i++) {
        char *bar = strchr(line, '|');

        field[i] = line;
        if ((bar != NULL) != (i + 1 < FIELDS))
            return false;
        if (bar)
            *bar = 0;
        line = bar ? bar + 1 : line;
    }
    return true;
}

/* Calls f for every line, as a text of its own, until one fails. */
static df_status each_line(const struct df_text *text, df_status (*f)(char *line, void *context, struct df_error *err), void *context,
                           struct df_error *err)
{
    const char *at = df_text_get(text);
    df_status status = DF_OK;

    while (*at && status == DF_OK) {
        const size_t length = strcspn(at, "\n");
        char *line = df_calloc(length + 1, 1);

        memcpy(line, at, length);
        if (length)
            status = f(line, context, err);
        free(line);
        at += length + (at[length] == '\n');
    }
    return status;
}

/* The tasks of "0-4,7,9-12:3%2", which ended all alike, before any of them was told apart. False: it is none. */
static bool add_range(struct df_slurm_tasks *tasks, struct df_slurm_task task, const char *range)
{
    const char *at = range;
    long first, last, step;
    int read;

    do {
        step = 1;
        if (sscanf(at, "%6ld%n", &first, &read) != 1)
            return false;
        at += read;
        last = first;
        if (sscanf(at, "-%6ld%n", &last, &read) == 1)
            at += read;
        if (sscanf(at, ":%6ld%n", &step, &read) == 1)
            at += read;
        if (first < 0 || last < first || step < 1)
            return false;
        for (task.index = first; task.index <= last; task.index += step)
            add_task(tasks, &task);
    } while (*at++ == ',');
    return at[-1] == 0 || at[-1] == '%' || at[-1] == ']';
}

/* ---- sbatch, scancel, scontrol requeue ---- */

static df_status parse_submitted(const struct df_text *out, int64_t *job, struct df_error *err)
{
    char number[24];

    snprintf(number, sizeof number, "%.*s", (int)strcspn(df_text_get(out), ";\n"), df_text_get(out));
    if (!df_parse_int(number, job) || *job <= 0)
        return fail_form("sbatch", df_text_get(out), "a job's number", err);
    if (strchr(df_text_get(out), ';'))
        return df_fail(err, DF_ERR_UNSUPPORTED, "sbatch: job %s went to another cluster: '%.*s' [cancel it; submit without --clusters]",
                       number, first_line(out), df_text_get(out));
    return DF_OK;
}

df_status df_slurm_submit(const char *const *words, int64_t *job, struct df_error *err)
{
    size_t n = 0;

    while (words[n])
        n++;

    const char **all = df_calloc(n + 3, sizeof *all);
    struct df_process_end end;

    all[0] = "sbatch";
    all[1] = "--parsable";
    memcpy(all + 2, words, n * sizeof *words);
    df_status status = call_well(all, &end, err);

    if (status == DF_OK)
        status = parse_submitted(&end.out, job, err);
    df_process_end_release(&end);
    free(all);
    return status;
}

df_status df_slurm_cancel(const int64_t *jobs, size_t count, struct df_error *err)
{
    const char **words = df_calloc(count + 2, sizeof *words);
    char(*number)[24] = df_calloc(count + 1, sizeof *number);
    struct df_process_end end = { 0 };

    words[0] = "scancel";
    for (size_t i = 0; i < count; i++) {
        snprintf(number[i], sizeof number[i], "%lld", (long long)jobs[i]);
        words[i + 1] = number[i];
    }
    const df_status status = count ? call_well(words, &end, err) : DF_OK;

    df_process_end_release(&end);
    free(number);
    free(words);
    return status;
}

df_status df_slurm_requeue(const char *task, struct df_error *err)
{
    const char *const words[] = { "scontrol", "requeue", task, NULL };
    struct df_process_end end;
    const df_status status = call_well(words, &end, err);

    df_process_end_release(&end);
    return status;
}

/* ---- squeue ---- */

static df_status read_queued(char *line, void *context, struct df_error *err)
{
    struct df_slurm_task task = { .exit = -1 };
    char *field[FIELDS];
    struct df_text whole = DF_TEXT_INIT;
    df_status status = DF_OK;

    df_text_add(&whole, line);
    if (!split_fields(line, field) || !parse_name(field[0], &task.job, &task.index) || !phase_of(field[1], &task.phase) ||
        strlen(field[1]) >= sizeof task.state)
        status = fail_form("squeue", whole.data, "job|state|nodes|reason", err);
    df_text_release(&whole);
    if (status != DF_OK)
        return status;
    snprintf(task.state, sizeof task.state, "%s", field[1]);
    copy_field(task.node, sizeof task.node, field[2]);
    copy_field(task.reason, sizeof task.reason, field[3]);
    add_task(context, &task);
    return DF_OK;
}

df_status df_slurm_queue(struct df_slurm_tasks *out, struct df_error *err)
{
    const char *const words[] = {
        "squeue", "--me", "--array", "--noheader", "--states=PENDING,CONFIGURING,RUNNING,SUSPENDED,COMPLETING", "--format=%i|%T|%N|%r", NULL
    };
    struct df_process_end end;

    *out = (struct df_slurm_tasks){ 0 };
    df_status status = call_well(words, &end, err);

    if (status == DF_OK)
        status = each_line(&end.out, read_queued, out, err);
    df_process_end_release(&end);
    return status;
}

/* ---- sacct, scontrol show job ---- */

/* The fields of a line, already cut; false: it has another form. */
static bool take_accounted(char *field[FIELDS], struct df_slurm_tasks *tasks)
{
    struct df_slurm_task task = { .exit = -1 };
    char *range = strstr(field[0], "_[");

    if (range)
        *range = 0;
    field[1][strcspn(field[1], " ")] = 0; /* "CANCELLED by 1000" */
    if (!parse_name(field[0], &task.job, &task.index) || !phase_of(field[1], &task.phase) || strlen(field[1]) >= sizeof task.state ||
        !parse_exit(field[2], &task.exit))
        return false;
    snprintf(task.state, sizeof task.state, "%s", field[1]);
    copy_field(task.node, sizeof task.node, field[3]);
    if (range) /* of one that waits squeue has the tasks */
        return task.phase != DF_SLURM_ENDED || add_range(tasks, task, range + 2);
    add_task(tasks, &task);
    return true;
}

static df_status read_accounted(char *line, void *context, struct df_error *err)
{
    struct df_text whole = DF_TEXT_INIT;
    char *field[FIELDS];

    df_text_add(&whole, line);
    const bool good = split_fields(line, field) && take_accounted(field, context);
    const df_status status = good ? DF_OK : fail_form("sacct", whole.data, "job|state|exit:signal|nodes", err);

    df_text_release(&whole);
    return status;
}

/* The value of " NAME=value ", which has no blanks; false: it is not there. */
static bool find_value(const char *line, const char *name, char *out, size_t room)
{
    const size_t length = strlen(name);

    for (const char *at = line; (at = strstr(at, name)); at += length)
        if ((at == line || at[-1] == ' ') && at[length] == '=') {
            snprintf(out, room, "%.*s", (int)strcspn(at + length + 1, " "), at + length + 1);
            return true;
        }
    return false;
}

static df_status read_shown(char *line, void *context, struct df_error *err)
{
    struct df_slurm_task task = { .index = -1, .exit = -1 };
    char job[24], array[24] = "", index[64] = "", exit[16] = "", node[128] = "", reason[128] = "";
    const bool in_array = find_value(line, "ArrayJobId", array, sizeof array);

    if (in_array)
        find_value(line, "ArrayTaskId", index, sizeof index);
    if (!find_value(line, "JobId", job, sizeof job) || !df_parse_int(in_array ? array : job, &task.job) ||
        !find_value(line, "JobState", task.state, sizeof task.state) || !phase_of(task.state, &task.phase) ||
        !find_value(line, "ExitCode", exit, sizeof exit) || !parse_exit(exit, &task.exit))
        return fail_form("scontrol", line, "JobId=, JobState= and ExitCode= of a job", err);
    find_value(line, "NodeList", node, sizeof node);
    find_value(line, "Reason", reason, sizeof reason);
    copy_field(task.node, sizeof task.node, node);
    copy_field(task.reason, sizeof task.reason, reason);
    if (!in_array || df_parse_int(index, &task.index))
        add_task(context, &task);
    else if (task.phase == DF_SLURM_ENDED && !add_range(context, task, index)) /* of one that waits squeue has the tasks */
        return fail_form("scontrol", line, "ArrayTaskId= of an array", err);
    return DF_OK;
}

/* One that Slurm has forgotten is no error. */
static df_status show_job(const char *job, struct df_slurm_tasks *out, struct df_error *err)
{
    const char *const words[] = { "scontrol", "--oneliner", "show", "job", job, NULL };
    struct df_process_end end;
    df_status status = call(words, &end, err);

    if (status == DF_OK && end.status != 0 && !strstr(df_text_get(&end.err), "Invalid job id"))
        status = refused(words, &end, err);
    if (status == DF_OK && end.status == 0)
        status = each_line(&end.out, read_shown, out, err);
    df_process_end_release(&end);
    return status;
}

/* True: there is accounting, and *out has its answer. */
static df_status ask_accounting(const char *list, struct df_slurm_tasks *out, bool *there, struct df_error *err)
{
    const char *const words[] = {
        "sacct", "--noheader", "--parsable2", "--allocations", "--jobs", list, "--format=JobID,State,ExitCode,NodeList", NULL
    };
    struct df_process_end end;
    df_status status = call(words, &end, err);

    *there = status == DF_OK && end.status == 0;
    if (*there)
        status = each_line(&end.out, read_accounted, out, err);
    else if (status == DF_OK && !strstr(df_text_get(&end.err), "accounting storage is disabled"))
        status = refused(words, &end, err);
    df_process_end_release(&end);
    return status;
}

df_status df_slurm_ended(const int64_t *jobs, size_t count, struct df_slurm_tasks *out, struct df_error *err)
{
    struct df_text list = DF_TEXT_INIT;
    bool there = true;

    for (size_t i = 0; i < count; i++)
        df_text_addf(&list, "%s%lld", i ? "," : "", (long long)jobs[i]);
    df_status status = count ? ask_accounting(list.data, out, &there, err) : DF_OK;

    for (size_t i = 0; i < count && !there && status == DF_OK; i++) {
        char job[24];

        snprintf(job, sizeof job, "%lld", (long long)jobs[i]);
        status = show_job(job, out, err);
    }
    df_text_release(&list);
    return status;
}

df_status df_slurm_state(const char *task, char state[24], struct df_error *err)
{
    struct df_slurm_tasks tasks = { 0 };
    int64_t job, index;

    if (!parse_name(task, &job, &index))
        return df_fail(err, DF_ERR_USAGE, "'%s' is no job of Slurm's: expected 12 or 12_3", task);
    df_status status = show_job(task, &tasks, err);
    const struct df_slurm_task *found = df_slurm_find(&tasks, job, index);

    if (status == DF_OK && !found)
        status = df_fail(err, DF_ERR_NOT_FOUND, "Slurm does not know job %s", task);
    if (status == DF_OK)
        snprintf(state, 24, "%s", found->state);
    free(tasks.task);
    return status;
}

/* ---- what this Slurm is like, and where we are ---- */

df_status df_slurm_array_limit(size_t *out, struct df_error *err)
{
    static const char name[] = "\nMaxArraySize";
    const char *const words[] = { "scontrol", "show", "config", NULL };
    struct df_process_end end;
    df_status status = call_well(words, &end, err);
    const char *found = status == DF_OK ? strstr(df_text_get(&end.out), name) : NULL;
    int64_t limit = -1;
    char value[32] = "";

    if (found)
        sscanf(found + strlen(name), " = %31[0-9]", value);
    if (status == DF_OK && (!df_parse_int(value, &limit) || limit < 0))
        status = df_fail(err, DF_ERR_FORMAT, "scontrol show config: found no 'MaxArraySize = <number>'");
    if (status == DF_OK)
        *out = (size_t)limit;
    df_process_end_release(&end);
    return status;
}

const char *df_slurm_here(char text[192])
{
    const char *job = getenv("SLURM_JOB_ID"), *array = getenv("SLURM_ARRAY_JOB_ID"), *index = getenv("SLURM_ARRAY_TASK_ID");
    const char *node = getenv("SLURMD_NODENAME");

    text[0] = 0;
    if (job && array && index)
        snprintf(text, 192, "job %.24s_%.24s on %.100s", array, index, node ? node : "?");
    else if (job)
        snprintf(text, 192, "job %.24s on %.100s", job, node ? node : "?");
    return text;
}
