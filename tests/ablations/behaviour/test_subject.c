/* Networks that are asked: what opens, what an answer depends on, what a question's row is. */
#include "ablations/behaviour/explain.h"
#include "core/base/file.h"
#include "core/nn/checkpoint.h"
#include "tests/ablations/run/tiny.h"

/* Weights as drawn, in the file that a run would have left; id: of whose run. */
static struct df_cell *drawn_cell(const char *out, int64_t seed, const char *id)
{
    struct df_cell *cell = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", seed);
    struct df_error err;
    struct df_model model;

    assert_ok(df_cell_seal(cell, &err));
    char *folder = df_store_cell_folder(out, cell), *path = tiny_weights(out, cell);
    const struct df_metadata metadata = { "id", id ? id : cell->id };

    assert_ok(df_folder_make(folder, &err));
    assert_ok(df_model_create(cell, 8, &model, &err));
    df_model_build(&model, cell, false);
    assert_ok(df_checkpoint_write(
        path, (struct df_checkpoint){ .parameters = model.parameters, .metadata = &metadata, .metadata_count = 1 }, &err));
    df_model_release(&model);
    free(folder);
    free(path);
    return cell;
}

static void what_is_no_network_of_the_cell_is_told(void **state)
{
    const char *out = tiny_out("strangers");
    struct df_cell *right = drawn_cell(out, 1, NULL), *wrong = drawn_cell(out, 2, "0123456789abcdef");
    struct df_cell *absent = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 3);
    char *weights = tiny_weights(out, right);
    struct df_subject subject;
    struct df_error err;

    (void)state;
    assert_ok(df_cell_seal(absent, &err));
    assert_fails(df_subject_open(absent, DF_VALIDATION, NULL, out, &subject, &err), DF_ERR_NOT_FOUND,
                 "the weights of 'none' are not there");
    df_subject_close(&subject);
    assert_fails(df_subject_open(wrong, DF_VALIDATION, NULL, out, &subject, &err), DF_ERR_STALE, "weights of run 0123456789abcdef");
    df_subject_close(&subject);
    assert_fails(df_subject_open(wrong, DF_VALIDATION, weights, out, &subject, &err), DF_ERR_STALE, wrong->id);
    df_subject_close(&subject);
    assert_ok(df_subject_open(right, DF_VALIDATION, weights, out, &subject, &err));
    assert_int_equal(strlen(subject.weights), 16);
    df_subject_close(&subject);
    df_subject_close(&subject);
    free(weights);
    df_cell_free(right);
    df_cell_free(wrong);
    df_cell_free(absent);
}

static void open_image(struct df_subject *subject, size_t i, struct df_loader **loader, const struct df_batch **image)
{
    struct df_loader_config config = df_cell_loader(subject->cell, subject->images, false);
    struct df_error err;

    config.packed = false;
    assert_ok(df_loader_new(&config, loader, &err));
    assert_ok(df_loader_one(*loader, i, false, image, &err));
}

/* To the last bit: alone, and as the second of three. */
static void an_answer_is_of_its_canvas_alone(void **state)
{
    const char *out = tiny_out("alone");
    struct df_cell *cell = drawn_cell(out, 4, NULL);
    struct df_subject subject;
    struct df_canvases canvases;
    struct df_loader *loader;
    const struct df_batch *image;
    struct df_found kept[40];
    float scores[40][8];
    struct df_error err;

    (void)state;
    assert_ok(df_subject_open(cell, DF_VALIDATION, NULL, out, &subject, &err));
    open_image(&subject, 2, &loader, &image);
    const size_t numbers = image->height * image->width * 3;

    df_canvases_init(&canvases, image, 3);
    df_test_fill(canvases.batch.pixels, 3 * numbers, 5, 1);
    memcpy(df_canvas_pixels(&canvases, 1), image->pixels, numbers * sizeof(df_real));

    const struct df_answer *answer = df_subject_ask(&subject, &canvases.batch);
    const size_t count = answer[1].count;

    assert_in_range(count, 1, 40);
    for (size_t k = 0; k < count; k++) {
        kept[k] = answer[1].found[k];
        memcpy(scores[k], kept[k].scores, sizeof scores[k]);
    }
    answer = df_subject_ask(&subject, image);
    assert_int_equal(answer[0].count, count);
    for (size_t k = 0; k < count; k++) {
        assert_memory_equal(&answer[0].found[k].box, &kept[k].box, sizeof kept[k].box);
        assert_memory_equal(answer[0].found[k].scores, scores[k], sizeof scores[k]);
    }
    df_canvases_release(&canvases);
    df_loader_free(loader);
    df_subject_close(&subject);
    df_cell_free(cell);
}

