/* A run: same seed, same bits; weights 0 = no distillation; killed and resumed = never killed; what it leaves behind; how it fails. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ablations/run/evaluate.h"
#include "ablations/run/model.h"
#include "ablations/run/stop.h"
#include "ablations/run/trainer.h"
#include "core/base/file.h"
#include "core/nn/checkpoint.h"
#include "tests/ablations/run/tiny.h"

static struct df_run_result *run(struct df_cell *cell, const char *out, int cache)
{
    struct df_run_options options = tiny_run(out);
    struct df_run_result *result;
    struct df_error err = { 0 };

    options.cache = cache == 2 ? DF_CACHE_OFF : DF_CACHE_ON;
    assert_ok(df_cell_seal(cell, &err));
    assert_ok(df_prepare_and_run(cell, &options, &result, &err));
    return result;
}

static void same_cell_same_bits(void **state)
{
    struct df_cell *cell = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 1), *other = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 2);
    struct df_run_result *a = run(cell, tiny_out("same-a"), 1), *b = run(cell, tiny_out("same-b"), 1),
                         *c = run(other, tiny_out("same-a"), 1);

    (void)state;
    tiny_assert_same(a, b);
    assert_true(tiny_hash(tiny_out("same-a"), cell) == tiny_hash(tiny_out("same-b"), cell));
    assert_true(tiny_hash(tiny_out("same-a"), cell) != tiny_hash(tiny_out("same-a"), other));
    assert_int_equal(tiny_point(a, "AP", 2)->step, 9); /* 3 steps an epoch, 3 epochs */
    assert_string_equal(tiny_point(a, "AP", 2)->split, "tune");
    assert_null(tiny_point(a, "AP", 3));
    assert_true(tiny_point(a, "loss", 0)->value > 0 && isfinite(tiny_point(a, "loss", 2)->value));
    assert_string_equal(tiny_point(a, "lr", 1)->split, "train");
    assert_non_null(tiny_point(a, "term.classification", 1));
    assert_string_equal(a->row.status, "ok");
    assert_true(a->row.train_seconds > 0 && a->row.images_per_second > 0 && a->row.peak_anonymous_bytes > 0);
    df_run_result_free(a);
    df_run_result_free(b);
    df_run_result_free(c);
    df_cell_free(cell);
    df_cell_free(other);
}

/* With weights 0 every distiller of the stack is computed, and the student is the plain one to the last bit. */
static void weights_of_zero_change_nothing(void **state)
{
    struct df_cell *teacher = tiny_teacher("cpu"), *plain = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 1),
                   *taught = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 1), *real = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 1);
    const char *out = tiny_out("zero");

    (void)state;
    tiny_add(taught, "defeat", "{\"w_fg\":0,\"w_bg\":0,\"normalise_teacher\":true}", teacher);
    tiny_add(taught, "head_kl", "{\"w_pos\":0,\"w_neg\":0}", teacher);
    tiny_add(real, "defeat", "{\"w_fg\":0,\"w_bg\":0.01,\"normalise_teacher\":true}", teacher);

    struct df_run_result *a = run(plain, out, 1), *b = run(taught, out, 1), *c = run(real, out, 1);

    tiny_assert_same_scores(&a->row, &b->row);
    for (size_t i = 0; i < 3; i++)
        assert_true(tiny_point(a, "loss", i)->value == tiny_point(b, "loss", i)->value);
    assert_true(tiny_hash(out, plain) == tiny_hash(out, taught));
    assert_true(tiny_hash(out, plain) != tiny_hash(out, real));
    assert_non_null(tiny_point(b, "term.defeat.", 0));
    df_run_result_free(a);
    df_run_result_free(b);
    df_run_result_free(c);
    df_cell_free(real);
    df_cell_free(taught);
    df_cell_free(plain);
    df_cell_free(teacher);
}

/* Scenes whose images can be read so many times before a user presses Ctrl-C. */
static size_t reads_left;

static df_status read_and_stop(struct df_dataset *dataset, size_t i, struct df_image *out, struct df_error *err)
{
    if (reads_left && --reads_left == 0)
        df_run_stop = 1;
    return df_dataset_class_find("scenes", NULL)->read(dataset, i, out, err);
}

static struct df_dataset_class stopping;

