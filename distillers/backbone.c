/* Imitation of backbone stages C2 .. C5; formulas: common.h. The mask is made on the finest neck level from every object and resized, as in
 * the DeFeat authors' code. */
#include <stdio.h>

#include "distillers/common.h"

/* 2 .. 5: C2 .. C5 */
static size_t stage_at(const struct df_backbone_options *options, size_t i) { return (size_t)options->stages.value[i]; }

void df_backbone_needs(const struct df_backbone_options *options, struct df_needs *needs)
{
    for (size_t i = 0; i < options->stages.count; i++) {
        char name[DF_PART_NAME];

        snprintf(name, sizeof name, "backbone/%zu", stage_at(options, i));
        df_needs_add(needs, name);
    }
}

df_status df_backbone_init(struct df_distiller_setup *setup, const struct df_backbone_options *options, struct df_backbone_state *state,
                           struct df_error *err)
{
    for (size_t i = 0; i < options->stages.count; i++) {
        const size_t k = stage_at(options, i);
        const struct df_part *student = df_parts_at(setup->student, "backbone", k), *teacher = df_parts_at(setup->teacher, "backbone", k);

        for (size_t j = 0; j < i; j++)
            if (stage_at(options, j) == k)
                return df_fail(err, DF_ERR_USAGE, "bb_stages: stage %zu stands twice", k);
        if (!student || !teacher)
            return df_fail(err, DF_ERR_USAGE,
                           "bb_stages: the %s's backbone has no stage %zu (detector '%s') [choose stages that both have]",
                           student ? "teacher" : "student", k, setup->detector ? setup->detector->name : "");
        DF_TRY(df_adapt_add(setup, &options->adapt, (struct df_adapted){ "backbone", k, "bb_adapt" }, &state->layer[k - 2], err));
    }
    return DF_OK;
}

df_tensor *df_backbone_loss(const struct df_distill_context *context, const struct df_backbone_options *options,
                            const struct df_backbone_state *state, const struct df_detection_state *student,
                            const struct df_detection_state *teacher, const struct df_feature_term *terms)
{
    struct df_feature_map map[DF_STAGES];
    df_tape *tape = context->tape;
    df_tensor *total = NULL;

    for (size_t i = 0; i < options->stages.count; i++) {
        const size_t k = stage_at(options, i);
        const struct df_part *own = df_part(student, "backbone", k);
        df_tensor *s = df_adapt_apply(tape, &options->adapt, &state->layer[k - 2], own->tensor);

        map[i] = (struct df_feature_map){ .s = s,
                                          .t = df_part(teacher, "backbone", k)->tensor,
                                          .teacher_scale = 1,
                                          .stride = own->stride,
                                          .objects = df_mask_stage(tape, student, s->shape, (enum df_rounding)options->rounding) };
    }
    for (const struct df_feature_term *term = terms; term->name; term++) {
        df_tensor *loss = df_feature_loss(tape, map, options->stages.count, term->region, &options->feature, student->images);

        total = df_term_add(context, total, term->name, loss, term->weight);
    }
    return total;
}
