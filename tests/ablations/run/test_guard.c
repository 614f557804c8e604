/* A distiller that teaches nothing stops its cell, and says why; one that teaches, is off, or waits is let alone; no bit moves. */
#include "ablations/run/guard.h"

#include "tests/ablations/run/tiny.h"

#define LONG_SCHEDULE "{\"optimiser\":\"adamw\",\"lr\":0.002,\"batch\":5,\"epochs\":20,\"warmup_steps\":2,\"clip\":10,\"decay\":\"none\"}"
static struct df_error err;

/* ---- distillers that are wrong in one way each ---- */

struct wrong_options {
    double w;
};
static const df_option wrong_table[] = { { "w", DF_REAL_OPTION(struct wrong_options, w), 1, 0, 1e4, "weight" }, { 0 } };

static df_tensor *weigh(const struct df_distill_context *context, df_tensor *value, double weight)
{
    df_loss_terms_add(context->terms, "wrong", value, weight);
    return df_scale(context->tape, value, weight);
}

static df_tensor *number(const struct df_distill_context *context, double value)
{
    const df_real one = (df_real)value;

    return df_tensor_from(context->tape, (df_shape){ 1, 1, 1, 1 }, &one);
}

static df_tensor *square(df_tape *tape, df_tensor *x) { return df_mean(tape, df_mul(tape, x, x), 15); }

static double weight_of(const struct df_distill_context *context) { return ((const struct wrong_options *)context->options)->w; }

static df_tensor *loss_honest(const struct df_distill_context *context, const struct df_detection_state *student,
                              const struct df_detection_state *teacher)
{
    (void)teacher;
    return weigh(context, square(context->tape, df_part(student, "neck", 0)->tensor), weight_of(context));
}

static df_tensor *loss_zero(const struct df_distill_context *context, const struct df_detection_state *student,
                            const struct df_detection_state *teacher)
{
    (void)student;
    (void)teacher;
    return weigh(context, number(context, 0), weight_of(context));
}

static df_tensor *loss_constant(const struct df_distill_context *context, const struct df_detection_state *student,
                                const struct df_detection_state *teacher)
{
    (void)student;
    (void)teacher; /* its weight changes: the loss does not */
    return weigh(context, number(context, 0.5), weight_of(context) * (1 - context->progress));
}

static df_tensor *loss_cut(const struct df_distill_context *context, const struct df_detection_state *student,
                           const struct df_detection_state *teacher)
{
    (void)teacher;
    return weigh(context, square(context->tape, df_detach(context->tape, df_part(student, "neck", 0)->tensor)), weight_of(context));
}

static df_tensor *loss_undefined(const struct df_distill_context *context, const struct df_detection_state *student,
                                 const struct df_detection_state *teacher)
{
    df_tensor *loss = loss_zero(context, student, teacher);

    return context->step == 7 ? weigh(context, number(context, NAN), 1) : loss;
}

/* 0 at first; honest from step 40 on. */
static df_tensor *loss_late(const struct df_distill_context *context, const struct df_detection_state *student,
                            const struct df_detection_state *teacher)
{
    return context->step < 40 ? loss_zero(context, student, teacher) : loss_honest(context, student, teacher);
}

/* A weight of 0 for longer than is looked at, then honest. */
static df_tensor *loss_off_at_first(const struct df_distill_context *context, const struct df_detection_state *student,
                                    const struct df_detection_state *teacher)
{
    return context->step < 55 ? weigh(context, number(context, 0), 0) : loss_honest(context, student, teacher);
}

/* Trains an adaptation layer of its own over features that it has cut off: a gradient, but none of the student's. */
static df_status init_own(struct df_distiller_setup *setup, struct df_error *error)
{
    (void)error;
    *(struct df_parameter **)setup->state =
        df_distiller_parameter(setup, "own", DF_VECTOR, (df_shape){ 1, 1, 1, 3 }, (struct df_initialiser){ DF_INIT_ONE, 0 });
    return DF_OK;
}

static df_tensor *loss_alone(const struct df_distill_context *context, const struct df_detection_state *student,
                             const struct df_detection_state *teacher)
{
    df_tensor *own = df_parameter_tensor(context->tape, *(struct df_parameter *const *)context->state);

    (void)student;
    (void)teacher;
    return weigh(context, square(context->tape, own), weight_of(context));
}

#define WRONG(name_, more_)                                                                                                                \
    static const struct df_distiller_class name_ = { .abi = DF_DISTILLER_ABI,                                                              \
                                                     .name = #name_,                                                                       \
                                                     .summary = "",                                                                        \
                                                     .cite = "",                                                                           \
                                                     .needs = "",                                                                          \
                                                     .options = wrong_table,                                                               \
                                                     .options_size = sizeof(struct wrong_options),                                         \
                                                     .state_size = sizeof(void *),                                                         \
                                                     .loss = loss_##name_,                                                                 \
                                                     more_ }
WRONG(honest, .init = NULL);
WRONG(zero, .init = NULL);
WRONG(constant, .init = NULL);
WRONG(cut, .init = NULL);
WRONG(undefined, .init = NULL);
WRONG(late, .init = NULL);
WRONG(off_at_first, .init = NULL);
WRONG(alone, .init = init_own);

