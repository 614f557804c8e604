#include "core/device/open.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/text.h"
#include "core/device/isa.h"
#include "core/device/order/order.h"
#include "core/device/ref/ref.h"
#if defined DF_WITH_CUDA && !defined DF_REAL_IS_DOUBLE
#include "core/device/cuda/cuda_open.h"
#define HAS_CUDA 1
#endif

#ifndef DF_REAL_IS_DOUBLE
static df_status cpu_open(struct df_device *device, const char *options, struct df_error *err)
{
    const struct df_cpu_set *set;

    (void)options;
    DF_TRY(df_isa_choose(&set, err));
    device->ops = set->ops;
    set->open(device);
    return DF_OK;
}
#endif

static const struct {
    const char *name;
    df_status (*open)(struct df_device *device, const char *options, struct df_error *err);
    /* Devices that take options (what follows the name, from ':' or '+' on): whether they are there, and what decides their numbers. */
    df_status (*check)(const char *options, struct df_device_identity *identity, struct df_error *err);
} devices[] = {
#ifndef DF_REAL_IS_DOUBLE
    { "cpu", cpu_open, NULL },
    { "order", df_order_open, NULL },
#endif
#ifdef HAS_CUDA
    { "cuda", df_cuda_open, df_cuda_check },
#endif
    { "ref", df_ref_open, NULL },
};
enum { DEVICES = sizeof devices / sizeof devices[0] };

static df_status unknown_device(const char *name, const char *base, struct df_error *err)
{
    static const char *const names[] = { "cpu", "ref", "cuda", "order", NULL };
    const char *near = df_nearest(base, names);

    if (strcmp(base, "cuda") == 0)
        return df_fail(err, DF_ERR_UNSUPPORTED, "device '%s' is not in this build [use 'cpu', or build with 'make CUDA=1']", name);
    if (strcmp(name, "cpu") == 0)
        return df_fail(err, DF_ERR_UNSUPPORTED, "device 'cpu' computes in float and this build's element is double (use 'ref')");
    if (near && strcmp(near, base) == 0)
        return df_fail(err, DF_ERR_USAGE, "unknown device '%s': '%s' takes no options [use '%s']", name, near, near);
    return df_fail_unknown(err, "device", name, near, "expected 'cpu', 'ref' or 'cuda[:N]'");
}

/* The row of `devices` that the name means; DEVICES if there is none. */
static size_t find_device(const char *name, char base[16])
{
    const size_t length = strcspn(name, ":+");
    size_t i = 0;

    snprintf(base, 16, "%.*s", length < 16 ? (int)length : 15, name);
    while (i < DEVICES && (strcmp(base, devices[i].name) != 0 || (name[length] && !devices[i].check)))
        i++;
    return i;
}

df_status df_device_open(const char *name, struct df_device **out, struct df_error *err)
{
    char base[16];
    const size_t i = find_device(name, base);

    *out = NULL;
    if (i == DEVICES)
        return unknown_device(name, base, err);
    struct df_device *device = df_calloc(1, sizeof *device);

    device->alone = 1e6;
    const df_status status = devices[i].open(device, name + strlen(base), err);

    if (status != DF_OK) {
        free(device);
        return status;
    }
    *out = device;
    return DF_OK;
}

df_status df_device_check(const char *name, struct df_error *err)
{
    struct df_device_identity identity;
    char base[16];
    const size_t i = find_device(name, base);

    if (i == DEVICES)
        return unknown_device(name, base, err);
    return devices[i].check ? devices[i].check(name + strlen(base), &identity, err) : DF_OK;
}

struct df_device_identity df_device_identity(const char *name)
{
    struct df_device_identity identity;
    char base[16];
    const size_t i = find_device(name, base);

    const char *plus = strchr(name, '+');

    snprintf(identity.kind, sizeof identity.kind, "%.10s%.5s", base, plus ? plus : "");
    snprintf(identity.isa, sizeof identity.isa, "%s", i < DEVICES && devices[i].check ? "none" : df_device_isa());
    if (i < DEVICES && devices[i].check)
        (void)devices[i].check(name + strlen(base), &identity, NULL);
    return identity;
}

const char *df_device_names(void)
{
    static char names[64];
    size_t used = 0;

    for (size_t i = 0; i < DEVICES && used < sizeof names; i++)
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "", devices[i].name);
    return names;
}

const char *df_device_isa(void)
{
#ifndef DF_REAL_IS_DOUBLE
    const struct df_cpu_set *set;

    return df_isa_choose(&set, NULL) == DF_OK ? set->name : "none";
#else
    return "plain";
#endif
}

void df_device_describe(struct df_device *device, char *text, size_t size)
{
    if (device->ops->describe)
        device->ops->describe(device, text, size);
    else
        snprintf(text, size, "%s", df_device_isa());
}
