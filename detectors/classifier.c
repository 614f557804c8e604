/* ResNet (He et al., CVPR 2016) over crops of the objects that the ground truth tells: the teacher of classifier-to-detector distillation (Guo,
 * Alvarez, Salzmann, NeurIPS 2021, arXiv:2106.05209). A crop is cut out of the network's input, so that it shares its distortion: S x S bilinear
 * samples in the middles of the box's cells (PyTorch's grid_sample, align_corners false: 0 outside), the box clamped to the image. Trained by
 * cross-entropy over the crops of a batch. torchvision's definitions and names ("fc.weight") but for the stem of network.stem.
 * Crops of the ground truth are cut on the host: no gradient reaches the pixels. Those of look_at, of any boxes, are cut on the tape, and gradients
 * reach the boxes; both see the same pixels, to rounding. */
#include "detectors/classifier.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/portable_math.h"
#include "core/nn/losses.h"
#include "detectors/conv_unit.h"
#include "detectors/resnet.h"

struct classifier_options {
    int64_t size;
    double context;
};
#define ROW struct classifier_options
static const df_option classifier_options[] = {
    { "size", DF_INT_OPTION(ROW, size), .standard = 112, .min = 8, .max = 1024, .help = "side of a crop (pixels)" },
    { "context", DF_REAL_OPTION(ROW, context), .max = 2, .help = "a crop is larger than its box by this share of it on every side" },
    { 0 },
};
#undef ROW

struct classifier {
    struct df_detector base;
    struct classifier_options options;
    struct df_conv_units units;
    struct df_resnet resnet;
    struct df_parameter *weight, *bias;
};

static df_status classifier_create(const void *options, const struct df_network_options *network, size_t classes,
                                   struct df_parameters *parameters, struct df_detector **out, struct df_error *err)
{
    struct df_resnet_plan plan;
    struct classifier *net;

    *out = NULL;
    DF_TRY(df_network_check(network, "network", err));
    df_resnet_plan(network, &plan);
    net = df_calloc(1, sizeof *net);
    net->base = (struct df_detector){ .class = &df_detector_classifier, .parameters = parameters, .classes = classes };
    net->options = *(const struct classifier_options *)options;
    net->units = (struct df_conv_units){ .parameters = parameters,
                                         .eps = network->norm_eps,
                                         .momentum = network->norm_momentum,
                                         .frozen_norm = network->norm == DF_NETWORK_NORM_FROZEN };
    df_resnet_init(&net->resnet, &net->units, &plan);

    const size_t width = net->resnet.channels[net->resnet.stages - 1];
    const struct df_initialiser init = { DF_INIT_UNIFORM, 1 / sqrt((double)width) }; /* torch.nn.Linear */

    net->weight = df_parameters_add(parameters, "fc.weight", DF_LINEAR_WEIGHT, (df_shape){ classes, 1, 1, width }, init, DF_RNG_INIT);
    net->bias = df_parameters_add(parameters, "fc.bias", DF_VECTOR, (df_shape){ 1, 1, 1, classes }, init, DF_RNG_INIT);
    *out = &net->base;
    return DF_OK;
}

static void classifier_destroy(struct df_detector *base)
{
    struct classifier *net = (struct classifier *)base;

    df_resnet_release(&net->resnet);
    df_conv_units_release(&net->units);
    free(net);
}

/* ---- crops ---- */

static double clamp(double x, double high) { return fmin(fmax(x, 0), high); }

/* One axis of one pixel of a crop: the two input pixels that it lies between, and its share of the second. */
struct tap {
    int64_t at;
    double share;
};
static struct tap tap_of(double low, double high, size_t i, size_t size)
{
    const double x = low + ((double)i + 0.5) / (double)size * (high - low) - 0.5, at = floor(x);

    return (struct tap){ (int64_t)at, x - at };
}

/* Of a canvas; 0 outside. */
static void pixel(const struct df_batch *images, size_t n, int64_t y, int64_t x, df_real to[3])
{
    if (y < 0 || x < 0 || y >= (int64_t)images->height || x >= (int64_t)images->width)
        to[0] = to[1] = to[2] = 0;
    else
        df_batch_pixel(images, n, (size_t)y, (size_t)x, to);
}

/* Between two pixels of a row, or two values. */
static double between(double share, double first, double second) { return (1 - share) * first + share * second; }

