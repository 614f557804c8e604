/* The instruction sets that `cpu` is compiled for, and which of them this processor is served with. The same bits from each. */
#ifndef DF_CORE_DEVICE_ISA_H
#define DF_CORE_DEVICE_ISA_H
#include "core/device/device.h"

struct df_cpu_set {
    const char *name; /* "v3" (AVX2, FMA), "v4" (AVX-512), "aarch64", "plain" (C alone: fused multiply-adds are calls) */
    const struct df_device_ops *ops;
    void (*open)(struct df_device *device); /* makes its state */
};
extern const struct df_cpu_set df_cpu_plain_set;

/* The best set that the processor has, or the one that the environment variable DEFEAT_ISA names: an error where that one is unknown or the
 * processor lacks it. Where nothing better than "plain" is there, a warning says so, once. */
df_status df_isa_choose(const struct df_cpu_set **out, struct df_error *err);
const char *const *df_isa_names(void); /* of this build that the processor has, the best first; NULL ends */
#endif
