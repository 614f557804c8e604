/* Images grouped by canvas, dealt out to batches. */
#include "core/data/order.h"

#include <stdlib.h>

#include "core/base/rng.h"

struct group { /* the images of one canvas; open: those that wait for a full batch */
    size_t images, open, last;
};

struct df_order {
    struct df_order_config config;
    size_t steps, groups;
    uint32_t *group_of; /* [images] */
    struct group *group;
    size_t *begin;              /* [steps + 1]: first place of each batch; not shuffled only */
    size_t epoch;               /* of item; SIZE_MAX: none yet */
    uint32_t *drawn;            /* [images] the permutation */
    bool *drawn_flip;           /* [images] of its places */
    size_t *before;             /* [images]: the place before this one in its batch */
    struct df_order_item *item; /* [images], of which steps * batch are filled */
};

struct place {
    struct df_canvas_size canvas;
    size_t image;
};

static int by_canvas(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    if (x->canvas.height != y->canvas.height)
        return x->canvas.height < y->canvas.height ? -1 : 1;
    return (x->canvas.width > y->canvas.width) - (x->canvas.width < y->canvas.width);
}

static void find_groups(struct df_order *order, const struct df_canvas_size *canvas)
{
    const size_t n = order->config.images;
    struct place *sorted = df_malloc(n * sizeof *sorted);

    for (size_t i = 0; i < n; i++)
        sorted[i] = (struct place){ canvas[i], i };
    qsort(sorted, n, sizeof *sorted, by_canvas);
    for (size_t i = 0; i < n; i++) {
        order->groups += i == 0 || by_canvas(&sorted[i - 1], &sorted[i]) != 0;
        order->group_of[sorted[i].image] = (uint32_t)(order->groups - 1);
    }
    order->group = df_calloc(order->groups, sizeof *order->group);
    for (size_t i = 0; i < n; i++)
        order->group[order->group_of[i]].images++;
    free(sorted);
}

/* Whole batches of each group. */
static df_status count_shuffled(struct df_order *order, struct df_error *err)
{
    const size_t batch = order->config.batch, ranks = df_comm_size(order->config.comm);
    size_t never = 0;

    if (batch % ranks)
        return df_fail(err, DF_ERR_USAGE,
                       "a batch of %zu images has no equal parts for %zu ranks [set the schedule's 'batch' to a multiple]", batch, ranks);

    for (size_t g = 0; g < order->groups; g++) {
        order->steps += order->group[g].images / batch;
        never += order->group[g].images < batch ? order->group[g].images : 0;
    }
    if (!order->steps && order->groups == 1)
        return df_fail(err, DF_ERR_USAGE, "%zu training images are less than one batch of %zu [lower the schedule's 'batch']",
                       order->config.images, batch);
    if (!order->steps)
        return df_fail(err, DF_ERR_USAGE,
                       "the %zu training images have %zu different canvases, none with as many as one batch of %zu [lower the schedule's "
                       "'batch', or set 'fixed' with a canvas size in the spec's \"canvas\"]",
                       order->config.images, order->groups, batch);
    if (never)
        df_warn("%zu of %zu training images are never used: their canvases have fewer images than one batch of %zu [lower the schedule's "
                "'batch', or set 'fixed' with a canvas size in the spec's \"canvas\"]",
                never, order->config.images, batch);
    return DF_OK;
}

/* Batches of neighbours. */
static void cut_in_turn(struct df_order *order)
{
    const size_t n = order->config.images;

    order->begin = df_calloc(n + 1, sizeof *order->begin);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || i - order->begin[order->steps - 1] == order->config.batch || order->group_of[i] != order->group_of[i - 1])
            order->begin[order->steps++] = i;
    order->begin[order->steps] = n;
}

df_status df_order_new(const struct df_order_config *config, const struct df_canvas_size *canvas, struct df_order **out,
                       struct df_error *err)
{
    struct df_order *order = df_calloc(1, sizeof *order);
    const size_t n = config->images;
    df_status status = DF_OK;

    DF_ASSERT(n > 0 && n <= UINT32_MAX && config->batch > 0);
    *out = NULL;
    order->config = *config;
    order->epoch = SIZE_MAX;
    order->group_of = df_calloc(n, sizeof *order->group_of);
    order->drawn = df_calloc(n, sizeof *order->drawn);
    order->drawn_flip = df_calloc(n, sizeof *order->drawn_flip);
    order->before = df_calloc(n, sizeof *order->before);
    order->item = df_calloc(n, sizeof *order->item);
    find_groups(order, canvas);
    if (config->shuffle)
        status = count_shuffled(order, err);
    else
        cut_in_turn(order);
    if (status != DF_OK) {
        df_order_free(order);
        return status;
    }
    *out = order;
    return DF_OK;
}

void df_order_free(struct df_order *order)
{
    if (!order)
        return;
    free(order->group_of);
    free(order->group);
    free(order->begin);
    free(order->drawn);
    free(order->drawn_flip);
    free(order->before);
    free(order->item);
    free(order);
}

size_t df_order_steps(const struct df_order *order) { return order->steps; }

static void draw(struct df_order *order, size_t epoch)
{
    const size_t n = order->config.images;
    struct df_rng rng;

    if (order->config.shuffle) {
        df_rng_init(&rng, order->config.seed, DF_RNG_ORDER, epoch);
        df_rng_permutation(&rng, n, order->drawn);
    } else {
        for (size_t i = 0; i < n; i++)
            order->drawn[i] = (uint32_t)i;
    }
    df_rng_init(&rng, order->config.seed, DF_RNG_FLIP, epoch);
    for (size_t i = 0; i < n; i++)
        order->drawn_flip[i] = order->config.flip && df_rng_uniform(&rng) < 0.5;
}

static struct df_order_item item_at(const struct df_order *order, size_t place)
{
    return (struct df_order_item){ order->drawn[place], order->drawn_flip[place] };
}

/* The permutation's places, dealt out to the open batches of their canvases. */
static void deal(struct df_order *order)
{
    const size_t batch = order->config.batch;
    struct df_order_item *to = order->item;

    for (size_t g = 0; g < order->groups; g++)
        order->group[g].open = 0;
    for (size_t place = 0; place < order->config.images; place++) {
        struct group *group = &order->group[order->group_of[order->drawn[place]]];

        order->before[place] = group->last;
        group->last = place;
        if (++group->open < batch)
            continue;
        for (size_t k = batch, at = place; k-- > 0; at = order->before[at])
            to[k] = item_at(order, at);
        to += batch;
        group->open = 0;
    }
    DF_ASSERT((size_t)(to - order->item) == order->steps * batch);
}

static void plan_epoch(struct df_order *order, size_t epoch)
{
    if (order->epoch == epoch)
        return;
    order->epoch = epoch;
    draw(order, epoch);
    if (order->config.shuffle) {
        deal(order);
    } else {
        for (size_t i = 0; i < order->config.images; i++)
            order->item[i] = item_at(order, i);
    }
}

const struct df_order_item *df_order_batch(struct df_order *order, size_t step, size_t *n)
{
    const size_t within = step % order->steps, first = order->begin ? order->begin[within] : within * order->config.batch;

    plan_epoch(order, step / order->steps);
    if (order->begin) {
        *n = order->begin[within + 1] - first;
        return order->item + first;
    }
    *n = order->config.batch / df_comm_size(order->config.comm);
    return order->item + first + *n * df_comm_rank(order->config.comm);
}
