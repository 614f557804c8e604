/* The tape: reverse-mode automatic differentiation. Ops record themselves as they run; df_backward walks back; gradients add. Tensors made
 * on a tape live in its arena (device memory) and die at df_tape_reset. After the first step of a repeating pattern nothing is taken from
 * the heap. Ops are total: shapes are asserted, nothing fails. */
#ifndef DF_CORE_NN_TAPE_H
#define DF_CORE_NN_TAPE_H
#include "core/base/real.h"
#include "core/device/device.h"

struct df_parameter;

typedef struct df_tensor {
    df_shape shape;
    df_real *data; /* [N,H,W,C] on the tape's device */
    df_real *grad; /* same shape; NULL until something flows into it */
    bool requires_grad;
    struct df_parameter *parameter; /* set for a leaf that is a parameter */
} df_tensor;

typedef struct df_tape df_tape;
df_tape *df_tape_new(struct df_device *device, bool recording);
void df_tape_free(df_tape *tape);
void df_tape_reset(df_tape *tape);
struct df_device *df_tape_device(const df_tape *tape);
bool df_tape_recording(const df_tape *tape);
size_t df_tape_bytes(const df_tape *tape);       /* device memory held by the arena */
size_t df_tape_used(const df_tape *tape);        /* ... and given out since the reset */
void *df_tape_host(df_tape *tape, size_t bytes); /* host scratch that lives until the reset; never NULL */
void *df_tape_device_memory(df_tape *tape,
                            size_t bytes); /* device scratch that lives until the reset; a backward function's until its end */
void *df_tape_device_copy(df_tape *tape, const void *host, size_t bytes);

df_tensor *df_tensor_new(df_tape *tape, df_shape shape);                        /* uninitialised, no gradient */
df_tensor *df_tensor_from(df_tape *tape, df_shape shape, const df_real *host);  /* copied from the host, no gradient */
df_tensor *df_tensor_view(df_tape *tape, df_shape shape, df_real *device_data); /* borrows memory, no gradient */
df_tensor *df_leaf(df_tape *tape, df_shape shape, const df_real *host);         /* copied; requires_grad */
/* Shares value and gradient; the same tensor when asked again before a reset. */
df_tensor *df_parameter_tensor(df_tape *tape, struct df_parameter *parameter);
double df_item(df_tape *tape, const df_tensor *scalar); /* waits for the device */
void df_backward(df_tape *tape, df_tensor *loss);       /* loss is [1,1,1,1]; d loss / d loss = 1 */

/* The same, no further than to the last of these tensors to be made: what arrives at each of them is its grad then (NULL: nothing), until the
 * next pass. Parameters met on the way get theirs. */
void df_backward_to(df_tape *tape, df_tensor *loss, df_tensor *const *tensors, size_t count);

/* For op authors (core/nn only). */
struct df_node;
typedef void df_backward_fn(df_tape *tape, struct df_node *node);
struct df_node {
    df_backward_fn *backward;
    df_tensor *out;
    df_tensor *in[6]; /* an op with more inputs keeps them in args */
    void *args;       /* host memory from the tape, whatever the op needs */
    struct df_node *previous;
};
struct df_kept { /* what backward needs beside the tensors */
    const void *args;
    size_t bytes;
};
#define DF_KEEP(object_) ((struct df_kept){ &(object_), sizeof(object_) })
#define DF_KEEP_NOTHING  ((struct df_kept){ NULL, 0 })
/* Records the op if the tape records and any input requires a gradient; then out->requires_grad = true. Returns out. What is kept is copied. */
df_tensor *df_record(df_tape *tape, df_backward_fn *backward, df_tensor *out, df_tensor *const *in, size_t inputs, struct df_kept kept);
df_real *df_grad(df_tape *tape, df_tensor *x); /* the gradient buffer, zeroed at first use; NULL if x needs none */
df_real *df_grad_fresh(df_tape *tape, df_tensor *x,
                       bool *fresh); /* like df_grad, but not zeroed at first use: *fresh says whether to overwrite */
/* x receives dy, of x's size, as it is. When it is the first to arrive, x takes over the buffer: only for an op's own out->grad, which nobody
 * reads after the op's backward, as the last thing that backward does. After df_backward only leaves have gradients: memory of the others
 * serves again as soon as they are used up. */
void df_grad_pass(df_tape *tape, df_tensor *x, df_real *dy);
#endif
