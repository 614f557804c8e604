/* Opening, memory, matrix products, flop counts and the profile, and what the machine is said to do. */
#include <stdlib.h>

#include "core/base/arena.h"
#include "core/base/file.h"
#include "core/device/rates.h"
#include "tests/core/device/devices.h"

static void test_open(void **state)
{
    struct df_device *device = ref;
    struct df_error err;

    (void)state;
    assert_fails(df_device_open("gpu", &device, &err), DF_ERR_USAGE, "unknown device 'gpu'");
    assert_null(device);
    assert_fails(df_device_open("reff", &device, &err), DF_ERR_USAGE, "did you mean 'ref'?");
#ifndef DF_WITH_CUDA
    if (strcmp(df_test_device(), "cuda") != 0)
        assert_fails(df_device_open("cuda", &device, &err), DF_ERR_UNSUPPORTED, "not in this build");
#endif
    df_device_close(NULL);
    df_device_free(tested, NULL);
}

static void test_memory(void **state)
{
    struct df_device *const devices[] = { ref, tested };

    (void)state;
    for (int d = 0; d < 2; d++) {
        const struct df_arena_source source = df_device_source(devices[d]);
        struct df_arena arena;
        char text[] = "seventeen letters", back[sizeof text];

        for (size_t bytes = 0; bytes < 300; bytes += 37) {
            char *memory = df_device_alloc(devices[d], bytes);

            assert_int_equal((uintptr_t)memory % 64, 0);
            df_zero(devices[d], memory, bytes);
            df_device_free(devices[d], memory);
        }
        df_arena_init(&arena, &source, 4096);
        char *a = df_arena_alloc(&arena, sizeof text), *b = df_arena_alloc(&arena, sizeof text);
        df_write(devices[d], a, text, sizeof text);
        df_copy(devices[d], b, a, sizeof text);
        df_zero(devices[d], a, 4);
        df_read(devices[d], back, b, sizeof text);
        assert_string_equal(back, text);
        df_read(devices[d], back, a, sizeof text);
        assert_true(back[3] == 0 && back[4] == 'n');
        df_arena_release(&arena);
    }
}

/* Pieces of many sizes come and go: each keeps its own bytes. */
static void test_pieces(void **state)
{
    enum { SLOTS = 24, MOST = 70001 };
    unsigned char *memory[SLOTS] = { NULL }, *bytes = df_malloc(MOST);
    size_t size[SLOTS] = { 0 }, value[SLOTS] = { 0 };
    struct df_rng rng;

    (void)state;
    df_rng_init(&rng, 3, DF_RNG_TEST, 0);
    for (size_t turn = 1; turn <= 400 + SLOTS; turn++) {
        const size_t slot = turn > 400 ? turn - 401 : df_rng_below(&rng, SLOTS);

        if (memory[slot]) {
            df_read(tested, bytes, memory[slot], size[slot]);
            for (size_t i = 0; i < size[slot]; i++)
                assert_int_equal(bytes[i], (unsigned char)(value[slot] + i % 13));
        }
        df_device_free(tested, memory[slot]);
        memory[slot] = NULL;
        if (turn > 400)
            continue;
        size[slot] = 1 + df_rng_below(&rng, turn % 5 ? 3000 : MOST - 1);
        value[slot] = turn;
        memory[slot] = df_device_alloc(tested, size[slot]);
        for (size_t i = 0; i < size[slot]; i++)
            bytes[i] = (unsigned char)(turn + i % 13);
        df_write(tested, memory[slot], bytes, size[slot]);
    }
    free(bytes);
}

/* More in one go than a device may stage: 19 MB, written in parts, read as a whole. */
static void test_much(void **state)
{
    const size_t count = 19000003 / sizeof(uint32_t), part = 700001;
    uint32_t *values = df_malloc(count * sizeof *values), *memory = df_device_alloc(tested, count * sizeof *memory);

    (void)state;
    for (size_t first = 0; first < count; first += part) {
        const size_t n = count - first < part ? count - first : part;

        for (size_t i = 0; i < n; i++)
            values[i] = (uint32_t)((first + i) * 2654435761u);
        df_write(tested, memory + first, values, n * sizeof *values); /* values are free again when it returns */
    }
    df_read(tested, values, memory, count * sizeof *values);
    for (size_t i = 0; i < count; i++)
        if (values[i] != (uint32_t)(i * 2654435761u))
            fail_msg("value %zu of %zu is %u", i, count, values[i]);
    df_device_free(tested, memory);
    free(values);
}

/* The double of CUDA counts how often the host has waited for something that it had sent. */
__attribute__((weak)) size_t hostcuda_event_waits(void);

