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

static inline void on_conv_forward(struct df_device *device, struct df_conv_forward_args a)
{
    struct loan loan = { .device = device };

    a.x = IN(a.x, df_count(a.conv.x));
    a.w.data = IN(a.w.data, df_conv_weights(&a.conv));
    a.bias = IN(a.bias, a.conv.filters);
    a.y = OUT(a.y, df_count(df_conv_shape(&a.conv)));
    df_conv_forward(device, &a);
    take_back(&loan);
}

static inline void on_conv_backward_data(struct df_device *device, struct df_conv_backward_data_args a)
{
    struct loan loan = { .device = device };

    a.dy = IN(a.dy, df_count(df_conv_shape(&a.conv)));
    a.w.data = IN(a.w.data, df_conv_weights(&a.conv));
    a.dx = OUT(a.dx, df_count(a.conv.x));
    df_conv_backward_data(device, &a);
    take_back(&loan);
}

static inline void on_conv_backward_weights(struct df_device *device, struct df_conv_backward_weights_args a)
{
    struct loan loan = { .device = device };

    a.x = IN(a.x, df_count(a.conv.x));
    a.dy = IN(a.dy, df_count(df_conv_shape(&a.conv)));
    a.dw = OUT(a.dw, df_conv_weights(&a.conv));
    a.dbias = OUT(a.dbias, a.conv.filters);
    df_conv_backward_weights(device, &a);
    take_back(&loan);
}

static inline void on_matmul(struct df_device *device, struct df_matmul_args a)
{
    struct loan loan = { .device = device };

    a.a = IN(a.a, a.m * a.k);
    a.b.data = IN(a.b.data, a.k * a.n);
    a.c = OUT(a.c, a.m * a.n);
    df_matmul(device, &a);
    take_back(&loan);
}

static inline void on_batch_norm_forward(struct df_device *device, struct df_batch_norm_forward_args a)
{
    struct loan loan = { .device = device };
    const size_t n = df_count(a.shape), c = a.shape.c;

    a.x = IN(a.x, n);
    a.gamma = IN(a.gamma, c);
    a.beta = IN(a.beta, c);
    a.running_mean = OUT(a.running_mean, c);
    a.running_var = OUT(a.running_var, c);
    a.mean = OUT(a.mean, c);
    a.inv_std = OUT(a.inv_std, c);
    a.y = OUT(a.y, n);
    a.skip = IN(a.skip, n);
    df_batch_norm_forward(device, &a);
    take_back(&loan);
}

static inline void on_batch_norm_backward(struct df_device *device, struct df_batch_norm_backward_args a)
{
    struct loan loan = { .device = device };
    const size_t n = df_count(a.shape), c = a.shape.c;

    a.x = IN(a.x, n);
    a.y = IN(a.y, n);
    a.dy = IN(a.dy, n);
    a.gamma = IN(a.gamma, c);
    a.mean = IN(a.mean, c);
    a.inv_std = IN(a.inv_std, c);
    a.dx = OUT(a.dx, n);
    a.dgamma = OUT(a.dgamma, c);
    a.dbeta = OUT(a.dbeta, c);
    a.dskip = OUT(a.dskip, n);
    df_batch_norm_backward(device, &a);
    take_back(&loan);
}

static inline void on_max_pool_forward(struct df_device *device, struct df_max_pool_forward_args a)
{
    struct loan loan = { .device = device };
    const size_t n = df_count(df_pool_shape(&a.pool));

    a.x = IN(a.x, df_count(a.pool.x));
    a.y = OUT(a.y, n);
    a.argmax = OUT(a.argmax, n);
    df_max_pool_forward(device, &a);
    take_back(&loan);
}

static inline void on_max_pool_backward(struct df_device *device, struct df_max_pool_backward_args a)
{
    struct loan loan = { .device = device };
    const size_t n = df_count(df_pool_shape(&a.pool));

    a.dy = IN(a.dy, n);
    a.argmax = IN(a.argmax, n);
    a.dx = OUT(a.dx, df_count(a.pool.x));
    df_max_pool_backward(device, &a);
    take_back(&loan);
}

static inline void on_select_top_k(struct df_device *device, struct df_select_top_k_args a)
{
    struct loan loan = { .device = device };

    a.values = IN(a.values, a.segments * a.value_stride);
    a.index = OUT(a.index, a.segments * a.index_stride);
    df_select_top_k(device, &a);
    take_back(&loan);
}

static inline void on_select_nms(struct df_device *device, struct df_select_nms_args a)
{
    struct loan loan = { .device = device };
    const size_t n = a.segments * a.count;

    a.from = (struct df_candidates){ IN(a.from.box, n), IN(a.from.score, n), IN(a.from.group, n) };
    a.keep = OUT(a.keep, a.segments * a.most);
    df_select_nms(device, &a);
    take_back(&loan);
}
/* RUN() with operands on loan. */
#define ON(name, device, ...) on_##name((device), (struct df_##name##_args){ __VA_ARGS__ })
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
