/* A network in training: model, distillers, tape, and the ONE step. It has no data: the batch is handed in, and what the teacher says of it is
 * asked for through a narrow interface. */
#ifndef DF_ABLATIONS_RUN_STUDENT_H
#define DF_ABLATIONS_RUN_STUDENT_H
#include "ablations/run/model.h"
#include "ablations/run/parts.h"
#include "core/base/comm.h"

/* Gives the state that one of the cell's teachers has of the student's images; its tensors live on the tape. */
struct df_teaching {
    df_status (*state)(void *teachers, size_t which, df_tape *tape, const struct df_detection_state *student,
                       struct df_detection_state *out, struct df_error *err);
    void *teachers;
};

/* A step's parts, in their order. */
enum df_step_part {
    DF_STEP_BATCH, /* it is there: told before anything is done with it */
    DF_STEP_CLEAR, /* gradients zeroed */
    DF_STEP_FORWARD,
    DF_STEP_LOSS,
    DF_STEP_TEACH,   /* all teachers, each once; only with a teacher */
    DF_STEP_DISTILL, /* only with distillers */
    DF_STEP_BACKWARD,
    DF_STEP_UPDATE,
};

struct df_student;

/* A step before its backward pass, for who looks on: all losses are on the tape, no gradient is. Who walks it back himself leaves the parameters'
 * gradients zeroed. */
struct df_step_view {
    const struct df_detection_state *own, *teacher; /* teacher: [cell->teachers] */
    size_t own_terms;                               /* of student->terms the detector's, which stand first */
    struct {
        df_tensor *loss; /* NULL: none */
        size_t first, terms;
    } taught[DF_STACK_MAX]; /* by each distiller */
};
typedef df_status df_look_fn(void *looker, struct df_student *student, const struct df_step_view *view, struct df_error *err);

struct df_student {
    const struct df_cell *cell;
    struct df_model model;
    size_t own_parameters;     /* items before the distillers' */
    size_t distillers;         /* of the cell's */
    void *state[DF_STACK_MAX]; /* of each; changes over a run belong into parameters and buffers: this is in no position checkpoint */
    df_tape *tape;
    size_t step, steps, steps_per_epoch; /* step: how many were made */
    /* of the last step */
    double lr;
    struct df_loss_terms terms;
    df_tensor *loss;                  /* with the distillers' */
    const struct df_optim_norm *norm; /* of the gradient, on the device */
    uint64_t waits[DF_STACK_MAX];     /* how often each distiller has read from the device */
    /* told as each part of a step is over; NULL: nobody */
    void (*part_done)(void *watcher, enum df_step_part part);
    void *watcher;
    df_look_fn *look; /* before every backward pass; NULL: nobody */
    void *looker;
};

/* What a student is made with besides its cell. */
struct df_student_setup {
    size_t classes; /* of the data */
    size_t steps, steps_per_epoch;
    const struct df_taught_parts *parts[DF_STACK_MAX]; /* with each of the cell's teachers: of both networks, which fit */
    struct df_comm *comm;                              /* NULL: alone */
    bool dry;                                          /* on the device that counts and does not compute */
};
df_status df_student_open(struct df_student *student, const struct df_cell *cell, const struct df_student_setup *setup,
                          struct df_error *err);
/* Also of one that could not be opened. */
void df_student_close(struct df_student *student);
/* One step. teaching: NULL: no teacher is asked, and no distiller may need one. Each distiller sees its own teacher's state; one that needs
 * nothing of a teacher sees an empty one. From the second on none of our code takes heap memory (kd_classifier's boxes: from the one with the
 * most positive rows on; a device that replays takes some while it keeps a canvas's passes, from its second step on, or anew where these change),
 * and nothing here waits for the device; what does are detectors, distillers and live teachers that ask for values. A gradient that is not finite
 * moves no weight. With schedule.ema the averages follow the weights. Only a teacher and who looks on fail. */
df_status df_student_step(struct df_student *student, const struct df_batch *batch, const struct df_teaching *teaching,
                          struct df_error *err);
/* For a device that runs behind: which distillers make the host wait for it, and whether the steps are replayed (df_replay_begin); nothing where
 * all is as it should be. */
void df_student_say_waits(const struct df_student *student, const struct df_replays *replays, struct df_text *text);
#endif
