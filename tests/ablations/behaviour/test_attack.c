/* Attacks on networks that were trained for a moment: what a view shows, patches that are made once, rows that are asked once, the picture. */
#include "ablations/behaviour/attack_sheet.h"
#include "ablations/behaviour/question.h"
#include "ablations/behaviour/view.h"
#include "ablations/run/evaluate.h"
#include "ablations/run/stop.h"
#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/base/progress.h"
#include "core/data/image_codec.h"
#include "core/data/image_file.h"
#include "tests/ablations/run/tiny.h"

enum { IMAGES = 4 };
static const char *out;
static struct df_cell *cell[3];      /* two students, and the two-stage detector */
static struct df_subject subject[3]; /* on validation */
static struct df_attack_values values;

struct holder {
    struct df_attack_values v;
};
static const df_option value_table[] = { DF_ATTACK_OPTION_ROWS(struct holder, v), { 0 } };

static int train(void **state)
{
    struct df_error err = { 0 };

    (void)state;
    out = tiny_out("out");
    cell[0] = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 0);
    cell[1] = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 1);
    cell[2] = tiny_faster(0);
    for (size_t k = 0; k < 3; k++) {
        const struct df_run_options options = tiny_run(out);
        struct df_run_result *result;

        assert_ok(df_cell_seal(cell[k], &err));
        assert_ok(df_run_cell(cell[k], &options, &result, &err));
        df_run_result_free(result);
        assert_ok(df_subject_open(cell[k], DF_VALIDATION, NULL, out, &subject[k], &err));
    }
    df_options_standard(value_table, &values);
    values.area = 0.1;
    values.select_steps = 4;
    values.steps = 12;
    values.score = 0.06; /* of networks that know little */
    values.loss_score = 0.04;
    return 0;
}

static int finish(void **state)
{
    (void)state;
    for (size_t k = 0; k < 3; k++) {
        df_subject_close(&subject[k]);
        df_cell_free(cell[k]);
    }
    return 0;
}

/* Patches for network `target`, judged by network `judged`. */
struct one {
    struct df_subject *target[2];
    struct df_attack_case what;
};

static struct one *case_of(size_t target, size_t judged)
{
    static struct one all[16];
    static size_t next;
    struct one *one = &all[next++ % 16];

    one->target[0] = &subject[target];
    one->what = (struct df_attack_case){ .values = &values,
                                         .attacked = 1,
                                         .target = one->target,
                                         .name = "somebody",
                                         .judged = &subject[judged],
                                         .split = DF_VALIDATION,
                                         .images = IMAGES,
                                         .out = out };
    return one;
}

static struct df_journal *rows(void)
{
    char *folder = df_store_question_folder(out, "tiny", DF_ATTACK_QUESTION);
    struct df_journal *journal;
    struct df_error err = { 0 };

    assert_ok(df_store_read(folder, &journal, &err));
    free(folder);
    return journal;
}

static struct df_attack_told judge(const struct df_attack_case *what, const struct df_journal *known)
{
    struct df_journal *none = df_journal_new();
    struct df_attack_told told;
    struct df_error err = { 0 };

    assert_ok(df_attack_judge(what, known ? known : none, &told, &err));
    df_journal_free(none);
    return told;
}

static void read_image(size_t i, struct df_image *image)
{
    struct df_error err = { 0 };

    assert_ok(subject[0].images->class->read(subject[0].images, i, image, &err));
}

/* The only folder of patches, or the one with the most; free it. */
static char *patches_folder(const char *under)
{
    char *folder = df_store_question_folder(under, "tiny", DF_ATTACK_QUESTION), *all = df_path_join(folder, "patches"), **names;
    struct df_error err = { 0 };

    assert_ok(df_folder_list(all, &names, &err));
    assert_non_null(names[0]);
    assert_null(names[1]);

    char *path = df_path_join(all, names[0]);

    df_names_free(names);
    free(all);
    free(folder);
    return path;
}

/* ---- views ---- */

/* An image that stands in for itself is seen as evaluation sees it, to the last bit. */
static void view_is_evaluations(void **state)
{
    struct df_loader_config config = df_cell_loader(cell[0], subject[0].images, false);
    struct df_image image = { 0 };
    const struct df_batch *batch;
    struct df_loader *loader;
    struct df_view *view;
    struct df_sight seen;
    struct df_error err = { 0 };

    (void)state;
    config.packed = false;
    assert_ok(df_loader_new(&config, &loader, &err));
    assert_ok(df_loader_one(loader, 2, false, &batch, &err));
    assert_ok(df_view_new(&subject[0], &view, &err));
    read_image(2, &image);
    assert_ok(df_view_ask(view, 2, &image, &seen, &err));

    const size_t count = seen.answer.count;
    struct df_found *found = malloc((count + 1) * sizeof *found);

    memcpy(found, seen.answer.found, count * sizeof *found);
    assert_memory_equal(seen.batch->pixels, batch->pixels, batch->height * batch->width * 3 * sizeof(df_real));
    seen.answer = *df_subject_ask(&subject[0], batch);
    assert_true(count > 0);
    assert_int_equal(seen.answer.count, count);
    for (size_t i = 0; i < count; i++)
        assert_memory_equal(&seen.answer.found[i].box, &found[i].box, sizeof found->box);
    free(found);
    df_view_free(view);
    df_loader_free(loader);
    df_image_release(&image);
}

