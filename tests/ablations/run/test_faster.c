/* A two-stage teacher: its RoI head on the student's proposals and on its own, over its neck out of the cache and live, with the same bits. */
#include "ablations/run/model.h"
#include "ablations/run/teacher.h"
#include "ablations/run/trainer.h"
#include "tests/ablations/run/tiny.h"

enum { ROWS = 5 * 12, COLUMNS = 4 };

static struct df_cell *teacher;

static struct df_cell *student_of(const char *needs)
{
    struct df_cell *cell = tiny_faster(1);
    struct df_error err = { 0 };

    tiny_needs(cell, needs, teacher);
    assert_ok(df_cell_seal(cell, &err));
    return cell;
}

/* What the teacher's head says of the first batch's proposals: the student's, then the teacher's own. */
static void ask(const char *out, bool cache, df_real logits[2][ROWS * COLUMNS], df_real label[2][ROWS])
{
    struct df_cell *cell = student_of("roi/logits");
    struct df_run_options options = tiny_run(out);
    struct df_detection_state student, taught, answer;
    const struct df_batch *batch;
    struct df_trainer *trainer;
    struct df_error err = { 0 };

    options.cache = cache ? DF_CACHE_ON : DF_CACHE_OFF;
    assert_ok(df_prepare(cell, &options, &err));
    assert_ok(df_trainer_new(cell, &options, &trainer, &err));
    assert_int_equal(df_teacher_cache(trainer->teacher[0]) != NULL, cache);
    assert_ok(df_loader_get(trainer->loader, 0, &batch, &err));

    struct df_detector *own = trainer->student.model.detector;

    df_detector_forward(own, trainer->student.tape, batch, DF_LABELS, &student);
    assert_int_equal(student.rois.count, ROWS);
    assert_ok(df_teacher_state(trainer->teacher[0], trainer->student.tape, &student, &taught, &err));
    assert_non_null(taught.detector);
    assert_ptr_not_equal(taught.detector, own);
    for (int k = 0; k < 2; k++) {
        taught.detector->class->run_head(taught.detector, trainer->student.tape, &taught, k ? &(struct df_rois){ 0 } : &student.rois,
                                         &answer);
        assert_int_equal(answer.rois.count, ROWS);

        const df_tensor *said = df_part_tensor(&answer, "roi/logits");
        const df_real *given = df_part_host(trainer->student.tape, df_part(&answer, "roi/label", DF_NO_LEVEL));

        assert_false(said->requires_grad);
        df_read(trainer->student.model.device, logits[k], said->data, ROWS * COLUMNS * sizeof(df_real));
        memcpy(label[k], given, ROWS * sizeof *given);
        if (k == 0)
            assert_memory_equal(given, df_part_host(trainer->student.tape, df_part(&student, "roi/label", DF_NO_LEVEL)),
                                ROWS * sizeof *given);
    }
    df_trainer_free(trainer);
    df_cell_free(cell);
}

static void a_roi_head_runs_over_the_cached_neck(void **state)
{
    static df_real live[2][ROWS * COLUMNS], cached[2][ROWS * COLUMNS];
    static df_real live_label[2][ROWS], cached_label[2][ROWS];
    const char *out = tiny_out("roi");
    size_t objects[2] = { 0 };

    (void)state;
    ask(out, false, live, live_label);
    ask(out, true, cached, cached_label);
    assert_memory_equal(live, cached, sizeof live);
    assert_memory_equal(live_label, cached_label, sizeof live_label);
    assert_memory_not_equal(live[0], live[1], sizeof live[0]);
    for (int k = 0; k < 2; k++)
        for (size_t r = 0; r < ROWS; r++)
            objects[k] += live_label[k][r] >= 0;
    assert_true(objects[0] >= 5 && objects[1] >= 5); /* the objects' own boxes at least */
}

