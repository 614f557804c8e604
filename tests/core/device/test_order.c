/* Every instruction set of this machine, with 1, 2 and 4 threads, computes convolutions and products to the last bit as `order` does, over drawn
 * geometries; and it touches nothing but its operands: an unreadable page lies before and behind each. DEFEAT_TEST_GEOMETRIES: how many. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/base/rng.h"
#include "core/device/isa.h"
#include "core/device/order/order.h"
#include "tests/support/support.h"

enum { SETS = 3, TEAMS = 3, DEVICES = SETS * TEAMS, GUARDS = 16 };

static struct df_device *order, *device[DEVICES];
static char name[DEVICES][32];
static size_t devices;

static int open_devices(void **state)
{
    static const size_t threads[TEAMS] = { 1, 2, 4 };
    const char *const *isa = df_isa_names();
    const char *asked = getenv("DEFEAT_ISA");
    char *before = asked ? df_strdup(asked) : NULL;
    struct df_error err;

    (void)state;
    assert_ok(df_device_open("order", &order, &err));
    for (size_t i = 0; isa[i]; i++) {
        setenv("DEFEAT_ISA", isa[i], 1);
        for (size_t t = 0; t < TEAMS; t++) {
            snprintf(name[devices], sizeof name[0], "%s, %zu threads", isa[i], threads[t]);
            device[devices++] = df_test_open("cpu", threads[t]);
        }
    }
    unsetenv("DEFEAT_ISA");
    if (before)
        setenv("DEFEAT_ISA", before, 1);
    free(before);
    return 0;
}

static int close_devices(void **state)
{
    (void)state;
    for (size_t i = 0; i < devices; i++)
        df_device_close(device[i]);
    df_device_close(order);
    return 0;
}

/* ---- operands between unreadable pages ---- */

static struct guard {
    char *pages;
    size_t bytes;
} guard[GUARDS];
static size_t guards;

/* `at_end`: its last byte is the last before the page behind; else its first is the first after the page before. */
static float *guarded(size_t count, bool at_end)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = count * sizeof(float), room = (bytes + page - 1) / page * page;
    struct guard *g = &guard[guards++];

    assert_true(guards <= GUARDS);
    g->bytes = room + 2 * page;
    g->pages = mmap(NULL, g->bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(g->pages != MAP_FAILED);
    assert_int_equal(mprotect(g->pages + page, room, PROT_READ | PROT_WRITE), 0);
    return (float *)(g->pages + page + (at_end ? room - bytes : 0));
}

static void release_guarded(void)
{
    while (guards) {
        guards--;
        munmap(guard[guards].pages, guard[guards].bytes);
    }
}

static uint64_t draws;
static size_t pick(size_t from, size_t to)
{
    struct df_rng rng;

    df_rng_init(&rng, 2026, DF_RNG_TEST, draws++);
    return from + df_rng_below(&rng, (uint32_t)(to - from + 1));
}

static double scale = 1; /* of what is drawn */

static float *filled(size_t count, bool at_end)
{
    float *values = guarded(count, at_end);

    df_test_fill(values, count, draws++, scale);
    for (size_t i = pick(0, 15); i < count; i += 16) /* zeros of both signs are values too */
        values[i] = i & 1 ? -0.0f : 0.0f;
    return values;
}

static float *copied(const float *from, size_t count, bool at_end) { return memcpy(guarded(count, at_end), from, count * sizeof *from); }

static void assert_same(const float *a, const float *expected, size_t count, const char *what, size_t d, const struct df_conv *c)
{
    if (memcmp(a, expected, count * sizeof *a) == 0)
        return;
    size_t i = 0;

    while (memcmp(a + i, expected + i, sizeof *a) == 0)
        i++;
    fail_msg(
        "%s on %s: element %zu of %zu is %a, expected %a (x %zux%zux%zux%zu, %zu filters, kernel %zux%zu, stride %zux%zu, pad %zux%zu%s)",
        what, name[d], i, count, (double)a[i], (double)expected[i], c->x.n, c->x.h, c->x.w, c->x.c, c->filters, c->kernel_h, c->kernel_w,
        c->stride_h, c->stride_w, c->pad_h, c->pad_w, c->relu ? ", relu" : "");
}

