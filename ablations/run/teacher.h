/* The teacher as a run uses it: loaded, measured, and asked for its state of a batch, from the cache or live with the same bits. */
#ifndef DF_ABLATIONS_RUN_TEACHER_H
#define DF_ABLATIONS_RUN_TEACHER_H
#include "ablations/run/record.h"
#include "ablations/run/run.h"

#define DF_GATE_IMAGES     100 /* of the validation split */
#define DF_NECK_STD_IMAGES 256 /* of the training split, unflipped */

/* What can teach: a registry of one entry, in teacher.c. */
struct df_teacher_kind {
    const char *name, *summary;
    /* What it says of images: a state with its parts. */
    void (*say)(struct df_model *model, df_tape *tape, const struct df_batch *images, struct df_detection_state *state);
};
extern const struct df_teacher_kind *const df_teacher_kinds[]; /* NULL-terminated; the first is a detector */
const struct df_teacher_kind *df_teacher_kind_find(const char *name, struct df_error *err);

/* What the checkpoint's metadata says; a file from elsewhere may say nothing. */
struct df_teacher_facts {
    bool measured, gated; /* neck_std is there; the gate's number is there */
    double map, gate_map;
    size_t gate_images, levels;
    double neck_std[DF_LEVELS];
    char id[17], parameters_hash[17], device[16], isa[16];
    char contents_hash[17]; /* of the whole file, metadata included */
};
df_status df_teacher_facts_read(const char *checkpoint, struct df_teacher_facts *out, struct df_error *err);
/* Writes a model as a teacher of `cell`: measures neck_std and the gate's number, and puts them beside `map` into the metadata. skip_bad: of
 * the training images; one of the gate's that cannot be read is always an error. */
df_status df_teacher_write(const struct df_cell *cell, struct df_model *model, double map, bool skip_bad, const char *path,
                           struct df_error *err);
char *df_teacher_path(const struct df_cell *student, const struct df_run_options *options);
/* Standard deviation over all cells and channels of each neck level, over the first images of the training split, in double. */
df_status df_teacher_neck_std(const struct df_cell *cell, struct df_model *model, struct df_dataset *train, bool skip_bad, size_t *levels,
                              double neck_std[DF_LEVELS], struct df_error *err);
/* df_lock that waits, but not for a user who wants to stop. */
df_status df_lock_wait(const char *path, int *fd, struct df_error *err);

/* What becomes of a student's needs. */
struct df_teacher_plan {
    struct df_needs captured; /* parts that both networks must have alike */
    struct df_needs given;    /* parts that distillers are given: the captured ones, and the neck that the teacher's head runs over */
    struct df_needs recorded; /* ... and what other methods of a sweep are likely to need: they then share one cache */
    bool head;                /* the teacher's network stays: its head runs when it is asked */
};
void df_teacher_plan_of(const struct df_cell *student, struct df_teacher_plan *out);
bool df_same_canvas(const struct df_canvas_options *a, const struct df_canvas_options *b);

struct df_teacher;
/* Trains the teacher and builds the cache first if they are missing. */
df_status df_teacher_open(const struct df_cell *student, const struct df_run_options *options, struct df_dataset *train,
                          struct df_teacher **out, struct df_error *err);
void df_teacher_close(struct df_teacher *teacher);
/* Parts of both networks on image 0, without tensors; of the teacher's maps the deviations. */
struct df_taught_parts {
    struct df_parts student, teacher;
};
const struct df_taught_parts *df_teacher_parts(const struct df_teacher *teacher);
/* Whether what a student needs fits its teacher, on every image's canvas: asked before anybody is trained. out: without deviations; may be
 * NULL. */
df_status df_teacher_fits(const struct df_cell *student, const struct df_dataset *train, struct df_taught_parts *out, struct df_error *err);
const char *df_teacher_cache(const struct df_teacher *teacher); /* NULL: live */
const char *df_teacher_hash(const struct df_teacher *teacher);  /* of its weights, 16 hex digits */
/* No heap memory after the first batches of a canvas. The tensors live on the tape. */
df_status df_teacher_state(struct df_teacher *teacher, df_tape *tape, const struct df_detection_state *student,
                           struct df_detection_state *out, struct df_error *err);
#endif