/* Interrupted again and again, while training, evaluating and building the cache; compared with a run that never stopped. */
static void resumed_is_never_stopped(void **state)
{
    struct df_cell *teacher = tiny_teacher("cpu"), *cell = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 1);
    const char *straight = tiny_out("straight"), *stopped = tiny_out("stopped");
    struct df_data *data = tiny_data_of("scenes", ".", TINY_DATA);
    struct df_run_options options = tiny_run(stopped);
    struct df_run_result *result = NULL;
    struct df_error err = { 0 };
    struct df_rng rng;
    char *path = NULL;
    size_t stops = 0;
    df_status status;

    (void)state;
    stopping = *data->class;
    stopping.read = read_and_stop;
    tiny_add(cell, "full_feature", "{\"w\":0.1,\"normalise_teacher\":true}", teacher);

    struct df_run_result *expected = run(cell, straight, 1);

    data->class = &stopping;
    teacher->data = cell->data = data;
    df_rng_init(&rng, 1, DF_RNG_TEST, 0);
    do {
        df_run_stop = 0;
        reads_left = 3 + df_rng_below(&rng, path ? 16 : 90); /* the cache takes 36 in a row */
        if (!path)
            status = df_prepare_cache(cell, &cell->teacher[0], &options, &path, &err);
        else
            status = df_run_cell(cell, &options, &result, &err);
        if (status != DF_OK) {
            assert_int_equal(status, DF_ERR_INTERRUPTED);
            assert_null(result);
            assert_true(++stops < 500);
        }
    } while (status != DF_OK || !result);
    free(path);
    df_run_stop = 0;
    reads_left = 0;
    assert_true(stops > 5);
    tiny_assert_same(result, expected);
    assert_true(tiny_hash(straight, cell) == tiny_hash(stopped, cell));
    df_run_result_free(result);
    df_run_result_free(expected);
    df_cell_free(cell);
    df_cell_free(teacher);
    df_data_free(data);
}

/* SIGKILL as soon as there is a position: the next process goes on from it. */
static void killed_is_never_killed(void **state)
{
    struct df_cell *cell = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 1);
    const char *straight = tiny_out("alive"), *killed = tiny_out("killed");
    struct df_run_options options = tiny_run(killed);
    struct df_run_result *result;
    struct df_error err = { 0 };
    char path[700];

    (void)state;
    cell->schedule.epochs = 12;
    cell->schedule.evaluations = 6;

    struct df_run_result *expected = run(cell, straight, 1);

    snprintf(path, sizeof path, "%s/tiny/runs/%s/position.safetensors", killed, cell->id);

    const pid_t child = fork();

    if (child == 0)
        _exit(df_run_cell(cell, &options, &result, &err) != DF_OK);
    while (!df_file_exists(path) && waitpid(child, NULL, WNOHANG) == 0)
        usleep(100);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_ok(df_run_cell(cell, &options, &result, &err));
    tiny_assert_same(result, expected);
    assert_true(tiny_hash(straight, cell) == tiny_hash(killed, cell));
    assert_false(df_file_exists(path));
    df_run_result_free(result);
    df_run_result_free(expected);
    df_cell_free(cell);
}

/* `defeat eval` on what a run exported gives the run's numbers, bit for bit. */
static void exported_results_give_the_runs_numbers(void **state)
{
    struct df_cell *cell = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 1);
    const char *out = tiny_out("export");
    char truth_path[600], results_path[700];
    struct df_coco_scores scores = { 0 };
    struct df_detection *detections;
    struct df_coco_truth *truth;
    struct df_dataset *validation;
    struct df_error err = { 0 };
    size_t count;

    (void)state;
    cell->schedule.epochs = 40;
    cell->schedule.evaluations = 1;

    struct df_run_result *result = run(cell, out, 1);

    snprintf(truth_path, sizeof truth_path, "%s/truth.json", out);
    snprintf(results_path, sizeof results_path, "%s/tiny/runs/%s/results.json", out, cell->id);
    assert_ok(df_data_split(cell->data, DF_VALIDATION, &validation, &err));
    assert_ok(df_dataset_export_coco(validation, truth_path, &err));
    assert_ok(df_coco_truth_read(truth_path, false, &truth, &err));
    assert_ok(df_coco_results_read(results_path, &detections, &count, &err));
    assert_true(count > 0 && df_run_row_score(&result->row, "AP", "") > 0);
    assert_ok(df_coco_evaluate(df_coco_set_of(truth), detections, count, &scores, &err));
    for (size_t m = 0; m < DF_COCO_METRICS; m++)
        assert_true(scores.value[m] == df_run_row_score(&result->row, df_coco_metric_names[m], ""));
    df_coco_scores_release(&scores);
    free(detections);
    df_coco_truth_free(truth);
    df_run_result_free(result);
    df_cell_free(cell);
}