/* ---- drawn geometries ---- */

static struct df_conv draw_conv(void)
{
    const size_t kind = pick(0, 7);
    struct df_conv c;

    do {
        c = (struct df_conv){ .x = { pick(1, 4), pick(1, 20), pick(1, 20), pick(0, 3) ? pick(1, 40) : pick(1, 9) },
                              .filters = pick(1, 40),
                              .kernel_h = pick(1, 5),
                              .kernel_w = pick(1, 5),
                              .stride_h = pick(1, 3),
                              .stride_w = pick(1, 3),
                              .pad_h = pick(0, 3),
                              .pad_w = pick(0, 3),
                              .relu = pick(0, 1) };
        if (kind < 3) { /* what networks have */
            c.kernel_h = c.kernel_w = kind == 0 ? 3 : kind == 1 ? 1 : 7;
            c.pad_h = c.pad_w = c.kernel_h / 2;
            c.stride_h = c.stride_w = pick(1, 2);
            c.x.c = kind == 2 ? 3 : 8 * pick(1, 6);
            c.filters = 4 * pick(1, 12);
        }
        if (kind == 3) /* several blocks of pixels; enough work for threads; groups of images that are not whole */
            c.x = (df_shape){ pick(1, 5), pick(30, 50), pick(30, 50), pick(1, 20) };
        if (kind == 4) { /* chains of several blocks */
            c.x = (df_shape){ 1, pick(1, 4), pick(1, 4), pick(400, 1500) };
            c.filters = pick(1, 12);
        }
    } while (c.x.h + 2 * c.pad_h < c.kernel_h || c.x.w + 2 * c.pad_w < c.kernel_w ||
             (double)(c.x.n * c.x.h * c.x.w * c.x.c) * (double)(c.filters * c.kernel_h * c.kernel_w) > 1e6);
    return c;
}

static void check_forward(const struct df_conv *c, bool at_end)
{
    const size_t nx = df_count(c->x), ny = df_count(df_conv_shape(c)), nw = df_conv_weights(c);
    const struct df_weights w = { filled(nw, at_end), 0 };
    const float *x = filled(nx, at_end), *bias = pick(0, 1) ? filled(c->filters, at_end) : NULL;
    float *y = guarded(ny, at_end), *expected = guarded(ny, at_end);

    RUN(conv_forward, order, *c, x, w, bias, expected);
    for (size_t d = 0; d < devices; d++) {
        memset(y, 0xff, ny * sizeof *y);
        RUN(conv_forward, device[d], *c, x, w, bias, y);
        assert_same(y, expected, ny, "forward", d, c);
    }
    release_guarded();
}

static void check_data(const struct df_conv *c, bool at_end)
{
    const size_t nx = df_count(c->x), ny = df_count(df_conv_shape(c)), nw = df_conv_weights(c);
    const struct df_weights w = { filled(nw, at_end), 0 };
    const float *dy = filled(ny, at_end), *there = filled(nx, at_end);
    const bool add = pick(0, 1);
    float *dx = guarded(nx, at_end), *expected = copied(there, nx, at_end);

    RUN(conv_backward_data, order, *c, dy, w, expected, add);
    for (size_t d = 0; d < devices; d++) {
        memcpy(dx, there, nx * sizeof *dx);
        RUN(conv_backward_data, device[d], *c, dy, w, dx, add);
        assert_same(dx, expected, nx, add ? "added data gradient" : "data gradient", d, c);
    }
    release_guarded();
}

static void check_weights(const struct df_conv *c, bool at_end)
{
    const size_t nx = df_count(c->x), ny = df_count(df_conv_shape(c)), nw = df_conv_weights(c);
    const float *x = filled(nx, at_end), *dy = filled(ny, at_end), *there = filled(nw, at_end), *bias = filled(c->filters, at_end);
    float *dw = guarded(nw, at_end), *expected = copied(there, nw, at_end);
    float *dbias = guarded(c->filters, at_end), *expected_bias = copied(bias, c->filters, at_end);

    RUN(conv_backward_weights, order, *c, x, dy, expected, expected_bias);
    for (size_t d = 0; d < devices; d++) {
        memcpy(dw, there, nw * sizeof *dw);
        memcpy(dbias, bias, c->filters * sizeof *dbias);
        RUN(conv_backward_weights, device[d], *c, x, dy, dw, dbias);
        assert_same(dw, expected, nw, "weights' gradient", d, c);
        assert_same(dbias, expected_bias, c->filters, "bias's gradient", d, c);
    }
    release_guarded();
}

