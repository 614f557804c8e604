/* The kernels of kernels.h as loops over a range of their index, for a device that is the host: static, so that every instruction set has its own. The
 * arguments are copied to a local whose address never leaves the inlined body, and no index may touch what another writes (kernels.h), so
 * the loops vectorise without changing a bit. */
#ifndef DF_CORE_DEVICE_LOOPS_H
#define DF_CORE_DEVICE_LOOPS_H
#include "core/device/kernels.h"

#if defined(__GNUC__) && !defined(__clang__)
#define DF_INDEPENDENT _Pragma("GCC ivdep")
#else
#define DF_INDEPENDENT
#endif

typedef void df_loop_fn(size_t first, size_t last, const void *args);

#define DF_LOOP(ENUM, name)                                                                                                                \
    static void loop_##name(size_t first, size_t last, const void *args)                                                                   \
    {                                                                                                                                      \
        const struct df_##name##_args local = *(const struct df_##name##_args *)args;                                                      \
                                                                                                                                           \
        DF_INDEPENDENT                                                                                                                     \
        for (size_t i = first; i < last; i++)                                                                                              \
            df_k_##name(i, &local);                                                                                                        \
    }
DF_KERNELS(DF_LOOP)

static df_loop_fn *const df_loops[DF_KERNEL_COUNT] = {
#define DF_LOOP_ROW(ENUM, name) [DF_K_##ENUM] = loop_##name,
    DF_KERNELS(DF_LOOP_ROW)
};
#endif
