/* Two ranks with half a batch each train as one with the whole: normalisers are counted over both, gradients added, samples drawn by the place
 * in the whole batch. Batch norm is frozen: its statistics are a rank's own. */
#include <math.h>

#include "core/nn/optimiser.h"
#include "tests/detectors/faster_support.h"
#include "tests/support/ranks.h"

enum { IMAGES = 4, CLASSES = 3, SIDE = 64, STEPS = 3, RANKS = 2 };

struct training {
    const char *kind;
    const char *const *network, *const *detector;
    const struct test_batch *batch;
    size_t count;          /* of values */
    df_real *value[RANKS]; /* after the last step */
    double norm[RANKS];    /* of the last gradient */
};

/* Images [first, first + n) of a batch. */
static struct df_batch part_of(const struct df_batch *batch, size_t first, size_t n, size_t step)
{
    struct df_batch part = *batch;

    part.n = n;
    part.first = first;
    part.step = step;
    part.seed = 7;
    part.pixels += first * batch->height * batch->width * 3;
    part.truth += first;
    part.index += first;
    part.flipped += first;
    part.valid_h += first;
    part.valid_w += first;
    part.scale_x += first;
    part.scale_y += first;
    return part;
}

static void train(struct df_comm *comm, void *context)
{
    static const struct df_schedule schedule = { .optimiser = DF_SGD, .momentum = 0.9, .weight_decay = 1e-3 };
    struct training *training = context;
    const size_t rank = df_comm_rank(comm), n = IMAGES / df_comm_size(comm);
    struct test_model model = test_detector_new(training->kind, "cpu", training->network, training->detector, CLASSES, true);
    df_tape *tape = df_tape_new(model.device, true);
    struct df_optim_norm norm;

    model.device->comm = comm;
    for (size_t step = 0; step < STEPS; step++) {
        const struct df_batch batch = part_of(&training->batch->batch, rank * n, n, step);
        struct df_detection_state state = { 0 };

        df_tape_reset(tape);
        df_parameters_zero_grad(model.parameters);
        df_detector_forward(model.detector, tape, &batch, DF_TRAINING | DF_LABELS, &state);
        df_backward(tape, model.detector->class->loss(model.detector, tape, &state, NULL));
        const struct df_optim_norm *found = df_gradient_norm(model.parameters, 5);

        df_read(model.device, &norm, found, sizeof norm);
        df_optimiser_step(model.parameters, &schedule, 0.02, found, step + 1);
    }
    const size_t bytes = model.parameters->values * sizeof(df_real);

    training->norm[rank] = norm.norm;
    training->value[rank] = malloc(bytes);
    df_read(model.device, training->value[rank], model.parameters->value, bytes);
    if (rank == 0)
        training->count = model.parameters->values;
    df_tape_free(tape);
    test_model_free(&model);
}

static void check(const char *kind, const char *const *network, const char *const *detector)
{
    struct test_batch *batch = test_batch_new(IMAGES, SIDE, SIDE, CLASSES, false); /* the images have 0 to 3 objects */
    struct training whole = { kind, network, detector, batch }, one = whole, two = whole;
    double difference = 0, size = 0;

    train(NULL, &whole);
    df_test_ranks(1, train, &one);
    df_test_ranks(RANKS, train, &two);
    const size_t bytes = whole.count * sizeof(df_real);

    assert_memory_equal(one.value[0], whole.value[0], bytes); /* one rank changes no bit */
    assert_true(one.norm[0] == whole.norm[0] && two.norm[0] == two.norm[1]);
    assert_memory_equal(two.value[0], two.value[1], bytes); /* the ranks have the same weights */
    for (size_t i = 0; i < whole.count; i++) {
        difference += pow((double)two.value[0][i] - (double)whole.value[0][i], 2);
        size += pow((double)whole.value[0][i], 2);
    }
    /* a gradient's sums are floats: added in two parts they differ by some units of 6e-8, and by what three steps make of it */
    if (!(sqrt(difference) <= 1e-6 * sqrt(size)) || !(fabs(two.norm[0] - whole.norm[0]) <= 1e-4 * whole.norm[0]))
        fail_msg("%s: two ranks differ from one by %g of %g, gradient %.9g, expected %.9g", kind, sqrt(difference), sqrt(size), two.norm[0],
                 whole.norm[0]);
    free(whole.value[0]);
    free(one.value[0]);
    free(two.value[0]);
    free(two.value[1]);
    test_batch_free(batch);
}

static const char *const frozen_network[] = {
    "depth=0",          "block=basic", "blocks=1,2,1",   "widths=6,4,8", "stem_width=5", "stem=small", "extra=none",
    "fpn_stages=2,3,4", "norm=frozen", "fpn_channels=6", "head_convs=1", "norm_eps=0.1", NULL
};

static void test_retinanet(void **state)
{
    (void)state;
    check("retinanet", frozen_network, (const char *const[]){ "anchor_size=13,23,40", "loss_norm=batch", NULL });
    check("retinanet", frozen_network, (const char *const[]){ "anchor_size=13,23,40", "loss_norm=image", NULL });
}

static void test_faster_rcnn(void **state)
{
    static const char *const network[] = {
        "depth=0",          "block=basic",    "blocks=1,2,1",  "widths=6,4,8", "stem_width=5", "stem=small", "extra=none",
        "fpn_stages=2,3,4", "fpn_channels=6", "head_width=11", "norm=frozen",  "norm_eps=0.1", NULL
    };

    (void)state;
    check("faster_rcnn", network, faster_tiny_detector);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_retinanet), cmocka_unit_test(test_faster_rcnn) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
