/* Several teachers of one student: each is asked once, each distiller sees its own, each has its own file, cache and hash. Classifiers, which
 * teach beside detectors. */
#include "ablations/run/cache.h"
#include "ablations/run/teacher.h"
#include "ablations/run/trainer.h"
#include "core/base/file.h"
#include "core/nn/checkpoint.h"
#include "results/environment.h"
#include "tests/ablations/run/tiny.h"

static struct df_cell *big, *wide; /* as wide as tiny's teacher; as tiny's student */

static struct df_cell *student_cell(void) { return tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 1); }

static struct df_cell *teacher_cell(const char *network, int64_t seed)
{
    struct df_cell *cell = tiny_cell(network, TINY_SCHEDULE, "cpu", seed);
    struct df_error err = { 0 };

    cell->teacher_role = true;
    snprintf(cell->label, sizeof cell->label, "teacher");
    assert_ok(df_cell_seal(cell, &err));
    return cell;
}

/* The means of a term over the first step; all of them without a name. */
struct step {
    size_t terms;
    double loss;
    struct {
        char name[40];
        double value;
    } term[DF_LOSS_TERMS];
};

static void first_step(struct df_cell *cell, struct step *out)
{
    struct df_run_options options = tiny_run(tiny_out("sum"));
    struct df_trainer *trainer;
    struct df_error err = { 0 };

    assert_ok(df_cell_seal(cell, &err));
    assert_ok(df_prepare(cell, &options, &err));
    assert_ok(df_trainer_new(cell, &options, &trainer, &err));
    assert_ok(df_trainer_step(trainer, &err));
    assert_ok(df_trainer_read_log(trainer, &err));
    *out = (struct step){ .terms = trainer->log.means, .loss = trainer->log.loss_sum };
    for (size_t i = 0; i < out->terms; i++) {
        snprintf(out->term[i].name, sizeof out->term[i].name, "%s", trainer->log.mean[i].name);
        out->term[i].value = trainer->log.mean[i].sum;
    }
    df_trainer_free(trainer);
}

static double term(const struct step *step, const char *name)
{
    for (size_t i = 0; i < step->terms; i++)
        if (strcmp(step->term[i].name, name) == 0)
            return step->term[i].value;
    fail_msg("no term '%s'", name);
    return NAN;
}

/* The terms of two distillers are those that each has alone with its teacher, to the last bit, whichever of them comes first. */
static void two_teachers_are_the_sum(void **state)
{
    static const char *const features = "full_feature.neck", *const head = "head_kl.pos";
    struct df_cell *both = student_cell(), *turned = student_cell(), *one = student_cell(), *other = student_cell(),
                   *plain = student_cell(), *crossed = student_cell();
    struct step of_both, of_turned, of_one, of_other, of_plain, of_crossed;

    (void)state;
    tiny_add_by(both, "full_feature", "{}", "wide", wide);
    tiny_add_by(both, "head_kl", "{}", "big", big);
    tiny_add_by(turned, "head_kl", "{}", "big", big);
    tiny_add_by(turned, "full_feature", "{}", "wide", wide);
    tiny_add_by(crossed, "full_feature", "{}", "wide", wide);
    tiny_add_by(crossed, "head_kl", "{}", "wide", wide);
    tiny_add(one, "full_feature", "{}", wide);
    tiny_add(other, "head_kl", "{}", big);
    first_step(both, &of_both);
    first_step(turned, &of_turned);
    first_step(one, &of_one);
    first_step(other, &of_other);
    first_step(plain, &of_plain);
    first_step(crossed, &of_crossed);
    assert_true(term(&of_both, features) == term(&of_one, features));
    assert_true(term(&of_both, head) == term(&of_other, head));
    assert_true(term(&of_turned, head) == term(&of_both, head));
    assert_true(term(&of_crossed, features) == term(&of_one, features));
    assert_true(term(&of_crossed, head) != term(&of_both, head)); /* another teacher says something else */
    for (size_t i = 0; i < of_plain.terms; i++)
        assert_true(term(&of_both, of_plain.term[i].name) == of_plain.term[i].value);
    assert_int_equal(of_both.terms, of_one.terms + of_other.terms - of_plain.terms);
    assert_close(of_both.loss - of_plain.loss, of_one.loss - of_plain.loss + (of_other.loss - of_plain.loss), 0, 1e-5); /* floats */
    df_cell_free(both);
    df_cell_free(turned);
    df_cell_free(one);
    df_cell_free(other);
    df_cell_free(plain);
    df_cell_free(crossed);
}

