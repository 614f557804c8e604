/* Teacher records: layout, taking, giving back. */
#include "ablations/run/record.h"

#include <string.h>

static uint64_t whole(uint64_t bytes) { return (bytes + 63) / 64 * 64; }

static size_t head_bytes(const struct df_record_layout *layout)
{
    return offsetof(struct df_record_layout, part) + layout->parts * sizeof *layout->part;
}

bool df_record_legal(const void *record, uint64_t bytes)
{
    const struct df_record_layout *layout = record;

    if (bytes < offsetof(struct df_record_layout, part) || layout->bytes != bytes || layout->parts > DF_PARTS || head_bytes(layout) > bytes)
        return false;
    for (size_t i = 0; i < layout->parts; i++) {
        const struct df_record_part *part = &layout->part[i];
        const uint64_t numbers = bytes / sizeof(df_real);

        if (!memchr(part->name, 0, sizeof part->name) || part->h > numbers || part->w > numbers || part->c > numbers || part->offset % 64 ||
            part->offset > bytes || (part->h && part->w > numbers / part->h) ||
            (part->h > 0 && part->w > 0 && part->c > (bytes - part->offset) / sizeof(df_real) / (part->h * part->w)))
            return false;
    }
    return true;
}

void df_record_layout_of(const struct df_detection_state *state, const struct df_needs *needs, struct df_record_layout *out)
{
    memset(out, 0, sizeof *out);
    out->canvas_h = state->canvas_h;
    out->canvas_w = state->canvas_w;
    for (size_t i = 0; i < state->parts.count; i++) {
        const struct df_part *part = &state->parts.part[i];
        struct df_record_part *to = &out->part[out->parts];

        if (!df_needs_has(needs, part->name))
            continue;
        *to = (struct df_record_part){
            .level = part->level, .stride = part->stride, .h = part->shape.h, .w = part->shape.w, .c = part->shape.c
        };
        memcpy(to->name, part->name, strlen(part->name)); /* what is behind a name is nothing, in every record the same */
        out->parts++;
    }
    out->bytes = whole(head_bytes(out));
    for (size_t i = 0; i < out->parts; i++) {
        out->part[i].offset = out->bytes;
        out->bytes += whole(out->part[i].h * out->part[i].w * out->part[i].c * sizeof(df_real));
    }
}

void df_record_take(const struct df_record_layout *layout, const struct df_detection_state *state, struct df_device *device,
                    enum df_record_place place, void *record)
{
    DF_ASSERT(state->batch == 1);
    if (place == DF_RECORD_ON_HOST) {
        memset(record, 0, layout->bytes); /* the padding too: the checksum covers it */
        memcpy(record, layout, head_bytes(layout));
    }
    for (size_t i = 0; i < layout->parts; i++) {
        const df_tensor *from = df_parts_find(&state->parts, layout->part[i].name)->tensor;

        (place == DF_RECORD_ON_HOST ? df_read : df_copy)(device, (char *)record + layout->part[i].offset, from->data,
                                                         df_count(from->shape) * sizeof(df_real));
    }
}

/* Rows of an image's objects, of which another image has others. */
static bool varies(const struct df_record_part *part) { return strcmp(part->name, DF_OBJECT_LOGITS) == 0; }

/* [N,h,w,c] on the tape out of N records, part k of each; w is the largest, what a record has not is 0. */
static df_tensor *stack_part(df_tape *tape, const struct df_records *from, size_t n, size_t k)
{
    const struct df_record_part *first = &from->layout[0]->part[k];
    struct df_device *device = df_tape_device(tape);
    size_t w = 0;

    for (size_t i = 0; i < n; i++)
        w = from->layout[i]->part[k].w > w ? from->layout[i]->part[k].w : w;

    df_tensor *tensor = df_tensor_new(tape, (df_shape){ n, first->h, w, first->c });
    const size_t each = first->h * w * first->c;

    if (varies(first))
        df_zero(device, tensor->data, n * each * sizeof(df_real));
    for (size_t i = 0; i < n; i++) {
        const struct df_record_part *part = &from->layout[i]->part[k];

        (from->place == DF_RECORD_ON_HOST ? df_write : df_copy)(
            device, tensor->data + i * each, (const char *)from->record[i] + part->offset, part->h * part->w * part->c * sizeof(df_real));
    }
    return tensor;
}

/* But for how many objects they have. */
static bool alike(const struct df_record_layout *a, const struct df_record_layout *b)
{
    bool same = a->parts == b->parts && a->canvas_h == b->canvas_h && a->canvas_w == b->canvas_w;

    for (size_t k = 0; same && k < a->parts; k++) {
        const struct df_record_part *one = &a->part[k], *other = &b->part[k];

        same = strcmp(one->name, other->name) == 0 && one->h == other->h && one->c == other->c && (one->w == other->w || varies(one));
    }
    return same;
}

df_status df_record_state(const struct df_records *records, const struct df_detection_state *student, df_tape *tape,
                          struct df_detection_state *out, struct df_error *err)
{
    const struct df_record_layout *layout = records->layout[0];

    for (size_t i = 1; i < student->batch; i++)
        if (!alike(records->layout[i], layout))
            return df_fail(
                err, DF_ERR_UNSUPPORTED,
                "the teacher's canvas is %zu x %zu for one image of a batch and %zu x %zu for another (expected one for all images "
                "of one student's canvas)",
                (size_t)layout->canvas_h, (size_t)layout->canvas_w, (size_t)records->layout[i]->canvas_h,
                (size_t)records->layout[i]->canvas_w);
    *out = (struct df_detection_state){ .batch = student->batch,
                                        .canvas_h = (size_t)layout->canvas_h,
                                        .canvas_w = (size_t)layout->canvas_w,
                                        .classes = student->classes,
                                        .images = student->images,
                                        .anchors = student->anchors,
                                        .anchor = student->anchor,
                                        .resident = student->resident };
    memcpy(out->level_anchors, student->level_anchors, sizeof out->level_anchors);
    for (size_t i = 0; i < layout->parts; i++) {
        const struct df_record_part *part = &layout->part[i];
        struct df_part *given;

        if (!df_needs_has(records->needs, part->name))
            continue;
        given = df_parts_set(&out->parts, part->name, DF_NO_LEVEL, (size_t)part->stride, stack_part(tape, records, student->batch, i));
        given->level = (size_t)part->level;
        given->std = df_parts_find(records->parts, part->name)->std;
        out->levels += strncmp(part->name, "neck/", 5) == 0;
    }
    return DF_OK;
}
