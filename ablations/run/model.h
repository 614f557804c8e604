/* A cell's network and its weights, on a device. */
#ifndef DF_ABLATIONS_RUN_MODEL_H
#define DF_ABLATIONS_RUN_MODEL_H
#include "ablations/run/cell.h"

struct df_model {
    struct df_device *device;
    struct df_parameters *parameters;
    struct df_detector *detector;
    bool dry; /* the device counts and does not compute: weights are not drawn */
};

/* Device, parameters and detector of a cell, the parameters not built yet: distillers may add theirs. classes: of the data. */
df_status df_model_create(const struct df_cell *cell, size_t classes, struct df_model *out, struct df_error *err);
/* The same on df_device_dry. */
df_status df_model_create_dry(const struct df_cell *cell, size_t classes, struct df_model *out, struct df_error *err);
/* Draws the weights from the cell's seed. */
void df_model_build(const struct df_model *model, const struct df_cell *cell, bool gradients);
/* The first `own` parameters from the file that the student starts from, if it does, then, with init_student, neck and head from the teacher's
 * (NULL: it has none); said: which, and what was left. */
df_status df_model_start(const struct df_cell *cell, const struct df_model *model, size_t own, const char *teacher, struct df_text *said,
                         struct df_error *err);
/* Of a network that nobody has trained: every batch norm's running statistics become those that this batch has there, as training would leave
 * them. With the initial ones, mean 0 and deviation 1, whatever takes them for true (frozen norms, a folded teacher) triples the variance in
 * every residual block: a ResNet-152 ends at 1e23 and its losses in NaN. Before it is folded; weights stay as they are. */
df_status df_model_settle(const struct df_cell *cell, const struct df_model *model, const struct df_batch *batch, struct df_error *err);
/* Ready to predict: weights read, frozen, folded. */
df_status df_model_open(const struct df_cell *cell, size_t classes, const char *checkpoint, struct df_model *out, struct df_error *err);
/* The same without a file: the weights are those that another network of the cell has now; it may have more, behind these. */
df_status df_model_copy(const struct df_cell *cell, const struct df_model *from, struct df_model *out, struct df_error *err);
/* df_model_open with as many classes as the cell's data have. */
df_status df_model_load(const struct df_cell *cell, const char *checkpoint, struct df_model *out, struct df_error *err);
void df_model_release(struct df_model *model);
#endif
