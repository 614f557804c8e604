/* Sums have one definition and two forms: what a GPU's lanes and threads add up (here one lane, a thread after the other) is what the host's
 * kernel adds up in an order of its own. Down the rows the order is the same, too, and so are the bits. */
#include <string.h>

#include "core/device/kernels.h"
#include "tests/support/support.h"

enum { MOST = 6000 };
static df_real x[MOST], other[MOST];

/* The terms are drawn about 0: their sum may be small against their sizes, which `size` adds up. */
static void assert_same_sum(double host, double lanes, double size) { assert_close(host, lanes, 0, 1e-14 * size); }

static void runs(void **state)
{
    (void)state;
    for (size_t run = 1; run < 70; run++) {
        double host[MOST], lanes[MOST];
        struct df_reduce_runs_args a = { .x = x, .keep = { 2, 3 }, .keep_step = { 400, 100 }, .outer = 2, .outer_step = 1000 };
        const size_t n = 2 * 3 * 2 * (a.chunks = (run + 19) / 20);

        a.run = run;
        a.chunk = 20;
        for (size_t i = 0; i < n; i++) {
            a.partial = host;
            df_k_reduce_runs(i, &a);
            a.partial = lanes;
            df_store_reduce_runs(i, &a, df_share_reduce_runs(i, &a));
            assert_same_sum(host[i], lanes[i], 20);
        }
    }
}

static void squares(void **state)
{
    (void)state;
    for (size_t count = 2 * DF_OPTIM_TILE - 9; count < 2 * DF_OPTIM_TILE + 9; count++)
        for (size_t i = 0; i < df_optim_tiles(count); i++) {
            double host[3], lanes[3];
            struct df_optim_squares_args a = { .grad = x, .count = count, .partial = host };

            df_k_optim_squares(i, &a);
            a.partial = lanes;
            df_store_optim_squares(i, &a, df_share_optim_squares(i, &a));
            assert_true(host[i] > 0);
            assert_same_sum(host[i], lanes[i], lanes[i]);
        }
}

static void masked_pixels(void **state)
{
    static const df_real m[] = { 1, 0, 0.25F };

    (void)state;
    for (size_t channels = 1; channels < 40; channels++)
        for (size_t i = 0; i < 3; i++) {
            double host[3], lanes[3];
            struct df_masked_mse_args a = { .s = x, .t = other, .m = m, .channels = channels, .teacher_scale = 1.5, .partial = host };

            df_k_masked_mse(i, &a);
            a.partial = lanes;
            df_store_masked_mse(i, &a, df_share_masked_mse(i, &a));
            assert_true(i == 1 ? host[i] == 0 : host[i] > 0);
            assert_same_sum(host[i], lanes[i], lanes[i]);
        }
}

static void weighted_pixels(void **state)
{
    static const df_real cell[] = { 1, 0.5F, 0.25F };

    (void)state;
    for (size_t channels = 1; channels < 40; channels++)
        for (size_t i = 0; i < 3; i++) {
            double host[3], lanes[3];
            struct df_squared_error_args a = { .s = x, .t = other, .cell = i ? cell : NULL, .channels = channels, .image = 2 };

            a.channel = channels % 2 ? other : NULL;
            a.partial = host;
            df_k_squared_error(i, &a);
            a.partial = lanes;
            df_store_squared_error(i, &a, df_share_squared_error(i, &a));
            assert_true(host[i] != 0);
            assert_same_sum(host[i], lanes[i], fabs(lanes[i]) + 20);
        }
}

static void rows(void **state)
{
    (void)state;
    for (size_t width = 1; width < 20; width++) {
        double host[MOST], columns[MOST];
        struct df_reduce_rows_args a = {
            .x = x, .keep_step = 2, .size = { 7, 5 }, .step = { 500, 90 }, .width = width, .chunk = 9, .chunks = 4
        };

        for (size_t i = 0; i < 8; i++) {
            a.partial = host;
            df_k_reduce_rows(i, &a);
            a.partial = columns;
            for (size_t c = 0; c < width; c++)
                df_column_reduce_rows(i, c, &a);
        }
        assert_memory_equal(host, columns, 8 * width * sizeof *host);
    }
}

