/* none: no distillation. The plain student, and a test of the harness: a method with this distiller must give the bits of one without. */
#include "distillers/distiller.h"

static const df_option none_options[] = { { 0 } };

static df_tensor *none_loss(const struct df_distill_context *context, const struct df_detection_state *student,
                            const struct df_detection_state *teacher)
{
    (void)context;
    (void)student;
    (void)teacher;
    return NULL;
}

const struct df_distiller_class df_distiller_none = {
    .abi = DF_DISTILLER_ABI,
    .name = "none",
    .summary = "no distillation",
    .cite = "",
    .needs = "",
    .options = none_options,
    .options_size = 1,
    .loss = none_loss,
    .formula = "L = 0",
    .deviation = "",
    .published = "",
};