/* A two-stage detector teaches the neck, a one-stage detector of more channels the head: live as from their caches, which are two files. */
static void a_two_stage_teacher_beside_a_one_stage_one(void **state)
{
    struct df_cell *two = tiny_faster(1000), *cell = student_cell();
    struct df_run_options options = tiny_run(tiny_out("stages"));
    struct df_run_result *cached, *live;
    struct df_error err = { 0 };
    char *path[2];

    (void)state;
    two->teacher_role = true;
    assert_ok(df_cell_seal(two, &err));
    tiny_add_by(cell, "cwd", "{}", "two", two);
    tiny_add_by(cell, "pkd", "{}", "two", two);
    tiny_add_by(cell, "head_kl", "{}", "one", big);
    assert_int_equal(cell->teachers, 2);
    assert_ok(df_cell_seal(cell, &err));
    options.cache = DF_CACHE_ON;
    assert_ok(df_prepare_and_run(cell, &options, &cached, &err));
    for (int t = 0; t < 2; t++)
        assert_ok(df_prepare_cache(cell, &cell->teacher[t], &options, &path[t], &err));
    assert_string_not_equal(path[0], path[1]);
    options.cache = DF_CACHE_OFF;
    assert_ok(df_prepare_and_run(cell, &options, &live, &err));
    tiny_assert_same(cached, live);
    assert_non_null(tiny_point(cached, "term.cwd", 0));
    assert_non_null(tiny_point(cached, "term.pkd", 0));
    assert_non_null(tiny_point(cached, "term.head_kl", 0));
    for (int t = 0; t < 2; t++)
        free(path[t]);
    df_run_result_free(cached);
    df_run_result_free(live);
    df_cell_free(cell);
    df_cell_free(two);
}

/* A teacher that sees images twice as large beside one that sees the student's: what does not fit names the one that it is. */
static void a_larger_canvas_beside_the_students(void **state)
{
    struct df_cell *large = teacher_cell(TINY_TEACHER, 1000), *cell = student_cell(), *head = student_cell();
    struct df_run_options options = tiny_run(tiny_out("large"));
    struct df_run_result *cached, *live;
    struct df_error err = { 0 };
    char folder[600];

    (void)state;
    large->canvas.min_side = 96;
    large->canvas.divisor = 64;
    large->network.fpn_stages = (struct df_list){ 3, { 3, 4, 5 } };
    large->network.blocks = (struct df_list){ 4, { 1, 1, 1, 1 } };
    large->network.widths = (struct df_list){ 4, { 8, 16, 16, 16 } };
    assert_ok(df_cell_seal(large, &err));
    tiny_add_by(cell, "full_feature", "{}", "large", large);
    tiny_add_by(cell, "head_kl", "{}", "big", big);
    assert_ok(df_cell_seal(cell, &err));
    options.cache = DF_CACHE_ON;
    assert_ok(df_prepare_and_run(cell, &options, &cached, &err));
    options.cache = DF_CACHE_OFF;
    assert_ok(df_prepare_and_run(cell, &options, &live, &err));
    tiny_assert_same(cached, live);
    df_run_result_free(cached);
    df_run_result_free(live);

    large->canvas.min_side = 160;
    assert_ok(df_cell_seal(large, &err));
    tiny_add_by(head, "head_kl", "{}", "big", big);
    tiny_add_by(head, "full_feature", "{}", "large", large);
    assert_ok(df_cell_seal(head, &err));
    options.out = tiny_out("unfit");
    assert_fails(df_prepare_and_run(head, &options, &live, &err), DF_ERR_UNSUPPORTED,
                 "teacher 'large': 'neck/0': the teacher has 24 x 24 cells of stride 8");
    snprintf(folder, sizeof folder, "%s/teachers", options.out);
    assert_false(df_file_exists(folder)); /* the other one was not trained for nothing */
    df_cell_free(head);
    df_cell_free(cell);
    df_cell_free(large);
}

