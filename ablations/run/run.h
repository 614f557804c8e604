/* One cell: builds data, teacher, student, distillers; trains; evaluates; leaves behind what a run leaves (ablations/run/store.h). */
#ifndef DF_ABLATIONS_RUN_RUN_H
#define DF_ABLATIONS_RUN_RUN_H
#include "ablations/run/cell.h"
#include "core/base/comm.h"
#include "core/data/coco_json.h"
#include "results/run_row.h"

#define DF_CACHE_LIMIT_GIB 4 /* what an automatic teacher cache may take, unless told otherwise */

struct df_run_options {
    const char *out;
    enum { DF_CACHE_AUTO, DF_CACHE_ON, DF_CACHE_OFF } cache;
    double cache_limit_bytes; /* for auto */
    bool skip_bad_images, prefetch;
    bool quiet;           /* no progress bar */
    bool export_results;  /* results.json */
    bool resume;          /* position checkpoints between evaluation points; a killed run goes on from its last one, same bits */
    struct df_comm *comm; /* the ranks that train this cell together; NULL: alone */
};
struct df_run_result {
    struct df_run_row row; /* strings live as long as the result */
    struct df_arena *memory;
};
/* Set by a signal handler: the run stops at the next step with DF_ERR_INTERRUPTED. */
extern volatile int df_run_stop;

/* Trains and evaluates. On failure *out is NULL; the caller keeps the reason. Writes no row. */
df_status df_run_cell(const struct df_cell *cell, const struct df_run_options *options, struct df_run_result **out, struct df_error *err);
void df_run_result_free(struct df_run_result *result);

/* Teacher: trains it if <out>/teachers has no file for its cell (one process at a time: a lock; others wait), returns the path. */
df_status df_teacher_ensure(const struct df_cell *teacher_cell, const struct df_run_options *options, char **path, struct df_error *err);
/* The gate: loads the teacher, evaluates the gate's subset and compares with the recorded number: bit for bit when device and isa are the
 * recorded ones, else within 0.005 mAP. DF_ERR_CHECK when it differs; the message gives both numbers. */
df_status df_teacher_gate(const struct df_cell *student_cell, const struct df_run_options *options, struct df_error *err);
/* The cache: makes sure that it is there and whole for this cell's teacher, data, canvas and needs (built once, under a lock, with a bar;
 * every record's checksum is compared).
 * *path NULL: not used (off, or auto and too large: a warning says so). */
df_status df_cache_ensure(const struct df_cell *student_cell, const struct df_run_options *options, char **path, struct df_error *err);

/* Network + weights ready to predict: for eval, predict, the gate. */
struct df_model {
    struct df_device *device;
    struct df_parameters *parameters;
    struct df_detector *detector;
};
df_status df_model_load(const struct df_cell *cell, const char *checkpoint, struct df_model *out, struct df_error *err);
void df_model_release(struct df_model *model);
/* Detections of the first `limit` images of a split (0: all) in image order, image by image. */
df_status df_model_predict(struct df_model *model, const struct df_cell *cell, struct df_dataset *dataset, size_t limit, bool quiet,
                           struct df_detection **out, size_t *count, struct df_error *err);
#endif
