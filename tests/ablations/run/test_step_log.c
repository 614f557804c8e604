/* The log of the training steps: its sums are those of reading every step, a loss or norm that is not finite is found by its step however late
 * it is read, and between two readings a training step waits for nothing on its device. */
#include <stdio.h>

#include "ablations/run/stop.h"
#include "ablations/run/trainer.h"
#include "core/base/file.h"
#include "tests/ablations/run/tiny.h"

/* ---- the log alone ---- */

static struct df_device *device;
static df_tape *tape;
static struct df_step_log logged;
static struct df_optim_norm *norm; /* on the device */

static int open_log(void **state)
{
    struct df_error err = { 0 };

    (void)state;
    assert_ok(df_device_open(df_test_device(), &device, &err));
    tape = df_tape_new(device, false);
    norm = df_device_alloc(device, sizeof *norm);
    df_step_log_init(&logged, device);
    assert_int_equal(logged.every, strcmp(df_test_device(), "cuda") == 0 ? DF_LOG_STEPS : 1);
    logged.every = DF_LOG_STEPS;
    return 0;
}

static int close_log(void **state)
{
    (void)state;
    df_step_log_release(&logged);
    df_device_free(device, norm);
    df_tape_free(tape);
    df_device_close(device);
    return 0;
}

static df_tensor *scalar(double value)
{
    const df_real host = (df_real)value;

    return df_tensor_from(tape, (df_shape){ 1, 1, 1, 1 }, &host);
}

/* A step whose loss is loss, with terms that are called as the words say, of the values loss + 1, loss + 2, ... */
static void add_step(size_t step, double loss, double length, size_t count, const char *const *name)
{
    const struct df_optim_norm host = { length, 1 };
    struct df_loss_terms terms = { 0 };

    df_tape_reset(tape);
    for (size_t i = 0; i < count; i++)
        df_loss_terms_add(&terms, name[i], scalar(loss + (double)(i + 1)), 0.5);
    df_write(device, norm, &host, sizeof host);
    df_step_log_add(&logged, step, scalar(loss), &terms, norm);
}

static double as_real(double value) { return (double)(df_real)value; }

/* Two readings and a bit; a term that comes and goes, and the order of the terms turned around. */
static void sums_are_those_of_reading_every_step(void **state)
{
    static const char *const steps[3][3] = { { "a", "b" }, { "b", "a", "c" }, { "a", "c" } };
    static const size_t counts[3] = { 2, 3, 2 };
    double loss_sum = 0, sum[3] = { 0 };
    struct df_error err = { 0 };
    size_t readings = 0;

    (void)state;
    for (size_t step = 0; step < 2 * DF_LOG_STEPS + 5; step++) {
        const double loss = 1 / (3 + (double)step);

        add_step(step, loss, 2 + (double)step, counts[step % 3], steps[step % 3]);
        loss_sum += as_real(loss);
        for (size_t i = 0; i < counts[step % 3]; i++)
            sum[*steps[step % 3][i] - 'a'] += as_real(loss + (double)(i + 1));
        if (df_step_log_full(&logged)) {
            assert_ok(df_step_log_read(&logged, 100, &err));
            assert_int_equal(logged.mean_steps, ++readings * DF_LOG_STEPS);
        }
    }
    assert_int_equal(readings, 2);
    assert_int_equal(logged.waiting, 5);
    assert_true(logged.loss_sum < loss_sum); /* the last five are not in yet */
    assert_ok(df_step_log_read(&logged, 100, &err));
    assert_int_equal(logged.mean_steps, 2 * DF_LOG_STEPS + 5);
    assert_true(logged.loss_sum == loss_sum);
    assert_true(logged.gradient_norm == 2 * DF_LOG_STEPS + 6);
    assert_int_equal(logged.means, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(*logged.mean[i].name, (int)('a' + i));
        assert_true(logged.mean[i].sum == sum[i]);
    }
    df_step_log_clear(&logged);
    add_step(90, 0.5, 1, 1, (const char *const[]){ "d" });
    assert_ok(df_step_log_read(&logged, 100, &err));
    assert_true(logged.means == 1 && logged.mean_steps == 1 && logged.loss_sum == 0.5 && logged.mean[0].sum == 1.5);
    df_step_log_clear(&logged);
}

