/* What a training step costs on paper: made-up images go through the networks, losses, distillers and the optimiser that train, on a device
 * that counts and does not compute. A step of a batch of N costs, in every part, step + N image: what happens once (weights, the optimiser)
 * and what every image adds; a batch of one and a batch of two tell them apart. No data, no teacher's weights and no journal are needed or
 * written. */
#ifndef DF_ABLATIONS_RUN_COST_H
#define DF_ABLATIONS_RUN_COST_H
#include "ablations/run/cell.h"

enum df_cost_part {
    DF_COST_BODY,             /* student: backbone and neck, forward */
    DF_COST_HEADS,            /* student: proposals, heads, forward */
    DF_COST_LOSS,             /* the detector's losses */
    DF_COST_BACKWARD,         /* of all of that */
    DF_COST_TEACHER,          /* live teachers, forward, image by image, and their records, which stay on the device */
    DF_COST_CACHED,           /* cached ones: their records, copied to the device */
    DF_COST_DISTILL,          /* adaptation layers, masks, distillation losses */
    DF_COST_DISTILL_BACKWARD, /* what these add to the backward pass */
    DF_COST_UPDATE,           /* gradients zeroed, their norm, the optimiser */
    DF_COST_PARTS
};
extern const char *const df_cost_part_names[DF_COST_PARTS];

/* The images of a step. */
struct df_cost_images {
    size_t height, width, classes;
    struct df_canvas_size teacher[DF_STACK_MAX]; /* what each of the cell's teachers sees of one; 0 x 0: the same */
};
struct df_cost_amount {
    double flops;  /* of convolutions and matrix products, 2 per multiply-add */
    double bytes;  /* of the device's memory, every operand of every operation once */
    double copied; /* bytes that cross between host and device */
};
struct df_cost {
    struct df_cost_images images;
    struct df_cost_amount step[DF_COST_PARTS], image[DF_COST_PARTS];
    double tape_step, tape_image; /* bytes of activations and their gradients that live at the end of the backward pass */
    double teacher_tape;          /* ... of the teachers' activations, which are given one image at a time */
    double held, teacher_held;    /* bytes of parameters, gradients, moments and averages; of the teachers' weights */
    size_t parameters, adaptation, teacher_parameters; /* how many, without buffers; the distillers' own; trainable or not the teachers' */
    uint64_t record,
        largest_record;  /* bytes of an image's in the teachers' caches, and in the largest of these; 0 where there is no teacher */
    double live_record;  /* bytes of an image's in live teachers' memory: only what is asked for */
    double record_flops; /* of making an image's for the caches: more than a live teacher does where only its neck is asked for */
};
/* compute: on the cell's own device, which also computes: the same counts, slowly (tests). Fails where the cell's networks and distillers do
 * not fit together. */
df_status df_cost_count(const struct df_cell *cell, struct df_cost_images images, bool compute, struct df_cost *out, struct df_error *err);

struct df_cost_machine {
    double flops, bandwidth; /* a second */
};
struct df_cost_amount df_cost_part(const struct df_cost *cost, enum df_cost_part part, size_t batch);
/* Whether a step has this part. */
bool df_cost_counts(enum df_cost_part part, bool cached);
/* A floor: no machine of this peak and bandwidth does it in less time if it moves what is counted. */
double df_cost_seconds(struct df_cost_amount amount, struct df_cost_machine machine);
double df_cost_step_seconds(const struct df_cost *cost, size_t batch, struct df_cost_machine machine, bool cached);
/* Bytes that a step of this batch needs on the device, with a live teacher. */
double df_cost_memory(const struct df_cost *cost, size_t batch);
/* The largest batch that needs no more than this; 0: not one image fits. */
size_t df_cost_largest_batch(const struct df_cost *cost, double bytes);
/* What a plain student's epochs are multiplied with, so that it is given the multiply-adds of a run of this cell, of so many steps whose teacher is
 * asked for so many records: each image once, and once more for its mirror image, as a cache holds them. 1: nothing distils. */
double df_cost_stretch(const struct df_cost *cost, size_t batch, double steps, size_t records);
/* The most images whose largest cache (`copies` records each) stays within the limit. */
size_t df_cost_cached_images(const struct df_cost *cost, size_t copies, double limit);
#endif
