/* What a cell's network would show of an image, without its weights and without computing: for whoever must know whether two networks fit
 * before one of them is trained. */
#ifndef DF_ABLATIONS_RUN_PARTS_H
#define DF_ABLATIONS_RUN_PARTS_H
#include "ablations/run/cell.h"

/* The parts of a first stage on a canvas, without tensors. classes: of the data. */
df_status df_cell_parts(const struct df_cell *cell, size_t classes, struct df_canvas_size canvas, struct df_parts *out,
                        struct df_error *err);

/* Those of a student and of its teacher, on one image. */
struct df_taught_parts {
    struct df_parts student, teacher;
};
#endif
