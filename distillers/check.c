/* `defeat distillers --check NAME`: a distiller on a synthetic pair of networks, in whatever precision this build has. Two images, three
 * levels, random features, an object for every level; the teacher shows only what the distiller says it needs. Every check runs with the
 * default options and again with each other choice of each choice option, other options set so that it has an effect; where a distiller may
 * need a RoI head, as networks of a one-stage and of a two-stage detector. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/geometry/box.h"
#include "core/nn/ops.h"
#include "distillers/distiller.h"

enum { BATCH = 2, HEIGHT = 48, WIDTH = 64, LEVELS = 3, CLASSES = 3, PER_CELL = 2, PROPOSALS = 6, INPUTS_MAX = LEVELS + DF_STAGES + 5 };
static const bool is_double = sizeof(df_real) > sizeof(float);

struct input {
    df_shape shape;
    df_real *value;
    df_tensor *leaf;
};
struct network {
    size_t count;
    struct input input[INPUTS_MAX]; /* neck, stages, class logits, box deltas, roi logits, roi deltas, weights of roi_head */
};
enum { CLASS_LOGITS = LEVELS + DF_STAGES, BOX_DELTAS, ROI_LOGITS, ROI_DELTAS, ROI_WEIGHTS };
struct fake_detector { /* with a RoI head that pools the finest level */
    struct df_detector base;
    const struct network *network;
};
struct bench {
    const struct df_distiller_class *class;
    const struct df_detector_class *detector;
    struct fake_detector student_detector, teacher_detector;
    unsigned needs;
    struct df_device *device;
    df_tape *tape;
    void *options, *state, *state_after_init;
    struct df_parameters *parameters;
    struct network student, teacher;
    struct df_batch batch;
    struct df_ground_truth truth[BATCH];
    size_t anchors;
    struct df_box *anchor;
    int32_t *label, *matched;
    df_real *target;
    df_real *pixels;
    struct df_loss_terms terms;
};

static const struct df_box boxes[] = { { 9, 17, 13, 23 }, { 20, 4, 31, 16 }, { 16, 10, 60, 44 } };
static const int32_t box_labels[] = { 2, 0, 1 };
/* What the student and the teacher sample: three rows per image, the last of each is padding. */
static const struct df_box proposals[PROPOSALS] = { { 8, 16, 15, 24 },  { 18, 2, 33, 17 }, { 40, 20, 63, 47 },
                                                    { 14, 12, 58, 40 }, { 0, 0, 12, 30 },  { 0, 0, 0, 0 } };
static const struct df_box teacher_proposals[PROPOSALS] = { { 19, 5, 30, 14 }, { 2, 30, 40, 44 }, { 0, 0, 0, 0 },
                                                            { 1, 2, 19, 21 },  { 3, 9, 50, 40 },  { 20, 8, 62, 47 } };
static const uint32_t proposal_image[PROPOSALS] = { 0, 0, 0, 1, 1, 1 };
static const size_t student_stages[DF_STAGES] = { 3, 5, 6, 7 }, teacher_stages[DF_STAGES] = { 4, 6, 7, 9 };
static const size_t student_width = 5, teacher_width = 4;
static const double teacher_std[LEVELS] = { 1.5, 0.75, 1.25 };

static size_t neck_stride(size_t level) { return (size_t)8 << level; }
static size_t stage_stride(size_t stage) { return (size_t)4 << stage; }
static df_shape map_shape(size_t stride, size_t channels)
{
    return (df_shape){ BATCH, (HEIGHT + stride - 1) / stride, (WIDTH + stride - 1) / stride, channels };
}

/* ---- the synthetic networks ---- */

static void add_input(struct network *network, df_shape shape, uint64_t seed, double scale)
{
    struct input *input = &network->input[network->count++];

    input->shape = shape;
    input->value = df_malloc(df_count(shape) * sizeof *input->value);
    for (size_t i = 0; i < df_count(shape); i++) {
        struct df_rng rng;

        df_rng_init(&rng, seed + network->count, DF_RNG_TEST, i);
        input->value[i] = (df_real)(scale * df_rng_normal(&rng));
    }
}