/* The cell names each of them, the environment has the hash of each one's weights. */
static void a_row_knows_its_teachers(void **state)
{
    struct df_cell *cell = student_cell(), *one = student_cell();
    struct df_run_options options = tiny_run(tiny_out("row"));
    struct df_run_result *both, *alone;
    struct df_error err = { 0 };
    struct df_text expected = DF_TEXT_INIT;
    struct df_teacher_facts facts[2];

    (void)state;
    tiny_add_by(cell, "full_feature", "{}", "wide", wide);
    tiny_add_by(cell, "head_kl", "{}", "big", big);
    tiny_add_by(one, "head_kl", "{}", "big", big);
    cell->init_student = true;
    assert_ok(df_cell_seal(cell, &err));
    assert_ok(df_cell_seal(one, &err));
    df_text_addf(&expected, "\"teachers\":{\"wide\":{\"teacher\":\"%s\"},\"big\":{\"teacher\":\"%s\"}},\"init_student\":\"wide\",",
                 wide->id, big->id);
    assert_non_null(strstr(df_text_get(&cell->json), df_text_get(&expected)));
    assert_non_null(strstr(df_text_get(&cell->json), "{\"name\":\"full_feature\",\"teacher\":\"wide\","));
    assert_null(strstr(df_text_get(&one->json), "\"teachers\""));
    assert_null(strstr(df_text_get(&one->json), "\"teacher\":\"big\""));
    assert_ok(df_prepare_and_run(cell, &options, &both, &err));
    assert_ok(df_prepare_and_run(one, &options, &alone, &err));
    for (size_t t = 0; t < 2; t++) {
        char *path = df_teacher_path(cell->teacher[t].cell, &options);

        assert_ok(df_teacher_facts_read(path, &facts[t], &err));
        free(path);
    }

    char *taught = df_row_teacher(&both->row), hashes[64];

    snprintf(hashes, sizeof hashes, "%s %s", facts[0].parameters_hash, facts[1].parameters_hash);
    assert_string_equal(taught, hashes);
    assert_true(df_rows_share_teacher(&both->row, &alone->row)); /* one of these two taught it too */
    free(taught);
    df_text_release(&expected);
    df_run_result_free(both);
    df_run_result_free(alone);
    df_cell_free(cell);
    df_cell_free(one);
}

/* A classifier beside a detector: what it says of the objects comes live as from the cache, of images with more objects and with fewer. */
static void a_classifier_beside_a_detector(void **state)
{
    struct df_cell *crops = tiny_classifier("cpu", "{\"size\":16}"), *cell = student_cell(), *two = tiny_faster(1);
    struct df_run_options options = tiny_run(tiny_out("crops"));
    struct df_run_result *cached, *live;
    struct df_error err = { 0 };

    (void)state;
    tiny_add_by(cell, "kd_classifier", "{\"w\":2}", "crops", crops);
    tiny_add_by(cell, "full_feature", "{}", "big", big);
    tiny_add(two, "kd_classifier", "{}", crops);
    for (int k = 0; k < 2; k++) {
        struct df_cell *one = k ? two : cell;

        assert_ok(df_cell_seal(one, &err));
        options.cache = DF_CACHE_ON;
        assert_ok(df_prepare_and_run(one, &options, &cached, &err));
        options.cache = DF_CACHE_OFF;
        assert_ok(df_prepare_and_run(one, &options, &live, &err));
        tiny_assert_same(cached, live);
        assert_true(tiny_point(cached, "term.kd_classifier.class", 0)->value > 0);
        df_run_result_free(cached);
        df_run_result_free(live);
    }
    df_cell_free(cell);
    df_cell_free(two);
    df_cell_free(crops);
}

