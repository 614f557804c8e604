/* What this machine and this build can do: the instruction set in use, and the best float GFLOP/s of one thread, measured on chains of
 * fused multiply-adds (multiply and add where there is no FMA unit) that never leave the registers. */
#include <stdio.h>
#include <stdlib.h>

#include "core/base/file.h"
#include "core/device/backend.h"
#ifndef DF_REAL_IS_DOUBLE
#include <dnnl.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { CHAINS = 12, ROUNDS = 200000, REPEATS = 7 };
typedef float work_fn(size_t rounds);

/* A seed that the compiler cannot fold. */
static volatile float peak_seed = 1.0f;

#define DEFINE_PEAK(name, isa, vector, set1, fma, reduce)                                                                                  \
    __attribute__((target(isa))) static float name(size_t rounds)                                                                          \
    {                                                                                                                                      \
        const vector factor = set1(0.999f * peak_seed), addend = set1(1e-3f);                                                              \
        vector chain[CHAINS];                                                                                                              \
                                                                                                                                           \
        for (int k = 0; k < CHAINS; k++)                                                                                                   \
            chain[k] = set1((float)k * peak_seed);                                                                                         \
        for (size_t i = 0; i < rounds; i++)                                                                                                \
            for (int k = 0; k < CHAINS; k++)                                                                                               \
                chain[k] = fma(chain[k], factor, addend);                                                                                  \
        for (int k = 1; k < CHAINS; k++)                                                                                                   \
            chain[0] += chain[k];                                                                                                          \
        return reduce(chain[0]);                                                                                                           \
    }

typedef float v4 __attribute__((vector_size(16)));
#define V4_SET(x)       ((v4){ (x), (x), (x), (x) })
#define V4_FMA(a, b, c) ((a) * (b) + (c))
#define FIRST(v)        ((v)[0])
#if defined(__x86_64__)
DEFINE_PEAK(work_avx512, "avx512f,fma", __m512, _mm512_set1_ps, _mm512_fmadd_ps, FIRST)
DEFINE_PEAK(work_avx2, "avx2,fma", __m256, _mm256_set1_ps, _mm256_fmadd_ps, FIRST)
DEFINE_PEAK(work_plain, "sse2", v4, V4_SET, V4_FMA, FIRST)
#else
static float work_plain(size_t rounds)
{
    v4 chain[CHAINS];

    for (int k = 0; k < CHAINS; k++)
        chain[k] = V4_SET((float)k * peak_seed);
    for (size_t i = 0; i < rounds; i++)
        for (int k = 0; k < CHAINS; k++)
            chain[k] = chain[k] * 0.999f + 1e-3f;
    for (int k = 1; k < CHAINS; k++)
        chain[0] += chain[k];
    return chain[0][0];
}
#endif

static double measure(work_fn *work, double lanes)
{
    double best = 0;

    peak_seed = 1.0f;
    for (int i = 0; i < REPEATS; i++) {
        const double start = df_now();

        peak_seed = work(ROUNDS) > 0 ? 1.0f : 0.5f;
        const double rate = 2.0 * lanes * CHAINS * ROUNDS / (df_now() - start) * 1e-9;

        best = rate > best ? rate : best;
    }
    return best;
}

double df_device_peak_gflops(struct df_device *device)
{
    if (device->ops->peak_gflops)
        return device->ops->peak_gflops(device);
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f"))
        return measure(work_avx512, 16);
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return measure(work_avx2, 8);
#endif
    return measure(work_plain, 4);
}

void df_device_describe(struct df_device *device, char *text, size_t size)
{
    if (device->ops->describe)
        device->ops->describe(device, text, size);
    else
        snprintf(text, size, "%s", df_device_isa());
}

const char *df_device_isa(void)
{
#ifndef DF_REAL_IS_DOUBLE
    switch (dnnl_get_effective_cpu_isa()) { /* the library's word counts: it honours its own limit (DNNL_MAX_CPU_ISA) */
    case dnnl_cpu_isa_sse41:
        return "sse4.1";
    case dnnl_cpu_isa_avx:
        return "avx";
    case dnnl_cpu_isa_avx2:
        return "avx2";
    case dnnl_cpu_isa_avx512_mic:
    case dnnl_cpu_isa_avx512_mic_4ops:
        return "avx512_mic";
    case dnnl_cpu_isa_avx512_core:
        return "avx512";
    case dnnl_cpu_isa_avx512_core_vnni:
        return "avx512_vnni";
    case dnnl_cpu_isa_avx512_core_bf16:
        return "avx512_bf16";
    case dnnl_cpu_isa_avx512_core_amx:
        return "avx512_amx";
    case dnnl_cpu_isa_avx2_vnni:
        return "avx2_vnni";
    default:
        break;
    }
#endif
#if defined(__x86_64__)
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") ? "avx512" : __builtin_cpu_supports("avx2") ? "avx2" : "x86_64";
#elif defined(__aarch64__)
    return "aarch64";
#else
    return "generic";
#endif
}