static void network_init(struct network *network, size_t anchors, size_t width, const size_t stages[DF_STAGES], uint64_t seed)
{
    for (size_t l = 0; l < LEVELS; l++)
        add_input(network, map_shape(neck_stride(l), width), seed, 1);
    for (size_t k = 0; k < DF_STAGES; k++)
        add_input(network, map_shape(stage_stride(k), stages[k]), seed, 1);
    add_input(network, (df_shape){ BATCH, 1, anchors, CLASSES }, seed, 2);
    add_input(network, (df_shape){ BATCH, 1, anchors, 4 }, seed, 0.5);
    add_input(network, (df_shape){ PROPOSALS, 1, 1, CLASSES + 1 }, seed, 2);
    add_input(network, (df_shape){ PROPOSALS, 1, 1, 4 * (CLASSES + 1) }, seed, 0.5);
    add_input(network, (df_shape){ CLASSES + 1, 1, 1, width }, seed, 1);
}

static void network_release(struct network *network)
{
    for (size_t i = 0; i < network->count; i++)
        free(network->input[i].value);
}

/* The class of the object that a box overlaps by at least 0.4, -1 background, -2 padding. */
static const int32_t *label_rows(df_tape *tape, const struct df_batch *batch, const struct df_box *box)
{
    int32_t *label = df_tape_host(tape, PROPOSALS * sizeof *label);

    for (size_t r = 0; r < PROPOSALS; r++) {
        const struct df_ground_truth *truth = &batch->truth[proposal_image[r]];

        label[r] = df_box_area(box[r]) > 0 ? -1 : -2;
        for (size_t g = 0; g < truth->count; g++) {
            if (df_box_iou(truth->boxes[g], box[r]) >= 0.4F)
                label[r] = truth->labels[g];
        }
    }
    return label;
}

static void fake_roi_head(struct df_detector *base, df_tape *tape, const struct df_detection_state *features, size_t count,
                          const struct df_box *proposal, const uint32_t *image, struct df_detection_state *out)
{
    static const int32_t level[PROPOSALS] = { 0 };
    const struct fake_detector *fake = (const struct fake_detector *)base;
    const struct df_roi_options options = { .size = 1, .sampling = 2 };
    df_tensor *finest = features->neck[0].feature;
    const double scale = 1 / (double)features->neck[0].stride;

    DF_ASSERT(!proposal || (count == PROPOSALS && memcmp(image, proposal_image, sizeof proposal_image) == 0));
    *out = *features;
    out->proposals = PROPOSALS;
    out->proposal = proposal ? proposal : teacher_proposals;
    out->proposal_image = proposal_image;
    out->proposal_label = label_rows(tape, features->images, out->proposal);
    const struct df_rois rois = { PROPOSALS, out->proposal, proposal_image, level };

    out->roi_logits = df_linear(tape, df_roi_align(tape, &finest, &scale, 1, &rois, options), fake->network->input[ROI_WEIGHTS].leaf, NULL);
}

static const struct df_detector_class one_stage = {
    .abi = DF_DETECTOR_ABI, .name = "one-stage", .offers = DF_OFFERS_BACKBONE | DF_OFFERS_NECK | DF_OFFERS_DENSE_HEAD | DF_OFFERS_BOX_DELTAS
};
static const struct df_detector_class two_stage = { .abi = DF_DETECTOR_ABI,
                                                    .name = "two-stage",
                                                    .offers = DF_OFFERS_BACKBONE | DF_OFFERS_NECK | DF_OFFERS_DENSE_HEAD |
                                                              DF_OFFERS_BOX_DELTAS | DF_OFFERS_ROI_HEAD,
                                                    .roi_head = fake_roi_head };

/* Fresh leaves on the tape; the teacher's ask for gradients too, to see that none arrive. */
static void network_show(const struct bench *bench, struct network *network, unsigned shown, struct df_detection_state *state)
{
    struct input *input = network->input;

    *state = (struct df_detection_state){ .batch = BATCH,
                                          .canvas_h = HEIGHT,
                                          .canvas_w = WIDTH,
                                          .classes = CLASSES,
                                          .images = &bench->batch,
                                          .levels = LEVELS,
                                          .anchors = bench->anchors,
                                          .anchor = bench->anchor };
    for (size_t i = 0; i < network->count; i++)
        input[i].leaf = df_leaf(bench->tape, input[i].shape, input[i].value);
    for (size_t l = 0; l < LEVELS; l++) {
        state->neck[l] = (struct df_neck_level){ .stride = neck_stride(l), .feature_std = teacher_std[l] };
        state->neck[l].feature = shown & DF_NEEDS_NECK ? input->leaf : NULL;
        state->level_anchors[l] = input->shape.h * input->shape.w * PER_CELL;
        input++;
    }
    for (size_t k = 0; k < DF_STAGES; k++, input++)
        state->stage[k] = (struct df_stage_map){ .stride = stage_stride(k), .feature = shown & DF_NEEDS_BACKBONE ? input->leaf : NULL };
    input = network->input;
    state->class_logits = shown & DF_NEEDS_DENSE_HEAD ? input[CLASS_LOGITS].leaf : NULL;
    state->box_deltas = shown & DF_NEEDS_BOX_DELTAS ? input[BOX_DELTAS].leaf : NULL;
    if (shown & DF_NEEDS_ROI_HEAD) {
        state->proposals = PROPOSALS;
        state->proposal = proposals;
        state->proposal_image = proposal_image;
        state->roi_logits = input[ROI_LOGITS].leaf;
        state->roi_deltas = input[ROI_DELTAS].leaf;
    }
}