static void a_loss_that_is_not_finite_stops_the_run(void **state)
{
    struct df_cell *cell = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 1);
    struct df_run_options options = tiny_run(tiny_out("nan"));
    struct df_run_result *result;
    struct df_error err = { 0 };

    (void)state;
    cell->schedule.optimiser = DF_SGD;
    cell->schedule.momentum = 0.9;
    cell->schedule.lr = 1e30;
    cell->schedule.clip = 0;
    cell->schedule.warmup_steps = 0;
    assert_ok(df_cell_seal(cell, &err));
    assert_fails(df_run_cell(cell, &options, &result, &err), DF_ERR_CHECK, "at step");
    assert_non_null(strstr(err.text, "terms: "));
    assert_null(result);
    df_cell_free(cell);
}

static void a_position_of_another_run_is_left_alone(void **state)
{
    struct df_cell *cell = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 1), *other = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 9);
    struct df_run_options options = tiny_run(tiny_out("foreign"));
    struct df_trainer *trainer;
    struct df_error err = { 0 };
    char path[600];

    (void)state;
    snprintf(path, sizeof path, "%s/foreign.safetensors", df_test_folder());
    assert_ok(df_cell_seal(cell, &err));
    assert_ok(df_cell_seal(other, &err));
    assert_ok(df_trainer_new(other, &options, &trainer, &err));
    assert_ok(df_trainer_step(trainer, &err));
    assert_ok(df_trainer_read_log(trainer, &err));
    assert_ok(df_position_write(path, &trainer->student, &trainer->log, &trainer->learning, &err));
    df_trainer_free(trainer);
    assert_ok(df_trainer_new(cell, &options, &trainer, &err));
    df_position_read(path, trainer->points, &trainer->student, &trainer->log, &trainer->learning);
    assert_int_equal(trainer->student.step, 0);
    df_trainer_free(trainer);
    df_cell_free(other);
    df_cell_free(cell);
}

static char warned[1024];

static void remember_warning(void *context, const char *text)
{
    (void)context;
    snprintf(warned, sizeof warned, "%s", text);
}

/* A disk without room for positions: the run goes on to the same end, and says so. (A folder of that name cannot be written over.) */
static void a_position_that_cannot_be_written_costs_no_run(void **state)
{
    struct df_cell *cell = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 1);
    struct df_run_options options = tiny_run(tiny_out("full")), other = tiny_run(tiny_out("room"));
    struct df_run_result *result, *same;
    struct df_error err = { 0 };

    (void)state;
    assert_ok(df_cell_seal(cell, &err));

    char *position = df_store_cell_file(options.out, cell, DF_CELL_POSITION), *within = df_path_join(position, "x");

    assert_ok(df_folder_make(within, &err)); /* not empty: a rename would replace an empty one */
    warned[0] = 0;
    assert_ok(df_run_cell(cell, &options, &result, &err));
    assert_non_null(strstr(warned, "the run goes on, but should it be stopped"));
    assert_ok(df_run_cell(cell, &other, &same, &err));
    assert_true(df_run_row_score(&result->row, "AP", "") == df_run_row_score(&same->row, "AP", ""));
    assert_int_equal(result->row.curve.count, same->row.curve.count);
    for (size_t i = 0; i < same->row.curve.count; i++)
        assert_true(result->row.curve.point[i].value == same->row.curve.point[i].value);

    struct df_trainer *trainer;

    assert_ok(df_trainer_new(cell, &options, &trainer, &err));
    assert_ok(df_trainer_step(trainer, &err));
    df_run_stop = 1; /* nothing is promised that was not kept */
    assert_fails(df_trainer_run(trainer, position, result->memory, &err), DF_ERR_INTERRUPTED, "interrupted at step 1 of ");
    assert_null(strstr(err.text, "goes on from there"));
    df_run_stop = 0;
    df_trainer_free(trainer);
    df_run_result_free(result);
    df_run_result_free(same);
    df_cell_free(cell);
    free(position);
    free(within);
}

