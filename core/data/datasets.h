/* The datasets that are built in, for registry.c, and what they share. */
#ifndef DF_CORE_DATA_DATASETS_H
#define DF_CORE_DATA_DATASETS_H
#include "core/data/dataset.h"

extern const struct df_dataset_class df_dataset_scenes, df_dataset_coco;

/* Makes room for width x height RGB pixels and `extra` bytes behind them, and sets the size. What was there is lost. */
void df_image_reserve(struct df_image *image, int width, int height, size_t extra);
/* Adds text as a JSON string, quotes included. text is UTF-8. */
void df_text_add_json_string(struct df_text *out, const char *text);
#endif
