/* Anchors and matching by torchvision's definitions (AnchorGenerator, Matcher), in float as there. Deviations: a ground-truth box that overlaps
 * no anchor at all forces none (in torchvision it would force every anchor with IoU 0); options for cell centres and for mmdet's owner of a
 * forced anchor. IoU is computed per box over all anchors in one vectorised loop. */
#include "detectors/anchors.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/geometry/box.h"

#define LANES 16

static void reserve(struct df_anchor_set *set, size_t count)
{
    const size_t padded = (count + LANES - 1) / LANES * LANES;

    if (padded <= set->capacity)
        return;
    set->capacity = padded;
    set->box = df_realloc(set->box, padded * sizeof(*set->box));
    for (size_t k = 0; k < 4; k++)
        set->side[k] = df_realloc(set->side[k], padded * sizeof(float));
    set->area = df_realloc(set->area, padded * sizeof(float));
    set->overlap = df_realloc(set->overlap, padded * sizeof(float));
    set->best = df_realloc(set->best, padded * sizeof(float));
    set->best_box = df_realloc(set->best_box, padded * sizeof(int32_t));
    set->forced = df_realloc(set->forced, padded * sizeof(int32_t));
}

/* The anchor of size x scale and a ratio, around (0, 0). */
static struct df_box cell_anchor(const struct df_anchor_options *options, double size, float ratio)
{
    const float h_ratio = sqrtf(ratio), w_ratio = 1 / h_ratio;
    const float scale = (float)(options->truncate ? trunc(size) : size);
    const float w = w_ratio * scale / 2, h = h_ratio * scale / 2;

    return options->rounding ? (struct df_box){ rintf(-w), rintf(-h), rintf(w), rintf(h) } : (struct df_box){ -w, -h, w, h };
}

/* The anchors of a level of the set, whose sizes are there. */
static struct df_box *fill_level(const struct df_anchor_set *set, const struct df_anchor_options *options, size_t level, struct df_box *out)
{
    const size_t height = set->height[level], width = set->width[level];
    const float stride_y = (float)(set->canvas_h / height), stride_x = (float)(set->canvas_w / width);
    struct df_box cell[DF_LIST_MAX * DF_LIST_MAX];
    size_t cells = 0;

    for (size_t r = 0; r < options->ratios.count; r++)
        for (size_t s = 0; s < options->scales.count; s++)
            cell[cells++] = cell_anchor(options, options->size.value[level] * options->scales.value[s], (float)options->ratios.value[r]);
    for (size_t i = 0; i < height; i++)
        for (size_t j = 0; j < width; j++) {
            const float y = ((float)i + (float)options->offset) * stride_y, x = ((float)j + (float)options->offset) * stride_x;

            for (size_t k = 0; k < cells; k++)
                *out++ = (struct df_box){ x + cell[k].x0, y + cell[k].y0, x + cell[k].x1, y + cell[k].y1 };
        }
    return out;
}

static void split_sides(struct df_anchor_set *set)
{
    const struct df_box empty = { 0 };

    for (size_t a = 0; a < set->capacity; a++) {
        const struct df_box box = a < set->count ? set->box[a] : empty;

        set->side[0][a] = box.x0;
        set->side[1][a] = box.y0;
        set->side[2][a] = box.x1;
        set->side[3][a] = box.y1;
        set->area[a] = df_box_area(box);
    }
}

void df_anchor_set_make(struct df_anchor_set *set, const struct df_anchor_options *options, size_t canvas_h, size_t canvas_w, size_t levels,
                        df_tensor *const level[DF_LEVELS])
{
    const size_t cell = options->ratios.count * options->scales.count;
    bool same = set->canvas_h == canvas_h && set->canvas_w == canvas_w && set->levels == levels;
    struct df_box *out;

    for (size_t l = 0; same && l < levels; l++)
        same = set->height[l] == level[l]->shape.h && set->width[l] == level[l]->shape.w;
    if (same)
        return;
    set->canvas_h = canvas_h;
    set->canvas_w = canvas_w;
    set->levels = levels;
    set->count = 0;
    for (size_t l = 0; l < levels; l++) {
        set->height[l] = level[l]->shape.h;
        set->width[l] = level[l]->shape.w;
        set->level_count[l] = set->height[l] * set->width[l] * cell;
        set->count += set->level_count[l];
    }
    reserve(set, set->count);
    out = set->box;
    for (size_t l = 0; l < levels; l++)
        out = fill_level(set, options, l, out);
    split_sides(set);
}

void df_anchor_set_release(struct df_anchor_set *set)
{
    free(set->box);
    for (size_t k = 0; k < 4; k++)
        free(set->side[k]);
    free(set->area);
    free(set->overlap);
    free(set->best);
    free(set->best_box);
    free(set->forced);
    *set = (struct df_anchor_set){ 0 };
}

