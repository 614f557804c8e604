/* Evaluation on a split, image by image. */
#include "ablations/run/evaluate.h"

#include <stdlib.h>

#include "core/base/progress.h"

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

static df_status predict_image(struct df_evaluator *evaluator, struct df_detector *detector, size_t i, struct df_error *err)
{
    const struct df_detector_class *class = detector->class;
    const size_t most = class->max_detections(detector);
    struct df_detection_state state = { 0 };
    const struct df_batch *batch;

    DF_TRY(df_loader_one(evaluator->loader, i, false, &batch, err));
    df_tape_reset(evaluator->tape);
    class->forward(detector, evaluator->tape, batch, false, false, &state);
    if (evaluator->capacity - evaluator->count < most) {
        evaluator->capacity = evaluator->capacity * 2 + most;
        evaluator->detections = df_realloc(evaluator->detections, evaluator->capacity * sizeof *evaluator->detections);
    }
    evaluator->count += class->predict(detector, evaluator->tape, &state, 0, &evaluator->dataset->info[i], evaluator->dataset->category,
                                       evaluator->detections + evaluator->count);
    return DF_OK;
}

df_status df_evaluator_run(struct df_evaluator *evaluator, struct df_detector *detector, size_t limit, const char *label,
                           const struct df_detection **detections, size_t *count, struct df_error *err)
{
    const size_t images = limit && limit < evaluator->dataset->size ? limit : evaluator->dataset->size;
    struct df_progress *progress = label ? df_progress_new(label, "images", (double)images) : NULL;
    df_status status = DF_OK;

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
