/* Plans: made at first use of a geometry, found by its hash later. */
#include "core/device/cpu/plan.h"

#include <stdlib.h>

#include "core/base/hash.h"

enum { BUCKETS = 256, GROUP_PIXELS = 8192 /* of a group of images, about: few tiles are cut short, lists stay small */ };

struct key {
    uint64_t backward, h, w, c, filters, kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, images;
};
struct entry {
    struct entry *next;
    struct key key;
    struct plan plan;
};
struct df_plans {
    struct entry *bucket[BUCKETS];
};

/* Along one axis: the taps that a position takes are first, first + step, ...; the first one meets `from`, each later one the next
 * (backward: the previous) position. */
struct span {
    size_t first, count, from;
};
struct axis {
    size_t positions, sources, kernel, stride, pad;
};

static struct span span_at(const struct axis *axis, bool backward, size_t at)
{
    struct span span = { 0 };

    for (size_t k = 0; k < axis->kernel; k++) {
        const ptrdiff_t lead = (ptrdiff_t)(backward ? at + axis->pad : at * axis->stride + k) - (ptrdiff_t)(backward ? k : axis->pad);
        const ptrdiff_t from = backward ? lead / (ptrdiff_t)axis->stride : lead;

        if (lead < 0 || (backward && lead % (ptrdiff_t)axis->stride) || from >= (ptrdiff_t)axis->sources)
            continue;
        if (!span.count++) {
            span.first = k;
            span.from = (size_t)from;
        }
    }
    return span;
}

/* Positions that take the same taps are of one kind. */
struct kinds {
    struct span *of, *kind; /* per position; per kind */
    size_t *which, count;
};

static struct kinds find_kinds(const struct axis *axis, bool backward)
{
    struct kinds kinds = { df_calloc(axis->positions, sizeof(struct span)), df_calloc(axis->positions, sizeof(struct span)),
                           df_calloc(axis->positions, sizeof(size_t)), 0 };

    for (size_t i = 0; i < axis->positions; i++) {
        const struct span span = kinds.of[i] = span_at(axis, backward, i);
        size_t k = 0;

        while (k < kinds.count && !(kinds.kind[k].first == span.first && kinds.kind[k].count == span.count))
            k++;
        if (k == kinds.count)
            kinds.kind[kinds.count++] = span;
        kinds.which[i] = k;
    }
    return kinds;
}

static void kinds_release(struct kinds *kinds)
{
    free(kinds->of);
    free(kinds->kind);
    free(kinds->which);
}

/* What is known while a plan is made. */
struct making {
    bool backward;
    df_shape in, out;
    size_t depth, kernel_w, step_h, step_w; /* of taps */
    struct kinds rows, columns;
    struct plan *plan;
    size_t blocks, pieces, taken; /* taken: terms of the block that is being filled */
};

/* Terms go to the last piece where they continue it; a block that is full is followed by another. */
static void add_terms(struct making *m, struct pixel_class *class, ptrdiff_t from, size_t at, size_t length)
{
    while (length) {
        if (!class->blocks || m->taken == DF_CHAIN_TERMS) {
            m->plan->block[m->blocks++] = (struct block){ m->pieces, 0 };
            class->blocks++;
            m->taken = 0;
        }
        const size_t room = DF_CHAIN_TERMS - m->taken, n = length < room ? length : room;
        struct block *block = &m->plan->block[m->blocks - 1];
        struct piece *last = block->pieces ? &m->plan->piece[m->pieces - 1] : NULL;

        if (last && from == last->from + (ptrdiff_t)last->length && at == last->at + last->length) {
            last->length += (uint32_t)n;
        } else {
            m->plan->piece[m->pieces++] = (struct piece){ (int32_t)from, (uint32_t)at, (uint32_t)n };
            block->pieces++;
        }
        m->taken += n;
        from += (ptrdiff_t)n;
        at += n;
        length -= n;
    }
}

static void fill_class(struct making *m, struct pixel_class *class, const struct span *rows, const struct span *columns)
{
    const ptrdiff_t sign = m->backward ? -1 : 1;

    class->first_block = m->blocks;
    for (size_t r = 0; r < rows->count; r++)
        for (size_t s = 0; s < columns->count; s++) {
            const size_t tap = (rows->first + r * m->step_h) * m->kernel_w + columns->first + s * m->step_w;

            add_terms(m, class, sign * (ptrdiff_t)((r * m->in.w + s) * m->depth), tap * m->depth, m->depth);
        }
}

