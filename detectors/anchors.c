/* Anchors by torchvision's definition (AnchorGenerator), in float as there; an option for cell centres. Matching is launched here and defined in
 * core/device/kernels_match.h, where its deviations stand; an option for mmdet's owner of a forced anchor. */
#include "detectors/anchors.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/geometry/box.h"
#include "detectors/truth.h"

/* The anchor of size x scale and a ratio, around (0, 0). */
static struct df_box cell_anchor(const struct df_anchor_options *options, double size, float ratio)
{
    const float h_ratio = sqrtf(ratio), w_ratio = 1 / h_ratio;
    const float scale = (float)(options->truncate ? trunc(size) : size);
    const float w = w_ratio * scale / 2, h = h_ratio * scale / 2;

    return options->rounding ? (struct df_box){ rintf(-w), rintf(-h), rintf(w), rintf(h) } : (struct df_box){ -w, -h, w, h };
}

/* The anchors of a level whose sizes are there. */
static struct df_box *fill_level(const struct df_anchors *set, const struct df_anchor_options *options, size_t level, struct df_box *out)
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

static bool same_canvas(const struct df_anchors *a, size_t canvas_h, size_t canvas_w, size_t levels, df_tensor *const level[DF_LEVELS])
{
    bool same = a->used && a->canvas_h == canvas_h && a->canvas_w == canvas_w && a->levels == levels;

    for (size_t l = 0; same && l < levels; l++)
        same = a->height[l] == level[l]->shape.h && a->width[l] == level[l]->shape.w;
    return same;
}

static void release(struct df_anchors *anchors)
{
    free(anchors->box);
    if (anchors->resident)
        df_device_free(anchors->device, (void *)(uintptr_t)anchors->sides.side[0]);
    *anchors = (struct df_anchors){ 0 };
}

static void make(struct df_anchors *out, const struct df_anchor_options *options, df_tensor *const level[DF_LEVELS])
{
    struct df_box *at;

    for (size_t l = 0; l < out->levels; l++) {
        out->height[l] = level[l]->shape.h;
        out->width[l] = level[l]->shape.w;
        out->level_count[l] = out->height[l] * out->width[l] * options->ratios.count * options->scales.count;
        out->count += out->level_count[l];
    }
    at = out->box = df_malloc(out->count * sizeof *out->box);
    for (size_t l = 0; l < out->levels; l++)
        at = fill_level(out, options, l, at);
}

struct df_anchors *df_anchor_set_find(struct df_anchor_set *set, const struct df_anchor_options *options, size_t canvas_h, size_t canvas_w,
                                      size_t levels, df_tensor *const level[DF_LEVELS])
{
    struct df_anchors *oldest = set->canvas, *found = NULL;

    for (size_t i = 0; i < DF_ANCHOR_CANVASES && !found; i++) {
        struct df_anchors *one = &set->canvas[i];

        found = same_canvas(one, canvas_h, canvas_w, levels, level) ? one : NULL;
        oldest = one->used < oldest->used ? one : oldest;
    }
    if (!found) {
        found = oldest;
        release(found);
        *found = (struct df_anchors){ .canvas_h = canvas_h, .canvas_w = canvas_w, .levels = levels };
        make(found, options, level);
    }
    found->used = ++set->asked;
    return found;
}

static struct df_anchor_sides sides_at(const float *side, size_t count)
{
    const size_t padded = df_loss_tiles(count) * DF_MATCH_TILE;

    return (struct df_anchor_sides){ count, padded, { side, side + padded, side + 2 * padded, side + 3 * padded } };
}

/* side [4][padded] on the host, which are zeros */
static void split_sides(const struct df_anchors *anchors, float *side)
{
    const size_t padded = df_loss_tiles(anchors->count) * DF_MATCH_TILE;

    for (size_t a = 0; a < anchors->count; a++) {
        side[a] = anchors->box[a].x0;
        side[padded + a] = anchors->box[a].y0;
        side[2 * padded + a] = anchors->box[a].x1;
        side[3 * padded + a] = anchors->box[a].y1;
    }
}

void df_anchors_send(struct df_anchors *anchors, struct df_device *device)
{
    const size_t floats = 4 * df_loss_tiles(anchors->count) * DF_MATCH_TILE, boxes = anchors->count * sizeof(struct df_box);
    float *host, *there;

    DF_ASSERT(!anchors->resident || anchors->device == device);
    if (anchors->resident)
        return;
    host = df_calloc(1, floats * sizeof *host + boxes);
    split_sides(anchors, host);
    memcpy(host + floats, anchors->box, boxes);
    there = df_device_alloc(device, floats * sizeof *there + boxes);
    df_write(device, there, host, floats * sizeof *there + boxes);
    free(host);
    anchors->device = device;
    anchors->sides = sides_at(there, anchors->count);
    anchors->resident = (struct df_box *)(there + floats);
}

void df_anchor_set_release(struct df_anchor_set *set)
{
    for (size_t i = 0; i < DF_ANCHOR_CANVASES; i++)
        release(&set->canvas[i]);
    set->asked = 0;
}

