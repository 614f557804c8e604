/* `defeat clean`: what the output tree holds that can be made again: teacher caches, positions of runs that have finished since, and files that somebody was
 * killed over. Rows, weights and tables are no such thing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "ablations/cli/command.h"
#include "ablations/run/store.h"
#include "core/base/file.h"
#include "core/base/shell.h"

struct clean_options {
    char out[DF_STRING_MAX];
    int what;
    bool yes, json;
};
enum { CLEAN_ALL, CLEAN_CACHES, CLEAN_POSITIONS, CLEAN_UNFINISHED };
#define TREE_DEPTH     3  /* folders below `out` */
#define MOMENT_SECONDS 60 /* a younger file may be another process's that has not locked it yet */
static const df_option options_table[] = {
    { "out", DF_STRING_OPTION(struct clean_options, out), .text = "out", .help = "folder of rows, weights, teachers and caches" },
    { "what", DF_CHOICE_OPTION(struct clean_options, what), .choices = "all|caches|positions|unfinished",
      .help =
          "caches: what teachers said of their images; positions: where finished runs once were; unfinished: what was being written when "
          "a process was killed" },
    { "yes", DF_BOOL_OPTION(struct clean_options, yes), .help = "remove them; without it they are only listed" },
    { "json", DF_BOOL_OPTION(struct clean_options, json), .help = "print JSON" },
    { 0 },
};

struct item {
    const char *kind;
    char *path, *lock; /* lock: who holds it uses the file; NULL: nobody can */
    size_t bytes;
    const char *state; /* "there", "removed", "in use" */
};
struct items {
    struct item *item;
    size_t count;
};

/* Takes the paths over. A file that is not there is none. */
static df_status add_item(struct items *items, const char *kind, char *path, char *lock, struct df_error *err)
{
    size_t bytes = 0;
    const df_status status = df_file_size(path, &bytes, err);

    if (status != DF_OK) {
        free(path);
        free(lock);
        return df_absent_is_fine(status, err);
    }
    items->item = df_realloc(items->item, (items->count + 1) * sizeof *items->item);
    items->item[items->count++] = (struct item){ kind, path, lock, bytes, "there" };
    return DF_OK;
}

/* "0123456789abcdef" of "0123456789abcdef.cache"; false: another name. */
static bool stem_of(const char *name, const char *end, char stem[64])
{
    const size_t length = strlen(name), tail = strlen(end);

    if (length <= tail || length - tail >= 64 || strcmp(name + length - tail, end) != 0)
        return false;
    memcpy(stem, name, length - tail);
    stem[length - tail] = 0;
    return true;
}

static df_status list_caches(const char *out, struct items *items, struct df_error *err)
{
    char *folder = df_store_caches(out), **names = NULL, key[64];
    df_status status = df_absent_is_fine(df_folder_list(folder, &names, err), err);

    for (char **name = names; name && *name && status == DF_OK; name++)
        if (stem_of(*name, ".cache", key))
            status = add_item(items, "cache", df_store_cache(out, key), df_store_cache_lock(out, key), err);
    df_names_free(names);
    free(folder);
    return status;
}

/* Of the runs of one folder: those of a spec's students, or the teachers. */
static df_status list_positions_of(const char *out, const char *spec, struct items *items, struct df_error *err)
{
    struct df_cell cell = { .teacher_role = spec == NULL, .id = "id" };

    if (spec)
        snprintf(cell.spec, sizeof cell.spec, "%s", spec);
    char *any = df_store_cell_folder(out, &cell), *folder = df_path_folder(any), **names = NULL;
    df_status status = df_absent_is_fine(df_folder_list(folder, &names, err), err);

    for (char **name = names; name && *name && status == DF_OK; name++) {
        bool finished = false;

        if (strlen(*name) != 16)
            continue;
        snprintf(cell.id, sizeof cell.id, "%s", *name);
        if (spec) {
            status = df_store_finished(out, &cell, &finished, err);
        } else {
            char *teacher = df_store_teacher(out, cell.id);

            finished = df_file_exists(teacher);
            free(teacher);
        }
        if (status == DF_OK && finished)
            status = add_item(items, "position", df_store_cell_file(out, &cell, DF_CELL_POSITION),
                              spec ? df_store_cell_file(out, &cell, DF_CELL_LOCK) : df_store_teacher_lock(out, cell.id), err);
    }
    df_names_free(names);
    free(folder);
    free(any);
    return status;
}

static df_status list_positions(const char *out, struct items *items, struct df_error *err)
{
    char **names = NULL;
    df_status status = list_positions_of(out, NULL, items, err);

    if (status == DF_OK)
        status = df_absent_is_fine(df_folder_list(out, &names, err), err);
    for (char **name = names; name && *name && status == DF_OK; name++) {
        char *folder = df_path_join(out, *name);

        if (df_folder_is(folder))
            status = list_positions_of(out, *name, items, err);
        free(folder);
    }
    df_names_free(names);
    return status;
}

/* The key of a cache that somebody writes, or was killed over. */
static bool part_of(const char *name, char key[64])
{
    const char *end = strstr(name, ".cache.part");

    snprintf(key, 64, "%.*s", end && end - name < 64 ? (int)(end - name) : 0, name);
    return key[0] != 0;
}

