/* Packing weights, and keeping what was packed. */
#include "core/device/cpu/pack.h"

#include <stdlib.h>

#include "core/device/host.h"

enum { BUCKETS = 256, STRIP = 16 /* terms that are turned at a time: they stay in the nearest cache */ };

struct entry {
    struct entry *next;
    struct pack_shape shape;
    struct df_weights w;
    float *memory;
};
struct df_packs {
    struct entry *bucket[BUCKETS];
};

static size_t lanes_of(const struct pack_shape *s) { return s->backward ? s->channels : s->filters; }
static size_t terms_of(const struct pack_shape *s) { return s->taps * (s->backward ? s->filters : s->channels); }

size_t CPU(packed_floats)(const struct pack_shape *s) { return (lanes_of(s) + V - 1) / V * V * terms_of(s); }

/* to[term][width] = w[filter lane][term]: a transpose */
static void pack_filters(const float *w, size_t terms, size_t lanes, size_t width, float *to)
{
    for (size_t first = 0; first < terms; first += STRIP) {
        const size_t last = terms - first < STRIP ? terms : first + STRIP;

        for (size_t lane = 0; lane < width; lane++)
            for (size_t i = first; i < last; i++)
                to[i * width + lane] = lane < lanes ? w[lane * terms + i] : 0;
    }
}

/* to[tap][filter][width] = w[filter][tap][channel lane]: rows move */
static void pack_channels(const struct pack_shape *s, const float *w, size_t lanes, size_t width, float *to)
{
    const vmask mask = v_mask(lanes - (width - V));

    for (size_t tap = 0; tap < s->taps; tap++)
        for (size_t filter = 0; filter < s->filters; filter++, to += width) {
            const float *from = w + (filter * s->taps + tap) * s->channels;

            for (size_t lane = 0; lane + V < width; lane += V)
                v_store(to + lane, v_load(from + lane));
            v_store(to + width - V, v_load_some(from + width - V, mask));
        }
}

void CPU(pack)(const struct pack_shape *s, const float *w, float *to)
{
    const size_t lanes = lanes_of(s), terms = terms_of(s);

    for (size_t at = 0; at < lanes;) {
        const size_t width = CPU(tile_vectors)(lanes - at) * V, n = lanes - at < width ? lanes - at : width;

        if (s->backward)
            pack_channels(s, w + at, n, width, to);
        else
            pack_filters(w + at * terms, terms, n, width, to);
        to += width * terms;
        at += n;
    }
}

struct df_packs *CPU(packs_new)(void) { return df_calloc(1, sizeof(struct df_packs)); }

static void entry_free(struct entry *entry)
{
    df_host_free(NULL, entry->memory);
    free(entry);
}

void CPU(packs_free)(struct df_packs *packs)
{
    CPU(packs_forget)(packs, NULL, SIZE_MAX);
    free(packs);
}

void CPU(packs_forget)(struct df_packs *packs, const void *memory, size_t bytes)
{
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct entry **link = &packs->bucket[i]; *link;) {
            struct entry *entry = *link;

            if ((uintptr_t)entry->w.data - (uintptr_t)memory < bytes) {
                *link = entry->next;
                entry_free(entry);
            } else {
                link = &entry->next;
            }
        }
}

static bool same(const struct entry *entry, const struct pack_shape *s, const float *data)
{
    return entry->w.data == data && entry->shape.backward == s->backward && entry->shape.filters == s->filters &&
           entry->shape.taps == s->taps && entry->shape.channels == s->channels;
}

const float *CPU(packed)(struct df_packs *packs, const struct pack_shape *s, struct df_weights w)
{
    struct entry **bucket = &packs->bucket[(uintptr_t)w.data / 64 % BUCKETS], *entry = *bucket;

    while (entry && !same(entry, s, w.data))
        entry = entry->next;
    if (entry && w.version && entry->w.version == w.version)
        return entry->memory;
    if (!entry) {
        entry = df_calloc(1, sizeof *entry);
        entry->shape = *s;
        entry->memory = df_host_alloc(NULL, CPU(packed_floats)(s) * sizeof *entry->memory);
        entry->next = *bucket;
        *bucket = entry;
    }
    entry->w = w;
    CPU(pack)(s, w.data, entry->memory);
    return entry->memory;
}
