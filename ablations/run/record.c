/* Teacher records: layout, taking, giving back. */
#include "ablations/run/record.h"

#include <string.h>

static uint64_t place(struct df_record_layout *layout, bool wanted, uint64_t elements)
{
    const uint64_t at = layout->bytes;

    if (!wanted || !elements)
        return DF_NOT_RECORDED;
    layout->bytes += (elements * sizeof(df_real) + 63) / 64 * 64;
    return at;
}

static struct df_record_map map_of(struct df_record_layout *layout, bool wanted, size_t stride, const df_tensor *feature)
{
    struct df_record_map map = { .stride = stride, .offset = DF_NOT_RECORDED };

    if (!feature)
        return map;
    map.h = feature->shape.h;
    map.w = feature->shape.w;
    map.c = feature->shape.c;
    map.offset = place(layout, wanted, map.h * map.w * map.c);
    return map;
}

/* Of the dense head: a proposal network has one, whatever the detector has. */
static size_t dense_classes(const struct df_detection_state *state)
{
    return state->class_logits ? state->class_logits->shape.c : state->classes;
}

void df_record_layout_of(const struct df_detection_state *state, unsigned needs, struct df_record_layout *out)
{
    memset(out, 0, sizeof *out);
    out->needs = needs;
    out->canvas_h = state->canvas_h;
    out->canvas_w = state->canvas_w;
    out->classes = dense_classes(state);
    out->levels = state->levels;
    out->anchors = state->anchors;
    for (size_t k = 0; k < DF_STAGES; k++)
        out->stage[k] = map_of(out, needs & DF_NEEDS_BACKBONE, state->stage[k].stride, state->stage[k].feature);
    for (size_t l = 0; l < state->levels; l++)
        out->neck[l] = map_of(out, needs & DF_NEEDS_NECK, state->neck[l].stride, state->neck[l].feature);
    out->logits = place(out, needs & DF_NEEDS_DENSE_HEAD, state->anchors * out->classes);
    out->deltas = place(out, needs & DF_NEEDS_BOX_DELTAS, state->anchors * 4);
}

static bool same_map(const struct df_record_map *map, const df_tensor *feature)
{
    return feature ? feature->shape.h == map->h && feature->shape.w == map->w && feature->shape.c == map->c : map->c == 0;
}

static void take(struct df_device *device, const df_tensor *from, uint64_t offset, enum df_record_place place, void *record)
{
    if (offset == DF_NOT_RECORDED)
        return;
    (place == DF_RECORD_ON_HOST ? df_read : df_copy)(device, (char *)record + offset, from->data, df_count(from->shape) * sizeof(df_real));
}

bool df_record_take(const struct df_record_layout *layout, const struct df_detection_state *state, struct df_device *device,
                    enum df_record_place place, void *record)
{
    DF_ASSERT(state->batch == 1);
    if (state->levels != layout->levels || state->anchors != layout->anchors || dense_classes(state) != layout->classes)
        return false;
    for (size_t k = 0; k < DF_STAGES; k++)
        if (!same_map(&layout->stage[k], state->stage[k].feature))
            return false;
    for (size_t l = 0; l < layout->levels; l++)
        if (!same_map(&layout->neck[l], state->neck[l].feature))
            return false;
    if (place == DF_RECORD_ON_HOST)
        memset(record, 0, layout->bytes); /* the padding too: the checksum covers it */
    for (size_t k = 0; k < DF_STAGES; k++)
        take(device, state->stage[k].feature, layout->stage[k].offset, place, record);
    for (size_t l = 0; l < layout->levels; l++)
        take(device, state->neck[l].feature, layout->neck[l].offset, place, record);
    take(device, state->class_logits, layout->logits, place, record);
    take(device, state->box_deltas, layout->deltas, place, record);
    return true;
}

struct records {
    enum df_record_place place;
    const void *const *record;
};

/* [N,h,w,c] on the tape out of N records; NULL where it is not wanted or was not recorded. */
static df_tensor *give(df_tape *tape, bool wanted, df_shape shape, struct records from, uint64_t offset)
{
    if (!wanted || offset == DF_NOT_RECORDED)
        return NULL;

    df_tensor *tensor = df_tensor_new(tape, shape);
    const size_t each = shape.h * shape.w * shape.c;

    for (size_t i = 0; i < shape.n; i++)
        (from.place == DF_RECORD_ON_HOST ? df_write : df_copy)(df_tape_device(tape), tensor->data + i * each,
                                                               (const char *)from.record[i] + offset, each * sizeof(df_real));
    return tensor;
}

