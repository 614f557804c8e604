/* Scores, decoding, clipping, non-maximum suppression: torchvision's RetinaNet.postprocess_detections. Per level the best `candidates` of the
 * (anchor, class) pairs above the threshold; boxes clipped to the valid region; NMS per class over all levels; the best `detections`.
 * Candidates are ranked by logit, which orders pairs whose float scores are equal too; remaining ties go by level, then by index. */
#include "detectors/postprocess.h"

#include <math.h>
#include <stdlib.h>

#include "core/base/portable_math.h"
#include "core/geometry/box.h"

static void reserve(struct df_postprocess *scratch, size_t logits, size_t deltas, size_t room)
{
    if (logits > scratch->logits_room) {
        scratch->logits_room = logits;
        scratch->logits = df_realloc(scratch->logits, logits * sizeof(df_real));
        scratch->values = df_realloc(scratch->values, logits * sizeof(float));
    }
    if (deltas > scratch->deltas_room) {
        scratch->deltas_room = deltas;
        scratch->deltas = df_realloc(scratch->deltas, deltas * sizeof(df_real));
    }
    if (room > scratch->room) {
        scratch->room = room;
        scratch->box = df_realloc(scratch->box, room * sizeof(struct df_box));
        scratch->score = df_realloc(scratch->score, room * sizeof(float));
        scratch->label = df_realloc(scratch->label, room * sizeof(int32_t));
        scratch->index = df_realloc(scratch->index, room * sizeof(uint32_t));
        scratch->keep = df_realloc(scratch->keep, room * sizeof(uint32_t));
        scratch->work = df_realloc(scratch->work, room * sizeof(uint32_t));
    }
}

void df_postprocess_release(struct df_postprocess *scratch)
{
    free(scratch->logits);
    free(scratch->values);
    free(scratch->deltas);
    free(scratch->box);
    free(scratch->score);
    free(scratch->label);
    free(scratch->index);
    free(scratch->keep);
    free(scratch->work);
    *scratch = (struct df_postprocess){ 0 };
}

/* A logit below which no score can pass: the threshold's own, less a margin for the rounding of the score. */
static float least_logit(double threshold)
{
    if (threshold <= 0)
        return -INFINITY;
    if (threshold >= 1)
        return INFINITY;
    return (float)(log(threshold / (1 - threshold)) - 1e-3);
}

static struct df_box decode(const struct df_postprocess *scratch, const struct df_postprocess_options *options,
                            const struct df_detection_state *state, size_t anchor, size_t image)
{
    const df_real *from = scratch->deltas + 4 * anchor;
    const float deltas[4] = { (float)from[0], (float)from[1], (float)from[2], (float)from[3] };
    const struct df_box box = df_box_decode(state->anchor[anchor], deltas, options->box_weights);

    return df_box_clip(box, (float)state->images->valid_w[image], (float)state->images->valid_h[image]);
}

/* Candidates of a level (anchors first .. first + count) behind the `found` so far; returns how many there are then. */
static size_t add_level(struct df_postprocess *scratch, const struct df_postprocess_options *options, df_tape *tape,
                        const struct df_detection_state *state, size_t image, size_t first, size_t count, size_t found)
{
    const size_t classes = state->classes, pairs = count * classes, at = (image * state->anchors + first) * classes;
    const size_t most = (size_t)options->candidates < pairs ? (size_t)options->candidates : pairs;
    size_t taken;

    df_read(df_tape_device(tape), scratch->logits, state->class_logits->data + at, pairs * sizeof(df_real));
    for (size_t i = 0; i < pairs; i++)
        scratch->values[i] = (float)scratch->logits[i];
    taken = df_top_k(pairs, scratch->values, most, least_logit(options->score_threshold), scratch->index, scratch->work);
    for (size_t i = 0; i < taken; i++) {
        const size_t pair = scratch->index[i];
        const float score = 1 / (1 + df_expf(-scratch->values[pair]));

        if (!((double)score > options->score_threshold))
            continue;
        scratch->box[found] = decode(scratch, options, state, first + pair / classes, image);
        scratch->score[found] = score;
        scratch->label[found++] = (int32_t)(pair % classes);
    }
    return found;
}

void df_detection_write(const struct df_batch *images, size_t image, const struct df_image_info *info, struct df_box box,
                        struct df_detection *out)
{
    const float x = (float)images->scale_x[image], y = (float)images->scale_y[image];
    const struct df_box stored = { box.x0 / x, box.y0 / y, box.x1 / x, box.y1 / y };
    const struct df_box in = df_box_clip(stored, (float)info->width, (float)info->height);

    out->image_id = info->id;
    out->bbox[0] = (double)in.x0;
    out->bbox[1] = (double)in.y0;
    out->bbox[2] = (double)(in.x1 - in.x0);
    out->bbox[3] = (double)(in.y1 - in.y0);
}

size_t df_postprocess_run(struct df_postprocess *scratch, const struct df_postprocess_options *options, df_tape *tape,
                          const struct df_detection_state *state, size_t image, const struct df_image_info *info,
                          const struct df_category *category, struct df_detection *out)
{
    size_t largest = 0, first = 0, found = 0, kept;

    for (size_t l = 0; l < state->levels; l++)
        largest = state->level_anchors[l] > largest ? state->level_anchors[l] : largest;
    reserve(scratch, largest * state->classes, state->anchors * 4, (size_t)options->candidates * state->levels);
    df_read(df_tape_device(tape), scratch->deltas, state->box_deltas->data + image * state->anchors * 4,
            state->anchors * 4 * sizeof(df_real));
    for (size_t l = 0; l < state->levels; l++) {
        found = add_level(scratch, options, tape, state, image, first, state->level_anchors[l], found);
        first += state->level_anchors[l];
    }
    kept = df_nms(found, scratch->box, scratch->score, scratch->label, (float)options->nms_iou, (size_t)options->detections, scratch->keep,
                  scratch->work);
    for (size_t i = 0; i < kept; i++) {
        const size_t k = scratch->keep[i];

        df_detection_write(state->images, image, info, scratch->box[k], &out[i]);
        out[i].category_id = category[scratch->label[k]].id;
        out[i].score = (double)scratch->score[k];
    }
    return kept;
}
