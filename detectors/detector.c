/* What all detectors share: looking into a state, the list of logged terms, finding a class by name, forward on a batch, the end. */
#include "detectors/detector.h"

#include <stdio.h>
#include <string.h>

const struct df_part *df_part(const struct df_detection_state *state, const char *kind, size_t level)
{
    const struct df_part *part = df_parts_at(&state->parts, kind, level);

    DF_ASSERT(part);
    return part;
}

df_tensor *df_part_tensor(const struct df_detection_state *state, const char *name) { return df_part(state, name, DF_NO_LEVEL)->tensor; }

struct df_cells df_valid_cells(const struct df_batch *images, size_t n, size_t stride)
{
    return (struct df_cells){ (images->valid_h[n] + stride - 1) / stride, (images->valid_w[n] + stride - 1) / stride };
}

void df_loss_terms_add(struct df_loss_terms *terms, const char *name, const df_tensor *value, double weight)
{
    if (!terms)
        return;
    DF_ASSERT(terms->count < DF_LOSS_TERMS);
    snprintf(terms->term[terms->count].name, sizeof terms->term->name, "%s", name);
    terms->term[terms->count].value = value;
    terms->term[terms->count++].weight = weight;
}

static const char *class_name(const void *table, size_t i)
{
    (void)table;
    return df_detector_classes[i] ? df_detector_classes[i]->name : NULL;
}

const struct df_detector_class *df_detector_class_find(const char *name, struct df_error *err)
{
    const size_t i = df_find_name(class_name, NULL, name, "detector", NULL, err);

    return i == SIZE_MAX ? NULL : df_detector_classes[i];
}

void df_detector_body(struct df_detector *detector, df_tape *tape, const struct df_batch *images, df_tensor *pixels, unsigned what,
                      struct df_detection_state *state)
{
    struct df_network *network = detector->network;
    df_tensor *stage[DF_STAGES], *level[DF_LEVELS];

    *state = (struct df_detection_state){ .batch = images->n,
                                          .canvas_h = images->height,
                                          .canvas_w = images->width,
                                          .classes = detector->classes,
                                          .images = images,
                                          .levels = df_network_levels(network),
                                          .detector = detector };
    df_network_forward(network, tape, pixels, what & DF_TRAINING, stage, level);
    for (size_t k = 0; k < DF_STAGES; k++)
        if (stage[k])
            df_parts_set(&state->parts, "backbone", k + 2, (size_t)4 << k, stage[k]);
    for (size_t l = 0; l < state->levels; l++)
        df_parts_set(&state->parts, "neck", l, df_network_stride(network, l), level[l]);
}

df_tensor *df_detector_pixels(df_tape *tape, const struct df_batch *images)
{
    const struct df_packed_images packed = { images->n, images->height, images->width, images->image, images->bytes, images->normal };

    if (!images->pixels)
        return df_canvas(tape, &packed);
    return df_tensor_from(tape, (df_shape){ images->n, images->height, images->width, 3 }, images->pixels);
}

void df_detector_forward(struct df_detector *detector, df_tape *tape, const struct df_batch *images, unsigned what,
                         struct df_detection_state *state)
{
    df_tensor *pixels = df_detector_pixels(tape, images);

    if (what & DF_BODY)
        df_detector_body(detector, tape, images, pixels, what, state);
    else
        detector->class->forward(detector, tape, images, pixels, what, state);
}

unsigned df_detector_pass_for(const struct df_detector *detector, const struct df_needs *needs)
{
    bool body = detector->network;

    for (size_t i = 0; body && i < needs->count; i++)
        body = strncmp(needs->name[i], "backbone/", 9) == 0 || strncmp(needs->name[i], "neck/", 5) == 0;
    return body ? DF_BODY : DF_FIRST_STAGE;
}

bool df_teachers_alone(const char *name) { return strcmp(name, DF_OBJECT_LOGITS) == 0 || strcmp(name, DF_OBJECT_NETWORK) == 0; }

void df_detector_show(struct df_detector *detector, const struct df_needs *needs)
{
    detector->towers = df_needs_has(needs, "class_tower/*") || df_needs_has(needs, "box_tower/*");
}

void df_detector_free(struct df_detector *detector)
{
    if (detector)
        detector->class->destroy(detector);
}
