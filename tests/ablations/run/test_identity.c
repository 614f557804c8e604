/* Weights of 0 are the plain student; what leaks past its weight is found, by the parameter it moves; what cannot be turned off is told. */
#include "ablations/run/identity.h"

#include "tests/ablations/run/tiny.h"

static struct df_error err;
static size_t steps;

static df_tensor *square(df_tape *tape, df_tensor *x) { return df_mean(tape, df_mul(tape, x, x), 15); }

/* A little of it has no weight: too little for any loss curve to show. */
static df_tensor *loss_leak(const struct df_distill_context *context, const struct df_detection_state *student,
                            const struct df_detection_state *teacher)
{
    df_tensor *loss = square(context->tape, df_part(student, "neck", 1)->tensor);

    (void)teacher;
    df_loss_terms_add(context->terms, "leak", loss, *(const double *)context->options);
    return df_scale(context->tape, loss, *(const double *)context->options + 1e-4);
}

struct options {
    double w;
};
static const df_option with_weight[] = { { "w", DF_REAL_OPTION(struct options, w), 1, 0, 1e4, "weight" }, { 0 } };
static const df_option without[] = { { "strength", DF_REAL_OPTION(struct options, w), 1, 0, 1e4, "no weight by its name" }, { 0 } };
static const struct df_distiller_class leak = { .abi = DF_DISTILLER_ABI,
                                                .name = "leak",
                                                .summary = "",
                                                .cite = "",
                                                .needs = "",
                                                .options = with_weight,
                                                .options_size = sizeof(struct options),
                                                .loss = loss_leak };
static const struct df_distiller_class nameless = { .abi = DF_DISTILLER_ABI,
                                                    .name = "nameless",
                                                    .summary = "",
                                                    .cite = "",
                                                    .needs = "",
                                                    .options = without,
                                                    .options_size = sizeof(struct options),
                                                    .loss = loss_leak };

static struct df_cell *cell_with(const struct df_distiller_class *class)
{
    struct df_cell *cell = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 1);
    struct options *options = df_calloc(1, sizeof *options);

    options->w = 1;
    cell->distiller[cell->distillers++] = (struct df_cell_distiller){ class, options };
    assert_ok(df_cell_seal(cell, &err));
    return cell;
}

static void built_in_ones_are_turned_off(void **state)
{
    struct df_cell *teacher = tiny_teacher("cpu"), *cell = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 1);
    const struct df_run_options options = tiny_run(tiny_out("off"));

    (void)state;
    tiny_add(cell, "defeat", "{\"w_fg\":2,\"w_bg\":4,\"normalise_teacher\":true}", teacher);
    tiny_add(cell, "head_kl", "{\"w_pos\":3}", teacher);
    assert_ok(df_cell_seal(cell, &err));
    assert_ok(df_prepare(cell, &options, &err));
    assert_ok(df_identity_check(cell, &options, &steps, &err));
    assert_int_equal(steps, 9);                                     /* all that there are */
    assert_string_equal(cell->distiller[1].class->name, "head_kl"); /* the cell is as it was */
    cJSON *kept = df_options_write(cell->distiller[1].class->options, cell->distiller[1].options);

    assert_close(cJSON_GetObjectItem(kept, "w_pos")->valuedouble, 3, 0, 0);
    cJSON_Delete(kept);
    df_cell_free(cell);
    df_cell_free(teacher);
}

static void leaks_are_found(void **state)
{
    struct df_cell *cell = cell_with(&leak), *other = cell_with(&nameless);
    const struct df_run_options options = tiny_run(tiny_out("leak"));

    (void)state;
    assert_fails(df_identity_check(cell, &options, &steps, &err), DF_ERR_CHECK,
                 "is not the plain student: after 9 steps of the same batches 'backbone.");
    assert_fails(df_identity_check(other, &options, &steps, &err), DF_ERR_CHECK, "'nameless' of 'none' has no option w or w_*");
    df_cell_free(cell);
    df_cell_free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(built_in_ones_are_turned_off), cmocka_unit_test(leaks_are_found) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