static void no_score_loss_is_an_error(void **state)
{
    struct df_detector *detector = subject[0].model.detector;
    const struct df_detector_class *class = detector->class;
    struct df_detector_class without = *class;
    struct df_image image = { 0 };
    struct df_view_slope slope;
    struct df_view *view;
    struct df_error err = { 0 };

    (void)state;
    without.score_loss = NULL;
    read_image(0, &image);
    assert_ok(df_view_new(&subject[0], &view, &err));
    detector->class = &without;
    assert_fails(df_view_slope(view, 0, &image, 0.1, &slope, &err), DF_ERR_UNSUPPORTED, "nothing can be hidden from it");
    detector->class = class;
    df_view_free(view);
    df_image_release(&image);
}

/* ---- patches ---- */

static void attack_hides_within_its_budget(void **state)
{
    double before = 0;

    (void)state;
    for (size_t k = 0; k < 3; k += 2) { /* both detectors */
        struct one *one = case_of(k, k);
        struct df_error err = { 0 };
        size_t hidden = 0;

        assert_ok(df_attack_make(&one->what, &err));

        struct df_attack_told told = judge(&one->what, NULL);

        assert_true(told.images == IMAGES && told.beyond == 0 && told.left_out < IMAGES);
        for (size_t i = 0; i < IMAGES; i++) {
            assert_true(told.image[i].use.changed <= 230 && told.image[i].use.regions <= 10); /* 10 % of 48 x 48 */
            assert_int_equal(told.image[i].pixels, 48 * 48);
            hidden += told.image[i].clean > told.image[i].left;
        }
        assert_true(hidden > 0 && told.rate > 0.3);
        assert_true(told.score > told.rate && told.score <= 2 * told.rate); /* the area's factor is in 1..2 */
        before += told.ap_clean;
        df_attack_told_release(&told);
    }
    assert_true(before > 0);
}

/* AP without patches is what evaluation says of these images. */
static void clean_ap_is_evaluations(void **state)
{
    const struct df_evaluation what = { .cell = cell[0], .dataset = subject[0].images, .limit = IMAGES };
    struct df_attack_told told = judge(&case_of(0, 0)->what, NULL);
    struct df_error err = { 0 };
    double map;

    (void)state;
    assert_ok(df_evaluate_map(&what, subject[0].model.detector, subject[0].model.device, &map, &err));
    assert_true(told.ap_clean == map);
    df_attack_told_release(&told);
}

/* In another folder, image by image and in one go, the same bytes; what is there is not made again. */
static void patches_are_made_once(void **state)
{
    const char *other = tiny_out("other"), *third = tiny_out("third");
    struct one *one = case_of(1, 1);
    struct df_image wrong = { 0 };
    struct df_error err = { 0 };
    char hash[2][17];

    (void)state;
    one->what.out = third;
    assert_ok(df_attack_make(&one->what, &err));
    one->what.out = other;
    for (one->what.images = 1; one->what.images <= IMAGES; one->what.images++)
        assert_ok(df_attack_make(&one->what, &err));
    one->what.images = IMAGES;

    char *folder[] = { patches_folder(other), patches_folder(third) };

    for (size_t i = 0; i < IMAGES; i++)
        for (size_t k = 0; k < 2; k++) {
            char name[32];

            snprintf(name, sizeof name, "%06zu.png", i);
            char *path = df_path_join(folder[k], name);

            assert_ok(df_file_hash(path, hash[k], &err));
            if (k)
                assert_string_equal(hash[0], hash[1]);
            free(path);
        }

    char *first = df_path_join(folder[0], "000000.png");

    /* what breaks the budget, by whoever put it there, is counted and scores nothing */
    df_image_reserve(&wrong, 48, 48, 0);
    memset(wrong.pixels, 3, 3 * 48 * 48);
    assert_ok(df_png_write(first, wrong.pixels, 48, 48, &err));
    assert_ok(df_attack_make(&one->what, &err));

    struct df_attack_told told = judge(&one->what, NULL);

    assert_int_equal(told.image[0].use.changed, 48 * 48);
    assert_int_equal(told.beyond, 1);
    assert_true(df_evasion_score(&told.image[0], told.budget, false) == 0 || told.image[0].clean == 0);
    df_attack_told_release(&told);

    struct df_journal *none = df_journal_new();

    assert_ok(df_png_write(first, wrong.pixels, 24, 48, &err));
    assert_fails(df_attack_judge(&one->what, none, &told, &err), DF_ERR_STALE, "24 x 48 pixels, expected the image's 48 x 48");
    assert_ok(df_file_remove(first, &err));
    assert_fails(df_attack_judge(&one->what, none, &told, &err), DF_ERR_NOT_FOUND, "the patch of image 0 has not been made");
    df_run_stop = 1;
    assert_fails(df_attack_make(&one->what, &err), DF_ERR_INTERRUPTED, "before the patch of image 0 of 4");
    df_run_stop = 0;
    df_journal_free(none);
    df_image_release(&wrong);
    free(first);
    free(folder[0]);
    free(folder[1]);
}

