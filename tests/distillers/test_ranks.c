/* The losses of two ranks, each with half of the images, add up to that of one with all: whatever a feature loss is divided by, and the gradients
 * are the same. */
#include <stdlib.h>
#include <string.h>

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
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_normalisers) };

    return cmocka_run_group_tests(tests, fill, NULL);
}
