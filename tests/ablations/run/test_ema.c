/* Averaged weights in a run: the training does not notice them, what the run leaves is they, and stopping changes nothing. */
#include "ablations/run/cost.h"
#include "ablations/run/evaluate.h"
#include "ablations/run/stop.h"
#include "ablations/run/teacher_file.h"
#include "ablations/run/trainer.h"
#include "core/base/hash.h"
#include "tests/ablations/run/tiny.h"

/* ema 0: the plain cell. */
static struct df_cell *averaged(double ema, double epochs)
{
    struct df_cell *cell = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 1);
    struct df_error err = { 0 };

    cell->schedule.ema = ema;
    cell->schedule.epochs = epochs;
    assert_ok(df_cell_seal(cell, &err));
    return cell;
}

static struct df_run_result *run(const struct df_cell *cell, const char *out)
{
    const struct df_run_options options = tiny_run(out);
    struct df_run_result *result;
    struct df_error err = { 0 };

    assert_ok(df_prepare_and_run(cell, &options, &result, &err));
    return result;
}

static double score(const struct df_run_result *result, const char *metric) { return df_run_row_score(&result->row, metric, ""); }

/* Of 0 nothing is said, so that no older row has another id; what is said comes back. */
static void only_averages_are_part_of_a_cell(void **state)
{
    struct df_cell *plain = averaged(0, 3), *cell = averaged(0.75, 3);
    struct df_schedule back;
    struct df_error err = { 0 };

    (void)state;
    assert_null(strstr(df_text_get(&plain->json), "\"ema\""));
    assert_non_null(strstr(df_text_get(&cell->json), "\"ema\":0.75"));
    assert_string_not_equal(plain->id, cell->id);
    for (int k = 0; k < 2; k++) {
        struct df_cell *one = k ? cell : plain;

        one->schedule.evaluations = 5;

        cJSON *json = df_options_identity(df_schedule_options, &one->schedule);

        assert_ok(df_options_restore(df_schedule_options, json, NULL, "schedule", &back, &err));
        assert_true(back.ema == one->schedule.ema);
        cJSON_Delete(json);
    }
    df_cell_free(cell);
    df_cell_free(plain);
}

/* Same losses; the last weights are the plain run's, and so is their score. The curve and the row are of the averages. */
static void the_training_does_not_notice(void **state)
{
    struct df_cell *plain = averaged(0, 40), *cell = averaged(0.8, 40);
    const char *out = tiny_out("notice");
    struct df_run_result *a = run(plain, out), *b = run(cell, out);

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_true(tiny_point(a, "loss", i)->value == tiny_point(b, "loss", i)->value);
        assert_true(tiny_point(a, "term.", i)->value == tiny_point(b, "term.", i)->value);
    }
    assert_true(score(a, "AP") > 0 && score(b, "AP") > 0);
    assert_true(isnan(score(a, DF_AP_LAST)) && score(b, DF_AP_LAST) == score(a, "AP"));
    assert_true(score(b, "AP") != score(a, "AP"));
    assert_true(tiny_point(a, "AP", 2)->value != tiny_point(b, "AP", 2)->value);
    assert_int_equal(b->row.scores.count, a->row.scores.count + 1);
    assert_true(tiny_hash(out, plain) != tiny_hash(out, cell));
    df_run_result_free(a);
    df_run_result_free(b);
    df_cell_free(cell);
    df_cell_free(plain);
}

/* average += fresh (value - average), item by item */
static void follow(const struct df_parameters *parameters, size_t items, df_real *average, double fresh)
{
    for (size_t i = 0; i < items; i++) {
        const size_t count = df_count(parameters->items[i]->shape);

        for (size_t k = 0; k < count; k++) {
            const df_real value = parameters->items[i]->value[k];

            average[k] = fresh < 1 ? average[k] + (df_real)fresh * (value - average[k]) : value;
        }
        average += count;
    }
}

