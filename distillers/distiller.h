/* The contract of a distiller. A distiller is one file that ends in one const struct df_distiller_class, and one line in registry.c; the
 * spec parser, --help, the documentation, the conformance tests and the gradient check read that struct. A shared object that exports
 * `df_distiller` of this type works with --plugin. */
#ifndef DF_DISTILLERS_DISTILLER_H
#define DF_DISTILLERS_DISTILLER_H
#include "detectors/detector.h"

#define DF_DISTILLER_ABI 5
/* What a distiller may ask for besides the names of parts (detectors/part.h): */
#define DF_NEEDS_CLASS_LOGITS "class_logits" /* the part that says the classes: the detector's class_logits */
#define DF_NEEDS_HEAD         "head"         /* no part: the teacher's own network, whose run_head the loss calls */

/* Given to init: what the two networks look like, and where adaptation layers are added. */
struct df_distiller_setup {
    const void *options;
    void *state;                      /* this instance's own memory, state_size bytes, zeroed, kept for the whole run */
    struct df_parameters *parameters; /* the student's; df_distiller_parameter adds to it, after all of the student's own */
    const char *prefix;               /* "distiller.0." : put before every parameter name */
    size_t levels;                    /* of the neck */
    /* Names, strides and shapes of an image's parts, of its own teacher's maps the deviation (0: not measured); no tensors. teacher: empty where
     * this distiller needs nothing of one; student: where no distiller does. */
    const struct df_parts *student, *teacher;
    const struct df_detector_class *detector;
};
/* Adds a parameter that draws from DF_RNG_ADAPT. */
struct df_parameter *df_distiller_parameter(struct df_distiller_setup *setup, const char *name, enum df_parameter_kind kind, df_shape shape,
                                            struct df_initialiser init);

struct df_distill_context {
    df_tape *tape;
    const void *options;
    void *state;
    size_t step, steps, epoch, epochs;
    double progress;             /* 0 at the first step, towards 1 */
    uint64_t seed;               /* df_rng_init(&rng, seed, DF_RNG_DISTILL, step) */
    struct df_loss_terms *terms; /* each term is added by name, unweighted, with its weight */
};

struct df_distiller_class {
    int abi;
    const char *name, *summary, *cite;
    const char
        *needs; /* of the teacher, with any options: names of parts, or of a kind with a star ("neck" and all its levels), separated by
                        * blanks; "" nothing, and so no teacher */
    void (*needs_of)(const void *options, struct df_needs *needs); /* NULL: `needs`; else adds what these options need, a part of it */
    const df_option *options;
    size_t options_size, state_size;
    /* Options that contradict each other or the networks are errors here. May be NULL. */
    df_status (*init)(struct df_distiller_setup *setup, struct df_error *err);
    /* student and teacher, this distiller's own, describe the same images; the teacher's tensors need no gradient. Returns a scalar on the tape;
     * NULL: no loss. A term whose weight is 0 is computed and multiplied by 0. The step waits where df_part_host is asked for what the device has
     * made; rows of a dense head and RoIs are told apart by their labels there (detectors/rows.h), so that most losses never ask. */
    df_tensor *(*loss)(const struct df_distill_context *context, const struct df_detection_state *student,
                       const struct df_detection_state *teacher);
    /* Raised when its numbers change: 0 and 1 are the first; in the cell beside its name from 2 on. What several distillers share (common.h)
     * raises all of theirs. */
    int revision;
    /* Names of the real options that `defeat tune` tries, separated by blanks; NULL or "": none. A weight that has no effect or is 0 is left as it
     * is: what is off stays off. */
    const char *tunable;
    /* For `defeat distillers NAME` and the page of all of them. NULL: not told; a distiller that is built in tells all three. */
    const char
        *formula; /* the loss, as plain text, line by line ('\n'), its letters explained: printed as it stands, at most 120 columns */
    const char *deviation; /* what differs from the paper or its authors' code, in sentences; "" nothing */
    const char *published; /* weights and gains as others print them, each with its source, in sentences; "" none */
};

extern const struct df_distiller_class *const df_distiller_classes[];
const struct df_distiller_class *df_distiller_class_find(const char *name, struct df_error *err);
/* What these options need of a teacher, for this student: names of parts that both detectors have, DF_NEEDS_CLASS_LOGITS resolved. Error: one
 * of them does not offer that; names the option that asks for it. */
df_status df_distiller_needs(const struct df_distiller_class *class, const void *options, const struct df_detector_class *student,
                             const struct df_detector_class *teacher, struct df_needs *needs, struct df_error *err);
df_status df_distiller_load_plugin(const char *path, const struct df_distiller_class **out, struct df_error *err); /* then found by name */

/* What `loss` has returned and added to the terms from `first` on, against the contract: scalars, and a loss where a term with a weight was added. */
df_status df_distiller_result(const struct df_distiller_class *class, const df_tensor *loss, const struct df_loss_terms *terms,
                              size_t first, struct df_error *err);
/* Sets all options w and w_* to 0, which turns it off; how many there are. */
size_t df_distiller_weigh_nothing(const struct df_distiller_class *class, void *options);
/* Whether `defeat tune` tries this option. */
bool df_distiller_tunes(const struct df_distiller_class *class, const char *option);
/* Whether ABI, name, texts and the whole option table are as they must be. Plugins are asked when they are loaded. */
df_status df_distiller_legal(const struct df_distiller_class *class, struct df_error *err);
/* The hash of a plugin's file: its code decides numbers. NULL: built in. */
const char *df_distiller_plugin_hash(const struct df_distiller_class *class);
#endif