static void one_stage_detectors_have_none(void **state)
{
    struct df_cell *cell = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 1);
    struct df_run_options options = tiny_run(tiny_out("none"));
    struct df_dataset *train;
    struct df_teacher *open;
    struct df_error err = { 0 };

    (void)state;
    tiny_needs(cell, "roi/logits", teacher);
    assert_ok(df_data_split(cell->data, DF_TRAIN, &train, &err));
    assert_fails(df_teacher_open(cell, &cell->teacher[0], &options, train, &open, &err), DF_ERR_UNSUPPORTED,
                 "which detector 'retinanet' of the student does not have");
    df_cell_free(cell);
}

/* Three epochs, twice: sampling is a function of seed and step. */
static void runs_repeat(void **state)
{
    struct df_cell *cell = tiny_faster(4);
    struct df_run_options first = tiny_run(tiny_out("first")), second = tiny_run(tiny_out("second"));
    struct df_run_result *a, *b;
    struct df_error err = { 0 };

    (void)state;
    assert_ok(df_cell_seal(cell, &err));
    assert_ok(df_prepare_and_run(cell, &first, &a, &err));
    assert_ok(df_prepare_and_run(cell, &second, &b, &err));
    tiny_assert_same(a, b);
    assert_true(tiny_hash(first.out, cell) == tiny_hash(second.out, cell));
    df_run_result_free(a);
    df_run_result_free(b);
    df_cell_free(cell);
}

/* One run of a distilled student; its result and the hash of its weights. */
static struct df_run_result *run_student(const char *options, int cache, const char *out, uint64_t *hash)
{
    struct df_cell *cell = tiny_faster(2);
    struct df_run_options run = tiny_run(out);
    struct df_run_result *result;
    struct df_error err = { 0 };

    run.cache = cache ? DF_CACHE_ON : DF_CACHE_OFF;
    if (options)
        tiny_add(cell, "defeat", options, teacher);
    assert_ok(df_cell_seal(cell, &err));
    assert_ok(df_prepare_and_run(cell, &run, &result, &err));
    *hash = tiny_hash(out, cell);
    df_cell_free(cell);
    return result;
}

/* The head term over both networks' RoIs: cached = live, weights 0 = the plain student, and weights that are not 0 move it. */
static void head_terms_of_rois(void **state)
{
    static const char zero[] = "{\"w_fg\":0,\"w_bg\":0,\"head\":\"decoupled\",\"w_pos\":0,\"w_neg\":0,\"rois\":\"both\"}";
    static const char both[] = "{\"w_fg\":0,\"w_bg\":0,\"head\":\"decoupled\",\"rois\":\"both\"}";
    struct df_run_result *result[4];
    uint64_t hash[4];

    (void)state;
    result[0] = run_student(NULL, 1, tiny_out("plain"), &hash[0]);
    result[1] = run_student(zero, 1, tiny_out("zero"), &hash[1]);
    result[2] = run_student(both, 1, tiny_out("cached"), &hash[2]);
    result[3] = run_student(both, 0, tiny_out("live"), &hash[3]);
    tiny_assert_same_scores(&result[0]->row, &result[1]->row);
    assert_true(hash[0] == hash[1]);
    tiny_assert_same(result[2], result[3]);
    assert_true(hash[2] == hash[3] && hash[0] != hash[2]);
    assert_non_null(tiny_point(result[2], "term.defeat.pos.teacher", 0));
    for (size_t i = 0; i < 4; i++)
        df_run_result_free(result[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(a_roi_head_runs_over_the_cached_neck),
                                        cmocka_unit_test(one_stage_detectors_have_none), cmocka_unit_test(runs_repeat),
                                        cmocka_unit_test(head_terms_of_rois) };
    struct df_error err = { 0 };

    teacher = tiny_faster(1000);
    teacher->teacher_role = true;
    if (df_cell_seal(teacher, &err) != DF_OK)
        return 1;

    const int failed = cmocka_run_group_tests(tests, NULL, NULL);

    df_cell_free(teacher);
    return failed;
}