/* The plain cell's steps are averaged here: the file has these very numbers, and the row is what the file scores. */
static void a_run_leaves_the_averages(void **state)
{
    struct df_cell *plain = averaged(0, 3), *cell = averaged(0.35, 3);
    const char *out = tiny_out("leaves");
    const struct df_run_options options = tiny_run(out);
    struct df_evaluation what = { .cell = cell };
    struct df_run_result *result = run(cell, out);
    struct df_trainer *trainer;
    struct df_error err = { 0 };
    struct df_model file;
    char *weights = tiny_weights(out, cell);
    double map;

    (void)state;
    assert_ok(df_model_load(cell, weights, &file, &err));
    assert_ok(df_trainer_new(plain, &options, &trainer, &err));

    const struct df_parameters *parameters = trainer->student.model.parameters;
    df_real *average = df_calloc(parameters->values + parameters->buffers, sizeof *average), *at = average;
    const size_t items = trainer->student.own_parameters;

    follow(parameters, items, average, 1);
    for (size_t step = 1; step <= 9; step++) {
        assert_ok(df_trainer_step(trainer, &err));
        follow(parameters, items, average, 1 - fmin(0.35, (1 + (double)step) / (10 + (double)step)));
    }
    assert_int_equal(file.parameters->count, items);
    for (size_t i = 0; i < items; i++) {
        const size_t count = df_count(file.parameters->items[i]->shape);

        assert_string_equal(file.parameters->items[i]->name, parameters->items[i]->name);
        assert_memory_equal(file.parameters->items[i]->value, at, count * sizeof *at);
        at += count;
    }
    assert_ok(df_data_split(cell->data, DF_VALIDATION, &what.dataset, &err));
    assert_ok(df_evaluate_map(&what, file.detector, file.device, &map, &err));
    assert_true(map == score(result, "AP"));
    free(average);
    free(weights);
    df_trainer_free(trainer);
    df_model_release(&file);
    df_run_result_free(result);
    df_cell_free(cell);
    df_cell_free(plain);
}

/* ---- stopped ---- */

static size_t reads_left;

static df_status read_and_stop(struct df_dataset *dataset, size_t i, struct df_image *out, struct df_error *err)
{
    if (reads_left && --reads_left == 0)
        df_run_stop = 1;
    return df_dataset_class_find("scenes", NULL)->read(dataset, i, out, err);
}

static struct df_dataset_class stopping;

/* In steps and in evaluations of either network, again and again. */
static void resumed_is_never_stopped(void **state)
{
    struct df_cell *cell = averaged(0.6, 8);
    const char *straight = tiny_out("straight"), *stopped = tiny_out("stopped");
    struct df_data *data = tiny_data_of("scenes", ".", TINY_DATA), *own = cell->data;
    const struct df_run_options options = tiny_run(stopped);
    struct df_run_result *expected = run(cell, straight), *result = NULL;
    struct df_error err = { 0 };
    struct df_rng rng;
    size_t stops = 0, evaluating = 0;

    (void)state;
    stopping = *data->class;
    stopping.read = read_and_stop;
    data->class = &stopping;
    cell->data = data;
    df_rng_init(&rng, 1, DF_RNG_TEST, 0);
    for (;;) {
        df_run_stop = 0;
        reads_left = 3 + df_rng_below(&rng, 24); /* the last evaluations take 19 in a row */
        if (df_run_cell(cell, &options, &result, &err) == DF_OK)
            break;
        assert_int_equal(err.status, DF_ERR_INTERRUPTED);
        evaluating += strstr(err.text, "evaluating") != NULL;
        assert_true(++stops < 500);
    }
    df_run_stop = 0;
    reads_left = 0;
    assert_true(stops > 5 && evaluating > 0);
    tiny_assert_same(result, expected);
    assert_true(tiny_hash(straight, cell) == tiny_hash(stopped, cell));
    df_run_result_free(result);
    df_run_result_free(expected);
    cell->data = own;
    df_cell_free(cell);
    df_data_free(data);
}

/* Whoever stops the evaluation of the averages goes on from the network in training: the position is of the weights. */
static void an_interrupted_evaluation_leaves_the_weights(void **state)
{
    struct df_cell *cell = averaged(0.6, 3);
    const struct df_run_options options = tiny_run(tiny_out("evaluation"));
    struct df_arena memory;
    struct df_trainer *trainer;
    struct df_error err = { 0 };
    char path[600];

    (void)state;
    snprintf(path, sizeof path, "%s/position.safetensors", df_test_folder());
    df_arena_init(&memory, NULL, 4096);
    assert_ok(df_trainer_new(cell, &options, &trainer, &err));
    for (size_t step = 0; step < 3; step++)
        assert_ok(df_trainer_step(trainer, &err));

    const struct df_parameters *parameters = trainer->student.model.parameters;
    const uint64_t hash = df_parameters_hash(parameters);

    df_run_stop = 1;
    assert_fails(df_trainer_run(trainer, path, &memory, &err), DF_ERR_INTERRUPTED, "interrupted at step 3");
    df_run_stop = 0;
    assert_false(parameters->swapped);
    assert_true(df_parameters_hash(parameters) == hash);
    df_trainer_free(trainer);
    df_arena_release(&memory);
    df_cell_free(cell);
}

