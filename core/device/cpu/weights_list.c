/* Which pixels of a part a tap, or a kernel row, meets. */
#include "core/device/cpu/weights.h"

/* Four neighbours of a list at a time. */
typedef uint64_t addresses __attribute__((vector_size(32)));
typedef int32_t offsets __attribute__((vector_size(16)));

/* Output columns [first, last) of the part in image n, output row h. */
struct line {
    size_t n, h, first, last;
    size_t pixel; /* of column `first`, from the part's begin */
};

static struct line first_line(const struct part *part)
{
    const size_t at = part->begin, column = at % part->y.w, left = part->end - at;

    return (struct line){ .n = at / part->y.w / part->y.h,
                          .h = at / part->y.w % part->y.h,
                          .first = column,
                          .last = part->y.w - column < left ? part->y.w : column + left };
}

INLINE bool next_line(const struct part *part, struct line *line)
{
    line->pixel += line->last - line->first;
    line->first = 0;
    if (++line->h == part->y.h) {
        line->h = 0;
        line->n++;
    }
    const size_t left = part->end - part->begin - line->pixel;

    line->last = part->y.w < left ? part->y.w : left;
    return left > 0;
}

/* The image row that output row h meets with kernel row r; NULL: none */
static const float *row_of(const struct part *part, const struct line *line, size_t r)
{
    const struct df_conv *conv = part->conv;
    const size_t row = line->h * conv->stride_h + r;

    if (row < conv->pad_h || row - conv->pad_h >= conv->x.h)
        return NULL;
    return part->x + (line->n * conv->x.h + row - conv->pad_h) * conv->x.w * conv->x.c;
}

/* Output columns [first, last) whose kernel columns s .. s + n - 1 are inside. */
static void columns_inside(const struct df_conv *conv, size_t s, size_t n, size_t columns, size_t *first, size_t *last)
{
    const size_t lead = conv->pad_w > s ? conv->pad_w - s : 0;
    const ptrdiff_t room = (ptrdiff_t)(conv->x.w + conv->pad_w) - (ptrdiff_t)(s + n);

    *first = (lead + conv->stride_w - 1) / conv->stride_w;
    *last = room < 0 ? 0 : (size_t)room / conv->stride_w + 1;
    *last = *last < columns ? *last : columns;
    *last = *last < *first ? *first : *last;
}

/* What lies between neighbours: in bytes of x, in floats of dy. */
struct steps {
    addresses x, next_x;
    offsets dy, next_dy;
};

static struct steps steps_of(const struct part *part)
{
    const uint64_t x = part->conv->stride_w * part->conv->x.c * sizeof(float);
    const int32_t dy = (int32_t)part->y.c;
    struct steps steps;

    for (int i = 0; i < LIST_SLACK; i++) {
        steps.x[i] = x * (uint64_t)i;
        steps.next_x[i] = x * LIST_SLACK;
        steps.dy[i] = dy * i;
        steps.next_dy[i] = dy * LIST_SLACK;
    }
    return steps;
}

/* n columns, the first at x and dy. What is written behind them (lists have room) is written
 * over, or is not read. */
INLINE void add_columns(struct steps steps, size_t n, const float *x, int32_t dy, struct pixels *out)
{
    addresses xs = steps.x + (uint64_t)(uintptr_t)x;
    offsets dys = steps.dy + dy;

    for (size_t i = 0; i < n; i += LIST_SLACK) {
        memcpy(out->x + out->count + i, &xs, sizeof xs);
        memcpy(out->dy + out->count + i, &dys, sizeof dys);
        xs += steps.next_x;
        dys += steps.next_dy;
    }
    out->count += n;
}

/* Where dy's row of column `w` begins, from the part's first pixel. */
INLINE int32_t dy_at(const struct part *part, const struct line *line, size_t w)
{
    return (int32_t)((line->pixel + w - line->first) * part->y.c);
}

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }
static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

void CPU(list_tap)(const struct part *part, size_t r, size_t s, struct pixels *out)
{
    const struct df_conv *conv = part->conv;
    const struct steps steps = steps_of(part);
    struct line line = first_line(part);
    size_t inside, beyond;

    columns_inside(conv, s, 1, part->y.w, &inside, &beyond);
    out->count = 0;
    do {
        const float *row = row_of(part, &line, r);
        const size_t first = larger(inside, line.first), last = smaller(beyond, line.last);

        if (row && first < last)
            add_columns(steps, last - first, row + (first * conv->stride_w + s - conv->pad_w) * conv->x.c, dy_at(part, &line, first), out);
    } while (next_line(part, &line));
}

/* Kernel row r at output column w: copied, with zeros beyond the ends of the image row. */
static void copy_row(const struct df_conv *conv, const float *row, size_t w, float *to)
{
    for (size_t s = 0; s < conv->kernel_w; s++, to += conv->x.c) {
        const size_t column = w * conv->stride_w + s;

        if (column < conv->pad_w || column - conv->pad_w >= conv->x.w)
            memset(to, 0, conv->x.c * sizeof *to);
        else
            memcpy(to, row + (column - conv->pad_w) * conv->x.c, conv->x.c * sizeof *to);
    }
}

void CPU(list_row)(const struct part *part, size_t r, float *margin, struct pixels *out)
{
    const struct df_conv *conv = part->conv;
    const struct steps steps = steps_of(part);
    struct line line = first_line(part);
    size_t inside, beyond;

    columns_inside(conv, 0, conv->kernel_w, part->y.w, &inside, &beyond);
    out->count = 0;
    do {
        const float *row = row_of(part, &line, r);

        for (size_t w = line.first; row && w < line.last;) {
            const int32_t dy = dy_at(part, &line, w);

            if (w >= inside && w < beyond) {
                const size_t last = smaller(beyond, line.last);

                add_columns(steps, last - w, row + (w * conv->stride_w - conv->pad_w) * conv->x.c, dy, out);
                w = last;
            } else {
                copy_row(conv, row, w, margin);
                add_columns(steps, 1, margin, dy, out);
                margin += conv->kernel_w * conv->x.c;
                w++;
            }
        }
    } while (next_line(part, &line));
}
