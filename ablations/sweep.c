/* The sweep. An executor (executors/executor.h) has the work done, each piece the exec of `defeat run SPEC --cell K --id ID`. What came of it is
 * its cell's row, which it writes itself; the sweep writes one only for work that ended without. A cell is taken under a lock file, so that
 * several sweeps may share a tree; where locks are not seen, a cell may be done twice, and nothing comes of it. Jobs before cells, for each
 * teacher: "teacher" trains (if there is none) and gates, "cache" builds its cache; for a variant, behind those, "identity" (before more than ten
 * cells) proves that weights of 0 change nothing. Cells that a teacher does not teach do not wait for it, unless it is there already: then the
 * gate comes before everything. Of an executor that looks ahead no lock is taken: what runs elsewhere does not see it. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "ablations/sweep.h"

#include <math.h>
#include <pcre2.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ablations/executors/executors.h"
#include "ablations/run/store.h"
#include "ablations/watch.h"
#include "core/base/file.h"
#include "core/base/progress.h"
#include "core/base/shell.h"
#include "core/metrics/coco_eval.h"
#include "results/tuning.h"

#define LOOK_SECONDS    1.0  /* between two looks at what the workers tell */
#define TABLES_SECONDS  30.0 /* between two makings of the CSV tables */
#define UNCHECKED_CELLS 10   /* so many are run without asking whether weights of 0 change nothing */

enum state { WAITING, RUNNING, DONE, FAILED, LEFT, ELSEWHERE /* done by another sweep meanwhile */ };

struct task {
    const struct df_cell *cell;
    size_t index; /* in the spec */
    const struct df_spec_variant *variant;
    enum state state;
    int lock; /* -1: not held */
    double started;
    char utc[24];
};
/* What was given to the executor; its place is the executor's handle. */
struct worker {
    bool running;
    int job; /* enum df_job, of plan; -1: a cell, task */
    struct plan *plan;
    struct task *task;
    char name[256], *progress, *log; /* what its lines are called; its files, NULL: idle */
    size_t read;                     /* of the log */
    double started;
};
/* What has to be done before the cells that a teacher of a variant teaches: its jobs, in turn. teacher NULL: before all that are taught, behind
 * the plans of all their teachers. */
struct plan {
    const struct df_spec_variant *variant;
    const struct df_spec_teacher *teacher;
    enum state job[DF_JOBS];
    size_t handle[DF_JOBS]; /* of a job that was started */
    bool gate_first;
};
struct sweep {
    const struct df_spec *spec;
    const struct df_sweep_options *options;
    char *folder; /* <out>/<spec> */
    struct task *task;
    size_t tasks;
    const struct df_executor_class *executor;
    void *state; /* the executor's */
    struct worker *worker;
    size_t workers;
    struct plan *plan;
    size_t plans;
    double seconds; /* of finished cells, summed */
    size_t timed;
    bool ended;         /* a cell, since the tables were made */
    double tables_next; /* when they may be made again */
    double end;         /* when it stops by itself */
    struct df_progress *bar;
    struct df_warnings warnings;   /* of the workers */
    struct df_progress_view *view; /* of each worker, the busy ones first */
    size_t views;
    double eta, look_next; /* when the workers are looked at again */
    struct df_error fault;
};

static volatile sig_atomic_t stops;                        /* how often the user asked to stop */
static const int stopping[] = { SIGINT, SIGTERM, SIGHUP }; /* by these; the last: the terminal was closed */

static void on_signal(int number)
{
    (void)number;
    stops++;
}

/* ---- which cells ------------------------------------------------------------------------------------------------------------------ */

/* "label axes seed=3 defeat.w_fg=4 defeat.w_bg=16 ...": what --only is matched with. */
static void selection_text(const struct df_cell *cell, struct df_text *out)
{
    df_text_clear(out);
    df_text_addf(out, "%s %s seed=%lld", cell->label, cell->axes, (long long)cell->seed);
    for (size_t i = 0; i < cell->distillers; i++) {
        cJSON *options = df_options_write(cell->distiller[i].class->options, cell->distiller[i].options);
        const cJSON *member;

        cJSON_ArrayForEach(member, options)
        {
            df_text_addf(out, " %s.%s=", cell->distiller[i].class->name, member->string);
            if (cJSON_IsString(member))
                df_text_add(out, member->valuestring);
            else
                df_json_canonical(member, out);
        }
        cJSON_Delete(options);
    }
}

static df_status compile_only(const char *only, pcre2_code **out, struct df_error *err)
{
    int code;
    PCRE2_SIZE at;

    *out = NULL;
    if (!only)
        return DF_OK;
    *out = pcre2_compile((PCRE2_SPTR)only, PCRE2_ZERO_TERMINATED, PCRE2_UTF, &code, &at, NULL);
    if (*out)
        return DF_OK;
    if (code == PCRE2_ERROR_HEAP_FAILED)
        df_out_of_memory(0);

    PCRE2_UCHAR text[256];

    pcre2_get_error_message(code, text, sizeof text);
    return df_fail(err, DF_ERR_USAGE, "--only '%s': %s at character %zu (expected a PCRE2 regular expression)", only, (const char *)text,
                   at);
}