/* A joint attack is neither network's own; both, and a third, can judge it. */
static void several_are_attacked_at_once(void **state)
{
    struct one *both = case_of(0, 2), *alone = case_of(0, 2);
    struct df_error err = { 0 };
    bool differs = false;

    (void)state;
    both->target[1] = &subject[1];
    both->what.attacked = 2;
    assert_ok(df_attack_make(&both->what, &err));
    for (size_t i = 0; i < IMAGES; i++) {
        struct df_image clean = { 0 }, a = { 0 }, b = { 0 };

        read_image(i, &clean);
        assert_ok(df_attack_read(&both->what, i, &clean, &a, &err));
        assert_ok(df_attack_read(&alone->what, i, &clean, &b, &err));
        differs |= memcmp(a.pixels, b.pixels, 3 * 48 * 48) != 0;
        df_image_release(&clean);
        df_image_release(&a);
        df_image_release(&b);
    }
    assert_true(differs);

    struct df_attack_told told = judge(&both->what, NULL);

    df_attack_told_release(&told);
    both->what.attacked = DF_QUESTION_NETWORKS + 1;
    assert_fails(df_attack_make(&both->what, &err), DF_ERR_UNSUPPORTED, "9 networks are attacked at once, expected at most 7");
}

/* ---- rows ---- */

/* A row that is there answers, to the last bit, without a look at patches or networks. */
static void rows_are_asked_once(void **state)
{
    struct one *one = case_of(0, 1);
    struct df_attack_told asked = judge(&one->what, NULL), known;
    struct df_journal *journal = rows();
    struct df_subject blind = subject[1];
    size_t count = journal->runs;

    (void)state;
    assert_true(count >= 2);
    blind.model.detector = NULL;
    one->what.judged = &blind;
    known = judge(&one->what, journal);
    assert_memory_equal(asked.image, known.image, IMAGES * sizeof *asked.image);
    assert_memory_equal(&asked.rate, &known.rate, sizeof asked.rate);
    assert_memory_equal(&asked.score, &known.score, sizeof asked.score);
    assert_true(asked.ap == known.ap && asked.ap_clean == known.ap_clean && asked.left_out == known.left_out);
    df_attack_told_release(&known);
    one->what.judged = &subject[1];

    /* another question is another row: options, images, whom */
    struct df_attack_values other = values;
    struct one *more[] = { case_of(0, 1), case_of(0, 1), case_of(1, 1) };

    other.score = 0.08;
    more[0]->what.values = &other;
    more[1]->what.images = IMAGES - 1;
    for (size_t i = 0; i < 3; i++) {
        struct df_error err = { 0 };

        assert_ok(df_attack_make(&more[i]->what, &err));
        known = judge(&more[i]->what, journal);
        df_attack_told_release(&known);
        df_journal_free(journal);
        journal = rows();
        assert_true(journal->runs == ++count);
    }
    df_journal_free(journal);
    df_attack_told_release(&asked);
}

static void broken_rows_are_errors(void **state)
{
    struct one *one = case_of(0, 1);
    struct df_journal *journal = rows();
    struct df_attack_told told;
    struct df_error err = { 0 };

    (void)state;
    for (size_t i = 0; i < journal->runs; i++)
        for (size_t k = 0; k < journal->run[i].scores.count; k++)
            if (strcmp(journal->run[i].scores.score[k].metric, "attack.left") == 0 &&
                strcmp(journal->run[i].scores.score[k].class, "2") == 0)
                journal->run[i].scores.score[k].value = 0.5;
    assert_fails(df_attack_judge(&one->what, journal, &told, &err), DF_ERR_FORMAT, "does not tell what became of each of its 4 images");
    df_journal_free(journal);
}

