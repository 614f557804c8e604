/* The devices side by side: `tested` (df_test_device) is checked against `ref`. Operands are in the host's memory: on_*() below lend them to
 * a device that has its own. */
#ifndef DF_TESTS_DEVICES_H
#define DF_TESTS_DEVICES_H
#include <math.h>
#include <string.h>

#include "core/device/device.h"
#include "tests/support/support.h"

static struct df_device *ref, *tested;

static inline int open_devices(void **state)
{
    struct df_error err;

    (void)state;
    if (df_device_open("ref", &ref, &err) == DF_OK && df_device_open(df_test_device(), &tested, &err) == DF_OK)
        return 0;
    print_error("%s\n", err.text);
    return -1;
}

static inline int close_devices(void **state)
{
    (void)state;
    df_device_close(ref);
    df_device_close(tested);
    return 0;
}

static inline bool shares_memory(const struct df_device *device)
{
    return strcmp(device->ops->name, "cpu") == 0 || strcmp(device->ops->name, "ref") == 0;
}

/* n values N(0, scale) in the host's memory. */
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

/* `tested` forgets what it kept of it. */
static inline void release(void *values) { df_device_free(shares_memory(tested) ? tested : ref, values); }

/* ---- operands on loan ---- */

struct loan {
    struct df_device *device;
    size_t count;
    struct {
        void *host, *memory;
        size_t bytes;
        bool written;
    } operand[12];
};

static inline void *lend(struct loan *loan, const void *host, size_t bytes, bool written)
{
    if (!host || shares_memory(loan->device))
        return (void *)(uintptr_t)host;
    void *memory = df_device_alloc(loan->device, bytes);

    df_write(loan->device, memory, host, bytes);
    loan->operand[loan->count].host = (void *)(uintptr_t)host;
    loan->operand[loan->count].memory = memory;
    loan->operand[loan->count].bytes = bytes;
    loan->operand[loan->count++].written = written;
    return memory;
}

static inline void take_back(struct loan *loan)
{
    for (size_t i = 0; i < loan->count; i++) {
        if (loan->operand[i].written)
            df_read(loan->device, loan->operand[i].host, loan->operand[i].memory, loan->operand[i].bytes);
        df_device_free(loan->device, loan->operand[i].memory);
    }
}

/* n elements that are read (IN) or written (OUT) */
#define IN(p, n)  lend(&loan, (p), (n) * sizeof *(p), false)
#define OUT(p, n) lend(&loan, (p), (n) * sizeof *(p), true)

static inline size_t weights_of(const struct df_conv *conv) { return conv->filters * conv->kernel_h * conv->kernel_w * conv->x.c; }

static inline void on_conv_forward(struct df_device *device, const struct df_conv *conv, const df_real *x, struct df_weights w,
                                   const df_real *bias, df_real *y)
{
    struct loan loan = { .device = device };
    const struct df_weights lent = { IN(w.data, weights_of(conv)), w.version };

    df_conv_forward(device, conv, IN(x, df_count(conv->x)), lent, IN(bias, conv->filters), OUT(y, df_count(df_conv_shape(conv))));
    take_back(&loan);
}

static inline void on_conv_backward_data(struct df_device *device, const struct df_conv *conv, const df_real *dy, struct df_weights w,
                                         df_real *dx, bool add)
{
    struct loan loan = { .device = device };
    const struct df_weights lent = { IN(w.data, weights_of(conv)), w.version };

    df_conv_backward_data(device, conv, IN(dy, df_count(df_conv_shape(conv))), lent, OUT(dx, df_count(conv->x)), add);
    take_back(&loan);
}

static inline void on_conv_backward_weights(struct df_device *device, const struct df_conv *conv, const df_real *x, const df_real *dy,
                                            df_real *dw, df_real *dbias)
{
    struct loan loan = { .device = device };

    df_conv_backward_weights(device, conv, IN(x, df_count(conv->x)), IN(dy, df_count(df_conv_shape(conv))), OUT(dw, weights_of(conv)),
                             OUT(dbias, conv->filters));
    take_back(&loan);
}

static inline void on_matmul(struct df_device *device, bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, const df_real *a,
                             const df_real *b, df_real *c, bool add)
{
    struct loan loan = { .device = device };

    const struct df_matmul mm = { transpose_a, transpose_b, m, n, k, add };

    df_matmul(device, &mm, IN(a, m * k), (struct df_weights){ IN(b, k * n), 0 }, OUT(c, m * n));
    take_back(&loan);
}

static inline void on_batch_norm_forward(struct df_device *device, const struct df_batch_norm *bn, const df_real *x, const df_real *gamma,
                                         const df_real *beta, df_real *running_mean, df_real *running_var, df_real *mean, df_real *inv_std,
                                         df_real *y)
{
    struct loan loan = { .device = device };
    const size_t n = df_count(bn->x), c = bn->x.c;

    df_batch_norm_forward(device, bn, IN(x, n), IN(gamma, c), IN(beta, c), OUT(running_mean, c), OUT(running_var, c), OUT(mean, c),
                          OUT(inv_std, c), OUT(y, n));
    take_back(&loan);
}

static inline void on_batch_norm_backward(struct df_device *device, const struct df_batch_norm *bn, const df_real *x, const df_real *y,
                                          const df_real *dy, const df_real *gamma, const df_real *mean, const df_real *inv_std, df_real *dx,
                                          df_real *dgamma, df_real *dbeta)
{
    struct loan loan = { .device = device };
    const size_t n = df_count(bn->x), c = bn->x.c;

    df_batch_norm_backward(device, bn, IN(x, n), IN(y, n), IN(dy, n), IN(gamma, c), IN(mean, c), IN(inv_std, c), OUT(dx, n), OUT(dgamma, c),
                           OUT(dbeta, c));
    take_back(&loan);
}

static inline void on_max_pool_forward(struct df_device *device, const struct df_pool *pool, const df_real *x, df_real *y, uint32_t *argmax)
{
    struct loan loan = { .device = device };
    const size_t n = df_count(df_pool_shape(pool));

    df_max_pool_forward(device, pool, IN(x, df_count(pool->x)), OUT(y, n), OUT(argmax, n));
    take_back(&loan);
}

static inline void on_max_pool_backward(struct df_device *device, const struct df_pool *pool, const df_real *dy, const uint32_t *argmax,
                                        df_real *dx)
{
    struct loan loan = { .device = device };
    const size_t n = df_count(df_pool_shape(pool));

    df_max_pool_backward(device, pool, IN(dy, n), IN(argmax, n), OUT(dx, df_count(pool->x)));
    take_back(&loan);
}
#undef IN
#undef OUT

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
