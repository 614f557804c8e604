/* Cells that train in a fraction of a second: 48 px scenes on a 64 px canvas, networks of a few channels, three or four steps an epoch. */
#ifndef DF_TESTS_ABLATIONS_RUN_TINY_H
#define DF_TESTS_ABLATIONS_RUN_TINY_H
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/run/model.h"
#include "ablations/run/prepare.h"
#include "ablations/run/store.h"
#include "ablations/run/teacher_kind.h"
#include "tests/support/support.h"

#define TINY_DATA "{\"image_size\":48,\"train\":18,\"tune\":5,\"validation\":7,\"objects_max\":3,\"radius_min\":7,\"radius_max\":20}"
#define TINY_DETECTOR                                                                                                                      \
    "{\"anchor_size\":[13,23,40],\"anchor_scales\":[1],\"anchor_ratios\":[0.6,1,1.67],\"anchor_truncate\":false,\"box_weights\":[10,10,5," \
    "5],"                                                                                                                                  \
    "\"loss_norm\":\"batch\",\"score_threshold\":0.01,\"detections\":40}"
#define TINY_STUDENT                                                                                                                       \
    "{\"depth\":0,\"blocks\":[1,1,1],\"base_width\":8,\"widths\":[8,8,16],\"stem\":\"small\",\"fpn_stages\":[2,3,4],"                      \
    "\"fpn_channels\":8,\"extra\":\"none\",\"head_convs\":1,\"head_norm\":\"batch\"}"
#define TINY_TEACHER                                                                                                                       \
    "{\"depth\":0,\"blocks\":[1,1,1],\"base_width\":8,\"widths\":[8,16,16],\"stem\":\"small\",\"fpn_stages\":[2,3,4],"                     \
    "\"fpn_channels\":16,\"extra\":\"none\",\"head_convs\":1,\"head_norm\":\"batch\"}"
#define TINY_FASTER_DETECTOR                                                                                                               \
    "{\"anchor_size\":[13,23,40],\"rpn_fg_iou\":0.5,\"rpn_batch\":40,\"rpn_pre_nms_train\":60,\"rpn_pre_nms_test\":40,"                    \
    "\"rpn_post_nms_train\":40,\"rpn_post_nms_test\":20,\"roi_size\":3,\"roi_canonical_size\":32,\"fc_width\":20,\"roi_batch\":12}"
#define TINY_FASTER_NETWORK                                                                                                                \
    "{\"depth\":0,\"blocks\":[1,1,1],\"base_width\":8,\"widths\":[8,8,16],\"stem\":\"small\",\"fpn_stages\":[2,3,4],"                      \
    "\"fpn_channels\":8,\"extra\":\"none\"}"
#define TINY_SCHEDULE "{\"optimiser\":\"adamw\",\"lr\":0.02,\"batch\":5,\"epochs\":3,\"warmup_steps\":2,\"decay\":\"cosine\",\"clip\":10}"

static inline void *tiny_options(const df_option *table, size_t bytes, const char *text)
{
    void *values = df_calloc(1, bytes + 1);
    struct df_error err = { 0 };
    cJSON *object;

    assert_ok(df_json_parse(text, strlen(text), "tiny", &object, &err));
    assert_ok(df_options_read(table, object, NULL, "tiny", values, &err));
    cJSON_Delete(object);
    return values;
}

static inline void tiny_into(const df_option *table, size_t bytes, const char *text, void *out)
{
    void *values = tiny_options(table, bytes, text);

    memcpy(out, values, bytes);
    free(values);
}

/* Data of the test's own: nothing is open yet. */
static inline struct df_data *tiny_data_of(const char *kind, const char *base, const char *options)
{
    struct df_data *data = df_data_new(df_dataset_class_find(kind, NULL), base);

    tiny_into(data->class->options, data->class->options_size, options, data->options);
    return data;
}

/* Those of all other cells, as the cells of a spec share theirs. */
static inline struct df_data *tiny_data(void)
{
    static struct df_data *data;

    if (!data)
        data = tiny_data_of("scenes", ".", TINY_DATA);
    return data;
}

/* Unsealed: the test may still change it. */
static inline struct df_cell *tiny_cell(const char *network, const char *schedule, const char *device, int64_t seed)
{
    struct df_cell *cell = df_calloc(1, sizeof *cell);

    cell->data = tiny_data();
    cell->detector = df_detector_class_find("retinanet", NULL);
    cell->detector_options = tiny_options(cell->detector->options, cell->detector->options_size, TINY_DETECTOR);
    df_options_standard(df_canvas_option_table, &cell->canvas);
    tiny_into(df_network_option_table, sizeof cell->network, network, &cell->network);
    tiny_into(df_schedule_options, sizeof cell->schedule, schedule, &cell->schedule);
    cell->schedule.evaluations = 3; /* fewer than a spec may ask for */
    cell->seed = seed;
    snprintf(cell->device, sizeof cell->device, "%s", device);
    cell->threads = 1;
    snprintf(cell->spec, sizeof cell->spec, "tiny");
    snprintf(cell->label, sizeof cell->label, "none");
    return cell;
}

/* The same with the two-stage detector. */
static inline struct df_cell *tiny_faster(int64_t seed)
{
    struct df_cell *cell = tiny_cell(TINY_FASTER_NETWORK, TINY_SCHEDULE, "cpu", seed);

    free(cell->detector_options);
    cell->detector = df_detector_class_find("faster_rcnn", NULL);
    cell->detector_options = tiny_options(cell->detector->options, cell->detector->options_size, TINY_FASTER_DETECTOR);
    return cell;
}