static df_tensor *give_map(df_tape *tape, bool wanted, size_t n, const struct df_record_map *map, struct records from)
{
    return give(tape, wanted, (df_shape){ n, map->h, map->w, map->c }, from, map->offset);
}

void df_record_state(const struct df_record_layout *layout, unsigned needs, enum df_record_place place, const void *const *record,
                     const struct df_detection_state *student, const double *neck_std, df_tape *tape, struct df_detection_state *out)
{
    const size_t n = student->batch;
    const struct records from = { place, record };

    memset(out, 0, sizeof *out);
    out->batch = n;
    out->canvas_h = student->canvas_h;
    out->canvas_w = student->canvas_w;
    out->classes = student->classes;
    out->images = student->images;
    for (size_t k = 0; k < DF_STAGES; k++) {
        out->stage[k].stride = layout->stage[k].stride;
        out->stage[k].feature = give_map(tape, needs & DF_NEEDS_BACKBONE, n, &layout->stage[k], from);
    }
    out->levels = layout->levels;
    for (size_t l = 0; l < layout->levels; l++) {
        out->neck[l].stride = layout->neck[l].stride;
        out->neck[l].feature = give_map(tape, needs & DF_NEEDS_NECK, n, &layout->neck[l], from);
        out->neck[l].feature_std = neck_std[l];
    }
    out->anchors = layout->anchors;
    out->anchor = student->anchor;
    memcpy(out->level_anchors, student->level_anchors, sizeof out->level_anchors);
    out->class_logits = give(tape, needs & DF_NEEDS_DENSE_HEAD, (df_shape){ n, 1, layout->anchors, layout->classes }, from, layout->logits);
    out->box_deltas = give(tape, needs & DF_NEEDS_BOX_DELTAS, (df_shape){ n, 1, layout->anchors, 4 }, from, layout->deltas);
}

static df_status neck_fits(const struct df_record_layout *teacher, const struct df_record_layout *student, struct df_error *err)
{
    if (teacher->levels != student->levels)
        return df_fail(err, DF_ERR_UNSUPPORTED,
                       "the teacher's neck has %d levels, the student's %d (expected the same) [align 'fpn_stages' and 'extra']",
                       (int)teacher->levels, (int)student->levels);
    for (size_t l = 0; l < teacher->levels; l++) {
        const struct df_record_map *t = &teacher->neck[l], *s = &student->neck[l];

        if (t->stride != s->stride || t->h != s->h || t->w != s->w)
            return df_fail(err, DF_ERR_UNSUPPORTED,
                           "neck level %zu: the teacher has %dx%d cells of stride %d, the student %dx%d of stride %d (expected the same)",
                           l, (int)t->h, (int)t->w, (int)t->stride, (int)s->h, (int)s->w, (int)s->stride);
    }
    return DF_OK;
}

static df_status backbone_fits(const struct df_record_layout *teacher, const struct df_record_layout *student, struct df_error *err)
{
    for (size_t k = 0; k < DF_STAGES; k++) {
        const struct df_record_map *t = &teacher->stage[k], *s = &student->stage[k];

        if (t->c && s->c && (t->h != s->h || t->w != s->w))
            return df_fail(err, DF_ERR_UNSUPPORTED,
                           "backbone stage %zu: the teacher has %dx%d cells, the student %dx%d (expected the same) [align 'stem']", k + 2,
                           (int)t->h, (int)t->w, (int)s->h, (int)s->w);
    }
    return DF_OK;
}

df_status df_record_fits(unsigned needs, const struct df_record_layout *teacher, const struct df_record_layout *student,
                         struct df_error *err)
{
    if (needs & DF_NEEDS_BACKBONE)
        DF_TRY(backbone_fits(teacher, student, err));
    if (needs & DF_NEEDS_NECK)
        DF_TRY(neck_fits(teacher, student, err));
    if (!(needs & (DF_NEEDS_DENSE_HEAD | DF_NEEDS_BOX_DELTAS)))
        return DF_OK;
    if (teacher->anchors != student->anchors || teacher->classes != student->classes)
        return df_fail(err, DF_ERR_UNSUPPORTED,
                       "the teacher's head has %d anchors of %d classes, the student's %d of %d (expected the same)", (int)teacher->anchors,
                       (int)teacher->classes, (int)student->anchors, (int)student->classes);
    return DF_OK;
}
