/* A trained network that is asked questions: weights read, frozen, folded; a black box but for who takes its model. It is shown canvases, whose
 * pixels are the caller's to make up, and answers with its detections: boxes with the class scores of their rows. */
#ifndef DF_ABLATIONS_BEHAVIOUR_SUBJECT_H
#define DF_ABLATIONS_BEHAVIOUR_SUBJECT_H
#include "ablations/run/model.h"

struct df_subject {
    const struct df_cell *cell; /* whose network it is: canvas and classes; the caller's */
    struct df_dataset *images;  /* the split of data that it is asked about: the data's */
    struct df_model model;
    df_tape *tape;    /* of the last answers, without recording */
    char weights[17]; /* hash of the whole checkpoint, metadata included */
};
/* With weights of a file: NULL: those that the cell's run, or the teacher's, has left under `out`. DF_ERR_NOT_FOUND: there is no such file;
 * DF_ERR_STALE: another cell's run has written it; DF_ERR_UNSUPPORTED: no detector, or one of other classes than the data's. */
df_status df_subject_open(const struct df_cell *cell, enum df_split split, const char *weights, const char *out, struct df_subject *subject,
                          struct df_error *err);
/* The same about other data than the cell's, of the same classes. */
df_status df_subject_open_on(const struct df_cell *cell, struct df_data *data, enum df_split split, const char *weights, const char *out,
                             struct df_subject *subject, struct df_error *err);
void df_subject_close(struct df_subject *subject); /* also of one that could not be opened, or { 0 } */
/* The file that df_subject_open with weights NULL reads: free it. */
char *df_subject_file(const struct df_cell *cell, const char *out);

/* Canvases of one image: they share its size, its valid region and its ground truth; the pixels are the caller's to fill. */
struct df_canvases {
    struct df_batch batch; /* n: how many of the room are asked about; pixels [room,H,W,3], normalised, on the host */
    size_t room;
    void *memory;
};
/* image: a batch of one, which must live as long. The pixels are undefined. */
void df_canvases_init(struct df_canvases *canvases, const struct df_batch *image, size_t room);
void df_canvases_release(struct df_canvases *canvases);
df_real *df_canvas_pixels(struct df_canvases *canvases, size_t i); /* [H,W,3] */
/* What a stored value 0..255 of channel c is on a canvas: also of parts of one. */
df_real df_canvas_value(const struct df_canvas_options *canvas, double value, int c);

struct df_answer { /* to one canvas; until the subject is asked again */
    size_t count;
    const struct df_found *found; /* falling score; canvas pixels; with class scores */
};
/* Of each canvas, [batch->n], on the subject's tape. On `cpu` an answer does not depend on what else is in the batch, to the last bit. */
const struct df_answer *df_subject_ask(struct df_subject *subject, const struct df_batch *batch);
#endif
