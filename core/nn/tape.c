/* The tape: a list of nodes in the order the ops ran, walked backwards by df_backward. Nodes, tensors and op arguments lie in a host arena,
 * values and gradients in an arena of device memory; both keep their blocks when the tape is reset. */
#include "core/nn/tape.h"

#include <stdlib.h>
#include <string.h>

#include "core/nn/parameters.h"

/* Which tensor stands for a parameter: open addressing, an entry of an older generation is free. */
struct slot {
    const struct df_parameter *parameter;
    df_tensor *tensor;
    uint64_t generation;
};

struct piece { /* of the arena, whose use is over */
    void *memory;
    size_t bytes;
};
struct pieces {
    struct piece *piece;
    size_t count, room;
};

struct df_tape {
    struct df_device *device;
    bool recording;
    struct df_arena host, memory;
    bool walking;           /* a backward function runs */
    struct pieces free;     /* of gradients that have been used up */
    struct pieces borrowed; /* by that function, until its end */
    df_real *passed;        /* the gradient that it has passed on */
    struct df_node *last;
    struct slot *slots;
    size_t slot_count, slots_used;
    uint64_t generation;
};

enum { HOST_BLOCK = 1 << 16, MEMORY_BLOCK = 1 << 20, FIRST_SLOTS = 64 };

df_tape *df_tape_new(struct df_device *device, bool recording)
{
    df_tape *tape = df_calloc(1, sizeof *tape);
    const struct df_arena_source source = df_device_source(device);

    tape->device = device;
    tape->recording = recording;
    tape->generation = 1;
    tape->slot_count = FIRST_SLOTS;
    tape->slots = df_calloc(tape->slot_count, sizeof *tape->slots);
    df_arena_init(&tape->host, NULL, HOST_BLOCK);
    df_arena_init(&tape->memory, &source, MEMORY_BLOCK);
    return tape;
}

void df_tape_free(df_tape *tape)
{
    if (!tape)
        return;
    df_arena_release(&tape->memory);
    df_arena_release(&tape->host);
    free(tape->free.piece);
    free(tape->borrowed.piece);
    free(tape->slots);
    free(tape);
}

void df_tape_reset(df_tape *tape)
{
    df_arena_reset(&tape->memory);
    df_arena_reset(&tape->host);
    tape->free.count = 0;
    tape->last = NULL;
    tape->slots_used = 0;
    tape->generation++;
}

struct df_device *df_tape_device(const df_tape *tape) { return tape->device; }

bool df_tape_recording(const df_tape *tape) { return tape->recording; }

size_t df_tape_bytes(const df_tape *tape) { return tape->memory.taken_bytes; }

size_t df_tape_used(const df_tape *tape) { return tape->memory.used_bytes; }

void *df_tape_host(df_tape *tape, size_t bytes) { return df_arena_alloc(&tape->host, bytes); }

static void add_piece(struct pieces *pieces, void *memory, size_t bytes)
{
    enum { FIRST_PIECES = 64 };

    if (pieces->count == pieces->room)
        pieces->piece = df_realloc(pieces->piece, (pieces->room = pieces->room ? 2 * pieces->room : FIRST_PIECES) * sizeof *pieces->piece);
    pieces->piece[pieces->count++] = (struct piece){ memory, bytes };
}

/* Of what is free and just as large the last to be used, which caches may still hold; else new memory. */
static void *take_memory(df_tape *tape, size_t bytes)
{
    struct pieces *spare = &tape->free;

    for (size_t i = spare->count; i-- > 0;)
        if (spare->piece[i].bytes == bytes) {
            void *memory = spare->piece[i].memory;

            memmove(&spare->piece[i], &spare->piece[i + 1], (--spare->count - i) * sizeof *spare->piece);
            return memory;
        }
    return df_arena_alloc(&tape->memory, bytes);
}

void *df_tape_device_memory(df_tape *tape, size_t bytes)
{
    void *memory = tape->walking ? take_memory(tape, bytes) : df_arena_alloc(&tape->memory, bytes);

    if (tape->walking)
        add_piece(&tape->borrowed, memory, bytes);
    return memory;
}

void *df_tape_device_copy(df_tape *tape, const void *host, size_t bytes)
{
    void *memory = df_tape_device_memory(tape, bytes);

    df_write(tape->device, memory, host, bytes);
    return memory;
}

static size_t bytes_of(df_shape shape) { return df_count(shape) * sizeof(df_real); }

df_tensor *df_tensor_view(df_tape *tape, df_shape shape, df_real *device_data)
{
    df_tensor *tensor = df_tape_host(tape, sizeof *tensor);

    DF_ASSERT(df_count(shape) > 0);
    *tensor = (df_tensor){ .shape = shape, .data = device_data };
    return tensor;
}

df_tensor *df_tensor_new(df_tape *tape, df_shape shape)
{
    return df_tensor_view(tape, shape, df_tape_device_memory(tape, bytes_of(shape)));
}

df_tensor *df_tensor_from(df_tape *tape, df_shape shape, const df_real *host)
{
    df_tensor *tensor = df_tensor_new(tape, shape);

    df_write(tape->device, tensor->data, host, bytes_of(shape));
    return tensor;
}

df_tensor *df_leaf(df_tape *tape, df_shape shape, const df_real *host)
{
    df_tensor *tensor = df_tensor_from(tape, shape, host);

    tensor->requires_grad = true;
    return tensor;
}

/* The slot that holds the parameter, or the free one where it belongs. */
static struct slot *slot_of(const df_tape *tape, const struct df_parameter *parameter)
{
    size_t at = (size_t)((uintptr_t)parameter / 16 * UINT64_C(0x9e3779b97f4a7c15) >> 32);

