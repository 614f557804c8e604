#include "ablations/behaviour/saliency.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/run/stop.h"
#include "core/geometry/box.h"

enum { TOGETHER = 8 }; /* canvases of a pass: more is no faster on a core, and leaves its cache */

static const struct df_answer *ask_subject(void *who, const struct df_batch *batch) { return df_subject_ask(who, batch); }

struct df_answerer df_answerer_of(struct df_subject *subject)
{
    return (struct df_answerer){ ask_subject, subject, subject->model.detector->classes };
}

/* ---- similarity ---- */

static double cosine(const float *a, const float *b, size_t n)
{
    double aa = 0, bb = 0, ab = 0;

    for (size_t k = 0; k < n; k++) {
        aa += (double)a[k] * (double)a[k];
        bb += (double)b[k] * (double)b[k];
        ab += (double)a[k] * (double)b[k];
    }
    return aa > 0 && bb > 0 ? ab / (sqrt(aa) * sqrt(bb)) : 0;
}

double df_similarity(const struct df_target *target, const struct df_found *found, size_t classes, bool confidence)
{
    const double overlap = (double)df_box_iou(target->box, found->box);

    return overlap > 0 ? overlap * cosine(target->scores, found->scores, classes) * (confidence ? (double)found->score : 1) : 0;
}

double df_best_similarity(const struct df_target *target, const struct df_answer *answer, size_t classes, bool confidence)
{
    double best = 0;

    for (size_t k = 0; k < answer->count; k++)
        best = fmax(best, df_similarity(target, &answer->found[k], classes, confidence));
    return best;
}

/* ---- asking ---- */

/* The image as far as the mask shows it: black + m (pixel - black), in the valid region; the padding stays as it is. */
static void show_through(const struct df_scene_asked *asked, const float *mask, df_real *out)
{
    const struct df_batch *image = asked->image;
    const size_t h = image->valid_h[0], w = image->valid_w[0];
    df_real black[3];

    for (int c = 0; c < 3; c++)
        black[c] = df_canvas_value(asked->canvas, 0, c);
    DF_ASSERT(image->pixels); /* not packed */
    memcpy(out, image->pixels, image->height * image->width * 3 * sizeof *out);
    for (size_t y = 0; y < h; y++)
        for (size_t x = 0; x < w; x++) {
            df_real *pixel = out + (y * image->width + x) * 3;
            const df_real m = (df_real)mask[y * w + x];

            for (int c = 0; c < 3; c++)
                pixel[c] = black[c] + m * (pixel[c] - black[c]);
        }
}

static void take_weights(const struct df_saliency_options *options, const struct df_answerer *answerer, const struct df_scene_asked *asked,
                         const struct df_answer *answer, float *weight)
{
    for (size_t t = 0; t < asked->targets; t++)
        weight[t * (size_t)options->mask.count] =
            (float)df_best_similarity(&asked->target[t], answer, answerer->classes, options->confidence);
}

df_status df_saliency_ask(const struct df_saliency_options *options, const struct df_answerer *answerer, const struct df_scene_asked *asked,
                          float *weight, struct df_error *err)
{
    const size_t masks = (size_t)options->mask.count, h = asked->image->valid_h[0], w = asked->image->valid_w[0];
    float *mask = df_malloc(h * w * sizeof *mask);
    struct df_canvases canvases;
    df_status status = DF_OK;

    df_canvases_init(&canvases, asked->image, TOGETHER);
    for (size_t first = 0; first < masks && status == DF_OK; first += TOGETHER) {
        canvases.batch.n = masks - first < TOGETHER ? masks - first : TOGETHER;
        for (size_t i = 0; i < canvases.batch.n; i++) {
            df_mask_draw(&options->mask, first + i, h, w, mask);
            show_through(asked, mask, df_canvas_pixels(&canvases, i));
        }
        const struct df_answer *answer = answerer->ask(answerer->who, &canvases.batch);

        for (size_t i = 0; i < canvases.batch.n; i++)
            take_weights(options, answerer, asked, &answer[i], weight + first + i);
        if (df_run_stop)
            status = df_fail(err, DF_ERR_INTERRUPTED, "interrupted behind mask %zu of %zu", first + canvases.batch.n, masks);
    }
    df_canvases_release(&canvases);
    free(mask);
    return status;
}

/* ---- maps ---- */

static double mean_of(const float *v, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (double)v[i];
    return n ? sum / (double)n : 0;
}

static void add_mask(const float *mask, double weight, size_t n, double *map)
{
    for (size_t p = 0; p < n; p++)
        map[p] += weight * (double)mask[p];
}

void df_saliency_halves(const struct df_saliency_options *options, const float *weight, size_t targets, size_t h, size_t w, double *out)
{
    const size_t masks = (size_t)options->mask.count, pixels = h * w;
    float *mask = df_malloc(pixels * sizeof *mask);
    double *centre = df_calloc(targets + 1, sizeof *centre);

    for (size_t t = 0; options->centre && t < targets; t++)
        centre[t] = mean_of(weight + t * masks, masks);
    memset(out, 0, targets * 2 * pixels * sizeof *out);
    for (size_t i = 0; i < masks; i++) {
        const size_t half = i % 2, of = (masks + 1 - half) / 2;

        df_mask_draw(&options->mask, i, h, w, mask);
        for (size_t t = 0; t < targets; t++)
            add_mask(mask, ((double)weight[t * masks + i] - centre[t]) / ((double)of * options->mask.keep), pixels,
                     out + (2 * t + half) * pixels);
    }
    free(centre);
    free(mask);
}
