/* Softmax scores, a decoded box per class, clipping, non-maximum suppression per class: torchvision's RoIHeads.postprocess_detections.
 * Equal scores go by proposal, then by class. */
#include "detectors/roi_postprocess.h"

#include "core/base/portable_math.h"
#include "core/geometry/box.h"
#include "detectors/postprocess.h"

struct candidates {
    size_t count;
    struct df_box *box;
    float *score;
    int32_t *label;
};

static void softmax(size_t n, const df_real *logits, float *scores)
{
    float top = (float)logits[0];
    double sum = 0;

    for (size_t k = 1; k < n; k++)
        top = (float)logits[k] > top ? (float)logits[k] : top;
    for (size_t k = 0; k < n; k++) {
        scores[k] = df_expf((float)logits[k] - top);
        sum += (double)scores[k];
    }
    for (size_t k = 0; k < n; k++)
        scores[k] = (float)((double)scores[k] / sum);
}

/* The classes of one proposal that are likely enough. */
static void add_row(const struct df_roi_postprocess_options *options, struct df_box proposal, float width, float height, size_t classes,
                    const float *scores, const df_real *deltas, struct candidates *out)
{
    const float least = (float)options->min_size;

    for (size_t k = 0; k < classes; k++) {
        const df_real *from = deltas + 4 * (k + 1);
        const float d[4] = { (float)from[0], (float)from[1], (float)from[2], (float)from[3] };

        if (!((double)scores[k + 1] > options->score_threshold))
            continue;
        const struct df_box box = df_box_clip(df_box_decode(proposal, d, options->box_weights), width, height);

        if (!(box.x1 - box.x0 >= least && box.y1 - box.y0 >= least))
            continue;
        out->box[out->count] = box;
        out->score[out->count] = scores[k + 1];
        out->label[out->count++] = (int32_t)k;
    }
}

size_t df_roi_postprocess_run(const struct df_roi_postprocess_options *options, df_tape *tape, const struct df_detection_state *state,
                              size_t image, const struct df_image_info *info, const struct df_category *category, struct df_detection *out)
{
    const size_t rows = state->proposals / state->batch, classes = state->classes, columns = classes + 1, room = rows * classes;
    df_real *logits = df_tape_host(tape, rows * columns * sizeof *logits),
            *deltas = df_tape_host(tape, rows * columns * 4 * sizeof *deltas);
    float *scores = df_tape_host(tape, columns * sizeof *scores);
    uint32_t *keep = df_tape_host(tape, room * sizeof *keep), *work = df_tape_host(tape, room * sizeof *work);
    struct candidates all = { .box = df_tape_host(tape, room * sizeof *all.box),
                              .score = df_tape_host(tape, room * sizeof *all.score),
                              .label = df_tape_host(tape, room * sizeof *all.label) };
    size_t kept;

    df_read(df_tape_device(tape), logits, state->roi_logits->data + image * rows * columns, rows * columns * sizeof *logits);
    df_read(df_tape_device(tape), deltas, state->roi_deltas->data + image * rows * columns * 4, rows * columns * 4 * sizeof *deltas);
    for (size_t r = 0; r < rows; r++) {
        const struct df_box proposal = state->proposal[image * rows + r];

        if (!(proposal.x1 > proposal.x0 && proposal.y1 > proposal.y0))
            continue; /* padding */
        softmax(columns, logits + r * columns, scores);
        add_row(options, proposal, (float)state->images->valid_w[image], (float)state->images->valid_h[image], classes, scores,
                deltas + r * columns * 4, &all);
    }
    kept = df_nms(all.count, all.box, all.score, all.label, (float)options->nms_iou, (size_t)options->detections, keep, work);
    for (size_t i = 0; i < kept; i++) {
        const size_t k = keep[i];

        df_detection_write(state->images, image, info, all.box[k], &out[i]);
        out[i].category_id = category[all.label[k]].id;
        out[i].score = (double)all.score[k];
    }
    return kept;
}
