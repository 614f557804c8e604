#include "core/device/rates.h"

#include <stdlib.h>

#include "core/base/file.h"

enum { REPEATS = 5, FIRST_SIDE = 128, LAST_SIDE = 8192 };

#define LONG_ENOUGH  4e-3 /* seconds: a launch is thousands of times shorter */
#define COPIED_BYTES ((size_t)256 << 20)

static double product_seconds(struct df_device *device, size_t side, df_real *memory)
{
    const struct df_matmul_args args = {
        .m = side, .n = side, .k = side, .a = memory, .b = { .data = memory + side * side }, .c = memory + 2 * side * side
    };

    df_sync(device);
    const double start = df_now();

    df_matmul(device, &args);
    df_sync(device);
    return df_now() - start;
}

/* Both factors: numbers in -0.5..0.5, for a card clocks higher over zeros. */
static void write_factors(struct df_device *device, size_t side, df_real *memory)
{
    const size_t n = side * side;
    df_real *host = df_malloc(n * sizeof *host);

    for (size_t i = 0; i < n; i++)
        host[i] = (df_real)(i * 37 % 101) / 101 - (df_real)0.5;
    df_write(device, memory, host, n * sizeof *host);
    df_write(device, memory + n, host, n * sizeof *host);
    free(host);
}

/* The fastest of some; the first one also chooses its algorithm. */
static double fastest_product(struct df_device *device, size_t side)
{
    df_real *memory = df_device_alloc(device, 3 * side * side * sizeof *memory);
    double fastest;

    write_factors(device, side, memory);
    fastest = product_seconds(device, side, memory);
    for (int i = 0; i < REPEATS; i++) {
        const double seconds = product_seconds(device, side, memory);

        fastest = seconds < fastest ? seconds : fastest;
    }
    df_device_free(device, memory);
    return fastest;
}

double df_device_product_gflops(struct df_device *device)
{
    double seconds = 0, best = 0;

    for (size_t side = FIRST_SIDE; side <= LAST_SIDE && seconds < LONG_ENOUGH; side *= 2) {
        seconds = fastest_product(device, side);

        const double rate = 2e-9 * (double)side * (double)side * (double)side / seconds;

        best = rate > best ? rate : best;
    }
    return best;
}

double df_device_bandwidth(struct df_device *device)
{
    char *from = df_device_alloc(device, COPIED_BYTES), *to = df_device_alloc(device, COPIED_BYTES);
    double best = 0;

    df_zero(device, from, COPIED_BYTES);
    df_zero(device, to, COPIED_BYTES);
    for (int i = 0; i < REPEATS; i++) {
        df_sync(device);
        const double start = df_now();

        df_copy(device, to, from, COPIED_BYTES);
        df_sync(device);
        const double rate = 2.0 * (double)COPIED_BYTES / (df_now() - start);

        best = rate > best ? rate : best;
    }
    df_device_free(device, from);
    df_device_free(device, to);
    return best;
}
