/* FGD: focal imitation of objects and background, weighted by the teacher's attention, imitation of the attention, and of a global context
 * (Yang et al., CVPR 2022). Per level, with s [N,h,w,C] the student's features (after a 1x1 convolution where the widths differ), t the teacher's:
 *   A(x) = hw softmax_hw(mean_c |x| / T)  [N,h,w,1],   B(x) = C softmax_c(mean_hw |x| / T)  [N,1,1,C]
 *   L = sum_l 1/N { w_fg sum m A(t) B(t) (s - t)^2 + w_bg sum b A(t) B(t) (s - t)^2
 *                 + w_attention (sum |A(s) - A(t)| + sum |B(s) - B(t)|) + w_global sum (G_s(s) - G_t(t))^2 }
 *   m = the largest, over the boxes that cover a cell, of 1 / ((rows + 1) (columns + 1)); b = [m = 0] / their number in the image, [N,h,w,1]
 *   G(x) = x + 1x1(ReLU(LayerNorm(1x1_{C -> C/2}(sum_hw x softmax_hw(1x1_{C -> 1}(x))))))          (GcBlock; G_t learns too)
 * Source: the authors' code, mmdet/distillation/losses/fgd.py. Its boxes are scaled by the map's size over that of the image without its padding,
 * so that masks stretch where an image is padded: mask=authors; corrected: over the canvas. Rows and columns of a box: from floor to ceil, the
 * last one included, before it is cut at the map's border. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/nn/losses.h"
#include "distillers/common.h"
#include "distillers/layers.h"

enum mask { MASK_AUTHORS, MASK_CORRECTED };
struct fgd_options {
    bool fg, bg, attention, global;
    double w_fg, w_bg, w_attention, w_global, temperature;
    int mask, align;
    int64_t levels;
};
#define O struct fgd_options
static const df_option fgd_options[] = {
    { "fg", DF_BOOL_OPTION(O, fg), .standard = 1, .help = "the term of object cells" },
    { "bg", DF_BOOL_OPTION(O, bg), .standard = 1, .help = "the term of background cells" },
    { "attention", DF_BOOL_OPTION(O, attention), .standard = 1, .help = "the term of the attention itself" },
    { "global", DF_BOOL_OPTION(O, global), .standard = 1, .help = "the term of the global context" },
    { "w_fg", DF_REAL_OPTION(O, w_fg), .standard = 1e-3, .max = 1e4, .when = "fg=1", .help = "weight of object cells" },
    { "w_bg", DF_REAL_OPTION(O, w_bg), .standard = 5e-4, .max = 1e4, .when = "bg=1", .help = "weight of background cells" },
    { "w_attention", DF_REAL_OPTION(O, w_attention), .standard = 5e-4, .max = 1e4, .when = "attention=1",
      .help = "weight of the attention" },
    { "w_global", DF_REAL_OPTION(O, w_global), .standard = 5e-6, .max = 1e4, .when = "global=1", .help = "weight of the global context" },
    { "temperature", DF_REAL_OPTION(O, temperature), .standard = 0.5, .min = 0.01, .max = 100, .when = "fg=1 or bg=1 or attention=1",
      .help = "of the attention's softmax" },
    { "mask", DF_CHOICE_OPTION(O, mask), .standard = MASK_AUTHORS, .choices = "authors|corrected", .when = "fg=1 or bg=1",
      .help = "boxes on the map: as the released code scales them, or where they are" },
    DF_ALIGN_ROW(O, align),
    DF_LEVELS_ROW(O, levels),
    { 0 },
};
#undef O

struct context_block {
    struct df_layer mask, narrow, widen;
    struct df_parameter *gamma, *beta; /* of the layer norm */
};
struct fgd_state {
    struct df_layer align[DF_LEVELS];
    struct context_block student[DF_LEVELS], teacher[DF_LEVELS];
};

/* ---- layers ---- */

