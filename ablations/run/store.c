#include "ablations/run/store.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ablations/run/environment.h"
#include "core/base/file.h"
#include "core/base/shell.h"
#include "core/device/open.h"
#include "results/environment.h"
#include "results/journal_csv.h"

static const char *const cell_files[] = {
    [DF_CELL_ROW] = "row.json",
    [DF_CELL_FAILED] = "failed.json",
    [DF_CELL_LOG] = "log.txt",
    [DF_CELL_LOCK] = "lock",
    [DF_CELL_POSITION] = "position.safetensors",
    [DF_CELL_WEIGHTS] = "student.safetensors",
    [DF_CELL_RESULTS] = "results.json",
    [DF_CELL_PROGRESS] = "progress",
};
static const char runs_name[] = "runs", teachers_name[] = "teachers", caches_name[] = "cache";

/* ---- paths ---- */

/* The parts, up to NULL, with "/" between them. */
static char *path_of(const char *first, ...)
{
    char *path = df_strdup(first);
    const char *part;
    va_list parts;

    va_start(parts, first);
    while ((part = va_arg(parts, const char *))) {
        char *longer = df_path_join(path, part);

        free(path);
        path = longer;
    }
    va_end(parts);
    return path;
}

char *df_store_spec_folder(const char *out, const char *spec) { return df_path_join(out, spec); }

char *df_store_question_folder(const char *out, const char *spec, const char *question)
{
    struct df_text name = DF_TEXT_INIT;

    df_text_addf(&name, "%s.%s", spec, question); /* no spec has a dot in its name */
    char *path = df_path_join(out, name.data);

    df_text_release(&name);
    return path;
}

char *df_store_pictures(const char *question_folder) { return df_path_join(question_folder, "pictures"); }

char *df_store_plots(const char *spec_folder) { return df_path_join(spec_folder, "plots"); }
char *df_store_report(const char *spec_folder) { return df_path_join(spec_folder, "report.html"); }

char *df_store_trials(const char *spec_folder) { return df_path_join(spec_folder, "trials.json"); }

char *df_store_tuned(const char *spec_folder, const char *spec)
{
    struct df_text name = DF_TEXT_INIT;

    df_text_addf(&name, "%s-tuned.json", spec);
    char *path = df_path_join(spec_folder, name.data);

    df_text_release(&name);
    return path;
}

char *df_store_looks(const char *spec_folder, const char *key)
{
    struct df_text name = DF_TEXT_INIT;

    df_text_addf(&name, "looks/%s.json", key);
    char *path = df_path_join(spec_folder, name.data);

    df_text_release(&name);
    return path;
}

char *df_store_patches(const char *question_folder, const char *id) { return path_of(question_folder, "patches", id, NULL); }

char *df_store_cell_folder(const char *out, const struct df_cell *cell)
{
    return cell->teacher_role ? path_of(out, teachers_name, cell->id, NULL) : path_of(out, cell->spec, runs_name, cell->id, NULL);
}

char *df_store_cell_file(const char *out, const struct df_cell *cell, enum df_cell_file file)
{
    char *folder = df_store_cell_folder(out, cell), *path = df_path_join(folder, cell_files[file]);

    free(folder);
    return path;
}

/* <out>/<folder>/<name><suffix> */
static char *shared_path(const char *out, const char *folder, const char *name, const char *suffix)
{
    struct df_text file = DF_TEXT_INIT;

    df_text_addf(&file, "%s%s", name, suffix);
    char *path = path_of(out, folder, file.data, NULL);

    df_text_release(&file);
    return path;
}

char *df_store_teachers(const char *out) { return df_path_join(out, teachers_name); }

char *df_store_teacher(const char *out, const char *id) { return shared_path(out, teachers_name, id, ".safetensors"); }

char *df_store_teacher_lock(const char *out, const char *id) { return shared_path(out, teachers_name, id, ".lock"); }

char *df_store_caches(const char *out) { return df_path_join(out, caches_name); }

char *df_store_cache(const char *out, const char *key) { return shared_path(out, caches_name, key, ".cache"); }