static void ground_truth_set(struct bench *bench, bool objects)
{
    bench->truth[0] = (struct df_ground_truth){ objects ? 2 : 0, boxes, box_labels };
    bench->truth[1] = (struct df_ground_truth){ objects ? 1 : 0, boxes + 2, box_labels + 2 };
    for (size_t i = 0; i < BATCH * bench->anchors; i++) {
        const struct df_ground_truth *truth = &bench->truth[i / bench->anchors];

        bench->label[i] = objects && i % 11 == 4 ? (int32_t)(i % CLASSES) : objects && i % 13 == 5 ? -2 : -1;
        bench->matched[i] = bench->label[i] >= 0 ? (int32_t)(i % truth->count) : bench->label[i];
    }
}

static void batch_init(struct bench *bench)
{
    static const size_t index[BATCH] = { 0, 1 }, valid_h[BATCH] = { HEIGHT, 40 }, valid_w[BATCH] = { 60, WIDTH };
    static const bool flipped[BATCH] = { false, true };
    static const double scale[BATCH] = { 1, 0.5 };

    for (size_t l = 0; l < LEVELS; l++)
        bench->anchors += df_pixels(map_shape(neck_stride(l), 1)) / BATCH * PER_CELL;
    bench->anchor = df_calloc(bench->anchors, sizeof *bench->anchor);
    for (size_t i = 0; i < bench->anchors; i++)
        bench->anchor[i] = (struct df_box){ (float)(i % 50), (float)(i % 30), (float)(i % 50 + 6 + i % 9), (float)(i % 30 + 5 + i % 12) };
    bench->label = df_malloc(BATCH * bench->anchors * sizeof *bench->label);
    bench->matched = df_malloc(BATCH * bench->anchors * sizeof *bench->matched);
    bench->target = df_calloc(BATCH * bench->anchors * 4, sizeof *bench->target);
    bench->pixels = df_calloc((size_t)BATCH * HEIGHT * WIDTH * 3, sizeof *bench->pixels);
    bench->batch = (struct df_batch){ .n = BATCH,
                                      .height = HEIGHT,
                                      .width = WIDTH,
                                      .pixels = bench->pixels,
                                      .truth = bench->truth,
                                      .index = index,
                                      .flipped = flipped,
                                      .valid_h = valid_h,
                                      .valid_w = valid_w,
                                      .scale_x = scale,
                                      .scale_y = scale };
    ground_truth_set(bench, true);
}

static void bench_release(struct bench *bench)
{
    network_release(&bench->student);
    network_release(&bench->teacher);
    if (bench->tape)
        df_tape_free(bench->tape);
    if (bench->parameters)
        df_parameters_free(bench->parameters);
    free(bench->state);
    free(bench->state_after_init);
    free(bench->anchor);
    free(bench->label);
    free(bench->matched);
    free(bench->target);
    free(bench->pixels);
}

/* Adaptation weights are made large enough to be seen by a gradient check, whatever they start from. */
static void parameters_fill(struct bench *bench)
{
    for (size_t i = 0; i < bench->parameters->count; i++) {
        const struct df_parameter *item = bench->parameters->items[i];
        const size_t n = df_count(item->shape);
        df_real *values = df_malloc(n * sizeof *values);
        struct df_rng rng;

        df_rng_init(&rng, 77, DF_RNG_TEST, i);
        for (size_t j = 0; j < n; j++)
            values[j] = (df_real)(0.2 * df_rng_normal(&rng));
        if (!item->buffer)
            df_write(bench->device, item->value, values, n * sizeof *values);
        free(values);
    }
    df_parameters_touch(bench->parameters);
}