/* What is sent between two readings is staged; a device that stands still for lack of room makes more of it, within a few rounds. */
static void test_running_ahead(void **state)
{
    enum { BYTES = 20000000, ROUNDS = 16 };
    char *values = df_malloc(BYTES), *memory = df_device_alloc(tested, BYTES);
    size_t waits[ROUNDS] = { 0 }, late = 0;

    (void)state;
    for (size_t round = 0; round < ROUNDS; round++) {
        const size_t before = hostcuda_event_waits ? hostcuda_event_waits() : 0;

        memset(values, (int)round + 1, BYTES);
        df_write(tested, memory, values, BYTES);
        waits[round] = hostcuda_event_waits ? hostcuda_event_waits() - before : 0;
        df_read(tested, values, memory, BYTES);
        assert_true(values[0] == (char)(round + 1) && memcmp(values, values + 1, BYTES - 1) == 0);
    }
    if (hostcuda_event_waits && strcmp(df_test_device(), "cuda") == 0)
        assert_true(waits[0] > 0);
    for (size_t round = ROUNDS / 2; round < ROUNDS; round++)
        late += waits[round];
    assert_true(late <= 2); /* either half once more, if the rounds' borders fall so */
    df_device_free(tested, memory);
    free(values);
}

static void test_matmul(void **state)
{
    const size_t sizes[][3] = { { 1, 1, 1 }, { 2, 3, 4 }, { 5, 7, 3 }, { 33, 17, 65 }, { 1, 40, 129 }, { 64, 1, 31 } };

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (int bits = 0; bits < 8; bits++) {
            const size_t m = sizes[i][0], n = sizes[i][1], k = sizes[i][2];
            df_real *a = filled(m * k, 1, 1), *b = filled(k * n, 2, 1), *c = filled(m * n, 3, 5), *d = copied(c, m * n);

            ON(matmul, ref, bits & 1, bits & 2, m, n, k, a, { b, 0 }, d, bits & 4);
            ON(matmul, tested, bits & 1, bits & 2, m, n, k, a, { b, 0 }, c, bits & 4);
            assert_all_close(c, d, m * n, 1e-6, 1e-6 + 1.2e-7 * (double)k, "c"); /* k roundings, see test_conv */
            df_real *const all[] = { a, b, c, d };
            for (int f = 0; f < 4; f++)
                release(all[f]);
        }
    /* [1 2 3; 4 5 6] times its transpose, and the transpose times it (first row) */
    const df_real a[] = { 1, 2, 3, 4, 5, 6 };
    df_real c[9];
    ON(matmul, ref, false, true, 2, 2, 3, a, { a, 0 }, c);
    assert_all_close(c, (df_real[]){ 14, 32, 32, 77 }, 4, 0, 0, "a a^T");
    ON(matmul, ref, true, false, 3, 3, 2, a, { a, 0 }, c);
    assert_all_close(c, (df_real[]){ 17, 22, 27 }, 3, 0, 0, "a^T a");
}

static const struct df_profile_entry *find_entry(const struct df_device *device, const char *name)
{
    for (size_t i = 0; i < device->profile_count; i++)
        if (strcmp(device->profile[i].name, name) == 0)
            return &device->profile[i];
    return NULL;
}

static const struct df_profile_entry *entry(const struct df_device *device, const char *name)
{
    const struct df_profile_entry *found = find_entry(device, name);

    if (!found)
        fail_msg("no entry '%s'", name);
    return found;
}

static void test_profile(void **state)
{
    const struct df_conv conv = { .x = { 1, 4, 5, 3 }, .filters = 2, .kernel_h = 3, .kernel_w = 1, .stride_h = 1, .stride_w = 2 };
    df_real *x = filled(60, 1, 1), *w = filled(18, 2, 1), *y = filled(12, 3, 1);
    const double before = tested->flops;

    (void)state;
    ON(conv_forward, tested, conv, x, (struct df_weights){ w, 1 }, NULL, y);
    assert_close(tested->flops - before, 2 * 12 * 9, 0, 0);
    df_device_profile(tested, true);
    ON(conv_forward, tested, conv, x, (struct df_weights){ w, 1 }, NULL, y);
    ON(conv_backward_weights, tested, conv, x, y, w, NULL);
    ON(matmul, tested, false, false, 2, 3, 4, x, { w, 0 }, y);
    assert_int_equal(entry(tested, "conv_forward")->calls, 1);
    assert_true(entry(tested, "conv_forward")->seconds > 0);
    assert_close(entry(tested, "conv_forward")->bytes, (60 + 18 + 12) * 4, 0, 0);
    assert_close(entry(tested, "conv_backward_weights")->flops, 2 * 12 * 9, 0, 0);
    assert_close(entry(tested, "matmul")->flops, 2 * 24, 0, 0);
    assert_int_equal(entry(tested, "conv_backward_data")->calls, 0);
    assert_close(tested->flops - before, 3 * 2 * 12 * 9 + 2 * 24, 0, 0);
    df_device_profile(tested, false);
    ON(matmul, tested, false, false, 2, 3, 4, x, { w, 0 }, y);
    assert_int_equal(entry(tested, "matmul")->calls, 0);
    release(x);
    release(w);
    release(y);
}

