/* A distiller on a synthetic pair of networks: two images, three levels, random features, an object for every level. The teacher shows only
 * what the distiller says it needs. Used by the files of this folder. */
#ifndef DF_DISTILLERS_CHECK_BENCH_H
#define DF_DISTILLERS_CHECK_BENCH_H
#include "distillers/distiller.h"

enum { DF_BENCH_BATCH = 2, DF_BENCH_INPUTS = 24 };

struct df_bench_input {
    const char *kind; /* of the part; NULL: weights of the head */
    size_t level, stride;
    df_shape shape;
    df_real *value;
    df_tensor *leaf;
};
struct df_bench_network {
    struct df_detector base;
    size_t count;
    struct df_bench_input input[DF_BENCH_INPUTS];
    bool frozen; /* its head's weights get no gradient */
};
struct df_bench {
    const struct df_distiller_class *class; /* these five are the caller's */
    const struct df_detector_class *detector;
    struct df_device *device;
    const void *options;
    bool same_width; /* the student is as wide as the teacher, for distillers without adaptation */
    struct df_bench_network student, teacher;
    struct df_needs needs;
    df_tape *tape;
    void *state, *state_after_init;
    struct df_parameters *parameters;
    struct df_batch batch;
    struct df_ground_truth truth[DF_BENCH_BATCH];
    size_t anchors;
    struct df_box *anchor;
    df_real *label, *matched, *target, *pixels;
    struct df_loss_terms terms;
    struct df_error wrong; /* what the last evaluation gave against the contract; status DF_OK: nothing */
};
extern const struct df_detector_class df_bench_one_stage, df_bench_two_stage;

/* The caller has set the first members, all else is 0. Release it also after a failure. */
df_status df_bench_init(struct df_bench *bench, struct df_error *err);
void df_bench_release(struct df_bench *bench);               /* the caller's members stay: it can be made anew */
void df_bench_objects(struct df_bench *bench, bool objects); /* whether there are any */
/* The loss, its terms and, if asked, all gradients. NAN and no gradients where the contract is broken: then `wrong` says how. */
double df_bench_evaluate(struct df_bench *bench, bool backward);

/* Each returns whether it holds and leaves a line in `text` [DF_CHECK_TEXT]. */
enum { DF_CHECK_TEXT = 512 };
struct df_check {
    const char *name;
    bool (*holds)(struct df_bench *bench, char *text);
};
extern const struct df_check df_checks[]; /* the last has no name */
#endif
