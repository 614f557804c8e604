#include "ablations/behaviour/view.h"

#include <stdlib.h>
#include <string.h>

/* The subject's split, but that reading an image gives the one that is shown. */
struct shown {
    struct df_dataset dataset;
    const struct df_image *image;
};
struct df_view {
    struct df_subject *subject;
    struct shown shown;
    struct df_loader *loader;
    df_tape *tape; /* records */
};

static df_status read_shown(struct df_dataset *dataset, size_t i, struct df_image *out, struct df_error *err)
{
    const struct df_image *image = ((const struct shown *)dataset)->image;

    (void)err;
    DF_ASSERT(image->width == dataset->info[i].width && image->height == dataset->info[i].height);
    df_image_reserve(out, image->width, image->height, 0);
    memcpy(out->pixels, image->pixels, 3 * (size_t)image->width * (size_t)image->height);
    return DF_OK;
}

/* It lies in a view, which ends it. */
static void close_shown(struct df_dataset *dataset) { (void)dataset; }

/* No spec names it. */
static const df_option no_options[] = { { 0 } };
static const struct df_dataset_class shown_class = { .abi = DF_DATASET_ABI,
                                                     .name = "shown",
                                                     .summary = "an image in place of another",
                                                     .options = no_options,
                                                     .close = close_shown,
                                                     .read = read_shown };

df_status df_view_new(struct df_subject *subject, struct df_view **out, struct df_error *err)
{
    struct df_view *view = df_calloc(1, sizeof *view);
    struct df_loader_config config;

    *out = NULL;
    view->subject = subject;
    view->shown.dataset = *subject->images;
    view->shown.dataset.class = &shown_class;
    config = df_cell_loader(subject->cell, &view->shown.dataset, false);
    config.memory_limit = 0; /* what an image looks like changes: nothing is kept */
    config.packed = false;

    const df_status status = df_loader_new(&config, &view->loader, err);

    if (status != DF_OK) {
        free(view);
        return status;
    }
    view->tape = df_tape_new(subject->model.device, true);
    *out = view;
    return DF_OK;
}

void df_view_free(struct df_view *view)
{
    if (!view)
        return;
    df_tape_free(view->tape);
    df_loader_free(view->loader);
    free(view);
}

df_status df_view_ask(struct df_view *view, size_t index, const struct df_image *image, struct df_sight *out, struct df_error *err)
{
    view->shown.image = image;
    DF_TRY(df_loader_one(view->loader, index, false, &out->batch, err));
    out->answer = *df_subject_ask(view->subject, out->batch);
    return DF_OK;
}

/* The slope of a canvas's pixels [H,W,3], on the host: of those that are the image's [h,w,3], by grey level. */
static df_real *image_slope(const struct df_view *view, const struct df_batch *batch, const df_tensor *canvas)
{
    const struct df_list *std = &view->subject->cell->canvas.std;
    const size_t h = batch->valid_h[0], w = batch->valid_w[0], values = batch->height * batch->width * 3;
    df_real *all = df_tape_host(view->tape, values * sizeof *all), *own = df_tape_host(view->tape, h * w * 3 * sizeof *own);

    memset(all, 0, values * sizeof *all);
    if (canvas->grad)
        df_read(df_tape_device(view->tape), all, canvas->grad, values * sizeof *all);
    for (size_t y = 0; y < h; y++)
        for (size_t x = 0; x < w; x++)
            for (size_t c = 0; c < 3; c++)
                own[3 * (y * w + x) + c] = (df_real)((double)all[3 * (y * batch->width + x) + c] / (255 * std->value[c]));
    return own;
}

/* Back through the resizing: what [h,w,3] says of the stored pixels, as a tensor on the tape whose gradient it is. */
static const df_real *unresized(const struct df_view *view, const struct df_batch *batch, const struct df_image *image,
                                const df_real *slope)
{
    const size_t h = batch->valid_h[0], w = batch->valid_w[0], height = (size_t)image->height, width = (size_t)image->width;
    df_real *stored;

    if (h == height && w == width)
        return slope;
    stored = df_tape_host(view->tape, height * width * 3 * sizeof *stored);
    memset(stored, 0, height * width * 3 * sizeof *stored);

    df_tensor *from = df_leaf(view->tape, (df_shape){ 1, height, width, 3 }, stored);
    df_tensor *to = df_resize_bilinear(view->tape, from, h, w);

    df_backward(view->tape, df_sum(view->tape, df_mul(view->tape, to, df_tensor_from(view->tape, to->shape, slope)), 15));
    df_read(df_tape_device(view->tape), stored, from->grad, height * width * 3 * sizeof *stored);
    return stored;
}

df_status df_view_slope(struct df_view *view, size_t index, const struct df_image *image, double threshold, struct df_view_slope *out,
                        struct df_error *err)
{
    struct df_detector *detector = view->subject->model.detector;
    const size_t values = 3 * (size_t)image->width * (size_t)image->height;
    struct df_detection_state state;
    const struct df_batch *batch;
    const df_real *slope;

    if (!detector->class->score_loss)
        return df_fail(err, DF_ERR_UNSUPPORTED, "'%s': a %s finds nothing by itself, so that nothing can be hidden from it",
                       view->subject->cell->label, detector->class->name);
    view->shown.image = image;
    DF_TRY(df_loader_one(view->loader, index, false, &batch, err));
    df_tape_reset(view->tape);

    DF_ASSERT(batch->pixels); /* not packed */
    df_tensor *pixels = df_leaf(view->tape, (df_shape){ 1, batch->height, batch->width, 3 }, batch->pixels), *loss;

    detector->class->forward(detector, view->tape, batch, pixels, 0, &state);
    loss = detector->class->score_loss(detector, view->tape, &state, threshold);
    df_backward(view->tape, loss);
    out->loss = df_item(view->tape, loss);
    slope = unresized(view, batch, image, image_slope(view, batch, pixels));
    for (size_t i = 0; i < values; i++)
        out->slope[i] = (double)slope[i];
    return DF_OK;
}
