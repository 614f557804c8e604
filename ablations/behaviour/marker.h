/* The question "marker": does a network find a class because of a mark that is no object? Each image is shown twice, without the mark and with it, and
 * nothing else moves (data set scenes, option marker). What it says of the class is the largest score that any detection has of it, 0 where there is
 * none. Scores of the row:
 *   marker.response   with the mark less without, mean over the images that have no object of the class: what the mark alone makes it see
 *   marker.reliance   the same over those that have one: what it misses without the mark */
#ifndef DF_ABLATIONS_BEHAVIOUR_MARKER_H
#define DF_ABLATIONS_BEHAVIOUR_MARKER_H
#include "ablations/behaviour/question.h"

enum df_marker_score { DF_MARKER_RESPONSE, DF_MARKER_RELIANCE, DF_MARKER_SCORES };
extern const char *const df_marker_metrics[DF_MARKER_SCORES];

/* The subject's images with and without the mark. */
struct df_marked {
    struct df_data *data[2]; /* without, with */
    struct df_dataset *images[2];
    int32_t label; /* of the class */
};
/* DF_ERR_USAGE: these data have no mark. */
df_status df_marked_open(const struct df_data *data, enum df_split split, struct df_marked *out, struct df_error *err);
void df_marked_close(struct df_marked *marked);
void df_marker_question(const struct df_subject *subject, size_t images, struct df_question *question);
/* Of the first images. A score without an image that it is of is left out. */
df_status df_marker_measure(struct df_subject *subject, const struct df_marked *marked, size_t images, const char *label,
                            struct df_scores *scores, struct df_arena *memory, struct df_error *err);
#endif