static void fill_pixels(struct making *m)
{
    struct plan *plan = m->plan;
    size_t *next = df_calloc(plan->classes + 1, sizeof *next);

    for (size_t i = 0; i < plan->classes; i++)
        next[i] = plan->class[i].first;
    for (size_t n = 0; n < plan->images; n++)
        for (size_t h = 0; h < m->out.h; h++)
            for (size_t w = 0; w < m->out.w; w++) {
                const size_t at = next[m->rows.which[h] * m->columns.count + m->columns.which[w]]++;

                plan->from[at] = (int32_t)(((n * m->in.h + m->rows.of[h].from) * m->in.w + m->columns.of[w].from) * m->depth);
                plan->to[at] = (int32_t)(((n * m->out.h + h) * m->out.w + w) * m->out.c);
            }
    free(next);
}

static void count_pixels(struct making *m)
{
    struct plan *plan = m->plan;

    for (size_t h = 0; h < m->out.h; h++)
        for (size_t w = 0; w < m->out.w; w++)
            plan->class[m->rows.which[h] * m->columns.count + m->columns.which[w]].per_image++;
    for (size_t i = 0, at = 0; i < plan->classes; i++) {
        plan->class[i].first = at;
        at += plan->class[i].per_image * plan->images;
    }
}

static void make(struct plan *plan, const struct df_conv *conv, bool backward, size_t images)
{
    const df_shape x = conv->x, y = df_conv_shape(conv), in = backward ? y : x, out = backward ? x : y;
    const struct axis rows = { out.h, in.h, conv->kernel_h, conv->stride_h, conv->pad_h };
    const struct axis columns = { out.w, in.w, conv->kernel_w, conv->stride_w, conv->pad_w };
    struct making m = { .backward = backward,
                        .in = in,
                        .out = out,
                        .depth = in.c,
                        .kernel_w = conv->kernel_w,
                        .step_h = backward ? conv->stride_h : 1,
                        .step_w = backward ? conv->stride_w : 1,
                        .rows = find_kinds(&rows, backward),
                        .columns = find_kinds(&columns, backward),
                        .plan = plan };
    const size_t pixels = images * out.h * out.w, taps = conv->kernel_h * conv->kernel_w;

    DF_ASSERT(images * in.h * in.w * in.c <= INT32_MAX && images * out.h * out.w * out.c <= INT32_MAX && taps * in.c <= INT32_MAX);
    plan->images = images;
    plan->classes = m.rows.count * m.columns.count;
    plan->class = df_calloc(plan->classes, sizeof *plan->class);
    const size_t most = taps * in.c / DF_CHAIN_TERMS + 1; /* blocks of a class */

    plan->block = df_calloc(plan->classes * most, sizeof *plan->block);
    plan->piece = df_calloc(plan->classes * (taps + most), sizeof *plan->piece);
    plan->from = df_calloc(pixels, sizeof *plan->from);
    plan->to = df_calloc(pixels, sizeof *plan->to);
    for (size_t h = 0; h < m.rows.count; h++)
        for (size_t w = 0; w < m.columns.count; w++)
            fill_class(&m, &plan->class[h * m.columns.count + w], &m.rows.kind[h], &m.columns.kind[w]);
    count_pixels(&m);
    fill_pixels(&m);
    kinds_release(&m.rows);
    kinds_release(&m.columns);
}

struct df_plans *CPU(plans_new)(void) { return df_calloc(1, sizeof(struct df_plans)); }

void CPU(plans_free)(struct df_plans *plans)
{
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct entry *entry = plans->bucket[i], *next; entry; entry = next) {
            next = entry->next;
            free(entry->plan.class);
            free(entry->plan.block);
            free(entry->plan.piece);
            free(entry->plan.from);
            free(entry->plan.to);
            free(entry);
        }
    free(plans);
}

/* Groups of one size, as nearly as can be. */
static size_t group_size(size_t images, size_t pixels)
{
    const size_t most = GROUP_PIXELS / pixels ? GROUP_PIXELS / pixels : 1, groups = (images + most - 1) / most;

    return groups ? (images + groups - 1) / groups : 0;
}

const struct plan *CPU(plan)(struct df_plans *plans, const struct df_conv *conv, bool backward)
{
    const df_shape y = df_conv_shape(conv), out = backward ? conv->x : y;
    const size_t images = group_size(conv->x.n, out.h * out.w);
    const struct key key = { backward,       conv->x.h,      conv->x.w,      conv->x.c,   conv->filters, conv->kernel_h,
                             conv->kernel_w, conv->stride_h, conv->stride_w, conv->pad_h, conv->pad_w,   images };
    struct entry **bucket = &plans->bucket[df_hash(&key, sizeof key) % BUCKETS], *entry = *bucket;

    while (entry && memcmp(&entry->key, &key, sizeof key) != 0)
        entry = entry->next;
    if (!entry) {
        entry = df_calloc(1, sizeof *entry);
        entry->key = key;
        entry->next = *bucket;
        *bucket = entry;
        make(&entry->plan, conv, backward, images);
    }
    return &entry->plan;
}
