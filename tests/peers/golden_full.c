/* A detector at full size against torchvision's: ResNet-50, every default. Usage: golden_full FOLDER retinanet|faster_rcnn HEIGHT WIDTH, where
 * the folder holds what golden_full.py wrote; `make golden-full` does both, in float (cpu) and in double (ref, built as golden_full_double).
 * Prints the largest relative difference of every group; exit 1 if one is above what is allowed. */
#include "tests/detectors/golden_support.h"

#ifdef DF_REAL_IS_DOUBLE
#define PRECISION "double"
static const char device[] = "ref";
static const double tolerance = 1e-5; /* boxes and scores are float */
#else
#define PRECISION "float"
static const char device[] = "cpu";
static const double tolerance = 1e-4;
#endif
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
                              .score_tolerance = 1e-3, /* as golden_full.py has it */
                              .float_noise = sizeof(df_real) == sizeof(float) };
    const float h = (float)of.valid[0][0], w = (float)of.valid[0][1];

    for (size_t i = 0; i < 3; i++)
        of.box[0][i] = (struct df_box){ part[i][0] * w, part[i][1] * h, part[i][2] * w, part[i][3] * h };
    snprintf(files[0], 600, "%s/%s_state.safetensors", folder, detector);
    snprintf(files[1], 600, "%s/%s.safetensors", folder, detector);
    return of;
}

static void announce(const char *detector, bool fold)
{
    print_message("%s on %s (%s) at %zu x %zu%s\n", detector, device, PRECISION, canvas_h, canvas_w, fold ? ", frozen and folded" : "");
}

static void test_retinanet(void **state)
{
    static const char *const network[] = { "depth=50", NULL };
    char files[2][600];
    const struct golden_case of = full_case("retinanet", network, files);

    (void)state;
    for (int fold = 0; fold < 2; fold++) {
        announce("retinanet", fold);
        golden_retinanet_case(&of, device, fold, tolerance);
    }
}

static void test_faster_rcnn(void **state)
{
    static const char *const network[] = { "depth=50", "fpn_stages=2,3,4,5", "extra=pool", NULL };
    char files[2][600];
    const struct golden_case of = full_case("faster_rcnn", network, files);

    (void)state;
    for (int fold = 0; fold < 2; fold++) {
        announce("faster_rcnn", fold);
        golden_faster_case(&of, device, fold, tolerance);
    }
}

int main(int count, char **words)
{
    const struct CMUnitTest retinanet[] = { cmocka_unit_test(test_retinanet) }, faster[] = { cmocka_unit_test(test_faster_rcnn) };

    if (count != 5 || (strcmp(words[2], "retinanet") != 0 && strcmp(words[2], "faster_rcnn") != 0)) {
        fprintf(stderr, "usage: golden_full FOLDER retinanet|faster_rcnn HEIGHT WIDTH\n");
        return 2;
    }
    folder = words[1];
    canvas_h = strtoul(words[3], NULL, 10);
    canvas_w = strtoul(words[4], NULL, 10);
    return strcmp(words[2], "retinanet") == 0 ? cmocka_run_group_tests(retinanet, NULL, NULL) : cmocka_run_group_tests(faster, NULL, NULL);
}
