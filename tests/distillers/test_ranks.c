/* The losses of two ranks, each with half of the images, add up to that of one with all: whatever a feature loss is divided by, and the gradients
 * are the same. Of every distiller: two ranks with the same images have half of the loss each, and half of its gradients. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "distillers/check/bench.h"
#include "distillers/common.h"
#include "tests/support/ranks.h"
#include "tests/support/support.h"

enum { IMAGES = 4, LEVELS = 2, RANKS = 2, MOST = IMAGES * 6 * 5 * 3 };
static const df_shape shape[LEVELS] = { { IMAGES, 6, 5, 3 }, { IMAGES, 3, 4, 2 } };
static df_real s[LEVELS][MOST], t[LEVELS][MOST], objects[LEVELS][MOST];

struct losses {
    struct df_feature_options options;
    double value[RANKS];
    df_real grad[LEVELS][MOST];
};

static void measure(struct df_comm *comm, void *context)
{
    struct losses *losses = context;
    const size_t rank = df_comm_rank(comm), n = IMAGES / df_comm_size(comm);
    struct df_device *device = df_test_open("cpu", 1);
    df_tape *tape = df_tape_new(device, true);
    struct df_feature_map map[LEVELS];

    device->comm = comm;
    for (size_t l = 0; l < LEVELS; l++) {
        const size_t at = rank * n * shape[l].h * shape[l].w;
        df_shape part = shape[l];

        part.n = n;
        map[l] = (struct df_feature_map){ .s = df_leaf(tape, part, s[l] + at * part.c),
                                          .t = df_tensor_from(tape, part, t[l] + at * part.c),
                                          .teacher_scale = 0.5,
                                          .stride = 8,
                                          .objects = objects[l] + at };
    }
    df_tensor *loss = df_feature_loss(tape, map, LEVELS, DF_REGION_FOREGROUND, &losses->options, NULL);

    df_backward(tape, loss);
    losses->value[rank] = df_item(tape, loss);
    for (size_t l = 0; l < LEVELS; l++) {
        const size_t count = df_count(map[l].s->shape);

        df_read(device, losses->grad[l] + rank * count, map[l].s->grad, count * sizeof(df_real));
    }
    df_tape_free(tape);
    df_device_close(device);
}

static void test_normalisers(void **state)
{
    (void)state;
    for (int norm = DF_NORM_BATCH; norm <= DF_NORM_IMAGE; norm++)
        for (int reduce = DF_REDUCE_MEAN; reduce <= DF_REDUCE_CELLS; reduce++) {
            struct losses whole = { .options = { .norm = norm, .level_reduce = reduce } }, parts = whole;

            measure(NULL, &whole);
            df_test_ranks(RANKS, measure, &parts);
            assert_close(parts.value[0] + parts.value[1], whole.value[0], 1e-6, 0); /* a few float roundings */
            assert_true(parts.value[0] > 0 && parts.value[1] > 0);
            for (size_t l = 0; l < LEVELS; l++)
                for (size_t i = 0; i < df_count(shape[l]); i++)
                    assert_close((double)parts.grad[l][i], (double)whole.grad[l][i], 1e-6, 1e-9);
        }
}

/* ---- every distiller ---- */

struct shares {
    const struct df_distiller_class *class;
    const struct df_detector_class *detector;
    bool fits;
    double value[RANKS];
    size_t count; /* of gradients: the student's tensors, then the parameters' */
    df_real *grad[RANKS];
};

static void take_gradients(const struct df_bench *bench, df_real **grad, size_t *count)
{
    const struct df_bench_network *student = &bench->student;
    df_real *to;

    *count = bench->parameters->values;
    for (size_t i = 0; i < student->count; i++)
        *count += df_count(student->input[i].shape);
    to = *grad = df_calloc(*count, sizeof *to);
    df_read(bench->device, to, bench->parameters->grad, bench->parameters->values * sizeof *to);
    to += bench->parameters->values;
    for (size_t i = 0; i < student->count; to += df_count(student->input[i++].shape))
        if (student->input[i].leaf->grad)
            df_read(bench->device, to, student->input[i].leaf->grad, df_count(student->input[i].shape) * sizeof *to);
}

static void share(struct df_comm *comm, void *context)
{
    struct shares *shares = context;
    const size_t rank = df_comm_rank(comm);
    struct df_device *device = df_test_open("cpu", 1);
    void *options = df_calloc(1, shares->class->options_size);
    struct df_bench bench = { .class = shares->class, .detector = shares->detector, .device = device, .options = options };
    bool fits;

    df_options_standard(shares->class->options, options);
    device->comm = comm;
    fits = df_bench_init(&bench, NULL) == DF_OK;
    if (!fits) { /* no adaptation, perhaps */
        df_bench_release(&bench);
        bench.same_width = true;
        fits = df_bench_init(&bench, NULL) == DF_OK;
    }
    if (fits) {
        shares->value[rank] = df_bench_evaluate(&bench, true);
        take_gradients(&bench, &shares->grad[rank], &shares->count);
    }
    shares->fits = fits;
    df_bench_release(&bench);
    free(options);
    df_device_close(device);
}

/* A few float roundings: a normaliser of both ranks is twice that of one, exactly. */
static void check_shares(const struct shares *whole, const struct shares *parts)
{
    const char *name = whole->class->name;

    for (size_t r = 0; r < RANKS; r++) {
        if (!(fabs(2 * parts->value[r] - whole->value[0]) <= 1e-6 * fabs(whole->value[0])))
            fail_msg("%s on %s: rank %zu of two has %.9g, expected half of %.9g", name, whole->detector->name, r, parts->value[r],
                     whole->value[0]);
        for (size_t i = 0; i < whole->count; i++)
            if (!(fabs(2 * (double)parts->grad[r][i] - (double)whole->grad[0][i]) <= 1e-5 * fabs((double)whole->grad[0][i]) + 1e-9))
                fail_msg("%s on %s: gradient %zu of rank %zu is %.9g, expected half of %.9g", name, whole->detector->name, i, r,
                         (double)parts->grad[r][i], (double)whole->grad[0][i]);
    }
}

static void every_distiller_shares(void **state)
{
    const struct df_detector_class *const detectors[] = { &df_bench_one_stage, &df_bench_two_stage };
    size_t checked = 0, all = 0;

    (void)state;
    for (size_t k = 0; df_distiller_classes[k]; k++, all++) {
        const size_t before = checked;

        for (size_t d = 0; d < 2; d++) {
            struct shares whole = { .class = df_distiller_classes[k], .detector = detectors[d] }, parts = whole;

            share(NULL, &whole);
            if (!whole.fits)
                continue;
            df_test_ranks(RANKS, share, &parts);
            check_shares(&whole, &parts);
            free(whole.grad[0]);
            for (size_t r = 0; r < RANKS; r++)
                free(parts.grad[r]);
            checked++;
        }
        assert_true(checked > before);
    }
    assert_true(checked > all); /* most of them on both detectors */
}

static int fill(void **state)
{
    (void)state;
    for (size_t l = 0; l < LEVELS; l++) {
        df_test_fill(s[l], MOST, 1 + l, 1);
        df_test_fill(t[l], MOST, 5 + l, 1);
        for (size_t i = 0; i < df_pixels(shape[l]); i++) /* more in the later images */
            objects[l][i] = (df_real)(i % 3 == 0 || i > df_pixels(shape[l]) / 2);
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_normalisers), cmocka_unit_test(every_distiller_shares) };

    return cmocka_run_group_tests(tests, fill, NULL);
}