/* A cache is written under its cache's lock. */
static df_status list_parts_of_caches(const char *out, struct items *items, struct df_error *err)
{
    char *folder = df_store_caches(out), **names = NULL, key[64];
    df_status status = df_absent_is_fine(df_folder_list(folder, &names, err), err);

    for (char **name = names; name && *name && status == DF_OK; name++)
        if (part_of(*name, key))
            status = add_item(items, "unfinished", df_path_join(folder, *name), df_store_cache_lock(out, key), err);
    df_names_free(names);
    free(folder);
    return status;
}

static bool is_old(const char *path)
{
    struct stat about;

    return stat(path, &about) == 0 && S_ISREG(about.st_mode) && difftime(time(NULL), about.st_mtime) >= MOMENT_SECONDS;
}

/* Down to out/<spec>/runs/<id>; links are not followed. */
static df_status list_unfinished(const char *folder, int depth, struct items *items, struct df_error *err)
{
    char **names = NULL;
    df_status status = df_absent_is_fine(df_folder_list(folder, &names, err), err);

    for (char **name = names; name && *name && status == DF_OK; name++) {
        char *path = df_path_join(folder, *name);
        struct stat about;

        if (df_file_is_unfinished(*name) && is_old(path))
            status = add_item(items, "unfinished", df_strdup(path), df_strdup(path), err);
        else if (depth && lstat(path, &about) == 0 && S_ISDIR(about.st_mode))
            status = list_unfinished(path, depth - 1, items, err);
        free(path);
    }
    df_names_free(names);
    return status;
}

/* What somebody is building stays. Whoever has it open goes on with it: only its name goes. */
static df_status remove_item(struct item *item, struct df_error *err)
{
    int fd = -1;

    if (item->lock && df_file_exists(item->lock)) {
        DF_TRY(df_lock(item->lock, true, &fd, err));
        if (fd < 0) {
            item->state = "in use";
            return DF_OK;
        }
    }
    const df_status status = df_file_remove(item->path, err);

    df_unlock(fd);
    if (status == DF_OK)
        item->state = "removed";
    return status;
}

static size_t bytes_in(const struct items *items, const char *state)
{
    size_t bytes = 0;

    for (size_t i = 0; i < items->count; i++)
        if (strcmp(items->item[i].state, state) == 0)
            bytes += items->item[i].bytes;
    return bytes;
}

static void print_text(const struct clean_options *options, const struct items *items)
{
    struct df_shell_word out;

    for (size_t i = 0; i < items->count; i++)
        printf("%10.1f MiB  %-10s  %s%s\n", (double)items->item[i].bytes / 1048576, items->item[i].kind, items->item[i].path,
               strcmp(items->item[i].state, "in use") == 0 ? "  (in use: stays)" : "");
    if (!items->count)
        printf("nothing to remove under '%s'\n", options->out);
    else if (options->yes)
        printf("%.1f MiB removed\n", (double)bytes_in(items, "removed") / 1048576);
    else
        printf("%.1f MiB that are made again when they are needed\nnext: %s clean --yes%s%s\n", (double)bytes_in(items, "there") / 1048576,
               df_program(), strcmp(options->out, "out") == 0 ? "" : " --out ",
               strcmp(options->out, "out") == 0 ? "" : df_shell_word(&out, options->out));
}

static void print_json(const struct items *items)
{
    cJSON *root = cJSON_CreateArray();
    struct df_text text = DF_TEXT_INIT;

    for (size_t i = 0; i < items->count; i++) {
        cJSON *object = cJSON_CreateObject();

        cJSON_AddStringToObject(object, "kind", items->item[i].kind);
        cJSON_AddStringToObject(object, "path", items->item[i].path);
        cJSON_AddNumberToObject(object, "bytes", (double)items->item[i].bytes);
        cJSON_AddStringToObject(object, "state", items->item[i].state);
        cJSON_AddItemToArray(root, object);
    }
    df_json_canonical(root, &text);
    puts(df_text_get(&text));
    df_text_release(&text);
    cJSON_Delete(root);
}

static int run(const void *values, int count, char *const *arguments)
{
    const struct clean_options *options = values;
    struct items items = { 0 };
    struct df_error err = { 0 };
    df_status status = DF_OK;

    (void)count;
    (void)arguments;
    if (options->what == CLEAN_ALL || options->what == CLEAN_CACHES)
        status = list_caches(options->out, &items, &err);
    if (status == DF_OK && (options->what == CLEAN_ALL || options->what == CLEAN_POSITIONS))
        status = list_positions(options->out, &items, &err);
    if (status == DF_OK && (options->what == CLEAN_ALL || options->what == CLEAN_UNFINISHED))
        status = list_parts_of_caches(options->out, &items, &err);
    if (status == DF_OK && (options->what == CLEAN_ALL || options->what == CLEAN_UNFINISHED))
        status = list_unfinished(options->out, TREE_DEPTH, &items, &err);
    for (size_t i = 0; options->yes && i < items.count && status == DF_OK; i++)
        status = remove_item(&items.item[i], &err);
    if (options->json)
        print_json(&items);
    else if (status == DF_OK || items.count)
        print_text(options, &items);
    for (size_t i = 0; i < items.count; i++) {
        free(items.item[i].path);
        free(items.item[i].lock);
    }
    free(items.item);
    return status == DF_OK ? 0 : df_command_fail(&err);
}

const struct df_command df_command_clean = {
    .name = "clean",
    .summary = "list, and with --yes remove, what takes room and can be made again: caches, old positions, unfinished files",
    .usage = "defeat clean [--what all|caches|positions|unfinished] [--yes] [--out FOLDER] [--json]",
    .example = "defeat clean",
    .options = options_table,
    .options_size = sizeof(struct clean_options),
    .run = run,
};
