/* A cell: everything that decides a run's numbers. Its canonical JSON is its identity, the hash of that text the run id. The unit of work, of
 * resume, of the journal row.
 *
 * Canonical JSON (keys in this order, every option that has an effect written out, defaults included):
 *   {"semantics":1,"role":"student"|"teacher",
 *    "data":{"kind":"scenes",...dataset options...},"canvas":{...df_canvas_option_table...},
 *    "data_hash":"<16 hex of train>-<tune>-<validation>"   (coco only: scenes are decided by their options),
 *    "detector":{"kind":"retinanet",...},"network":{...},"schedule":{...},
 *    "teacher":"<run id of the teacher's cell>"|"file:<hash of the checkpoint>"   (only where a distiller needs one),
 *    "distillers":[{"name":"defeat",...all options...}],   (a plugin's: "plugin":"<16 hex of its file>" after the name)
 *    "seed":0,"device":"cpu","isa":"avx2","threads":1}
 */
#ifndef DF_ABLATIONS_RUN_CELL_H
#define DF_ABLATIONS_RUN_CELL_H
#include "core/nn/optimiser.h"
#include "distillers/distiller.h"

/* Raised whenever the code's numbers change. Rows of an older one are stale. */
#define DF_SEMANTICS 1
#define DF_STACK_MAX 4

struct df_cell_distiller {
    const struct df_distiller_class *class;
    void *options;
};
struct df_cell {
    bool teacher_role;
    const struct df_dataset_class *dataset;
    void *dataset_options;
    struct df_canvas_options canvas;
    char data_hash[56];
    const struct df_detector_class *detector;
    void *detector_options;
    struct df_network_options network;
    struct df_schedule schedule;
    size_t distillers;
    struct df_cell_distiller distiller[DF_STACK_MAX];
    unsigned needs;                            /* of all distillers; 0: no teacher */
    struct df_cell *teacher;                   /* the teacher's cell (shared, not owned), NULL where needs == 0 or a file is given */
    char teacher_file[DF_STRING_MAX];          /* "" or a checkpoint that the spec names instead of training one */
    struct df_network_options teacher_network; /* of teacher_file */
    int64_t seed;
    char device[16];
    int64_t threads;
    const char *base; /* folder of the spec: relative data paths */
    /* not part of the identity */
    bool unread; /* files (data, teacher) were not looked at: nothing can be run, and the id is nobody's */
    char spec[128], label[128], axes[256];
    char id[17];         /* after df_cell_seal */
    struct df_text json; /* after df_cell_seal */
};
/* Fills in json and id (the teacher must be sealed before). */
df_status df_cell_seal(struct df_cell *cell, struct df_error *err);
void df_cell_free(struct df_cell *cell); /* not its teacher */
#endif