static void other_images_are_an_error(void **state)
{
    struct one *one = case_of(0, 1);
    struct df_journal *none = df_journal_new();
    struct df_subject tune;
    struct df_attack_told told;
    struct df_error err = { 0 };

    (void)state;
    assert_ok(df_subject_open(cell[0], DF_TUNE, NULL, out, &tune, &err));
    one->target[0] = &tune;
    assert_fails(df_attack_judge(&one->what, none, &told, &err), DF_ERR_STALE, "lie on other images");
    df_subject_close(&tune);
    df_journal_free(none);
}

/* The control depends on its seed, on no option of the attack, and on nobody's weights. */
static void control_needs_nobody(void **state)
{
    struct one *one = case_of(0, 0), *again = case_of(0, 0);
    struct df_attack_values others = values;
    struct df_journal *journal;

    (void)state;
    one->what.attacked = again->what.attacked = 0;
    one->what.draw = again->what.draw = 7;

    struct df_attack_told told = judge(&one->what, NULL), same, other;

    others.steps = 99;
    others.choice = 1;
    again->what.values = &others;
    journal = rows();

    const size_t count = journal->runs;

    same = judge(&again->what, journal);
    assert_memory_equal(told.image, same.image, IMAGES * sizeof *told.image);
    again->what.draw = 8;
    other = judge(&again->what, journal);
    df_journal_free(journal);
    journal = rows();
    assert_int_equal(journal->runs, count + 1);
    for (size_t i = 0; i < IMAGES; i++) /* ten blocks of 4 x 4 pixels, all of them drawn */
        assert_true(told.image[i].use.changed > 155 && told.image[i].use.changed <= 160 && told.image[i].use.regions > 1);
    df_journal_free(journal);
    df_attack_told_release(&told);
    df_attack_told_release(&same);
    df_attack_told_release(&other);
}

static void options_fit_together(void **state)
{
    struct df_attack_values wrong = values;
    struct df_error err = { 0 };

    (void)state;
    assert_ok(df_attack_check(&values, &err));
    wrong.loss_score = 0.5;
    assert_fails(df_attack_check(&wrong, &err), DF_ERR_USAGE, "loss-score 0.5 is above score 0.06");
    wrong = values;
    wrong.least_step = 7;
    assert_fails(df_attack_check(&wrong, &err), DF_ERR_USAGE, "least-step 7 is above step 6");
}

/* ---- the picture ---- */

/* Two rows an image, and columns of 198 pixels: the images, then every network. */
static void sheet_shows_both(void **state)
{
    struct df_subject *network[] = { &subject[0], &subject[1] };
    const char *const name[] = { "first", "second" };
    struct one *one = case_of(0, 0);
    const struct df_attack_sheet sheet = { &one->what, 2, network, name, 2 };
    struct df_image picture = { 0 }, patched = { 0 }, clean = { 0 };
    char *path = df_path_join(df_test_folder(), "sheet.png");
    struct df_attack_told told = judge(&one->what, NULL);
    struct df_error err = { 0 };
    size_t first = 0;

    (void)state;
    while (!told.image[first].clean)
        first++;
    assert_ok(df_attack_sheet_write(&sheet, path, &err));
    assert_ok(df_image_read(path, &picture, &err));
    assert_int_equal(picture.width, 6 + 3 * 198);
    assert_int_equal(picture.height, 18 + 6 + 4 * 212);
    read_image(first, &clean);
    assert_ok(df_attack_read(&one->what, first, &clean, &patched, &err));
    for (int y = 0; y < 48; y++)
        for (int x = 0; x < 48; x++)
            for (int row = 0; row < 2; row++) { /* enlarged four times */
                const uint8_t *at = picture.pixels + 3 * ((24 + row * 212 + 4 * y + 3) * picture.width + 6 + 4 * x + 3);

                assert_memory_equal(at, (row ? patched.pixels : clean.pixels) + 3 * (y * 48 + x), 3);
            }
    df_attack_told_release(&told);
    df_image_release(&picture);
    df_image_release(&patched);
    df_image_release(&clean);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(view_is_evaluations),
        cmocka_unit_test(no_score_loss_is_an_error),
        cmocka_unit_test(attack_hides_within_its_budget),
        cmocka_unit_test(clean_ap_is_evaluations),
        cmocka_unit_test(patches_are_made_once),
        cmocka_unit_test(several_are_attacked_at_once),
        cmocka_unit_test(rows_are_asked_once),
        cmocka_unit_test(broken_rows_are_errors),
        cmocka_unit_test(other_images_are_an_error),
        cmocka_unit_test(control_needs_nobody),
        cmocka_unit_test(options_fit_together),
        cmocka_unit_test(sheet_shows_both),
    };

    df_progress_enable(false);
    return cmocka_run_group_tests(tests, train, finish);
}
