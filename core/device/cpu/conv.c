/* Convolutions of `cpu` by oneDNN. One plan per (direction, shape): the primitive, its memory objects and argument list, made at first use
 * and kept. Activations are NHWC as everywhere; weights are reordered to the layout that the primitive prefers, and kept per
 * (pointer, layout) as long as the version stays. Running a plan takes nothing from our heap. */
#ifndef DF_REAL_IS_DOUBLE
#include <stdlib.h>
#include <string.h>

#include "core/base/hash.h"
#include "core/device/cpu/cpu.h"

enum direction { FORWARD, BACKWARD_DATA, BACKWARD_WEIGHTS };

struct plan_key {
    uint64_t direction, biased, relu;
    uint64_t n, h, w, c, filters, kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w;
};

/* Weights of one user pointer in one layout. */
struct packed {
    struct packed *next;
    const float *data;
    uint64_t version;
    float *memory;
    dnnl_memory_t object;
};

/* From the user's OHWI to a primitive's layout, or (gradients) back, adding. */
struct layout {
    struct layout *next;
    dnnl_memory_desc_t desc;
    bool gradient, plain; /* plain: the same as OHWI, nothing to reorder */
    dnnl_primitive_t reorder;
    dnnl_memory_t user, own;
    struct packed *packed;
};

struct plan {
    struct plan_key key;
    dnnl_primitive_t primitive;
    dnnl_memory_t from, to, weights, bias, scratchpad; /* from, to: activations in the direction of reading */
    struct layout *layout;
    dnnl_exec_arg_t args[5];
    int arg_count, weights_arg;
};

struct df_cpu_conv {
    struct plan **plans; /* open addressing, capacity a power of two */
    size_t capacity, count;
    struct layout *layouts;
};

void df_cpu_conv_open(struct df_cpu *cpu)
{
    struct df_cpu_conv *table = df_calloc(1, sizeof *table);

    table->capacity = 256;
    table->plans = df_calloc(table->capacity, sizeof *table->plans);
    cpu->conv = table;
}

static void packed_free(struct packed *packed)
{
    DF_DNNL(dnnl_memory_destroy(packed->object));
    df_host_free(NULL, packed->memory);
    free(packed);
}

static void layout_free(struct layout *layout)
{
    for (struct packed *packed = layout->packed, *next; packed; packed = next) {
        next = packed->next;
        packed_free(packed);
    }
    if (layout->reorder)
        DF_DNNL(dnnl_primitive_destroy(layout->reorder));
    DF_DNNL(dnnl_memory_destroy(layout->user));
    DF_DNNL(dnnl_memory_destroy(layout->own));
    free(layout);
}

static void plan_free(struct plan *plan)
{
    const dnnl_memory_t objects[] = { plan->from, plan->to, plan->weights, plan->bias, plan->scratchpad };

    DF_DNNL(dnnl_primitive_destroy(plan->primitive));
    for (size_t i = 0; i < sizeof objects / sizeof objects[0]; i++)
        if (objects[i])
            DF_DNNL(dnnl_memory_destroy(objects[i]));
    free(plan);
}

void df_cpu_conv_close(struct df_cpu *cpu)
{
    struct df_cpu_conv *table = cpu->conv;

    for (size_t i = 0; i < table->capacity; i++)
        if (table->plans[i])
            plan_free(table->plans[i]);
    for (struct layout *layout = table->layouts, *next; layout; layout = next) {
        next = layout->next;
        layout_free(layout);
    }
    free(table->plans);
    free(table);
}

void df_cpu_conv_forget(struct df_cpu *cpu, const void *memory, size_t bytes)
{
    const uintptr_t begin = (uintptr_t)memory;

    for (struct layout *layout = cpu->conv->layouts; layout; layout = layout->next)
        for (struct packed **link = &layout->packed; *link;) {
            struct packed *packed = *link;

            if ((uintptr_t)packed->data - begin < bytes) {
                *link = packed->next;
                packed_free(packed);
            } else {
                link = &packed->next;
            }
        }
}

/* ---- memory descriptions ---- */