static size_t geometries(void)
{
    const char *wanted = getenv("DEFEAT_TEST_GEOMETRIES");

    return wanted ? strtoull(wanted, NULL, 10) : 600;
}

static void test_convolutions(void **state)
{
    (void)state;
    for (size_t g = 0; g < geometries(); g++) {
        const struct df_conv conv = draw_conv();

        scale = pick(0, 7) ? 1 : 1e-23; /* sums of denormals, and zeros whose sign is that of a product too small */

        check_forward(&conv, g & 1);
        check_data(&conv, g & 1);
        check_weights(&conv, g & 1);
    }
    scale = 1;
}

static void test_products(void **state)
{
    (void)state;
    for (size_t g = 0; g < geometries(); g++) {
        struct df_matmul_args mm = { pick(0, 1),       pick(0, 1), pick(1, 60), pick(1, 60), g % 5 ? pick(1, 60) : pick(500, 9000),
                                     .add = pick(0, 1) };
        const struct df_conv as_conv = { .x = { 1, 1, mm.k, mm.n }, .filters = mm.m }; /* for the message */
        const bool at_end = g & 1;
        const float *there = filled(mm.m * mm.n, at_end);
        float *c = guarded(mm.m * mm.n, at_end), *expected = copied(there, mm.m * mm.n, at_end);

        mm.a = filled(mm.m * mm.k, at_end);
        mm.b.data = filled(mm.k * mm.n, at_end);
        if ((double)mm.m * (double)mm.n * (double)mm.k < 4e6) {
            mm.c = expected;
            df_matmul(order, &mm);
            mm.c = c;
            for (size_t d = 0; d < devices; d++) {
                memcpy(c, there, mm.m * mm.n * sizeof *c);
                df_matmul(device[d], &mm);
                assert_same(c, expected, mm.m * mm.n, "product", d, &as_conv);
            }
        }
        release_guarded();
    }
}

/* The order itself, by hand: values whose sum depends on it. */
static void test_written_order(void **state)
{
    enum { TERMS = 2 * DF_CHAIN_TERMS };
    const struct df_conv chain = { .x = { 1, 1, 1, TERMS }, .filters = 1, .kernel_h = 1, .kernel_w = 1, .stride_h = 1, .stride_w = 1 };
    const struct df_conv pixels = {
        .x = { 1, 1, 2 * DF_BLOCK_PIXELS, 1 }, .filters = 1, .kernel_h = 1, .kernel_w = 1, .stride_h = 1, .stride_w = 1
    };
    float *x = df_calloc(TERMS, sizeof *x), *one = df_calloc(TERMS, sizeof *one), y = 0;

    (void)state;
    for (size_t i = 0; i < TERMS; i++)
        one[i] = 1;
    /* 2^24 + 1 + ... + 1 stays 2^24, the next block's 4096 ones are added whole */
    x[0] = 0x1p24f;
    for (size_t i = 1; i < TERMS; i++)
        x[i] = 1;
    RUN(conv_forward, order, chain, x, (struct df_weights){ one, 0 }, NULL, &y);
    assert_true(y == 0x1p24f + DF_CHAIN_TERMS);
    y = 0;
    RUN(conv_backward_weights, order, pixels, x, one, &y, NULL);
    assert_true(y == 0x1p24f + DF_BLOCK_PIXELS);
    /* a fused multiply-add rounds once: (1 + e)(1 - e) - 1 = -e^2 */
    const float a[] = { -1, 1 + 0x1p-12f }, b[] = { 1, 1 - 0x1p-12f };

    RUN(matmul, order, .transpose_b = true, .m = 1, .n = 1, .k = 2, .a = a, .b = { b, 0 }, .c = &y);
    assert_true(y == -0x1p-24f);
    free(x);
    free(one);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_convolutions), cmocka_unit_test(test_products),
                                        cmocka_unit_test(test_written_order) };

    return cmocka_run_group_tests(tests, open_devices, close_devices);
}
