/* Evaluation on a split, image by image. */
#include "ablations/run/evaluate.h"

#include <stdlib.h>

#include "core/base/progress.h"
#include "core/geometry/box.h"

#define KEPT_IMAGES_BYTES ((size_t)64 << 20) /* decoded images of a split that is evaluated several times */

struct df_evaluator {
    struct df_dataset *dataset;
    struct df_loader *loader;
    df_tape *tape;
    struct df_detection *detections;
    size_t count, capacity;
};

df_status df_evaluator_new(const struct df_cell *cell, struct df_dataset *dataset, struct df_device *device, bool keep_images,
                           struct df_evaluator **out, struct df_error *err)
{
    struct df_loader_config config = df_cell_loader(cell, dataset, false); /* an unread image would count as one without detections */
    struct df_loader *loader;

    *out = NULL;
    config.memory_limit = keep_images ? KEPT_IMAGES_BYTES : 0;
    DF_TRY(df_loader_new(&config, &loader, err));
    *out = df_calloc(1, sizeof **out);
    (*out)->dataset = dataset;
    (*out)->loader = loader;
    (*out)->tape = df_tape_new(device, false);
    return DF_OK;
}

void df_evaluator_free(struct df_evaluator *evaluator)
{
    if (!evaluator)
        return;
    df_tape_free(evaluator->tape);
    df_loader_free(evaluator->loader);
    free(evaluator->detections);
    free(evaluator);
}

struct df_detection df_coco_detection(const struct df_found *found, const struct df_dataset *dataset, const struct df_batch *images,
                                      size_t i)
{
    const struct df_image_info *info = &dataset->info[images->index[i]];
    const float x = (float)images->scale_x[i], y = (float)images->scale_y[i];
    const struct df_box box = found->box, stored = { box.x0 / x, box.y0 / y, box.x1 / x, box.y1 / y };
    const struct df_box in = df_box_clip(stored, (float)info->width, (float)info->height);

    return (struct df_detection){ .image_id = info->id,
                                  .category_id = dataset->category[found->label].id,
                                  .bbox = { (double)in.x0, (double)in.y0, (double)(in.x1 - in.x0), (double)(in.y1 - in.y0) },
                                  .score = (double)found->score };
}

static df_status predict_image(struct df_evaluator *evaluator, struct df_detector *detector, size_t i, struct df_error *err)
{
    struct df_detection_state state;
    const struct df_found *found;
    const struct df_batch *batch;
    size_t count;

    DF_TRY(df_loader_one(evaluator->loader, i, false, &batch, err));
    df_tape_reset(evaluator->tape);
    df_detector_forward(detector, evaluator->tape, batch, 0, &state);
    found = detector->class->predict(detector, evaluator->tape, &state, 0, false, &count);
    if (evaluator->capacity - evaluator->count < count) {
        evaluator->capacity = evaluator->capacity * 2 + count;
        evaluator->detections = df_realloc(evaluator->detections, evaluator->capacity * sizeof *evaluator->detections);
    }
    for (size_t k = 0; k < count; k++)
        evaluator->detections[evaluator->count++] = df_coco_detection(&found[k], evaluator->dataset, batch, 0);
    return DF_OK;
}

df_status df_evaluator_run(struct df_evaluator *evaluator, struct df_detector *detector, size_t limit, const char *label,
                           const struct df_detection **detections, size_t *count, struct df_error *err)
{
    const size_t images = limit && limit < evaluator->dataset->size ? limit : evaluator->dataset->size;
    struct df_progress *progress = label ? df_progress_new(label, "images", (double)images) : NULL;
    df_status status = DF_OK;

    if (detector->classes != evaluator->dataset->categories)
        status = df_fail(err, DF_ERR_UNSUPPORTED, "the network knows %zu classes, the data have %zu (expected the same)", detector->classes,
                         evaluator->dataset->categories);
    evaluator->count = 0;
    for (size_t i = 0; i < images && status == DF_OK; i++) {
        status = df_run_stop ? df_fail(err, DF_ERR_INTERRUPTED, "interrupted while evaluating image %zu of %zu", i, images)
                             : predict_image(evaluator, detector, i, err);
        if (progress)
            df_progress_set(progress, (double)(i + 1), NULL);
    }
    df_progress_free(progress);
    if (status != DF_OK)
        return status;
    *detections = evaluator->detections;
    *count = evaluator->count;
    return DF_OK;
}

df_status df_evaluate_detections(const struct df_dataset *dataset, size_t limit, const struct df_detection *detections, size_t count,
                                 struct df_coco_scores *out, struct df_error *err)
{
    const size_t images = limit && limit < dataset->size ? limit : dataset->size;

    return df_coco_evaluate(images, dataset->info, dataset->categories, dataset->category, detections, count, out, err);
}