char *df_store_cache_lock(const char *out, const char *key) { return shared_path(out, caches_name, key, ".cache.lock"); }

/* <out>/<spec>/<job>.<variant><end> */
static char *job_file(const char *out, const char *spec, const char *job, const char *variant, const char *end)
{
    struct df_text suffix = DF_TEXT_INIT;

    df_text_addf(&suffix, "%s%s%s", variant[0] ? "." : "", variant, end);
    char *path = shared_path(out, spec, job, suffix.data);

    df_text_release(&suffix);
    return path;
}

char *df_store_job_log(const char *out, const char *spec, const char *job, const char *variant)
{
    return job_file(out, spec, job, variant, ".log");
}

char *df_store_job_progress(const char *out, const char *spec, const char *job, const char *variant)
{
    return job_file(out, spec, job, variant, ".progress");
}

/* ---- rows as files ---- */

static bool is_cuda(const struct df_run_row *row) { return strncmp(row->device, "cuda", 4) == 0; }

/* A file of no bytes is what a power cut may leave: not there. */
static df_status is_there(const char *path, bool *there, struct df_error *err)
{
    size_t bytes = 0;
    const df_status status = df_absent_is_fine(df_file_size(path, &bytes, err), err);

    *there = bytes > 0;
    return status;
}

static df_status write_row(const char *path, const struct df_run_row *row, struct df_error *err)
{
    struct df_text text = DF_TEXT_INIT;

    df_run_row_json(row, &text);
    const df_status status = df_file_write(path, text.data, text.length, err);

    df_text_release(&text);
    return status;
}

static df_status parse_row(const char *path, const char *id, const char *data, size_t bytes, struct df_journal *journal,
                           struct df_error *err)
{
    struct df_run_row row;

    DF_TRY(df_run_row_parse(data, bytes, path, journal->memory, &row, err));
    if (strcmp(row.run, id) != 0)
        return df_fail(err, DF_ERR_STALE, "%s: /run: found '%.80s', expected '%s', as its folder is called", path, row.run, id);
    *df_journal_add(journal) = row;
    return DF_OK;
}

/* Adds the row to the journal. DF_ERR_NOT_FOUND: there is no such file. */
static df_status read_row(const char *path, const char *id, struct df_journal *journal, struct df_error *err)
{
    char *data;
    size_t bytes;

    DF_TRY(df_file_read(path, 0, &data, &bytes, err));
    const df_status status = parse_row(path, id, data, bytes, journal, err);

    free(data);
    return status;
}

/* The same, but what cannot be read is no row; unless quiet, a warning says so. */
static void read_row_or_warn(const char *folder, const char *name, const char *id, bool quiet, struct df_journal *journal)
{
    char *path = df_path_join(folder, name);
    struct df_error err;
    const df_status status = read_row(path, id, journal, &err);

    if (status != DF_OK && status != DF_ERR_NOT_FOUND && !quiet)
        df_warn("%s: the cell counts as not done [delete '%s', and it is run again]", err.text, path);
    free(path);
}

/* "row.<16 digits>.json" */
static bool is_further(const char *name) { return strlen(name) == 25 && strncmp(name, "row.", 4) == 0 && strcmp(name + 20, ".json") == 0; }

/* A run's rows: the finished ones, or the one that failed. `row.json` stands first: it is the first. */
static df_status read_run(const char *folder, const char *id, bool quiet, struct df_journal *journal, struct df_error *err)
{
    const size_t before = journal->runs;
    char **names;
    const df_status status = df_folder_list(folder, &names, err);

    if (status != DF_OK)
        return df_absent_is_fine(status, err);
    read_row_or_warn(folder, cell_files[DF_CELL_ROW], id, quiet, journal);
    for (char **name = names; *name; name++)
        if (is_further(*name))
            read_row_or_warn(folder, *name, id, quiet, journal);
    if (journal->runs == before)
        read_row_or_warn(folder, cell_files[DF_CELL_FAILED], id, quiet, journal);
    df_names_free(names);
    return DF_OK;
}