/* IoU of one box with every anchor -> set->overlap, and the running best per anchor; returns the largest. */
static float overlap_all(struct df_anchor_set *set, struct df_box box, int32_t index)
{
    const float *restrict x0 = set->side[0], *restrict y0 = set->side[1], *restrict x1 = set->side[2], *restrict y1 = set->side[3];
    const float *restrict anchor_area = set->area;
    float *restrict overlap = set->overlap, *restrict best = set->best;
    int32_t *restrict best_box = set->best_box;
    const float area = df_box_area(box);
    float top[LANES] = { 0 }, most = 0;

    for (size_t a = 0; a < set->capacity; a += LANES)
        for (size_t k = a; k < a + LANES; k++) {
            const float left = x0[k] > box.x0 ? x0[k] : box.x0, right = x1[k] < box.x1 ? x1[k] : box.x1;
            const float above = y0[k] > box.y0 ? y0[k] : box.y0, below = y1[k] < box.y1 ? y1[k] : box.y1;
            const float w = right > left ? right - left : 0, h = below > above ? below - above : 0, inter = w * h;
            const float iou = inter / (area + anchor_area[k] - inter);

            overlap[k] = iou;
            best_box[k] = iou > best[k] ? index : best_box[k];
            best[k] = iou > best[k] ? iou : best[k];
            top[k - a] = iou > top[k - a] ? iou : top[k - a];
        }
    for (size_t k = 0; k < LANES; k++)
        most = top[k] > most ? top[k] : most;
    return most;
}

static void force_best(struct df_anchor_set *set, float most, int32_t index)
{
    for (size_t a = 0; a < set->count; a++)
        if (set->overlap[a] == most)
            set->forced[a] = index;
}

size_t df_match_anchors(struct df_anchor_set *set, const struct df_matcher *matcher, const struct df_ground_truth *truth, int32_t *matched)
{
    const float fg = (float)matcher->fg_iou, bg = (float)matcher->bg_iou;
    size_t positives = 0;

    for (size_t a = 0; a < set->capacity; a++) {
        set->best[a] = 0;
        set->best_box[a] = 0;
        set->forced[a] = -1;
    }
    for (size_t g = 0; g < truth->count; g++) {
        const float most = overlap_all(set, truth->boxes[g], (int32_t)g);

        if (matcher->low_quality && most > (float)matcher->low_quality_iou)
            force_best(set, most, (int32_t)g);
    }
    for (size_t a = 0; a < set->count; a++) {
        const int32_t own = matcher->low_quality_box == DF_FORCED_OWN ? set->forced[a] : set->best_box[a];

        if (truth->count == 0)
            matched[a] = -1;
        else if (set->forced[a] >= 0)
            matched[a] = own;
        else
            matched[a] = set->best[a] >= fg ? set->best_box[a] : set->best[a] < bg ? -1 : -2;
        positives += matched[a] >= 0;
    }
    return positives;
}

void df_dense_rows(struct df_anchor_set *set, const struct df_anchor_options *options, df_tape *tape, df_tensor *const *logits,
                   df_tensor *const *deltas, struct df_detection_state *state)
{
    df_tensor *level[DF_LEVELS];

    for (size_t l = 0; l < state->levels; l++)
        level[l] = df_part(state, "neck", l)->tensor;
    df_parts_set(&state->parts, "logits", DF_NO_LEVEL, 0, df_concat(tape, logits, state->levels, 2));
    df_parts_set(&state->parts, "deltas", DF_NO_LEVEL, 0, df_concat(tape, deltas, state->levels, 2));
    df_anchor_set_make(set, options, state->canvas_h, state->canvas_w, state->levels, level);
    state->anchors = set->count;
    state->anchor = set->box;
    memcpy(state->level_anchors, set->level_count, sizeof state->level_anchors);
}

/* Of one image: from what each anchor is matched with to its label and target. */
static void assign_image(const struct df_anchor_set *set, const struct df_assignment *how, const struct df_ground_truth *truth,
                         const int32_t *matched, df_real *const out[3])
{
    for (size_t a = 0; a < set->count; a++) {
        const int32_t g = matched[a];
        float deltas[4];

        out[0][a] = out[1][a] = (df_real)g;
        if (g < 0)
            continue;
        df_box_encode(set->box[a], truth->boxes[g], how->box_weights, deltas);
        for (size_t k = 0; k < 4; k++)
            out[2][4 * a + k] = (df_real)deltas[k];
        out[0][a] = (df_real)(how->classes ? truth->labels[g] : 0);
    }
}

void df_assign_anchors(struct df_anchor_set *set, const struct df_assignment *how, df_tape *tape, struct df_detection_state *state)
{
    const struct df_batch *images = state->images;
    static const char *const name[] = { "label", "matched", "target" };
    const double begun = df_profile_begin(df_tape_device(tape));
    const size_t rows = images->n * set->count;
    int32_t *matched = df_tape_host(tape, set->count * sizeof *matched);
    df_real *positives = df_tape_host(tape, images->n * sizeof *positives), *all[3];

    for (size_t i = 0; i < 3; i++)
        all[i] = df_tape_host(tape, rows * (i < 2 ? 1 : 4) * sizeof **all);
    memset(all[2], 0, rows * 4 * sizeof **all);
    for (size_t n = 0; n < images->n; n++) {
        const size_t first = n * set->count;

        positives[n] = (df_real)df_match_anchors(set, how->matcher, &images->truth[n], matched);
        assign_image(set, how, &images->truth[n], matched, (df_real *[]){ all[0] + first, all[1] + first, all[2] + 4 * first });
    }
    for (size_t i = 0; i < 3; i++)
        df_parts_set_host(&state->parts, tape, name[i], (df_shape){ images->n, 1, set->count, i < 2 ? 1 : 4 }, all[i]);
    df_parts_set_host(&state->parts, tape, "positives", (df_shape){ images->n, 1, 1, 1 }, positives);
    df_profile_end(df_tape_device(tape), "host: anchor labels", begun);
}
