/* The neck engine and the dense head's KL; formulas at their declarations. Source: the DeFeat authors' code for the neck. For one-stage
 * detectors their head term is not published: this is its sigmoid form over anchors. */
#include "distillers/common.h"

#include <math.h>
#include <stdio.h>

#include "core/nn/losses.h"

df_tensor *df_term_add(const struct df_distill_context *context, df_tensor *total, const char *name, df_tensor *value, double weight)
{
    df_tensor *weighted = df_scale(context->tape, value, weight);

    if (context->terms)
        df_loss_terms_add(context->terms, name, value, weight);
    return total ? df_add(context->tape, total, weighted) : weighted;
}

/* ---- neck ---- */

static size_t adapt_kernel(const struct df_neck_options *options) { return options->adapt == DF_ADAPT_3X3 ? 3 : 1; }

df_status df_neck_init(struct df_distiller_setup *setup, const struct df_neck_options *options, struct df_neck_state *state,
                       struct df_error *err)
{
    enum { AUTHORS };

    for (size_t l = 0; l < setup->levels; l++) {
        const size_t in = setup->student_channels[l], out = setup->teacher_channels[l], k = adapt_kernel(options);
        char name[48];

        if (options->normalise_teacher && setup->teacher_std && !(setup->teacher_std[l] > 0))
            return df_fail(err, DF_ERR_USAGE,
                           "normalise_teacher: the standard deviation of the teacher's neck level %zu was not measured "
                           "[train the teacher with this program, or set normalise_teacher to false]",
                           l);
        if (options->adapt == DF_ADAPT_NONE) {
            if (in != out)
                return df_fail(err, DF_ERR_USAGE,
                               "adapt none: neck level %zu has %zu channels in the student, %zu in the teacher [set "
                               "adapt to 1x1 or 3x3]",
                               l, in, out);
            continue;
        }
        const struct df_initialiser weight = { options->adapt_init == AUTHORS ? DF_INIT_WRAPPED_NORMAL : DF_INIT_NORMAL,
                                               options->adapt_std };
        const struct df_initialiser authors_bias = { DF_INIT_UNIFORM, 1 / sqrt((double)(k * k * in)) }, zero = { DF_INIT_ZERO, 0 };

        snprintf(name, sizeof name, "adapt.%zu.weight", l);
        state->weight[l] = df_distiller_parameter(setup, name, DF_CONV_WEIGHT, (df_shape){ out, k, k, in }, weight);
        snprintf(name, sizeof name, "adapt.%zu.bias", l);
        state->bias[l] = df_distiller_parameter(setup, name, DF_VECTOR, (df_shape){ 1, 1, 1, out },
                                                options->adapt_init == AUTHORS ? authors_bias : zero);
    }
    return DF_OK;
}

/* The student's feature in the teacher's space: [N,h,w,Ct] */
static df_tensor *adapted(df_tape *tape, const struct df_neck_options *options, const struct df_neck_state *state, df_tensor *s,
                          size_t level)
{
    const size_t pad = adapt_kernel(options) / 2;
    const struct df_conv_options conv = { .stride_h = 1, .stride_w = 1, .pad_h = pad, .pad_w = pad };

    if (!state->weight[level])
        return s;
    return df_conv2d(tape, s, df_parameter_tensor(tape, state->weight[level]), df_parameter_tensor(tape, state->bias[level]), conv);
}

/* *objects: the level's ground-truth mask, made when it is first asked for */
static df_tensor *region_mask(df_tape *tape, const struct df_neck_options *options, const struct df_detection_state *student, size_t level,
                              enum df_region region, df_tensor **objects)
{
    if (region == DF_REGION_ALL)
        return df_mask_ones(tape, student, level);
    if (!*objects)
        *objects = df_mask_ground_truth(tape, student, level, (enum df_level_rule)options->level_rule, (enum df_rounding)options->rounding);
    return region == DF_REGION_FOREGROUND ? *objects : df_mask_inverse(tape, *objects);
}

df_tensor *df_neck_loss(const struct df_distill_context *context, const struct df_neck_options *options, const struct df_neck_state *state,
                        const struct df_detection_state *student, const struct df_detection_state *teacher,
                        const struct df_neck_term *terms, size_t count)
{
    enum { MOST = 4 };
    df_tape *tape = context->tape;
    df_tensor *sum[MOST] = { NULL }, *total = NULL;

    DF_ASSERT(count <= MOST && student->levels == teacher->levels);
    for (size_t l = 0; l < student->levels; l++) {
        const struct df_neck_level *t = &teacher->neck[l];
        df_tensor *s = adapted(tape, options, state, student->neck[l].feature, l), *objects = NULL;

        DF_ASSERT(!options->normalise_teacher || t->feature_std > 0);
        for (size_t i = 0; i < count; i++) {
            const df_tensor *mask = region_mask(tape, options, student, l, terms[i].region, &objects);
            df_tensor *term = df_masked_mse(tape, s, t->feature, mask, options->normalise_teacher ? 1 / t->feature_std : 1, options->norm);

            sum[i] = sum[i] ? df_add(tape, sum[i], term) : term;
        }
    }
    for (size_t i = 0; i < count; i++)
        total = df_term_add(context, total, terms[i].name, df_scale(tape, sum[i], 1 / (double)student->levels), terms[i].weight);
    return total;
}

/* ---- dense head ---- */

df_tensor *df_head_loss(const struct df_distill_context *context, const struct df_head_options *options, const char *pos_name,
                        const char *neg_name, const struct df_detection_state *student, const struct df_detection_state *teacher)
{
    enum { POSITIVES, GROUP };
    df_tape *tape = context->tape;
    const size_t rows = df_pixels(student->class_logits->shape);
    uint8_t *positive = df_tape_host(tape, rows), *negative = df_tape_host(tape, rows);
    size_t positives = 0, negatives = 0;

    DF_ASSERT(student->label);
    for (size_t i = 0; i < rows; i++) {
        positives += positive[i] = student->label[i] >= 0;
        negatives += negative[i] = student->label[i] == -1;
    }
    const double n_pos = positives ? (double)positives : 1, n_own = negatives ? (double)negatives : 1;
    const double n_neg = options->norm == GROUP ? n_own : n_pos;
    df_tensor *s = student->class_logits, *pos, *neg;

    pos = df_sigmoid_kl(tape, s, teacher->class_logits, positive, options->t_pos, n_pos);
    neg = df_sigmoid_kl(tape, s, teacher->class_logits, negative, options->t_neg, n_neg);
    return df_term_add(context, df_term_add(context, NULL, pos_name, pos, options->w_pos), neg_name, neg, options->w_neg);
}