/* ---- cells with them ---- */

static struct df_cell *cell_with(const struct df_distiller_class *class, double w)
{
    struct df_cell *cell = tiny_cell(TINY_STUDENT, LONG_SCHEDULE, "cpu", 1);
    struct wrong_options *options = df_calloc(1, sizeof *options);

    options->w = w;
    cell->distiller[cell->distillers++] = (struct df_cell_distiller){ class, options };
    assert_ok(df_cell_seal(cell, &err));
    return cell;
}

static df_status run(const struct df_cell *cell, const char *out, bool guards)
{
    struct df_run_options options = tiny_run(tiny_out(out));
    struct df_run_result *result;

    options.guards = guards;
    err = (struct df_error){ 0 };
    const df_status status = df_run_cell(cell, &options, &result, &err);

    if (status == DF_OK)
        df_run_result_free(result);
    return status;
}

static void check_stops(const struct df_distiller_class *class, const char *why, const char *terms)
{
    struct df_cell *cell = cell_with(class, 1);

    if (run(cell, class->name, true) != DF_ERR_CHECK || !strstr(err.text, why) || !strstr(err.text, terms))
        fail_msg("%s: '%s', expected '%s' and '%s'", class->name, err.text, why, terms);
    df_cell_free(cell);
}

static void check_runs(const struct df_distiller_class *class, double w, bool guards)
{
    struct df_cell *cell = cell_with(class, w);

    if (run(cell, class->name, guards) != DF_OK)
        fail_msg("%s of weight %g: '%s'", class->name, w, err.text);
    df_cell_free(cell);
}

static void what_teaches_nothing_stops(void **state)
{
    (void)state;
    check_stops(&zero, "distiller 'zero' teaches nothing: in 50 steps that had objects and a weight above 0 its loss stays 0",
                "(terms at step 49: wrong=0");
    check_stops(&constant, "its loss stays the same", "wrong=0.5");
    check_stops(&cut, "its gradient never reaches a weight of the student", "(terms at step 49: wrong=");
    check_stops(&alone, "its gradient never reaches a weight of the student", "(terms at step 49: wrong=");
    check_stops(&undefined, "distiller 'undefined': its loss is not finite at step 7 of 60", "(terms: wrong=0 wrong=nan)");
}

static void what_teaches_runs(void **state)
{
    (void)state;
    check_runs(&honest, 0.01, true);
    check_runs(&late, 0.01, true);
    check_runs(&off_at_first, 0.01, true);
    check_runs(&zero, 0, true); /* a weight of 0 asks for nothing */
    check_runs(&constant, 1, false);
}

/* What a guard says of the 60th step of a constant loss over batches of so many objects. */
static df_status look_at_constant(size_t objects)
{
    const struct df_ground_truth truth[2] = { { 0 }, { .count = objects } };
    const struct df_batch images = { .n = 2, .truth = truth };
    const struct df_detection_state own = { .images = &images };
    struct df_cell *cell = cell_with(&zero, 1);
    struct df_student student = { .cell = cell, .distillers = 1, .steps = 60 };
    struct df_step_view view = { .own = &own };
    struct df_guard guard = { 0 };
    const df_real value = 0;
    df_status status = DF_OK;

    student.model.device = df_test_open("cpu", 1);
    student.model.parameters = df_parameters_new();
    df_parameters_build(student.model.parameters, student.model.device, 0, true);
    student.tape = df_tape_new(student.model.device, true);
    view.taught[0].loss = df_tensor_from(student.tape, (df_shape){ 1, 1, 1, 1 }, &value);
    view.taught[0].terms = 1;
    df_loss_terms_add(&student.terms, "wrong", view.taught[0].loss, 1);
    for (size_t step = 0; step < student.steps && status == DF_OK; step++)
        status = df_guard_look(&guard, &student, &view, &err);
    df_tape_free(student.tape);
    df_parameters_free(student.model.parameters);
    df_device_close(student.model.device);
    df_cell_free(cell);
    return status;
}

/* Batches without an object say nothing: a mask may be empty for want of one. */
static void images_without_objects_do_not_count(void **state)
{
    (void)state;
    assert_ok(look_at_constant(0));
    assert_fails(look_at_constant(1), DF_ERR_CHECK, "its loss stays 0");
}

/* Guarded or not, alone or behind another: the same student. */
static void no_bit_moves(void **state)
{
    struct df_cell *cell = cell_with(&late, 0.01);
    const struct df_distiller_class *const second = &honest;
    struct wrong_options *options = df_calloc(1, sizeof *options);

    (void)state;
    options->w = 0.5;
    cell->distiller[cell->distillers++] = (struct df_cell_distiller){ second, options };
    assert_ok(df_cell_seal(cell, &err));
    assert_ok(run(cell, "free", false));
    assert_ok(run(cell, "guarded", true));
    assert_true(tiny_hash(tiny_out("free"), cell) == tiny_hash(tiny_out("guarded"), cell));
    df_cell_free(cell);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(what_teaches_nothing_stops), cmocka_unit_test(what_teaches_runs),
                                        cmocka_unit_test(images_without_objects_do_not_count), cmocka_unit_test(no_bit_moves) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
