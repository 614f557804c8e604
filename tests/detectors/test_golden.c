/* Both detectors against torchvision's, in narrow form: maps, anchors, losses, gradients, running statistics, proposals, detections. Float
 * against float64: sums of 20 layers are off by some 1e-6, so 1e-4 of the norm tells any mistake from noise. */
#include "tests/detectors/golden_support.h"

static void test_retinanet(void **state)
{
    (void)state;
    golden_retinanet_case(&golden_retinanet, "ref", false, 1e-4);
    golden_retinanet_case(&golden_retinanet, "cpu", false, 1e-4);
    golden_retinanet_case(&golden_retinanet, "cpu", true, 1e-4);
}

static void test_faster_rcnn(void **state)
{
    (void)state;
    golden_faster_case(&golden_faster, "ref", false, 1e-4);
    golden_faster_case(&golden_faster, "cpu", false, 1e-4);
    golden_faster_case(&golden_faster, "cpu", true, 1e-4);
}

/* So few candidates per level that others are left out. */
static void test_candidates(void **state)
{
    static const char *const few[] = { "candidates=12", NULL };
    struct golden_case of = golden_retinanet;
    struct df_detection_state s;

    (void)state;
    of.options = few;

    struct golden g = golden_open(&of, "cpu", 1e-4);
    df_tape *tape = df_tape_new(g.model.device, false);

    df_detector_forward(g.model.detector, tape, &g.t->batch, 0, &s);
    for (size_t n = 0; n < 2; n++)
        assert_in_range(golden_detections(&g, tape, "cut.", &s, n), 5, 5 * 12);
    df_tape_free(tape);
    golden_close(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_retinanet),
        cmocka_unit_test(test_faster_rcnn),
        cmocka_unit_test(test_candidates),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