/* suffix "s" or "t", as in the authors' names */
static void block_add(struct df_distiller_setup *setup, size_t level, const char *suffix, size_t width, struct context_block *block)
{
    const struct df_initialiser zero = { DF_INIT_ZERO, 0 }, one = { DF_INIT_ONE, 0 }, kaiming = { DF_INIT_KAIMING_FAN_IN, 0 };
    const size_t half = width / 2;
    const df_shape norm = { 1, 1, 1, half };
    char base[40], name[48];

    snprintf(name, sizeof name, "conv_mask_%s.%zu", suffix, level);
    block->mask = df_layer_add_as(setup, name, (df_shape){ 1, 1, 1, width }, kaiming, &zero);
    snprintf(base, sizeof base, "channel_add_conv_%s.%zu", suffix, level);
    snprintf(name, sizeof name, "%s.0", base);
    block->narrow = df_layer_add(setup, name, half, 1, width);
    snprintf(name, sizeof name, "%s.1.weight", base);
    block->gamma = df_distiller_parameter(setup, name, DF_VECTOR, norm, one);
    snprintf(name, sizeof name, "%s.1.bias", base);
    block->beta = df_distiller_parameter(setup, name, DF_VECTOR, norm, zero);
    snprintf(name, sizeof name, "%s.3", base);
    block->widen = df_layer_add_as(setup, name, (df_shape){ width, 1, 1, half }, zero, &zero);
}

static df_status fgd_init(struct df_distiller_setup *setup, struct df_error *err)
{
    const struct fgd_options *options = setup->options;
    struct fgd_state *state = setup->state;

    if (!options->fg && !options->bg && !options->attention && !options->global)
        return df_fail(err, DF_ERR_USAGE, "fgd: fg, bg, attention and global are all off [leave one on]");
    DF_TRY(df_levels_check(setup, options->levels, err));
    for (size_t l = 0; l < df_levels_chosen(options->levels, setup->levels); l++) {
        const size_t width = df_parts_channels(setup->teacher, "neck", l);

        if (options->global && width < 2)
            return df_fail(err, DF_ERR_USAGE, "global: the teacher's 'neck/%zu' has %zu channel (expected 2 or more) [set global to false]",
                           l, width);
        state->align[l] = df_align_add(setup, options->align, l);
        if (!options->global)
            continue;
        block_add(setup, l, "s", width, &state->student[l]);
        block_add(setup, l, "t", width, &state->teacher[l]);
    }
    return DF_OK;
}

/* ---- attention ---- */

struct attention {
    df_tensor *cell, *channel; /* [N,h,w,1], [N,1,1,C] */
};

static struct attention attend(df_tape *tape, df_tensor *x, double temperature)
{
    enum { CELLS = 6, CHANNELS = 8 }; /* axes */
    df_tensor *size = df_abs_op(tape, x);
    df_tensor *cell = df_softmax_cells(tape, df_mean(tape, size, CHANNELS), temperature);
    df_tensor *channel = df_softmax(tape, df_scale(tape, df_mean(tape, size, CELLS), 1 / temperature));

    return (struct attention){ df_scale(tape, cell, (double)(x->shape.h * x->shape.w)), df_scale(tape, channel, (double)x->shape.c) };
}

static df_tensor *attention_term(df_tape *tape, const struct attention *s, const struct attention *t, double images)
{
    df_tensor *cell = df_sum(tape, df_abs_op(tape, df_sub(tape, s->cell, t->cell)), 15);
    df_tensor *channel = df_sum(tape, df_abs_op(tape, df_sub(tape, s->channel, t->channel)), 15);

    return df_scale(tape, df_add(tape, cell, channel), 1 / images);
}

/* ---- masks ---- */

/* Cells [first, end) of [low, high] pixels of `side` on a map of `cells`; returns the last minus the first, before the border. */
static double cell_range(double low, double high, double side, size_t cells, size_t *first, size_t *end)
{
    const double begin = floor(low / side * (double)cells), last = ceil(high / side * (double)cells);

    *first = begin > 0 ? (size_t)begin : 0;
    *end = last + 1 < (double)cells ? (size_t)(last + 1) : cells;
    return last - begin;
}

static void draw_objects(df_real *mask, size_t h, size_t w, const struct df_ground_truth *truth, double height, double width)
{
    for (size_t g = 0; g < truth->count; g++) {
        const struct df_box box = truth->boxes[g];
        size_t x[2], y[2];
        const double rows = cell_range((double)box.y0, (double)box.y1, height, h, &y[0], &y[1]);
        const double columns = cell_range((double)box.x0, (double)box.x1, width, w, &x[0], &x[1]);
        const df_real value = (df_real)(1 / (rows + 1) / (columns + 1));

        for (size_t row = y[0]; row < y[1]; row++)
            for (size_t column = x[0]; column < x[1]; column++)
                mask[row * w + column] = value > mask[row * w + column] ? value : mask[row * w + column];
    }
}