/* same_width: the student is as wide as the teacher, for distillers without adaptation */
static df_status bench_init(struct bench *bench, const struct df_distiller_class *class, const struct df_detector_class *detector,
                            struct df_device *device, void *options, bool same_width, struct df_error *err)
{
    const size_t *stages = same_width ? teacher_stages : student_stages, width = same_width ? teacher_width : student_width;
    struct df_distiller_setup setup = { .options = options,
                                        .prefix = "distiller.0.",
                                        .levels = LEVELS,
                                        .stages = DF_STAGES,
                                        .teacher_std = teacher_std,
                                        .detector = detector };

    *bench = (struct bench){ .class = class, .detector = detector, .device = device, .options = options };
    bench->student_detector = (struct fake_detector){ { .class = detector, .classes = CLASSES }, &bench->student };
    bench->teacher_detector = (struct fake_detector){ { .class = detector, .classes = CLASSES }, &bench->teacher };
    DF_TRY(df_distiller_needs(class, options, detector, &bench->needs, err));
    bench->state = df_calloc(1, class->state_size + 1);
    bench->state_after_init = df_malloc(class->state_size + 1);
    bench->parameters = df_parameters_new();
    df_parameters_add(bench->parameters, "student.weight", DF_VECTOR, (df_shape){ 1, 1, 1, 3 }, (struct df_initialiser){ DF_INIT_ONE, 0 },
                      DF_RNG_INIT);
    setup.state = bench->state;
    setup.parameters = bench->parameters;
    for (size_t l = 0; l < LEVELS; l++) {
        setup.student_channels[l] = width;
        setup.teacher_channels[l] = teacher_width;
    }
    memcpy(setup.student_stage_channels, stages, sizeof setup.student_stage_channels);
    memcpy(setup.teacher_stage_channels, teacher_stages, sizeof setup.teacher_stage_channels);
    if (class->init)
        DF_TRY(class->init(&setup, err));
    df_parameters_build(bench->parameters, device, 1, true);
    parameters_fill(bench);
    memcpy(bench->state_after_init, bench->state, class->state_size);
    bench->tape = df_tape_new(device, true);
    batch_init(bench);
    network_init(&bench->student, bench->anchors, width, stages, 100);
    network_init(&bench->teacher, bench->anchors, teacher_width, teacher_stages, 200);
    return DF_OK;
}

/* The loss, its terms and, if asked, all gradients. */
static double evaluate(struct bench *bench, bool backward)
{
    const unsigned shown = bench->needs & DF_NEEDS_ROI_HEAD ? bench->needs | DF_NEEDS_NECK : bench->needs; /* the head runs over it */
    struct df_detection_state student, teacher;
    const struct df_distill_context context = { .tape = bench->tape,
                                                .options = bench->options,
                                                .state = bench->state,
                                                .step = 3,
                                                .steps = 10,
                                                .epoch = 1,
                                                .epochs = 4,
                                                .progress = 0.3,
                                                .seed = 5,
                                                .terms = &bench->terms };

    memcpy(bench->state, bench->state_after_init, bench->class->state_size);
    bench->terms.count = 0;
    df_tape_reset(bench->tape);
    df_parameters_zero_grad(bench->parameters);
    network_show(bench, &bench->student, bench->detector->offers, &student);
    network_show(bench, &bench->teacher, shown, &teacher);
    student.label = bench->label;
    student.matched = bench->matched;
    student.target = bench->target;
    student.detector = &bench->student_detector.base;
    if (student.proposals)
        student.proposal_label = label_rows(bench->tape, &bench->batch, student.proposal);
    if (bench->needs & DF_NEEDS_ROI_HEAD)
        teacher.detector = &bench->teacher_detector.base;
    for (size_t i = 0; i < BATCH * bench->anchors; i++)
        student.positives += bench->label[i] >= 0;

    df_tensor *loss = bench->class->loss(&context, &student, &teacher);

    if (loss && backward && loss->requires_grad)
        df_backward(bench->tape, loss);
    return loss ? df_item(bench->tape, loss) : 0;
}

/* ---- checks: each returns whether it holds and leaves a line in `text` ---- */

#define TEXT     512
#define SAY(...) (void)snprintf(text, TEXT, __VA_ARGS__)

static size_t parameter_inputs(const struct bench *bench) { return bench->student.count + bench->parameters->count; }

