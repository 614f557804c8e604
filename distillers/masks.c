/* Masks from ground-truth boxes. Level assignment and the rounding "authors" are those of the DeFeat authors' code (legacy "+1" sizes, end
 * exclusive, a box that is thin in one direction marks a single cell). Deviations: the finest scale follows the image's shorter
 * side instead of being 56 pixels at any size; a box that begins on the last border marks the last cell, where theirs would index outside;
 * what of a box lies left of the map or above it marks nothing, where theirs counts negative cells from the end; sizes are resized with whole
 * numbers, where theirs rounds a quotient. */
#include "distillers/masks.h"

#include <math.h>
#include <string.h>

#include "core/base/portable_math.h"
#include "core/geometry/box.h"

size_t df_level_of(struct df_box box, double finest_scale, size_t levels)
{
    const double width = (double)box.x1 - (double)box.x0 + 1, height = (double)box.y1 - (double)box.y0 + 1;
    const double ratio = sqrt(width * height) / finest_scale + 1e-6;
    size_t level = 0;

    for (double border = 2; level + 1 < levels && ratio >= border; border *= 2) /* floor(log2(ratio)) */
        level++;
    return level;
}

struct box_cells {
    size_t x[2], y[2]; /* first and end */
    bool thin;         /* the authors' rule makes it one cell */
};

/* Cells of [begin, end] pixels along an axis of `cells`; false: none. */
static bool cell_range(const struct df_cell_grid *grid, size_t cells, double begin, double end, size_t range[2], bool *thin)
{
    const bool cover = grid->rounding == DF_ROUND_COVER;
    const double most = (double)cells, first = begin / grid->stride, last = end / grid->stride;
    const double a = cover ? floor(first) : trunc(first), b = cover ? ceil(last) : trunc(last);
    const double low = a > 0 ? a : 0, high = b < most ? b : most;
    const bool one = !cover && low == high;

    if (!(low < high || one))
        return false;
    *thin |= one;
    range[0] = (size_t)(low < most ? low : most - 1);
    range[1] = (size_t)high;
    return true;
}

/* False: none. */
static bool box_range(const struct df_cell_grid *grid, struct df_box box, struct box_cells *out)
{
    out->thin = false;
    if (!cell_range(grid, grid->w, (double)box.x0, (double)box.x1, out->x, &out->thin) ||
        !cell_range(grid, grid->h, (double)box.y0, (double)box.y1, out->y, &out->thin))
        return false;
    if (out->thin) {
        out->x[1] = out->x[0] + 1;
        out->y[1] = out->y[0] + 1;
    }
    return true;
}

void df_mask_box(df_real *mask, struct df_cell_grid grid, struct df_box box)
{
    struct box_cells c;

    if (!box_range(&grid, box, &c))
        return;
    for (size_t row = c.y[0]; row < c.y[1]; row++) {
        for (size_t column = c.x[0]; column < c.x[1]; column++)
            mask[row * grid.w + column] = 1;
    }
}

/* exp(-((i - c)/c)^2 / 2), c = cells / 2 */
static double bell(size_t i, size_t cells)
{
    const double c = (double)cells / 2, z = ((double)i - c) / c;

    return df_exp(-0.5 * z * z);
}

void df_mask_gaussian(df_real *mask, struct df_cell_grid grid, struct df_box box)
{
    struct box_cells c;

    if (!box_range(&grid, box, &c))
        return;
    for (size_t row = c.y[0]; row < c.y[1]; row++) {
        for (size_t column = c.x[0]; column < c.x[1]; column++) {
            df_real *cell = &mask[row * grid.w + column];
            const df_real value = c.thin ? 1 : (df_real)(bell(column - c.x[0], c.x[1] - c.x[0]) * bell(row - c.y[0], c.y[1] - c.y[0]));

            *cell = value > *cell ? value : *cell;
        }
    }
}

/* The largest IoU of the anchors with box; all of them in iou. */
static double best_anchor(const struct df_box *anchor, size_t count, struct df_box box, float *iou)
{
    double most = 0;

    for (size_t a = 0; a < count; a++) {
        iou[a] = df_box_iou(anchor[a], box);
        most = (double)iou[a] > most ? (double)iou[a] : most;
    }
    return most;
}

static void mark_above(df_real *mask, const float *iou, size_t count, size_t per_cell, double border)
{
    for (size_t a = 0; a < count; a++) {
        if ((double)iou[a] > border)
            mask[a / per_cell] = 1;
    }
}

void df_mask_roi(df_real *mask, struct df_cell_anchors anchors, struct df_box box, double share, float *iou)
{
    const size_t count = anchors.cells * anchors.per_cell;
    const double most = best_anchor(anchors.anchor, count, box, iou);

    mark_above(mask, iou, count, anchors.per_cell, share * most);
}

double df_finest_scale(const struct df_batch *images, size_t n)
{
    const size_t side = images->valid_h[n] < images->valid_w[n] ? images->valid_h[n] : images->valid_w[n];

    return 56 * (double)side / 800;
}

/* Which objects of image n an anchor of this level learns: [objects] */
static bool *objects_matched(df_tape *tape, const struct df_detection_state *student, size_t n, size_t level)
{
    const size_t objects = student->images->truth[n].count;
    const df_real *label = df_part_host(tape, df_part(student, "label", DF_NO_LEVEL));
    const df_real *matched = df_part_host(tape, df_part(student, "matched", DF_NO_LEVEL));
    bool *found = df_tape_host(tape, (objects + 1) * sizeof *found);
    size_t first = n * student->anchors;

    for (size_t l = 0; l < level; l++)
        first += student->level_anchors[l];
    memset(found, 0, objects * sizeof *found);
    for (size_t a = first; a < first + student->level_anchors[level]; a++) {
        if (label[a] >= 0)
            found[(size_t)matched[a]] = true;
    }
    return found;
}