/* [N,h,w,1] of objects and of background */
static void draw_masks(df_tape *tape, int kind, const struct df_detection_state *student, df_shape map, df_tensor *out[2])
{
    const size_t cells = map.h * map.w;
    const struct df_batch *images = student->images;
    df_real *objects = df_tape_host(tape, map.n * cells * sizeof *objects),
            *background = df_tape_host(tape, map.n * cells * sizeof *objects);

    memset(objects, 0, map.n * cells * sizeof *objects);
    for (size_t n = 0; n < map.n; n++) {
        const bool valid = kind == MASK_AUTHORS;
        df_real *own = objects + n * cells;
        size_t empty = 0;

        draw_objects(own, map.h, map.w, &images->truth[n], (double)(valid ? images->valid_h[n] : student->canvas_h),
                     (double)(valid ? images->valid_w[n] : student->canvas_w));
        for (size_t i = 0; i < cells; i++)
            empty += own[i] == 0;
        for (size_t i = 0; i < cells; i++)
            background[n * cells + i] = own[i] == 0 ? (df_real)(1 / (double)empty) : 0;
    }
    map.c = 1;
    out[0] = df_tensor_from(tape, map, objects);
    out[1] = df_tensor_from(tape, map, background);
}

/* ---- global context ---- */

/* Over the channels of [N,1,1,C]. */
static df_tensor *layer_norm(df_tape *tape, df_tensor *x, const struct context_block *block)
{
    enum { CHANNELS = 8 };
    const df_real eps = (df_real)1e-5;
    df_tensor *centred = df_sub(tape, x, df_mean(tape, x, CHANNELS));
    df_tensor *variance = df_mean(tape, df_mul(tape, centred, centred), CHANNELS);
    df_tensor *deviation = df_sqrt_op(tape, df_add(tape, variance, df_tensor_from(tape, (df_shape){ 1, 1, 1, 1 }, &eps)));
    df_tensor *scaled = df_mul(tape, df_div(tape, centred, deviation), df_parameter_tensor(tape, block->gamma));

    return df_add(tape, scaled, df_parameter_tensor(tape, block->beta));
}

/* What G adds to every cell: [N,1,1,C] */
static df_tensor *context_of(df_tape *tape, const struct context_block *block, df_tensor *x)
{
    enum { CELLS = 6 };
    df_tensor *mask = df_softmax_cells(tape, df_layer_apply(tape, &block->mask, x, false), 1);
    df_tensor *pooled = df_sum(tape, df_mul(tape, x, mask), CELLS);
    df_tensor *narrow = df_relu(tape, layer_norm(tape, df_layer_apply(tape, &block->narrow, pooled, false), block));

    return df_layer_apply(tape, &block->widen, narrow, false);
}

struct level_pair { /* the features of a level */
    df_tensor *s, *t;
    struct attention theirs; /* of t, where a term wants it */
    double images;           /* N */
};

/* sum (s + c_s - c_t - t)^2 / N */
static df_tensor *global_term(df_tape *tape, const struct fgd_state *state, size_t level, const struct level_pair *pair)
{
    df_tensor *s = pair->s, *t = pair->t;
    df_tensor *own = context_of(tape, &state->student[level], s), *theirs = context_of(tape, &state->teacher[level], t);

    return df_squared_error(tape, df_add(tape, s, df_sub(tape, own, theirs)), t, NULL, NULL, pair->images);
}

/* ---- loss ---- */

enum { FG, BG, ATTENTION, GLOBAL, TERMS };

/* Of objects and of background, each where it is on. */
static void focal_terms(const struct df_distill_context *context, const struct df_detection_state *student, const struct level_pair *pair,
                        df_tensor *term[TERMS])
{
    const struct fgd_options *options = context->options;
    const struct attention *theirs = &pair->theirs;
    const bool on[2] = { options->fg, options->bg };
    df_tape *tape = context->tape;
    df_tensor *mask[2];

    draw_masks(tape, options->mask, student, pair->s->shape, mask);
    for (int k = 0; k < 2; k++)
        if (on[k])
            term[FG + k] = df_squared_error(tape, pair->s, pair->t, df_mul(tape, mask[k], theirs->cell), theirs->channel, pair->images);
}