/* Where a row goes that another environment has finished first; NULL: it has been here before. */
static df_status further_place(const char *folder, const struct df_run_row *row, char **path, struct df_error *err)
{
    char name[32], hash[17];
    bool there;

    snprintf(name, sizeof name, "row.%s.json", df_environment_hash(row, hash));
    *path = df_path_join(folder, name);
    const df_status status = is_there(*path, &there, err);

    if (status != DF_OK || there) {
        free(*path);
        *path = NULL;
    }
    return status;
}

/* Where a finished row goes; *path NULL: the first one stays, as it does on `cuda`, and elsewhere with `keep`. */
static df_status place_of(const char *folder, const struct df_run_row *row, bool keep, char **path, struct df_error *err)
{
    struct df_journal *journal = df_journal_new();
    struct df_error found = { 0 };
    df_status status = DF_OK;

    *path = df_path_join(folder, cell_files[DF_CELL_ROW]);
    if (keep || is_cuda(row))
        read_row(*path, row->run, journal, &found); /* a torn one is replaced */
    if (found.status == DF_ERR_IO || found.status == DF_ERR_STALE)
        status = df_fail(err, found.status, "%s", found.text);
    if (journal->runs || status != DF_OK) {
        free(*path);
        *path = NULL;
    }
    if (journal->runs && is_cuda(row) && strcmp(journal->run[0].environment, row->environment) != 0)
        status = further_place(folder, row, path, err);
    df_journal_free(journal);
    return status;
}

/* Into the run's folder; *put: whether it was, for the first finished row may stay. */
static df_status put_row(const char *folder, const struct df_run_row *row, bool keep, bool *put, struct df_error *err)
{
    char *failed = df_path_join(folder, cell_files[DF_CELL_FAILED]), *path = NULL;
    df_status status = df_folder_make(folder, err);

    if (status == DF_OK && df_run_row_ok(row))
        status = place_of(folder, row, keep, &path, err);
    else if (status == DF_OK)
        path = df_strdup(failed);
    *put = path != NULL;
    if (status == DF_OK && path)
        status = write_row(path, row, err);
    if (status == DF_OK && df_run_row_ok(row))
        status = df_file_remove(failed, err);
    free(failed);
    free(path);
    return status;
}

/* ---- one cell ---- */

df_status df_store_finished(const char *out, const struct df_cell *cell, bool *finished, struct df_error *err)
{
    char *path = df_store_cell_file(out, cell, DF_CELL_ROW);
    const df_status status = is_there(path, finished, err);

    free(path);
    return status;
}

struct df_run_row df_store_row(const struct df_cell *cell, struct df_arena *memory)
{
    struct df_run_row row;

    df_run_row_init(&row);
    row.semantics = DF_SEMANTICS;
    row.run = df_arena_strdup(memory, cell->id);
    row.spec = df_arena_strdup(memory, cell->spec);
    row.label = df_arena_strdup(memory, cell->label);
    row.axes = df_arena_strdup(memory, cell->axes);
    row.cell = df_arena_strdup(memory, df_text_get(&cell->json));
    row.seed = cell->seed;
    row.status = "ok";
    row.revision = df_run_revision();
    row.device = df_arena_strdup(memory, df_device_identity(cell->device).kind);
    return row;
}

df_status df_store_put(const char *out, const struct df_cell *cell, const struct df_run_row *row, struct df_error *err)
{
    char *folder = df_store_cell_folder(out, cell);
    bool put;
    const df_status status = put_row(folder, row, false, &put, err);

    free(folder);
    return status;
}

char *df_store_row_file(const char *folder, const char *id, const char *name) { return path_of(folder, runs_name, id, name, NULL); }

df_status df_store_put_row(const char *folder, const struct df_run_row *row, struct df_error *err)
{
    char *run = path_of(folder, runs_name, row->run, NULL);
    bool put;
    const df_status status = put_row(run, row, false, &put, err);

    free(run);
    return status;
}