/* ---- others ---- */

/* Its file is the averaged network, measured as such; nobody looks at its last weights. */
static void a_teacher_is_averaged(void **state)
{
    struct df_cell *teacher = tiny_teacher("cpu"), *plain = tiny_teacher("cpu");
    const struct df_run_options options = tiny_run(tiny_out("teacher"));
    struct df_teacher_facts facts[2];
    struct df_error err = { 0 };
    char hash[17], *path[2];
    struct df_model model;

    (void)state;
    teacher->schedule.ema = 0.6;
    assert_ok(df_cell_seal(teacher, &err));
    for (int k = 0; k < 2; k++) {
        assert_ok(df_prepare_teacher(k ? plain : teacher, &options, &path[k], &err));
        assert_ok(df_teacher_facts_read(path[k], &facts[k], &err));
    }
    assert_string_not_equal(facts[0].parameters_hash, facts[1].parameters_hash);
    assert_true(facts[0].neck_std[0] != facts[1].neck_std[0]);
    assert_ok(df_model_load(teacher, path[0], &model, &err));
    assert_string_equal(df_hash_text(hash, df_parameters_hash(model.parameters)), facts[0].parameters_hash);
    assert_ok(df_teacher_gate(teacher, &options, &err));
    df_model_release(&model);
    free(path[0]);
    free(path[1]);
    df_cell_free(teacher);
    df_cell_free(plain);
}

/* The averages begin with what was taken from the file, not with what was drawn before. */
static void a_student_from_a_file_begins_its_averages_there(void **state)
{
    struct df_cell *plain = averaged(0, 3), *cell = averaged(0.6, 3);
    const struct df_run_options options = tiny_run(tiny_out("start"));
    struct df_run_result *result = run(plain, options.out);
    struct df_trainer *trainer;
    struct df_error err = { 0 };
    char *weights = tiny_weights(options.out, plain);

    (void)state;
    snprintf(cell->file, sizeof cell->file, "%s", weights);
    assert_ok(df_cell_seal(cell, &err));
    assert_ok(df_trainer_new(cell, &options, &trainer, &err));

    const struct df_parameters *parameters = trainer->student.model.parameters;

    assert_memory_equal(parameters->value, parameters->average, parameters->values * sizeof(df_real));
    assert_memory_equal(parameters->buffer, parameters->average_buffer, parameters->buffers * sizeof(df_real));
    free(weights);
    df_trainer_free(trainer);
    df_run_result_free(result);
    df_cell_free(cell);
    df_cell_free(plain);
}

/* A step reads values and averages and writes these; they are held. */
static void averages_have_their_cost(void **state)
{
    struct df_cell *cell = averaged(0, 3);
    const struct df_run_options options = tiny_run(tiny_out("cost"));
    const struct df_cost_images images = { .height = 64, .width = 64, .classes = 8 };
    struct df_cost plain, with;
    struct df_trainer *trainer;
    struct df_error err = { 0 };

    (void)state;
    assert_ok(df_cost_count(cell, images, false, &plain, &err));
    cell->schedule.ema = 0.5;
    assert_ok(df_cost_count(cell, images, false, &with, &err));
    assert_ok(df_cell_seal(cell, &err));
    assert_ok(df_trainer_new(cell, &options, &trainer, &err));

    const struct df_parameters *parameters = trainer->student.model.parameters;
    const double bytes = (double)(parameters->values + parameters->buffers) * sizeof(df_real);

    assert_close(with.held - plain.held, bytes, 0, 0);
    assert_close(with.step[DF_COST_UPDATE].bytes - plain.step[DF_COST_UPDATE].bytes, 3 * bytes, 0, 0);
    assert_close(with.image[DF_COST_UPDATE].bytes, plain.image[DF_COST_UPDATE].bytes, 0, 0);
    df_trainer_free(trainer);
    df_cell_free(cell);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_averages_are_part_of_a_cell),
        cmocka_unit_test(the_training_does_not_notice),
        cmocka_unit_test(a_run_leaves_the_averages),
        cmocka_unit_test(resumed_is_never_stopped),
        cmocka_unit_test(an_interrupted_evaluation_leaves_the_weights),
        cmocka_unit_test(a_teacher_is_averaged),
        cmocka_unit_test(a_student_from_a_file_begins_its_averages_there),
        cmocka_unit_test(averages_have_their_cost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