/* Row n of the state is what the classifier says of image n's objects alone. */
static void each_object_has_its_row(void **state)
{
    struct df_cell *crops = tiny_classifier("cpu", "{\"size\":16,\"context\":0.1}"), *cell = student_cell();
    struct df_run_options options = tiny_run(tiny_out("rows"));
    struct df_detection_state seen, taught, alone;
    const struct df_batch *batch, *one;
    struct df_trainer *trainer;
    struct df_loader *loader;
    struct df_model model;
    struct df_error err = { 0 };
    size_t most = 0, fewest = SIZE_MAX;

    (void)state;
    tiny_add(cell, "kd_classifier", "{}", crops);
    assert_ok(df_cell_seal(cell, &err));
    options.cache = DF_CACHE_ON;
    assert_ok(df_prepare(cell, &options, &err));
    assert_ok(df_trainer_new(cell, &options, &trainer, &err));
    assert_ok(df_loader_get(trainer->loader, 0, &batch, &err));
    df_detector_forward(trainer->student.model.detector, trainer->student.tape, batch, 0, &seen);
    assert_ok(df_teacher_state(trainer->teacher[0], trainer->student.tape, &seen, &taught, &err));

    const struct df_loader_config config = df_cell_loader(cell, trainer->train, false);
    const df_tensor *rows = df_part_tensor(&taught, DF_OBJECT_LOGITS);
    char *path = df_teacher_path(crops, &options);

    assert_ok(df_loader_new(&config, &loader, &err));
    assert_ok(df_model_open(crops, trainer->train->categories, path, &model, &err));

    df_tape *tape = df_tape_new(model.device, false);

    for (size_t n = 0; n < batch->n; n++) {
        const size_t count = batch->truth[n].count, row = rows->shape.c;

        assert_ok(df_loader_one(loader, batch->index[n], batch->flipped[n], &one, &err));
        df_tape_reset(tape);
        df_detector_forward(model.detector, tape, one, 0, &alone);
        assert_memory_equal(rows->data + n * rows->shape.w * row, df_part_tensor(&alone, DF_OBJECT_LOGITS)->data,
                            count * row * sizeof(df_real));
        for (size_t i = count * row; count && i < rows->shape.w * row; i++)
            assert_true(rows->data[n * rows->shape.w * row + i] == 0);
        most = count > most ? count : most;
        fewest = count < fewest ? count : fewest;
    }
    assert_int_equal(rows->shape.w, most);
    assert_true(fewest < most);
    df_tape_free(tape);
    df_model_release(&model);
    df_loader_free(loader);
    df_trainer_free(trainer);
    free(path);
    df_cell_free(cell);
    df_cell_free(crops);
}

/* Counted from the logits of the validation objects. */
static double share_right(const struct df_cell *crops, const struct df_model *model)
{
    struct df_detection_state said;
    struct df_dataset *validation;
    struct df_loader *loader;
    const struct df_batch *one;
    struct df_error err = { 0 };
    df_tape *tape = df_tape_new(model->device, false);
    double right = 0, all = 0;

    assert_ok(df_data_split(crops->data, DF_VALIDATION, &validation, &err));

    const struct df_loader_config config = df_cell_loader(crops, validation, false);

    assert_ok(df_loader_new(&config, &loader, &err));
    for (size_t i = 0; i < validation->size; i++) {
        assert_ok(df_loader_one(loader, i, false, &one, &err));
        df_tape_reset(tape);
        df_detector_forward(model->detector, tape, one, 0, &said);
        for (size_t g = 0; g < one->truth[0].count; g++) {
            const df_tensor *logits = df_part_tensor(&said, DF_OBJECT_LOGITS);
            const df_real *z = logits->data + g * logits->shape.c;
            size_t k = 0;

            for (size_t c = 1; c < logits->shape.c; c++)
                k = z[c] > z[k] ? c : k;
            right += k == (size_t)one->truth[0].labels[g];
            all++;
        }
    }
    df_loader_free(loader);
    df_tape_free(tape);
    assert_true(right > 0 && right < all);
    return right / all;
}