/* Of several the first; of loss and norm the loss; with the terms of that step. Then the log goes on. */
static void what_is_not_finite_is_found_by_its_step(void **state)
{
    static const char *const one[] = { "fg" }, *const two[] = { "class", "box" };
    static const struct {
        double loss, length;
        const char *says;
    } cases[] = {
        { NAN, 1, "the loss is nan at step 41 of 77 (terms: class=nan box=nan)" },
        { INFINITY, NAN, "the loss is inf at step 41 of 77 (terms: class=inf box=inf)" },
        { 3, NAN, "the gradient norm is nan at step 41 of 77 (terms: class=4 box=5)" },
        { 3, INFINITY, "the gradient norm is inf at step 41 of 77 (terms: class=4 box=5)" },
    };
    struct df_error err = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        add_step(40, 1, 1, 1, one);
        add_step(41, cases[i].loss, cases[i].length, 2, two);
        add_step(42, 1, 1, 1, one);
        add_step(43, NAN, NAN, 1, one);
        assert_fails(df_step_log_read(&logged, 77, &err), DF_ERR_CHECK, cases[i].says);
        assert_non_null(strstr(err.text, "'clip'"));
        assert_ok(df_step_log_read(&logged, 77, &err)); /* nothing waits */
        df_step_log_clear(&logged);
    }
    add_step(44, 1, 1, 1, one);
    assert_ok(df_step_log_read(&logged, 77, &err));
    assert_true(logged.loss_sum == 1);
    df_step_log_clear(&logged);
}

/* As many terms as a step can have; names beyond the table are left out of the means, their step is not. */
static void a_full_row_and_a_full_table(void **state)
{
    char text[2][DF_LOSS_TERMS][8];
    const char *name[2][DF_LOSS_TERMS];
    struct df_error err = { 0 };

    (void)state;
    for (size_t i = 0; i < DF_LOSS_TERMS; i++)
        for (size_t k = 0; k < 2; k++) {
            snprintf(text[k][i], sizeof text[k][i], "%c%zu", "xy"[k], i);
            name[k][i] = text[k][i];
        }
    for (size_t step = 0; step < DF_LOG_STEPS; step++)
        add_step(step, 0, 1, DF_LOSS_TERMS, name[step % 2]);
    assert_ok(df_step_log_read(&logged, DF_LOG_STEPS, &err));
    assert_int_equal(logged.means, DF_LOSS_TERMS);
    assert_int_equal(logged.mean_steps, DF_LOG_STEPS);
    for (size_t i = 0; i < DF_LOSS_TERMS; i++) {
        assert_string_equal(logged.mean[i].name, name[0][i]);
        assert_true(logged.mean[i].sum == DF_LOG_STEPS / 2 * (double)(i + 1));
    }
    df_step_log_clear(&logged);
}

/* ---- waiting ---- */

/* The device's own table, with a tally of the calls that wait. */
static struct {
    struct df_device_ops ops;
    const struct df_device_ops *own;
    size_t waits;
} tally;
/* Of the double of CUDA (tests/hostcuda), where this program is linked with it: how often the host has waited for what was queued. */
__attribute__((weak)) size_t hostcuda_waits(void);

static void counted_read(struct df_device *on, void *to_host, const void *from, size_t bytes)
{
    tally.waits++;
    tally.own->read(on, to_host, from, bytes);
}

static void counted_sync(struct df_device *on)
{
    tally.waits++;
    tally.own->sync(on);
}

static void count_waits(struct df_device *on)
{
    tally.own = on->ops;
    tally.ops = *on->ops;
    tally.ops.read = counted_read;
    tally.ops.sync = counted_sync;
    on->ops = &tally.ops;
}

static size_t waits(void) { return hostcuda_waits && strcmp(df_test_device(), "cuda") == 0 ? hostcuda_waits() : tally.waits; }

enum { BATCH = 2 }; /* 9 steps an epoch */