/* On `cuda` only; a number of threads stands for another card here. */
static void a_position_of_another_machine_is_left_alone(void **state)
{
    const struct df_run_options options = tiny_run(tiny_out("machine"));
    struct df_cell *cell = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 1), on_cuda, elsewhere;
    struct df_arena memory;
    struct df_trainer *trainer;
    char path[300];
    struct df_error err = { 0 };

    (void)state;
    assert_ok(df_cell_seal(cell, &err));
    on_cuda = *cell;
    snprintf(on_cuda.device, sizeof on_cuda.device, "cuda");
    elsewhere = on_cuda;
    elsewhere.threads++;
    df_arena_init(&memory, NULL, 4096);
    snprintf(path, sizeof path, "%s/machine.safetensors", df_test_folder());
    assert_ok(df_trainer_new(cell, &options, &trainer, &err));
    trainer->learning.memory = &memory;
    assert_ok(df_trainer_step(trainer, &err));
    assert_ok(df_trainer_read_log(trainer, &err));
    trainer->student.cell = &on_cuda;
    assert_ok(df_position_write(path, &trainer->student, &trainer->log, &trainer->learning, &err));
    trainer->student.step = 0;
    trainer->student.cell = &elsewhere;
    df_position_read(path, trainer->points, &trainer->student, &trainer->log, &trainer->learning);
    assert_int_equal(trainer->student.step, 0);
    trainer->student.cell = &on_cuda;
    df_position_read(path, trainer->points, &trainer->student, &trainer->log, &trainer->learning);
    assert_int_equal(trainer->student.step, 1);
    trainer->student.cell = cell;
    df_trainer_free(trainer);
    df_arena_release(&memory);
    df_cell_free(cell);
}

/* One flipped bit anywhere in a position, or an end cut off: nothing of it is taken. Whole, it is. */
static void a_damaged_position_is_not_taken(void **state)
{
    struct df_cell *cell = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 1);
    struct df_run_options options = tiny_run(tiny_out("damaged"));
    struct df_trainer *trainer;
    struct df_error err = { 0 };
    char path[600], *bytes;
    uint64_t fresh;
    size_t size;

    (void)state;
    snprintf(path, sizeof path, "%s/damaged.safetensors", df_test_folder());
    assert_ok(df_cell_seal(cell, &err));
    assert_ok(df_trainer_new(cell, &options, &trainer, &err));
    assert_ok(df_trainer_step(trainer, &err));
    assert_ok(df_trainer_read_log(trainer, &err));
    assert_ok(df_position_write(path, &trainer->student, &trainer->log, &trainer->learning, &err));
    df_trainer_free(trainer);
    assert_ok(df_file_read(path, 0, &bytes, &size, &err));
    assert_ok(df_trainer_new(cell, &options, &trainer, &err));
    fresh = df_parameters_hash(trainer->student.model.parameters);
    for (size_t i = 0; i <= 41; i++) {
        const size_t at = (size - 1) * (i < 41 ? i : 40) / 40;

        bytes[at] ^= i < 41 ? 1 : 0;
        assert_ok(df_file_write(path, bytes, i < 41 ? size : size - 1, &err));
        bytes[at] ^= i < 41 ? 1 : 0;
        warned[0] = 0;
        df_position_read(path, trainer->points, &trainer->student, &trainer->log, &trainer->learning);
        if (trainer->student.step || trainer->learning.seconds > 0 || !strstr(warned, "the run starts from the beginning"))
            fail_msg("damaged at byte %zu of %zu: step %zu, warning '%s'", at, size, trainer->student.step, warned);
        assert_true(fresh == df_parameters_hash(trainer->student.model.parameters));
    }
    assert_ok(df_file_write(path, bytes, size, &err));
    df_position_read(path, trainer->points, &trainer->student, &trainer->log, &trainer->learning);
    assert_int_equal(trainer->student.step, 1);
    assert_true(fresh != df_parameters_hash(trainer->student.model.parameters));
    free(bytes);
    df_trainer_free(trainer);
    df_cell_free(cell);
}