/* Its file records the accuracy over all validation objects, and the gate measures it again. */
static void a_classifiers_gate_counts_objects(void **state)
{
    struct df_cell *crops = tiny_classifier("cpu", "{\"size\":16}");
    struct df_run_options options = tiny_run(tiny_out("gate"));
    struct df_teacher_facts facts;
    struct df_error err = { 0 };
    struct df_text metadata = DF_TEXT_INIT;
    struct df_model model;
    char *path, score[32];

    (void)state;
    crops->schedule.epochs = 24; /* until it knows some */
    assert_ok(df_cell_seal(crops, &err));
    assert_ok(df_prepare_teacher(crops, &options, &path, &err));
    assert_ok(df_teacher_facts_read(path, &facts, &err));
    assert_true(facts.accuracy && facts.gated && !facts.measured);
    assert_true(facts.map >= 0 && facts.map <= 1);
    assert_true(facts.map == facts.gate_map); /* the whole split is smaller than the gate's subset */
    df_text_addf(&metadata, "%.2f %% accuracy", 100 * facts.map);
    assert_string_equal(df_teacher_score_text(&facts, facts.map, score), df_text_get(&metadata));
    assert_ok(df_teacher_gate(crops, &options, &err));

    /* the same weights, with another number recorded */
    assert_ok(df_model_load(crops, path, &model, &err));
    assert_true(facts.map == share_right(crops, &model));

    const struct df_metadata wrong[] = {
        { "id", crops->id },
        { "accuracy", "0.5" },
        { "gate_accuracy", "2" },
        { "gate_images", "7" },
        { "parameters_hash", facts.parameters_hash },
        { "device", facts.device },
        { "isa", facts.isa },
    };

    assert_ok(df_checkpoint_write(
        path, (struct df_checkpoint){ .parameters = model.parameters, .metadata = wrong, .metadata_count = sizeof wrong / sizeof *wrong },
        &err));
    assert_fails(df_teacher_gate(crops, &options, &err), DF_ERR_CHECK, "accuracy on the first 7 validation images, but 200 is recorded");
    df_model_release(&model);
    df_text_release(&metadata);
    free(path);
    df_cell_free(crops);
}

static void classifiers_that_do_not_fit(void **state)
{
    struct df_cell *crops = tiny_classifier("cpu", "{\"size\":16}"), *cell = student_cell();
    struct df_dataset *train;
    struct df_needs needs;
    struct df_error err = { 0 };

    (void)state;
    tiny_add_by(cell, "kd_classifier", "{}", "crops", crops);
    assert_ok(df_data_split(cell->data, DF_TRAIN, &train, &err));
    assert_ok(df_teacher_fits(cell, &cell->teacher[0], train, NULL, &err));
    crops->classes = 5;
    assert_fails(df_teacher_fits(cell, &cell->teacher[0], train, NULL, &err), DF_ERR_UNSUPPORTED,
                 "teacher 'crops': 'kd_classifier': the classifier has 5 classes and the student 8");
    crops->canvas.divisor = 64;
    assert_fails(df_teacher_fits(cell, &cell->teacher[0], train, NULL, &err), DF_ERR_UNSUPPORTED,
                 "the classifier's crops come from the student's images, but it has another canvas");

    const struct df_distiller_class *class = cell->distiller[0].class;

    assert_fails(df_distiller_needs(class, cell->distiller[0].options, cell->detector, cell->detector, &needs, &err), DF_ERR_UNSUPPORTED,
                 "needs 'object/logits', which detector 'retinanet' does not have");
    df_cell_free(cell);
    df_cell_free(crops);
}

static int set_up(void **state)
{
    (void)state;
    big = teacher_cell(TINY_TEACHER, 1000);
    wide = teacher_cell(TINY_STUDENT, 1001);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    df_cell_free(big);
    df_cell_free(wide);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_teachers_are_the_sum),
        cmocka_unit_test(a_two_stage_teacher_beside_a_one_stage_one),
        cmocka_unit_test(a_larger_canvas_beside_the_students),
        cmocka_unit_test(a_row_knows_its_teachers),
        cmocka_unit_test(a_classifier_beside_a_detector),
        cmocka_unit_test(each_object_has_its_row),
        cmocka_unit_test(a_classifiers_gate_counts_objects),
        cmocka_unit_test(classifiers_that_do_not_fit),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
