/* The synthetic networks, their batch, and one evaluation of a loss. */
#include "distillers/check/bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/geometry/box.h"
#include "core/nn/ops.h"

enum { BATCH = DF_BENCH_BATCH, HEIGHT = 48, WIDTH = 64, LEVELS = 3, CLASSES = 3, PER_CELL = 2, PROPOSALS = 6, MOST_OBJECTS = 2 };
enum {
    ROI_WEIGHTS = LEVELS + DF_STAGES + 4,
    HEAD_WEIGHTS,
    BOX_WEIGHTS,
    TOWERS,
    TOWER_BOX_WEIGHTS = TOWERS + 2 * LEVELS,
    STEM_WEIGHTS = TOWER_BOX_WEIGHTS + 2
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
static const size_t student_width = 5, teacher_width = 4, tower_width = 4; /* equal: no layer adapts towers */
static const float delta_weights[4] = { 2, 1.5F, 1, 0.75F };
static const double teacher_std[LEVELS] = { 1.5, 0.75, 1.25 };

static size_t neck_stride(size_t level) { return (size_t)8 << level; }
static df_shape map_shape(size_t stride, size_t channels)
{
    return (df_shape){ BATCH, (HEIGHT + stride - 1) / stride, (WIDTH + stride - 1) / stride, channels };
}

/* ---- the networks ---- */

static void add_input(struct df_bench_network *network, struct df_bench_input input, uint64_t seed, double scale)
{
    DF_ASSERT(network->count < DF_BENCH_INPUTS);
    input.value = df_malloc(df_count(input.shape) * sizeof *input.value);
    network->input[network->count++] = input;
    for (size_t i = 0; i < df_count(input.shape); i++) {
        struct df_rng rng;

        df_rng_init(&rng, seed + network->count, DF_RNG_TEST, i);
        input.value[i] = (df_real)(scale * df_rng_normal(&rng));
    }
}

static void add_map(struct df_bench_network *network, const char *kind, size_t level, size_t stride, size_t channels, uint64_t seed)
{
    add_input(network, (struct df_bench_input){ .kind = kind, .level = level, .stride = stride, .shape = map_shape(stride, channels) },
              seed, 1);
}

static void add_rows(struct df_bench_network *network, const char *kind, df_shape shape, uint64_t seed, double scale)
{
    add_input(network, (struct df_bench_input){ .kind = kind, .level = DF_NO_LEVEL, .shape = shape }, seed, scale);
}

static void network_init(struct df_bench_network *network, size_t anchors, size_t width, const size_t stages[DF_STAGES], uint64_t seed)
{
    for (size_t l = 0; l < LEVELS; l++)
        add_map(network, "neck", l, neck_stride(l), width, seed);
    for (size_t k = 0; k < DF_STAGES; k++)
        add_map(network, "backbone", k + 2, (size_t)4 << k, stages[k], seed);
    add_rows(network, "logits", (df_shape){ BATCH, 1, anchors, CLASSES }, seed, 2);
    add_rows(network, "deltas", (df_shape){ BATCH, 1, anchors, 4 }, seed, 0.5);
    add_rows(network, "roi/logits", (df_shape){ PROPOSALS, 1, 1, CLASSES + 1 }, seed, 2);
    add_rows(network, "roi/deltas", (df_shape){ PROPOSALS, 1, 1, 4 * (CLASSES + 1) }, seed, 0.5);
    add_rows(network, NULL, (df_shape){ CLASSES + 1, 1, 1, width }, seed, 1);
    add_rows(network, NULL, (df_shape){ PER_CELL * CLASSES, 1, 1, width }, seed, 1);
    add_rows(network, NULL, (df_shape){ 4 * (CLASSES + 1), 1, 1, width }, seed, 0.5);
    for (size_t l = 0; l < LEVELS; l++)
        add_map(network, "class_tower", l, neck_stride(l), tower_width, seed);
    for (size_t l = 0; l < LEVELS; l++)
        add_map(network, "box_tower", l, neck_stride(l), tower_width, seed);
    add_rows(network, NULL, (df_shape){ PER_CELL * 4, 1, 1, tower_width }, seed, 0.3);
    add_rows(network, "object/logits", (df_shape){ BATCH, 1, MOST_OBJECTS, CLASSES }, seed, 2);
    add_rows(network, NULL, (df_shape){ 2, 3, 3, 3 }, seed, 0.5);
}

/* What init is told of it. */
static void describe(const struct df_bench_network *network, struct df_parts *out)
{
    for (size_t i = 0; i < network->count; i++) {
        const struct df_bench_input *input = &network->input[i];
        df_tensor shape = { .shape = input->shape };

        if (!input->kind)
            continue;
        struct df_part *part = df_parts_set(out, input->kind, input->level, input->stride, &shape);

        part->tensor = NULL;
        part->std = i < LEVELS ? teacher_std[i] : 0;
    }
}

static struct df_rois rois_of(df_tape *tape, const struct df_box *box)
{
    return (struct df_rois){ PROPOSALS, df_tape_device_copy(tape, box, sizeof proposals),
                             df_tape_device_copy(tape, proposal_image, sizeof proposal_image), NULL };
}

/* The class of the object that a box overlaps by at least 0.4, -1 background, -2 padding; boxes to learn, some of them far off. */
static void label_rows(df_tape *tape, struct df_detection_state *state)
{
    struct df_box box[PROPOSALS];
    df_real *label = df_tape_host(tape, PROPOSALS * sizeof *label), *target = df_tape_host(tape, PROPOSALS * 4 * sizeof *target);

    df_read(df_tape_device(tape), box, state->rois.box, sizeof box);
    for (size_t r = 0; r < PROPOSALS; r++) {
        const struct df_ground_truth *truth = &state->images->truth[proposal_image[r]];

        label[r] = df_box_area(box[r]) > 0 ? -1 : -2;
        for (size_t g = 0; g < truth->count; g++) {
            if (df_box_iou(truth->boxes[g], box[r]) >= 0.4F)
                label[r] = (df_real)truth->labels[g];
        }
    }
    for (size_t i = 0; i < PROPOSALS * 4; i++)
        target[i] = (df_real)(0.25 * (double)(i % 7) - 0.5);
    df_parts_set_host(&state->parts, tape, "roi/label", (df_shape){ PROPOSALS, 1, 1, 1 }, label);
    df_parts_set_host(&state->parts, tape, "roi/target", (df_shape){ PROPOSALS, 1, 1, 4 }, target);
}

static df_tensor *weights_of(const struct df_bench_network *network, df_tape *tape, size_t i)
{
    df_tensor *leaf = network->input[i].leaf;

    return network->frozen ? df_detach(tape, leaf) : leaf;
}

/* One matrix over every cell of all maps of a kind: [N,1,A,columns] */
static df_tensor *dense_rows(const struct df_bench_network *network, df_tape *tape, const struct df_detection_state *state,
                             const char *kind, size_t weights, size_t columns)
{
    const struct df_conv_options conv = { .stride_h = 1, .stride_w = 1 };
    df_tensor *level[LEVELS];

    for (size_t l = 0; l < LEVELS; l++) {
        df_tensor *y = df_conv2d(tape, df_part(state, kind, l)->tensor, weights_of(network, tape, weights), NULL, conv);

        level[l] = df_reshape(tape, y, (df_shape){ BATCH, 1, y->shape.h * y->shape.w * PER_CELL, columns });
    }
    return df_concat(tape, level, LEVELS, 2);
}

/* From the towers on: a matrix of each branch. That of the classes is as wide as the teacher's neck, whose head alone is finished. */
static void finish_head(struct df_detector *base, df_tape *tape, const struct df_detection_state *features, struct df_detection_state *out)
{
    const struct df_bench_network *network = (const struct df_bench_network *)base;

    *out = *features;
    df_parts_set(&out->parts, "logits", DF_NO_LEVEL, 0, dense_rows(network, tape, features, "class_tower", HEAD_WEIGHTS, CLASSES));
    df_parts_set(&out->parts, "deltas", DF_NO_LEVEL, 0, dense_rows(network, tape, features, "box_tower", TOWER_BOX_WEIGHTS, 4));
}

/* A classifier whose crops are 6 x 6 and whose first layer is two filters. */
static void look_at(struct df_detector *base, df_tape *tape, const struct df_crops *crops, struct df_seen *out)
{
    enum { SIDE = 6 };
    const struct df_bench_network *network = (const struct df_bench_network *)base;
    df_real row[SIDE * SIDE * 2][4] = { { 0 } }, one[SIDE * SIDE * 2];
    const df_shape rows = { SIDE * SIDE * 2, 1, 1, 4 };

    for (size_t k = 0; k < rows.n; k++) {
        const double share = ((double)(k % 2 ? k / 2 / SIDE : k / 2 % SIDE) + 0.5) / SIDE, unit = 2.0 / (k % 2 ? HEIGHT : WIDTH);

        row[k][k % 2] = (df_real)((1 - share) * unit);
        row[k][2 + k % 2] = (df_real)(share * unit);
        one[k] = 1;
    }
    df_tensor *grid = df_linear(tape, crops->boxes, df_tensor_from(tape, rows, row[0]), NULL);

    grid = df_sub(tape, grid, df_tensor_from(tape, (df_shape){ 1, 1, 1, rows.n }, one));
    grid = df_reshape(tape, grid, (df_shape){ crops->boxes->shape.n, SIDE, SIDE, 2 });
    out->crop = df_grid_sample(tape, crops->pixels, grid, crops->image, (struct df_grid_options){ .border = false });
    out->stem = df_conv2d(tape, out->crop, weights_of(network, tape, STEM_WEIGHTS), NULL,
                          (struct df_conv_options){ .stride_h = 2, .stride_w = 2, .pad_h = 1, .pad_w = 1, .relu = true });
}

/* One matrix over what is pooled from the finest level. */
static void run_head(struct df_detector *base, df_tape *tape, const struct df_detection_state *features, const struct df_rois *on,
                     struct df_detection_state *out)
{
    static const int32_t level[PROPOSALS] = { 0 };
    const struct df_bench_network *network = (const struct df_bench_network *)base;
    const struct df_roi_options options = { .size = 1, .sampling = 2 };
    const struct df_part *neck = df_part(features, "neck", 0);
    const double scale = 1 / (double)neck->stride;
    df_tensor *finest = neck->tensor;

