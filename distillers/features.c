/* Adaptation layers and the masked, decoupled imitation of feature maps; formulas at their declarations. Source: the DeFeat authors' code. */
#include <math.h>
#include <stdio.h>

#include "core/nn/losses.h"
#include "distillers/common.h"

/* ---- adaptation ---- */

static size_t kernel_of(const struct df_adapt_options *options) { return options->kind == DF_ADAPT_3X3 ? 3 : 1; }

df_status df_adapt_add(struct df_distiller_setup *setup, const struct df_adapt_options *options, struct df_adapted what,
                       struct df_adapt_layer *layer, struct df_error *err)
{
    const struct df_part *student = df_parts_at(setup->student, what.kind, what.level);
    const struct df_part *teacher = df_parts_at(setup->teacher, what.kind, what.level);
    const size_t k = kernel_of(options), in = student->shape.c, out = teacher->shape.c;
    const bool none = options->kind == DF_ADAPT_NONE || (options->kind == DF_ADAPT_AUTO && in == out);
    const struct df_initialiser pytorch = { DF_INIT_UNIFORM, 1 / sqrt((double)(k * k * in)) }, zero = { DF_INIT_ZERO, 0 };
    const struct df_initialiser normal = { options->init == DF_ADAPT_AUTHORS ? DF_INIT_WRAPPED_NORMAL : DF_INIT_NORMAL, options->std };
    const struct df_initialiser weight = options->init == DF_ADAPT_PYTORCH ? pytorch : normal;
    const struct df_initialiser bias = options->init == DF_ADAPT_NORMAL ? zero : pytorch;
    char name[64];

    if (none && in != out)
        return df_fail(err, DF_ERR_USAGE, "%s none: '%s' has %zu channels in the student, %zu in the teacher [set %s to 1x1 or 3x3]",
                       what.option, student->name, in, out, what.option);
    if (none)
        return DF_OK;
    snprintf(name, sizeof name, "%s.%zu.weight", what.option, what.level);
    layer->weight = df_distiller_parameter(setup, name, DF_CONV_WEIGHT, (df_shape){ out, k, k, in }, weight);
    snprintf(name, sizeof name, "%s.%zu.bias", what.option, what.level);
    layer->bias = df_distiller_parameter(setup, name, DF_VECTOR, (df_shape){ 1, 1, 1, out }, bias);
    return DF_OK;
}

df_tensor *df_adapt_apply(df_tape *tape, const struct df_adapt_options *options, const struct df_adapt_layer *layer, df_tensor *s)
{
    const size_t pad = kernel_of(options) / 2;
    const struct df_conv_options conv = { .stride_h = 1, .stride_w = 1, .pad_h = pad, .pad_w = pad, .relu = options->relu };

    if (!layer->weight)
        return s;
    return df_conv2d(tape, s, df_parameter_tensor(tape, layer->weight), df_parameter_tensor(tape, layer->bias), conv);
}

/* ---- masked imitation ---- */

struct masked { /* one map with the mask of a region */
    df_tensor *mask;
    double *cells; /* [N] */
};

/* max(1, 2 C cells): what masked_mse divides by */
static double norm_of(const struct df_feature_map *map, double cells)
{
    const double norm = 2 * (double)map->s->shape.c * cells;

    return norm > 1 ? norm : 1;
}

static double all_cells(const struct df_feature_map *map, const struct masked *masked)
{
    double cells = 0;

    for (size_t n = 0; n < map->s->shape.n; n++)
        cells += masked->cells[n];
    return cells;
}

/* masked_mse divides by what this rank has; here by what the batch of all ranks has. */
static df_tensor *level_loss(df_tape *tape, const struct df_feature_map *map, const struct masked *masked, bool per_image)
{
    df_tensor *term = df_masked_mse(tape, map->s, map->t, masked->mask, map->teacher_scale, per_image);
    const double own = per_image ? (double)map->s->shape.n : all_cells(map, masked);
    double all = own;

    if (df_comm_size(df_tape_device(tape)->comm) == 1)
        return term;
    df_comm_sum(df_tape_device(tape)->comm, &all, 1);
    return df_scale(tape, term, per_image ? own / all : norm_of(map, own) / norm_of(map, all));
}

static df_tensor *mean_of_levels(df_tape *tape, const struct df_feature_map *map, const struct masked *masked, size_t maps, int norm)
{
    df_tensor *sum = NULL;

    for (size_t l = 0; l < maps; l++) {
        df_tensor *term = level_loss(tape, &map[l], &masked[l], norm == DF_NORM_IMAGE);

        sum = sum ? df_add(tape, sum, term) : term;
    }
    return df_scale(tape, sum, 1 / (double)maps);
}

