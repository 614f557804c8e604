/* The narrow networks of tests/golden/make_retinanet.py and make_faster_rcnn.py, and the images that those scripts feed them. */
#ifndef DF_TESTS_GOLDEN_CASES_H
#define DF_TESTS_GOLDEN_CASES_H
#include "core/nn/state_dict.h"
#include "tests/detectors/detect_support.h"

enum { GOLDEN_H = 64, GOLDEN_W = 96, GOLDEN_CLASSES = 5 };

struct golden_case {
    const char *detector;
    const char *const *network, *const *options;
    const char *state, *expected; /* files */
    size_t images, height, width, valid[2][2], classes, objects[2];
    struct df_box box[2][4];
    int32_t label[2][4];
    double score_tolerance; /* of a score's logit; less than half of the difference of two expected ones: the scripts see to it */
    bool float_noise;       /* gradients are compared with PyTorch's own in float */
};
#define GOLDEN_IMAGES                                                                                                                      \
    .images = 2, .height = GOLDEN_H, .width = GOLDEN_W, .valid = { { 64, 96 }, { 60, 84 } }, .classes = GOLDEN_CLASSES,                    \
    .objects = { 3, 1 }, .box = { { { 10, 12, 44, 40 }, { 50.5F, 8.25F, 90, 60 }, { 12, 14, 40, 44 } }, { { 30, 20, 70, 55 } } },          \
    .label = { { 1, 4, 0 }, { 2 } }, .score_tolerance = 4e-5

static const char *const golden_retinanet_network[] = {
    "depth=0", "block=bottleneck", "blocks=2,1,1,1", "base_width=8", "widths=8,16,24,32", "fpn_channels=8", NULL
};
static const struct golden_case golden_retinanet = { "retinanet",
                                                     golden_retinanet_network,
                                                     NULL, /* torchvision's defaults are ours */
                                                     "tests/golden/retinanet_state.safetensors",
                                                     "tests/golden/retinanet.safetensors",
                                                     GOLDEN_IMAGES };

static const char *const golden_faster_network[] = { "depth=0",
                                                     "block=bottleneck",
                                                     "blocks=2,1,1,1",
                                                     "base_width=8",
                                                     "widths=8,16,24,32",
                                                     "fpn_channels=8",
                                                     "fpn_stages=2,3,4,5",
                                                     "extra=pool",
                                                     NULL };
static const char *const golden_faster_options[] = { "anchor_size=12,20,32,48,64",
                                                     "rpn_pre_nms_train=120",
                                                     "rpn_pre_nms_test=60",
                                                     "rpn_post_nms_train=90",
                                                     "rpn_post_nms_test=200",
                                                     "rpn_fg_iou=0.5",
                                                     "rpn_batch=14",
                                                     "rpn_positive=0.15",
                                                     "rpn_nms_iou=0.6",
                                                     "roi_canonical_size=24",
                                                     "fc_width=16",
                                                     "fg_iou=0.35",
                                                     "bg_iou=0.25",
                                                     "roi_batch=18",
                                                     NULL };
static const struct golden_case golden_faster = { "faster_rcnn",
                                                  golden_faster_network,
                                                  golden_faster_options,
                                                  "tests/golden/faster_rcnn_state.safetensors",
                                                  "tests/golden/faster_rcnn.safetensors",
                                                  GOLDEN_IMAGES };

/* Pixels by reference.py's formula. */
static inline struct test_batch *golden_batch(const struct golden_case *of)
{
    struct test_batch *t = test_batch_new(of->images, of->height, of->width, (int32_t)of->classes, true);
    df_real *out = t->batch.pixels;

    for (size_t n = 0; n < of->images; n++)
        for (size_t y = 0; y < of->height; y++)
            for (size_t x = 0; x < of->width; x++)
                for (size_t c = 0; c < 3; c++) {
                    const size_t v = (37 * n + 11 * y * y + 7 * x * y + 53 * c + 5 * x) % 251;

                    *out++ = y < of->valid[n][0] && x < of->valid[n][1] ? (df_real)v / 128 - 1 : 0;
                }
    for (size_t n = 0; n < of->images; n++) {
        t->valid_h[n] = of->valid[n][0];
        t->valid_w[n] = of->valid[n][1];
        t->truth[n].count = of->objects[n];
        memcpy(t->boxes[n], of->box[n], sizeof of->box[n]);
        memcpy(t->labels[n], of->label[n], sizeof of->label[n]);
    }
    t->batch.seed = 11;
    t->batch.step = 5;
    return t;
}

/* As `defeat convert` reads it: strictly, under torchvision's names, from half precision here. */
static inline struct test_model golden_model(const struct golden_case *of, const char *device, bool gradients)
{
    struct test_model model = test_detector_new(of->detector, device, of->network, of->options, of->classes, gradients);
    struct df_error err;

    assert_ok(df_state_dict_read(of->state, model.parameters, NULL, &err));
    return model;
}
#endif