static dnnl_memory_desc_t describe(size_t n, size_t c, size_t h, size_t w, dnnl_format_tag_t tag)
{
    const dnnl_dims_t dims = { (dnnl_dim_t)n, (dnnl_dim_t)c, (dnnl_dim_t)h, (dnnl_dim_t)w };
    dnnl_memory_desc_t desc;

    DF_DNNL(dnnl_memory_desc_init_by_tag(&desc, 4, dims, dnnl_f32, tag));
    return desc;
}

static dnnl_memory_desc_t describe_weights(const struct df_conv *conv, dnnl_format_tag_t tag)
{
    return describe(conv->filters, conv->x.c, conv->kernel_h, conv->kernel_w, tag);
}

static dnnl_memory_t memory_of(struct df_cpu *cpu, const dnnl_memory_desc_t *desc, void *data)
{
    dnnl_memory_t memory;

    DF_DNNL(dnnl_memory_create(&memory, desc, cpu->engine, data));
    return memory;
}

static void set(dnnl_memory_t memory, const void *data) { DF_DNNL(dnnl_memory_set_data_handle(memory, (void *)(uintptr_t)data)); }

static void execute(struct df_cpu *cpu, dnnl_primitive_t primitive, int count, const dnnl_exec_arg_t *args)
{
    DF_DNNL(dnnl_primitive_execute(primitive, cpu->stream, count, args));
    DF_DNNL(dnnl_stream_wait(cpu->stream));
}

/* ---- weights ---- */

static dnnl_primitive_t make_reorder(struct df_cpu *cpu, const dnnl_memory_desc_t *from, const dnnl_memory_desc_t *to, bool add)
{
    dnnl_primitive_attr_t attr;
    dnnl_post_ops_t post;
    dnnl_primitive_desc_t desc;
    dnnl_primitive_t primitive;

    DF_DNNL(dnnl_primitive_attr_create(&attr));
    DF_DNNL(dnnl_post_ops_create(&post));
    if (add)
        DF_DNNL(dnnl_post_ops_append_sum(post, 1.0f));
    DF_DNNL(dnnl_primitive_attr_set_post_ops(attr, post));
    DF_DNNL(dnnl_reorder_primitive_desc_create(&desc, from, cpu->engine, to, cpu->engine, attr));
    DF_DNNL(dnnl_primitive_create(&primitive, desc));
    DF_DNNL(dnnl_primitive_desc_destroy(desc));
    DF_DNNL(dnnl_post_ops_destroy(post));
    DF_DNNL(dnnl_primitive_attr_destroy(attr));
    return primitive;
}

static struct layout *find_layout(struct df_cpu *cpu, const struct df_conv *conv, const dnnl_memory_desc_t *desc, bool gradient)
{
    const dnnl_memory_desc_t user = describe_weights(conv, dnnl_ohwi);

    for (struct layout *layout = cpu->conv->layouts; layout; layout = layout->next)
        if (layout->gradient == gradient && dnnl_memory_desc_equal(&layout->desc, desc))
            return layout;
    struct layout *layout = df_calloc(1, sizeof *layout);

    layout->desc = *desc;
    layout->gradient = gradient;
    layout->plain = dnnl_memory_desc_equal(&user, desc);
    layout->user = memory_of(cpu, &user, DNNL_MEMORY_NONE);
    layout->own = memory_of(cpu, desc, DNNL_MEMORY_NONE);
    if (gradient)
        layout->reorder = make_reorder(cpu, desc, &user, true);
    else if (!layout->plain)
        layout->reorder = make_reorder(cpu, &user, desc, false);
    layout->next = cpu->conv->layouts;
    cpu->conv->layouts = layout;
    return layout;
}

/* The memory object that holds w in the layout; reorders when (pointer, version) is new. */
static dnnl_memory_t pack(struct df_cpu *cpu, struct layout *layout, struct df_weights w)
{
    struct packed *packed = layout->packed;

    set(layout->user, w.data);
    if (layout->plain)
        return layout->user;
    while (packed && packed->data != w.data)
        packed = packed->next;
    if (packed && packed->version == w.version)
        return packed->object;
    if (!packed) {
        packed = df_calloc(1, sizeof *packed);
        packed->data = w.data;
        packed->memory = df_host_alloc(NULL, dnnl_memory_desc_get_size(&layout->desc));
        packed->object = memory_of(cpu, &layout->desc, packed->memory);
        packed->next = layout->packed;
        layout->packed = packed;
    }
    packed->version = w.version;
    const dnnl_exec_arg_t args[] = { { DNNL_ARG_FROM, layout->user }, { DNNL_ARG_TO, packed->object } };

    execute(cpu, layout->reorder, 2, args);
    return packed->object;
}