/* sum_l E_l / max(1, sum_l 2 C_l cells_l) over the batch: each level's own quotient times its share of the divisor. comm: who has cells of it. */
static df_tensor *pooled(df_tape *tape, const struct df_feature_map *map, const struct masked *masked, size_t maps, struct df_comm *comm)
{
    df_tensor *sum = NULL;
    double norm = 0;

    for (size_t l = 0; l < maps; l++)
        norm += 2 * (double)map[l].s->shape.c * all_cells(&map[l], &masked[l]);
    df_comm_sum(comm, &norm, 1);
    norm = norm > 1 ? norm : 1;
    for (size_t l = 0; l < maps; l++) {
        df_tensor *term = df_masked_mse(tape, map[l].s, map[l].t, masked[l].mask, map[l].teacher_scale, false);

        term = df_scale(tape, term, norm_of(&map[l], all_cells(&map[l], &masked[l])) / norm);
        sum = sum ? df_add(tape, sum, term) : term;
    }
    return sum;
}

/* Image n of a tensor that gets no gradient. */
static df_tensor *image_of(df_tape *tape, const df_tensor *x, size_t n)
{
    df_shape one = x->shape;

    one.n = 1;
    return df_tensor_view(tape, one, x->data + n * df_count(one));
}

/* The mean over images of what `pooled` gives for each alone. */
static df_tensor *pooled_per_image(df_tape *tape, const struct df_feature_map *map, const struct masked *masked, size_t maps)
{
    const size_t images = map->s->shape.n;
    df_tensor *sum = NULL;

    for (size_t n = 0; n < images; n++) {
        struct df_feature_map one[DF_LEVELS];
        struct masked own[DF_LEVELS];

        for (size_t l = 0; l < maps; l++) {
            one[l] = map[l];
            one[l].s = df_slice(tape, map[l].s, 0, n, n + 1);
            one[l].t = image_of(tape, map[l].t, n);
            own[l] = (struct masked){ image_of(tape, masked[l].mask, n), masked[l].cells + n };
        }
        df_tensor *term = pooled(tape, one, own, maps, NULL);

        sum = sum ? df_add(tape, sum, term) : term;
    }
    return df_scale(tape, sum, 1 / df_loss_norm(tape, images));
}

/* The mean over levels of their hierarchical context losses, each over its masked features. */
static df_tensor *context_loss(df_tape *tape, const struct df_feature_map *map, const struct masked *masked, size_t maps)
{
    const double share = 1 / (double)maps;
    df_tensor *sum = NULL;

    for (size_t l = 0; l < maps; l++) {
        df_tensor *taught = df_tensor_view(tape, map[l].t->shape, map[l].t->data);

        taught = df_mul(tape, df_scale(tape, taught, map[l].teacher_scale), masked[l].mask);

        df_tensor *term = df_hcl(tape, df_mul(tape, map[l].s, masked[l].mask), taught);

        sum = sum ? df_add(tape, sum, term) : term;
    }
    return df_scale(tape, sum, share);
}

static df_tensor *reduced(df_tape *tape, const struct df_feature_map *map, const struct masked *masked, size_t maps,
                          const struct df_feature_options *options)
{
    if (options->reduction == DF_REDUCTION_HCL)
        return context_loss(tape, map, masked, maps);
    if (options->level_reduce == DF_REDUCE_MEAN)
        return mean_of_levels(tape, map, masked, maps, options->norm);
    return options->norm == DF_NORM_BATCH ? pooled(tape, map, masked, maps, df_tape_device(tape)->comm)
                                          : pooled_per_image(tape, map, masked, maps);
}

df_tensor *df_feature_loss(df_tape *tape, const struct df_feature_map *map, size_t maps, enum df_region region,
                           const struct df_feature_options *options, const struct df_batch *images)
{
    struct masked masked[DF_LEVELS];

    DF_ASSERT(maps && maps <= DF_LEVELS);
    for (size_t l = 0; l < maps; l++) {
        const struct df_feature_map *own = &map[l];
        const struct df_padding padding = { images, own->stride };

        masked[l].cells = df_tape_host(tape, own->s->shape.n * sizeof(double));
        masked[l].mask =
            df_mask_region(tape, own->s->shape, own->objects, region, options->exclude_padding ? &padding : NULL, masked[l].cells);
        DF_ASSERT(!options->sum_channels || own->s->shape.c == map->s->shape.c);
    }
    df_tensor *loss = reduced(tape, map, masked, maps, options);

    return options->sum_channels ? df_scale(tape, loss, (double)map->s->shape.c) : loss;
}

double df_share_of_ranks(df_tape *tape, double own)
{
    double all = own;

    df_comm_sum(df_tape_device(tape)->comm, &all, 1);
    return own / all;
}
