/* Imitation of backbone stages C2 .. C5; formulas: common.h. The mask is made on the finest neck level from every object and resized, as in
 * the DeFeat authors' code. */
#include <stdio.h>

#include "distillers/common.h"

static size_t stage_at(const struct df_backbone_options *options, size_t i) { return (size_t)options->stages.value[i] - 2; }

df_status df_backbone_init(struct df_distiller_setup *setup, const struct df_backbone_options *options, struct df_backbone_state *state,
                           struct df_error *err)
{
    for (size_t i = 0; i < options->stages.count; i++) {
        const size_t k = stage_at(options, i), student = setup->student_stage_channels[k], teacher = setup->teacher_stage_channels[k];
        char name[32], what[32];

        for (size_t j = 0; j < i; j++)
            if (stage_at(options, j) == k)
                return df_fail(err, DF_ERR_USAGE, "bb_stages: stage %zu stands twice", k + 2);
        if (!student || !teacher)
            return df_fail(err, DF_ERR_USAGE,
                           "bb_stages: the %s's backbone has no stage %zu (detector '%s') [choose stages that both have]",
                           student ? "teacher" : "student", k + 2, setup->detector ? setup->detector->name : "");
        snprintf(name, sizeof name, "bb_adapt.%zu", k + 2);
        snprintf(what, sizeof what, "backbone stage %zu", k + 2);
        DF_TRY(df_adapt_add(setup, &options->adapt, "bb_adapt", name, what, student, teacher, &state->layer[k], err));
    }
    return DF_OK;
}

df_tensor *df_backbone_loss(const struct df_distill_context *context, const struct df_backbone_options *options,
                            const struct df_backbone_state *state, const struct df_detection_state *student,
                            const struct df_detection_state *teacher, const struct df_feature_term *terms, size_t count)
{
    struct df_feature_map map[DF_STAGES];
    df_tape *tape = context->tape;
    df_tensor *total = NULL;

    for (size_t i = 0; i < options->stages.count; i++) {
        const size_t k = stage_at(options, i);
        df_tensor *s = df_adapt_apply(tape, &options->adapt, &state->layer[k], student->stage[k].feature);

        map[i] = (struct df_feature_map){ .s = s,
                                          .t = teacher->stage[k].feature,
                                          .teacher_scale = 1,
                                          .stride = student->stage[k].stride,
                                          .objects = df_mask_stage(tape, student, s->shape, (enum df_rounding)options->rounding) };
    }
    for (size_t i = 0; i < count; i++) {
        df_tensor *term = df_feature_loss(tape, map, options->stages.count, terms[i].region, &options->feature, student->images);

        total = df_term_add(context, total, terms[i].name, term, terms[i].weight);
    }
    return total;
}