/* That the search gave up says nothing of the text: an error. */
static df_status matches(const pcre2_code *code, const char *only, const char *text, bool *yes, struct df_error *err)
{
    pcre2_match_data *data = pcre2_match_data_create_from_pattern(code, NULL);
    const int result = data ? pcre2_match(code, (PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED, 0, 0, data, NULL) : PCRE2_ERROR_NOMEMORY;
    PCRE2_UCHAR reason[256] = "";

    pcre2_match_data_free(data);
    if (result == PCRE2_ERROR_NOMEMORY)
        df_out_of_memory(0);
    *yes = result >= 0;
    if (*yes || result == PCRE2_ERROR_NOMATCH)
        return DF_OK;
    pcre2_get_error_message(result, reason, sizeof reason);
    return df_fail(err, DF_ERR_USAGE, "--only '%s': cannot say whether it matches '%s': %s [a simpler expression]", only, text,
                   (const char *)reason);
}

/* By names alone: a finished cell is one whose row is there. */
static df_status select_cell(struct sweep *s, size_t index, const pcre2_code *only, struct df_sweep_summary *summary, struct df_error *err)
{
    const struct df_cell *cell = s->spec->cell[index];
    struct df_text text = DF_TEXT_INIT;
    bool selected = !only, finished = false;

    if (only) {
        selection_text(cell, &text);
        const df_status status = matches(only, s->options->only, df_text_get(&text), &selected, err);

        df_text_release(&text);
        DF_TRY(status);
    }
    if (!selected)
        return DF_OK;
    DF_TRY(df_store_finished(s->options->run.out, cell, &finished, err));
    summary->selected++;
    summary->already += finished;
    if (!finished || s->options->list_all)
        s->task[s->tasks++] = (struct task){ .cell = cell, .index = index, .state = finished ? DONE : WAITING, .lock = -1 };
    return DF_OK;
}

static df_status select_cells(struct sweep *s, struct df_sweep_summary *summary, struct df_error *err)
{
    pcre2_code *only;
    df_status status = DF_OK;

    DF_TRY(df_store_check(s->folder, err));
    DF_TRY(compile_only(s->options->only, &only, err));
    s->task = df_calloc(s->spec->count, sizeof *s->task);
    for (size_t i = 0; i < s->spec->count && status == DF_OK; i++)
        status = select_cell(s, i, only, summary, err);
    pcre2_code_free(only);
    if (status == DF_OK && !summary->selected)
        status = df_fail(err, DF_ERR_USAGE, "--only '%s' selects none of the %zu cells of '%s' [--list without --only lists them]",
                         s->options->only, s->spec->count, s->spec->name);
    return status;
}

/* ---- workers ---------------------------------------------------------------------------------------------------------------------- */

static size_t count_words(const char *const *words)
{
    size_t n = 0;

    while (words && words[n])
        n++;
    return n;
}

/* The program's name, the given first words, --out and what is passed on; free() the array. */
static char **worker_words(const struct sweep *s, const char *const *first)
{
    const char *const out[] = { "--out", s->options->run.out, NULL }, *const program[] = { df_program_called(), NULL };
    const char *const *const parts[] = { program, first, out, s->options->pass };
    size_t room = 1, n = 0;

    for (size_t i = 0; i < 4; i++)
        room += count_words(parts[i]);

    char **words = df_calloc(room, sizeof *words);

    for (size_t i = 0; i < 4; i++)
        for (const char *const *word = parts[i]; word && *word; word++)
            words[n++] = (char *)(uintptr_t)*word;
    return words;
}

static void leave(struct worker *worker)
{
    free(worker->progress);
    free(worker->log);
    worker->progress = worker->log = NULL;
}

/* Room for what the executor calls by the handle. */
static struct worker *worker_at(struct sweep *s, size_t handle)
{
    if (handle >= s->workers) {
        const size_t room = 2 * handle + 1;

        s->worker = df_realloc(s->worker, room * sizeof *s->worker);
        memset(s->worker + s->workers, 0, (room - s->workers) * sizeof *s->worker);
        s->workers = room;
    }
    return &s->worker[handle];
}

/* Has the program started with the given first words. `as`: what it is for; its files become the worker's, and of a failure nobody's. */
static df_status start_work(struct sweep *s, struct df_work *work, const char *const *first, struct worker *as, size_t *handle,
                            struct df_error *err)
{
    char **words = worker_words(s, first);

    work->title = as->name;
    work->log = as->log;
    work->words = (const char *const *)words;
    const df_status status = s->executor->start(s->state, work, handle, err);

    free(words);
    if (status == DF_OK) {
        struct worker *worker = worker_at(s, *handle);

        as->running = true;
        as->started = df_now();
        leave(worker); /* what was called by this handle before */
        *worker = *as;
    } else {
        leave(as);
    }
    return status;
}

/* locked: the sweep holds the cell's lock, or nobody needs one. */
static df_status start_cell_work(struct sweep *s, struct task *task, bool locked, const size_t *after, size_t afters, struct df_error *err)
{
    const char *out = s->options->run.out;
    char number[24];
    const char *const first[] = { "run", s->spec->path, "--cell", number, "--id", task->cell->id, locked ? "--locked" : NULL, NULL };
    struct df_work work = { .cell = task->cell, .after = after, .afters = afters };
    struct worker as = { .job = -1,
                         .task = task,
                         .progress = df_store_cell_file(out, task->cell, DF_CELL_PROGRESS),
                         .log = df_store_cell_file(out, task->cell, DF_CELL_LOG) };
    size_t handle;

    df_watch_cell_name(task->cell, as.name, sizeof as.name);
    snprintf(number, sizeof number, "%zu", task->index);
    df_utc(task->utc);
    task->started = df_now();
    (void)df_file_size(as.log, &as.read, NULL); /* what an earlier try has left */
    DF_TRY(start_work(s, &work, first, &as, &handle, err));
    task->state = RUNNING;
    return DF_OK;
}

/* Under the cell's lock. Another sweep may have finished it since we looked; what is said of an older failure goes. */
static df_status start_locked(struct sweep *s, struct task *task, struct df_error *err)
{
    const char *out = s->options->run.out;
    bool finished = false;

    DF_TRY(df_store_finished(out, task->cell, &finished, err));
    if (finished) {
        task->state = ELSEWHERE;
        return DF_OK;
    }
    DF_TRY(df_store_forget_failure(out, task->cell, err));
    return start_cell_work(s, task, true, NULL, 0, err);
}

/* WAITING -> RUNNING, or ELSEWHERE when another sweep did it, or still WAITING when another sweep holds it. */
static df_status start_cell(struct sweep *s, struct task *task, struct df_error *err)
{
    const char *out = s->options->run.out;
    char *folder = df_store_cell_folder(out, task->cell), *lock = df_store_cell_file(out, task->cell, DF_CELL_LOCK);
    df_status status = df_folder_make(folder, err);

    if (status == DF_OK)
        status = df_lock(lock, true, &task->lock, err);
    if (status == DF_OK && task->lock >= 0)
        status = start_locked(s, task, err);
    if (task->state != RUNNING) {
        df_unlock(task->lock);
        task->lock = -1;
    }
    free(folder);
    free(lock);
    return status;
}

/* Of its teacher; "": it has none, or its only one. */
static const char *name_of(const struct plan *plan) { return plan->teacher ? plan->teacher->which : ""; }

static char *job_log(const struct sweep *s, const struct plan *plan, enum df_job job)
{
    return df_watch_job_log(s->options->run.out, s->spec, plan->variant, name_of(plan), job);
}

static df_status start_job(struct sweep *s, struct plan *plan, enum df_job job, const size_t *after, size_t afters, struct df_error *err)
{
    const char *const first[] = {
        "prepare",     s->spec->path, "--stage", df_job_names[job], "--id", plan->variant->first->id, name_of(plan)[0] ? "--which" : NULL,
        name_of(plan), NULL
    };
    struct df_work work = { .after = after, .afters = afters };
    struct worker as = { .job = (int)job,
                         .plan = plan,
                         .progress = df_watch_job_progress(s->options->run.out, s->spec, plan->variant, name_of(plan), job),
                         .log = job_log(s, plan, job) };
    const df_status status = s->executor->ahead ? DF_OK : df_file_remove(as.log, err); /* an older one would be taken for this job's */

    df_watch_job_name(name_of(plan), job, as.name, sizeof as.name);
    if (status != DF_OK) {
        leave(&as);
        return status;
    }
    DF_TRY(start_work(s, &work, first, &as, &plan->handle[job], err));
    plan->job[job] = RUNNING;
    return DF_OK;
}

/* ---- what ended ------------------------------------------------------------------------------------------------------------------- */

static void job_ended(struct sweep *s, struct plan *plan, enum df_job job, const struct df_work_end *end)
{
    char tail[1280], name[256], *log;
    const bool said = end->exit == 1;

    plan->job[job] = end->exit == 0 ? DONE : end->began ? FAILED : LEFT;
    if (end->exit == 0 || stops || !end->began)
        return;
    log = job_log(s, plan, job);
    df_work_log_tail(log, tail, sizeof tail);
    free(log);
    df_watch_job_name(name_of(plan), job, name, sizeof name);
    df_fail(&s->fault, said ? DF_ERR_CHECK : DF_ERR_IO, "%s%s: no cell that needs the teacher was started: %s",
            job == DF_JOB_IDENTITY ? "" : "the ", name, said ? tail : end->reason);
}

static void tell_outcome(const struct task *task, const struct df_run_row *row, const char *reason)
{
    char percent[32], name[256];

    df_watch_cell_name(task->cell, name, sizeof name);
    df_progress_clear_line();
    fprintf(stderr, "%s: ", df_shown(name).text);
    if (df_run_row_ok(row))
        fprintf(stderr, "%s, %.0f s\n", df_coco_percent(df_run_row_score(row, "AP", ""), percent), df_now() - task->started);
    else
        fprintf(stderr, "%s%s\n", row ? "" : "failed: ", df_shown(row ? row->status : reason).text);
}

/* Work that can still write a row does so itself; for some that ended without, it is written here. */
static df_status cell_ended(struct sweep *s, struct task *task, const struct df_work_end *end, struct df_error *err)
{
    const bool interrupted = !end->began || (stops && (end->exit < 0 || end->exit == 130));
    const char *out = s->options->run.out;
    struct df_journal *journal = NULL;
    df_status status = df_store_read_cell(out, task->cell, &journal, err);
    const struct df_run_row *row = journal && journal->runs ? &journal->run[0] : NULL;

    if (journal && s->options->tuning)
        df_journal_judge_by_curve(journal, "tune");
    task->state = df_run_row_ok(row) ? DONE : interrupted ? LEFT : FAILED;
    if (status == DF_OK && task->state == FAILED && !row)
        status = df_store_put_failure(out, task->cell, task->utc, end->reason, err);
    if (task->state != LEFT)
        tell_outcome(task, row, end->reason);
    s->seconds += df_now() - task->started;
    s->timed++;
    s->ended = true;
    df_unlock(task->lock);
    task->lock = -1;
    df_journal_free(journal);
    return status;
}

static void tell_one(const struct df_warning *warning)
{
    struct df_text text = DF_TEXT_INIT;

    df_warning_text(warning, &text);
    if (!df_warning_is_ours(warning))
        df_warn_print(df_text_get(&text));
    df_text_release(&text);
}

/* A warning of a new kind is told at once, with the log that has it; how many there were, at the end. */
static void follow(struct sweep *s, struct worker *worker)
{
    const size_t known = s->warnings.count;
    struct df_error err;

    if (df_warnings_follow(&s->warnings, worker->log, &worker->read, &err) != DF_OK)
        df_warn("%s", err.text);
    for (size_t i = known; i < s->warnings.count && i < DF_WARNINGS_TOLD; i++)
        tell_one(&s->warnings.list[i]);
}

static df_status reap(struct sweep *s, struct df_error *err)
{
    struct df_work_end end;
    bool ended;

    for (;;) {
        DF_TRY(s->executor->poll(s->state, &ended, &end, err));
        if (!ended)
            return DF_OK;
        struct worker *worker = &s->worker[end.handle];

        worker->running = false;
        follow(s, worker);
        leave(worker);
        if (worker->job >= 0)
            job_ended(s, worker->plan, (enum df_job)worker->job, &end);
        else
            DF_TRY(cell_ended(s, worker->task, &end, err));
    }
}

/* ---- the loop --------------------------------------------------------------------------------------------------------------------- */

/* Whether every job of the plan is in this state; whether any is. */
static bool all_jobs(const struct plan *plan, enum state state)
{
    int job = 0;

    while (job < DF_JOBS && plan->job[job] == state)
        job++;
    return job == DF_JOBS;
}

static bool any_job(const struct plan *plan, enum state state)
{
    int job = 0;

    while (job < DF_JOBS && plan->job[job] != state)
        job++;
    return job < DF_JOBS;
}

static bool teaches(const struct plan *plan, const struct df_cell *cell)
{
    if (!plan->teacher)
        return cell->teachers > 0;
    for (size_t t = 0; t < cell->teachers; t++)
        if (cell->teacher[t].cell == plan->teacher->cell)
            return true;
    return false;
}

/* Whether the task waits for any of the plan's jobs. */
static bool waits_for(const struct task *task, const struct plan *plan)
{
    return task->variant == plan->variant && (plan->gate_first || teaches(plan, task->cell));
}

static bool may_start(const struct sweep *s, const struct task *task)
{
    for (size_t p = 0; p < s->plans; p++) {
        const struct plan *plan = &s->plan[p];
        const bool ready = teaches(plan, task->cell) ? all_jobs(plan, DONE) : plan->job[DF_JOB_TEACHER] == DONE;

        if (waits_for(task, plan) && !ready)
            return false;
    }
    return task->state == WAITING;
}

/* Whether the plan is of teachers, or all of its variant's are through with theirs; whether one of these has failed. */
static bool is_next(const struct sweep *s, const struct plan *plan)
{
    for (size_t p = 0; p < s->plans && !plan->teacher; p++)
        if (&s->plan[p] != plan && s->plan[p].variant == plan->variant && !all_jobs(&s->plan[p], DONE))
            return false;
    return true;
}

static bool is_cut_off(const struct sweep *s, const struct plan *plan)
{
    for (size_t p = 0; p < s->plans && !plan->teacher; p++)
        if (s->plan[p].variant == plan->variant && any_job(&s->plan[p], FAILED))
            return true;
    return any_job(plan, FAILED);
}

/* The next job that can begin, of the first plan that has one; NULL: none. */
static struct plan *next_job(const struct sweep *s, enum df_job *job)
{
    for (size_t p = 0; p < s->plans; p++) {
        struct plan *plan = &s->plan[p];

        for (*job = 0; *job < DF_JOBS && plan->job[*job] == DONE;)
            ++*job;
        if (*job < DF_JOBS && plan->job[*job] == WAITING && is_next(s, plan))
            return plan;
    }
    return NULL;
}

/* Gives every free slot something to do, as far as there is something. */
static df_status dispatch(struct sweep *s, struct df_error *err)
{
    size_t slots = s->executor->slots(s->state), t = 0;

    while (slots) {
        enum df_job job;
        struct plan *plan = next_job(s, &job);

        if (plan) {
            DF_TRY(start_job(s, plan, job, NULL, 0, err));
            slots--;
            continue;
        }
        while (t < s->tasks && !may_start(s, &s->task[t]))
            t++;
        if (t == s->tasks)
            return DF_OK;
        DF_TRY(start_cell(s, &s->task[t], err));
        slots -= s->task[t++].state == RUNNING;
    }
    return DF_OK;
}

static size_t busy(const struct sweep *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->workers; i++)
        n += s->worker[i].running;
    return n;
}

