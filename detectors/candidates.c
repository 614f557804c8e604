/* Candidates and what is kept of them: torchvision's definitions (RegionProposalNetwork.filter_proposals, RetinaNet.postprocess_detections,
 * RoIHeads.postprocess_detections). Groups are suppressed one by one and merged by score, which is what its batched_nms comes to. */
#include "detectors/candidates.h"

#include <math.h>

#include "core/base/portable_math.h"
#include "detectors/anchors.h"

_Static_assert((int)DF_LEVELS <= (int)DF_BOX_LEVELS, "the kernels know fewer levels");

static struct df_candidate_set new_set(df_tape *tape, size_t images, size_t room)
{
    const size_t n = images * room;

    return (struct df_candidate_set){ .images = images,
                                      .room = room,
                                      .at = { .box = df_tape_device_memory(tape, n * sizeof(struct df_box)),
                                              .score = df_tape_device_memory(tape, n * sizeof(float)),
                                              .group = df_tape_device_memory(tape, n * sizeof(int32_t)),
                                              .row = df_tape_device_memory(tape, n * sizeof(uint32_t)) } };
}

static float *upload_valid(df_tape *tape, const struct df_batch *batch, size_t first, size_t images)
{
    float *valid = df_tape_host(tape, images * 2 * sizeof *valid);

    for (size_t n = 0; n < images; n++) {
        valid[2 * n] = (float)batch->valid_w[first + n];
        valid[2 * n + 1] = (float)batch->valid_h[first + n];
    }
    return df_tape_device_copy(tape, valid, images * 2 * sizeof *valid);
}

/* A logit below which no score can pass: the threshold's own, less a margin for the rounding of the score. Near 1 scores are too coarse for
 * that. */
static float least_logit(double threshold)
{
    if (threshold <= 0 || threshold > 0.999)
        return -INFINITY;
    return (float)(df_log(threshold / (1 - threshold)) - 1e-3);
}

/* The levels' slots in a row of candidates, and their anchors; returns the row's length. */
static size_t lay_out(const struct df_detection_state *state, size_t candidates, struct df_dense_candidates_args *args)
{
    size_t slots = 0, anchors = 0;

    args->levels = state->levels;
    for (size_t l = 0; l < state->levels; l++) {
        const size_t pairs = state->level_anchors[l] * args->classes;

        args->slot[l] = slots;
        args->first[l] = anchors;
        slots += candidates < pairs ? candidates : pairs;
        anchors += state->level_anchors[l];
    }
    return slots;
}

struct df_candidate_set df_dense_candidates(df_tape *tape, const struct df_detection_state *state, size_t first, size_t images,
                                            const struct df_dense_choice *choice)
{
    struct df_device *device = df_tape_device(tape);
    const df_tensor *logits = df_part_tensor(state, "logits"), *deltas = df_part_tensor(state, "deltas");
    const size_t classes = logits->shape.c;
    struct df_dense_candidates_args args = {
        .logits = logits->data + first * state->anchors * classes,
        .deltas = deltas->data + first * state->anchors * 4,
        .anchors = state->anchors,
        .classes = classes,
        .rule = choice->rule,
        .by_level = choice->by_level,
    };
    const size_t room = lay_out(state, choice->candidates, &args);
    const struct df_candidate_set set = new_set(tape, images, room);
    uint32_t *pair = df_tape_device_memory(tape, images * room * sizeof *pair);

    for (size_t l = 0; l < state->levels; l++) {
        const struct df_select_top_k_args top = { .segments = images,
                                                  .count = state->level_anchors[l] * classes,
                                                  .k = (l + 1 < state->levels ? args.slot[l + 1] : room) - args.slot[l],
                                                  .value_stride = state->anchors * classes,
                                                  .index_stride = room,
                                                  .minimum = least_logit(choice->rule.threshold),
                                                  .values = args.logits + args.first[l] * classes,
                                                  .index = pair + args.slot[l] };

        df_select_top_k(device, &top);
    }
    args.pair = pair;
    args.anchor = state->resident->resident;
    args.valid = upload_valid(tape, state->images, first, images);
    args.room = room;
    args.out = set.at;
    df_launch(device, DF_K_DENSE_CANDIDATES, images * room, &args);
    return set;
}

