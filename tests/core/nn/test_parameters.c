/* Parameters: layout of the flat vectors, what the initialisers draw, that streams do not depend on neighbours, the content hash. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/nn/parameters.h"
#include "tests/support/support.h"

static struct df_device *device;

static int setup(void **state)
{
    (void)state;
    return df_device_open(df_test_device(), &device, NULL) == DF_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    df_device_close(device);
    return 0;
}

static const df_shape conv_shape = { 24, 3, 5, 16 }; /* fan in 240, fan out 360 */

struct moments {
    double mean, deviation, low, high;
};

static struct moments drawn(struct df_initialiser init, df_shape shape, enum df_parameter_kind kind)
{
    struct df_parameters *parameters = df_parameters_new();
    struct df_parameter *p = df_parameters_add(parameters, "w", kind, shape, init, DF_RNG_INIT);
    const size_t count = df_count(shape);
    df_real *v = df_malloc(count * sizeof *v);
    struct moments m = { 0, 0, INFINITY, -INFINITY };

    df_parameters_build(parameters, device, 7, false);
    df_read(device, v, p->value, count * sizeof *v);
    for (size_t i = 0; i < count; i++) {
        m.mean += (double)v[i] / (double)count;
        m.low = fmin(m.low, (double)v[i]);
        m.high = fmax(m.high, (double)v[i]);
    }
    for (size_t i = 0; i < count; i++)
        m.deviation += ((double)v[i] - m.mean) * ((double)v[i] - m.mean) / (double)count;
    m.deviation = sqrt(m.deviation);
    free(v);
    df_parameters_free(parameters);
    return m;
}

/* 5760 draws: the deviation of a normal sample is known to 1 / sqrt(2 n) = 0.9 %, of a uniform one to 0.6 %; four of these. */
static void check_normal(struct df_initialiser init, double deviation)
{
    const struct moments m = drawn(init, conv_shape, DF_CONV_WEIGHT);

    assert_close(m.deviation, deviation, 0.04, 0);
    assert_close(m.mean, 0, 0, 4 * deviation / sqrt(5760));
    assert_true(m.high > 3 * deviation && m.low < -3 * deviation);
}

static void check_uniform(struct df_initialiser init, double bound)
{
    const struct moments m = drawn(init, conv_shape, DF_CONV_WEIGHT);

    assert_close(m.deviation, bound / sqrt(3), 0.025, 0);
    assert_close(m.high, bound, 0.005, 0);
    assert_close(m.low, -bound, 0.005, 0);
    assert_true(m.high <= bound * (1 + 1e-6) && m.low >= -bound * (1 + 1e-6));
}

static void test_initialisers(void **state)
{
    struct moments m;

    (void)state;
    check_normal((struct df_initialiser){ DF_INIT_KAIMING_FAN_OUT, 0 }, sqrt(2.0 / 360));
    check_normal((struct df_initialiser){ DF_INIT_KAIMING_FAN_IN, 0 }, sqrt(2.0 / 240));
    check_normal((struct df_initialiser){ DF_INIT_NORMAL, 0.01 }, 0.01);
    check_uniform((struct df_initialiser){ DF_INIT_XAVIER_UNIFORM, 0 }, sqrt(6.0 / 600));
    check_uniform((struct df_initialiser){ DF_INIT_KAIMING_UNIFORM_1, 0 }, sqrt(3.0 / 240));
    check_uniform((struct df_initialiser){ DF_INIT_UNIFORM, 0.3 }, 0.3);

    /* fmod(N, 2): beyond two deviations the rest is left; nothing reaches 2. The variance of that, by integration, is 0.7498. */
    m = drawn((struct df_initialiser){ DF_INIT_WRAPPED_NORMAL, 1e-4 }, conv_shape, DF_CONV_WEIGHT);
    assert_true(m.high < 2e-4 && m.high > 1.95e-4 && m.low > -2e-4 && m.low < -1.95e-4);
    assert_close(m.deviation, 1e-4 * sqrt(0.7498), 0.04, 0);

    m = drawn((struct df_initialiser){ DF_INIT_CONSTANT, -4.5 }, (df_shape){ 1, 1, 1, 7 }, DF_VECTOR);
    assert_true(m.low == -4.5 && m.high == -4.5);
    m = drawn((struct df_initialiser){ DF_INIT_ONE, 3 }, (df_shape){ 1, 1, 1, 7 }, DF_VECTOR);
    assert_true(m.low == 1 && m.high == 1);
    m = drawn((struct df_initialiser){ DF_INIT_ZERO, 3 }, (df_shape){ 1, 1, 1, 7 }, DF_VECTOR);
    assert_true(m.low == 0 && m.high == 0);
}

