/* Statistics for a network that nobody has trained: what frozen norms and a folded teacher say of images then is what training would have said,
 * and stays in bounds however deep the network is. */
#include "core/base/hash.h"
#include "tests/ablations/run/tiny.h"

#define DEEP                                                                                                                               \
    "{\"depth\":152,\"base_width\":2,\"norm\":\"frozen\",\"fpn_stages\":[2,3,4,5],\"fpn_channels\":4,\"extra\":\"none\",\"head_convs\":0}"
#define SHALLOW                                                                                                                            \
    "{\"depth\":0,\"blocks\":[2,1],\"base_width\":4,\"stem\":\"small\",\"fpn_stages\":[2,3],\"fpn_channels\":4,\"extra\":\"none\","        \
    "\"head_convs\":1,\"head_norm\":\"batch\"}"
#define LEVELS "{\"anchor_size\":[13,23]}"

static struct df_cell *cell_of(const char *network, const char *anchors)
{
    struct df_cell *cell = tiny_cell(network, TINY_SCHEDULE, "cpu", 3);

    free(cell->detector_options);
    cell->detector_options = tiny_options(cell->detector->options, cell->detector->options_size, anchors);
    return cell;
}

struct seen {
    struct df_model model;
    struct df_loader *loader;
    const struct df_batch *batch;
};

static struct seen open_seen(const struct df_cell *cell)
{
    struct df_dataset *train;
    struct df_error err = { 0 };
    struct seen seen;

    assert_ok(df_data_split(cell->data, DF_TRAIN, &train, &err));

    struct df_loader_config config = df_cell_loader(cell, train, false);

    config.batch = train->size;
    assert_ok(df_loader_new(&config, &seen.loader, &err));
    assert_ok(df_loader_get(seen.loader, 0, &seen.batch, &err));
    assert_ok(df_model_create(cell, train->categories, &seen.model, &err));
    df_model_build(&seen.model, cell, false);
    return seen;
}

static void close_seen(struct seen *seen)
{
    df_model_release(&seen->model);
    df_loader_free(seen->loader);
}

/* The values of a part after a pass: free() them. */
static df_real *part_of(const struct seen *seen, unsigned what, const char *part, size_t *count)
{
    df_tape *tape = df_tape_new(seen->model.device, false);
    struct df_detection_state state;

    df_detector_forward(seen->model.detector, tape, seen->batch, what | DF_FIRST_STAGE, &state);

    const df_tensor *tensor = df_part_tensor(&state, part);

    *count = df_count(tensor->shape);
    df_real *values = df_malloc(*count * sizeof *values);

    df_read(seen->model.device, values, tensor->data, *count * sizeof *values);
    df_tape_free(tape);
    return values;
}

static double root_mean_square(const df_real *values, size_t count)
{
    double squares = 0;

    for (size_t i = 0; i < count; i++)
        squares += (double)values[i] * (double)values[i];
    return sqrt(squares / (double)count);
}

/* Of what an optimiser would move: settling moves none of it. */
static uint64_t weights_hash(const struct df_model *model)
{
    const struct df_parameters *p = model->parameters;
    df_real *values = df_malloc(p->values * sizeof *values);

    df_read(model->device, values, p->value, p->values * sizeof *values);
    const uint64_t hash = df_hash(values, p->values * sizeof *values);

    free(values);
    return hash;
}

/* 50 blocks: without, each multiplies the variance (here, where channels are few, to a deviation of 6e5); with, each adds to it. Folded, as a
 * teacher is. */
static void a_deep_network_stays_in_bounds(void **state)
{
    struct df_cell *cell = cell_of(DEEP, "{\"anchor_size\":[13,23,40,60]}");
    struct df_error err = { 0 };
    size_t count;

    (void)state;
    for (int settled = 0; settled < 2; settled++) {
        struct seen seen = open_seen(cell);
        const uint64_t weights = weights_hash(&seen.model);

        if (settled)
            assert_ok(df_model_settle(cell, &seen.model, seen.batch, &err));
        assert_true(weights_hash(&seen.model) == weights);
        seen.model.detector->class->fold(seen.model.detector);

        df_real *neck = part_of(&seen, 0, "neck/0", &count);
        const double size = root_mean_square(neck, count);

        if (settled ? !(size > 0.01 && size < 100) : !(size > 1e4 || size != size))
            fail_msg("%s: the neck's root mean square is %g", settled ? "settled" : "as drawn", size);
        free(neck);
        close_seen(&seen);
    }
    df_cell_free(cell);
}

/* With statistics of these images a frozen network says of them what a training pass, which uses the batch's own, says: but for the variance's
 * n / (n - 1), below 1e-3 here. The head's norms are settled as well. */
static void it_says_what_training_says(void **state)
{
    static const char *const parts[] = { "neck/0", "logits", "deltas" };
    struct df_cell *frozen = cell_of(SHALLOW, LEVELS), *learning = cell_of(SHALLOW, LEVELS);
    struct df_error err = { 0 };

    (void)state;
    frozen->network.norm = DF_NETWORK_NORM_FROZEN;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        struct seen one = open_seen(frozen), other = open_seen(learning);
        size_t count, same;

        df_real *before = part_of(&one, 0, parts[i], &count);

        assert_ok(df_model_settle(frozen, &one.model, one.batch, &err));

        df_real *mine = part_of(&one, 0, parts[i], &count), *theirs = part_of(&other, DF_TRAINING, parts[i], &same);

        assert_int_equal(same, count);
        for (size_t k = 0; k < count; k++) {
            mine[k] -= theirs[k];
            before[k] -= theirs[k];
        }
        const double size = root_mean_square(theirs, count), apart = root_mean_square(mine, count), were = root_mean_square(before, count);

        if (!(apart < 0.01 * size && were > 10 * apart))
            fail_msg("%s: %g apart, %g before, of %g", parts[i], apart, were, size);
        free(before);
        free(mine);
        free(theirs);
        close_seen(&one);
        close_seen(&other);
    }
    df_cell_free(frozen);
    df_cell_free(learning);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_deep_network_stays_in_bounds),
        cmocka_unit_test(it_says_what_training_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
