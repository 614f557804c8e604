/* Cells on data from files: what the files hold belongs to the identity; students and teachers train on them; images of several canvases
 * train and teach too. */
#include "ablations/run/cache.h"
#include "ablations/run/model.h"
#include "ablations/run/teacher_file.h"
#include "core/base/file.h"
#include "core/data/image_codec.h"
#include "core/metrics/coco_eval.h"
#include "tests/ablations/run/tiny.h"

enum { IMAGES = 10 };

/* Rectangles of one colour on another; those before `wide` are wide. Returns the folder. */
static const char *write_images(const char *name, int wide, const char *extra)
{
    static uint8_t pixels[64 * 160 * 3];
    const char *folder = tiny_out(name);
    struct df_text json = DF_TEXT_INIT;
    struct df_error err = { 0 };
    char path[600];

    assert_ok(df_folder_make(folder, &err));
    df_text_add(&json, "{\"images\":[");
    for (int i = 0; i < IMAGES; i++)
        df_text_addf(&json, "%s{\"id\":%d,\"file_name\":\"%d.png\",\"width\":%d,\"height\":64}", i ? "," : "", 10 + i, i,
                     i < wide ? 160 : 64);
    df_text_add(&json, "],\"annotations\":[");
    for (int i = 0; i < IMAGES; i++) {
        const int width = i < wide ? 160 : 64, x0 = 5 + 2 * i, y0 = 30 - 2 * i;

        for (int y = 0; y < 64; y++)
            for (int x = 0; x < width; x++)
                for (int c = 0; c < 3; c++)
                    pixels[(y * width + x) * 3 + c] =
                        (uint8_t)(x >= x0 && x < x0 + 22 && y >= y0 && y < y0 + 17 ? 200 - 20 * c : 40 + 9 * i);
        snprintf(path, sizeof path, "%s/%d.png", folder, i);
        assert_ok(df_png_write(path, pixels, width, 64, &err));
        df_text_addf(&json, "%s{\"id\":%d,\"image_id\":%d,\"category_id\":%d,\"bbox\":[%d,%d,22,17],\"area\":374,\"iscrowd\":0}",
                     i ? "," : "", i + 1, 10 + i, 3 + 4 * (i % 2), x0, y0);
    }
    df_text_addf(&json, "],\"categories\":[{\"id\":3,\"name\":\"a;b=c\"},{\"id\":7,\"name\":\"even%s\"}]}", extra);
    snprintf(path, sizeof path, "%s/all.json", folder);
    assert_ok(df_file_write(path, json.data, json.length, &err));
    df_text_release(&json);
    return folder;
}

#define ALL   "{\"train\":\"all.json\",\"validation\":\"all.json\",\"tune_every\":5}"
#define CUT   "{\"train\":\"all.json\",\"validation\":\"validation.json\"}"
#define SPLIT "{\"train\":\"train.json\",\"validation\":\"validation.json\",\"tune_every\":5}"
#define ODD   "{\"train\":\"validation.json\",\"validation\":\"validation.json\",\"tune_every\":5}"

static struct df_cell *file_cell(struct df_data *data, const char *network)
{
    struct df_cell *cell = tiny_cell(network, TINY_SCHEDULE, "cpu", 1);

    cell->data = data;
    cell->schedule.batch = 2;
    return cell;
}

static void contents_belong_to_the_identity(void **state)
{
    const char *first = write_images("one", 0, ""), *same = write_images("same", 0, ""), *other = write_images("other", 0, "!");
    const char *const folder[4] = { first, same, other, same };
    struct df_data *owner[4];
    struct df_cell *cell[4];
    struct df_error err = { 0 };

    (void)state;
    for (int i = 0; i < 4; i++)
        cell[i] = file_cell(owner[i] = tiny_data_of("coco", folder[i], ALL), TINY_STUDENT);
    for (int i = 0; i < 3; i++)
        assert_ok(df_cell_seal(cell[i], &err));
    assert_non_null(strstr(cell[0]->json.data, "\"data_hash\""));
    assert_string_equal(cell[0]->id, cell[1]->id); /* where they lie does not matter */
    assert_string_not_equal(cell[0]->id, cell[2]->id);
    /* the same sizes, another byte in a picture */
    char path[600], *data;
    size_t bytes;

    snprintf(path, sizeof path, "%s/3.png", same);
    assert_ok(df_file_read(path, 0, &data, &bytes, &err));
    data[bytes / 2] ^= 1;
    assert_ok(df_file_write(path, data, bytes, &err));
    free(data);
    assert_ok(df_cell_seal(cell[3], &err));
    assert_string_not_equal(cell[3]->id, cell[1]->id);
    for (int i = 0; i < 4; i++) {
        df_cell_free(cell[i]);
        df_data_free(owner[i]);
    }
}