static size_t count(const struct sweep *s, enum state state)
{
    size_t n = 0;

    for (size_t t = 0; t < s->tasks; t++)
        n += s->task[t].state == state;
    return n;
}

static bool is_lost(const struct sweep *s, const struct task *task)
{
    for (size_t p = 0; p < s->plans; p++) {
        const struct plan *plan = &s->plan[p];

        if (waits_for(task, plan) && is_cut_off(s, plan))
            return true;
    }
    return false;
}

/* Waiting cells that can still run: those behind a failed job cannot. */
static size_t hopeful(const struct sweep *s)
{
    size_t n = 0;

    for (size_t t = 0; t < s->tasks; t++)
        n += s->task[t].state == WAITING && !is_lost(s, &s->task[t]);
    return n;
}

static bool any_running(const struct sweep *s, enum df_job job)
{
    for (size_t p = 0; p < s->plans; p++)
        if (s->plan[p].job[job] == RUNNING)
            return true;
    return false;
}

/* Seconds of a cell from its start to its end: the mean of those that ended; of those that run, while none has. NAN: not known. */
static double cell_seconds(const struct sweep *s, const double *busy)
{
    double seconds = 0, cells = 0;

    if (s->timed)
        return s->seconds / (double)s->timed;
    for (size_t i = 0; i < s->workers; i++)
        if (s->worker[i].running && s->worker[i].job < 0 && !isnan(busy[i])) {
            seconds += df_now() - s->worker[i].started + busy[i];
            cells++;
        }
    return cells > 0 ? seconds / cells : NAN;
}