    *out = *features;
    if (!on) {
        df_parts_set(&out->parts, "logits", DF_NO_LEVEL, 0, dense_rows(network, tape, out, "neck", HEAD_WEIGHTS, CLASSES));
        return;
    }
    DF_ASSERT(!on->count || on->count == PROPOSALS);
    out->rois = on->count ? *on : rois_of(tape, teacher_proposals);
    label_rows(tape, out);

    struct df_rois pooled = out->rois;

    pooled.level = df_tape_device_copy(tape, level, sizeof level);
    finest = df_roi_align_there(tape, &finest, &scale, 1, &pooled, options);
    df_parts_set(&out->parts, "roi/logits", DF_NO_LEVEL, 0, df_linear(tape, finest, weights_of(network, tape, ROI_WEIGHTS), NULL));
    df_parts_set(&out->parts, "roi/deltas", DF_NO_LEVEL, 0, df_linear(tape, finest, weights_of(network, tape, BOX_WEIGHTS), NULL));
}

const struct df_detector_class df_bench_one_stage = { .abi = DF_DETECTOR_ABI,
                                                      .name = "one-stage",
                                                      .offers = "backbone/* neck/* logits deltas class_tower/* box_tower/* object/logits",
                                                      .on_request = "",
                                                      .class_logits = "logits",
                                                      .run_head = run_head,
                                                      .finish_head = finish_head,
                                                      .look_at = look_at };
const struct df_detector_class df_bench_two_stage = { .abi = DF_DETECTOR_ABI,
                                                      .name = "two-stage",
                                                      .offers = "backbone/* neck/* logits deltas object/logits",
                                                      .on_request = "roi/logits roi/deltas",
                                                      .class_logits = "roi/logits",
                                                      .run_head = run_head,
                                                      .look_at = look_at };

/* Fresh leaves on the tape; the teacher's ask for gradients too, to see that none arrive. */
static void show(const struct df_bench *bench, struct df_bench_network *network, const struct df_needs *shown,
                 struct df_detection_state *state)
{
    *state = (struct df_detection_state){ .batch = BATCH,
                                          .canvas_h = HEIGHT,
                                          .canvas_w = WIDTH,
                                          .classes = CLASSES,
                                          .images = &bench->batch,
                                          .levels = LEVELS,
                                          .anchors = bench->anchors,
                                          .anchor = bench->anchor };
    for (size_t i = 0; i < network->count; i++) {
        struct df_bench_input *input = &network->input[i];

        input->leaf = df_leaf(bench->tape, input->shape, input->value);
        if (!input->kind)
            continue;
        df_parts_set(&state->parts, input->kind, input->level, input->stride, input->leaf)->std = i < LEVELS ? teacher_std[i] : 0;
        if (!df_needs_has(shown, state->parts.part[state->parts.count - 1].name))
            state->parts.count--;
    }
    for (size_t l = 0; l < LEVELS; l++)
        state->level_anchors[l] = network->input[l].shape.h * network->input[l].shape.w * PER_CELL;
}

static void show_student(struct df_bench *bench, struct df_detection_state *state)
{
    const df_shape rows = { BATCH, 1, bench->anchors, 1 }, boxes_shape = { BATCH, 1, bench->anchors, 4 };
    struct df_needs all = { 0 };

    df_needs_add(&all, bench->detector->offers);
    df_needs_add(&all, bench->detector->on_request);
    show(bench, &bench->student, &all, state);
    state->detector = &bench->student.base;
    df_parts_set_host(&state->parts, bench->tape, "label", rows, bench->label);
    df_parts_set_host(&state->parts, bench->tape, "matched", rows, bench->matched);
    df_parts_set_host(&state->parts, bench->tape, "target", boxes_shape, bench->target);
    if (!df_parts_find(&state->parts, "roi/logits"))
        return;
    state->rois = rois_of(bench->tape, proposals);
    label_rows(bench->tape, state);
}

/* Parts on request come of the head, over the neck; what is no part is the network itself. */
static void show_teacher(struct df_bench *bench, struct df_detection_state *state)
{
    struct df_needs given = { 0 };
    bool asked = false;

    for (size_t i = 0; i < bench->needs.count; i++) {
        const char *name = bench->needs.name[i];
        const bool on_request = df_names_cover(bench->detector->on_request, name);

        df_needs_add(&given, on_request ? "neck/*" : name);
        asked = asked || on_request || strcmp(name, DF_NEEDS_HEAD) == 0 || strcmp(name, DF_OBJECT_NETWORK) == 0;
    }
    show(bench, &bench->teacher, &given, state);
    state->detector = asked ? &bench->teacher.base : NULL;
}

void df_bench_objects(struct df_bench *bench, bool objects)
{
    bench->truth[0] = (struct df_ground_truth){ objects ? 2 : 0, boxes, box_labels };
    bench->truth[1] = (struct df_ground_truth){ objects ? 1 : 0, boxes + 2, box_labels + 2 };
    for (size_t i = 0; i < BATCH * bench->anchors; i++) {
        const struct df_ground_truth *truth = &bench->truth[i / bench->anchors];

        bench->label[i] = objects && i % 11 == 4 ? (df_real)(i % CLASSES) : objects && i % 13 == 5 ? -2 : -1;
        bench->matched[i] = bench->label[i] >= 0 ? (df_real)(i % truth->count) : bench->label[i];
    }
}

static void batch_init(struct df_bench *bench)
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
    bench->pixels = df_malloc((size_t)BATCH * HEIGHT * WIDTH * 3 * sizeof *bench->pixels);
    for (size_t i = 0; i < (size_t)BATCH * HEIGHT * WIDTH * 3; i++) /* slanted stripes, of another width in every channel */
        bench->pixels[i] = (df_real)((i / 3 % WIDTH + 2 * (i / 3 / WIDTH)) % (11 + 4 * (i % 3))) / 4 - 1;
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
    df_bench_objects(bench, true);
}

