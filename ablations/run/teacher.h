/* The teacher at work: asked for its state of a batch, which comes from the cache or live with the same bits. It always runs image by image, so
 * that what it says of an image never depends on the batch, and the cache holds exactly what a live teacher says. */
#ifndef DF_ABLATIONS_RUN_TEACHER_H
#define DF_ABLATIONS_RUN_TEACHER_H
#include "ablations/run/fits.h"
#include "ablations/run/record.h"
#include "ablations/run/teacher_file.h"

struct df_teacher;
/* By: one of the student's teachers. With the cache where it is there and not off. An error where the teacher's file is not there, or the cache
 * that must be; one that says what does not fit the student. */
df_status df_teacher_open(const struct df_cell *student, const struct df_cell_teacher *by, const struct df_run_options *options,
                          struct df_dataset *train, struct df_teacher **out, struct df_error *err);
void df_teacher_close(struct df_teacher *teacher);
/* Parts of both networks on image 0, without tensors; of the teacher's maps the deviations. */
const struct df_taught_parts *df_teacher_parts(const struct df_teacher *teacher);
const char *df_teacher_cache(const struct df_teacher *teacher);                       /* its file; NULL: live */
const struct df_teacher_facts *df_teacher_facts_of(const struct df_teacher *teacher); /* with the hash of its weights */
struct df_device *df_teacher_device(const struct df_teacher *teacher);                /* its own; NULL where a cache does all its work */
/* No heap memory after the first batches of a canvas (from a classifier that is live: and of as many objects). The tensors live on the tape. */
df_status df_teacher_state(struct df_teacher *teacher, df_tape *tape, const struct df_detection_state *student,
                           struct df_detection_state *out, struct df_error *err);

/* ---- for whoever builds the cache ---- */

/* How many records a cache has: of each image, and of its mirror image where the schedule flips. */
size_t df_teacher_records(const struct df_cell *student, const struct df_dataset *train);
/* What decides a cache's contents, as a hash. facts: of a file that says its weights' hash, or of an open teacher. */
void df_teacher_cache_key(const struct df_cell *student, const struct df_cell_teacher *by, const struct df_dataset *train,
                          const struct df_teacher_facts *facts, char key[17]);
/* Record i, made now by a live teacher; until the next one is asked for. */
df_status df_teacher_record(struct df_teacher *teacher, size_t i, const struct df_record_layout **record, struct df_error *err);
#endif
