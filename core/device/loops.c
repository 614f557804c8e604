/* The launch of the host devices: one loop per kernel. The arguments are copied to a local whose address never leaves the inlined body, and
 * no index may touch what another writes (kernels.h), so the loops vectorise without changing a bit. */
#include "core/device/backend.h"

#if defined(__GNUC__) && !defined(__clang__)
#define INDEPENDENT _Pragma("GCC ivdep")
#else
#define INDEPENDENT
#endif

typedef void loop_fn(size_t n, const void *args);

#define LOOP(ENUM, name)                                                                                                                   \
    static void loop_##name(size_t n, const void *args)                                                                                    \
    {                                                                                                                                      \
        const struct df_##name##_args local = *(const struct df_##name##_args *)args;                                                      \
                                                                                                                                           \
        INDEPENDENT                                                                                                                        \
        for (size_t i = 0; i < n; i++)                                                                                                     \
            df_k_##name(i, &local);                                                                                                        \
    }
DF_KERNELS(LOOP)

static const struct {
    loop_fn *loop;
    const char *name;
} kernels[DF_KERNEL_COUNT + 1] = {
#define ROW(ENUM, name) [DF_K_##ENUM] = { loop_##name, #name },
    DF_KERNELS(ROW)[DF_KERNEL_COUNT] = { NULL, NULL },
};

void df_loop_launch(struct df_device *device, enum df_kernel kernel, size_t n, const void *args)
{
    (void)device;
    DF_ASSERT((unsigned)kernel < DF_KERNEL_COUNT);
    kernels[kernel].loop(n, args);
}

const char *df_kernel_name(enum df_kernel kernel) { return kernels[kernel].name; }
