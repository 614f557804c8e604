/* What the tests of Faster R-CNN share. */
#ifndef DF_TESTS_FASTER_SUPPORT_H
#define DF_TESTS_FASTER_SUPPORT_H
#include "tests/detectors/detect_support.h"

/* As test_model_new, of a faster_rcnn. */
static inline struct test_model test_faster_new(const char *device, const char *const *network, const char *const *detector, size_t classes,
                                                bool gradients)
{
    struct test_model model = { .parameters = df_parameters_new() };
    struct df_network_options options;
    struct df_error err;
    const struct df_detector_class *class = df_detector_class_find("faster_rcnn", &err);
    void *values = calloc(1, class->options_size);

    test_set(df_network_option_table, network, &options);
    test_set(class->options, detector, values);
    assert_ok(class->create(values, &options, classes, model.parameters, &model.detector, &err));
    free(values);
    if (device) {
        assert_ok(df_device_open(device, &model.device, &err));
        df_parameters_build(model.parameters, model.device, 3, gradients);
    }
    return model;
}

/* Three neck levels of stride 4, 8, 16, all of them pooled from. */
static const char *const faster_tiny_network[] = { "depth=0",        "block=basic",   "blocks=1,2,1", "widths=6,4,8",
                                                   "stem_width=5",   "stem=small",    "extra=none",   "fpn_stages=2,3,4",
                                                   "fpn_channels=6", "head_width=11", "norm_eps=0.1", NULL };
static const char *const faster_tiny_detector[] = { "anchor_size=13,23,40",
                                                    "rpn_fg_iou=0.5",
                                                    "rpn_init_std=0.2",
                                                    "rpn_batch=40",
                                                    "rpn_pre_nms_train=90",
                                                    "rpn_pre_nms_test=60",
                                                    "rpn_post_nms_train=70",
                                                    "rpn_post_nms_test=50",
                                                    "roi_size=3",
                                                    "roi_canonical_size=24",
                                                    "roi_batch=20",
                                                    "score_threshold=0.01",
                                                    NULL };
#endif
