#include "ablations/run/teacher_kind.h"

#include <string.h>

#include "ablations/run/evaluate.h"
#include "detectors/classifier.h"

static df_status map_of(const struct df_cell *cell, struct df_model *model, size_t images, double *score, struct df_error *err)
{
    struct df_evaluation what = { .cell = cell, .limit = images };

    DF_TRY(df_data_split(cell->data, DF_VALIDATION, &what.dataset, err));
    return df_evaluate_map(&what, model->detector, model->device, score, err);
}

/* How many of an image's objects are what they are said to be. */
static size_t right_of(const struct df_found *found, size_t count, const struct df_ground_truth *truth)
{
    size_t right = 0;

    for (size_t i = 0; i < count; i++)
        right += found[i].label == truth->labels[found[i].row];
    return right;
}

/* Share of the objects that are classified right; without objects 0. */
static df_status accuracy_on(struct df_loader *loader, size_t images, struct df_model *model, double *score, struct df_error *err)
{
    df_tape *tape = df_tape_new(model->device, false);
    size_t right = 0, all = 0;
    df_status status = DF_OK;

    for (size_t i = 0; i < images && status == DF_OK; i++) {
        struct df_detection_state state;
        const struct df_batch *batch;
        size_t count;

        status = df_loader_one(loader, i, false, &batch, err);
        if (status != DF_OK)
            break;
        df_tape_reset(tape);
        df_detector_forward(model->detector, tape, batch, 0, &state);

        const struct df_found *found = model->detector->class->predict(model->detector, tape, &state, 0, false, &count);

        right += right_of(found, count, &batch->truth[0]);
        all += count;
    }
    df_tape_free(tape);
    *score = all ? (double)right / (double)all : 0;
    return status;
}

static df_status accuracy_of(const struct df_cell *cell, struct df_model *model, size_t images, double *score, struct df_error *err)
{
    struct df_dataset *validation;
    struct df_loader *loader;

    DF_TRY(df_data_split(cell->data, DF_VALIDATION, &validation, err));

    const struct df_loader_config config = df_cell_loader(cell, validation, false);

    DF_TRY(df_loader_new(&config, &loader, err));

    const df_status status = accuracy_on(loader, images && images < validation->size ? images : validation->size, model, score, err);

    df_loader_free(loader);
    return status;
}

static const struct df_teacher_kind detector_kind = { "detector", "a detector of this program", NULL, "map", map_of };
static const struct df_teacher_kind classifier_kind = { "classifier", "an image classifier of the ground truth's objects",
                                                        &df_detector_classifier, "accuracy", accuracy_of };
const struct df_teacher_kind *const df_teacher_kinds[] = { &detector_kind, &classifier_kind, NULL };

static const char *kind_name(const void *table, size_t i)
{
    (void)table;
    return df_teacher_kinds[i] ? df_teacher_kinds[i]->name : NULL;
}

const struct df_teacher_kind *df_teacher_kind_find(const char *name, struct df_error *err)
{
    const size_t i = df_find_name(kind_name, NULL, name, "kind of teacher", NULL, err);

    return i == SIZE_MAX ? NULL : df_teacher_kinds[i];
}

const struct df_teacher_kind *df_teacher_kind_of(const struct df_cell *teacher)
{
    return teacher->kind ? teacher->kind : df_teacher_kinds[0];
}

bool df_teacher_has_neck(const struct df_cell *teacher) { return df_names_cover(teacher->detector->offers, "neck/*"); }