/* Which objects of image n mark this level: [objects] */
static bool *objects_on_level(df_tape *tape, const struct df_detection_state *student, size_t n, size_t level, int rule)
{
    const struct df_ground_truth *truth = &student->images->truth[n];
    const double finest = df_finest_scale(student->images, n);
    bool *found;

    if (rule == DF_LEVEL_MATCHED)
        return objects_matched(tape, student, n, level);
    found = df_tape_host(tape, (truth->count + 1) * sizeof *found);
    for (size_t i = 0; i < truth->count; i++)
        found[i] = rule == DF_LEVEL_ALL || df_level_of(truth->boxes[i], finest, student->levels) == level;
    return found;
}

static struct df_cell_anchors level_anchors(const struct df_detection_state *student, size_t level, size_t cells)
{
    const struct df_box *anchor = student->anchor;

    for (size_t l = 0; l < level; l++)
        anchor += student->level_anchors[l];
    return (struct df_cell_anchors){ anchor, cells, student->level_anchors[level] / cells };
}

static df_real *zeros(df_tape *tape, size_t count)
{
    df_real *mask = df_tape_host(tape, count * sizeof *mask);

    memset(mask, 0, count * sizeof *mask);
    return mask;
}

df_real *df_mask_objects(df_tape *tape, const struct df_detection_state *student, size_t level, const struct df_mask_options *options)
{
    const struct df_part *neck = df_part(student, "neck", level);
    const df_shape map = neck->shape;
    const size_t cells = map.h * map.w;
    const struct df_cell_grid grid = { map.h, map.w, (double)neck->stride, (enum df_rounding)options->rounding };
    df_real *mask = zeros(tape, map.n * cells);
    float *iou = options->kind == DF_MASK_ROI ? df_tape_host(tape, student->level_anchors[level] * sizeof *iou) : NULL;

    for (size_t i = 0; options->kind == DF_MASK_ONE && i < map.n * cells; i++)
        mask[i] = 1;
    for (size_t n = 0; options->kind != DF_MASK_ONE && n < map.n; n++) {
        const struct df_ground_truth *truth = &student->images->truth[n];
        const bool *marks = objects_on_level(tape, student, n, level, options->level_rule);
        df_real *own = mask + n * cells;

        for (size_t i = 0; i < truth->count; i++) {
            if (!marks[i])
                continue;
            if (options->kind == DF_MASK_GT)
                df_mask_box(own, grid, truth->boxes[i]);
            else if (options->kind == DF_MASK_GAUSSIAN)
                df_mask_gaussian(own, grid, truth->boxes[i]);
            else
                df_mask_roi(own, level_anchors(student, level, cells), truth->boxes[i], options->roi_share, iou);
        }
    }
    return mask;
}

void df_mask_anchors(df_tape *tape, const struct df_detection_state *student, double share, df_real *mask[DF_LEVELS])
{
    float *iou = df_tape_host(tape, student->anchors * sizeof *iou);

    for (size_t l = 0; l < student->levels; l++)
        mask[l] = zeros(tape, df_pixels(df_part(student, "neck", l)->shape));
    for (size_t n = 0; n < student->batch; n++) {
        const struct df_ground_truth *truth = &student->images->truth[n];

        for (size_t i = 0; i < truth->count; i++) {
            const double border = share * best_anchor(student->anchor, student->anchors, truth->boxes[i], iou);
            const float *own = iou;

            for (size_t l = 0; l < student->levels; l++) {
                const df_shape map = df_part(student, "neck", l)->shape;
                const size_t cells = map.h * map.w;

                mark_above(mask[l] + n * cells, own, student->level_anchors[l], student->level_anchors[l] / cells, border);
                own += student->level_anchors[l];
            }
        }
    }
}

df_real *df_mask_stage(df_tape *tape, const struct df_detection_state *student, df_shape map, enum df_rounding rounding)
{
    const struct df_mask_options every = { .kind = DF_MASK_GT, .level_rule = DF_LEVEL_ALL, .rounding = (int)rounding };
    const df_shape finest = df_part(student, "neck", 0)->shape;
    const df_real *from = df_mask_objects(tape, student, 0, &every);
    df_real *mask = zeros(tape, df_pixels(map)), *to = mask;

    for (size_t n = 0; n < map.n; n++) {
        for (size_t y = 0; y < map.h; y++) {
            const df_real *row = from + (n * finest.h + y * finest.h / map.h) * finest.w;

            for (size_t x = 0; x < map.w; x++)
                *to++ = row[x * finest.w / map.w];
        }
    }
    return mask;
}

df_tensor *df_mask_region(df_tape *tape, df_shape map, const df_real *objects, enum df_region region, const struct df_padding *padding,
                          double *cells)
{
    df_real *mask = df_tape_host(tape, df_pixels(map) * sizeof *mask), *to = mask;

    DF_ASSERT(region == DF_REGION_ALL || objects);
    for (size_t n = 0; n < map.n; n++) {
        const struct df_cells valid = padding ? df_valid_cells(padding->images, n, padding->stride) : (struct df_cells){ map.h, map.w };

        cells[n] = 0;
        for (size_t y = 0; y < map.h; y++) {
            for (size_t x = 0; x < map.w; x++, to++) {
                const df_real object = region == DF_REGION_ALL ? 1 : objects[to - mask];

                *to = region == DF_REGION_BACKGROUND ? 1 - object : object;
                if (y >= valid.h || x >= valid.w)
                    *to = 0;
                cells[n] += (double)*to;
            }
        }
    }
    return df_tensor_from(tape, (df_shape){ map.n, map.h, map.w, 1 }, mask);
}
