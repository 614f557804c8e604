/* Telemetry: no bit moves, and the row is the same but for it; what it says is so, by other means; it says nothing that it cannot know. */
#include "ablations/run/telemetry.h"

#include "ablations/run/trainer.h"
#include "tests/ablations/run/tiny.h"

static struct df_error err;

static struct df_run_result *run(struct df_cell *cell, const char *out, size_t every)
{
    struct df_run_options options = tiny_run(tiny_out(out));
    struct df_run_result *result;

    options.telemetry = every;
    assert_ok(df_cell_seal(cell, &err));
    assert_ok(df_prepare_and_run(cell, &options, &result, &err));
    return result;
}

static struct df_cell *taught_cell(struct df_cell *teacher)
{
    struct df_cell *cell = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 1);

    tiny_add(cell, "defeat", "{\"w_fg\":2,\"w_bg\":4,\"normalise_teacher\":true,\"head\":\"decoupled\"}", teacher);
    return cell;
}

static void check_moves_nothing(struct df_cell *cell, const char *name)
{
    char with[64];
    struct df_text text[2] = { DF_TEXT_INIT, DF_TEXT_INIT };

    snprintf(with, sizeof with, "%s-with", name);
    struct df_run_result *a = run(cell, name, 0), *b = run(cell, with, 2);

    assert_true(tiny_hash(tiny_out(name), cell) == tiny_hash(tiny_out(with), cell));
    tiny_assert_same_scores(&a->row, &b->row);
    df_run_row_deterministic(&a->row, &text[0]);
    df_run_row_deterministic(&b->row, &text[1]);
    assert_string_equal(text[0].data, text[1].data); /* one row, however it was looked at */
    assert_null(tiny_point(a, "telemetry.", 0));
    assert_non_null(tiny_point(b, "telemetry.", 0));
    df_text_release(&text[0]);
    df_text_release(&text[1]);
    df_run_result_free(a);
    df_run_result_free(b);
}

static void no_bit_moves(void **state)
{
    struct df_cell *teacher = tiny_teacher("cpu"), *taught = taught_cell(teacher),
                   *plain = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 1), *faster = tiny_faster(1);

    (void)state;
    check_moves_nothing(taught, "taught");
    check_moves_nothing(plain, "plain");
    check_moves_nothing(faster, "faster");
    df_cell_free(taught);
    df_cell_free(plain);
    df_cell_free(faster);
    df_cell_free(teacher);
}

static double value_of(const struct df_run_result *result, const char *metric, size_t k)
{
    const struct df_curve_point *point = tiny_point(result, metric, k);

    if (!point)
        fail_msg("no %zu-th %s", k, metric);
    assert_string_equal(point->split, "train");
    return point->value;
}

static void what_is_said(void **state)
{
    struct df_cell *teacher = tiny_teacher("cpu"), *taught = taught_cell(teacher),
                   *plain = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 1);
    struct df_run_result *a = run(taught, "said", 4), *b = run(plain, "said-plain", 9);

    (void)state;
    for (size_t k = 0; k < 3; k++) { /* steps 0, 4, 8 of 9 */
        const double share = value_of(a, "telemetry.share.object", k) + value_of(a, "telemetry.share.background", k) +
                             value_of(a, "telemetry.share.padding", k);

        assert_int_equal(tiny_point(a, "telemetry.cosine", k)->step, 4 * (int64_t)k);
        assert_close(tiny_point(a, "telemetry.cosine", k)->epoch, 4.0 * (double)k / 3, 1e-12, 0);
        assert_close(share, 1, 1e-12, 0);
        assert_true(fabs(value_of(a, "telemetry.cosine", k)) <= 1);
        assert_true(value_of(a, "telemetry.norm.classification", k) > 0);
        assert_true(value_of(a, "telemetry.norm.defeat.bg", k) > 0);
        assert_true(value_of(a, "telemetry.norm.defeat.neg", k) > 0);
        assert_true(value_of(a, "telemetry.error.object", k) > 0 && value_of(a, "telemetry.error.background", k) > 0);
    }
    assert_null(tiny_point(a, "telemetry.cosine", 3));
    assert_close(value_of(a, "telemetry.share.padding", 0), 1 - 48.0 * 48 / (64 * 64), 0, 0.2); /* cells that are partly inside are in */
    assert_non_null(tiny_point(b, "telemetry.share.object", 0));                                /* nobody to be compared with */
    assert_null(tiny_point(b, "telemetry.error", 0));
    assert_null(tiny_point(b, "telemetry.cosine", 0));
    assert_null(tiny_point(b, "telemetry.loss.defeat", 0));
    df_run_result_free(a);
    df_run_result_free(b);
    df_cell_free(taught);
    df_cell_free(plain);
    df_cell_free(teacher);
}

/* ---- the numbers, by hand ---- */

