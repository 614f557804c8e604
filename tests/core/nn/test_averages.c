/* Averaged weights: PyTorch's and TensorFlow's numbers, a closed form, the same bits on every device and every rank, and swapping. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/nn/averages.h"
#include "core/nn/optimiser.h"
#include "tests/support/ranks.h"
#include "tests/support/support.h"

enum { GOLDEN = 7, STEPS = 5, FROZEN = 333, WIDE = 2051 /* two tiles and a bit */, MOST = 5000 };

/* frozen, wide (trains), a buffer, narrow (trains) */
static struct df_parameters *network(struct df_device *device)
{
    const struct df_initialiser init = { DF_INIT_NORMAL, 1 };
    struct df_parameters *parameters = df_parameters_new();

    df_parameters_add(parameters, "frozen", DF_VECTOR, (df_shape){ 1, 1, 1, FROZEN }, init, DF_RNG_INIT)->trainable = false;
    df_parameters_add(parameters, "wide", DF_VECTOR, (df_shape){ 1, 1, 1, WIDE }, init, DF_RNG_INIT);
    df_parameters_add_buffer(parameters, "buffer", GOLDEN, 2);
    df_parameters_add(parameters, "narrow", DF_LINEAR_WEIGHT, (df_shape){ 1, 1, 1, GOLDEN }, init, DF_RNG_INIT);
    df_parameters_build(parameters, device, 3, true);
    assert_true(parameters->values <= MOST && parameters->buffers <= MOST);
    return parameters;
}

/* Of a flat vector, or of a part of one. */
static void read_some(const struct df_parameters *parameters, const df_real *from, size_t count, df_real *out)
{
    df_read(parameters->device, out, from, count * sizeof *out);
}

static void write_item(const struct df_parameters *parameters, const char *name, const df_real *values)
{
    const struct df_parameter *item = df_parameters_find(parameters, name);

    df_write(parameters->device, item->value, values, df_count(item->shape) * sizeof *values);
}

/* What a training would: other values in all that is not frozen. */
static void move(const struct df_parameters *parameters, uint64_t seed)
{
    static const char *const names[] = { "wide", "buffer", "narrow" };
    df_real values[WIDE];

    for (size_t i = 0; i < 3; i++) {
        df_test_fill(values, WIDE, 10 * seed + i, 1);
        write_item(parameters, names[i], values);
    }
}

static void row_of(const cJSON *rows, int row, df_real out[GOLDEN])
{
    for (int i = 0; i < GOLDEN; i++)
        out[i] = (df_real)cJSON_GetArrayItem(row < 0 ? rows : cJSON_GetArrayItem(rows, row), i)->valuedouble;
}

static void averages_are_pytorchs(void **state)
{
    struct df_device *device = df_test_open(df_test_device(), 1);
    struct df_parameters *parameters = network(device);
    const struct df_parameter *narrow = df_parameters_find(parameters, "narrow"), *buffer = df_parameters_find(parameters, "buffer");
    df_real values[GOLDEN], expected[GOLDEN];
    struct df_error err;
    cJSON *golden;

    (void)state;
    assert_ok(df_json_read("tests/golden/optimiser.json", &golden, &err));

    const cJSON *average = cJSON_GetObjectItem(golden, "average");
    const double decay = cJSON_GetObjectItem(average, "decay")->valuedouble;

    row_of(cJSON_GetObjectItem(golden, "initial"), -1, values);
    write_item(parameters, "narrow", values);
    write_item(parameters, "buffer", values);
    df_averages_begin(parameters);
    for (int step = 0; step < STEPS; step++) {
        row_of(cJSON_GetObjectItem(golden, "sgd"), step, values);
        write_item(parameters, "narrow", values);
        row_of(cJSON_GetObjectItem(golden, "grads"), step, values);
        write_item(parameters, "buffer", values);
        df_averages_step(parameters, decay, (size_t)step + 1);
        read_some(parameters, parameters->average + narrow->offset, GOLDEN, values);
        row_of(cJSON_GetObjectItem(average, "values"), step, expected);
        for (int i = 0; i < GOLDEN; i++)
            assert_close((double)values[i], (double)expected[i], 1e-6, 1e-6);
        read_some(parameters, parameters->average_buffer + buffer->offset, GOLDEN, values);
        row_of(cJSON_GetObjectItem(average, "buffers"), step, expected);
        for (int i = 0; i < GOLDEN; i++)
            assert_close((double)values[i], (double)expected[i], 1e-6, 1e-6);
    }
    cJSON_Delete(golden);
    df_parameters_free(parameters);
    df_device_close(device);
}