    for (;; at++) {
        struct slot *slot = &tape->slots[at & (tape->slot_count - 1)];

        if (slot->generation != tape->generation || slot->parameter == parameter)
            return slot;
    }
}

static void slots_grow(df_tape *tape)
{
    struct slot *old = tape->slots;
    const size_t count = tape->slot_count;

    tape->slot_count = 2 * count;
    tape->slots = df_calloc(tape->slot_count, sizeof *tape->slots);
    for (size_t i = 0; i < count; i++)
        if (old[i].generation == tape->generation)
            *slot_of(tape, old[i].parameter) = old[i];
    free(old);
}

df_tensor *df_parameter_tensor(df_tape *tape, struct df_parameter *parameter)
{
    struct slot *slot = slot_of(tape, parameter);

    DF_ASSERT(parameter->owner->built);
    if (slot->generation == tape->generation)
        return slot->tensor;
    if (2 * ++tape->slots_used > tape->slot_count) {
        slots_grow(tape);
        slot = slot_of(tape, parameter);
    }

    df_tensor *tensor = df_tensor_view(tape, parameter->shape, parameter->value);

    tensor->parameter = parameter;
    tensor->requires_grad = parameter->trainable && parameter->grad;
    tensor->grad = tensor->requires_grad ? parameter->grad : NULL;
    *slot = (struct slot){ parameter, tensor, tape->generation };
    return tensor;
}

double df_item(df_tape *tape, const df_tensor *scalar)
{
    df_real value;

    DF_ASSERT(df_count(scalar->shape) == 1);
    df_read(tape->device, &value, scalar->data, sizeof value);
    return (double)value;
}

df_tensor *df_record(df_tape *tape, df_backward_fn *backward, df_tensor *out, df_tensor *const *in, size_t inputs, struct df_kept kept)
{
    bool wanted = false;

    for (size_t i = 0; i < inputs; i++)
        wanted |= in[i] && in[i]->requires_grad;
    if (!tape->recording || !wanted)
        return out;

    struct df_node *node = df_tape_host(tape, sizeof *node);
    const size_t room = sizeof node->in / sizeof node->in[0];

    *node = (struct df_node){ .backward = backward, .out = out, .previous = tape->last };
    for (size_t i = 0; i < inputs && i < room; i++)
        node->in[i] = in[i];
    if (kept.bytes) {
        node->args = df_tape_host(tape, kept.bytes);
        memcpy(node->args, kept.args, kept.bytes);
    }
    out->requires_grad = true;
    tape->last = node;
    return out;
}

df_real *df_grad_fresh(df_tape *tape, df_tensor *x, bool *fresh)
{
    *fresh = false;
    if (!x || !x->requires_grad)
        return NULL;
    if (!x->grad) {
        x->grad = take_memory(tape, bytes_of(x->shape));
        *fresh = true;
    }
    return x->grad;
}

df_real *df_grad(df_tape *tape, df_tensor *x)
{
    bool fresh;
    df_real *grad = df_grad_fresh(tape, x, &fresh);

    if (fresh)
        df_zero(tape->device, grad, bytes_of(x->shape));
    return grad;
}

void df_grad_pass(df_tape *tape, df_tensor *x, df_real *dy)
{
    if (!x || !x->requires_grad)
        return;
    if (!x->grad) {
        x->grad = tape->passed = dy;
        return;
    }
    const struct df_scale_args args = { .x = dy, .y = x->grad, .factor = 1, .add = true };

    df_launch(tape->device, DF_K_SCALE, df_count(x->shape), &args);
}

/* What arrived at the node has been used up, but for a buffer that it passed on. */
static void run_backward(df_tape *tape, struct df_node *node)
{
    df_tensor *out = node->out;

    tape->walking = true;
    tape->passed = NULL;
    node->backward(tape, node);
    tape->walking = false;
    for (size_t i = 0; i < tape->borrowed.count; i++)
        add_piece(&tape->free, tape->borrowed.piece[i].memory, tape->borrowed.piece[i].bytes);
    tape->borrowed.count = 0;
    if (out->grad != tape->passed)
        add_piece(&tape->free, out->grad, bytes_of(out->shape));
    out->grad = NULL;
}

/* From the last node down to `end`, which is left alone. */
static void walk_back(df_tape *tape, df_tensor *loss, const struct df_node *end)
{
    DF_ASSERT(tape->recording && df_count(loss->shape) == 1);
    for (struct df_node *node = tape->last; node; node = node->previous) /* what an earlier walk has stopped at */
        if (node->out->grad) {
            add_piece(&tape->free, node->out->grad, bytes_of(node->out->shape));
            node->out->grad = NULL;
        }
    if (!loss->requires_grad)
        return;

    const struct df_fill_args one = { .y = df_grad(tape, loss), .value = 1 };

    df_launch(tape->device, DF_K_FILL, 1, &one);
    for (struct df_node *node = tape->last; node != end; node = node->previous)
        if (node->out->grad)
            run_backward(tape, node);
}

void df_backward(df_tape *tape, df_tensor *loss) { walk_back(tape, loss, NULL); }

static bool is_among(const df_tensor *tensor, df_tensor *const *tensors, size_t count)
{
    while (count > 0 && tensors[count - 1] != tensor)
        count--;
    return count > 0;
}

void df_backward_to(df_tape *tape, df_tensor *loss, df_tensor *const *tensors, size_t count)
{
    const struct df_node *end = tape->last;

    while (end && !is_among(end->out, tensors, count))
        end = end->previous;
    walk_back(tape, loss, end);
}
