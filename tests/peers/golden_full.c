/* Both detectors at full size against torchvision's: ResNet-50, every default. Usage: golden_full FOLDER HEIGHT WIDTH, where the folder holds
 * what golden_full.py wrote; `make golden-full` does both. Prints the largest relative difference of every group; exit 1 if one is above 1e-4. */
#include "tests/detectors/golden_support.h"

static const char *folder;
static size_t canvas_h, canvas_w;

static struct golden_case full_case(const char *detector, const char *const *network, char files[2][600])
{
    /* golden_full.py's TRUTH */
    static const float part[3][4] = { { 0.125F, 0.125F, 0.4375F, 0.625F },
                                      { 0.5F, 0.25F, 0.9375F, 0.75F },
                                      { 0.0625F, 0.5F, 0.125F, 0.5625F } };
    struct golden_case of = { .detector = detector,
                              .network = network,
                              .state = files[0],
                              .expected = files[1],
                              .images = 1,
                              .height = canvas_h,
                              .width = canvas_w,
                              .valid = { { canvas_h - 8, canvas_w - 32 } },
                              .classes = 90,
                              .objects = { 3 },
                              .label = { { 17, 44, 0 } },
                              .score_tolerance = 5e-5 };

    for (size_t i = 0; i < 3; i++)
        of.box[0][i] = (struct df_box){ part[i][0] * (float)canvas_w, part[i][1] * (float)canvas_h, part[i][2] * (float)canvas_w,
                                        part[i][3] * (float)canvas_h };
    snprintf(files[0], 600, "%s/%s_state.safetensors", folder, detector);
    snprintf(files[1], 600, "%s/%s.safetensors", folder, detector);
    return of;
}

static void test_retinanet(void **state)
{
    static const char *const network[] = { "depth=50", NULL };
    char files[2][600];
    const struct golden_case of = full_case("retinanet", network, files);

    (void)state;
    golden_retinanet_case(&of, "cpu", false, 1e-4);
    golden_retinanet_case(&of, "cpu", true, 1e-4);
}

static void test_faster_rcnn(void **state)
{
    static const char *const network[] = { "depth=50", "fpn_stages=2,3,4,5", "extra=pool", NULL };
    char files[2][600];
    const struct golden_case of = full_case("faster_rcnn", network, files);

    (void)state;
    golden_faster_case(&of, "cpu", false, 1e-4);
    golden_faster_case(&of, "cpu", true, 1e-4);
}

int main(int count, char **words)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_retinanet), cmocka_unit_test(test_faster_rcnn) };

    if (count != 4) {
        fprintf(stderr, "usage: golden_full FOLDER HEIGHT WIDTH\n");
        return 2;
    }
    folder = words[1];
    canvas_h = strtoul(words[2], NULL, 10);
    canvas_w = strtoul(words[3], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