/* Reads what the workers tell of themselves. busy: for how many more seconds each will be; NAN: not known. */
static void look(struct sweep *s, double *busy)
{
    const double now = df_now(), mean = s->timed ? s->seconds / (double)s->timed : NAN;
    double job = 0;

    s->views = 0;
    for (size_t i = 0; i < s->workers; i++) {
        struct worker *worker = &s->worker[i];
        struct df_progress_view *view = &s->view[s->views];

        busy[i] = 0;
        if (!worker->running)
            continue;
        follow(s, worker);
        if (!df_watch_read(worker->progress, worker->name, view)) {
            *view = (struct df_progress_view){ .eta = NAN, .elapsed = now - worker->started };
            snprintf(view->label, sizeof view->label, "%s", worker->name);
        }
        s->views++;
        busy[i] = view->eta;
        if (worker->job < 0 && (isnan(view->eta) || strcmp(view->unit, "steps") == 0)) /* the evaluation is still to come */
            busy[i] = fmax(mean - (now - worker->started), view->eta);
        if (worker->job >= 0)
            job = isnan(busy[i]) || busy[i] > job ? busy[i] : job;
    }
    for (size_t i = 0; i < s->workers; i++)
        if (!s->worker[i].running && hopeful(s)) /* for want of what a job makes */
            busy[i] = job;
}

