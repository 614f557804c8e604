/* Optimisers against five steps of PyTorch's (tests/golden/make_optimiser.py), the gradient's norm, clipping, frozen parameters. */
#include "tests/support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/nn/optimiser.h"

#define GOLDEN 7    /* elements of the golden */
#define WIDE   2051 /* 293 times the golden: two tiles and a bit */
#define STEPS  5

static struct df_device *device;
static struct df_parameters *parameters; /* frozen, wide (trains), buffer, narrow (trains) */
static cJSON *golden;

static double number(const char *key, int row, int column)
{
    const cJSON *node = cJSON_GetArrayItem(cJSON_GetObjectItem(golden, key), row);

    assert_non_null(node);
    return column < 0 ? node->valuedouble : cJSON_GetArrayItem(node, column)->valuedouble;
}

static int setup(void **state)
{
    const struct df_initialiser init = { DF_INIT_NORMAL, 1 };
    struct df_error err;

    (void)state;
    assert_ok(df_device_open(df_test_device(), &device, &err));
    assert_ok(df_json_read("tests/golden/optimiser.json", &golden, &err));
    parameters = df_parameters_new();
    df_parameters_add(parameters, "frozen", DF_VECTOR, (df_shape){ 1, 1, 1, 5 }, init, DF_RNG_INIT)->trainable = false;
    df_parameters_add(parameters, "wide", DF_VECTOR, (df_shape){ 1, 1, 1, WIDE }, init, DF_RNG_INIT);
    df_parameters_add_buffer(parameters, "buffer", 3, 2);
    df_parameters_add(parameters, "narrow", DF_LINEAR_WEIGHT, (df_shape){ 1, 1, 1, GOLDEN }, init, DF_RNG_INIT);
    df_parameters_build(parameters, device, 3, true);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    cJSON_Delete(golden);
    df_parameters_free(parameters);
    df_device_close(device);
    return 0;
}

static void write_all(const char *name, bool grad, const char *key, int row, double factor)
{
    const struct df_parameter *item = df_parameters_find(parameters, name);
    const size_t n = df_count(item->shape);
    df_real *values = df_malloc(n * sizeof *values);

    for (size_t i = 0; i < n; i++)
        values[i] = (df_real)(factor * (row < 0 ? number(key, (int)(i % GOLDEN), -1) : number(key, row, (int)(i % GOLDEN))));
    df_write(device, grad ? item->grad : item->value, values, n * sizeof *values);
    free(values);
}

static void check(const char *name, const char *key, int row)
{
    const struct df_parameter *item = df_parameters_find(parameters, name);
    df_real values[WIDE];

    df_read(device, values, item->value, df_count(item->shape) * sizeof *values);
    for (size_t i = 0; i < df_count(item->shape); i++)
        assert_close((double)values[i], number(key, row, (int)(i % GOLDEN)), 1e-6, 1e-6);
}

static struct df_optim_norm norm_of(double clip)
{
    struct df_optim_norm norm;

    df_read(device, &norm, df_gradient_norm(parameters, clip), sizeof norm);
    return norm;
}

/* factor: of the gradients, which are clipped to a length that makes the golden's of them */
static void run(struct df_schedule *schedule, double factor, const char *key)
{
    df_real frozen[5], after[5];
    const uint64_t version = parameters->version;

    df_zero(device, parameters->moment1, parameters->values * sizeof(df_real));
    df_zero(device, parameters->moment2, parameters->values * sizeof(df_real));
    write_all("wide", false, "initial", -1, 1);
    write_all("narrow", false, "initial", -1, 1);
    df_read(device, frozen, df_parameters_find(parameters, "frozen")->value, sizeof frozen);
    for (int step = 0; step < STEPS; step++) {
        write_all("wide", true, "grads", step, factor);
        write_all("narrow", true, "grads", step, factor);
        schedule->clip = factor > 1 ? norm_of(0).norm / factor : 0;
        df_optimiser_step(parameters, schedule, number("rates", step, -1), df_gradient_norm(parameters, schedule->clip), (size_t)step + 1);
        check("wide", key, step);
        check("narrow", key, step);
    }
    df_read(device, after, df_parameters_find(parameters, "frozen")->value, sizeof after);
    assert_memory_equal(frozen, after, sizeof frozen);
    assert_true(parameters->version > version);
}