/* a_n = sum_s (1 - d_s) prod_{t>s} d_t x_s + prod_t d_t x_0, in double, over enough steps that the decay rules: 0.9 from step 80 on. */
static void averages_are_a_weighted_sum(void **state)
{
    enum { N = 120 };
    struct df_device *device = df_test_open(df_test_device(), 1);
    struct df_parameters *parameters = network(device);
    const struct df_parameter *wide = df_parameters_find(parameters, "wide");
    double sum[WIDE] = { 0 }, weights = 0;
    df_real values[WIDE];

    (void)state;
    df_averages_begin(parameters);
    for (size_t s = 0; s <= N; s++) {
        double weight = s ? 1 - fmin(0.9, (1 + (double)s) / (10 + (double)s)) : 1;

        if (s) {
            move(parameters, s);
            df_averages_step(parameters, 0.9, s);
        }
        for (size_t t = s + 1; t <= N; t++)
            weight *= fmin(0.9, (1 + (double)t) / (10 + (double)t));
        read_some(parameters, wide->value, WIDE, values);
        for (size_t i = 0; i < WIDE; i++)
            sum[i] += weight * (double)values[i];
        weights += weight;
    }
    assert_close(weights, 1, 1e-12, 0);
    read_some(parameters, parameters->average + wide->offset, WIDE, values);
    for (size_t i = 0; i < WIDE; i++)
        assert_close((double)values[i], sum[i], 0, 2e-6); /* N roundings of values up to 4, all but some ten of them forgotten */
    df_parameters_free(parameters);
    df_device_close(device);
}

/* Frozen values and the gaps equal their averages at every decay. */
static void what_stays_is_its_own_average(void **state)
{
    struct df_device *device = df_test_open(df_test_device(), 1);
    struct df_parameters *parameters = network(device);
    const struct df_parameter *frozen = df_parameters_find(parameters, "frozen"), *wide = df_parameters_find(parameters, "wide");
    df_real value[MOST], average[MOST];

    (void)state;
    df_averages_begin(parameters);
    for (size_t step = 1; step < 40; step++) {
        move(parameters, step);
        df_averages_step(parameters, 0.7, step);
        read_some(parameters, parameters->value, parameters->values, value);
        read_some(parameters, parameters->average, parameters->values, average);
        assert_memory_equal(value + frozen->offset, average + frozen->offset, FROZEN * sizeof *value);
    }
    for (size_t i = frozen->offset + FROZEN; i < wide->offset; i++)
        assert_true(average[i] == 0);
    assert_true(wide->offset > frozen->offset + FROZEN);
    assert_memory_not_equal(value + wide->offset, average + wide->offset, WIDE * sizeof *value);
    df_averages_begin(parameters); /* anew */
    read_some(parameters, parameters->average, parameters->values, average);
    assert_memory_equal(value, average, parameters->values * sizeof *value);
    df_parameters_free(parameters);
    df_device_close(device);
}

static void bits_on(const char *name, size_t threads, df_real values[MOST], df_real buffers[MOST])
{
    struct df_device *device = df_test_open(name, threads);
    struct df_parameters *parameters = network(device);

    df_averages_begin(parameters);
    for (size_t step = 1; step <= 30; step++) {
        move(parameters, step);
        df_averages_step(parameters, 0.73, step);
    }
    read_some(parameters, parameters->average, parameters->values, values);
    read_some(parameters, parameters->average_buffer, parameters->buffers, buffers);
    df_parameters_free(parameters);
    df_device_close(device);
}

static void all_devices_have_the_same_bits(void **state)
{
    const char *const names[] = { "cpu", "cpu", df_test_device() };
    df_real values[2][MOST] = { { 0 } }, buffers[2][MOST] = { { 0 } };

    (void)state;
    bits_on("ref", 1, values[0], buffers[0]);
    for (size_t i = 0; i < 3; i++) {
        bits_on(names[i], i == 1 ? 3 : 1, values[1], buffers[1]);
        assert_memory_equal(values[0], values[1], sizeof values[0]);
        assert_memory_equal(buffers[0], buffers[1], sizeof buffers[0]);
    }
}

