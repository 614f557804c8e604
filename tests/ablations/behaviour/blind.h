/* An image and detectors that a test can see through: the same as in tests/golden/make_explain.py, and others whose saliency is known. */
#ifndef DF_TESTS_ABLATIONS_BEHAVIOUR_BLIND_H
#define DF_TESTS_ABLATIONS_BEHAVIOUR_BLIND_H
#include <stdlib.h>
#include <string.h>

#include "ablations/behaviour/saliency.h"
#include "tests/support/support.h"

enum { BLIND_CLASSES = 3, BLIND_FOUND = 4, BLIND_BATCH = 64 };

/* Says of every canvas what `look` finds in it. */
struct blind {
    struct df_canvas_options canvas;
    size_t (*look)(const struct blind *blind, const struct df_batch *batch, size_t n, struct df_found *found,
                   float (*scores)[BLIND_CLASSES]);
    const float (*box)[4];
    size_t boxes;
    double threshold;
    size_t asked; /* canvases */
    struct df_answer answer[BLIND_BATCH];
    struct df_found found[BLIND_BATCH][BLIND_FOUND];
    float scores[BLIND_BATCH][BLIND_FOUND][BLIND_CLASSES];
};

static inline const struct df_answer *blind_ask(void *who, const struct df_batch *batch)
{
    struct blind *blind = who;

    assert_true(batch->n <= BLIND_BATCH);
    for (size_t n = 0; n < batch->n; n++)
        blind->answer[n] = (struct df_answer){ blind->look(blind, batch, n, blind->found[n], blind->scores[n]), blind->found[n] };
    blind->asked += batch->n;
    return blind->answer;
}

static inline struct df_answerer blind_answerer(struct blind *blind) { return (struct df_answerer){ blind_ask, blind, BLIND_CLASSES }; }

/* A stored value 0..1 of a canvas. */
static inline double blind_value(const struct blind *blind, const struct df_batch *batch, size_t n, size_t y, size_t x, size_t c)
{
    const double pixel = (double)batch->pixels[((n * batch->height + y) * batch->width + x) * 3 + c];

    return pixel * blind->canvas.std.value[c] + blind->canvas.mean.value[c];
}

/* A canvas of one image, its valid region h x w of size x size. */
struct blind_image {
    struct df_batch batch;
    struct df_ground_truth truth;
    size_t index, valid_h, valid_w;
    bool flipped;
    double scale;
};

static inline void blind_image_init(struct blind_image *image, const struct df_canvas_options *canvas, size_t size, size_t h, size_t w,
                                    const double *value /* [h,w,3] 0..255 */)
{
    *image = (struct blind_image){ .valid_h = h, .valid_w = w, .scale = 1 };
    image->batch = (struct df_batch){ .n = 1,
                                      .height = size,
                                      .width = size,
                                      .pixels = df_calloc(size * size * 3, sizeof(df_real)),
                                      .truth = &image->truth,
                                      .index = &image->index,
                                      .flipped = &image->flipped,
                                      .valid_h = &image->valid_h,
                                      .valid_w = &image->valid_w,
                                      .scale_x = &image->scale,
                                      .scale_y = &image->scale };
    for (size_t i = 0; i < h * w * 3; i++)
        image->batch.pixels[(i / 3 / w * size + i / 3 % w) * 3 + i % 3] = df_canvas_value(canvas, value[i], (int)(i % 3));
}

static inline struct df_canvas_options blind_canvas(double mean, double std)
{
    struct df_canvas_options canvas;

    df_options_standard(df_canvas_option_table, &canvas);
    canvas.mean = (struct df_list){ 3, { mean, mean, mean } };
    canvas.std = (struct df_list){ 3, { std, std, std } };
    return canvas;
}
#endif
