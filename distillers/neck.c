/* Imitation of the neck, level by level; formulas: common.h. */
#include "distillers/common.h"

df_status df_neck_adapt(struct df_distiller_setup *setup, const struct df_adapt_options *options, size_t levels,
                        struct df_neck_state *state, struct df_error *err)
{
    for (size_t l = 0; l < levels; l++)
        DF_TRY(df_adapt_add(setup, options, (struct df_adapted){ "neck", l, "adapt" }, &state->layer[l], err));
    return DF_OK;
}

df_status df_neck_init(struct df_distiller_setup *setup, const struct df_neck_options *options, struct df_neck_state *state,
                       struct df_error *err)
{
    for (size_t l = 0; l < setup->levels; l++) {
        const struct df_part *t = df_parts_at(setup->teacher, "neck", l);

        if (options->normalise_teacher && !(t->std > 0))
            return df_fail(err, DF_ERR_USAGE,
                           "normalise_teacher: the standard deviation of the teacher's '%s' is %g (expected more than 0) "
                           "[train the teacher again, or set normalise_teacher to false]",
                           t->name, t->std);
    }
    return df_neck_adapt(setup, &options->adapt, setup->levels, state, err);
}

df_tensor *df_neck_loss(const struct df_distill_context *context, const struct df_neck_options *options, const struct df_neck_state *state,
                        const struct df_detection_state *student, const struct df_detection_state *teacher,
                        const struct df_feature_term *terms)
{
    struct df_feature_map map[DF_LEVELS];
    df_tensor *total = NULL;
    bool masked = false;

    for (const struct df_feature_term *term = terms; term->name; term++)
        masked = masked || term->region != DF_REGION_ALL;
    for (size_t l = 0; l < student->levels; l++) {
        const struct df_part *s = df_part(student, "neck", l), *t = df_part(teacher, "neck", l);

        DF_ASSERT(!options->normalise_teacher || t->std > 0);
        map[l] = (struct df_feature_map){ .s = df_adapt_apply(context->tape, &options->adapt, &state->layer[l], s->tensor),
                                          .t = t->tensor,
                                          .teacher_scale = options->normalise_teacher ? 1 / t->std : 1,
                                          .stride = s->stride,
                                          .objects = masked ? df_mask_objects(context->tape, student, l, &options->mask) : NULL };
    }
    for (const struct df_feature_term *term = terms; term->name; term++) {
        df_tensor *loss = df_feature_loss(context->tape, map, student->levels, term->region, &options->feature, student->images);

        total = df_term_add(context, total, term->name, loss, term->weight);
    }
    return total;
}
