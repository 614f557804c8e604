#include "results/machines.h"

#include <stdlib.h>
#include <string.h>

#include "results/environment.h"

struct machines {
    size_t count;
    struct machine {
        char *text;
        size_t rows;
    } * machine;
    size_t *of; /* [journal->runs] its machine + 1; 0: not asked for, not finished, or of a device whose machine does not count */
};

static bool is_asked(const struct df_run_row *row, const struct df_table_request *request)
{
    for (size_t l = 0; l < request->lines; l++)
        for (size_t i = 0; i < request->line[l].runs; i++)
            if (strcmp(request->line[l].run[i], row->run) == 0)
                return row->semantics == request->semantics;
    return false;
}

static size_t machine_index(struct machines *machines, const struct df_run_row *row)
{
    struct df_text text = DF_TEXT_INIT, teacher = DF_TEXT_INIT;
    size_t m = 0;

    df_environment_split(row, &text, &teacher);
    df_text_release(&teacher);
    while (m < machines->count && strcmp(machines->machine[m].text, df_text_get(&text)) != 0)
        m++;
    if (m == machines->count) {
        machines->machine = df_realloc(machines->machine, ++machines->count * sizeof *machines->machine);
        machines->machine[m] = (struct machine){ .text = df_strdup(df_text_get(&text)) };
    }
    df_text_release(&text);
    return m;
}

static void find_machines(const struct df_journal *journal, const struct df_table_request *request, struct machines *out)
{
    *out = (struct machines){ .of = df_calloc(journal->runs + 1, sizeof *out->of) };
    for (size_t i = 0; i < journal->runs; i++) {
        const struct df_run_row *row = &journal->run[i];

        if (!df_run_row_ok(row) || strncmp(row->device, "cuda", 4) != 0 || !is_asked(row, request))
            continue;
        const size_t m = machine_index(out, row);

        out->machine[m].rows++;
        out->of[i] = m + 1;
    }
}

static void machines_release(struct machines *machines)
{
    for (size_t m = 0; m < machines->count; m++)
        free(machines->machine[m].text);
    free(machines->machine);
    free(machines->of);
}

static df_status choose_machine(const struct machines *machines, const char *asked, size_t *chosen, struct df_error *err)
{
    struct df_text list = DF_TEXT_INIT;
    size_t fitting = 0;

    *chosen = 0;
    for (size_t m = 0; m < machines->count; m++) {
        const struct machine *machine = &machines->machine[m];
        const bool fits = strstr(machine->text, asked) != NULL;

        df_text_addf(&list, "%s%s", m ? ", " : "", machine->text);
        if (fits && (!fitting || (!*asked && machine->rows > machines->machine[*chosen].rows)))
            *chosen = m;
        fitting += fits;
    }
    if (*asked && !machines->count)
        df_fail(err, DF_ERR_USAGE, "--environment '%s': has no effect, for none of these rows is of cuda [leave it out]", asked);
    else if (*asked && fitting != 1)
        df_fail(err, DF_ERR_USAGE, "--environment '%s': it is part of %zu environments, expected one [there are: %s]", asked, fitting,
                list.data);
    df_text_release(&list);
    return *asked && fitting != 1 ? DF_ERR_USAGE : DF_OK;
}

df_status df_journal_keep_environment(struct df_journal *journal, const struct df_table_request *request, const char *asked,
                                      size_t *left_out, struct df_error *err)
{
    struct machines machines;
    size_t chosen, kept = 0;

    *left_out = 0;
    find_machines(journal, request, &machines);
    const df_status status = choose_machine(&machines, asked, &chosen, err);

    for (size_t i = 0; i < journal->runs && status == DF_OK; i++)
        if (!machines.of[i] || machines.of[i] == chosen + 1)
            journal->run[kept++] = journal->run[i];
    if (status == DF_OK) {
        *left_out = journal->runs - kept;
        journal->runs = kept;
    }
    machines_release(&machines);
    return status;
}
