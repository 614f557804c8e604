/* The checks of a distiller's loss. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "distillers/check/bench.h"

static const bool is_double = sizeof(df_real) > sizeof(float);

#define SAY(...) (void)snprintf(text, DF_CHECK_TEXT, __VA_ARGS__)

static size_t parameter_inputs(const struct df_bench *bench) { return bench->student.count + bench->parameters->count; }

/* Input i of the student's tensors, then of the parameters; grad NULL: none. Returns its elements. */
static size_t input_at(const struct df_bench *bench, size_t i, const df_real **grad, df_real **device_value, df_real **host_value)
{
    if (i < bench->student.count) {
        const struct df_bench_input *input = &bench->student.input[i];

        *grad = input->leaf->grad;
        *device_value = NULL;
        *host_value = input->value;
        return df_count(input->shape);
    }
    const struct df_parameter *item = bench->parameters->items[i - bench->student.count];

    *grad = item->grad;
    *device_value = item->value;
    *host_value = NULL;
    return item->buffer ? 0 : df_count(item->shape);
}

/* Host copy of all gradients, one after the other; *count elements. */
static df_real *gradients(const struct df_bench *bench, size_t *count)
{
    const df_real *grad;
    df_real *device_value, *host_value, *all;

    *count = 0;
    for (size_t i = 0; i < parameter_inputs(bench); i++)
        *count += input_at(bench, i, &grad, &device_value, &host_value);
    all = df_calloc(*count + 1, sizeof *all);
    for (size_t i = 0, at = 0; i < parameter_inputs(bench); i++) {
        const size_t n = input_at(bench, i, &grad, &device_value, &host_value);

        if (grad)
            df_read(bench->device, all + at, grad, n * sizeof *all);
        at += n;
    }
    return all;
}

static void move_input(struct df_bench *bench, size_t i, const df_real *values)
{
    const df_real *grad;
    df_real *device_value, *host_value;
    const size_t n = input_at(bench, i, &grad, &device_value, &host_value);

    if (host_value) {
        memcpy(host_value, values, n * sizeof *values);
    } else {
        df_write(bench->device, device_value, values, n * sizeof *values);
        df_parameters_touch(bench->parameters);
    }
}

/* f(x + h v) and f(x - h v) along v of input i; x is put back */
static void move_along(struct df_bench *bench, size_t i, const df_real *v, double h, double value[2])
{
    const df_real *grad;
    df_real *device_value, *host_value;
    const size_t n = input_at(bench, i, &grad, &device_value, &host_value);
    df_real *x = df_malloc(n * sizeof *x), *moved = df_malloc(n * sizeof *moved);

    if (host_value)
        memcpy(x, host_value, n * sizeof *x);
    else
        df_read(bench->device, x, device_value, n * sizeof *x);
    for (int side = 0; side < 2; side++) {
        for (size_t j = 0; j < n; j++)
            moved[j] = (df_real)((double)x[j] + (side ? -h : h) * (double)v[j]);
        move_input(bench, i, moved);
        value[side] = df_bench_evaluate(bench, false);
    }
    move_input(bench, i, x);
    free(x);
    free(moved);
}

/* Whether the derivative along v of input i is `slope`; *difference is the last central difference. Where a step of h crosses kinks (of a
 * ReLU) a smaller one tells, as well as the rounding of the two losses allows; across the last of them the derivative is one of the two
 * sides'. */
static bool slope_is_right(struct df_bench *bench, size_t i, const df_real *v, double loss, double slope, double *difference)
{
    enum { ATTEMPTS = 3 };
    const double relative = is_double ? 1e-6 : 1e-2, absolute = is_double ? 1e-9 : 1e-4, rounding = is_double ? 2.2e-16 : 1.2e-7;
    double h = is_double ? 1e-4 : 0.02;
    bool good = false;

    for (int attempt = 1; attempt <= ATTEMPTS && !good; attempt++, h /= 8) {
        const double slack = relative * fabs(slope) + absolute * (fabs(loss) + 1) + rounding * fabs(loss) / h;
        double value[2];

        move_along(bench, i, v, h, value);
        *difference = (value[0] - value[1]) / (2 * h);
        good = fabs(*difference - slope) <= slack;
        if (attempt == ATTEMPTS) {
            const double ahead = (value[0] - loss) / h, behind = (loss - value[1]) / h;

            good = good || (slope >= fmin(ahead, behind) - slack && slope <= fmax(ahead, behind) + slack);
        }
    }
    return good;
}