/* ---- plans ---- */

static dnnl_primitive_desc_t describe_conv(struct df_cpu *cpu, enum direction direction, const struct df_conv *conv, bool biased)
{
    const df_shape y = df_conv_shape(conv);
    const dnnl_memory_desc_t src = describe(conv->x.n, conv->x.c, conv->x.h, conv->x.w, dnnl_nhwc);
    const dnnl_memory_desc_t dst = describe(y.n, y.c, y.h, y.w, dnnl_nhwc);
    const dnnl_memory_desc_t weights = describe_weights(conv, dnnl_format_tag_any);
    const dnnl_dims_t filters = { (dnnl_dim_t)conv->filters };
    const dnnl_dims_t strides = { (dnnl_dim_t)conv->stride_h, (dnnl_dim_t)conv->stride_w };
    const dnnl_dims_t pad = { (dnnl_dim_t)conv->pad_h, (dnnl_dim_t)conv->pad_w };
    dnnl_memory_desc_t bias;
    dnnl_convolution_desc_t forward, op;
    dnnl_primitive_attr_t attr;
    dnnl_post_ops_t post;
    dnnl_primitive_desc_t hint = NULL, desc;

    DF_DNNL(dnnl_memory_desc_init_by_tag(&bias, 1, filters, dnnl_f32, dnnl_a));
    DF_DNNL(dnnl_convolution_forward_desc_init(&forward, dnnl_forward_training, dnnl_convolution_direct, &src, &weights,
                                               biased ? &bias : NULL, &dst, strides, pad, pad));
    DF_DNNL(dnnl_primitive_attr_create(&attr));
    DF_DNNL(dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user));
    if (direction == FORWARD) {
        DF_DNNL(dnnl_post_ops_create(&post));
        if (conv->relu)
            DF_DNNL(dnnl_post_ops_append_eltwise(post, 1.0f, dnnl_eltwise_relu, 0.0f, 0.0f));
        DF_DNNL(dnnl_primitive_attr_set_post_ops(attr, post));
        DF_DNNL(dnnl_post_ops_destroy(post));
        op = forward;
    } else {
        DF_DNNL(dnnl_primitive_desc_create(&hint, &forward, NULL, cpu->engine, NULL));
        if (direction == BACKWARD_DATA)
            DF_DNNL(dnnl_convolution_backward_data_desc_init(&op, dnnl_convolution_direct, &src, &weights, &dst, strides, pad, pad));
        else
            DF_DNNL(
                dnnl_convolution_backward_weights_desc_init(&op, dnnl_convolution_direct, &src, &weights, NULL, &dst, strides, pad, pad));
    }
    DF_DNNL(dnnl_primitive_desc_create(&desc, &op, attr, cpu->engine, hint));
    if (hint)
        DF_DNNL(dnnl_primitive_desc_destroy(hint));
    DF_DNNL(dnnl_primitive_attr_destroy(attr));
    return desc;
}

static dnnl_memory_t add_arg(struct df_cpu *cpu, struct plan *plan, dnnl_primitive_desc_t desc, dnnl_query_t what, int index, int arg)
{
    const dnnl_memory_t memory = memory_of(cpu, dnnl_primitive_desc_query_md(desc, what, index), DNNL_MEMORY_NONE);

    plan->args[plan->arg_count++] = (dnnl_exec_arg_t){ arg, memory };
    return memory;
}

static struct plan *make_plan(struct df_cpu *cpu, const struct plan_key *key, const struct df_conv *conv)
{
    const enum direction direction = (enum direction)key->direction;
    const dnnl_primitive_desc_t desc = describe_conv(cpu, direction, conv, key->biased);
    const bool gradient = direction == BACKWARD_WEIGHTS;
    struct plan *plan = df_calloc(1, sizeof *plan);