static void missing_files_are_an_error(void **state)
{
    struct df_data *data = tiny_data_of("coco", tiny_out("nothing-here"), ALL);
    struct df_cell *cell = file_cell(data, TINY_STUDENT);
    struct df_error err = { 0 };

    (void)state;
    assert_int_not_equal(df_cell_seal(cell, &err), DF_OK);
    assert_non_null(strstr(err.text, "all.json"));
    df_cell_free(cell);
    df_data_free(data);
}

static void files_train_and_teach(void **state)
{
    struct df_data *data = tiny_data_of("coco", write_images("train", 0, ""), ALL);
    struct df_cell *teacher = file_cell(data, TINY_TEACHER), *cell = file_cell(data, TINY_STUDENT);
    struct df_run_options options = tiny_run(tiny_out("files"));
    struct df_run_result *result;
    struct df_error err = { 0 };

    (void)state;
    teacher->teacher_role = true;
    assert_ok(df_cell_seal(teacher, &err));
    tiny_add(cell, "full_feature", "{\"w\":1,\"normalise_teacher\":true}", teacher);
    assert_ok(df_cell_seal(cell, &err));
    assert_ok(df_prepare_and_run(cell, &options, &result, &err));
    assert_true(!isnan(df_run_row_score(&result->row, "AP", "a;b=c"))); /* no sign is special in a name */
    assert_true(!isnan(df_run_row_score(&result->row, "AP", "even")));
    df_run_result_free(result);
    df_cell_free(cell);
    df_cell_free(teacher);
    df_data_free(data);
}

/* Records of several sizes: cached as live. */
static void several_canvases_train_and_teach(void **state)
{
    struct df_data *data = tiny_data_of("coco", write_images("mixed", 4, ""), ALL);
    struct df_cell *teacher = file_cell(data, TINY_TEACHER), *cell = file_cell(data, TINY_STUDENT);
    struct df_run_options options = tiny_run(tiny_out("canvases"));
    struct df_run_result *result[2];
    struct df_text text = DF_TEXT_INIT;
    struct df_error err = { 0 };
    char *cache;

    (void)state;
    teacher->teacher_role = true;
    assert_ok(df_cell_seal(teacher, &err));
    tiny_add(cell, "defeat", "{\"w_fg\":1,\"w_bg\":1,\"head\":\"fg\"}", teacher);
    assert_ok(df_cell_seal(cell, &err));
    for (int live = 0; live < 2; live++) {
        options.cache = live ? DF_CACHE_OFF : DF_CACHE_ON;
        assert_ok(df_prepare_and_run(cell, &options, &result[live], &err));
    }
    tiny_assert_same(result[0], result[1]);
    assert_non_null(tiny_point(result[0], "term.defeat.pos", 0));
    options.cache = DF_CACHE_ON;
    assert_ok(df_prepare_cache(cell, &cell->teacher[0], &options, &cache, &err));
    assert_ok(df_cache_describe(cache, true, &text, &err));
    assert_non_null(strstr(df_text_get(&text), "checksums all match"));
    df_text_release(&text);
    free(cache);
    df_run_result_free(result[0]);
    df_run_result_free(result[1]);
    /* wide images keep their size, others grow: the first one fits, not all of them */
    teacher->canvas.min_side = 96;
    teacher->canvas.max_side = 160;
    assert_fails(df_prepare_and_run(cell, &options, &result[0], &err), DF_ERR_UNSUPPORTED,
                 "the teacher's canvas of 96 x 96 has other cells");
    assert_non_null(strstr(err.text, "'neck/0' of image "));
    df_cell_free(cell);
    df_cell_free(teacher);
    df_data_free(data);
}