static void channels(void **state)
{
    static const double mean[20] = { 0.5, -0.25, 0.125 };

    (void)state;
    for (int mode = 0; mode < 4; mode++)
        for (size_t width = 1; width < 20; width++) {
            double host[2][80] = { { 0 } }, columns[2][80] = { { 0 } };
            struct df_channel_sums_args a = { .u = x, .v = mode & 1 ? other : NULL, .mean = mean, .rows = 29, .chunk = 9 };

            a.channels = width;
            a.square = mode & 2;
            for (size_t i = 0; i < 4; i++) {
                a.sum_u = host[0];
                a.sum_uv = host[1];
                df_k_channel_sums(i, &a);
                a.sum_u = columns[0];
                a.sum_uv = columns[1];
                for (size_t c = 0; c < width; c++)
                    df_column_channel_sums(i, c, &a);
            }
            assert_memory_equal(host, columns, sizeof host);
        }
}

static void cells(void **state)
{
    (void)state;
    for (size_t width = 1; width < 20; width++) {
        double host[2][120], columns[2][120];
        struct df_cells_log_sum_args a = { .x = x, .cells = 23, .channels = width, .chunk = 9, .chunks = 3, .cold = 0.4 };

        for (size_t i = 0; i < 6; i++) {
            a.largest = host[0];
            a.sum = host[1];
            df_k_cells_log_sum(i, &a);
            a.largest = columns[0];
            a.sum = columns[1];
            for (size_t c = 0; c < width; c++)
                df_column_cells_log_sum(i, c, &a);
        }
        assert_memory_equal(host[0], columns[0], 6 * width * sizeof **host);
        assert_memory_equal(host[1], columns[1], 6 * width * sizeof **host);
    }
}

static void cells_kl(void **state)
{
    static double log_sum[40];
    static df_real d[2][3 * 40];

    (void)state;
    for (size_t c = 0; c < 40; c++)
        log_sum[c] = 2 + (double)c / 20;
    for (size_t width = 1; width < 20; width++)
        for (size_t i = 0; i < 3; i++) {
            double host[3], lanes[3];
            struct df_cells_kl_args a = { .s = x, .t = other, .cells = 2, .channels = width, .temperature = 1.5, .partial = host };

            a.s_log_sum = log_sum;
            a.t_log_sum = log_sum + 1;
            a.d = d[0];
            df_k_cells_kl(i, &a);
            a.partial = lanes;
            a.d = d[1];
            df_store_cells_kl(i, &a, df_share_cells_kl(i, &a));
            assert_same_sum(host[i], lanes[i], (double)width);
            assert_memory_equal(d[0] + i * width, d[1] + i * width, width * sizeof **d);
        }
}

static void correlations(void **state)
{
    static const double means[40] = { 0.5, -0.25, 0.125 };
    static const uint8_t use[29] = { 1, 1, 0, 1, 0, 1, 1, 1, 1, 0, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1, 0, 1, 1 };

    (void)state;
    for (int centred = 0; centred < 2; centred++)
        for (size_t width = 1; width < 20; width++) {
            double host[3 * 4 * 20] = { 0 }, columns[3 * 4 * 20] = { 0 };
            struct df_pearson_sums_args a = { .x = x, .t = other, .use = use, .rows = 29, .chunk = 9, .chunks = 4, .width = width };

            a.means = centred ? means : NULL;
            for (size_t i = 0; i < 4; i++) {
                a.partial = host;
                df_k_pearson_sums(i, &a);
                a.partial = columns;
                for (size_t c = 0; c < width; c++)
                    df_column_pearson_sums(i, c, &a);
            }
            assert_true(host[0] != 0);
            assert_memory_equal(host, columns, sizeof host);
        }
}

static int fill(void **state)
{
    (void)state;
    df_test_fill(x, MOST, 1, 1);
    df_test_fill(other, MOST, 2, 1);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(runs),          cmocka_unit_test(squares),
                                        cmocka_unit_test(masked_pixels), cmocka_unit_test(weighted_pixels),
                                        cmocka_unit_test(rows),          cmocka_unit_test(channels),
                                        cmocka_unit_test(cells),         cmocka_unit_test(cells_kl),
                                        cmocka_unit_test(correlations) };

    return cmocka_run_group_tests(tests, fill, NULL);
}
