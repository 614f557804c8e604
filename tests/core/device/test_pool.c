/* Max pooling: by hand with padding, ties and NaN; `cpu` (or another device) gives the same bits as `ref`. */
#include "tests/core/device/devices.h"

/* 3x4, kernel 3, stride 2, padding 1: windows are rows 0-1 and 1-2, columns 0-1 and 1-3. All negative: a padded 0 would win. */
static void hand(struct df_device *device)
{
    const struct df_pool pool = { .x = { 1, 3, 4, 1 }, .kernel = 3, .stride = 2, .pad = 1 };
    const df_real x[] = { -5, -7, -7, -9, -6, -5, -4, -4, -8, -5, -9, -3 };
    const uint32_t expected[] = { 0, 6, 5, 11 }; /* ties: 0 and 5 -> 0; 6 and 7 -> 6; 5 and 9 -> 5 */
    df_real y[4], dx[12] = { 1, 0, 0, 0, 0, 2 };
    uint32_t argmax[4];

    assert_true(df_same_shape(df_pool_shape(&pool), (df_shape){ 1, 2, 2, 1 }));
    ON(max_pool_forward, device, pool, x, y, argmax);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(argmax[i], expected[i]);
        assert_true(y[i] == x[expected[i]]);
    }
    ON(max_pool_backward, device, pool, (df_real[]){ 10, 20, 30, 40 }, argmax, dx);
    assert_all_close(dx, (df_real[]){ 11, 0, 0, 0, 0, 32, 20, 0, 0, 0, 0, 40 }, 12, 0, 0, "dx");
}

static void test_by_hand(void **state)
{
    (void)state;
    hand(ref);
    hand(tested);
}

static void test_against_ref(void **state)
{
    const struct df_pool pools[] = {
        { { 2, 9, 11, 5 }, 3, 2, 1 },  { { 1, 8, 7, 16 }, 2, 2, 0 }, { { 3, 6, 10, 19 }, 1, 2, 0 },
        { { 1, 12, 13, 3 }, 5, 3, 2 }, { { 2, 7, 5, 8 }, 3, 1, 1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof pools / sizeof pools[0]; i++) {
        const size_t nx = df_count(pools[i].x), ny = df_count(df_pool_shape(&pools[i]));
        df_real *x = filled(nx, 1, 2), *dy = filled(ny, 2, 1), *a = filled(ny, 3, 1), *b = filled(ny, 4, 1), *da = filled(nx, 5, 1);
        df_real *db = copied(da, nx);
        uint32_t *arg_a = df_device_alloc(ref, ny * sizeof *arg_a), *arg_b = df_device_alloc(ref, ny * sizeof *arg_b);

        for (size_t k = 0; k < nx; k++)
            x[k] = k % 97 == 5 ? (df_real)NAN : k % 89 == 7 ? (df_real)-INFINITY : rintf(x[k]); /* whole numbers: many ties */
        ON(max_pool_forward, ref, pools[i], x, b, arg_b);
        ON(max_pool_forward, tested, pools[i], x, a, arg_a);
        assert_memory_equal(a, b, ny * sizeof *a);
        assert_memory_equal(arg_a, arg_b, ny * sizeof *arg_a);
        ON(max_pool_backward, ref, pools[i], dy, arg_b, db);
        ON(max_pool_backward, tested, pools[i], dy, arg_a, da);
        assert_memory_equal(da, db, nx * sizeof *da);
        void *const all[] = { x, dy, a, b, da, db, arg_a, arg_b };
        for (size_t k = 0; k < sizeof all / sizeof all[0]; k++)
            release(all[k]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_by_hand), cmocka_unit_test(test_against_ref) };

    return cmocka_run_group_tests(tests, open_devices, close_devices);
}
