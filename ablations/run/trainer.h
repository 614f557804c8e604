/* One network in training: data, loader, model, distillers and their teacher, the tape; everything resident, one step at a time. */
#ifndef DF_ABLATIONS_RUN_TRAINER_H
#define DF_ABLATIONS_RUN_TRAINER_H
#include "ablations/run/evaluate.h"
#include "ablations/run/step_log.h"
#include "ablations/run/teacher.h"

struct df_stacked {
    const struct df_distiller_class *class;
    const void *options;
    void *state; /* changes over a run belong into parameters and buffers: this memory is not in a position checkpoint */
};

struct df_trainer {
    const struct df_cell *cell;
    const struct df_run_options *options;
    struct df_dataset *train, *tune; /* the cell's */
    struct df_loader *loader;
    struct df_model model;
    size_t own_parameters; /* items before the distillers' */
    df_tape *tape;
    struct df_evaluator *evaluator; /* on the tune split; NULL when that is empty */
    size_t distillers;
    struct df_stacked distiller[DF_STACK_MAX];
    struct df_teacher *teacher; /* NULL: none needed */
    size_t step, steps, steps_per_epoch, points;
    double lr;                  /* of the last step */
    struct df_loss_terms terms; /* of the last step */
    struct df_step_log log;     /* of the steps since the last point */
};

/* Trains the teacher and builds the cache first if the cell needs them. */
df_status df_trainer_new(const struct df_cell *cell, const struct df_run_options *options, struct df_trainer **out, struct df_error *err);
void df_trainer_free(struct df_trainer *trainer);
/* One step. From the second on none of our code takes heap memory, and nothing here waits for the device; what does are detectors,
 * distillers and live teachers that ask for values. A loss or gradient that is not finite is an error that names its step and the terms: it
 * is found when the log is read, here every DF_LOG_STEPS steps. A gradient that is not finite moves no weight. */
df_status df_trainer_step(struct df_trainer *trainer, struct df_error *err);
/* Reads the log: before anybody asks for its means, and before the weights go anywhere. */
df_status df_trainer_read_log(struct df_trainer *trainer, struct df_error *err);

/* Two parts of the above, for who brings the images and the teacher's state from elsewhere. */
/* The cell's distillers, before the parameters are built: they may add theirs. Parts of both networks, which fit; none: there is no teacher. */
df_status df_trainer_add_distillers(struct df_trainer *trainer, const struct df_taught_parts *parts, struct df_error *err);
/* loss with the distillers' losses added. */
df_tensor *df_trainer_distill(struct df_trainer *trainer, const struct df_detection_state *student,
                              const struct df_detection_state *teacher, df_tensor *loss);

/* The learning curve so far, which lives in memory. */
struct df_learning {
    size_t points; /* how often it was looked at: every time leaves several points of the curve */
    struct df_curve curve;
    struct df_arena *memory;
};
/* The whole loop: steps, points, positions. position: path of the position checkpoint, NULL for none; a matching one is resumed from.
 * seconds: training time without evaluations, over all attempts. */
df_status df_train(struct df_trainer *trainer, const char *position, struct df_learning *learning, double *seconds, struct df_error *err);

/* Position checkpoints: everything that the next step depends on, and the curve so far. The log has been read. */
df_status df_position_write(const char *path, const struct df_trainer *trainer, const struct df_learning *learning, double seconds,
                            struct df_error *err);
/* A missing file leaves everything as it is; one of another cell or a broken one is left alone with a warning. */
void df_position_read(const char *path, struct df_trainer *trainer, struct df_learning *learning, double *seconds);
#endif
