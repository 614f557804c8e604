#include "core/device/isa.h"
#ifndef DF_REAL_IS_DOUBLE
#include <stdlib.h>
#include <string.h>

#include "core/base/text.h"

#if defined(__x86_64__)
extern const struct df_cpu_set df_cpu_v3_set, df_cpu_v4_set;

static bool has_v3(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("bmi2");
}

static bool has_v4(void)
{
    return has_v3() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#elif defined(__aarch64__)
extern const struct df_cpu_set df_cpu_aarch64_set;
#endif
static bool has_plain(void) { return true; }

static const struct {
    const struct df_cpu_set *set;
    bool (*has)(void);
} sets[] = { /* the best first */
#if defined(__x86_64__)
             { &df_cpu_v4_set, has_v4 },
             { &df_cpu_v3_set, has_v3 },
#elif defined(__aarch64__)
             { &df_cpu_aarch64_set, has_plain }, /* NEON is part of it */
#endif
             { &df_cpu_plain_set, has_plain }
};
enum { SETS = sizeof sets / sizeof sets[0] };

const char *const *df_isa_names(void)
{
    static const char *names[SETS + 1];
    size_t n = 0;

    for (size_t i = 0; i < SETS; i++)
        if (sets[i].has())
            names[n++] = sets[i].set->name;
    names[n] = NULL;
    return names;
}

static df_status choose_by_name(const char *name, const struct df_cpu_set **out, struct df_error *err)
{
    const char *const *known = df_isa_names();
    struct df_text list = DF_TEXT_INIT;

    for (size_t i = 0; i < SETS; i++)
        if (strcmp(sets[i].set->name, name) == 0 && sets[i].has())
            *out = sets[i].set;
    if (*out)
        return DF_OK;
    for (size_t i = 0; known[i]; i++)
        df_text_addf(&list, "%s%s", i ? ", " : "", known[i]);
    df_fail(err, DF_ERR_UNSUPPORTED, "DEFEAT_ISA is '%s', expected one of what this program and this processor have: %s [or unset it]",
            name, df_text_get(&list));
    df_text_release(&list);
    return DF_ERR_UNSUPPORTED;
}

static void warn_of_plain(void)
{
    static bool warned;

    if (SETS > 1 && !warned)
        df_warn("this processor has no instruction set that this program has fast kernels for: fused multiply-adds are function calls, "
                "perhaps 100 times slower; the bits are the same");
    warned = true;
}

df_status df_isa_choose(const struct df_cpu_set **out, struct df_error *err)
{
    const char *wanted = getenv("DEFEAT_ISA");
    size_t i = 0;

    *out = NULL;
    if (wanted && *wanted)
        return choose_by_name(wanted, out, err);
    while (!sets[i].has())
        i++;
    if (sets[i].set == &df_cpu_plain_set)
        warn_of_plain();
    *out = sets[i].set;
    return DF_OK;
}
#else
typedef int df_isa_is_float_only;
#endif
