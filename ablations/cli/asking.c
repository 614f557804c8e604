#include "ablations/cli/asking.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/run/store.h"
#include "core/base/file.h"
#include "core/base/shell.h"
#include "results/cells.h"

static df_status read_rows(struct df_asking *asking, struct df_error *err)
{
    df_journal_free(asking->journal);
    asking->journal = NULL;
    return df_store_read(asking->folder, &asking->journal, err);
}

/* The lines of the spec's table, with the questions' ids in place of the runs'. */
static void ask_for_questions(struct df_asking *asking)
{
    const struct df_spec *spec = asking->source.spec;

    asking->id = df_arena_alloc(&asking->source.memory, spec->count * sizeof *asking->id);
    for (size_t k = 0; k < spec->count; k++)
        asking->id[k] = "";
    for (size_t l = 0; l < spec->lines; l++)
        asking->source.request.line[l].run = asking->id + l * spec->seeds;
}

df_status df_asking_open(const struct df_common_options *common, const char *question, const char *spec, const char *baseline,
                         struct df_asking *out, struct df_error *err)
{
    const struct df_which_rows which = { .semantics = DF_SEMANTICS };

    *out = (struct df_asking){ .common = common, .which = "" };
    DF_TRY(df_table_source_open(common, &which, spec, baseline, &out->source, err));
    out->folder = df_store_question_folder(common->out, out->source.spec->name, question);
    ask_for_questions(out);
    const df_status status = read_rows(out, err);

    if (status != DF_OK)
        df_asking_close(out);
    return status;
}

void df_asking_close(struct df_asking *asking)
{
    df_journal_free(asking->journal);
    df_table_source_close(&asking->source);
    free(asking->folder);
}

/* ---- one network ---- */

struct asking_with {
    struct df_asking *asking;
    const struct df_asking_steps *steps;
    void *context;
};

static df_status put_row(const struct asking_with *a, const struct df_asked *who, const struct df_question *question, struct df_error *err)
{
    const double start = df_now();
    struct df_arena memory;

    df_arena_init(&memory, NULL, 1 << 16);

    struct df_run_row row = df_question_row(question, &memory);
    df_status status = a->steps->score(a->context, who, &row.scores, &memory, err);

    row.eval_seconds = df_now() - start;
    if (status == DF_OK)
        status = df_question_put(question, a->asking->common->out, &row, err);
    df_arena_release(&memory);
    return status;
}

static df_status ask(const struct asking_with *a, const struct df_asked *who, char id[17], struct df_error *err)
{
    struct df_question question;
    df_status status = DF_OK;

    a->steps->question(a->context, who, &question);
    const bool known = df_run_row_ok(df_journal_find(a->asking->journal, question.id, DF_SEMANTICS));

    memcpy(id, question.id, 17);
    if (!a->asking->question[0])
        df_cell_question(df_text_get(&question.json), a->asking->question);
    if (a->steps->hear)
        status = a->steps->hear(a->context, who, &question, known, err);
    if (status == DF_OK && !known)
        status = put_row(a, who, &question, err);
    if (status == DF_OK && who->teacher)
        *(known ? &a->asking->known : &a->asking->asked) += 1;
    df_question_release(&question);
    return status;
}

/* ---- a variant: its teachers, and their students ---- */

/* A student that is not trained is counted. All are asked about the spec's images, whatever a teacher has learnt. */
static df_status ask_student(const struct asking_with *a, size_t k, const struct df_subject *teacher, struct df_error *err)
{
    const struct df_spec *spec = a->asking->source.spec;
    struct df_subject subject;
    const struct df_asked who = { &subject, teacher, k % spec->seeds == 0 && k < spec->variant[0].lines * spec->seeds };
    char *id = df_arena_alloc(&a->asking->source.memory, 17);
    df_status status = df_subject_open(spec->cell[k], DF_VALIDATION, NULL, a->asking->common->out, &subject, err);

    if (status == DF_ERR_NOT_FOUND) {
        a->asking->absent++;
        status = df_absent_is_fine(status, err);
    } else if (status == DF_OK) {
        status = ask(a, &who, id, err);
        a->asking->id[k] = id;
    }
    df_subject_close(&subject);
    return status;
}