void df_dense_rows(struct df_anchor_set *set, const struct df_anchor_options *options, df_tape *tape, df_tensor *const *logits,
                   df_tensor *const *deltas, struct df_detection_state *state)
{
    df_tensor *level[DF_LEVELS];
    struct df_anchors *anchors;

    for (size_t l = 0; l < state->levels; l++)
        level[l] = df_part(state, "neck", l)->tensor;
    df_parts_set(&state->parts, "logits", DF_NO_LEVEL, 0, df_concat(tape, logits, state->levels, 2));
    df_parts_set(&state->parts, "deltas", DF_NO_LEVEL, 0, df_concat(tape, deltas, state->levels, 2));
    anchors = df_anchor_set_find(set, options, state->canvas_h, state->canvas_w, state->levels, level);
    df_anchors_send(anchors, set->parameters->device);
    state->anchors = anchors->count;
    state->anchor = anchors->box;
    state->resident = anchors;
    memcpy(state->level_anchors, anchors->level_count, sizeof state->level_anchors);
}

static struct df_match_rule rule_of(const struct df_assignment *how)
{
    const struct df_matcher *matcher = how->matcher;
    struct df_match_rule rule = { .fg_iou = (float)matcher->fg_iou,
                                  .bg_iou = (float)matcher->bg_iou,
                                  .low_quality_iou = (float)matcher->low_quality_iou,
                                  .own = matcher->low_quality_box == DF_FORCED_OWN,
                                  .classes = how->classes };

    memcpy(rule.weights, how->box_weights, sizeof rule.weights);
    return rule;
}

/* [images][room], or NULL where no anchor is forced */
static const float *most_of(df_tape *tape, const struct df_matcher *matcher, const struct df_anchor_sides *anchors,
                            const struct df_truth *truth)
{
    struct df_match_most_args args = { .anchors = *anchors, .truth = *truth };
    const size_t objects = truth->images * truth->room;

    if (!matcher->low_quality)
        return NULL;
    args.most = df_tape_device_memory(tape, objects * sizeof *args.most);
    df_launch(df_tape_device(tape), DF_K_MATCH_MOST, objects, &args);
    return args.most;
}

static const char *const assigned_part[] = { "label", "matched", "target", "positives" };

static void launch(struct df_device *device, const struct df_match_rows_args *rows, const struct df_match_count_args *count)
{
    df_launch(device, DF_K_MATCH_ROWS, rows->truth.images * df_loss_tiles(rows->anchors.count), rows);
    df_launch(device, DF_K_MATCH_COUNT, rows->truth.images, count);
}

/* By the host, for a device that computes nothing: what distillers make of labels has its true size. */
static void assign_here(const struct df_assignment *how, df_tape *tape, const struct df_detection_state *state, struct df_part *part[4])
{
    const struct df_anchors *anchors = state->resident;
    const struct df_truth truth = df_truth_of(tape, state->images);
    const size_t objects = truth.images * truth.room, tiles = df_loss_tiles(anchors->count), rows = truth.images * anchors->count;
    float *side = df_tape_host(tape, 4 * tiles * DF_MATCH_TILE * sizeof *side), *most = df_tape_host(tape, objects * sizeof *most);
    df_real *out[4];

    memset(side, 0, 4 * tiles * DF_MATCH_TILE * sizeof *side);
    split_sides(anchors, side);
    for (size_t i = 0; i < 4; i++)
        out[i] = df_tape_host(tape, (i == 2 ? 4 : 1) * rows * sizeof **out);
    const struct df_match_most_args best = { sides_at(side, anchors->count), truth, most };
    const struct df_match_rows_args assign = {
        best.anchors, truth, how->matcher->low_quality ? most : NULL, rule_of(how), out[0], out[1], out[2], df_tape_host(tape, rows)
    };
    const struct df_match_count_args count = { assign.positive, anchors->count, df_tape_host(tape, truth.images * sizeof(double)), out[3] };

    for (size_t i = 0; i < objects; i++)
        df_k_match_most(i, &best);
    for (size_t i = 0; i < truth.images * tiles; i++)
        df_k_match_rows(i, &assign);
    for (size_t i = 0; i < truth.images; i++)
        df_k_match_count(i, &count);
    for (size_t i = 0; i < 4; i++)
        part[i]->instead = out[i];
}

void df_assign_anchors(const struct df_assignment *how, df_tape *tape, struct df_detection_state *state)
{
    const struct df_anchor_sides *anchors = &state->resident->sides;
    const struct df_truth truth = df_truth_send(tape, state->images);
    const size_t images = truth.images, rows = images * anchors->count;
    const df_shape shape[4] = {
        { images, 1, anchors->count, 1 }, { images, 1, anchors->count, 1 }, { images, 1, anchors->count, 4 }, { images, 1, 1, 1 }
    };
    df_tensor *out[4];
    struct df_part *part[4];

    for (size_t i = 0; i < 4; i++) {
        out[i] = df_tensor_new(tape, shape[i]);
        part[i] = df_parts_set_rows(&state->parts, tape, assigned_part[i], out[i]);
    }
    const struct df_match_rows_args assign = { *anchors,
                                               truth,
                                               most_of(tape, how->matcher, anchors, &truth),
                                               rule_of(how),
                                               out[0]->data,
                                               out[1]->data,
                                               out[2]->data,
                                               df_tape_device_memory(tape, rows) };
    const struct df_match_count_args count = { assign.positive, anchors->count, df_tape_device_memory(tape, images * sizeof(double)),
                                               out[3]->data };

    launch(df_tape_device(tape), &assign, &count);
    state->assigned = (struct df_assigned){ assign.positive, count.count };
    if (df_tape_device(tape)->ops->hollow)
        assign_here(how, tape, state, part);
}