    plan->key = *key;
    if (direction == BACKWARD_DATA) {
        plan->from = add_arg(cpu, plan, desc, dnnl_query_diff_dst_md, 0, DNNL_ARG_DIFF_DST);
        plan->to = add_arg(cpu, plan, desc, dnnl_query_diff_src_md, 0, DNNL_ARG_DIFF_SRC);
    } else {
        plan->from = add_arg(cpu, plan, desc, dnnl_query_src_md, 0, DNNL_ARG_SRC);
        plan->to = gradient ? add_arg(cpu, plan, desc, dnnl_query_diff_dst_md, 0, DNNL_ARG_DIFF_DST)
                            : add_arg(cpu, plan, desc, dnnl_query_dst_md, 0, DNNL_ARG_DST);
    }
    plan->weights_arg = plan->arg_count;
    plan->weights = gradient ? add_arg(cpu, plan, desc, dnnl_query_diff_weights_md, 0, DNNL_ARG_DIFF_WEIGHTS)
                             : add_arg(cpu, plan, desc, dnnl_query_weights_md, 0, DNNL_ARG_WEIGHTS);
    if (key->biased)
        plan->bias = add_arg(cpu, plan, desc, dnnl_query_weights_md, 1, DNNL_ARG_BIAS);
    plan->scratchpad = add_arg(cpu, plan, desc, dnnl_query_scratchpad_md, 0, DNNL_ARG_SCRATCHPAD);
    const dnnl_memory_desc_t *weights =
        dnnl_primitive_desc_query_md(desc, gradient ? dnnl_query_diff_weights_md : dnnl_query_weights_md, 0);

    plan->layout = find_layout(cpu, conv, weights, gradient);
    df_cpu_scratch(cpu, DF_SCRATCH_DNNL, dnnl_memory_desc_get_size(dnnl_primitive_desc_query_md(desc, dnnl_query_scratchpad_md, 0)));
    if (gradient)
        df_cpu_scratch(cpu, DF_SCRATCH_WEIGHTS, dnnl_memory_desc_get_size(weights));
    if (direction == BACKWARD_DATA)
        df_cpu_scratch(cpu, DF_SCRATCH_DATA, df_count(conv->x) * sizeof(float));
    DF_DNNL(dnnl_primitive_create(&plan->primitive, desc));
    DF_DNNL(dnnl_primitive_desc_destroy(desc));
    return plan;
}

static struct plan **find_slot(struct df_cpu_conv *table, const struct plan_key *key)
{
    size_t i = df_hash(key, sizeof *key) & (table->capacity - 1);

    while (table->plans[i] && memcmp(&table->plans[i]->key, key, sizeof *key) != 0)
        i = (i + 1) & (table->capacity - 1);
    return &table->plans[i];
}

static void grow(struct df_cpu_conv *table)
{
    struct plan **old = table->plans;
    const size_t capacity = table->capacity;

    table->capacity *= 2;
    table->plans = df_calloc(table->capacity, sizeof *table->plans);
    for (size_t i = 0; i < capacity; i++)
        if (old[i])
            *find_slot(table, &old[i]->key) = old[i];
    free(old);
}

static struct plan *find_plan(struct df_cpu *cpu, enum direction direction, const struct df_conv *conv, bool biased)
{
    const struct plan_key key = { .direction = direction,
                                  .biased = biased,
                                  .relu = direction == FORWARD && conv->relu,
                                  .n = conv->x.n,
                                  .h = conv->x.h,
                                  .w = conv->x.w,
                                  .c = conv->x.c,
                                  .filters = conv->filters,
                                  .kernel_h = conv->kernel_h,
                                  .kernel_w = conv->kernel_w,
                                  .stride_h = conv->stride_h,
                                  .stride_w = conv->stride_w,
                                  .pad_h = conv->pad_h,
                                  .pad_w = conv->pad_w };
    struct plan **slot = find_slot(cpu->conv, &key);

    if (*slot)
        return *slot;
    if (2 * ++cpu->conv->count > cpu->conv->capacity) {
        grow(cpu->conv);
        slot = find_slot(cpu->conv, &key);
    }
    return *slot = make_plan(cpu, &key, conv);
}