/* all.json with a box outside the image as validation.json; `category`: what its categories are called instead. */
static void write_validation(const char *folder, const char *category)
{
    static const char mark[] = "\"annotations\":[", name[] = "\"even";
    struct df_text json = DF_TEXT_INIT;
    struct df_error err = { 0 };
    char path[600], *data;
    size_t bytes;

    snprintf(path, sizeof path, "%s/all.json", folder);
    assert_ok(df_file_read(path, 0, &data, &bytes, &err));

    const char *at = strstr(data, mark) + strlen(mark), *last = strstr(data, name);

    df_text_add_bytes(&json, data, (size_t)(at - data));
    df_text_add(&json, "{\"id\":900,\"image_id\":10,\"category_id\":3,\"bbox\":[70,5,9,9],\"area\":81},");
    df_text_add_bytes(&json, at, (size_t)(last - at));
    df_text_addf(&json, "\"%s%s", category, last + strlen(name));
    snprintf(path, sizeof path, "%s/validation.json", folder);
    assert_ok(df_file_write(path, json.data, json.length, &err));
    df_text_release(&json);
    free(data);
}

/* A box that training leaves out stays in the ground truth: the run says what `defeat eval` says of its results. */
static void a_bad_box_counts_in_the_evaluation(void **state)
{
    const char *folder = write_images("bad-box", 0, "");
    struct df_data *data = tiny_data_of("coco", folder, CUT), *changed = tiny_data_of("coco", folder, CUT);
    struct df_cell *cell = file_cell(data, TINY_STUDENT);
    struct df_run_options options = tiny_run(tiny_out("bad-box-run"));
    struct df_coco_scores scores = { 0 };
    struct df_detection *detections;
    struct df_coco_truth *truth;
    struct df_run_result *result;
    struct df_error err = { 0 };
    char path[700];
    size_t count;

    (void)state;
    write_validation(folder, "even");
    cell->schedule.epochs = 40;
    assert_ok(df_cell_seal(cell, &err));
    assert_ok(df_prepare_and_run(cell, &options, &result, &err));
    snprintf(path, sizeof path, "%s/tiny/runs/%s/results.json", options.out, cell->id);
    assert_ok(df_coco_results_read(path, &detections, &count, &err));
    snprintf(path, sizeof path, "%s/validation.json", folder);
    assert_ok(df_coco_truth_read(path, false, &truth, &err));
    assert_int_equal(truth->objects, IMAGES + 1);
    assert_ok(df_coco_evaluate(df_coco_set_of(truth), detections, count, &scores, &err));
    assert_true(scores.value[DF_AP] > 0);
    for (size_t m = 0; m < DF_COCO_METRICS; m++)
        assert_true(scores.value[m] == df_run_row_score(&result->row, df_coco_metric_names[m], ""));
    df_coco_scores_release(&scores);
    df_coco_truth_free(truth);
    free(detections);
    df_run_result_free(result);
    write_validation(folder, "odd");
    cell->data = changed;
    assert_ok(df_cell_seal(cell, &err));
    assert_fails(df_prepare_and_run(cell, &options, &result, &err), DF_ERR_FORMAT, "'odd'");
    df_cell_free(cell);
    df_data_free(changed);
    df_data_free(data);
}

static char warned[1024];
static size_t odd_boxes;

static void remember_warning(void *context, const char *text)
{
    (void)context;
    odd_boxes += strstr(text, "with a box outside the image") != NULL;
    snprintf(warned, sizeof warned, "%s", text);
}

/* all.json cut into training (all but image 0) and validation (all but image 1), so that each has a picture of its own. */
static void write_split(const char *folder, const char *name, int left_out)
{
    struct df_error err = { 0 };
    struct df_text json = DF_TEXT_INIT;
    const char *const lists[] = { "images", "annotations" };
    char path[600];
    cJSON *root;

    snprintf(path, sizeof path, "%s/all.json", folder);
    assert_ok(df_json_read(path, &root, &err));
    for (int i = 0; i < 2; i++)
        cJSON_DeleteItemFromArray(cJSON_GetObjectItem(root, lists[i]), left_out);
    df_json_canonical(root, &json);
    snprintf(path, sizeof path, "%s/%s.json", folder, name);
    assert_ok(df_file_write(path, json.data, json.length, &err));
    df_text_release(&json);
    cJSON_Delete(root);
}