/* A classifier of crops, of the tiny teacher's body. */
static inline struct df_cell *tiny_classifier(const char *device, const char *options)
{
    struct df_cell *cell = tiny_cell(TINY_TEACHER, TINY_SCHEDULE, device, 1000);
    struct df_error err = { 0 };

    cell->kind = df_teacher_kind_find("classifier", &err);
    assert_non_null(cell->kind);
    free(cell->detector_options);
    cell->detector = cell->kind->class;
    cell->detector_options = tiny_options(cell->detector->options, cell->detector->options_size, options);
    cell->teacher_role = true;
    assert_ok(df_cell_seal(cell, &err));
    return cell;
}

static inline struct df_cell *tiny_teacher(const char *device)
{
    struct df_cell *cell = tiny_cell(TINY_TEACHER, TINY_SCHEDULE, device, 1000);
    struct df_error err = { 0 };

    cell->teacher_role = true;
    snprintf(cell->label, sizeof cell->label, "teacher");
    assert_ok(df_cell_seal(cell, &err));
    return cell;
}

/* A teacher of that network out of a checkpoint. */
static inline struct df_cell *tiny_given(const char *device, const struct df_network_options *network, const char *file)
{
    struct df_cell *cell = tiny_cell(TINY_TEACHER, TINY_SCHEDULE, device, 0);

    cell->teacher_role = true;
    cell->network = *network;
    snprintf(cell->file, sizeof cell->file, "%s", file);
    return cell;
}

/* Taught by the teacher of that name; teacher NULL: it needs none. */
static inline void tiny_add_by(struct df_cell *cell, const char *distiller, const char *options, const char *name, struct df_cell *teacher)
{
    struct df_cell_distiller *one = &cell->distiller[cell->distillers++];
    struct df_error err = { 0 };
    struct df_needs needs;

    one->class = df_distiller_class_find(distiller, NULL);
    one->options = tiny_options(one->class->options, one->class->options_size, options);
    assert_ok(df_distiller_needs(one->class, one->options, cell->detector, teacher ? teacher->detector : cell->detector, &needs, &err));
    one->teacher = teacher ? df_cell_taught_by(cell, name, teacher, &needs) : DF_NO_TEACHER;
    snprintf(cell->label, sizeof cell->label, "%s", distiller);
}

/* Where there is one teacher. */
static inline void tiny_add(struct df_cell *cell, const char *distiller, const char *options, struct df_cell *teacher)
{
    tiny_add_by(cell, distiller, options, "", teacher);
}

/* Needs that come from no distiller. */
static inline void tiny_needs(struct df_cell *cell, const char *names, struct df_cell *teacher)
{
    struct df_needs needs = { 0 };

    df_needs_add(&needs, names);
    (void)df_cell_taught_by(cell, "", teacher, &needs);
}

static inline struct df_run_options tiny_run(const char *out)
{
    return (struct df_run_options){ .out = out, .cache_limit_bytes = 1e9, .quiet = true, .export_results = true, .resume = true };
}

/* A folder of its own under the test's. */
static inline const char *tiny_out(const char *name)
{
    static char path[8][512];
    static int next;
    char *out = path[next++ % 8];

    snprintf(out, sizeof path[0], "%s/%s", df_test_folder(), name);
    return out;
}

static inline char *tiny_weights(const char *out, const struct df_cell *cell) { return df_store_cell_file(out, cell, DF_CELL_WEIGHTS); }

/* Hash of the exported student's parameters. */
static inline uint64_t tiny_hash(const char *out, const struct df_cell *cell)
{
    char *path = tiny_weights(out, cell);
    struct df_error err = { 0 };
    struct df_model model;

    assert_ok(df_model_load(cell, path, &model, &err));

    const uint64_t hash = df_parameters_hash(model.parameters);

    df_model_release(&model);
    free(path);
    return hash;
}

/* Scores and curves of two results are the same, to the last bit. */
static inline void tiny_assert_same(const struct df_run_result *a, const struct df_run_result *b)
{
    struct df_text text[2] = { DF_TEXT_INIT, DF_TEXT_INIT };

    for (int k = 0; k < 2; k++) {
        const struct df_run_row *row = k ? &b->row : &a->row;

        for (size_t i = 0; i < row->scores.count; i++)
            df_csv_add_score(&text[k], "", &row->scores.score[i]);
        for (size_t i = 0; i < row->curve.count; i++)
            df_csv_add_point(&text[k], "", &row->curve.point[i]);
    }
    assert_string_equal(text[0].data, text[1].data);
    df_text_release(&text[0]);
    df_text_release(&text[1]);
}

/* Only the scores. */
static inline void tiny_assert_same_scores(const struct df_run_row *a, const struct df_run_row *b)
{
    assert_true(a->scores.count > 0);
    assert_int_equal(a->scores.count, b->scores.count);
    for (size_t i = 0; i < a->scores.count; i++) {
        assert_string_equal(a->scores.score[i].metric, b->scores.score[i].metric);
        assert_string_equal(a->scores.score[i].class, b->scores.score[i].class);
        assert_memory_equal(&a->scores.score[i].value, &b->scores.score[i].value, sizeof(double));
    }
}

/* Point k of a metric's curve; NULL: there is none. The metric as it begins. */
static inline const struct df_curve_point *tiny_point(const struct df_run_result *result, const char *metric, size_t k)
{
    const struct df_curve *curve = &result->row.curve;

    for (size_t i = 0; i < curve->count; i++)
        if (strncmp(curve->point[i].metric, metric, strlen(metric)) == 0 && k-- == 0)
            return &curve->point[i];
    return NULL;
}
#endif