static struct df_trainer *trainer_of(struct df_cell *cell, double epochs, unsigned cache, const char *out)
{
    static struct df_run_options options;
    struct df_trainer *trainer;
    struct df_error err = { 0 };

    options = tiny_run(out);
    options.cache = cache;
    cell->schedule.batch = BATCH;
    cell->schedule.epochs = epochs;
    assert_ok(df_cell_seal(cell, &err));
    assert_ok(df_prepare(cell, &options, &err));
    assert_ok(df_trainer_new(cell, &options, &trainer, &err));
    trainer->log.every = DF_LOG_STEPS; /* as on a device that runs behind */
    return trainer;
}

/* Two passes a step; all but those of the first steps, in as many pieces as the host's waits make of them. */
static void assert_replayed(const struct df_device *on, size_t waits_each)
{
    const char *graphs = getenv("DEFEAT_GRAPHS");

    if (!on->ops->replay_begin || (graphs && strcmp(graphs, "0") == 0))
        return;
    assert_int_equal(on->replays.passes, 2 * (DF_LOG_STEPS + 3));
    assert_true(on->replays.replayed + 12 >= on->replays.passes);
    assert_int_equal(on->replays.pieces, 1 + waits_each);
}

/* How often a step waits, once the first has taken its memory: all of them as often, and the one that fills the log once more. */
static size_t waits_of_a_step(struct df_cell *cell, unsigned cache, const char *out)
{
    struct df_trainer *trainer = trainer_of(cell, 100, cache, out);
    struct df_error err = { 0 };
    size_t each = 0;

    assert_ok(df_trainer_step(trainer, &err));
    count_waits(trainer->student.model.device);
    for (size_t step = 1; step < DF_LOG_STEPS + 3; step++) {
        const bool fills = step == DF_LOG_STEPS - 1;
        const size_t before = waits();

        assert_ok(df_trainer_step(trainer, &err));
        if (step == 1)
            each = waits() - before;
        assert_int_equal(waits() - before, each + fills);
        assert_int_equal(trainer->log.mean_steps, step < DF_LOG_STEPS - 1 ? 0 : DF_LOG_STEPS);
    }

    const size_t before = waits();

    assert_ok(df_trainer_read_log(trainer, &err));
    assert_int_equal(waits(), before + 1);
    assert_int_equal(trainer->log.mean_steps, DF_LOG_STEPS + 3);
    assert_true(trainer->log.loss_sum > 0 && trainer->log.gradient_norm > 0);
    assert_ok(df_trainer_read_log(trainer, &err));
    assert_int_equal(waits(), before + 1); /* nothing to read, nothing to wait for */
    trainer->student.model.device->ops = tally.own;
    assert_replayed(trainer->student.model.device, each);
    df_trainer_free(trainer);
    df_cell_free(cell);
    return each;
}

static void a_one_stage_step_waits_for_nothing(void **state)
{
    (void)state;
    assert_int_equal(waits_of_a_step(tiny_cell(TINY_STUDENT, TINY_SCHEDULE, df_test_device(), 1), DF_CACHE_ON, tiny_out("plain")), 0);
}

static size_t waits_of_a_taught_step(unsigned cache, const char *out)
{
    struct df_cell *teacher = tiny_teacher(df_test_device()), *cell = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, df_test_device(), 1);

    tiny_add(cell, "defeat", "{\"head\":\"decoupled\",\"normalise_teacher\":true}", teacher);

    const size_t found = waits_of_a_step(cell, cache, out);

    df_cell_free(teacher);
    return found;
}

static void nor_with_a_teacher(void **state)
{
    (void)state;
    assert_int_equal(waits_of_a_taught_step(DF_CACHE_ON, tiny_out("taught")), 0);
    assert_int_equal(waits_of_a_taught_step(DF_CACHE_OFF, tiny_out("live")), 0);
}