/* Along a random direction of every tensor and parameter. */
static bool check_gradient(struct df_bench *bench, char *text)
{
    const double loss = df_bench_evaluate(bench, true);
    size_t total, at = 0, seen = 0;
    df_real *grad = gradients(bench, &total), *v = df_malloc((total + 1) * sizeof *v);
    struct df_rng rng;
    double worst = 0;
    bool good = true;

    df_rng_init(&rng, 9, DF_RNG_TEST, 0);
    for (size_t j = 0; j < total; j++)
        v[j] = (df_real)df_rng_normal(&rng);
    for (size_t i = 0; i < parameter_inputs(bench) && good; i++) {
        const df_real *unused;
        df_real *device_value, *host_value;
        const size_t n = input_at(bench, i, &unused, &device_value, &host_value);
        double slope = 0;

        for (size_t j = at; j < at + n; j++)
            slope += (double)grad[j] * (double)v[j];
        double difference = 0;

        good = !n || slope_is_right(bench, i, v + at, loss, slope, &difference);
        at += n;
        seen += slope != 0;
        worst = slope != 0 ? fmax(worst, fabs(difference - slope) / fabs(slope)) : worst;
        if (!good)
            SAY("gradient: derivative %.9g along a direction of input %zu, central difference %.9g", slope, i, difference);
    }
    free(grad);
    free(v);
    if (good)
        SAY("gradient: %zu tensor%s, worst relative error %.1e", seen, seen == 1 ? "" : "s", worst);
    if (good && !seen && bench->needs.count) {
        SAY("gradient: nothing of the student gets a gradient");
        return false;
    }
    return good;
}

static bool all_zero(const df_real *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!(values[i] == 0))
            return false;
    }
    return true;
}

static bool check_teacher(struct df_bench *bench, char *text)
{
    bool good = true;

    df_bench_evaluate(bench, true);
    for (size_t i = 0; i < bench->teacher.count && good; i++) {
        const struct df_bench_input *input = &bench->teacher.input[i];
        const size_t n = df_count(input->shape);
        df_real *grad = df_calloc(n, sizeof *grad);

        if (input->leaf->grad)
            df_read(bench->device, grad, input->leaf->grad, n * sizeof *grad);
        good = all_zero(grad, n);
        free(grad);
    }
    SAY("teacher: %s", good ? "gets no gradient" : "gets a gradient (detach it)");
    return good;
}

static bool check_terms(struct df_bench *bench, char *text)
{
    const double loss = df_bench_evaluate(bench, false);
    double sum = 0;

    for (size_t i = 0; i < bench->terms.count; i++)
        sum += bench->terms.term[i].weight * df_item(bench->tape, bench->terms.term[i].value);
    const bool good = fabs(sum - loss) <= (is_double ? 1e-12 : 1e-5) * (fabs(loss) + 1);

    if (good)
        SAY("terms: %zu, their weighted sum is the loss, %.6g", bench->terms.count, loss);
    else
        SAY("terms: weighted sum %.9g, expected the loss, %.9g", sum, loss);
    return good;
}

/* What it returns, before anything is computed with it. */
static bool check_result(struct df_bench *bench, char *text)
{
    (void)df_bench_evaluate(bench, false);

    const bool good = bench->wrong.status == DF_OK;

    SAY("result: %s", good ? "loss and terms are scalars" : bench->wrong.text);
    return good;
}

static bool check_repeat(struct df_bench *bench, char *text)
{
    size_t n;
    const double first = df_bench_evaluate(bench, true);
    df_real *a = gradients(bench, &n), *b;
    const double second = df_bench_evaluate(bench, true);

    b = gradients(bench, &n);
    const bool good = memcmp(&first, &second, sizeof first) == 0 && memcmp(a, b, n * sizeof *a) == 0;

    free(a);
    free(b);
    SAY("repeat: %s", good ? "the same bits" : "the same step gives other bits (use the context's seed and step)");
    return good;
}

static bool check_empty(struct df_bench *bench, char *text)
{
    double loss;
    size_t n;
    bool good;

    df_bench_objects(bench, false);
    loss = df_bench_evaluate(bench, true);
    df_bench_objects(bench, true);
    df_real *grad = gradients(bench, &n);
    good = isfinite(loss);
    for (size_t i = 0; i < n; i++)
        good = good && isfinite((double)grad[i]);
    free(grad);
    SAY("empty ground truth: %s (loss %.6g)", good ? "finite" : "not finite", loss);
    return good;
}

/* All options w, w_*: 0 gives the loss 0 and nothing to the student, exactly. */
static bool check_weight_zero(struct df_bench *bench, char *text)
{
    const size_t bytes = bench->class->options_size;
    char *options = df_malloc(bytes);
    const void *kept = bench->options;
    size_t weights, n;

    memcpy(options, kept, bytes);
    weights = df_distiller_weigh_nothing(bench->class, options);
    bench->options = options;
    const double loss = df_bench_evaluate(bench, true);
    df_real *grad = gradients(bench, &n);
    const bool good = loss == 0 && all_zero(grad, n);

    bench->options = kept;
    free(options);
    free(grad);
    if (!weights && bench->needs.count) {
        SAY("weight zero: it has no option w or w_*, so it cannot be turned off");
        return false;
    }
    SAY("weight zero: %s", good ? "loss and gradients are exactly 0" : "the loss or a gradient is not 0");
    return good;
}

const struct df_check df_checks[] = { { "result", check_result },        { "terms", check_terms },
                                      { "gradients", check_gradient },   { "weight zero", check_weight_zero },
                                      { "teacher", check_teacher },      { "empty batch", check_empty },
                                      { "repeatability", check_repeat }, { NULL, NULL } };