/* A file that is whole and of this run, but says what no run can have written: nothing of it is taken, and the message names the member. */
static void a_position_that_cannot_be_is_not_taken(void **state)
{
    static const struct {
        const char *member, *text, *says;
    } wrong[] = {
        { "step", "0", "/step: found 0" },
        { "step", "1.5", "/step" },
        { "step", "1e300", "/step" },
        { "lr", "null", "/lr" },
        { "seconds", "null", "/seconds" },
        { "mean_steps", "null", "/mean_steps" },
        { "mean_steps", "2", "/mean_steps: found 2, expected at most 1" },
        { "points", "1000", "/points: found 1000" },
        { "means", "[7]", "/means" },
        { "means", "[{\"name\":7}]", "/name" },
        { "curve", "7", "/curve" },
    };
    struct df_cell *cell = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 1);
    struct df_run_options options = tiny_run(tiny_out("impossible"));
    struct df_trainer *trainer;
    struct df_error err = { 0 };
    const size_t count = sizeof wrong / sizeof *wrong;
    char path[600];
    cJSON *metadata, *right;

    (void)state;
    snprintf(path, sizeof path, "%s/impossible.safetensors", df_test_folder());
    assert_ok(df_cell_seal(cell, &err));
    assert_ok(df_trainer_new(cell, &options, &trainer, &err));
    assert_ok(df_trainer_step(trainer, &err));
    assert_ok(df_trainer_read_log(trainer, &err));
    assert_ok(df_position_write(path, &trainer->student, &trainer->log, &trainer->learning, &err));
    df_trainer_free(trainer);
    assert_ok(df_checkpoint_metadata(path, &metadata, &err));
    right = cJSON_Parse(cJSON_GetObjectItemCaseSensitive(metadata, "position")->valuestring);
    for (size_t i = 0; i <= count; i++) {
        cJSON *said = cJSON_Duplicate(right, true);

        if (i < count)
            assert_true(cJSON_ReplaceItemInObjectCaseSensitive(said, wrong[i].member, cJSON_Parse(wrong[i].text)));
        assert_ok(df_trainer_new(cell, &options, &trainer, &err));

        char *text = cJSON_PrintUnformatted(said);
        const struct df_metadata with[] = { { "position", text } };

        assert_ok(df_checkpoint_write(
            path,
            (struct df_checkpoint){
                .parameters = trainer->student.model.parameters, .with_optimiser = true, .metadata = with, .metadata_count = 1 },
            &err));
        warned[0] = 0;
        df_position_read(path, trainer->points, &trainer->student, &trainer->log, &trainer->learning);
        if (i < count ? trainer->student.step || !strstr(warned, wrong[i].says) || trainer->learning.seconds > 0
                      : trainer->student.step != 1 || warned[0])
            fail_msg("%s: step %zu, warning '%s'", i < count ? wrong[i].says : "as written", trainer->student.step, warned);
        cJSON_free(text);
        cJSON_Delete(said);
        df_trainer_free(trainer);
    }
    cJSON_Delete(right);
    cJSON_Delete(metadata);
    df_cell_free(cell);
}

/* Plain SGD: the step's length is lr times the clipped norm, and lr when nothing is clipped is what the schedule says. */
static void clipping_bounds_the_step(void **state)
{
    struct df_cell *cell = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 1);
    struct df_run_options options = tiny_run(tiny_out("clip"));
    struct df_error err = { 0 };

    (void)state;
    cell->schedule.optimiser = DF_SGD;
    cell->schedule.momentum = cell->schedule.weight_decay = 0;
    for (int clipped = 0; clipped < 2; clipped++) {
        struct df_trainer *trainer;
        double length = 0;

        cell->schedule.clip = clipped ? 0.01 : 1e6;
        assert_ok(df_cell_seal(cell, &err));
        assert_ok(df_trainer_new(cell, &options, &trainer, &err));

        const struct df_parameters *parameters = trainer->student.model.parameters;
        df_real *before = df_malloc(parameters->values * sizeof *before);

        memcpy(before, parameters->value, parameters->values * sizeof *before);
        assert_ok(df_trainer_step(trainer, &err));
        for (size_t i = 0; i < parameters->values; i++)
            length += pow((double)parameters->value[i] - (double)before[i], 2);
        assert_ok(df_trainer_read_log(trainer, &err));
        assert_true(trainer->log.gradient_norm > 0.1);
        assert_close(trainer->student.lr, df_schedule_lr(&cell->schedule, 0, 9, 3), 0, 0);
        /* float values near 1 hold a change of 1e-5 to about 1e-2 of it */
        assert_close(sqrt(length), trainer->student.lr * (clipped ? 0.01 : trainer->log.gradient_norm), clipped ? 0.2 : 1e-2, 0);
        free(before);
        df_trainer_free(trainer);
    }
    df_cell_free(cell);
}