static void look_at_workers(struct sweep *s)
{
    double *busy = df_calloc(s->workers, sizeof *busy);

    look(s, busy);
    s->eta = df_watch_eta(busy, s->workers, hopeful(s), cell_seconds(s, busy));
    s->look_next = df_now() + LOOK_SECONDS;
    free(busy);
}

static void show_sweep(struct sweep *s)
{
    const double mean = s->timed ? s->seconds / (double)s->timed : 0;
    double done = (double)(count(s, DONE) + count(s, FAILED) + count(s, ELSEWHERE));
    char note[64];

    if (df_now() >= s->look_next && !s->executor->ahead)
        look_at_workers(s);
    for (size_t t = 0; t < s->tasks && mean > 0 && !s->executor->ahead; t++) /* when one that is ahead began is not known */
        if (s->task[t].state == RUNNING)
            done += fmin(0.95, (df_now() - s->task[t].started) / mean);
    snprintf(note, sizeof note, "%zu running%s", count(s, RUNNING),
             any_running(s, DF_JOB_TEACHER)    ? " + teacher"
             : any_running(s, DF_JOB_CACHE)    ? " + teacher cache"
             : any_running(s, DF_JOB_IDENTITY) ? " + weights of 0"
                                               : "");
    df_progress_parts(s->bar, s->eta, s->view, s->views);
    df_progress_set(s->bar, done, note);
}