/* Input i of the student's tensors, then of the parameters; grad NULL: none. Returns its elements. */
static size_t input_at(const struct bench *bench, size_t i, const df_real **grad, df_real **device_value, df_real **host_value)
{
    if (i < bench->student.count) {
        const struct input *input = &bench->student.input[i];

        *grad = input->leaf->grad;
        *device_value = NULL;
        *host_value = input->value;
        return df_count(input->shape);
    }
    const struct df_parameter *item = bench->parameters->items[i - bench->student.count];

    *grad = item->grad;
    *device_value = item->value;
    *host_value = NULL;
    return item->buffer ? 0 : df_count(item->shape);
}

/* Host copy of all gradients, one after the other; *count elements. */
static df_real *gradients(const struct bench *bench, size_t *count)
{
    const df_real *grad;
    df_real *device_value, *host_value, *all;

    *count = 0;
    for (size_t i = 0; i < parameter_inputs(bench); i++)
        *count += input_at(bench, i, &grad, &device_value, &host_value);
    all = df_calloc(*count + 1, sizeof *all);
    for (size_t i = 0, at = 0; i < parameter_inputs(bench); i++) {
        const size_t n = input_at(bench, i, &grad, &device_value, &host_value);

        if (grad)
            df_read(bench->device, all + at, grad, n * sizeof *all);
        at += n;
    }
    return all;
}

static void move_input(struct bench *bench, size_t i, const df_real *values)
{
    const df_real *grad;
    df_real *device_value, *host_value;
    const size_t n = input_at(bench, i, &grad, &device_value, &host_value);

    if (host_value) {
        memcpy(host_value, values, n * sizeof *values);
    } else {
        df_write(bench->device, device_value, values, n * sizeof *values);
        df_parameters_touch(bench->parameters);
    }
}

/* f(x + h v) and f(x - h v) along v of input i; x is put back */
static void move_along(struct bench *bench, size_t i, const df_real *v, double h, double value[2])
{
    const df_real *grad;
    df_real *device_value, *host_value;
    const size_t n = input_at(bench, i, &grad, &device_value, &host_value);
    df_real *x = df_malloc(n * sizeof *x), *moved = df_malloc(n * sizeof *moved);

    if (host_value)
        memcpy(x, host_value, n * sizeof *x);
    else
        df_read(bench->device, x, device_value, n * sizeof *x);
    for (int side = 0; side < 2; side++) {
        for (size_t j = 0; j < n; j++)
            moved[j] = (df_real)((double)x[j] + (side ? -h : h) * (double)v[j]);
        move_input(bench, i, moved);
        value[side] = evaluate(bench, false);
    }
    move_input(bench, i, x);
    free(x);
    free(moved);
}

/* Whether the derivative along v of input i is `slope`; *difference is the last central difference. Where a step of h crosses kinks (of a
 * ReLU) a smaller one tells, as well as the rounding of the two losses allows; across the last of them the derivative is one of the two
 * sides'. */
static bool slope_is_right(struct bench *bench, size_t i, const df_real *v, double loss, double slope, double *difference)
{
    enum { ATTEMPTS = 3 };
    const double relative = is_double ? 1e-6 : 1e-2, absolute = is_double ? 1e-9 : 1e-4, rounding = is_double ? 2.2e-16 : 1.2e-7;
    double h = is_double ? 1e-4 : 0.02;
    bool good = false;

    for (int attempt = 1; attempt <= ATTEMPTS && !good; attempt++, h /= 8) {
        const double slack = relative * fabs(slope) + absolute * (fabs(loss) + 1) + rounding * fabs(loss) / h;
        double value[2];

        move_along(bench, i, v, h, value);
        *difference = (value[0] - value[1]) / (2 * h);
        good = fabs(*difference - slope) <= slack;
        if (attempt == ATTEMPTS) {
            const double ahead = (value[0] - loss) / h, behind = (loss - value[1]) / h;

            good = good || (slope >= fmin(ahead, behind) - slack && slope <= fmax(ahead, behind) + slack);
        }
    }
    return good;
}

