/* One image without objects through a cell's network, on the device that computes nothing. */
#include "ablations/run/parts.h"

#include <stdlib.h>

static void look(struct df_detector *detector, struct df_device *device, struct df_canvas_size canvas, struct df_parts *out)
{
    const struct df_ground_truth nothing = { 0 };
    const struct df_batch image = { .n = 1,
                                    .height = canvas.height,
                                    .width = canvas.width,
                                    .pixels = df_calloc(canvas.height * canvas.width * 3, sizeof(df_real)),
                                    .truth = &nothing,
                                    .valid_h = &canvas.height,
                                    .valid_w = &canvas.width };
    df_tape *tape = df_tape_new(device, false);
    struct df_detection_state state;

    df_detector_forward(detector, tape, &image, DF_FIRST_STAGE, &state);
    *out = state.parts;
    for (size_t i = 0; i < out->count; i++)
        out->part[i].tensor = NULL;
    df_tape_free(tape);
    free(image.pixels);
}

df_status df_cell_parts(const struct df_cell *cell, size_t classes, struct df_canvas_size canvas, struct df_parts *out,
                        struct df_error *err)
{
    struct df_parameters *parameters = df_parameters_new();
    struct df_device *device = df_device_dry();
    struct df_detector *detector = NULL;
    const df_status status =
        cell->detector->create(cell->detector_options, &cell->network, cell->classes ? cell->classes : classes, parameters, &detector, err);

    if (status == DF_OK) {
        for (size_t i = 0; i < parameters->count; i++) /* weights that nobody looks at are not drawn */
            parameters->items[i]->init = (struct df_initialiser){ DF_INIT_ZERO, 0 };
        df_parameters_build(parameters, device, 0, false);
        look(detector, device, canvas, out);
    }
    df_detector_free(detector);
    df_parameters_free(parameters);
    df_device_close(device);
    return status;
}