/* AdamW's first step moves every weight that has a gradient by lr: its bias correction counts from 1. */
static void steps_count_from_one(void **state)
{
    struct df_cell *cell = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 1);
    struct df_run_options options = tiny_run(tiny_out("first"));
    struct df_trainer *trainer;
    struct df_error err = { 0 };
    double largest = 0;

    (void)state;
    cell->schedule.weight_decay = 0;
    assert_ok(df_cell_seal(cell, &err));
    assert_ok(df_trainer_new(cell, &options, &trainer, &err));

    const struct df_parameters *parameters = trainer->student.model.parameters;
    df_real *before = df_malloc(parameters->values * sizeof *before);

    memcpy(before, parameters->value, parameters->values * sizeof *before);
    assert_ok(df_trainer_step(trainer, &err));
    for (size_t i = 0; i < parameters->values; i++) {
        const double moved = fabs((double)parameters->value[i] - (double)before[i]);

        if (!(moved <= largest)) /* not fmax: gcc 12 stumbles over it when it compiles for AArch64 */
            largest = moved;
    }
    assert_close(largest, trainer->student.lr, 0.01, 0); /* float rounding of the weights */
    free(before);
    df_trainer_free(trainer);
    df_cell_free(cell);
}

/* A distiller that only looks. */
static struct {
    size_t calls;
    struct df_distill_context last;
} seen;

static df_status look_at_setup(struct df_distiller_setup *setup, struct df_error *err)
{
    (void)err;
    assert_int_equal(setup->levels, 3);
    assert_int_equal(df_parts_channels(setup->student, "neck", 1), 8);
    assert_int_equal(df_parts_channels(setup->teacher, "neck", 1), 16);
    assert_int_equal(df_parts_channels(setup->student, "backbone", 4), 16);
    assert_int_equal(df_parts_channels(setup->teacher, "backbone", 3), 16);
    assert_null(df_parts_find(setup->student, "neck/0")->tensor);
    assert_true(df_parts_find(setup->teacher, "neck/0")->std > 0);
    assert_string_equal(setup->prefix, "distiller.0.");
    df_distiller_parameter(setup, "unused", DF_VECTOR, (df_shape){ 1, 1, 1, 3 }, (struct df_initialiser){ DF_INIT_NORMAL, 1 });
    return DF_OK;
}

static df_tensor *look(const struct df_distill_context *context, const struct df_detection_state *student,
                       const struct df_detection_state *teacher)
{
    seen.last = *context;
    seen.calls++;
    *(size_t *)context->state += 1;
    assert_int_equal(*(size_t *)context->state, seen.calls); /* its memory is kept */
    assert_ptr_equal(teacher->images, student->images);
    assert_null(df_parts_find(&teacher->parts, "label"));
    assert_null(df_parts_find(&teacher->parts, "logits")); /* not asked for */
    for (size_t l = 0; l < 3; l++) {
        const struct df_part *t = df_part(teacher, "neck", l), *s = df_part(student, "neck", l);
        const df_shape shape = t->tensor->shape, own = s->tensor->shape;

        assert_true(shape.n == 5 && shape.h == own.h && shape.w == own.w && shape.c == 16);
        assert_false(t->tensor->requires_grad);
        assert_true(t->std > 0);
        assert_int_equal(t->stride, s->stride);
    }
    return NULL;
}

