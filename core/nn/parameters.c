/* Parameters of a network. In the flat vectors every item starts at a multiple of 16 elements (64 bytes of float); the gaps hold zeros in
 * all of them, which neither norms nor optimisers change. Initialisers are PyTorch's torch.nn.init. */
#include "core/nn/parameters.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/hash.h"

enum { ALIGN_ELEMENTS = 16 };

struct df_parameters *df_parameters_new(void) { return df_calloc(1, sizeof(struct df_parameters)); }

void df_parameters_free(struct df_parameters *parameters)
{
    if (!parameters)
        return;
    if (parameters->built) {
        void *const memory[] = { parameters->value,  parameters->grad,    parameters->moment1,        parameters->moment2,
                                 parameters->buffer, parameters->average, parameters->average_buffer, parameters->partials };

        for (size_t i = 0; i < sizeof memory / sizeof memory[0]; i++)
            if (memory[i])
                df_device_free(parameters->device, memory[i]);
    }
    for (size_t i = 0; i < parameters->count; i++)
        free(parameters->items[i]);
    free(parameters->items);
    free(parameters->exchanged);
    free(parameters);
}

struct df_parameter *df_parameters_find(const struct df_parameters *parameters, const char *name)
{
    for (size_t i = 0; i < parameters->count; i++)
        if (strcmp(parameters->items[i]->name, name) == 0)
            return parameters->items[i];
    return NULL;
}

static struct df_parameter *add(struct df_parameters *parameters, const char *name, df_shape shape, bool buffer)
{
    struct df_parameter *item = df_calloc(1, sizeof *item);
    size_t *end = buffer ? &parameters->buffers : &parameters->values;

    DF_ASSERT(!parameters->built && df_count(shape) > 0);
    DF_ASSERT(strlen(name) < sizeof item->name && !df_parameters_find(parameters, name));
    if (parameters->count == parameters->capacity) {
        parameters->capacity = parameters->capacity ? 2 * parameters->capacity : 64;
        parameters->items = df_realloc(parameters->items, parameters->capacity * sizeof *parameters->items);
    }
    memcpy(item->name, name, strlen(name) + 1);
    item->shape = shape;
    item->buffer = buffer;
    item->trainable = !buffer;
    item->offset = *end;
    item->owner = parameters;
    *end += (df_count(shape) + ALIGN_ELEMENTS - 1) / ALIGN_ELEMENTS * ALIGN_ELEMENTS;
    parameters->items[parameters->count++] = item;
    return item;
}

struct df_parameter *df_parameters_add(struct df_parameters *parameters, const char *name, enum df_parameter_kind kind, df_shape shape,
                                       struct df_initialiser init, enum df_rng_purpose purpose)
{
    struct df_parameter *item = add(parameters, name, shape, false);

    DF_ASSERT(kind != DF_VECTOR || df_pixels(shape) == 1);
    DF_ASSERT(kind != DF_LINEAR_WEIGHT || shape.h * shape.w == 1);
    item->kind = kind;
    item->init = init;
    item->purpose = purpose;
    return item;
}

struct df_parameter *df_parameters_add_buffer(struct df_parameters *parameters, const char *name, size_t c, double value)
{
    struct df_parameter *item = add(parameters, name, (df_shape){ 1, 1, 1, c }, true);

    item->kind = DF_VECTOR;
    item->init = (struct df_initialiser){ DF_INIT_CONSTANT, value };
    return item;
}

/* The number behind the kind of distribution: bound or standard deviation. */
static double init_scale(const struct df_parameter *item)
{
    const double taps = (double)(item->shape.h * item->shape.w);
    const double fan_in = taps * (double)item->shape.c, fan_out = taps * (double)item->shape.n;

    switch (item->init.kind) {
    case DF_INIT_ZERO:
        return 0;
    case DF_INIT_ONE:
        return 1;
    case DF_INIT_KAIMING_FAN_OUT:
        return sqrt(2 / fan_out); /* kaiming_normal_(mode="fan_out", nonlinearity="relu") */
    case DF_INIT_KAIMING_FAN_IN:
        return sqrt(2 / fan_in);
    case DF_INIT_XAVIER_UNIFORM:
        return sqrt(6 / (fan_in + fan_out));
    case DF_INIT_KAIMING_UNIFORM_1:
        return sqrt(3 / fan_in);
    case DF_INIT_CONSTANT:
    case DF_INIT_NORMAL:
    case DF_INIT_UNIFORM:
    case DF_INIT_WRAPPED_NORMAL:
        break;
    }
    return item->init.a;
}

