/* MultiScaleRoIAlign, TwoMLPHead and FastRCNNPredictor of torchvision: definitions, initial weights, names ("roi_heads.box_head.fc6.weight").
 * Its level rule, floor(k0 + log2(sqrt(area) / s0) + 1e-6) clamped to the levels there are, is evaluated without logarithms. */
#include "detectors/box_head.h"

#include <math.h>
#include <stdio.h>

enum { FC6, FC7, CLASSES, BOXES };

static void add_linear(struct df_box_head *head, struct df_parameters *parameters, int part, const char *name, df_shape weight)
{
    const enum df_parameter_kind kind = weight.h * weight.w > 1 ? DF_FLAT_WEIGHT : DF_LINEAR_WEIGHT;
    const struct df_initialiser init = { DF_INIT_UNIFORM, 1 / sqrt((double)(df_count(weight) / weight.n)) }; /* torch.nn.Linear */
    char full[96];

    snprintf(full, sizeof full, "roi_heads.%s.weight", name);
    head->weight[part] = df_parameters_add(parameters, full, kind, weight, init, DF_RNG_INIT);
    snprintf(full, sizeof full, "roi_heads.%s.bias", name);
    head->bias[part] = df_parameters_add(parameters, full, DF_VECTOR, (df_shape){ 1, 1, 1, weight.n }, init, DF_RNG_INIT);
}

void df_box_head_init(struct df_box_head *head, const struct df_box_head_options *options, struct df_parameters *parameters,
                      struct df_box_head_sizes sizes)
{
    const size_t size = (size_t)options->size, width = sizes.width, classes = sizes.classes;

    *head = (struct df_box_head){ .options = *options, .levels = sizes.levels, .channels = sizes.channels };
    add_linear(head, parameters, FC6, "box_head.fc6", (df_shape){ width, size, size, sizes.channels });
    add_linear(head, parameters, FC7, "box_head.fc7", (df_shape){ width, 1, 1, width });
    add_linear(head, parameters, CLASSES, "box_predictor.cls_score", (df_shape){ classes + 1, 1, 1, width });
    add_linear(head, parameters, BOXES, "box_predictor.bbox_pred", (df_shape){ 4 * (classes + 1), 1, 1, width });
}

void df_box_head_freeze(struct df_box_head *head)
{
    for (size_t i = 0; i < 4; i++)
        head->weight[i]->trainable = head->bias[i]->trainable = false;
}

/* [count] on the device: the map that each box is pooled from. */
static const int32_t *levels_of(const struct df_box_head *head, df_tape *tape, const struct df_detection_state *features,
                                const struct df_rois *rois)
{
    const double slack = 1 - 6.931471803e-7; /* 2^-1e-6 */
    struct df_roi_level_args args = { .box = rois->box,
                                      .levels = head->levels,
                                      .canonical = (float)head->options.canonical_size,
                                      .level = df_tape_device_memory(tape, rois->count * sizeof *args.level) };

    for (size_t l = 0; l + 1 < head->levels; l++)
        args.least[l] = slack * ldexp((double)df_part(features, "neck", l + 1)->stride, -(int)head->options.canonical_level);
    df_launch(df_tape_device(tape), DF_K_ROI_LEVEL, rois->count, &args);
    return args.level;
}

static df_tensor *linear(const struct df_box_head *head, df_tape *tape, int part, df_tensor *x)
{
    return df_linear(tape, x, df_parameter_tensor(tape, head->weight[part]), df_parameter_tensor(tape, head->bias[part]));
}

void df_box_head_forward(const struct df_box_head *head, df_tape *tape, const struct df_detection_state *features,
                         struct df_detection_state *state)
{
    const struct df_roi_options options = { (size_t)head->options.size, (size_t)head->options.sampling, head->options.aligned };
    struct df_rois rois = state->rois;
    df_tensor *feature[DF_LEVELS], *x;
    double scale[DF_LEVELS];

    /* A level's scale is 1 / stride, which its map was made with. torchvision guesses it, 2^round(log2(map / largest image)), and guesses wrong for small
     * or much padded images: 1/4, 1/8, 1/8, 1/16 for one of 33 x 65 px. */
    DF_ASSERT(features->levels >= head->levels);
    for (size_t l = 0; l < head->levels; l++) {
        const struct df_part *map = df_part(features, "neck", l);

        feature[l] = map->tensor;
        scale[l] = 1 / (double)map->stride;
        DF_ASSERT(feature[l] && feature[l]->shape.c == head->channels);
    }
    rois.level = levels_of(head, tape, features, &rois);
    x = df_roi_align_there(tape, feature, scale, head->levels, &rois, options);
    x = df_relu(tape, linear(head, tape, FC6, x));
    x = df_relu(tape, linear(head, tape, FC7, x));
    df_parts_set(&state->parts, "roi/logits", DF_NO_LEVEL, 0, linear(head, tape, CLASSES, x));
    df_parts_set(&state->parts, "roi/deltas", DF_NO_LEVEL, 0, linear(head, tape, BOXES, x));
}