static const struct df_explain_options asked = {
    .saliency = { .mask = { .count = 60, .grid = 4, .keep = 0.5, .shift = true }, .centre = true }, .erasure = { .steps = 3, .blur = 2 }
};

static void a_question_is_its_networks_options_and_images(void **state)
{
    const char *out = tiny_out("questions");
    struct df_cell *cell[2] = { drawn_cell(out, 5, NULL), drawn_cell(out, 6, NULL) };
    struct df_explain_options other = asked;
    struct df_subject subject[2];
    struct df_question question[6];
    struct df_error err;

    (void)state;
    other.saliency.mask.seed = 1;
    for (int k = 0; k < 2; k++)
        assert_ok(df_subject_open(cell[k], DF_VALIDATION, NULL, out, &subject[k], &err));
    df_explain_question(&asked, &subject[0], NULL, 3, &question[0]);
    df_explain_question(&asked, &subject[1], NULL, 3, &question[1]);
    df_explain_question(&asked, &subject[0], &subject[1], 3, &question[2]);
    df_explain_question(&asked, &subject[0], NULL, 4, &question[3]);
    df_explain_question(&other, &subject[0], NULL, 3, &question[4]);
    df_explain_question(&asked, &subject[0], NULL, 3, &question[5]);
    for (int a = 0; a < 5; a++)
        for (int b = 0; b < a; b++)
            assert_string_not_equal(question[a].id, question[b].id);
    assert_string_equal(question[0].id, question[5].id);
    for (int k = 0; k < 6; k++)
        df_question_release(&question[k]);
    for (int k = 0; k < 2; k++) {
        df_subject_close(&subject[k]);
        df_cell_free(cell[k]);
    }
}

static double score_of(const struct df_scores *scores, const char *metric, const char *class)
{
    for (size_t k = 0; k < scores->count; k++)
        if (strcmp(scores->score[k].metric, metric) == 0 && strcmp(scores->score[k].class, class) == 0)
            return scores->score[k].value;
    fail_msg("no score '%s' '%s'", metric, class);
    return 0;
}

/* What was heard is the same again, and out of its file; a network agrees with itself; its row comes back. */
static void rows_are_put_and_found(void **state)
{
    const char *out = tiny_out("rows");
    struct df_cell *cell = drawn_cell(out, 7, NULL);
    struct df_heard heard, again, read;
    struct df_subject subject;
    struct df_question question;
    struct df_journal *journal;
    struct df_arena memory;
    struct df_error err;

    (void)state;
    df_arena_init(&memory, NULL, 4096);
    assert_ok(df_subject_open(cell, DF_VALIDATION, NULL, out, &subject, &err));
    df_explain_question(&asked, &subject, &subject, 3, &question);
    assert_ok(df_explain_ask(&asked, &subject, 3, NULL, &heard, &err));
    assert_ok(df_explain_ask(&asked, &subject, 3, NULL, &again, &err));
    char *path = df_question_weights(&question, out), *folder = df_path_folder(path), *rows = df_question_folder(&question, out);

    assert_ok(df_folder_make(folder, &err));
    assert_ok(df_heard_write(&heard, question.id, path, &err));
    assert_ok(df_heard_read(path, question.id, &read, &err));
    for (size_t i = 0; i < 3; i++) {
        const size_t bytes = heard.image[i].objects * 60 * sizeof(float);

        assert_int_equal(read.image[i].objects, heard.image[i].objects);
        assert_true(heard.image[i].objects > 0 && heard.image[i].h == 48 && read.image[i].w == 48);
        assert_memory_equal(heard.image[i].weight, again.image[i].weight, bytes);
        assert_memory_equal(heard.image[i].weight, read.image[i].weight, bytes);
    }
    struct df_run_row row = df_question_row(&question, &memory);

    assert_ok(df_explain_scores(&asked, &subject, &heard, &read, &row.scores, &memory, &err));
    assert_close(score_of(&row.scores, "explain.agreement", ""), 1, 0, 1e-12);
    assert_true(score_of(&row.scores, "explain.energy_gap", "0.0") == 0);
    assert_true(score_of(&row.scores, "explain.deletion", "") >= 0);
    assert_ok(df_question_put(&question, out, &row, &err));
    assert_ok(df_store_read(rows, &journal, &err));
    const struct df_run_row *found = df_journal_find(journal, question.id, DF_SEMANTICS);

    assert_true(df_run_row_ok(found));
    assert_string_equal(found->spec, "tiny.explain");
    assert_int_equal(found->seed, 7);
    assert_true(df_run_row_score(found, "explain.outside", "2.0") == score_of(&row.scores, "explain.outside", "2.0"));
    df_journal_free(journal);
    df_heard_release(&heard);
    df_heard_release(&again);
    df_heard_release(&read);
    df_question_release(&question);
    df_subject_close(&subject);
    df_arena_release(&memory);
    df_cell_free(cell);
    free(path);
    free(folder);
    free(rows);
}

