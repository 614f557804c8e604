/* What training steps leave for the curve: loss, terms, gradient norm. A step's values are gathered into a row on the device and the rows are
 * read together, so that no step waits for the device. The sums are those of reading every step, to the last bit. */
#ifndef DF_ABLATIONS_RUN_STEP_LOG_H
#define DF_ABLATIONS_RUN_STEP_LOG_H
#include "core/nn/optimiser.h"
#include "detectors/detector.h"

/* Steps that the log holds: waiting for a GPU once in 32 steps costs it next to nothing, and of a run that has gone wrong less than 32 steps
 * are wasted. A device that the host does not run ahead of is read every step. */
#define DF_LOG_STEPS 32

struct df_term_mean {
    char name[40];
    double sum; /* of the unweighted values since the last point */
};

struct df_step_log {
    struct df_device *device;
    double *rows, *host;  /* DF_LOG_STEPS rows at most, one after the other: norm, loss, terms; on the device and where they are read to */
    size_t every;         /* steps from one reading to the next */
    size_t waiting, used; /* rows not read yet, their values */
    struct {
        size_t step, terms;
        uint8_t mean[DF_LOSS_TERMS]; /* which mean a term belongs to */
    } row[DF_LOG_STEPS];
    /* of the steps that have been read since the last point */
    size_t means, mean_steps;
    struct df_term_mean mean[DF_LOSS_TERMS];
    double loss_sum, gradient_norm; /* gradient_norm: of the last of them */
};

void df_step_log_init(struct df_step_log *log, struct df_device *device);
void df_step_log_release(struct df_step_log *log);
/* The loss and the terms (scalars, as they are on the tape now) and the norm of a step go into the log, which must have room. */
void df_step_log_add(struct df_step_log *log, size_t step, const df_tensor *loss, const struct df_loss_terms *terms,
                     const struct df_optim_norm *norm);
static inline bool df_step_log_full(const struct df_step_log *log) { return log->waiting >= log->every; }
/* Reads what waits, in the order of the steps: waits for the device, unless nothing does. A loss or norm that is not finite is an error which
 * names its step (of `steps`) and that step's terms. */
df_status df_step_log_read(struct df_step_log *log, size_t steps, struct df_error *err);
void df_step_log_clear(struct df_step_log *log); /* the means; everything has been read */
#endif
