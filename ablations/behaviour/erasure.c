#include "ablations/behaviour/erasure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/run/stop.h"
#include "core/base/portable_math.h"

enum { TOGETHER = 8, RADIUS_MAX = 64 };

/* ---- blurring ---- */

static size_t clamp_to(long at, size_t size) { return at < 0 ? 0 : (size_t)at < size ? (size_t)at : size - 1; }

/* One axis: `lines` runs of `length` pixels, `step` apart within a run, `line` from run to run (in pixels). */
struct sweep {
    size_t lines, length, line, step;
};

static void blur_along(const struct sweep *s, const double *kernel, int radius, const df_real *in, df_real *out)
{
    for (size_t k = 0; k < s->lines; k++)
        for (size_t i = 0; i < s->length; i++)
            for (size_t c = 0; c < 3; c++) {
                double sum = 0;

                for (int d = -radius; d <= radius; d++)
                    sum += kernel[d + radius] * (double)in[(k * s->line + clamp_to((long)i + d, s->length) * s->step) * 3 + c];
                out[(k * s->line + i * s->step) * 3 + c] = (df_real)sum;
            }
}

void df_blur(const struct df_batch *image, double sigma, df_real *out)
{
    const int radius = sigma < RADIUS_MAX ? (int)ceil(sigma) : RADIUS_MAX;
    const size_t bytes = image->height * image->width * 3 * sizeof *out, h = image->valid_h[0], w = image->valid_w[0];
    double kernel[2 * RADIUS_MAX + 1], sum = 0;
    df_real *rows = df_malloc(bytes);

    for (int d = -radius; d <= radius; d++)
        sum += kernel[d + radius] = df_exp(-0.5 * (double)(d * d) / (sigma * sigma));
    for (int d = 0; d <= 2 * radius; d++)
        kernel[d] /= sum;
    memcpy(rows, image->pixels, bytes);
    memcpy(out, image->pixels, bytes);
    blur_along(&(struct sweep){ h, w, image->width, 1 }, kernel, radius, image->pixels, rows);
    blur_along(&(struct sweep){ w, h, 1, image->width }, kernel, radius, rows, out);
    free(rows);
}

/* ---- curves ---- */

/* One curve: canvas k of n + 1 is `from` with the first k n-th parts of the pixels of `order` taken from `to`. */
struct walk {
    const df_real *from, *to; /* [H,W,3] */
    const size_t *order;      /* [h w] within the valid region */
    size_t steps, pixels;
    df_real *now; /* [H,W,3] canvas `done` */
    size_t done;
};

static void walk_to(struct walk *walk, size_t step, const struct df_batch *image)
{
    const size_t w = image->valid_w[0], last = walk->pixels * step / walk->steps;

    for (size_t i = walk->done; i < last; i++) {
        const size_t at = (walk->order[i] / w * image->width + walk->order[i] % w) * 3;

        memcpy(walk->now + at, walk->to + at, 3 * sizeof *walk->now);
    }
    walk->done = last;
}

struct measuring {
    const struct df_saliency_options *saliency;
    const struct df_answerer *answerer;
    const struct df_scene_asked *asked;
    const struct df_target *target;
};

static df_status area_under(const struct measuring *m, struct walk *walk, double *out, struct df_error *err)
{
    const struct df_batch *image = m->asked->image;
    const size_t bytes = image->height * image->width * 3 * sizeof(df_real), points = walk->steps + 1;
    struct df_canvases canvases;
    df_status status = DF_OK;
    double sum = 0;

    df_canvases_init(&canvases, image, TOGETHER);
    memcpy(walk->now, walk->from, bytes);
    walk->done = 0;
    for (size_t first = 0; first < points && status == DF_OK; first += TOGETHER) {
        canvases.batch.n = points - first < TOGETHER ? points - first : TOGETHER;
        for (size_t i = 0; i < canvases.batch.n; i++) {
            walk_to(walk, first + i, image);
            memcpy(df_canvas_pixels(&canvases, i), walk->now, bytes);
        }
        const struct df_answer *answer = m->answerer->ask(m->answerer->who, &canvases.batch);

        for (size_t i = 0; i < canvases.batch.n; i++) {
            const bool end = first + i == 0 || first + i == walk->steps;

            sum += (end ? 0.5 : 1) * df_best_similarity(m->target, &answer[i], m->answerer->classes, m->saliency->confidence);
        }
        if (df_run_stop)
            status = df_fail(err, DF_ERR_INTERRUPTED, "interrupted at step %zu of %zu", first + canvases.batch.n, walk->steps);
    }
    df_canvases_release(&canvases);
    if (status == DF_OK)
        *out = sum / (double)walk->steps;
    return status;
}

/* All of the image black; the padding stays. */
static void fill_black(const struct df_scene_asked *asked, df_real *out)
{
    const struct df_batch *image = asked->image;

    DF_ASSERT(image->pixels); /* not packed */
    memcpy(out, image->pixels, image->height * image->width * 3 * sizeof *out);
    for (size_t y = 0; y < image->valid_h[0]; y++)
        for (size_t x = 0; x < image->valid_w[0]; x++)
            for (int c = 0; c < 3; c++)
                out[(y * image->width + x) * 3 + (size_t)c] = df_canvas_value(asked->canvas, 0, c);
}

df_status df_erasure_measure(const struct df_erasure_options *options, const struct df_saliency_options *saliency,
                             const struct df_answerer *answerer, const struct df_scene_asked *asked, size_t target,
                             const struct df_map *map, struct df_erasure *out, struct df_error *err)
{
    const struct measuring m = { saliency, answerer, asked, &asked->target[target] };
    const struct df_batch *image = asked->image;
    const size_t numbers = image->height * image->width * 3;
    size_t *order = df_malloc(map->h * map->w * sizeof *order);
    df_real *black = df_malloc(3 * numbers * sizeof *black), *blurred = black + numbers, *now = blurred + numbers;
    struct walk away = { image->pixels, black, order, (size_t)options->steps, map->h * map->w, now, 0 }, back = away;
    struct df_erasure both = { 0 };

    back.from = blurred;
    back.to = image->pixels;
    df_map_order(map, order);
    fill_black(asked, black);
    df_blur(image, options->blur, blurred);
    df_status status = area_under(&m, &away, &both.deletion, err);

    if (status == DF_OK)
        status = area_under(&m, &back, &both.insertion, err);
    if (status == DF_OK)
        *out = both;
    free(black);
    free(order);
    return status;
}
