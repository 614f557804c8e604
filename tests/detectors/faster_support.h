/* What the tests of Faster R-CNN share. */
#ifndef DF_TESTS_FASTER_SUPPORT_H
#define DF_TESTS_FASTER_SUPPORT_H
#include "tests/detectors/detect_support.h"

/* As test_model_new, of a faster_rcnn. */
static inline struct test_model test_faster_new(const char *device, const char *const *network, const char *const *detector, size_t classes,
                                                bool gradients)
{
    return test_detector_new("faster_rcnn", device, network, detector, classes, gradients);
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