/* Along a random direction of every tensor and parameter. */
static bool check_gradient(struct bench *bench, char *text)
{
    const double loss = evaluate(bench, true);
    size_t total, at = 0, seen = 0;
    df_real *grad = gradients(bench, &total), *v = df_malloc((total + 1) * sizeof *v);
    struct df_rng rng;
    double worst = 0;
    bool good = true;

    df_rng_init(&rng, 9, DF_RNG_TEST, 0);
    for (size_t j = 0; j < total; j++)
        v[j] = (df_real)df_rng_normal(&rng);
    for (size_t i = 0; i < parameter_inputs(bench) && good; i++) {
        const df_real *unused;
        df_real *device_value, *host_value;
        const size_t n = input_at(bench, i, &unused, &device_value, &host_value);
        double slope = 0;

        for (size_t j = at; j < at + n; j++)
            slope += (double)grad[j] * (double)v[j];
        double difference = 0;

        good = !n || slope_is_right(bench, i, v + at, loss, slope, &difference);
        at += n;
        seen += slope != 0;
        worst = slope != 0 ? fmax(worst, fabs(difference - slope) / fabs(slope)) : worst;
        if (!good)
            SAY("gradient: derivative %.9g along a direction of input %zu, central difference %.9g", slope, i, difference);
    }
    free(grad);
    free(v);
    if (good)
        SAY("gradient: %zu tensor%s, worst relative error %.1e", seen, seen == 1 ? "" : "s", worst);
    if (good && !seen && bench->needs) {
        SAY("gradient: nothing of the student gets a gradient");
        return false;
    }
    return good;
}

static bool all_zero(const df_real *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!(values[i] == 0))
            return false;
    }
    return true;
}

static bool check_teacher(struct bench *bench, char *text)
{
    bool good = true;

    evaluate(bench, true);
    for (size_t i = 0; i < bench->teacher.count && good; i++) {
        const struct input *input = &bench->teacher.input[i];
        const size_t n = df_count(input->shape);
        df_real *grad = df_calloc(n, sizeof *grad);

        if (input->leaf->grad)
            df_read(bench->device, grad, input->leaf->grad, n * sizeof *grad);
        good = all_zero(grad, n);
        free(grad);
    }
    SAY("teacher: %s", good ? "gets no gradient" : "gets a gradient (detach it)");
    return good;
}

static bool check_terms(struct bench *bench, char *text)
{
    const double loss = evaluate(bench, false);
    double sum = 0;

    for (size_t i = 0; i < bench->terms.count; i++)
        sum += bench->terms.term[i].weight * df_item(bench->tape, bench->terms.term[i].value);
    const bool good = fabs(sum - loss) <= (is_double ? 1e-12 : 1e-5) * (fabs(loss) + 1);

    if (good)
        SAY("terms: %zu, their weighted sum is the loss, %.6g", bench->terms.count, loss);
    else
        SAY("terms: weighted sum %.9g, expected the loss, %.9g", sum, loss);
    return good;
}

static bool check_repeat(struct bench *bench, char *text)
{
    size_t n;
    const double first = evaluate(bench, true);
    df_real *a = gradients(bench, &n), *b;
    const double second = evaluate(bench, true);

    b = gradients(bench, &n);
    const bool good = memcmp(&first, &second, sizeof first) == 0 && memcmp(a, b, n * sizeof *a) == 0;

    free(a);
    free(b);
    SAY("repeat: %s", good ? "the same bits" : "the same step gives other bits (use the context's seed and step)");
    return good;
}

static bool check_empty(struct bench *bench, char *text)
{
    double loss;
    size_t n;
    bool good;

    ground_truth_set(bench, false);
    loss = evaluate(bench, true);
    ground_truth_set(bench, true);
    df_real *grad = gradients(bench, &n);
    good = isfinite(loss);
    for (size_t i = 0; i < n; i++)
        good = good && isfinite((double)grad[i]);
    free(grad);
    SAY("empty ground truth: %s (loss %.6g)", good ? "finite" : "not finite", loss);
    return good;
}

/* All options w, w_*: 0 gives the loss 0 and nothing to the student, exactly. */
static bool check_weight_zero(struct bench *bench, char *text)
{
    const size_t bytes = bench->class->options_size;
    char *options = df_malloc(bytes), *kept = bench->options;
    size_t weights = 0, n;

    memcpy(options, kept, bytes);
    for (const df_option *row = bench->class->options; row->name; row++) {
        if (row->type == DF_OPTION_REAL && (!strcmp(row->name, "w") || !strncmp(row->name, "w_", 2))) {
            memset(options + row->offset, 0, sizeof(double));
            weights++;
        }
    }
    bench->options = options;
    const double loss = evaluate(bench, true);
    df_real *grad = gradients(bench, &n);
    const bool good = loss == 0 && all_zero(grad, n);

    bench->options = kept;
    free(options);
    free(grad);
    if (!weights && bench->needs) {
        SAY("weight zero: it has no option w or w_*, so it cannot be turned off");
        return false;
    }
    SAY("weight zero: %s", good ? "loss and gradients are exactly 0" : "the loss or a gradient is not 0");
    return good;
}

