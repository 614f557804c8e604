#include "ablations/run/evaluate.h"

#include <stdlib.h>

#include "ablations/run/stop.h"
#include "core/base/progress.h"
#include "core/geometry/box.h"

#define KEPT_IMAGES_BYTES ((size_t)64 << 20) /* decoded images of a split that is evaluated several times */

struct df_evaluator {
    struct df_evaluation what;
    struct df_loader *loader;
    df_tape *tape;
    struct df_detection *detections;
    size_t count, capacity;
};

df_status df_evaluator_new(const struct df_evaluation *what, struct df_device *device, struct df_evaluator **out, struct df_error *err)
{
    /* an unread image would count as one without detections */
    struct df_loader_config config = df_cell_loader(what->cell, what->dataset, false);
    struct df_loader *loader;

    *out = NULL;
    config.memory_limit = what->keep_images ? KEPT_IMAGES_BYTES : 0;
    DF_TRY(df_loader_new(&config, &loader, err));
    *out = df_calloc(1, sizeof **out);
    (*out)->what = *what;
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

static void predict_batch(struct df_evaluator *evaluator, struct df_detector *detector, const struct df_batch *batch)
{
    struct df_detection_state state;
    const struct df_found *found;
    size_t count;

    df_tape_reset(evaluator->tape);
    df_detector_forward(detector, evaluator->tape, batch, 0, &state);
    found = detector->class->predict(detector, evaluator->tape, &state, 0, false, &count);
    if (evaluator->capacity - evaluator->count < count) {
        evaluator->capacity = evaluator->capacity * 2 + count;
        evaluator->detections = df_realloc(evaluator->detections, evaluator->capacity * sizeof *evaluator->detections);
    }
    for (size_t k = 0; k < count; k++)
        evaluator->detections[evaluator->count++] = df_coco_detection(&found[k], evaluator->what.dataset, batch, 0);
}

/* The image is read once, by the first one's loader. */
static df_status predict_image(size_t n, struct df_evaluator *const *evaluator, struct df_detector *const *detector, size_t i,
                               struct df_error *err)
{
    const struct df_batch *batch;

    DF_TRY(df_loader_one(evaluator[0]->loader, i, false, &batch, err));
    for (size_t k = 0; k < n; k++)
        predict_batch(evaluator[k], detector[k], batch);
    return DF_OK;
}

static df_status predict_images(size_t n, struct df_evaluator *const *evaluator, struct df_detector *const *detector, size_t images,
                                struct df_error *err)
{
    const char *label = evaluator[0]->what.label;
    struct df_progress *progress = label ? df_progress_new(label, "images", (double)images) : NULL;
    df_status status = DF_OK;

    for (size_t k = 0; k < n; k++)
        evaluator[k]->count = 0;
    for (size_t i = 0; i < images && status == DF_OK; i++) {
        status = df_run_stop ? df_fail(err, DF_ERR_INTERRUPTED, "interrupted while evaluating image %zu of %zu", i, images)
                             : predict_image(n, evaluator, detector, i, err);
        if (progress)
            df_progress_set(progress, (double)(i + 1), NULL);
    }
    df_progress_free(progress);
    return status;
}

df_status df_evaluators_run(size_t n, struct df_evaluator *const *evaluator, struct df_detector *const *detector,
                            struct df_coco_scores *out, struct df_error *err)
{
    const struct df_dataset *dataset = evaluator[0]->what.dataset;
    const size_t limit = evaluator[0]->what.limit;
    struct df_coco_set set = df_coco_set_of_dataset(dataset);
    df_status status = DF_OK;

    for (size_t k = 0; k < n; k++)
        out[k] = (struct df_coco_scores){ 0 };
    for (size_t k = 0; k < n; k++) {
        DF_ASSERT(evaluator[k]->what.dataset == dataset && evaluator[k]->what.limit == limit);
        if (detector[k]->classes != dataset->categories)
            return df_fail(err, DF_ERR_UNSUPPORTED, "the network knows %zu classes, the data have %zu (expected the same)",
                           detector[k]->classes, dataset->categories);
    }
    if (limit && limit < set.images)
        set.images = limit;
    DF_TRY(predict_images(n, evaluator, detector, set.images, err));
    for (size_t k = 0; k < n && status == DF_OK; k++)
        status = df_coco_evaluate(set, evaluator[k]->detections, evaluator[k]->count, &out[k], err);
    return status;
}

df_status df_evaluator_run(struct df_evaluator *evaluator, struct df_detector *detector, struct df_coco_scores *out, struct df_error *err)
{
    return df_evaluators_run(1, &evaluator, &detector, out, err);
}

const struct df_detection *df_evaluator_detections(const struct df_evaluator *evaluator, size_t *count)
{
    *count = evaluator->count;
    return evaluator->detections;
}

df_status df_evaluate_map(const struct df_evaluation *what, struct df_detector *detector, struct df_device *device, double *map,
                          struct df_error *err)
{
    struct df_coco_scores scores = { 0 };
    struct df_evaluator *evaluator;

    DF_TRY(df_evaluator_new(what, device, &evaluator, err));

    const df_status status = df_evaluator_run(evaluator, detector, &scores, err);

    if (status == DF_OK)
        *map = scores.value[DF_AP];
    df_coco_scores_release(&scores);
    df_evaluator_free(evaluator);
    return status;
}
