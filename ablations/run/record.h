/* What a teacher says of one image, as one block of bytes: the teacher cache is an array of such records, and a teacher that runs live makes
 * the same ones, so that both reach the distillers by the same path with the same bits. */
#ifndef DF_ABLATIONS_RUN_RECORD_H
#define DF_ABLATIONS_RUN_RECORD_H
#include "distillers/distiller.h"

#define DF_NOT_RECORDED UINT64_MAX
struct df_record_map {
    uint64_t stride, h, w, c; /* c = 0: the network has no such map */
    uint64_t offset;          /* bytes into the record, [h,w,c]; DF_NOT_RECORDED */
};
struct df_record_layout { /* fixed-width: it stands in the cache's header */
    uint64_t needs, canvas_h, canvas_w, classes, levels, anchors;
    struct df_record_map stage[DF_STAGES], neck[DF_LEVELS];
    uint64_t logits, deltas; /* offsets of [A,K] and [A,4] */
    uint64_t bytes;          /* of one record, a multiple of 64 */
};
/* The shapes of any state (of one image or more), and where each part that `needs` names stands in a record. */
void df_record_layout_of(const struct df_detection_state *state, unsigned needs, struct df_record_layout *out);
/* A cache's records are on the host, those of a teacher that runs live stay on the device. */
enum df_record_place { DF_RECORD_ON_HOST, DF_RECORD_ON_DEVICE };
/* Copies what the layout names from a state of one image; false if the state has other shapes. */
bool df_record_take(const struct df_record_layout *layout, const struct df_detection_state *state, struct df_device *device,
                    enum df_record_place place, void *record);
/* The teacher's state for a batch out of one record per image; anchors and images are the student's. No gradients, no labels. */
void df_record_state(const struct df_record_layout *layout, unsigned needs /* what to give, of what the layout has */,
                     enum df_record_place place, const void *const *record, const struct df_detection_state *student,
                     const double *neck_std, df_tape *tape, struct df_detection_state *out);
/* Whether a student of these shapes can be taught by a teacher of those: what the needs touch must agree. */
df_status df_record_fits(unsigned needs, const struct df_record_layout *teacher, const struct df_record_layout *student,
                         struct df_error *err);
#endif
