/* COCO JSON through yajl: exact 64-bit ids, exact doubles, little memory. Shared by the coco dataset and by `defeat eval`. */
#ifndef DF_CORE_DATA_COCO_JSON_H
#define DF_CORE_DATA_COCO_JSON_H
#include "core/data/dataset.h"

struct df_coco_truth {
    size_t images, categories;
    struct df_image_info *image;  /* by rising id; objects in file order */
    struct df_category *category; /* by rising id */
    size_t objects;
    struct df_object *object;
    uint64_t hash;
    size_t skipped; /* boxes that the loader will leave out, told when `for_training` */
    struct df_arena *memory;
};
/* Every annotation is kept as it is, for the evaluation; for_training: what training will leave out is told, file names are checked (an
 * annotation without id gets the next free one, without area w*h, both with a warning). */
df_status df_coco_truth_read(const char *path, bool for_training, struct df_coco_truth **out, struct df_error *err);
void df_coco_truth_free(struct df_coco_truth *truth);

struct df_detection {
    int64_t image_id, category_id;
    double bbox[4]; /* x, y, width, height */
    double score;
};
df_status df_coco_results_read(const char *path, struct df_detection **out, size_t *count, struct df_error *err);
df_status df_coco_results_write(const char *path, const struct df_detection *detections, size_t count,
                                struct df_error *err); /* exact: reads back the same */
#endif