static void level_terms(const struct df_distill_context *context, const struct df_detection_state *student,
                        const struct df_detection_state *teacher, size_t level, df_tensor *term[TERMS])
{
    const struct fgd_options *options = context->options;
    const struct fgd_state *state = context->state;
    df_tape *tape = context->tape;
    struct level_pair pair = { .images = df_loss_norm(tape, student->batch) };

    pair.t = df_detach(tape, df_part(teacher, "neck", level)->tensor);
    pair.s = df_layer_apply(tape, &state->align[level], df_part(student, "neck", level)->tensor, false);
    if (options->fg || options->bg || options->attention)
        pair.theirs = attend(tape, pair.t, options->temperature);
    if (options->fg || options->bg)
        focal_terms(context, student, &pair, term);
    if (options->attention) {
        const struct attention own = attend(tape, pair.s, options->temperature);

        term[ATTENTION] = attention_term(tape, &own, &pair.theirs, pair.images);
    }
    if (options->global)
        term[GLOBAL] = global_term(tape, state, level, &pair);
}

static df_tensor *fgd_loss(const struct df_distill_context *context, const struct df_detection_state *student,
                           const struct df_detection_state *teacher)
{
    static const char *const names[TERMS] = { "fgd.fg", "fgd.bg", "fgd.attention", "fgd.global" };
    const struct fgd_options *options = context->options;
    const double weights[TERMS] = { options->w_fg, options->w_bg, options->w_attention, options->w_global };
    df_tensor *sum[TERMS] = { NULL }, *total = NULL;

    for (size_t l = 0; l < df_levels_chosen(options->levels, student->levels); l++) {
        df_tensor *term[TERMS] = { NULL };

        level_terms(context, student, teacher, l, term);
        for (int k = 0; k < TERMS; k++)
            sum[k] = sum[k] ? df_add(context->tape, sum[k], term[k]) : term[k];
    }
    for (int k = 0; k < TERMS; k++)
        total = sum[k] ? df_term_add(context, total, names[k], sum[k], weights[k]) : total;
    return total;
}

const struct df_distiller_class df_distiller_fgd = {
    .abi = DF_DISTILLER_ABI,
    .name = "fgd",
    .summary = "object and background features under the teacher's attention, the attention itself, a global context",
    .cite = "Yang et al., CVPR 2022, arXiv:2111.11837",
    .needs = "neck/*",
    .options = fgd_options,
    .tunable = "w_fg w_bg w_attention w_global",
    .options_size = sizeof(struct fgd_options),
    .state_size = sizeof(struct fgd_state),
    .init = fgd_init,
    .loss = fgd_loss,
    .formula = "L = sum_l 1/N { w_fg sum m A(t) B(t) (s - t)^2 + w_bg sum b A(t) B(t) (s - t)^2\n"
               "              + w_attention (sum |A(s) - A(t)| + sum |B(s) - B(t)|) + w_global sum (G_s(s) - G_t(t))^2 }\n"
               "A(x) = hw softmax over cells of mean_c |x| / T; B(x) = C softmax over channels of mean_hw |x| / T; N: images\n"
               "m: the largest 1/((rows + 1)(columns + 1)) of the boxes on a cell; b: 1/(cells without a box) on these\n"
               "G(x) = x + 1x1(ReLU(LayerNorm(1x1(sum_hw x softmax_hw(1x1(x)))))), one for the student, one for the teacher\n"
               "s, t: neck features of student (after a 1x1 convolution where the widths differ) and teacher",
    .deviation = "None with mask=authors, whose boxes stretch where an image is padded; mask=corrected puts them where they are.",
    .published =
        "RetinaNet: weights 1e-3, 5e-4, 5e-4, 5e-6, 5 levels; Faster R-CNN: 5e-5, 2.5e-5, 5e-5, 5e-7, the 4 levels that are not pooled; "
        "temperature 0.5, gradients clipped at 35, init_student (yzd-v/FGD, configs/distillers/fgd). COCO, 24 epochs: RetinaNet X101 "
        "to R50 37.4 to 40.7 AP, Cascade Mask R-CNN X101 to Faster R-CNN R50 38.4 to 42.0 AP (its README).",
};