/* A step whose neck is one map [1,2,2,2] of a canvas of 128 x 128 px, of which 128 x 64 are the image, with one object in the upper left cell. The
 * detector's term is sum(s), the distiller's w (sum of the first channel) - two vectors whose angle and lengths are known. */
static void numbers(void **state)
{
    static const df_real s[] = { 3, 4, 0, 5, 1, 1, 2, 2 }, t[] = { 0, 10, 6, 8, 1, 1, 2, 2 }, first[] = { 1, 0 };
    const df_shape map = { 1, 2, 2, 2 };
    const struct df_box box = { 0, 0, 60, 60 };
    const int32_t label = 0;
    const struct df_ground_truth truth = { 1, &box, &label };
    const size_t valid_h = 128, valid_w = 64;
    const struct df_batch images = { .n = 1, .height = 128, .width = 128, .truth = &truth, .valid_h = &valid_h, .valid_w = &valid_w };
    struct df_cell *cell = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 1);
    struct df_student student = { .cell = cell, .step = 10, .steps = 20, .steps_per_epoch = 5 };
    struct df_detection_state own = { .batch = 1, .images = &images, .canvas_h = 128, .canvas_w = 128 }, teacher[] = { own, own };
    struct df_step_view view = { .own = &own, .teacher = teacher, .own_terms = 1 };
    struct df_telemetry telemetry = { .every = 5 };
    struct df_run_result result = { .memory = df_calloc(1, sizeof *result.memory) };
    struct df_learning learning = { .memory = result.memory };

    (void)state;
    cell->teachers = 2; /* only the second shows its neck */
    df_arena_init(result.memory, NULL, 4096);
    student.model.device = df_test_open("cpu", 1);
    student.model.parameters = df_parameters_new();
    df_parameters_build(student.model.parameters, student.model.device, 0, true);
    student.tape = df_tape_new(student.model.device, true);
    df_tensor *neck = df_scale(student.tape, df_leaf(student.tape, map, s), 1);
    df_tensor *theirs = df_tensor_from(student.tape, map, t);

    df_parts_set(&own.parts, "neck", 0, 64, neck);
    df_parts_set(&teacher[1].parts, "neck", 0, 64, theirs);
    own.levels = teacher[1].levels = 1;
    df_loss_terms_add(&student.terms, "detector", df_sum(student.tape, neck, 15), 1);
    df_loss_terms_add(&student.terms, "taught",
                      df_sum(student.tape, df_mul(student.tape, neck, df_tensor_from(student.tape, (df_shape){ 1, 1, 1, 2 }, first)), 15),
                      3);
    df_telemetry_look(&telemetry, &student, &view, &learning);
    result.row.curve = learning.curve;
    assert_close(value_of(&result, "telemetry.loss.detector", 0), 18, 1e-6, 0);
    assert_close(value_of(&result, "telemetry.loss.taught", 0), 6, 1e-6, 0); /* unweighted */
    assert_close(value_of(&result, "telemetry.norm.detector", 0), sqrt(8), 1e-6, 0);
    assert_close(value_of(&result, "telemetry.norm.taught", 0), 3 * 2, 1e-6, 0); /* weighted: 3 in four cells */
    assert_close(value_of(&result, "telemetry.cosine", 0), 12 / (sqrt(8) * 6), 1e-6, 0);
    assert_close(value_of(&result, "telemetry.share.object", 0), 0.25, 0, 0);
    assert_close(value_of(&result, "telemetry.share.background", 0), 0.25, 0, 0);
    assert_close(value_of(&result, "telemetry.share.padding", 0), 0.5, 0, 0);
    /* |s|: 5 5 sqrt2 sqrt8, r^2 = 60 / 4; |t|: 10 10 sqrt2 sqrt8, r^2 = 210 / 4. Cells: object 0, padding 1 and 3, background 2 */
    const double object = pow(5 / sqrt(15) - 10 / sqrt(52.5), 2), low = pow(sqrt(2 / 15.0) - sqrt(2 / 52.5), 2),
                 other = pow(sqrt(8 / 15.0) - sqrt(8 / 52.5), 2);

    assert_close(value_of(&result, "telemetry.error.object", 0), object, 1e-6, 0);
    assert_close(value_of(&result, "telemetry.error.background", 0), low, 1e-6, 0);
    assert_close(value_of(&result, "telemetry.error.padding", 0), (object + other) / 2, 1e-6, 0);
    assert_close(tiny_point(&result, "telemetry.cosine", 0)->epoch, 2, 0, 0);
    student.step = 11;
    df_telemetry_look(&telemetry, &student, &view, &learning);
    assert_int_equal(learning.curve.count, result.row.curve.count);
    df_telemetry_release(&telemetry);
    df_tape_free(student.tape);
    df_parameters_free(student.model.parameters);
    df_device_close(student.model.device);
    df_arena_release(result.memory);
    free(result.memory);
    df_cell_free(cell);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(no_bit_moves), cmocka_unit_test(what_is_said), cmocka_unit_test(numbers) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