static void a_damaged_file_is_told(void **state)
{
    char path[600], *data;
    struct df_heard heard, read;
    struct df_error err;
    size_t bytes;

    (void)state;
    snprintf(path, sizeof path, "%s/weights", df_test_folder());
    df_heard_init(&heard, 2, 3);
    float *weight = df_heard_add(&heard, 1, (struct df_heard_image){ .objects = 2, .h = 5, .w = 7 });

    for (int k = 0; k < 6; k++)
        weight[k] = (float)k;
    assert_ok(df_heard_write(&heard, "0123456789abcdef", path, &err));
    df_heard_release(&heard);
    assert_fails(df_heard_read(path, "0123456789abcdee", &read, &err), DF_ERR_STALE, "answers to question 0123456789abcdef");
    assert_ok(df_file_read(path, 0, &data, &bytes, &err));
    for (size_t k = 0; k < bytes; k++) {
        data[k] = (char)(data[k] ^ 16);
        assert_ok(df_file_write(path, data, bytes, &err));
        assert_int_equal(df_heard_read(path, "0123456789abcdef", &read, &err), DF_ERR_FORMAT);
        data[k] = (char)(data[k] ^ 16);
        assert_ok(df_file_write(path, data, k, &err));
        assert_int_equal(df_heard_read(path, "0123456789abcdef", &read, &err), DF_ERR_FORMAT);
    }
    free(data);
}

/* Nothing is learnt: the map's energy lies in a box as its pixels do, by chance. */
static void drawn_weights_say_nothing(void **state)
{
    struct df_explain_options many = asked;
    double outside = 0, pixels = 0;
    size_t n = 0, differ = 0;
    struct df_error err;

    (void)state;
    many.saliency.mask.count = 200;
    many.erasure.steps = 0;
    for (int64_t seed = 20; seed < 24; seed++) {
        const char *out = tiny_out("drawn");
        struct df_cell *cell = drawn_cell(out, seed, NULL);
        struct df_scores scores = { 0 };
        struct df_subject subject;
        struct df_arena memory;
        struct df_heard heard;

        df_arena_init(&memory, NULL, 4096);
        assert_ok(df_subject_open(cell, DF_VALIDATION, NULL, out, &subject, &err));
        assert_ok(df_explain_ask(&many, &subject, 7, NULL, &heard, &err));
        assert_ok(df_explain_scores(&many, &subject, &heard, NULL, &scores, &memory, &err));
        outside += score_of(&scores, "explain.outside", "") / 4;
        for (size_t i = 0; i < 7; i++)
            for (uint32_t k = 1; k < 200 * heard.image[i].objects; k++)
                differ += heard.image[i].weight[k] != heard.image[i].weight[k - 1];
        for (size_t i = 0; i < 7; i++)
            for (size_t k = 0; k < subject.images->info[i].count; k++, n++)
                pixels += 1 - subject.images->info[i].objects[k].bbox[2] * subject.images->info[i].objects[k].bbox[3] / (48 * 48);
        df_heard_release(&heard);
        df_subject_close(&subject);
        df_arena_release(&memory);
        df_cell_free(cell);
    }
    assert_true(differ > 1000); /* it does say something of every mask */
    assert_close(outside, pixels / (double)n, 0, 0.05);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_network_of_the_cell_is_told),
        cmocka_unit_test(an_answer_is_of_its_canvas_alone),
        cmocka_unit_test(a_question_is_its_networks_options_and_images),
        cmocka_unit_test(rows_are_put_and_found),
        cmocka_unit_test(a_damaged_file_is_told),
        cmocka_unit_test(drawn_weights_say_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