static void wait_ms(double ms)
{
    for (const double start = df_now(); df_now() < start + 1e-3 * ms;)
        ;
}

/* Entries inside a section, and a section inside a section, count once: the seconds of all entries are those of the outer section. */
static void test_sections(void **state)
{
    static const char *const name[] = { "host: outer", "host: inner", "matmul" };
    enum { N = 64 };
    df_real *a = filled(N * N, 1, 1), *c = filled(N * N, 2, 1);
    double whole, sum = 0, begun, inner;

    (void)state;
    begun = df_profile_begin(ref);
    df_profile_end(ref, name[0], begun);
    assert_null(find_entry(ref, name[0])); /* not profiling: no entry */
    df_device_profile(ref, true);
    const double start = df_now();
    begun = df_profile_begin(ref);
    for (int i = 0; i < 2; i++) {
        inner = df_profile_begin(ref);
        RUN(matmul, ref, .m = N, .n = N, .k = N, .a = a, .b = { a, 0 }, .c = c);
        wait_ms(4);
        df_profile_end(ref, name[1], inner);
        wait_ms(1);
    }
    df_profile_end(ref, name[0], begun);
    whole = df_now() - start;
    for (size_t i = 0; i < 3; i++)
        sum += entry(ref, name[i])->seconds;
    assert_int_equal(entry(ref, "host: outer")->calls, 1);
    assert_int_equal(entry(ref, "host: inner")->calls, 2);
    assert_true(entry(ref, "host: inner")->seconds > 7.9e-3 && entry(ref, "host: outer")->seconds > 1.9e-3);
    assert_true(sum <= whole + 1e-9);
    assert_close(sum, ref->profiled, 1e-9, 0);
    df_device_profile(ref, true);
    assert_null(find_entry(ref, name[1]));
    df_device_profile(ref, false);
    df_device_free(ref, a);
    df_device_free(ref, c);
}

static void test_machine(void **state)
{
    const double peak = df_device_peak_gflops(tested);

    (void)state;
    assert_true(strlen(df_device_isa()) > 0);
    if (shares_memory(tested))
        assert_true(peak > 1e-3 && peak < 1000); /* one thread: around 10 to 300; emulated: far less */
    else
        assert_true(peak > 0 && peak < 1e7); /* a GPU: some 1e4; its double: next to nothing */
}

/* What may move a GPU's bits is named: a row's environment is made of it. */
static void test_description(void **state)
{
    static const char *const named[] = { "sm_", "float32", "CUDA ", "driver ", " for CUDA ", "cuDNN ", "algorithms " };
    char text[256];

    (void)state;
    df_device_describe(tested, text, sizeof text);
    assert_true(text[0] && strlen(text) < sizeof text - 1);
    for (size_t i = 0; !shares_memory(tested) && i < sizeof named / sizeof *named; i++)
        if (!strstr(text, named[i]))
            fail_msg("'%s' names no '%s'", text, named[i]);
}

/* A factor of 1000 from what any machine does: a unit that is wrong is seen. A product's flops are counted, as those of steps are. */
static void test_rates(void **state)
{
    const double flops = tested->flops, products = df_device_product_gflops(tested), bandwidth = df_device_bandwidth(tested);

    (void)state;
    assert_true(products > 1e-4 && products < 1e7);
    assert_true(bandwidth > 1e8 && bandwidth < 1e14); /* bytes a second */
    assert_true(tested->flops - flops >= 6 * 2.0 * 128 * 128 * 128);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open),          cmocka_unit_test(test_memory),   cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_running_ahead), cmocka_unit_test(test_much),     cmocka_unit_test(test_matmul),
        cmocka_unit_test(test_profile),       cmocka_unit_test(test_sections), cmocka_unit_test(test_machine),
        cmocka_unit_test(test_description),   cmocka_unit_test(test_rates),
    };

    return cmocka_run_group_tests(tests, open_devices, close_devices);
}