/* to [S,S,3]: the box of image n with its context, clamped to the image. */
static void crop(const struct classifier_options *options, const struct df_batch *images, size_t n, struct df_box box, df_real *to)
{
    const size_t size = (size_t)options->size;
    const double dx = options->context * (double)(box.x1 - box.x0), dy = options->context * (double)(box.y1 - box.y0);
    const double h = (double)images->valid_h[n], w = (double)images->valid_w[n];
    const double x0 = clamp((double)box.x0 - dx, w), x1 = clamp((double)box.x1 + dx, w);
    const double y0 = clamp((double)box.y0 - dy, h), y1 = clamp((double)box.y1 + dy, h);

    for (size_t i = 0; i < size; i++)
        for (size_t j = 0; j < size; j++, to += 3) {
            const struct tap y = tap_of(y0, y1, i, size), x = tap_of(x0, x1, j, size);

            df_real corner[2][2][3];

            for (int64_t k = 0; k < 4; k++)
                pixel(images, n, y.at + k / 2, x.at + k % 2, corner[k / 2][k % 2]);
            for (size_t c = 0; c < 3; c++) {
                const double above = between(x.share, (double)corner[0][0][c], (double)corner[0][1][c]);
                const double below = between(x.share, (double)corner[1][0][c], (double)corner[1][1][c]);

                to[c] = (df_real)between(y.share, above, below);
            }
        }
}

static size_t objects_of(const struct df_batch *images)
{
    size_t count = 0;

    for (size_t n = 0; n < images->n; n++)
        count += images->truth[n].count;
    return count;
}

df_tensor *df_classifier_crops(const struct df_detector *detector, df_tape *tape, const struct df_batch *images)
{
    const struct classifier *net = (const struct classifier *)detector;
    const size_t size = (size_t)net->options.size, each = size * size * 3, objects = objects_of(images), rows = objects ? objects : 1;
    df_real *pixels = df_tape_host(tape, rows * each * sizeof *pixels), *to = pixels;

    for (size_t n = 0; n < images->n; n++)
        for (size_t g = 0; g < images->truth[n].count; g++, to += each)
            crop(&net->options, images, n, images->truth[n].boxes[g], to);
    if (!objects)
        crop(&net->options, images, 0, (struct df_box){ 0, 0, (float)images->valid_w[0], (float)images->valid_h[0] }, to);
    return df_tensor_from(tape, (df_shape){ rows, size, size, 3 }, pixels);
}

/* ---- crops on the tape ---- */

/* rows of 4 [rows,1,1,4] with which boxes are multiplied */
static df_tensor *matrix(df_tape *tape, const df_real *row, size_t rows) { return df_tensor_from(tape, (df_shape){ rows, 1, 1, 4 }, row); }

/* Larger by the context, then clamped to the boxes' images: min(max(x, 0), size). */
static df_tensor *seen_boxes(const struct classifier_options *options, df_tape *tape, const struct df_crops *crops)
{
    const df_real c = (df_real)options->context, larger[16] = { 1 + c, 0, -c, 0, 0, 1 + c, 0, -c, -c, 0, 1 + c, 0, 0, -c, 0, 1 + c };
    const size_t rows = crops->boxes->shape.n;
    df_real *size = df_tape_host(tape, rows * 4 * sizeof *size);

    for (size_t r = 0; r < rows; r++) {
        size[4 * r] = size[4 * r + 2] = (df_real)crops->images->valid_w[crops->image[r]];
        size[4 * r + 1] = size[4 * r + 3] = (df_real)crops->images->valid_h[crops->image[r]];
    }
    df_tensor *most = df_tensor_from(tape, crops->boxes->shape, size),
              *boxes = df_linear(tape, crops->boxes, matrix(tape, larger, 4), NULL);

    return df_sub(tape, most, df_relu(tape, df_sub(tape, most, df_relu(tape, boxes))));
}

/* A crop's grid is linear in its box: of cell (i, j) across 2/W ((1-u) x0 + u x1) - 1 with u = (j + 1/2)/S, down likewise. */
static df_tensor *grid_of(df_tape *tape, df_tensor *boxes, size_t side, const struct df_batch *images)
{
    const size_t numbers = side * side * 2;
    df_real *row = df_tape_host(tape, numbers * 4 * sizeof *row), *offset = df_tape_host(tape, numbers * sizeof *offset);

    memset(row, 0, numbers * 4 * sizeof *row);
    for (size_t k = 0; k < numbers; k++) {
        const size_t axis = k % 2, at = axis ? k / 2 / side : k / 2 % side;
        const double share = ((double)at + 0.5) / (double)side, unit = 2 / (double)(axis ? images->height : images->width);

        row[4 * k + axis] = (df_real)((1 - share) * unit);
        row[4 * k + 2 + axis] = (df_real)(share * unit);
        offset[k] = -1;
    }
    df_tensor *grid = df_linear(tape, boxes, matrix(tape, row, numbers), df_tensor_from(tape, (df_shape){ 1, 1, 1, numbers }, offset));

    return df_reshape(tape, grid, (df_shape){ boxes->shape.n, side, side, 2 });
}

static void classifier_look_at(struct df_detector *base, df_tape *tape, const struct df_crops *crops, struct df_seen *out)
{
    struct classifier *net = (struct classifier *)base;
    df_tensor *boxes = seen_boxes(&net->options, tape, crops);

    df_conv_units_refresh(&net->units);
    out->crop = df_grid_sample(tape, crops->pixels, grid_of(tape, boxes, (size_t)net->options.size, crops->images), crops->image,
                               (struct df_grid_options){ .border = false });
    out->stem = df_resnet_stem(&net->resnet, tape, out->crop, false);
}