static void run(struct df_cpu *cpu, struct plan *plan, const float *from, const float *to, dnnl_memory_t weights)
{
    set(plan->from, from);
    set(plan->to, to);
    set(plan->scratchpad, cpu->scratch[DF_SCRATCH_DNNL]);
    plan->args[plan->weights_arg].memory = weights;
    execute(cpu, plan->primitive, plan->arg_count, plan->args);
}

/* ---- the three directions ---- */

void df_cpu_conv_forward(struct df_device *device, const struct df_conv *conv, const df_real *x, struct df_weights w, const df_real *bias,
                         df_real *y)
{
    struct df_cpu *cpu = device->state;
    struct plan *plan = find_plan(cpu, FORWARD, conv, bias != NULL);

    if (bias)
        set(plan->bias, bias);
    run(cpu, plan, x, y, pack(cpu, plan->layout, w));
}

void df_cpu_conv_backward_data(struct df_device *device, const struct df_conv *conv, const df_real *dy, struct df_weights w, df_real *dx,
                               bool add)
{
    struct df_cpu *cpu = device->state;
    struct plan *plan = find_plan(cpu, BACKWARD_DATA, conv, false);
    const float *own = cpu->scratch[DF_SCRATCH_DATA];
    const size_t count = df_count(conv->x);

    run(cpu, plan, dy, add ? own : dx, pack(cpu, plan->layout, w));
    for (size_t i = 0; add && i < count; i++)
        dx[i] += own[i];
}

/* oneDNN 2.6.3 gathers the pixels of a strided 1x1 convolution in its scratchpad, 8 channels of each or more, but asks for room for the
 * true number: with fewer than 8 it writes past the end, and with several threads into the next one's part. */
static bool gathers_wrongly(const struct df_conv *conv)
{
    return conv->x.c < 8 && conv->kernel_h == 1 && conv->kernel_w == 1 && (conv->stride_h > 1 || conv->stride_w > 1) && !conv->pad_h &&
           !conv->pad_w;
}

/* The pixels that a strided 1x1 convolution looks at: the same convolution over these has stride 1. */
static const float *gather(struct df_cpu *cpu, const struct df_conv *conv, const float *x, struct df_conv *dense)
{
    const df_shape y = df_conv_shape(conv), from = conv->x;
    float *to;

    *dense = *conv;
    dense->x = (df_shape){ y.n, y.h, y.w, from.c };
    dense->stride_h = dense->stride_w = 1;
    to = df_cpu_scratch(cpu, DF_SCRATCH_DATA, df_count(dense->x) * sizeof *to);
    for (size_t n = 0, at = 0; n < y.n; n++)
        for (size_t i = 0; i < y.h; i++)
            for (size_t j = 0; j < y.w; j++, at += from.c)
                memcpy(to + at, x + ((n * from.h + i * conv->stride_h) * from.w + j * conv->stride_w) * from.c, from.c * sizeof *to);
    return to;
}

void df_cpu_conv_backward_weights(struct df_device *device, const struct df_conv *conv, const df_real *x, const df_real *dy, df_real *dw,
                                  df_real *dbias)
{
    struct df_cpu *cpu = device->state;
    struct df_conv dense;

    if (gathers_wrongly(conv)) {
        x = gather(cpu, conv, x, &dense);
        conv = &dense;
    }
    struct plan *plan = find_plan(cpu, BACKWARD_WEIGHTS, conv, false);
    struct layout *layout = plan->layout;
    const dnnl_exec_arg_t args[] = { { DNNL_ARG_FROM, layout->own }, { DNNL_ARG_TO, layout->user } };

    set(layout->own, cpu->scratch[DF_SCRATCH_WEIGHTS]);
    set(layout->user, dw);
    run(cpu, plan, x, dy, layout->own);
    execute(cpu, layout->reorder, 2, args);
    if (dbias)
        df_cpu_channel_sums(dy, df_pixels(df_conv_shape(conv)), conv->filters, dbias);
}
#else
typedef int df_cpu_conv_is_float_only;
#endif