/* The CSV tables, now and then: they are read whole, so that it may take a twentieth of the time at most. */
static void make_tables(struct sweep *s)
{
    const double start = df_now();
    struct df_error err;

    if (!s->ended || start < s->tables_next)
        return;
    if (df_store_make_tables(s->folder, true, &err) != DF_OK)
        df_warn("%s", err.text);
    s->ended = false;
    s->tables_next = df_now() + fmax(TABLES_SECONDS, 20 * (df_now() - start));
}

static void say_stopping(void)
{
    df_progress_clear_line();
    fputs("stopping: every worker ends its step and keeps where it is (once more: they are killed, and lose what is behind their last "
          "position)\n",
          stderr);
}

static df_status loop(struct sweep *s, struct df_error *err)
{
    const struct timespec pause = { 0, 20 * 1000 * 1000 };
    int told = 0;
    df_status status = DF_OK;

    while (busy(s) || (!stops && status == DF_OK && hopeful(s))) {
        if (!stops && df_now() >= s->end)
            stops = 1;
        if (!stops && status == DF_OK)
            status = dispatch(s, err);
        if (stops > told || (status != DF_OK && !told)) {
            s->executor->stop(s->state, stops > 1, NULL);
            if (stops == 1 && busy(s))
                say_stopping();
            told = stops > told ? stops : 1;
        }
        show_sweep(s);
        make_tables(s);
        nanosleep(&pause, NULL);
        const df_status reaped = reap(s, status == DF_OK ? err : NULL);

        status = status == DF_OK ? reaped : status;
    }
    return status;
}

/* ---- work that is handed over ahead ------------------------------------------------------------------------------------------------ */

/* What must succeed before the plan's job: the job before it, or else the last ones of the variant's teachers. */
static size_t jobs_before(const struct sweep *s, const struct plan *plan, int job, size_t *after)
{
    size_t n = 0;

    while (--job >= 0)
        if (plan->job[job] == RUNNING) {
            after[0] = plan->handle[job];
            return 1;
        }
    for (size_t p = 0; p < s->plans && !plan->teacher; p++)
        if (s->plan[p].teacher && s->plan[p].variant == plan->variant && s->plan[p].job[DF_JOB_CACHE] == RUNNING)
            after[n++] = s->plan[p].handle[DF_JOB_CACHE];
    return n;
}

/* What must succeed before the task: of a plan that teaches it the last job, of one whose gate comes first the gate. */
static size_t jobs_before_task(const struct sweep *s, const struct task *task, size_t *after)
{
    size_t n = 0;

    for (size_t p = 0; p < s->plans; p++) {
        const struct plan *plan = &s->plan[p];
        int job = teaches(plan, task->cell) ? DF_JOBS - 1 : DF_JOB_TEACHER;

        while (job >= 0 && plan->job[job] != RUNNING)
            job--;
        if (waits_for(task, plan) && job >= 0)
            after[n++] = plan->handle[job];
    }
    return n;
}

static df_status hand_over(struct sweep *s, struct df_error *err)
{
    size_t *after = df_calloc(s->plans + 1, sizeof *after);
    df_status status = DF_OK;

    for (size_t p = 0; p < s->plans && status == DF_OK; p++)
        for (int job = 0; job < DF_JOBS && status == DF_OK; job++)
            if (s->plan[p].job[job] == WAITING)
                status = start_job(s, &s->plan[p], (enum df_job)job, after, jobs_before(s, &s->plan[p], job, after), err);
    for (size_t t = 0; t < s->tasks && status == DF_OK; t++)
        status = start_cell_work(s, &s->task[t], !s->executor->prints, after, jobs_before_task(s, &s->task[t], after), err);
    free(after);
    return status;
}