typedef bool check_fn(struct bench *bench, char *text);
static check_fn *const checks[] = { check_terms, check_gradient, check_weight_zero, check_teacher, check_empty, check_repeat };
enum { CHECKS = sizeof checks / sizeof *checks };

/* ---- the contract ---- */

static bool name_is_plain(const char *name)
{
    if (!name || !islower((unsigned char)*name))
        return false;
    for (; *name; name++) {
        if (!islower((unsigned char)*name) && !isdigit((unsigned char)*name) && *name != '_')
            return false;
    }
    return true;
}

const char *df_distiller_fault(const struct df_distiller_class *class)
{
    if (class->abi != DF_DISTILLER_ABI)
        return "abi is not DF_DISTILLER_ABI";
    if (!name_is_plain(class->name))
        return "the name must be lower-case letters, digits and '_'";
    if (!class->summary || !class->cite || !class->loss || !class->options || !class->options_size)
        return "summary, cite, loss, options and options_size must be set";
    if (class->revision < 0)
        return "the revision must not be negative";
    for (const df_option *row = class->options; row->name; row++) {
        if (!name_is_plain(row->name) || !row->help || !row->help[0])
            return "an option lacks a plain name or a help text";
        if (row->offset + df_option_bytes(row) > class->options_size)
            return "an option lies outside of options_size";
        if ((row->type == DF_OPTION_INT || row->type == DF_OPTION_REAL) && !(row->min <= row->standard && row->standard <= row->max))
            return "an option's default is outside of its range";
        if (!df_option_absent_is_legal(row))
            return "an option's 'absent' is none of its values";
        for (const df_option *other = class->options; other < row; other++) {
            if (!strcmp(other->name, row->name))
                return "two options have the same name";
        }
    }
    return NULL;
}

/* Defaults written as JSON and read back are the defaults. */
static df_status check_options(const struct df_distiller_class *class, void *options, struct df_error *err)
{
    char *back = df_calloc(1, class->options_size);
    cJSON *json, *again;
    df_status status;

    df_options_standard(class->options, options);
    json = df_options_write(class->options, options);
    status = df_options_read(class->options, json, NULL, class->name, back, err);
    if (status == DF_OK) {
        again = df_options_write(class->options, back);
        if (!cJSON_Compare(json, again, true))
            status = df_fail(err, DF_ERR_CHECK, "options written and read back are not the same");
        cJSON_Delete(again);
    }
    if (status == DF_OK && class->needs_of && (class->needs_of(options) & ~class->needs))
        status = df_fail(err, DF_ERR_CHECK, "needs_of has bits that needs has not");
    cJSON_Delete(json);
    free(back);
    return status;
}

/* ---- all of it ---- */

struct tally {
    struct df_text *report;
    size_t done, failed;
};

static void report(struct tally *tally, bool good, const char *variant, const char *text)
{
    tally->done++;
    tally->failed += !good;
    df_text_addf(tally->report, "%-4s %s%s%s\n", good ? "ok" : "FAIL", variant, variant[0] ? ": " : "", text);
}

/* All checks with these options on networks of one detector; each is reported for the defaults, else only what fails and one line. */
static void check_on(struct tally *tally, const struct df_distiller_class *class, const struct df_detector_class *detector,
                     struct df_device *device, void *options, const char *variant)
{
    struct df_error err = { 0 };
    struct bench bench;
    char text[TEXT] = "";
    size_t failed = 0;
    df_status status = bench_init(&bench, class, detector, device, options, false, &err);

    if (status != DF_OK) { /* no adaptation, perhaps */
        bench_release(&bench);
        status = bench_init(&bench, class, detector, device, options, true, &err);
    }
    if (status != DF_OK) {
        report(tally, false, variant, err.text);
        bench_release(&bench);
        return;
    }
    for (size_t i = 0; i < CHECKS; i++) {
        const bool good = checks[i](&bench, text);

        failed += !good;
        if (!good || !variant[0])
            report(tally, good, variant, text);
    }
    if (variant[0] && !failed)
        report(tally, true, variant, "all of these");
    bench_release(&bench);
}