static double draw(struct df_rng *rng, enum df_init kind, double scale)
{
    switch (kind) {
    case DF_INIT_NORMAL:
    case DF_INIT_KAIMING_FAN_OUT:
    case DF_INIT_KAIMING_FAN_IN:
        return scale * df_rng_normal(rng);
    case DF_INIT_XAVIER_UNIFORM:
    case DF_INIT_KAIMING_UNIFORM_1:
    case DF_INIT_UNIFORM:
        return df_rng_range(rng, -scale, scale);
    case DF_INIT_WRAPPED_NORMAL:
        return fmod(df_rng_normal(rng), 2) * scale;
    case DF_INIT_ZERO:
    case DF_INIT_ONE:
    case DF_INIT_CONSTANT:
        break;
    }
    return scale;
}

static void initialise(const struct df_parameter *item, uint64_t seed, df_real *host)
{
    const double scale = init_scale(item);
    const size_t count = df_count(item->shape);
    struct df_rng rng;

    df_rng_init(&rng, seed, item->purpose, df_hash(item->name, strlen(item->name)));
    for (size_t i = 0; i < count; i++)
        host[i] = (df_real)draw(&rng, item->init.kind, scale);
}

static df_real *zeroed(struct df_device *device, size_t count)
{
    df_real *memory = df_device_alloc(device, count * sizeof *memory);

    df_zero(device, memory, count * sizeof *memory);
    return memory;
}

void df_parameters_build(struct df_parameters *parameters, struct df_device *device, uint64_t seed, bool with_gradients)
{
    const size_t most = parameters->values > parameters->buffers ? parameters->values : parameters->buffers;
    df_real *host = df_calloc(most, sizeof *host);

    DF_ASSERT(!parameters->built);
    parameters->device = device;
    parameters->built = true;
    parameters->version = 1;
    parameters->value = zeroed(device, parameters->values);
    parameters->buffer = zeroed(device, parameters->buffers);
    if (with_gradients) {
        parameters->grad = zeroed(device, parameters->values);
        parameters->moment1 = zeroed(device, parameters->values);
        parameters->moment2 = zeroed(device, parameters->values);
    }
    for (size_t i = 0; i < parameters->count; i++) {
        struct df_parameter *item = parameters->items[i];

        item->value = (item->buffer ? parameters->buffer : parameters->value) + item->offset;
        item->grad = with_gradients && item->trainable && !item->buffer ? parameters->grad + item->offset : NULL;
        initialise(item, seed, host);
        df_write(device, item->value, host, df_count(item->shape) * sizeof *host);
    }
    free(host);
}

void df_parameters_touch(struct df_parameters *parameters) { parameters->version++; }

void df_parameters_zero_grad(struct df_parameters *parameters)
{
    DF_ASSERT(parameters->grad);
    df_zero(parameters->device, parameters->grad, parameters->values * sizeof *parameters->grad);
}

size_t df_parameters_trainable(const struct df_parameters *parameters, size_t from, size_t to)
{
    size_t elements = 0;

    for (size_t i = from; i < to; i++)
        if (parameters->items[i]->trainable && !parameters->items[i]->buffer)
            elements += df_count(parameters->items[i]->shape);
    return elements;
}

uint64_t df_parameters_hash(const struct df_parameters *parameters)
{
    struct df_hasher *hasher = df_hasher_new();
    const size_t most = parameters->values > parameters->buffers ? parameters->values : parameters->buffers;
    df_real *host = df_malloc(most * sizeof *host);

    DF_ASSERT(parameters->built);
    for (size_t i = 0; i < parameters->count; i++) {
        const struct df_parameter *item = parameters->items[i];
        const uint64_t shape[4] = { item->shape.n, item->shape.h, item->shape.w, item->shape.c };
        const size_t bytes = df_count(item->shape) * sizeof *host;

        df_hasher_add(hasher, item->name, strlen(item->name) + 1);
        df_hasher_add(hasher, shape, sizeof shape);
        df_read(parameters->device, host, item->value, bytes);
        df_hasher_add(hasher, host, bytes);
    }
    const uint64_t hash = df_hasher_value(hasher);

    df_hasher_free(hasher);
    free(host);
    return hash;
}