/* ---- the network ---- */

static void classifier_forward(struct df_detector *base, df_tape *tape, const struct df_batch *images, df_tensor *pixels, unsigned what,
                               struct df_detection_state *state)
{
    enum { CELLS = 2 | 4 }; /* axes h, w */
    struct classifier *net = (struct classifier *)base;
    df_tensor *stage[DF_STAGES], *x;

    (void)pixels;
    *state = (struct df_detection_state){ .batch = images->n,
                                          .canvas_h = images->height,
                                          .canvas_w = images->width,
                                          .classes = base->classes,
                                          .images = images,
                                          .detector = base };
    df_conv_units_refresh(&net->units);
    df_resnet_forward(&net->resnet, tape, df_classifier_crops(base, tape, images), what & DF_TRAINING, stage);
    x = df_mean(tape, stage[net->resnet.stages - 1], CELLS);
    x = df_linear(tape, x, df_parameter_tensor(tape, net->weight), df_parameter_tensor(tape, net->bias));
    df_parts_set(&state->parts, DF_OBJECT_LOGITS, DF_NO_LEVEL, 0, df_reshape(tape, x, (df_shape){ 1, 1, x->shape.n, base->classes }));
}

/* Labels of all objects in their order; of the row that stands for none -1. */
static df_tensor *labels_of(df_tape *tape, const struct df_batch *images, size_t rows)
{
    df_real *label = df_tape_host(tape, rows * sizeof *label), *to = label;

    label[0] = -1;
    for (size_t n = 0; n < images->n; n++)
        for (size_t g = 0; g < images->truth[n].count; g++)
            *to++ = (df_real)images->truth[n].labels[g];
    return df_tensor_from(tape, (df_shape){ 1, 1, rows, 1 }, label);
}

static df_tensor *classifier_loss(struct df_detector *base, df_tape *tape, const struct df_detection_state *state,
                                  struct df_loss_terms *terms)
{
    df_tensor *logits = df_part_tensor(state, DF_OBJECT_LOGITS), *loss;

    (void)base;
    loss = df_cross_entropy(tape, logits, labels_of(tape, state->images, logits->shape.w), df_loss_norm(tape, objects_of(state->images)));
    df_loss_terms_add(terms, "classification", loss, 1);
    return loss;
}

/* ---- what it says ---- */

/* to[k] = softmax(z)_k; the largest class. */
static size_t probabilities(const df_real *z, size_t classes, float *to)
{
    size_t largest = 0;
    double sum = 0;

    for (size_t k = 1; k < classes; k++)
        largest = z[k] > z[largest] ? k : largest;
    for (size_t k = 0; k < classes; k++)
        sum += df_exp((double)(z[k] - z[largest]));
    for (size_t k = 0; k < classes; k++)
        to[k] = (float)(df_exp((double)(z[k] - z[largest])) / sum);
    return largest;
}

static int falling(const void *a, const void *b)
{
    const struct df_found *x = a, *y = b;

    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

/* The objects themselves, each with its likeliest class. */
static const struct df_found *classifier_predict(struct df_detector *base, df_tape *tape, const struct df_detection_state *state,
                                                 size_t image, bool scores, size_t *count)
{
    const df_real *logits = df_part_host(tape, df_part(state, DF_OBJECT_LOGITS, DF_NO_LEVEL));
    const struct df_ground_truth *truth = &state->images->truth[image];
    struct df_found *found = df_tape_host(tape, (truth->count + 1) * sizeof *found);

    for (size_t n = 0; n < image; n++)
        logits += state->images->truth[n].count * base->classes;
    for (size_t g = 0; g < truth->count; g++, logits += base->classes) {
        float *score = df_tape_host(tape, base->classes * sizeof *score);
        const size_t k = probabilities(logits, base->classes, score);

        found[g] =
            (struct df_found){ .box = truth->boxes[g], .label = (int32_t)k, .score = score[k], .row = g, .scores = scores ? score : NULL };
    }
    qsort(found, truth->count, sizeof *found, falling);
    *count = truth->count;
    return found;
}

static void classifier_fold(struct df_detector *base) { df_conv_units_fold(&((struct classifier *)base)->units); }

static const struct df_class_rows classifier_class_rows[] = { { "fc", 0, 1 }, { 0 } };

const struct df_detector_class df_detector_classifier = {
    .abi = DF_DETECTOR_ABI,
    .name = "classifier",
    .summary = "image classifier of the objects that the ground truth tells",
    .offers = DF_OBJECT_LOGITS,
    .on_request = "",
    .class_logits = DF_OBJECT_LOGITS,
    .options = classifier_options,
    .options_size = sizeof(struct classifier_options),
    .create = classifier_create,
    .destroy = classifier_destroy,
    .forward = classifier_forward,
    .loss = classifier_loss,
    .predict = classifier_predict,
    .fold = classifier_fold,
    .look_at = classifier_look_at,
    .class_rows = classifier_class_rows,
};