/* Swapped, everybody sees the averages: values, buffers, items, hash. Twice, everything is as it was. */
static void swapped_twice_is_never_swapped(void **state)
{
    struct df_device *device = df_test_open(df_test_device(), 1);
    struct df_parameters *parameters = network(device);
    const struct df_parameter *wide = df_parameters_find(parameters, "wide"), *buffer = df_parameters_find(parameters, "buffer");
    df_real value[2][WIDE], average[WIDE];
    const df_real *const lies = wide->value;

    (void)state;
    const uint64_t built = parameters->version;

    df_averages_swap(parameters); /* none are kept */
    assert_true(parameters->version == built && !parameters->swapped && wide->value == lies);
    df_averages_begin(parameters);
    move(parameters, 1);
    df_averages_step(parameters, 0.9, 1);

    const uint64_t hash = df_parameters_hash(parameters), version = parameters->version;

    read_some(parameters, wide->value, WIDE, value[0]);
    read_some(parameters, parameters->average + wide->offset, WIDE, average);
    df_averages_swap(parameters);
    assert_true(parameters->swapped && parameters->version > version && df_parameters_hash(parameters) != hash);
    read_some(parameters, wide->value, WIDE, value[1]);
    assert_memory_equal(value[1], average, sizeof average);
    assert_ptr_equal(wide->value, parameters->value + wide->offset);
    assert_ptr_equal(buffer->value, parameters->buffer + buffer->offset);
    df_averages_swap(parameters);
    assert_true(!parameters->swapped && parameters->version > version + 1 && df_parameters_hash(parameters) == hash);
    assert_ptr_equal(wide->value, lies);
    read_some(parameters, wide->value, WIDE, value[1]);
    assert_memory_equal(value[0], value[1], sizeof value[0]);
    read_some(parameters, parameters->average + wide->offset, WIDE, value[1]);
    assert_memory_equal(average, value[1], sizeof average);
    df_parameters_free(parameters);
    df_device_close(device);
}

/* Each rank has gradients of its own; their sum moves the values of all. */
struct trained {
    size_t ranks;
    df_real average[2][MOST];
};

static void train(struct df_comm *comm, void *context)
{
    struct trained *trained = context;
    const size_t rank = df_comm_rank(comm);
    struct df_device *device = df_test_open("cpu", 1);
    struct df_parameters *parameters = network(device);
    const struct df_parameter *wide = df_parameters_find(parameters, "wide");
    df_real grad[2][WIDE];
    struct df_schedule schedule;

    device->comm = comm;
    df_options_standard(df_schedule_options, &schedule);
    df_averages_begin(parameters);
    for (size_t step = 1; step <= 6; step++) {
        df_test_fill(grad[0], WIDE, 2 * step, 1);
        df_test_fill(grad[1], WIDE, 2 * step + 1, 1);
        for (size_t i = 0; i < WIDE && trained->ranks == 1; i++)
            grad[0][i] += grad[1][i];
        df_parameters_zero_grad(parameters);
        df_write(device, wide->grad, grad[rank], sizeof grad[rank]);
        df_optimiser_step(parameters, &schedule, 0.1, df_gradient_norm(parameters, 0), step);
        df_averages_step(parameters, 0.4, step);
    }
    read_some(parameters, parameters->average, parameters->values, trained->average[rank]);
    df_parameters_free(parameters);
    df_device_close(device);
}

static void every_rank_has_the_same_averages(void **state)
{
    static struct trained together = { .ranks = 2 }, alone = { .ranks = 1 };

    (void)state;
    df_test_ranks(2, train, &together);
    train(NULL, &alone);
    assert_memory_equal(together.average[0], together.average[1], sizeof together.average[0]);
    assert_memory_equal(together.average[0], alone.average[0], sizeof alone.average[0]);
    assert_true(together.average[0][100] != 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(averages_are_pytorchs),          cmocka_unit_test(averages_are_a_weighted_sum),
        cmocka_unit_test(what_stays_is_its_own_average),  cmocka_unit_test(all_devices_have_the_same_bits),
        cmocka_unit_test(swapped_twice_is_never_swapped), cmocka_unit_test(every_rank_has_the_same_averages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