static void test_sgd(void **state)
{
    struct df_schedule schedule;

    (void)state;
    df_options_standard(df_schedule_options, &schedule);
    schedule.weight_decay = 0.03;
    run(&schedule, 1, "sgd");
    run(&schedule, 4, "sgd");
}

static void test_adamw(void **state)
{
    struct df_schedule schedule;

    (void)state;
    df_options_standard(df_schedule_options, &schedule);
    schedule.optimiser = DF_ADAMW;
    schedule.beta1 = 0.8, schedule.beta2 = 0.97, schedule.eps = 1e-6, schedule.weight_decay = 0.2;
    run(&schedule, 1, "adamw");
    run(&schedule, 4, "adamw");
}

/* Float gradients, double sums; the factor is exactly 1 unless the norm is above a clip that is not 0. */
static void test_norm(void **state)
{
    struct df_optim_norm norm;
    double squares = 0;

    (void)state;
    df_parameters_zero_grad(parameters);
    norm = norm_of(0.5);
    assert_true(norm.norm == 0 && norm.scale == 1);
    write_all("wide", true, "grads", 1, 1);
    write_all("narrow", true, "grads", 2, -3);
    for (int i = 0; i < GOLDEN; i++)
        squares += WIDE / GOLDEN * pow(number("grads", 1, i), 2) + 9 * pow(number("grads", 2, i), 2);
    norm = norm_of(0);
    assert_close(norm.norm, sqrt(squares), 1e-7, 0);
    assert_true(norm.scale == 1);
    assert_true(norm_of(norm.norm).scale == 1);
    assert_true(norm_of(0.75 * norm.norm).scale == 0.75 * norm.norm / norm.norm);
    assert_true(norm_of(0.1).scale == 0.1 / norm.norm && norm_of(0.1).norm == norm.norm);
}

/* One gradient that is not finite, and neither a weight nor a moment changes, clipped or not. */
static void test_not_finite(void **state)
{
    static const double bad[] = { NAN, INFINITY, -INFINITY };
    const size_t bytes = parameters->values * sizeof(df_real);
    const df_real *const vector[3] = { parameters->value, parameters->moment1, parameters->moment2 };
    df_real *before = df_malloc(bytes), *after = df_malloc(bytes);
    struct df_schedule schedule;

    (void)state;
    df_options_standard(df_schedule_options, &schedule);
    for (int i = 0; i < 12; i++) {
        const df_real value = (df_real)bad[i % 3];

        write_all("wide", true, "grads", 1, 1);
        write_all("narrow", true, "grads", 2, 1);
        df_write(device, df_parameters_find(parameters, "wide")->grad + WIDE - 1, &value, sizeof value);
        schedule.optimiser = i / 3 % 2 ? DF_ADAMW : DF_SGD;
        schedule.clip = i / 6 ? 0.5 : 0;
        for (size_t k = 0; k < 3; k++) {
            df_read(device, before, vector[k], bytes);
            df_optimiser_step(parameters, &schedule, 0.1, df_gradient_norm(parameters, schedule.clip), 1);
            df_read(device, after, vector[k], bytes);
            assert_memory_equal(before, after, bytes);
        }
        assert_true(!isfinite(norm_of(schedule.clip).norm));
    }
    free(before);
    free(after);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_sgd), cmocka_unit_test(test_adamw), cmocka_unit_test(test_norm),
                                        cmocka_unit_test(test_not_finite) };

    return cmocka_run_group_tests(tests, setup, teardown);
}
