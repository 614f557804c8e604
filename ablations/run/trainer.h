/* A cell's training: its data, student, teacher, log and learning curve; everything resident, one step at a time or the whole loop. */
#ifndef DF_ABLATIONS_RUN_TRAINER_H
#define DF_ABLATIONS_RUN_TRAINER_H
#include "ablations/run/evaluate.h"
#include "ablations/run/guard.h"
#include "ablations/run/position.h"
#include "ablations/run/teacher.h"
#include "ablations/run/telemetry.h"

struct df_trainer {
    const struct df_cell *cell;
    const struct df_run_options *options;
    struct df_dataset *train, *tune; /* the cell's */
    struct df_loader *loader;
    struct df_student student;
    struct df_teacher *teacher[DF_STACK_MAX]; /* each of the cell's */
    struct df_evaluator *evaluator;           /* on the tune split; NULL when that is empty */
    size_t points;                            /* of the learning curve, spread evenly */
    struct df_step_log log;                   /* of the steps since the last point */
    struct df_learning learning;
    struct df_guard guard;
    struct df_telemetry telemetry;
    const char *position; /* path of the position checkpoint; NULL: none */
};

/* Trains no teacher and builds no cache: an error says what is not there and how to get it. */
df_status df_trainer_new(const struct df_cell *cell, const struct df_run_options *options, struct df_trainer **out, struct df_error *err);
void df_trainer_free(struct df_trainer *trainer);
/* df_student_step on the next batch. A loss or gradient that is not finite is an error that names its step and the terms: it is found when the
 * log is read, here every DF_LOG_STEPS steps. */
df_status df_trainer_step(struct df_trainer *trainer, struct df_error *err);
/* Reads the log: before anybody asks for its means, and before the weights go anywhere. */
df_status df_trainer_read_log(struct df_trainer *trainer, struct df_error *err);
/* The whole loop: steps, points, positions. position: path of the position checkpoint, NULL for none; a matching one is resumed from. The
 * learning curve lives in memory. */
df_status df_trainer_run(struct df_trainer *trainer, const char *position, struct df_arena *memory, struct df_error *err);
#endif