static void a_distiller_is_told_where_it_stands(void **state)
{
    static const struct df_distiller_class looker = {
        .abi = DF_DISTILLER_ABI, .name = "looker", .needs = "neck/*", .state_size = sizeof(size_t), .init = look_at_setup, .loss = look
    };
    struct df_cell *teacher = tiny_teacher("cpu"), *cell = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 77);
    struct df_run_options options = tiny_run(tiny_out("looker"));
    struct df_trainer *trainer;
    struct df_error err = { 0 };

    (void)state;
    cell->distillers = 1;
    cell->distiller[0].class = &looker;
    tiny_needs(cell, looker.needs, teacher);
    assert_ok(df_cell_seal(cell, &err));
    assert_ok(df_prepare(cell, &options, &err));
    assert_ok(df_trainer_new(cell, &options, &trainer, &err));
    for (size_t step = 0; step < 7; step++)
        assert_ok(df_trainer_step(trainer, &err));
    assert_int_equal(seen.calls, 7);
    assert_int_equal(seen.last.step, 6);
    assert_int_equal(seen.last.steps, 9);
    assert_int_equal(seen.last.epoch, 2);
    assert_int_equal(seen.last.epochs, 3);
    assert_true(seen.last.progress == 6.0 / 9);
    assert_int_equal(seen.last.seed, 77);
    assert_int_equal(trainer->student.own_parameters + 1, trainer->student.model.parameters->count);
    df_trainer_free(trainer);
    df_cell_free(cell);
    df_cell_free(teacher);
}

static void a_batch_larger_than_the_split_is_an_error(void **state)
{
    struct df_cell *cell = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 1);
    struct df_run_options options = tiny_run(tiny_out("batch"));
    struct df_run_result *result;
    struct df_error err = { 0 };

    (void)state;
    cell->schedule.batch = 19;
    assert_ok(df_cell_seal(cell, &err));
    assert_fails(df_run_cell(cell, &options, &result, &err), DF_ERR_USAGE, "batch");
    df_cell_free(cell);
}

/* A student that starts from a file: from its first step on it is another run, and its cell says so; one without a file says nothing. */
static void a_student_starts_from_a_file(void **state)
{
    struct df_cell *plain = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 1), *body = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 1);
    struct df_cell *wide = tiny_cell(TINY_TEACHER, TINY_SCHEDULE, "cpu", 1);
    struct df_run_options options = tiny_run(tiny_out("start"));
    struct df_run_result *result;
    struct df_trainer *trainer;
    struct df_error err = { 0 };
    char *weights;

    (void)state;
    assert_ok(df_cell_seal(plain, &err));
    assert_ok(df_run_cell(plain, &options, &result, &err));
    df_run_result_free(result);
    assert_null(strstr(df_text_get(&plain->json), "\"start\""));
    weights = tiny_weights(options.out, plain);
    for (int part = 0; part < 2; part++) {
        const struct df_parameter *item;
        struct df_model trained;

        snprintf(body->file, sizeof body->file, "%s", weights);
        snprintf(body->take, sizeof body->take, "%s", part ? "backbone.body" : "");
        assert_ok(df_cell_seal(body, &err));
        assert_non_null(strstr(df_text_get(&body->json), part ? "\"take\":\"backbone.body\"" : "\"take\":\"\""));
        assert_string_not_equal(body->id, plain->id);
        assert_ok(df_model_load(plain, weights, &trained, &err));
        assert_ok(df_trainer_new(body, &options, &trainer, &err));
        item = df_parameters_find(trainer->student.model.parameters, "backbone.body.conv1.weight");
        assert_memory_equal(item->value, df_parameters_find(trained.parameters, item->name)->value,
                            df_count(item->shape) * sizeof(df_real));
        item = df_parameters_find(trainer->student.model.parameters, "backbone.fpn.inner_blocks.0.0.weight");
        assert_int_equal(
            memcmp(item->value, df_parameters_find(trained.parameters, item->name)->value, df_count(item->shape) * sizeof(df_real)) == 0,
            !part);
        df_trainer_free(trainer);
        df_model_release(&trained);
    }

    struct df_text said = DF_TEXT_INIT;
    struct df_model model;

    assert_ok(df_model_create(body, 8, &model, &err));
    df_parameters_build(model.parameters, model.device, 1, false);
    assert_ok(df_model_start(body, &model, model.parameters->count, NULL, &said, &err));
    assert_non_null(strstr(df_text_get(&said), weights));
    assert_non_null(strstr(df_text_get(&said), "those of 'backbone.body'"));
    assert_non_null(strstr(df_text_get(&said), "of the file are left (the first is 'backbone.fpn.inner_blocks.0.0.weight')"));
    df_text_release(&said);
    df_model_release(&model);
    snprintf(wide->file, sizeof wide->file, "%s", weights);
    assert_ok(df_cell_seal(wide, &err));
    assert_fails(df_trainer_new(wide, &options, &trainer, &err), DF_ERR_FORMAT, "has shape [8,8,3,3], expected [16,8,3,3]");
    free(weights);
    df_cell_free(wide);
    df_cell_free(body);
    df_cell_free(plain);
}

