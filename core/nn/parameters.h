/* Parameters of a network: named, in one flat vector (values, gradients, optimiser moments), and buffers (batch-norm statistics) in
 * another. First everything is added, then df_parameters_build takes the memory and draws the initial values. Each parameter draws from its
 * own stream (seed, purpose, hash of its name), so adding one never changes another. In the flat vectors items start at multiples of 16
 * elements; the gaps hold zeros in all of them. */
#ifndef DF_CORE_NN_PARAMETERS_H
#define DF_CORE_NN_PARAMETERS_H
#include "core/base/rng.h"
#include "core/device/device.h"

enum df_init {
    DF_INIT_ZERO,
    DF_INIT_ONE,
    DF_INIT_CONSTANT,
    DF_INIT_NORMAL,
    DF_INIT_KAIMING_FAN_OUT,
    DF_INIT_KAIMING_FAN_IN,
    DF_INIT_XAVIER_UNIFORM,
    DF_INIT_KAIMING_UNIFORM_1, /* torchvision FPN: kaiming_uniform_(a=1): U(+-sqrt(3/fan_in)) */
    DF_INIT_UNIFORM,           /* U(-a, a) */
    DF_INIT_WRAPPED_NORMAL     /* fmod(N(0,1),2) * a: the DeFeat authors' */
};

struct df_initialiser {
    enum df_init kind;
    double a; /* constant, standard deviation or bound */
};

enum df_parameter_kind {
    DF_CONV_WEIGHT,   /* [out,kh,kw,in] */
    DF_LINEAR_WEIGHT, /* [out,1,1,in] */
    DF_VECTOR,        /* [1,1,1,c] */
    DF_FLAT_WEIGHT    /* [out,h,w,in]: linear over a map; in files [out, in h w], as PyTorch flattens the map */
};

struct df_parameter {
    char name[96]; /* torchvision's names: "backbone.body.layer1.0.conv1.weight" */
    enum df_parameter_kind kind;
    df_shape shape;
    struct df_initialiser init;
    enum df_rng_purpose purpose;
    bool buffer;           /* running statistics: no gradient, not optimised, not counted */
    bool trainable;        /* false: frozen (no gradient, not optimised) */
    size_t offset;         /* into the flat vector (values of buffers: into the buffer vector) */
    df_real *value, *grad; /* after build; grad NULL for buffers and frozen ones */
    struct df_parameters *owner;
};

struct df_parameters {
    struct df_device *device;
    struct df_parameter **items; /* in the order added: stable addresses */
    size_t count, capacity;
    size_t values, buffers;                             /* elements */
    df_real *value, *grad, *moment1, *moment2, *buffer; /* flat; moments zeroed at build; NULL before build */
    df_real *average, *average_buffer;                  /* of values and buffers over the steps (averages.h); NULL: none are kept */
    bool swapped;                                       /* values and averages are in each other's place */
    uint64_t version;                                   /* raised whenever values change: df_parameters_touch */
    double *partials;   /* device memory of df_gradient_norm: NULL until its first call, freed with the rest */
    df_real *exchanged; /* ... and its host memory, where there are several ranks */
    bool built;
};

struct df_parameters *df_parameters_new(void);
void df_parameters_free(struct df_parameters *parameters);
/* name is copied and must be new (asserted). Items stay in the order in which they are added, whether trainable or frozen. */
struct df_parameter *df_parameters_add(struct df_parameters *parameters, const char *name, enum df_parameter_kind kind, df_shape shape,
                                       struct df_initialiser init, enum df_rng_purpose purpose);
struct df_parameter *df_parameters_add_buffer(struct df_parameters *parameters, const char *name, size_t c, double value);
struct df_parameter *df_parameters_find(const struct df_parameters *parameters, const char *name);
void df_parameters_build(struct df_parameters *parameters, struct df_device *device, uint64_t seed, bool with_gradients);
void df_parameters_touch(struct df_parameters *parameters); /* values were changed by other means than the optimiser */
void df_parameters_zero_grad(struct df_parameters *parameters);
size_t df_parameters_trainable(const struct df_parameters *parameters, size_t from, size_t to); /* elements of items[from..to) */
uint64_t df_parameters_hash(const struct df_parameters *parameters);                            /* of names, shapes, values and buffers */
#endif
