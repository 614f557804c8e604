/* A device: memory and compute primitives behind one table. `ref` is naive and short, in any precision: the oracle of values. `cpu` (float
 * only) is fast, and compiled once per instruction set, which all give the same bits: those of `order`, the oracle of bits
 * (core/device/order/order.h is the order of their sums). A kernel that is a formula per element, pixel or row is written once, in kernels*.h, and
 * looped here (launched by a GPU). Data belongs to its device: only the device's kernels touch it, a host copy is made by df_read.
 * Nothing here fails: shapes are asserted; what can be wrong (an unknown device) fails in df_device_open (core/device/open.h).
 * All kernels are bitwise repeatable: same shapes and inputs, same bits. */
#ifndef DF_CORE_DEVICE_DEVICE_H
#define DF_CORE_DEVICE_DEVICE_H
#include <string.h>

#include "core/base/arena.h"
#include "core/base/comm.h"
#include "core/base/real.h"
#include "core/base/status.h"
#include "core/device/primitives.h" /* and kernels.h: what there is to compute, and the argument structs */

struct df_device_ops {
    const char *name;
    bool runs_behind; /* the host runs ahead of it, and waits where it reads */
    bool hollow;      /* it counts and computes nothing: what is read from it is zeros */
    void (*close)(struct df_device *device);
    void *(*alloc)(struct df_device *device, size_t bytes); /* 64-byte aligned, uninitialised */
    void (*free)(struct df_device *device, void *memory);   /* also forgets reordered weights that lay in it */
    void (*write)(struct df_device *device, void *to, const void *from_host, size_t bytes);
    void (*read)(struct df_device *device, void *to_host, const void *from, size_t bytes);
    void (*copy)(struct df_device *device, void *to, const void *from, size_t bytes);
    void (*zero)(struct df_device *device, void *memory, size_t bytes);
    void (*sync)(struct df_device *device);
#define DF_PRIMITIVE_SLOT(name) df_##name##_fn *name;
    DF_PRIMITIVES(DF_PRIMITIVE_SLOT)
#undef DF_PRIMITIVE_SLOT
    void (*launch)(struct df_device *device, enum df_kernel kernel, size_t n, const void *args);
    /* These may be NULL: nothing is kept then. */
    void (*replay_begin)(struct df_device *device, uint64_t key);
    void (*replay_end)(struct df_device *device);
    void (*replay_forget)(struct df_device *device);
    /* Both may be NULL: the host's own are meant then. */
    double (*peak_gflops)(struct df_device *device);
    void (*describe)(struct df_device *device, char *text, size_t size);
};

/* Where the time went, by kind of work; filled when df_device_profile(device, true) was called. Unused kinds have calls = 0. */
struct df_profile_entry {
    const char *name;
    double seconds, flops, bytes;
    uint64_t calls;
};
#define DF_PROFILE_MAX 256
/* Passes between df_replay_begin and df_replay_end, those that were replayed from their beginning to their end, and the most pieces
 * that one of these was replayed in: one more than it has waits. */
struct df_replays {
    uint64_t passes, replayed, pieces;
};
struct df_device {
    const struct df_device_ops *ops;
    void *state;
    struct df_comm *comm; /* the ranks that train with what is computed here; borrowed. NULL, as when it is opened: alone */
    struct df_team *team; /* of threads, for the devices that are the host */
    double alone;         /* work of fewer flops is not shared: waking the others takes longer. Tests set it to 0. */
    void *scratch;        /* of the host's selections: grown, and kept */
    size_t scratch_bytes;
    bool profiling;
    size_t profile_count;
    struct df_profile_entry profile[DF_PROFILE_MAX];
    double profiled; /* seconds of all entries */
    struct df_replays replays;
    uint64_t reads; /* since open: where the host waits for a device that runs behind */
    double flops;   /* of convolutions and matrix products, since open: always counted */
};

/* kind: the name without the GPU's number. isa: what computes: "v4", "v3", "aarch64", "plain": the instruction set (core/device/isa.h), on
 * which no number of `cpu` depends; "sm_90", ...: of the GPU, on which they do; "none" when it is not there. */
struct df_device_identity {
    char kind[16], isa[16];
};

static inline bool df_device_is_gpu(const struct df_device_identity *identity) { return !strncmp(identity->kind, "cuda", 4); }
/* Whether its bits depend on the isa. Those of a CPU are the same on all of them. */
static inline bool df_device_varies(const struct df_device_identity *identity) { return df_device_is_gpu(identity); }

/* Work is shared by so many threads from now on (1 when it is opened); no bit depends on it. Fails when they cannot be had. */
df_status df_device_threads(struct df_device *device, size_t threads, struct df_error *err);
void df_device_close(struct df_device *device);
struct df_arena_source df_device_source(struct df_device *device); /* for arenas of tensors */
void df_device_profile(struct df_device *device, bool on);         /* clears the counts */
/* Host work with an entry of its own ("host: batch"), in seconds without those of the entries inside it. name is kept, not copied.
 * Nothing unless profiling. */
double df_profile_begin(const struct df_device *device);
void df_profile_end(struct df_device *device, const char *name, double begun);
/* Whether it copies between host and device: its bytes are counted on both sides. */
bool df_profile_copies(const struct df_profile_entry *entry);
/* The calls that ops make, not those of the table: these count flops and, when asked, time and bytes. */
void df_launch(struct df_device *device, enum df_kernel kernel, size_t n, const void *args);
void *df_device_alloc(struct df_device *device, size_t bytes);
void df_device_free(struct df_device *device, void *memory);
void df_write(struct df_device *device, void *to, const void *from_host, size_t bytes);
void df_read(struct df_device *device, void *to_host, const void *from, size_t bytes);
void df_copy(struct df_device *device, void *to, const void *from, size_t bytes);
void df_zero(struct df_device *device, void *memory, size_t bytes);
void df_sync(struct df_device *device); /* waits until all that was asked is done; only clocks need it */
/* What is asked between these two may be put off, kept, and replayed when the same is asked again: the host has less to do, and no bit depends
 * on it. key: of what repeats itself. Passes do not contain each other. Not while profiling. */
void df_replay_begin(struct df_device *device, uint64_t key);
void df_replay_end(struct df_device *device);
void df_replay_forget(struct df_device *device); /* all that was kept: nobody will ask for it again */
/* df_conv_forward(device, &args), ...: of every primitive */
#define DF_PRIMITIVE_CALL(name) df_##name##_fn df_##name;
DF_PRIMITIVES(DF_PRIMITIVE_CALL)
#undef DF_PRIMITIVE_CALL

/* measured: the best float GFLOP/s that this binary reaches here, on one thread of the host or on the whole GPU */
double df_device_peak_gflops(struct df_device *device);
#endif
