/* `list`: one command a line, for GNU parallel or another scheduler. What cells stand on comes before them; a cell whose teacher is not there yet
 * makes it, or waits for the process that does: every line works alone. */
#include <stdint.h>

#include "ablations/executors/executor.h"
#include "core/base/shell.h"

static df_status list_open(const struct df_executor_options *options, void **state, struct df_error *err)
{
    (void)err;
    DF_ASSERT(options->list);
    *state = options->list;
    return DF_OK;
}

static size_t list_slots(const void *state)
{
    (void)state;
    return SIZE_MAX;
}

static df_status list_start(void *state, const struct df_work *work, size_t *handle, struct df_error *err)
{
    struct df_text *list = state;

    (void)err;
    df_text_add(list, df_program());
    for (const char *const *word = work->words + 1; *word; word++)
        df_shell_add(list, *word);
    df_text_add(list, "\n");
    *handle = 0;
    return DF_OK;
}

static df_status list_poll(void *state, bool *ended, struct df_work_end *end, struct df_error *err)
{
    (void)state;
    (void)end;
    (void)err;
    *ended = false;
    return DF_OK;
}

static df_status list_stop(void *state, bool at_once, struct df_error *err)
{
    (void)state;
    (void)at_once;
    (void)err;
    return DF_OK;
}

static void list_close(void *state) { (void)state; }

const struct df_executor_class df_executor_list = {
    .name = "list",
    .summary = "nobody: prints one command a line, for GNU parallel or another scheduler",
    .ahead = true,
    .prints = true,
    .open = list_open,
    .slots = list_slots,
    .start = list_start,
    .poll = list_poll,
    .stop = list_stop,
    .close = list_close,
};