/* An unreadable training image stops student and teacher unless it is to be skipped; one of the validation split always does. */
static void an_unreadable_image_stops_or_is_counted(void **state)
{
    struct df_run_options options = tiny_run(tiny_out("unreadable-run"));
    struct df_run_result *result;
    struct df_error err = { 0 };

    (void)state;
    for (int broken = 0; broken < 2; broken++) { /* image 0 is read by the validation alone, image 1 by the training alone */
        const char *folder = write_images(broken ? "unreadable-train" : "unreadable-validation", 0, "");
        struct df_data *data = tiny_data_of("coco", folder, SPLIT);
        struct df_cell *teacher = file_cell(data, TINY_TEACHER), *cell = file_cell(data, TINY_STUDENT);
        char path[600];

        write_split(folder, "train", 0);
        write_split(folder, "validation", 1);
        snprintf(path, sizeof path, "%s/%d.png", folder, broken);
        assert_ok(df_file_write(path, "no picture", 10, &err));
        teacher->teacher_role = true;
        snprintf(path, sizeof path, "%d.png", broken);
        if (!broken) { /* before anything is trained */
            assert_fails(df_cell_seal(teacher, &err), DF_ERR_FORMAT, path);
            df_cell_free(cell);
            df_cell_free(teacher);
            df_data_free(data);
            continue;
        }
        assert_ok(df_cell_seal(teacher, &err));
        tiny_add(cell, "full_feature", "{\"w\":1,\"normalise_teacher\":true}", teacher);
        assert_ok(df_cell_seal(cell, &err));
        options.skip_bad_images = false;
        assert_fails(df_prepare_and_run(teacher, &options, &result, &err), DF_ERR_FORMAT, path);
        assert_fails(df_prepare_and_run(cell, &options, &result, &err), DF_ERR_FORMAT, path);
        options.skip_bad_images = true;
        warned[0] = 0;
        assert_ok(df_prepare_and_run(cell, &options, &result, &err));
        assert_string_equal(result->row.status, "ok");
        assert_string_equal(warned, "1 training images could not be read and were replaced by empty ones");
        assert_ok(df_teacher_gate(teacher, &options, &err));
        df_run_result_free(result);
        df_cell_free(cell);
        df_cell_free(teacher);
        df_data_free(data);
    }
}

/* Files that count how often each split is opened; every time that one is parsed its odd box is told. */
static size_t opened[DF_SPLITS];
static struct df_dataset_class counting;

static df_status open_and_count(const struct df_data *data, enum df_split split, struct df_dataset **out, struct df_error *err)
{
    opened[split]++;
    return df_dataset_class_find("coco", NULL)->open(data, split, out, err);
}

/* Identity, teacher with gate and cache, student, evaluation, weights that are read again: all borrow the same three. */
static void each_split_is_opened_once(void **state)
{
    const char *folder = write_images("once", 0, "");
    struct df_data *data = tiny_data_of("coco", folder, ODD);
    struct df_cell *teacher = file_cell(data, TINY_TEACHER), *cell = file_cell(data, TINY_STUDENT);
    struct df_run_options options = tiny_run(tiny_out("once-run"));
    struct df_run_result *result;
    struct df_error err = { 0 };
    char *cache;

    (void)state;
    write_validation(folder, "even");
    counting = *data->class;
    counting.open = open_and_count;
    data->class = &counting;
    options.cache = DF_CACHE_ON;
    odd_boxes = 0;
    teacher->teacher_role = true;
    assert_ok(df_cell_seal(teacher, &err));
    tiny_add(cell, "full_feature", "{\"w\":1,\"normalise_teacher\":true}", teacher);
    assert_ok(df_cell_seal(cell, &err));
    assert_ok(df_prepare_and_run(cell, &options, &result, &err));
    assert_ok(df_teacher_gate(teacher, &options, &err));
    assert_ok(df_prepare_cache(cell, &cell->teacher[0], &options, &cache, &err));
    assert_true(tiny_hash(options.out, cell) != 0);
    for (int k = 0; k < DF_SPLITS; k++)
        assert_int_equal(opened[k], 1);
    assert_int_equal(odd_boxes, 1); /* three splits of one file */
    free(cache);
    df_run_result_free(result);
    df_cell_free(cell);
    df_cell_free(teacher);
    df_data_free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contents_belong_to_the_identity),
        cmocka_unit_test(missing_files_are_an_error),
        cmocka_unit_test(files_train_and_teach),
        cmocka_unit_test(several_canvases_train_and_teach),
        cmocka_unit_test(a_bad_box_counts_in_the_evaluation),
        cmocka_unit_test(an_unreadable_image_stops_or_is_counted),
        cmocka_unit_test(each_split_is_opened_once),
    };

    df_warn_set(remember_warning, NULL);
    return cmocka_run_group_tests_name("files", tests, NULL, NULL);
}