static bool same_values(const struct df_parameters *a, const struct df_parameters *b, const char *name)
{
    const struct df_parameter *one = df_parameters_find(a, name), *other = df_parameters_find(b, name);

    return df_same_shape(one->shape, other->shape) && memcmp(one->value, other->value, df_count(one->shape) * sizeof(df_real)) == 0;
}

/* init_student: neck and head are the teacher's where shapes allow, the body is drawn; the cell says so, others' cells do not. */
static void a_student_starts_with_the_teachers_head(void **state)
{
    static const char *const networks[] = { TINY_TEACHER, TINY_STUDENT };
    struct df_cell *teacher = tiny_teacher("cpu");
    struct df_run_options options = tiny_run(tiny_out("init"));
    struct df_error err = { 0 };

    (void)state;
    for (int narrow = 0; narrow < 2; narrow++) {
        struct df_cell *plain = tiny_cell(networks[narrow], TINY_SCHEDULE, "cpu", 1),
                       *cell = tiny_cell(networks[narrow], TINY_SCHEDULE, "cpu", 1);
        struct df_trainer *drawn, *trainer;
        struct df_model taught;
        char *path;

        tiny_add(plain, "full_feature", "{}", teacher);
        tiny_add(cell, "full_feature", "{}", teacher);
        cell->init_student = true;
        assert_ok(df_cell_seal(plain, &err));
        assert_ok(df_cell_seal(cell, &err));
        assert_null(strstr(df_text_get(&plain->json), "init_student"));
        assert_non_null(strstr(df_text_get(&cell->json), "\"init_student\":true"));
        assert_ok(df_prepare(cell, &options, &err));
        assert_ok(df_trainer_new(plain, &options, &drawn, &err));
        assert_ok(df_trainer_new(cell, &options, &trainer, &err));
        path = df_teacher_path(teacher, &options);
        assert_ok(df_model_open(teacher, 8, path, &taught, &err));

        const struct df_parameters *own = trainer->student.model.parameters, *theirs = taught.parameters,
                                   *before = drawn->student.model.parameters;

        assert_true(same_values(own, before, "backbone.body.conv1.weight"));
        assert_true(same_values(own, before, "distiller.0.adapt.0.weight"));
        assert_true(same_values(own, theirs, "head.classification_head.cls_logits.bias"));
        assert_false(same_values(own, before, "head.classification_head.cls_logits.bias"));
        assert_true(same_values(own, narrow ? before : theirs, "backbone.fpn.inner_blocks.0.0.weight"));
        assert_true(same_values(own, narrow ? before : theirs, "head.regression_head.norm.0.1.running_var"));
        free(path);
        df_model_release(&taught);
        df_trainer_free(trainer);
        df_trainer_free(drawn);
        df_cell_free(cell);
        df_cell_free(plain);
    }
    df_cell_free(teacher);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_cell_same_bits),
        cmocka_unit_test(weights_of_zero_change_nothing),
        cmocka_unit_test(resumed_is_never_stopped),
        cmocka_unit_test(killed_is_never_killed),
        cmocka_unit_test(exported_results_give_the_runs_numbers),
        cmocka_unit_test(a_loss_that_is_not_finite_stops_the_run),
        cmocka_unit_test(a_position_of_another_run_is_left_alone),
        cmocka_unit_test(a_position_that_cannot_be_written_costs_no_run),
        cmocka_unit_test(a_position_of_another_machine_is_left_alone),
        cmocka_unit_test(a_damaged_position_is_not_taken),
        cmocka_unit_test(a_position_that_cannot_be_is_not_taken),
        cmocka_unit_test(clipping_bounds_the_step),
        cmocka_unit_test(steps_count_from_one),
        cmocka_unit_test(a_distiller_is_told_where_it_stands),
        cmocka_unit_test(a_student_starts_from_a_file),
        cmocka_unit_test(a_student_starts_with_the_teachers_head),
        cmocka_unit_test(a_batch_larger_than_the_split_is_an_error),
    };

    df_warn_set(remember_warning, NULL);
    return cmocka_run_group_tests_name("run", tests, NULL, NULL);
}
