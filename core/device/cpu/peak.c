/* The best float GFLOP/s of one thread with this set, measured on chains of fused multiply-adds that never leave the registers. */
#include "core/base/file.h"
#include "core/device/cpu/cpu.h"
#include "core/device/cpu/vector.h"

enum { CHAINS = 12, ROUNDS = V == 1 ? 20000 : 200000, REPEATS = 7 };

static volatile float seed = 1.0f; /* the compiler must not know it */

static float work(void)
{
    const vf factor = v_set(0.999f * seed), addend = v_set(1e-3f);
    vf chain[CHAINS];
    float lane[V];

    UNROLL(12)
    for (int k = 0; k < CHAINS; k++)
        chain[k] = v_set((float)k * seed);
    for (size_t i = 0; i < ROUNDS; i++) {
        UNROLL(12)
        for (int k = 0; k < CHAINS; k++)
            chain[k] = v_fma(chain[k], factor, addend);
    }
    for (int k = 1; k < CHAINS; k++)
        chain[0] = v_add(chain[0], chain[k]);
    v_store(lane, chain[0]);
    return lane[0];
}

double CPU(peak_gflops)(struct df_device *device)
{
    double best = 0;

    (void)device;
    seed = 1.0f;
    for (int i = 0; i < REPEATS; i++) {
        const double start = df_now();

        seed = work() > 0 ? 1.0f : 0.5f;
        const double rate = 2.0 * V * CHAINS * ROUNDS / (df_now() - start) * 1e-9;

        best = rate > best ? rate : best;
    }
    return best;
}