/* Who waits may leave: the work goes on without. */
static df_status run_ahead(struct sweep *s, struct df_error *err)
{
    const struct timespec pause = { 0, 200 * 1000 * 1000 };

    DF_TRY(hand_over(s, err));
    DF_TRY(reap(s, err));
    if (s->options->handed_over)
        s->options->handed_over(s->options->slurm.report);
    while (s->options->wait && busy(s) && !stops) {
        if (df_now() >= s->end)
            stops = 1;
        show_sweep(s);
        make_tables(s);
        nanosleep(&pause, NULL);
        DF_TRY(reap(s, err));
    }
    return DF_OK;
}

/* ---- all of it --------------------------------------------------------------------------------------------------------------------- */

static bool teacher_is_there(const struct sweep *s, const struct df_spec_teacher *teacher)
{
    if (teacher->cell->file[0])
        return true;
    char *path = df_store_teacher(s->options->run.out, teacher->cell->id);
    const bool there = df_file_exists(path);

    free(path);
    return there;
}

/* Many cells are not begun on a distiller that leaks. */
static bool checks_identity(const struct sweep *s)
{
    if (s->tasks > UNCHECKED_CELLS && !s->options->run.guards)
        df_warn("%zu cells: whether weights of 0 change nothing is not checked (--no-guards)", s->tasks);
    return s->tasks > UNCHECKED_CELLS && s->options->run.guards;
}

/* The next plan; without anything to do where no task is behind it. */
static void add_plan(struct sweep *s, const struct df_spec_variant *variant, const struct df_spec_teacher *teacher)
{
    struct plan *plan = &s->plan[s->plans++];
    bool needed = false;

    *plan = (struct plan){ .variant = variant, .teacher = teacher };
    for (size_t t = 0; t < s->tasks; t++)
        needed |= s->task[t].variant == variant && teaches(plan, s->task[t].cell);
    for (int job = 0; job < DF_JOBS; job++)
        plan->job[job] = needed && (job == DF_JOB_IDENTITY) == !teacher ? WAITING : DONE;
    plan->gate_first = needed && teacher && teacher_is_there(s, teacher);
}

static void plan_jobs(struct sweep *s)
{
    const bool identity = checks_identity(s);

    for (size_t t = 0; t < s->tasks; t++)
        s->task[t].variant = df_spec_variant_of(s->spec, s->task[t].index);
    for (size_t v = 0; v < s->spec->variants; v++) {
        const struct df_spec_variant *variant = &s->spec->variant[v];

        s->plan = df_realloc(s->plan, (s->plans + variant->teachers + 1) * sizeof *s->plan);
        for (size_t t = 0; t < variant->teachers; t++)
            add_plan(s, variant, &variant->teacher[t]);
        if (identity)
            add_plan(s, variant, NULL);
    }
}

/* What is ignored stays so: nohup sees to it that a closed terminal stops nothing. */
static void catch_signals(struct sigaction *before)
{
    const struct sigaction action = { .sa_handler = on_signal };

    for (size_t i = 0; i < sizeof stopping / sizeof *stopping; i++) {
        sigaction(stopping[i], NULL, &before[i]);
        if (before[i].sa_handler != SIG_IGN)
            sigaction(stopping[i], &action, NULL);
    }
}

/* Those that came more than once: each was told once. */
static void tell_repeated(const struct df_warnings *warnings)
{
    for (size_t i = 0; i < warnings->count && i < DF_WARNINGS_TOLD; i++)
        if (warnings->list[i].count > 1)
            tell_one(&warnings->list[i]);
    if (warnings->count > DF_WARNINGS_TOLD)
        df_warn("the workers' logs have %zu kinds of warnings more", warnings->count - DF_WARNINGS_TOLD);
}

static struct df_executor_options executor_options(const struct df_spec *spec, const struct df_sweep_options *options)
{
    return (struct df_executor_options){ .program = options->program,
                                         .out = options->run.out,
                                         .spec = spec->name,
                                         .jobs = options->jobs,
                                         .list = options->commands,
                                         .slurm = options->slurm };
}

/* Places for those that run at a time; who looks ahead gets them as they come. */
static void make_room(struct sweep *s)
{
    s->workers = s->executor->ahead ? 0 : s->executor->slots(s->state);
    s->worker = df_calloc(s->workers + 1, sizeof *s->worker);
    s->view = df_calloc(s->workers + 1, sizeof *s->view);
}