/* A step after the first. */
static size_t waits_of_a_later_step(struct df_cell *cell)
{
    struct df_trainer *trainer = trainer_of(cell, 100, DF_CACHE_ON, tiny_out("asked"));
    struct df_error err = { 0 };

    assert_ok(df_trainer_step(trainer, &err));
    count_waits(trainer->student.model.device);

    const size_t before = waits();

    assert_ok(df_trainer_step(trainer, &err));

    const size_t found = waits() - before;

    trainer->student.model.device->ops = tally.own;
    df_trainer_free(trainer);
    df_cell_free(cell);
    return found;
}

/* Networks with heads that any distiller can imitate. */
static struct df_cell *cell_with_towers(const char *network)
{
    struct df_cell *cell = tiny_cell(network, TINY_SCHEDULE, df_test_device(), 1);

    cell->network.head_convs = 2;
    cell->network.head_width = 8;
    return cell;
}

static size_t waits_taught_by(const char *distiller, const char *options)
{
    struct df_cell *cell = cell_with_towers(TINY_STUDENT), *teacher = cell_with_towers(TINY_TEACHER);
    struct df_error err = { 0 };

    teacher->teacher_role = true;
    assert_ok(df_cell_seal(teacher, &err));
    tiny_add(cell, distiller, options, df_distiller_class_find(distiller, &err)->needs[0] ? teacher : NULL);

    const size_t found = waits_of_a_later_step(cell);

    df_cell_free(teacher);
    return found;
}

static size_t waits_taught_by_a_classifier(const char *options)
{
    struct df_cell *cell = cell_with_towers(TINY_STUDENT), *teacher = tiny_classifier(df_test_device(), "{\"size\":16}");

    tiny_add(cell, "kd_classifier", options, teacher);

    const size_t found = waits_of_a_later_step(cell);

    df_cell_free(teacher);
    return found;
}

/* With their standard options all but one: groups of anchors are marked on the device, masks are made of the ground truth. */
static void distillers_wait_for_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; df_distiller_classes[i]; i++) {
        const char *name = df_distiller_classes[i]->name;
        const size_t found = strcmp(name, "kd_classifier") == 0 ? 0 : waits_taught_by(name, "{}");

        if (found)
            fail_msg("a step with '%s' waits %zu times", name, found);
    }
}

/* Once for each part that the host looks at row by row, however often it is asked for. */
static void who_looks_at_rows_waits_for_them(void **state)
{
    (void)state;
    assert_int_equal(waits_taught_by("head_kl", "{\"mode\":\"correct\"}"), 2);          /* labels, and the teacher's logits */
    assert_int_equal(waits_taught_by("foreground", "{\"level_rule\":\"matched\"}"), 2); /* labels, and which objects are learnt */
    assert_int_equal(waits_taught_by_a_classifier("{}"), 3); /* the same, and what the classifier says of each object */
}

/* Its proposals are chosen and labelled on the device. */
static void nor_does_a_two_stage_step(void **state)
{
    struct df_cell *cell = tiny_faster(1);

    (void)state;
    snprintf(cell->device, sizeof cell->device, "%s", df_test_device());
    assert_int_equal(waits_of_a_step(cell, DF_CACHE_ON, tiny_out("two-stage")), 0);
}

static size_t waits_of_two_stages(const char *distiller, const char *options)
{
    struct df_cell *cell = tiny_faster(1), *teacher = tiny_faster(1000);
    struct df_error err = { 0 };

    snprintf(cell->device, sizeof cell->device, "%s", df_test_device());
    snprintf(teacher->device, sizeof teacher->device, "%s", df_test_device());
    teacher->teacher_role = true;
    assert_ok(df_cell_seal(teacher, &err));
    tiny_add(cell, distiller, options, teacher);

    const size_t found = waits_of_a_later_step(cell);

    df_cell_free(teacher);
    return found;
}

/* Nor do those who imitate its heads; but for DIST, which averages over the rows that take part. */
static void nor_do_distillers_of_two_stages(void **state)
{
    (void)state;
    assert_int_equal(waits_of_two_stages("defeat", "{\"head\":\"decoupled\"}"), 0);
    assert_int_equal(waits_of_two_stages("defeat", "{\"authors\":true}"), 0);
    assert_int_equal(waits_of_two_stages("head_kl", "{\"rois\":\"both\"}"), 0);
    assert_int_equal(waits_of_two_stages("mimic", "{}"), 0);
    assert_int_equal(waits_of_two_stages("dist", "{}"), 1);
}