void df_bench_release(struct df_bench *bench)
{
    for (size_t i = 0; i < bench->student.count; i++)
        free(bench->student.input[i].value);
    for (size_t i = 0; i < bench->teacher.count; i++)
        free(bench->teacher.input[i].value);
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
    *bench = (struct df_bench){ .class = bench->class,
                                .detector = bench->detector,
                                .device = bench->device,
                                .options = bench->options,
                                .same_width = bench->same_width };
}

/* Adaptation weights are made large enough to be seen by a gradient check, whatever they start from. */
static void parameters_fill(struct df_bench *bench)
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

static df_status init_class(struct df_bench *bench, struct df_error *err)
{
    struct df_parts student = { 0 }, teacher = { 0 };
    struct df_distiller_setup setup = { .options = bench->options,
                                        .state = bench->state,
                                        .parameters = bench->parameters,
                                        .prefix = "distiller.0.",
                                        .levels = LEVELS,
                                        .student = &student,
                                        .teacher = &teacher,
                                        .detector = bench->detector };

    describe(&bench->student, &student);
    describe(&bench->teacher, &teacher);
    return bench->class->init ? bench->class->init(&setup, err) : DF_OK;
}

df_status df_bench_init(struct df_bench *bench, struct df_error *err)
{
    const struct df_detector_class *detector = bench->detector;
    const size_t *stages = bench->same_width ? teacher_stages : student_stages;
    const size_t width = bench->same_width ? teacher_width : student_width, state_size = bench->class->state_size;

    bench->student.base = bench->teacher.base = (struct df_detector){ .class = detector, .classes = CLASSES };
    memcpy(bench->student.base.delta_weights, delta_weights, sizeof delta_weights);
    memcpy(bench->teacher.base.delta_weights, delta_weights, sizeof delta_weights);
    memcpy(bench->student.base.roi_delta_weights, delta_weights, sizeof delta_weights);
    bench->teacher.frozen = true;
    DF_TRY(df_distiller_needs(bench->class, bench->options, detector, detector, &bench->needs, err));
    bench->state = df_calloc(1, state_size + 1);
    bench->state_after_init = df_malloc(state_size + 1);
    bench->parameters = df_parameters_new();
    df_parameters_add(bench->parameters, "student.weight", DF_VECTOR, (df_shape){ 1, 1, 1, 3 }, (struct df_initialiser){ DF_INIT_ONE, 0 },
                      DF_RNG_INIT);
    batch_init(bench);
    network_init(&bench->student, bench->anchors, width, stages, 100);
    network_init(&bench->teacher, bench->anchors, teacher_width, teacher_stages, 200);
    DF_TRY(init_class(bench, err));
    df_parameters_build(bench->parameters, bench->device, 1, true);
    parameters_fill(bench);
    memcpy(bench->state_after_init, bench->state, state_size);
    bench->tape = df_tape_new(bench->device, true);
    return DF_OK;
}

double df_bench_evaluate(struct df_bench *bench, bool backward)
{
    struct df_detection_state student, teacher;
    const struct df_distill_context context = { .tape = bench->tape,
                                                .options = bench->options,
                                                .state = bench->state,
                                                .step = 600, /* beyond warm-ups */
                                                .steps = 2000,
                                                .epoch = 1,
                                                .epochs = 4,
                                                .progress = 0.3,
                                                .seed = 5,
                                                .terms = &bench->terms };

    memcpy(bench->state, bench->state_after_init, bench->class->state_size);
    bench->terms.count = 0;
    df_tape_reset(bench->tape);
    df_parameters_zero_grad(bench->parameters);
    show_student(bench, &student);
    show_teacher(bench, &teacher);

    df_tensor *loss = bench->class->loss(&context, &student, &teacher);

    bench->wrong.status = DF_OK;
    if (df_distiller_result(bench->class, loss, &bench->terms, 0, &bench->wrong) != DF_OK)
        return NAN;
    if (loss && backward && loss->requires_grad)
        df_backward(bench->tape, loss);
    return loss ? df_item(bench->tape, loss) : 0;
}
