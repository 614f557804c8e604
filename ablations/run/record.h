/* What a teacher says of one image, as one block of bytes: the teacher cache is an array of such records, of whatever size each has, and a
 * teacher that runs live makes the same ones, so that both reach the distillers by the same path with the same bits. */
#ifndef DF_ABLATIONS_RUN_RECORD_H
#define DF_ABLATIONS_RUN_RECORD_H
#include "distillers/distiller.h"

struct df_record_part {
    char name[DF_PART_NAME];
    uint64_t level, stride, h, w, c; /* as in df_part; level UINT64_MAX: it has none */
    uint64_t offset;                 /* bytes into the record, [h,w,c] */
};
struct df_record_layout { /* fixed-width: a record begins with it, up to its last part */
    uint64_t bytes;       /* of the record, a multiple of 64 */
    uint64_t canvas_h, canvas_w, parts;
    struct df_record_part part[DF_PARTS];
};
/* Where each part of a state (of one image or more) that `needs` names stands in the record of one image. */
void df_record_layout_of(const struct df_detection_state *state, const struct df_needs *needs, struct df_record_layout *out);
/* Whether so many bytes from elsewhere are a record: every part lies inside. */
bool df_record_legal(const void *record, uint64_t bytes);
/* A cache's records are on the host, those of a teacher that runs live stay on the device. */
enum df_record_place { DF_RECORD_ON_HOST, DF_RECORD_ON_DEVICE };
/* Copies what the layout names from a state of one image. */
void df_record_take(const struct df_record_layout *layout, const struct df_detection_state *state, struct df_device *device,
                    enum df_record_place place, void *record);

struct df_records { /* of a batch, one an image */
    enum df_record_place place;
    const struct df_record_layout *const *layout;
    const void *const *record;
    const struct df_needs *needs; /* which of their parts */
    const struct df_parts *parts; /* with these deviations */
};
/* The teacher's state for a batch; anchors and images are the student's. No gradients, no labels. Error: the images have canvases of their
 * own. */
df_status df_record_state(const struct df_records *records, const struct df_detection_state *student, df_tape *tape,
                          struct df_detection_state *out, struct df_error *err);
#endif
