/* Which cells of the neck a distiller takes for objects, level by level, over an image. */
#ifndef DF_ABLATIONS_REPORT_MASK_PICTURE_H
#define DF_ABLATIONS_REPORT_MASK_PICTURE_H
#include "ablations/report/picture.h"

/* Of the spec's first distiller with masks; without one nothing is added. As figures. */
df_status df_report_masks(struct df_page *page, struct df_dataset *dataset, size_t index, const struct df_picture *picture,
                          struct df_error *err);
#endif