static const struct df_initialiser normal = { DF_INIT_NORMAL, 1 };

static struct df_parameters *small(bool with_extra, uint64_t seed)
{
    struct df_parameters *parameters = df_parameters_new();

    if (with_extra)
        df_parameters_add(parameters, "extra", DF_LINEAR_WEIGHT, (df_shape){ 3, 1, 1, 7 }, normal, DF_RNG_INIT);
    df_parameters_add(parameters, "a", DF_CONV_WEIGHT, (df_shape){ 2, 3, 1, 5 }, normal, DF_RNG_INIT);
    df_parameters_add_buffer(parameters, "a.mean", 5, 0.25);
    df_parameters_add(parameters, "b", DF_VECTOR, (df_shape){ 1, 1, 1, 3 }, normal, DF_RNG_ADAPT);
    df_parameters_add_buffer(parameters, "a.var", 17, 1);
    parameters->items[parameters->count - 2]->trainable = false;
    df_parameters_build(parameters, device, seed, true);
    return parameters;
}

static void test_layout(void **state)
{
    struct df_parameters *p = small(true, 1);
    df_real *flat;

    (void)state;
    assert_int_equal(p->values, 32 + 32 + 16);
    assert_int_equal(p->buffers, 16 + 32);
    flat = df_malloc(p->values * sizeof *flat);
    df_read(device, flat, p->value, p->values * sizeof *flat);
    for (size_t i = 0; i < p->values; i++)
        assert_int_equal(flat[i] == 0, !(i < 21 || (i >= 32 && i < 62) || (i >= 64 && i < 67)));
    assert_ptr_equal(df_parameters_find(p, "b")->value, p->value + 64);
    assert_ptr_equal(df_parameters_find(p, "a")->grad, p->grad + 32);
    assert_ptr_equal(df_parameters_find(p, "a.var")->value, p->buffer + 16);
    assert_null(df_parameters_find(p, "b")->grad);      /* frozen */
    assert_null(df_parameters_find(p, "a.mean")->grad); /* a buffer */
    assert_null(df_parameters_find(p, "c"));
    assert_int_equal(df_parameters_trainable(p, 0, p->count), 21 + 30);
    assert_int_equal(df_parameters_trainable(p, 1, p->count), 30);
    df_read(device, flat, p->buffer, p->buffers * sizeof *flat);
    assert_true(flat[4] == (df_real)0.25 && flat[5] == 0 && flat[16] == 1 && flat[32] == 1 && flat[33] == 0);
    df_read(device, flat, p->moment2, p->values * sizeof *flat);
    for (size_t i = 0; i < p->values; i++)
        assert_true(flat[i] == 0);
    free(flat);
    df_parameters_free(p);
}

static void test_own_streams(void **state)
{
    struct df_parameters *one = small(false, 1), *more = small(true, 1), *other = small(false, 2);
    df_real a[30], b[30];

    (void)state;
    df_read(device, a, df_parameters_find(one, "a")->value, sizeof a);
    df_read(device, b, df_parameters_find(more, "a")->value, sizeof b);
    assert_memory_equal(a, b, sizeof a);
    df_read(device, b, df_parameters_find(other, "a")->value, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
    df_read(device, b, df_parameters_find(one, "b")->value, 3 * sizeof *b);
    assert_memory_not_equal(a, b, 3 * sizeof *a);
    df_parameters_free(one);
    df_parameters_free(more);
    df_parameters_free(other);
}

static void test_hash(void **state)
{
    struct df_parameters *one = small(false, 1), *same = small(false, 1), *more = small(true, 1);
    const uint64_t hash = df_parameters_hash(one), version = one->version;
    df_real value;

    (void)state;
    assert_true(hash == df_parameters_hash(same));
    assert_true(hash != df_parameters_hash(more));
    struct df_parameter *const changed[] = { df_parameters_find(one, "b"), df_parameters_find(one, "a.var") };

    for (size_t i = 0; i < 2; i++) {
        df_read(device, &value, changed[i]->value + 2, sizeof value);
        value += 1;
        df_write(device, changed[i]->value + 2, &value, sizeof value);
        assert_true(hash != df_parameters_hash(one));
        value -= 1;
        df_write(device, changed[i]->value + 2, &value, sizeof value);
    }
    changed[0]->name[0] = 'c';
    assert_true(hash != df_parameters_hash(one)); /* the name is part of it */
    df_parameters_touch(one);
    assert_true(one->version > version && version > 0);
    df_parameters_free(one);
    df_parameters_free(same);
    df_parameters_free(more);
    df_parameters_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_initialisers),
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_own_streams),
        cmocka_unit_test(test_hash),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
