/* All data sets: one line each. */
#include "core/data/dataset.h"

#define DATASETS(X)                                                                                                                        \
    X(scenes)                                                                                                                              \
    X(coco)                                                                                                                                \
    X(synthetic)

#define DECLARE(name) extern const struct df_dataset_class df_dataset_##name;
#define LIST(name)    &df_dataset_##name,
DATASETS(DECLARE)
const struct df_dataset_class *const df_dataset_classes[] = { DATASETS(LIST) NULL };
