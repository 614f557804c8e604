/* A question put to every network of a spec: teacher by teacher, each followed by the students of its seeds, each row once. */
#ifndef DF_ABLATIONS_CLI_ASKING_H
#define DF_ABLATIONS_CLI_ASKING_H
#include "ablations/behaviour/question.h"
#include "ablations/cli/table_source.h"

struct df_asked { /* whose turn it is */
    struct df_subject *subject;
    const struct df_subject *teacher; /* whom the subject is held against; NULL: it is a teacher */
    bool first;                       /* of its line (a student), or the teacher of that one; of the spec's first variant */
};
/* What a command does with each. context: the command's own. */
struct df_asking_steps {
    /* Fills in the question, sealed: released by the caller. */
    void (*question)(void *context, const struct df_asked *who, struct df_question *out);
    /* Before the row is looked for: what others need of this network even if it is there; NULL: nothing. known: it is there. */
    df_status (*hear)(void *context, const struct df_asked *who, const struct df_question *question, bool known, struct df_error *err);
    /* The row's scores; memory: theirs. Only where the row is not there. */
    df_status (*score)(void *context, const struct df_asked *who, struct df_scores *scores, struct df_arena *memory, struct df_error *err);
};
struct df_asking {
    const struct df_common_options *common;
    const char *which;             /* name of the teachers that students are held against; "": the spec's only name */
    struct df_table_source source; /* its request asks for the question's rows, not for the runs' */
    struct df_journal *journal;    /* the question's rows */
    char *folder;                  /* theirs */
    const char **id;               /* [cells] of the question about each; "": it is not trained */
    char question[17];             /* what the first network was asked, as compare's --question names it */
    size_t asked, known, absent;   /* students: now, before, not trained yet */
};
/* baseline: as in df_table_source_open. On failure there is nothing to close. */
df_status df_asking_open(const struct df_common_options *common, const char *question, const char *spec, const char *baseline,
                         struct df_asking *out, struct df_error *err);
void df_asking_close(struct df_asking *asking);
/* Every network; then the rows are read again. DF_ERR_NOT_FOUND with the remedy: a teacher is not trained. */
df_status df_asking_run(struct df_asking *asking, const struct df_asking_steps *steps, void *context, struct df_error *err);
/* To stderr: how many were asked, where the rows are, what to do next: more students, or to compare two by `metric`. */
void df_asking_say(const struct df_asking *asking, const char *metric);
#endif
