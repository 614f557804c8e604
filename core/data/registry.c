#include "core/data/datasets.h"

const struct df_dataset_class *const df_dataset_classes[] = {
    &df_dataset_scenes,
    &df_dataset_coco,
    NULL,
};
