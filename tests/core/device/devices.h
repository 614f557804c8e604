/* The devices side by side: `cpu` is checked against `ref`. */
#ifndef DF_TESTS_DEVICES_H
#define DF_TESTS_DEVICES_H
#include <math.h>
#include <string.h>

#include "core/device/device.h"
#include "tests/support/support.h"

static struct df_device *ref, *cpu;

static inline int open_devices(void **state)
{
    struct df_error err;

    (void)state;
    return df_device_open("ref", &ref, &err) != DF_OK || df_device_open("cpu", &cpu, &err) != DF_OK;
}

static inline int close_devices(void **state)
{
    (void)state;
    df_device_close(ref);
    df_device_close(cpu);
    return 0;
}

/* n values N(0, scale) in device memory (both devices are the host). */
static inline df_real *filled(size_t n, uint64_t seed, double scale)
{
    df_real *values = df_device_alloc(ref, n * sizeof *values);

    df_test_fill(values, n, seed, scale);
    return values;
}

static inline df_real *copied(const df_real *from, size_t n)
{
    df_real *values = df_device_alloc(ref, n * sizeof *values);

    df_copy(ref, values, from, n * sizeof *values);
    return values;
}

/* NaN fails. */
static inline void assert_all_close(const df_real *a, const df_real *b, size_t n, double relative, double absolute, const char *what)
{
    for (size_t i = 0; i < n; i++) {
        const double x = (double)a[i], y = (double)b[i];

        if (!(fabs(x - y) <= absolute + relative * fabs(y)))
            fail_msg("%s[%zu] = %.9g, expected %.9g (allowed %.3g + %.3g relative)", what, i, x, y, absolute, relative);
    }
}
#endif