df_status df_store_put_failure(const char *out, const struct df_cell *cell, const char *started, const char *reason, struct df_error *err)
{
    struct df_text text = DF_TEXT_INIT, environment = DF_TEXT_INIT;
    struct df_journal *journal = df_journal_new(); /* for its memory */
    struct df_run_row row = df_store_row(cell, journal->memory);
    char finished[24];

    df_utc(finished);
    df_text_addf(&text, "failed: %s", reason);
    df_run_environment(cell, NULL, NULL, &environment);
    row.status = text.data;
    row.environment = environment.data;
    row.started = started;
    row.finished = finished;
    const df_status status = df_store_put(out, cell, &row, err);

    df_text_release(&text);
    df_text_release(&environment);
    df_journal_free(journal);
    return status;
}

df_status df_store_forget_failure(const char *out, const struct df_cell *cell, struct df_error *err)
{
    char *path = df_store_cell_file(out, cell, DF_CELL_FAILED);
    const df_status status = df_file_remove(path, err);

    free(path);
    return status;
}

df_status df_store_read_cell(const char *out, const struct df_cell *cell, struct df_journal **journal, struct df_error *err)
{
    char *folder = df_store_cell_folder(out, cell);
    struct df_journal *read = df_journal_new();
    const df_status status = read_run(folder, cell->id, false, read, err);

    free(folder);
    *journal = status == DF_OK ? read : NULL;
    if (status != DF_OK)
        df_journal_free(read);
    return status;
}

/* ---- the cells of a spec ---- */

static bool is_run_id(const char *name) { return strlen(name) == 16 && strspn(name, "0123456789abcdef") == 16; }

static df_status read_runs(const char *folder, bool quiet, struct df_journal *journal, struct df_error *err)
{
    char *runs = df_path_join(folder, runs_name), **names = NULL;
    df_status status = df_folder_list(runs, &names, err);

    for (char **name = names; status == DF_OK && *name; name++) {
        char *run = df_path_join(runs, *name);

        if (is_run_id(*name))
            status = read_run(run, *name, quiet, journal, err);
        free(run);
    }
    df_names_free(names);
    free(runs);
    return df_absent_is_fine(status, err);
}

static df_status read_tables(const char *folder, struct df_journal *journal, struct df_error *err)
{
    char *path = df_journal_csv_path(folder);
    bool older;
    df_status status = df_journal_csv_is_older(path, &older, err);

    if (status == DF_OK && (older || journal->runs == 0))
        status = df_absent_is_fine(df_journal_csv_read(path, journal, err), err);
    free(path);
    return status;
}

df_status df_store_read(const char *folder, struct df_journal **journal, struct df_error *err)
{
    struct df_journal *read = df_journal_new();
    df_status status = read_runs(folder, false, read, err);

    if (status == DF_OK)
        status = read_tables(folder, read, err);
    df_journal_settle(read);
    *journal = status == DF_OK ? read : NULL;
    if (status != DF_OK)
        df_journal_free(read);
    return status;
}

df_status df_store_check(const char *folder, struct df_error *err)
{
    char *path = df_journal_csv_path(folder);
    struct df_shell_word word;
    bool older = false;
    df_status status = df_journal_csv_is_older(path, &older, err);

    if (status == DF_OK && older)
        status = df_fail(err, DF_ERR_STALE, "'%s' is the journal of an older version [first: %s journal import %s]", path, df_program(),
                         df_shell_word(&word, folder));
    free(path);
    return status;
}

/* over_older: a runs.csv of an older schema too. One at a time on this machine, so that no older set of rows replaces a newer one. */
static df_status make_tables(const char *folder, bool over_older, bool quiet, struct df_error *err)
{
    struct df_journal *journal = df_journal_new();
    char *runs = df_path_join(folder, runs_name), *lock = df_path_join(runs, "lock");
    int held = -1;
    df_status status = df_lock(lock, false, &held, err); /* DF_ERR_NOT_FOUND: no row files, and nothing to do */

    if (status == DF_OK)
        status = read_runs(folder, quiet, journal, err);
    df_journal_settle(journal);
    if (status == DF_OK && journal->runs && !over_older)
        status = df_store_check(folder, err);
    if (status == DF_OK && journal->runs)
        status = df_journal_csv_write(journal, folder, err);
    df_unlock(held);
    free(runs);
    free(lock);
    df_journal_free(journal);
    return df_absent_is_fine(status, err);
}

