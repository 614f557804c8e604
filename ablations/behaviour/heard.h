/* What a network said behind its masks, kept as a file beside the row: maps are made of it again without a pass, for pictures and for whoever is held
 * against it. A header line, "defeat weights <question's id> <images> <masks>"; per image three 32-bit numbers, objects, h, w, and the weights,
 * [objects, masks] float; at the end the 64-bit hash of all before it. Little endian. */
#ifndef DF_ABLATIONS_BEHAVIOUR_HEARD_H
#define DF_ABLATIONS_BEHAVIOUR_HEARD_H
#include <stddef.h>
#include <stdint.h>

#include "core/base/arena.h"
#include "core/base/status.h"

struct df_heard {
    size_t images, masks;
    struct df_heard_image {
        uint32_t objects, h, w; /* of the image's valid region */
        float *weight;          /* [objects, masks] (saliency.h) */
    } * image;
    struct df_arena memory;
};
void df_heard_init(struct df_heard *heard, size_t images, size_t masks);
float *df_heard_add(struct df_heard *heard, size_t image, struct df_heard_image of); /* room for its weights */
void df_heard_release(struct df_heard *heard);                                       /* also of { 0 } */
df_status df_heard_write(const struct df_heard *heard, const char *id, const char *path, struct df_error *err);
/* DF_ERR_NOT_FOUND: there is none. Of another question, or with a bit that is not as it was written: DF_ERR_STALE, DF_ERR_FORMAT. */
df_status df_heard_read(const char *path, const char *id, struct df_heard *out, struct df_error *err);
#endif