/* ---- trainings that go wrong ---- */

static const struct df_parameter *last_weight(const struct df_trainer *trainer)
{
    const struct df_parameter *last = trainer->student.model.parameters->items[trainer->student.own_parameters - 1];

    assert_true(last->trainable);
    return last;
}

static void write_weight(const struct df_trainer *trainer, df_real value)
{
    df_write(trainer->student.model.device, last_weight(trainer)->value, &value, sizeof value);
    df_parameters_touch(trainer->student.model.parameters);
}

/* A step with a weight that is no number; then the weight is as before. */
static void bad_step(struct df_trainer *trainer)
{
    struct df_error err = { 0 };
    df_real kept;

    df_read(trainer->student.model.device, &kept, last_weight(trainer)->value, sizeof kept);
    write_weight(trainer, (df_real)NAN);
    assert_ok(df_trainer_step(trainer, &err));
    write_weight(trainer, kept);
}

/* Found when the log is full, by its own number; the steps before and after it were sound. */
static void a_bad_step_is_named(void **state)
{
    enum { BAD = 5 };
    struct df_cell *cell = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, df_test_device(), 1);
    struct df_trainer *trainer = trainer_of(cell, 100, DF_CACHE_ON, tiny_out("bad"));
    struct df_error err = { 0 };

    (void)state;
    for (size_t step = 0; step < DF_LOG_STEPS - 1; step++)
        if (step == BAD)
            bad_step(trainer);
        else
            assert_ok(df_trainer_step(trainer, &err));
    assert_fails(df_trainer_step(trainer, &err), DF_ERR_CHECK, "is nan at step 5 of 900 (terms: classification=");
    df_trainer_free(trainer);
    df_cell_free(cell);
}

/* Whoever asks for the training's state finds it first: a point of the curve (the first is due at step 3), and a user who stops the run. */
static void no_point_and_no_position_after_a_bad_step(void **state)
{
    (void)state;
    for (int stopped = 0; stopped < 2; stopped++) {
        struct df_cell *cell = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, df_test_device(), 1);
        struct df_trainer *trainer = trainer_of(cell, 1, DF_CACHE_ON, tiny_out("worse"));
        struct df_arena memory;
        struct df_error err = { 0 };
        char path[600];

        snprintf(path, sizeof path, "%s/worse.safetensors", df_test_folder());
        df_arena_init(&memory, NULL, 4096);
        assert_ok(df_trainer_step(trainer, &err));
        bad_step(trainer);
        df_run_stop = stopped;
        assert_fails(df_trainer_run(trainer, path, &memory, &err), DF_ERR_CHECK, "is nan at step 1 of 9 (terms: ");
        df_run_stop = 0;
        assert_int_equal(trainer->student.step, stopped ? 2 : 3);
        assert_int_equal(trainer->learning.points, 0);
        assert_false(df_file_exists(path));
        df_arena_release(&memory);
        df_trainer_free(trainer);
        df_cell_free(cell);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sums_are_those_of_reading_every_step, open_log, close_log),
        cmocka_unit_test_setup_teardown(what_is_not_finite_is_found_by_its_step, open_log, close_log),
        cmocka_unit_test_setup_teardown(a_full_row_and_a_full_table, open_log, close_log),
        cmocka_unit_test(a_one_stage_step_waits_for_nothing),
        cmocka_unit_test(nor_with_a_teacher),
        cmocka_unit_test(distillers_wait_for_nothing),
        cmocka_unit_test(who_looks_at_rows_waits_for_them),
        cmocka_unit_test(nor_does_a_two_stage_step),
        cmocka_unit_test(nor_do_distillers_of_two_stages),
        cmocka_unit_test(a_bad_step_is_named),
        cmocka_unit_test(no_point_and_no_position_after_a_bad_step),
    };

    return cmocka_run_group_tests_name("step log", tests, NULL, NULL);
}
