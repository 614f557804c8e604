#include "ablations/behaviour/marker.h"

#include <stdlib.h>
#include <string.h>

#include "ablations/run/stop.h"
#include "core/base/progress.h"

const char *const df_marker_metrics[DF_MARKER_SCORES] = { "marker.response", "marker.reliance" };

static const df_option no_options[] = { { 0 } };

void df_marker_question(const struct df_subject *subject, size_t images, struct df_question *question)
{
    *question = (struct df_question){ .name = "marker",
                                      .revision = 1,
                                      .options = no_options,
                                      .values = "",
                                      .networks = 1,
                                      .network = { subject },
                                      .split = DF_VALIDATION,
                                      .images = images };
    df_question_seal(question);
}

/* ---- images with and without ---- */

/* The category that the mark goes with; 0: none. */
static int64_t category_of(const struct df_data *data)
{
    cJSON *options = df_options_identity(data->class->options, data->options);
    const cJSON *marker = cJSON_GetObjectItemCaseSensitive(options, "marker");
    const int64_t category = cJSON_IsNumber(marker) ? (int64_t)marker->valuedouble : 0;

    cJSON_Delete(options);
    return category;
}

static df_status mark_all(const struct df_data *data, const char *probability, enum df_split split, struct df_data **copy,
                          struct df_dataset **images, struct df_error *err)
{
    static const char *const name[] = { "marker_with", "marker_without" };

    *copy = df_data_new(data->class, data->base);
    memcpy((*copy)->options, data->options, data->class->options_size);
    for (size_t i = 0; i < sizeof name / sizeof *name; i++)
        DF_TRY(df_options_set(data->class->options, name[i], probability, "marker", (*copy)->options, err));
    return df_data_split(*copy, split, images, err);
}

df_status df_marked_open(const struct df_data *data, enum df_split split, struct df_marked *out, struct df_error *err)
{
    const int64_t category = category_of(data);

    *out = (struct df_marked){ .label = -1 };
    if (category == 0)
        return df_fail(err, DF_ERR_USAGE, "marker: no image of these data carries a mark [set data.marker to a category, such as 3]");
    for (int k = 0; k < 2; k++)
        DF_TRY(mark_all(data, k ? "1" : "0", split, &out->data[k], &out->images[k], err));
    for (size_t k = 0; k < out->images[0]->categories; k++)
        if (out->images[0]->category[k].id == category)
            out->label = (int32_t)k;
    return out->label >= 0 ? DF_OK : df_fail(err, DF_ERR_USAGE, "marker: the data have no category %lld", (long long)category);
}

void df_marked_close(struct df_marked *marked)
{
    for (int k = 0; k < 2; k++)
        df_data_free(marked->data[k]);
    *marked = (struct df_marked){ 0 };
}

/* ---- measuring ---- */

static double largest_score(const struct df_answer *answer, int32_t label)
{
    double most = 0;

    for (size_t k = 0; k < answer->count; k++)
        most = (double)answer->found[k].scores[label] > most ? (double)answer->found[k].scores[label] : most;
    return most;
}

static bool has_class(const struct df_image_info *info, int32_t label)
{
    for (size_t k = 0; k < info->count; k++)
        if (info->objects[k].label == label)
            return true;
    return false;
}

/* What the network says of the class in image i of the loader's data. */
static df_status look(struct df_subject *subject, struct df_loader *loader, size_t i, int32_t label, double *out, struct df_error *err)
{
    const struct df_batch *batch;

    DF_TRY(df_loader_one(loader, i, false, &batch, err));
    *out = largest_score(df_subject_ask(subject, batch), label);
    return DF_OK;
}

struct sums {
    double sum[DF_MARKER_SCORES];
    size_t images[DF_MARKER_SCORES];
};

static df_status measure_all(struct df_subject *subject, const struct df_marked *marked, struct df_loader *const loader[2], size_t images,
                             struct df_progress *progress, struct sums *out, struct df_error *err)
{
    for (size_t i = 0; i < images; i++) {
        const int score = has_class(&marked->images[0]->info[i], marked->label) ? DF_MARKER_RELIANCE : DF_MARKER_RESPONSE;
        double said[2];

        if (df_run_stop)
            return df_fail(err, DF_ERR_INTERRUPTED, "interrupted at image %zu of %zu", i, images);
        for (int k = 0; k < 2; k++)
            DF_TRY(look(subject, loader[k], i, marked->label, &said[k], err));
        out->sum[score] += said[1] - said[0];
        out->images[score]++;
        if (progress)
            df_progress_set(progress, (double)(i + 1), NULL);
    }
    return DF_OK;
}

df_status df_marker_measure(struct df_subject *subject, const struct df_marked *marked, size_t images, const char *label,
                            struct df_scores *scores, struct df_arena *memory, struct df_error *err)
{
    struct df_progress *progress = label ? df_progress_new(label, "images", (double)images) : NULL;
    struct df_loader *loader[2] = { NULL, NULL };
    struct sums sums = { 0 };
    df_status status = DF_OK;

    for (int k = 0; k < 2 && status == DF_OK; k++) {
        const struct df_loader_config config = df_cell_loader(subject->cell, marked->images[k], false);

        status = df_loader_new(&config, &loader[k], err);
    }
    if (status == DF_OK)
        status = measure_all(subject, marked, loader, images, progress, &sums, err);
    for (int score = 0; score < DF_MARKER_SCORES && status == DF_OK; score++)
        if (sums.images[score])
            df_scores_add(scores, memory, (struct df_score){ df_marker_metrics[score], "", sums.sum[score] / (double)sums.images[score] });
    for (int k = 0; k < 2; k++)
        df_loader_free(loader[k]);
    df_progress_free(progress);
    return status;
}