df_status df_store_make_tables(const char *folder, bool quiet, struct df_error *err) { return make_tables(folder, false, quiet, err); }

/* ---- import ---- */

static df_status check_importable(const struct df_run_row *row, const char *from, struct df_error *err)
{
    if (!is_run_id(row->run))
        return df_fail(err, DF_ERR_FORMAT, "'%s': found run '%.80s', expected 16 hex digits", from, row->run);
    if (!row->spec[0] || row->spec[0] == '.' || strchr(row->spec, '/'))
        return df_fail(err, DF_ERR_FORMAT, "'%s': run %s is of spec '%.80s', which is no name of a folder", from, row->run, row->spec);
    return DF_OK;
}

static df_status import_row(const char *folder, const struct df_run_row *row, struct df_imported *count, struct df_error *err)
{
    char *run = path_of(folder, runs_name, row->run, NULL), *first = df_path_join(run, cell_files[DF_CELL_ROW]);
    bool there = false, put = false;
    df_status status = df_run_row_ok(row) ? DF_OK : is_there(first, &there, err);

    if (status == DF_OK && !there) /* a failure is nothing beside a finished row */
        status = put_row(run, row, true, &put, err);
    free(run);
    free(first);
    *(put ? df_run_row_ok(row) ? &count->finished : &count->failed : &count->known) += 1;
    return status;
}

/* The folder that row i belongs into: free it. */
static char *import_folder(const struct df_journal *journal, size_t i, const char *here, const char *out)
{
    return out[0] ? df_store_spec_folder(out, journal->run[i].spec) : df_strdup(here);
}

/* The tables of the folder of row i, if it is the first row there. An older runs.csv here is replaced: its rows have their files now. */
static df_status import_tables(const struct df_journal *journal, size_t i, const char *here, const char *out, struct df_error *err)
{
    for (size_t j = 0; j < i; j++)
        if (!out[0] || strcmp(journal->run[j].spec, journal->run[i].spec) == 0)
            return DF_OK;

    char *folder = import_folder(journal, i, here, out);
    const df_status status = make_tables(folder, !out[0], false, err);

    free(folder);
    return status;
}

static df_status import_rows(const struct df_journal *journal, const char *here, const char *out, struct df_imported *count,
                             struct df_error *err)
{
    df_status status = DF_OK;

    for (size_t i = 0; i < journal->runs && status == DF_OK; i++) {
        char *folder = import_folder(journal, i, here, out);

        status = import_row(folder, &journal->run[i], count, err);
        free(folder);
    }
    for (size_t i = 0; i < journal->runs && status == DF_OK; i++)
        status = import_tables(journal, i, here, out, err);
    return status;
}

/* *here: the folder that it is, or lies in; free it. */
static df_status read_imported(const char *from, struct df_journal **journal, char **here, struct df_error *err)
{
    const char *slash = strrchr(from, '/');
    struct stat about;

    if (stat(from, &about) == 0 && S_ISDIR(about.st_mode)) {
        *here = df_strdup(from);
        return df_store_read(from, journal, err);
    }
    *here = df_strdup(slash ? from : ".");
    if (slash)
        (*here)[slash == from ? 1 : slash - from] = 0;
    *journal = df_journal_new();
    const df_status status = df_journal_csv_read(from, *journal, err);

    df_journal_settle(*journal);
    return status;
}

df_status df_store_import(const char *from, const char *out, struct df_imported *count, struct df_error *err)
{
    struct df_journal *journal = NULL;
    char *here = NULL;
    df_status status = read_imported(from, &journal, &here, err);

    *count = (struct df_imported){ 0 };
    if (status == DF_OK && journal->runs == 0)
        status = df_fail(err, DF_ERR_NOT_FOUND, "'%s' holds no rows [give a runs.csv, or its folder]", from);
    for (size_t i = 0; status == DF_OK && i < journal->runs; i++)
        status = check_importable(&journal->run[i], from, err);
    if (status == DF_OK)
        status = import_rows(journal, here, out, count, err);
    df_journal_free(journal);
    free(here);
    return status;
}