static df_status no_teacher(const struct df_asking *asking, struct df_error *err)
{
    struct df_text command = DF_TEXT_INIT;

    df_common_command(asking->common, "prepare", asking->source.spec->path, &command);
    df_fail_in(err, DF_ERR_NOT_FOUND, "the teacher is not trained yet [to make it: %s]", df_text_get(&command));
    df_text_release(&command);
    return DF_ERR_NOT_FOUND;
}

/* A teacher, and the students of the seeds whose turn it is with. */
static df_status ask_teacher(const struct asking_with *a, const struct df_spec_variant *variant, const struct df_spec_teacher *by,
                             struct df_error *err)
{
    const struct df_spec *spec = a->asking->source.spec;
    const size_t begin = variant->line * spec->seeds, end = begin + variant->lines * spec->seeds;
    struct df_subject teacher;
    const struct df_asked who = { &teacher, NULL, begin == 0 && (uint64_t)spec->cell[0]->seed % by->turns == by->turn };
    char id[17];
    df_status status = df_subject_open_on(by->cell, spec->cell[begin]->data, DF_VALIDATION, NULL, a->asking->common->out, &teacher, err);

    if (status == DF_ERR_NOT_FOUND)
        status = no_teacher(a->asking, err);
    if (status == DF_OK)
        status = ask(a, &who, id, err);
    for (size_t k = begin; k < end && status == DF_OK; k++)
        if ((uint64_t)spec->cell[k]->seed % by->turns == by->turn)
            status = ask_student(a, k, &teacher, err);
    df_subject_close(&teacher);
    return status;
}

static const char *teacher_name(const void *variant, size_t i)
{
    const struct df_spec_variant *of = variant;

    return i < of->teachers ? of->teacher[i].name : NULL;
}

/* Whom the variant's students are held against: the teachers of this name. */
static df_status choose_name(const struct df_asking *asking, const struct df_spec_variant *variant, const char **name, struct df_error *err)
{
    *name = asking->which;
    if (!variant->teachers)
        return df_fail(err, DF_ERR_USAGE, "'%s' has no teacher that its students could be held against", asking->source.spec->path);
    if (**name)
        return df_find_name(teacher_name, variant, *name, "teacher", NULL, err) == SIZE_MAX ? DF_ERR_USAGE : DF_OK;
    *name = variant->teacher[0].name;
    for (size_t t = 1; t < variant->teachers; t++)
        if (strcmp(variant->teacher[t].name, *name) != 0)
            return df_fail(err, DF_ERR_USAGE, "'%s' has several teachers [--which '%s' or another]", asking->source.spec->path, *name);
    return DF_OK;
}

static df_status ask_variant(const struct asking_with *a, const struct df_spec_variant *variant, struct df_error *err)
{
    const char *name;
    df_status status = choose_name(a->asking, variant, &name, err);

    for (size_t t = 0; t < variant->teachers && status == DF_OK; t++)
        if (strcmp(variant->teacher[t].name, name) == 0)
            status = ask_teacher(a, variant, &variant->teacher[t], err);
    return status;
}

df_status df_asking_run(struct df_asking *asking, const struct df_asking_steps *steps, void *context, struct df_error *err)
{
    const struct asking_with with = { asking, steps, context };
    const struct df_spec *spec = asking->source.spec;

    for (size_t v = 0; v < spec->variants; v++)
        DF_TRY(ask_variant(&with, &spec->variant[v], err));
    DF_TRY(df_store_make_tables(asking->folder, true, err));
    return read_rows(asking, err);
}

void df_asking_say(const struct df_asking *asking, const char *metric)
{
    struct df_text command = DF_TEXT_INIT;
    struct df_shell_word word;

    fprintf(stderr, "%zu students asked now, %zu before, %zu not trained yet\nrows: %s\n", asking->asked, asking->known, asking->absent,
            asking->folder);
    df_common_command(asking->common, "sweep", asking->source.spec->path, &command);
    if (asking->absent)
        fprintf(stderr, "next: %s\n", df_text_get(&command));
    else if (asking->source.request.lines > 1)
        fprintf(stderr, "next: %s compare %s A B --metric %s --question %s\n", df_program(), df_shell_word(&word, asking->folder), metric,
                asking->question);
    df_text_release(&command);
}