/* On the detectors that have what these options need; a two-stage one only if it can make a difference. */
static void check_variant(struct tally *tally, const struct df_distiller_class *class, struct df_device *device, void *options,
                          const char *variant)
{
    const bool both = class->needs & (DF_NEEDS_ROI_HEAD | DF_NEEDS_CLASS_HEAD);
    struct df_error err = { 0 };
    unsigned needs;
    char name[200];

    snprintf(name, sizeof name, "two-stage%s%s", variant[0] ? " " : "", variant);
    if (!both || df_distiller_needs(class, options, &one_stage, &needs, &err) == DF_OK)
        check_on(tally, class, &one_stage, device, options, variant);
    if (both)
        check_on(tally, class, &two_stage, device, options, name);
}

/* Value k of a row as text: of a choice, a bool, or a list ("least", "least,most"); false: there are no more. */
static bool value_at(const df_option *row, size_t k, char *text, size_t bytes)
{
    const bool list = row->type == DF_OPTION_INT_LIST || row->type == DF_OPTION_REAL_LIST;
    const char *choices = row->type == DF_OPTION_BOOL ? "false|true" : row->type == DF_OPTION_CHOICE ? row->choices : "";

    if (list) {
        snprintf(text, bytes, k ? "%g,%g" : "%g", row->min, row->max);
        return k < 2 && row->min < row->max;
    }
    for (; k && choices; k--)
        choices = strchr(choices, '|') ? strchr(choices, '|') + 1 : NULL;
    snprintf(text, bytes, "%.*s", choices ? (int)strcspn(choices, "|") : 0, choices ? choices : "");
    return text[0];
}

static bool has_effect(const df_option *table, const df_option *row, const void *options)
{
    const char *const set[] = { row->name, NULL };

    return df_options_check(table, options, set, "", NULL) == DF_OK;
}

/* Sets at most `depth` other options so that row has an effect. */
static bool enable(const df_option *table, const df_option *row, size_t bytes, void *options, int depth)
{
    char *kept, value[64];
    bool enabled = has_effect(table, row, options);

    if (enabled || !depth)
        return enabled;
    kept = df_malloc(bytes);
    memcpy(kept, options, bytes);
    for (const df_option *other = table; other->name && !enabled; other++) {
        for (size_t k = 0; other != row && !enabled && value_at(other, k, value, sizeof value); k++) {
            memcpy(options, kept, bytes);
            if (has_effect(table, other, options) && df_options_set(table, other->name, value, "", options, NULL) == DF_OK)
                enabled = enable(table, row, bytes, options, depth - 1);
        }
    }
    if (!enabled)
        memcpy(options, kept, bytes);
    free(kept);
    return enabled;
}

/* Every other value of every choice, bool or list, one at a time, over the defaults and what it depends on. */
static void check_choices(struct tally *tally, const struct df_distiller_class *class, struct df_device *device, void *options)
{
    enum { MOST_CONDITIONS = 2 };
    const df_option *table = class->options;
    char name[64], variant[160];

    for (const df_option *row = table; row->name; row++) {
        const bool list = row->type == DF_OPTION_INT_LIST || row->type == DF_OPTION_REAL_LIST;

        for (size_t k = 0; value_at(row, k, name, sizeof name); k++) {
            if (!list && (double)k == row->standard)
                continue;
            df_options_standard(table, options);
            snprintf(variant, sizeof variant, "%s=%s", row->name, name);
            if (!enable(table, row, class->options_size, options, MOST_CONDITIONS))
                report(tally, false, variant, "no two other options give it an effect");
            else if (df_options_set(table, row->name, name, class->name, options, NULL) == DF_OK)
                check_variant(tally, class, device, options, variant);
        }
    }
}

df_status df_distiller_check(const struct df_distiller_class *class, struct df_device *device, struct df_text *out, struct df_error *err)
{
    const char *fault = df_distiller_fault(class);
    struct df_error reason = { 0 };
    struct tally tally = { .report = out };
    void *options;

    report(&tally, !fault, "", fault ? fault : "contract: name, texts, option table");
    if (fault)
        return df_fail(err, DF_ERR_CHECK, "distiller '%s': %s", class->name ? class->name : "", fault);
    options = df_calloc(1, class->options_size);
    const df_status status = check_options(class, options, &reason);

    report(&tally, status == DF_OK, "", status == DF_OK ? "options: read back as written" : reason.text);
    if (status == DF_OK) {
        check_variant(&tally, class, device, options, "");
        check_choices(&tally, class, device, options);
    }
    free(options);
    if (tally.failed)
        return df_fail(err, DF_ERR_CHECK, "distiller '%s': %zu of %zu checks failed", class->name, tally.failed, tally.done);
    return DF_OK;
}
