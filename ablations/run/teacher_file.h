/* A teacher's file: the weights and what was measured about them; the gate, which measures again before anything is taught. */
#ifndef DF_ABLATIONS_RUN_TEACHER_FILE_H
#define DF_ABLATIONS_RUN_TEACHER_FILE_H
#include "ablations/run/options.h"
#include "ablations/run/teacher_kind.h"

#define DF_GATE_IMAGES     100 /* of the validation split */
#define DF_NECK_STD_IMAGES 256 /* of the training split, unflipped */

/* What the checkpoint's metadata says; a file from elsewhere may say nothing. */
struct df_teacher_facts {
    bool measured, gated; /* neck_std is there; the gate's number is there */
    bool accuracy;        /* the two are no mAP but the share of objects that are classified right */
    double map, gate_map;
    size_t gate_images, levels;
    double neck_std[DF_LEVELS];
    char id[17], parameters_hash[17], device[16], isa[16];
    char gate_hash[17];     /* of what the gate's number is of: images, ground truth, canvas, detector; "": not recorded */
    char contents_hash[17]; /* of the whole file, metadata included */
};
df_status df_teacher_facts_read(const char *checkpoint, struct df_teacher_facts *out, struct df_error *err);
/* "45.10 mAP", "97.30 % accuracy" */
const char *df_teacher_score_text(const struct df_teacher_facts *facts, double score, char buffer[32]);
/* Fills in levels and neck_std: the standard deviation over all cells and channels of each neck level, over the first images of the training
 * split, in double. skip_bad: of these images. */
df_status df_teacher_measure(const struct df_cell *cell, struct df_model *model, bool skip_bad, struct df_teacher_facts *facts,
                             struct df_error *err);
/* How a teacher is written. */
struct df_teacher_writing {
    double map; /* on the validation split; NaN: it is measured (of a classifier: its accuracy, which always is) */
    bool
        half; /* weights of two and more axes in half precision: the model is rounded first, so that what is measured is what is read back */
    bool skip_bad; /* of the training images; one of the gate's that cannot be read is always an error */
};
/* Writes a model as a teacher of `cell`: measures neck_std and the gate's number, and puts them beside the mAP into the metadata. The file of a
 * CPU is the same on every machine. */
df_status df_teacher_write(const struct df_cell *cell, struct df_model *model, struct df_teacher_writing how, const char *path,
                           struct df_error *err);
/* The teacher's file once more, in half precision, measured anew. */
df_status df_teacher_halve(const struct df_cell *cell, const char *from, const char *to, struct df_error *err);

char *df_teacher_path(const struct df_cell *teacher, const struct df_run_options *options); /* free it */
/* A file under a teacher's name must be that teacher. */
df_status df_teacher_check(const struct df_cell *teacher, const char *path, struct df_error *err);
/* The gate: loads the teacher, evaluates the gate's subset and compares with the recorded number: bit for bit when the device is the
 * recorded one (of GPUs: the same architecture), else within 0.005 mAP. DF_ERR_CHECK when it differs; the message gives both numbers. A given
 * file whose number is of other images, another canvas or other options of the detector is warned of where it differs: its weights' hash alone stops. */
df_status df_teacher_gate(const struct df_cell *teacher, const struct df_run_options *options, struct df_error *err);
#endif
