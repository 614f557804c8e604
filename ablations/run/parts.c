/* One image without objects through a cell's network, on the device that computes nothing. */
#include "ablations/run/parts.h"

#include <stdlib.h>

#include "ablations/run/model.h"

static void look_at_nothing(const struct df_model *model, struct df_canvas_size canvas, struct df_parts *out)
{
    const struct df_ground_truth nothing = { 0 };
    const struct df_batch image = { .n = 1,
                                    .height = canvas.height,
                                    .width = canvas.width,
                                    .pixels = df_calloc(canvas.height * canvas.width * 3, sizeof(df_real)),
                                    .truth = &nothing,
                                    .valid_h = &canvas.height,
                                    .valid_w = &canvas.width };
    df_tape *tape = df_tape_new(model->device, false);
    struct df_detection_state state;
    struct df_needs all = { 0 };

    df_needs_add(&all, model->detector->class->offers);
    df_detector_show(model->detector, &all);
    df_detector_forward(model->detector, tape, &image, DF_FIRST_STAGE, &state);
    *out = state.parts;
    for (size_t i = 0; i < out->count; i++)
        out->part[i].tensor = NULL;
    df_tape_free(tape);
    free(image.pixels);
}

df_status df_cell_parts(const struct df_cell *cell, size_t classes, struct df_canvas_size canvas, struct df_parts *out,
                        struct df_error *err)
{
    struct df_model model;

    DF_TRY(df_model_create_dry(cell, classes, &model, err));
    df_model_build(&model, cell, false);
    look_at_nothing(&model, canvas, out);
    df_model_release(&model);
    return DF_OK;
}
