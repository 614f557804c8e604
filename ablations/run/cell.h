/* A cell: everything that decides a run's numbers, as the spec asks for it. Its canonical JSON is its identity, the hash of that text the run
 * id. The unit of work, of resume, of the journal row.
 *
 * Canonical JSON (keys in this order, every option that has an effect written out, defaults included):
 *   {"semantics":2,"role":"student"|"teacher",
 *    "data":{"kind":"scenes",...dataset options...},"canvas":{...df_canvas_option_table...},
 *    "data_hash":"<16 hex of train>-<tune>-<validation>"   (of data from files: of others the options decide all),
 *    "detector":{"kind":"retinanet",...},"network":{...},"schedule":{...},
 *    "start":{"file":"<hash of the checkpoint>","take":"backbone.body"}           (only of a student that starts from one),
 *    "teacher":"<run id of the teacher's cell>"|"file:<hash of the checkpoint>"   (only where a distiller needs one),
 *    "teacher_network":{...}, "teacher_detector":{...}, "teacher_canvas":{...}, "teacher_classes":80
 *                          (of a file; the last three only where they are not the student's, the data's),
 *    "teachers":{"big":{"teacher":...},"wide":{"teacher":...,"teacher_network":...}}   (in place of these, by name, where several teach),
 *    "init_student":true   (only where the student starts with a teacher's neck and head; that one's name where several teach),
 *    "distillers":[{"name":"defeat","teacher":"big",...all options...}],   (teacher: where several teach; a plugin's file: "plugin":"<16 hex>")
 *    "seed":0,"device":"cpu"|"ref"|"cuda","precision":"tf32"   (only where it is not float32)}
 * A data set, detector or distiller of revision 2 or more has "revision" after its name: a change of one makes only its own rows stale.
 * A key that comes later stands there only where it differs from what reproduces the behaviour before it (df_option's `absent`, `precision`
 * above): it orphans no row. Nothing of the machine is here, so that a login node computes the ids that a worker does: instruction set,
 * threads, card and versions are the row's environment (environment.h).
 */
#ifndef DF_ABLATIONS_RUN_CELL_H
#define DF_ABLATIONS_RUN_CELL_H
#include "core/data/data.h"
#include "core/nn/optimiser.h"
#include "distillers/distiller.h"

/* Raised when numbers change that belong to no one class: a class has its own revision. Rows of an older one are stale. */
#define DF_SEMANTICS    2
#define DF_STACK_MAX    4
#define DF_TEACHER_NAME 32 /* bytes */
#define DF_NO_TEACHER   SIZE_MAX

struct df_teacher_kind;
struct df_cell_distiller {
    const struct df_distiller_class *class;
    void *options;
    size_t teacher; /* which of the cell's; DF_NO_TEACHER: it needs nothing of one */
};
struct df_cell_teacher {
    char name[DF_TEACHER_NAME]; /* "": the spec has no other */
    struct df_cell *cell;       /* shared, not owned */
    struct df_needs needs;      /* of the distillers that it teaches by */
};
struct df_cell {
    bool teacher_role;
    struct df_data *data; /* the spec's: shared, not owned */
    struct df_canvas_options canvas;
    const struct df_detector_class *detector;
    void *detector_options;
    struct df_network_options network;
    struct df_schedule schedule;
    size_t distillers;
    struct df_cell_distiller distiller[DF_STACK_MAX];
    size_t teachers; /* who teaches it: only those that a distiller needs */
    struct df_cell_teacher teacher[DF_STACK_MAX];
    const struct df_teacher_kind *kind; /* of a teacher; NULL: a detector */
    char file[DF_STRING_MAX];           /* "", or a checkpoint: of a teacher, given instead of trained; a student starts from it, */
    char file_hash[17];                 /* of its bytes, where they are known; "": the file is read when the cell is sealed */
    char take[96];                      /* with the tensors whose names begin so; "": all of them */
    bool init_student;                  /* it has a teacher's neck and head at the start, where shapes allow: */
    size_t init_from;                   /* which of the cell's */
    size_t classes;                     /* of a given teacher that has others than the data; 0: the data's */
    int64_t seed;
    char device[16]; /* "cuda:1+tf32": its kind and its precision are the cell's, its number is not */
    /* not part of the identity */
    int64_t threads;
    bool unread; /* files (data, teacher) were not looked at: nothing can be run, and the id is nobody's */
    char spec[128], label[128], axes[256];
    char id[17];         /* after df_cell_seal */
    struct df_text json; /* after df_cell_seal */
};
/* How factors of convolutions and matrix products are rounded: a key of a spec and of the cell, which in a device's name is "+tf32". */
enum df_precision { DF_FLOAT32, DF_TF32 };
struct df_precision_options {
    int precision;
};
extern const df_option df_precision_option_table[];
/* Adds what a distiller needs of a teacher, which is the cell's from then on: which of them. */
size_t df_cell_taught_by(struct df_cell *cell, const char *name, struct df_cell *teacher, const struct df_needs *needs);
struct df_needs df_cell_needs(const struct df_cell *cell); /* of all teachers together */
/* Fills in json and id (the teachers must be sealed before). */
df_status df_cell_seal(struct df_cell *cell, struct df_error *err);
/* What the spec must have said, for what has another default now: canonical JSON without hashes, semantics and options at their default.
 * cJSON_Delete it. */
cJSON *df_cell_asked(const struct df_cell *cell);
void df_cell_free(struct df_cell *cell); /* not its data, nor its teachers */
/* How the cell looks at the images of a split one by one. They are packed: .packed = false for whoever looks at pixels on the host. */
struct df_loader_config df_cell_loader(const struct df_cell *cell, struct df_dataset *dataset, bool skip_bad);
#endif