static df_status run_with_signals(struct sweep *s, struct df_error *err)
{
    struct sigaction before[sizeof stopping / sizeof *stopping];
    char label[96];

    stops = 0;
    snprintf(label, sizeof label, "sweep %s", s->spec->name);
    s->bar = s->executor->ahead && !s->options->wait ? NULL : df_progress_new(label, "cells", (double)s->tasks);
    s->eta = NAN;
    catch_signals(before);
    s->tables_next = df_now() + TABLES_SECONDS;
    s->end = s->options->seconds > 0 ? df_now() + s->options->seconds : INFINITY;
    const df_status status = s->executor->ahead ? run_ahead(s, err) : loop(s, err);

    s->look_next = 0;
    if (s->bar)
        show_sweep(s); /* as it ended */
    for (size_t i = 0; i < sizeof stopping / sizeof *stopping; i++)
        sigaction(stopping[i], &before[i], NULL);
    df_progress_free(s->bar);
    return status;
}

static df_status run_all(struct sweep *s, struct df_error *err)
{
    const struct df_executor_options options = executor_options(s->spec, s->options);

    DF_TRY(s->executor->open(&options, &s->state, err));
    make_room(s);
    plan_jobs(s);
    df_status status = run_with_signals(s, err);

    s->executor->close(s->state);
    tell_repeated(&s->warnings);
    if (status == DF_OK && stops)
        status = df_fail(err, DF_ERR_INTERRUPTED, "%s; %s", df_now() >= s->end ? "the time is over" : "interrupted",
                         s->executor->ahead ? "what was submitted goes on, and the same command comes back to it"
                                            : "the same command goes on with what is left");
    if (status == DF_OK && s->fault.status != DF_OK)
        status = df_fail(err, s->fault.status, "%s", s->fault.text);
    return status;
}

/* Of a cell that is not done; one is running whose lock is held. */
static const char *state_of(const struct sweep *s, const struct task *task)
{
    const char *out = s->options->run.out;
    char *failed = df_store_cell_file(out, task->cell, DF_CELL_FAILED), *lock = df_store_cell_file(out, task->cell, DF_CELL_LOCK);
    int fd = -1;
    const bool held = df_file_exists(lock) && df_lock(lock, true, &fd, NULL) == DF_OK && fd < 0;
    const char *state = held ? "running" : df_file_exists(failed) ? "failed" : "left";

    df_unlock(fd);
    free(failed);
    free(lock);
    return state;
}

static void list_cells(const struct sweep *s, struct df_text *out)
{
    for (size_t t = 0; t < s->tasks; t++) {
        const struct df_cell *cell = s->task[t].cell;

        df_text_addf(out, "%zu\t%s\t", s->task[t].index, cell->id);
        if (s->options->list_all)
            df_text_addf(out, "%s\t", s->task[t].state == DONE ? "done" : state_of(s, &s->task[t]));
        df_text_addf(out, "%s\t%s\tseed=%lld\n", df_shown(cell->label).text, df_shown(cell->axes).text, (long long)cell->seed);
    }
}

df_status df_sweep(const struct df_spec *spec, const struct df_sweep_options *options, struct df_sweep_summary *out, struct df_error *err)
{
    struct sweep s = { .spec = spec,
                       .options = options,
                       .executor = options->executor ? options->executor : df_executors[0],
                       .folder = df_store_spec_folder(options->run.out, spec->name) };
    const bool only_looks = options->list || s.executor->prints;
    const double start_time = df_now();
    df_status status, made = DF_OK;

    *out = (struct df_sweep_summary){ .cells = spec->count };
    status = select_cells(&s, out, err);
    if (status == DF_OK && !only_looks)
        status = df_folder_make(s.folder, err);

    const bool ready = status == DF_OK;

    if (ready && !options->list && s.tasks)
        status = run_all(&s, err);
    if (ready && !only_looks) /* also where nothing is left to run: they may have been lost */
        made = df_store_make_tables(s.folder, false, status == DF_OK ? err : NULL);
    if (status == DF_OK && options->list)
        list_cells(&s, options->list);
    out->done = count(&s, DONE);
    out->failed = count(&s, FAILED);
    out->already += count(&s, ELSEWHERE);
    out->left = s.tasks - count(&s, ELSEWHERE) - out->done - out->failed;
    out->seconds = df_now() - start_time;
    for (size_t t = 0; t < s.tasks; t++)
        if (s.task[t].lock >= 0)
            df_unlock(s.task[t].lock);
    df_warnings_release(&s.warnings);
    for (size_t i = 0; i < s.workers; i++)
        leave(&s.worker[i]);
    free(s.worker);
    free(s.view);
    free(s.plan);
    free(s.task);
    free(s.folder);
    return status == DF_OK ? made : status;
}

df_status df_sweep_cancel(const struct df_spec *spec, const struct df_sweep_options *options, struct df_error *err)
{
    const struct df_executor_options with = executor_options(spec, options);
    void *state;

    DF_TRY(options->executor->open(&with, &state, err));
    const df_status status = options->executor->stop(state, true, err);

    options->executor->close(state);
    return status;
}
