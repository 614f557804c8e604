/* A distiller in a shared object, as small as one gets: the angle between the pixels' feature vectors.
 *   L = w/L sum_l mean_p (1 - <s_p, t_p> / (|s_p| |t_p|)),  s, t [N,h,w,C] of equal width
 * Build and try:  cc -std=c11 -shared -fPIC -I. -o cosine.so tests/distillers/plugin.c && defeat distillers --plugin cosine.so --check cosine
 * The macros make it wrong in one way each, for tests/distillers/test_distillers.c. */
#include "core/nn/ops.h"
#include "distillers/distiller.h"

#ifdef WRONG_ABI
#define ABI 0
#else
#define ABI DF_DISTILLER_ABI
#endif
#ifdef TAKEN_NAME
#define NAME "defeat"
#elif defined(FLUSHES)
#define NAME "cosine_flushing"
#else
#define NAME "cosine"
#endif
#ifdef FLUSHES /* what -ffast-math adds to a shared object with most compilers */
#include "tests/support/fpu.h"
__attribute__((constructor)) static void flush(void) { (void)df_test_flush_denormals(); }
#endif
#ifdef NO_SYMBOL
#define df_distiller df_distiller_by_another_name
#endif

struct cosine_options {
    double w;
};
static const df_option cosine_options[] = {
    { "w", DF_REAL_OPTION(struct cosine_options, w), 1, 0, 1e4, "weight", NULL, NULL, NULL },
    { 0 },
};

static df_status cosine_init(struct df_distiller_setup *setup, struct df_error *err)
{
    for (size_t l = 0; l < setup->levels; l++) {
        const size_t own = df_parts_channels(setup->student, "neck", l), theirs = df_parts_channels(setup->teacher, "neck", l);

        if (own != theirs)
            return df_fail(err, DF_ERR_USAGE,
                           "cosine: neck level %zu has %zu channels in the student, %zu in the teacher [make them equal]", l, own, theirs);
    }
    return DF_OK;
}

/* 1 / |x_p|: [N,h,w,1] */
static df_tensor *inverse_length(df_tape *tape, df_tensor *x)
{
    const df_real one = 1;
    df_tensor *squares = df_sum(tape, df_mul(tape, x, x), 1 << 3);

    return df_div(tape, df_tensor_from(tape, (df_shape){ 1, 1, 1, 1 }, &one), df_sqrt_op(tape, squares));
}

static df_tensor *cosine_loss(const struct df_distill_context *context, const struct df_detection_state *student,
                              const struct df_detection_state *teacher)
{
    const struct cosine_options *options = context->options;
    df_tape *tape = context->tape;
    const df_real one = 1;
    df_tensor *sum = df_tensor_from(tape, (df_shape){ 1, 1, 1, 1 }, &one);

    for (size_t l = 0; l < student->levels; l++) {
        df_tensor *s = df_part(student, "neck", l)->tensor, *t = df_detach(tape, df_part(teacher, "neck", l)->tensor);
        df_tensor *lengths = df_mul(tape, inverse_length(tape, s), inverse_length(tape, t));
        df_tensor *cosine = df_mul(tape, df_sum(tape, df_mul(tape, s, t), 1 << 3), lengths);

        sum = df_sub(tape, sum, df_scale(tape, df_mean(tape, cosine, 15), 1 / (double)student->levels));
    }
    df_loss_terms_add(context->terms, "cosine", sum, options->w);
    return df_scale(tape, sum, options->w);
}

extern const struct df_distiller_class df_distiller;
const struct df_distiller_class df_distiller = {
    .abi = ABI,
    .name = NAME,
    .summary = "angle between the neck's feature vectors",
#ifndef NO_CITE
    .cite = "",
#endif
    .needs = "neck/*",
    .options = cosine_options,
    .options_size = sizeof(struct cosine_options),
    .init = cosine_init,
    .loss = cosine_loss,
};