struct df_candidate_set df_roi_candidates(df_tape *tape, const struct df_detection_state *state, size_t image,
                                          const struct df_box_rule *rule)
{
    const size_t rows = state->rois.count / state->batch, columns = state->classes + 1;
    const struct df_candidate_set set = new_set(tape, 1, rows * state->classes);
    const struct df_roi_candidates_args args = { .logits = df_part_tensor(state, "roi/logits")->data + image * rows * columns,
                                                 .deltas = df_part_tensor(state, "roi/deltas")->data + image * rows * columns * 4,
                                                 .proposal = state->rois.box + image * rows,
                                                 .classes = state->classes,
                                                 .width = (float)state->images->valid_w[image],
                                                 .height = (float)state->images->valid_h[image],
                                                 .rule = *rule,
                                                 .out = set.at };

    df_launch(df_tape_device(tape), DF_K_ROI_CANDIDATES, rows, &args);
    return set;
}

const struct df_scored_box *df_candidates_kept(df_tape *tape, const struct df_candidate_set *set, double iou, size_t *most)
{
    struct df_device *device = df_tape_device(tape);

    *most = *most < set->room ? *most : set->room;

    const size_t n = set->images * *most;
    struct df_kept_boxes_args args = {
        .from = set->at, .most = *most, .count = set->room, .out = df_tape_device_memory(tape, n * sizeof *args.out)
    };
    uint32_t *keep = df_tape_device_memory(tape, n * sizeof *keep);

    df_select_nms(device,
                  &(struct df_select_nms_args){
                      .segments = set->images, .count = set->room, .most = *most, .threshold = (float)iou, .from = set->at, .keep = keep });
    args.keep = keep;
    df_launch(device, DF_K_KEPT_BOXES, n, &args);
    return args.out;
}

const struct df_scored_box *df_candidates_keep(df_tape *tape, const struct df_candidate_set *set, double iou, size_t *most)
{
    const struct df_scored_box *there = df_candidates_kept(tape, set, iou, most);
    const size_t bytes = set->images * *most * sizeof *there;
    struct df_scored_box *kept = df_tape_host(tape, bytes);

    df_read(df_tape_device(tape), kept, there, bytes);
    return kept;
}

/* [classes] of a row */
static const float *scores_of(df_tape *tape, const df_real *z, const struct df_row_logits *logits)
{
    float *score = df_tape_host(tape, logits->classes * sizeof *score), top = (float)z[0];
    double sum = 0;

    for (size_t k = 0; !logits->background && k < logits->classes; k++)
        score[k] = 1 / (1 + df_expf(-(float)z[k]));
    if (!logits->background)
        return score;
    for (size_t k = 1; k <= logits->classes; k++)
        top = (float)z[k] > top ? (float)z[k] : top;
    for (size_t k = 0; k <= logits->classes; k++)
        sum += (double)df_expf((float)z[k] - top);
    for (size_t k = 0; k < logits->classes; k++)
        score[k] = (float)((double)df_expf((float)z[k + 1] - top) / sum);
    return score;
}

const struct df_found *df_candidates_found(df_tape *tape, const struct df_scored_box *kept, size_t most, const struct df_row_logits *logits,
                                           size_t *count)
{
    struct df_found *found = df_tape_host(tape, (most + 1) * sizeof *found);
    const size_t columns = logits ? logits->classes + logits->background : 0;
    df_real *z = logits ? df_tape_host(tape, logits->rows * columns * sizeof *z) : NULL;
    size_t n = 0;

    if (logits)
        df_read(df_tape_device(tape), z, logits->data, logits->rows * columns * sizeof *z);
    for (; n < most && kept[n].group >= 0; n++)
        found[n] = (struct df_found){ .box = kept[n].box,
                                      .label = kept[n].group,
                                      .score = kept[n].score,
                                      .row = kept[n].row,
                                      .scores = logits ? scores_of(tape, z + kept[n].row * columns, logits) : NULL };
    *count = n;
    return found;
}
