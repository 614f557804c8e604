#include "ablations/cli/compare_images.h"

#include <stdlib.h>
#include <string.h>

#include "ablations/run/store.h"
#include "core/base/file.h"
#include "core/base/progress.h"
#include "core/base/rng.h"
#include "core/metrics/drawn.h"

/* A run's detections, read once for all draws. */
struct left {
    struct df_detection *detections;
    struct df_drawn *drawn;
};
struct images {
    const struct df_dataset *validation;
    size_t pairs;
    struct left *left; /* [2 pairs]: a, b, a, b, ... */
    int metric;        /* of COCO's 12; -1: a class's */
    size_t class;
    bool half; /* the class's AP50 */
};

static const struct df_cell *cell_of(const struct df_spec *spec, const char *run)
{
    for (size_t i = 0; i < spec->count; i++)
        if (strcmp(spec->cell[i]->id, run) == 0)
            return spec->cell[i];
    return NULL;
}

static df_status find_score(struct images *im, const struct df_comparison *c, struct df_error *err)
{
    im->metric = -1;
    im->half = strcmp(c->metric, "AP50") == 0;
    for (int m = 0; m < DF_COCO_METRICS && !c->class[0]; m++)
        if (strcmp(c->metric, df_coco_metric_names[m]) == 0)
            im->metric = m;
    while (c->class[0] && im->class < im->validation->categories && strcmp(im->validation->category[im->class].name, c->class) != 0)
        im->class ++;
    if (c->class[0] ? im->class == im->validation->categories || (!im->half && strcmp(c->metric, "AP") != 0) : im->metric < 0)
        return df_fail(err, DF_ERR_UNSUPPORTED,
                       "--images: '%s%s%s' cannot be had of detections alone [COCO's 12, or AP or AP50 of a class]", c->metric,
                       c->class[0] ? "." : "", c->class);
    return DF_OK;
}

static df_status read_left(const struct images *im, const struct df_cell *cell, const char *out, struct left *left, struct df_error *err)
{
    char *path = df_store_cell_file(out, cell, DF_CELL_RESULTS);
    size_t count = 0;
    df_status status;

    if (!df_file_exists(path))
        status =
            df_fail(err, DF_ERR_NOT_FOUND, "--images: '%s' is not there: rows that were published or imported have no detections", path);
    else
        status = df_coco_results_read(path, &left->detections, &count, err);
    if (status == DF_OK)
        status = df_drawn_new(df_coco_set_of_dataset(im->validation), left->detections, count, &left->drawn, err);
    free(path);
    return status;
}

static df_status open_images(struct images *im, const struct df_spec *spec, const char *out, const struct df_comparison *c,
                             struct df_error *err)
{
    const struct df_cell *first = cell_of(spec, c->pair[0].run_a);
    struct df_dataset *validation;

    if (!first)
        return df_fail(err, DF_ERR_UNSUPPORTED, "--images: rows of an older semantics have no detections");
    DF_TRY(df_data_split(first->data, DF_VALIDATION, &validation, err));
    im->validation = validation;
    im->pairs = c->pairs;
    im->left = df_calloc(2 * c->pairs + 1, sizeof *im->left);
    DF_TRY(find_score(im, c, err));
    for (size_t i = 0; i < 2 * c->pairs; i++) {
        const struct df_cell *cell = cell_of(spec, i % 2 ? c->pair[i / 2].run_b : c->pair[i / 2].run_a);

        DF_ASSERT(cell);
        if (cell->data != first->data)
            return df_fail(err, DF_ERR_UNSUPPORTED, "--images: the runs were judged on other data [compare the methods of one variant]");
        DF_TRY(read_left(im, cell, out, &im->left[i], err));
    }
    return DF_OK;
}

static void images_release(struct images *im)
{
    for (size_t i = 0; im->left && i < 2 * im->pairs; i++) {
        df_drawn_free(im->left[i].drawn);
        free(im->left[i].detections);
    }
    free(im->left);
}

static df_status score_of(const struct images *im, const struct left *left, const uint32_t *draw, double *out, struct df_error *err)
{
    struct df_coco_scores scores;

    DF_TRY(df_drawn_evaluate(left->drawn, draw, im->validation->size, &scores, err));
    *out = 100 * (im->metric >= 0 ? scores.value[im->metric] : im->half ? scores.class_ap50[im->class] : scores.class_ap[im->class]);
    df_coco_scores_release(&scores);
    return DF_OK;
}

/* The mean difference over the pairs, of the images of this draw. */
static df_status difference_of(const struct images *im, const uint32_t *draw, double *out, struct df_error *err)
{
    double sum = 0;

    for (size_t i = 0; i < im->pairs; i++) {
        double a, b;

        DF_TRY(score_of(im, &im->left[2 * i], draw, &a, err));
        DF_TRY(score_of(im, &im->left[2 * i + 1], draw, &b, err));
        sum += a - b;
    }
    *out = sum / (double)im->pairs;
    return DF_OK;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The p-th part of sorted values, between two of them where it falls there. */
static double part(const double *sorted, size_t n, double p)
{
    const double at = p * (double)(n - 1);
    const size_t low = (size_t)at, high = low + 1 < n ? low + 1 : low;

    return sorted[low] + (at - (double)low) * (sorted[high] - sorted[low]);
}

static df_status draw_all(const struct images *im, size_t draws, double *difference, struct df_error *err)
{
    const size_t images = im->validation->size;
    uint32_t *draw = df_malloc((images + 1) * sizeof *draw);
    struct df_progress *progress = df_progress_new("images drawn", "draws", (double)draws);
    df_status status = DF_OK;

    for (size_t k = 0; k < draws && status == DF_OK; k++) {
        struct df_rng rng;

        df_rng_init(&rng, 0, DF_RNG_BOOTSTRAP, k);
        for (size_t i = 0; i < images; i++)
            draw[i] = df_rng_below(&rng, (uint32_t)images);
        status = difference_of(im, draw, &difference[k], err);
        df_progress_set(progress, (double)(k + 1), NULL);
    }
    df_progress_free(progress);
    free(draw);
    return status;
}

df_status df_compare_images(const struct df_spec *spec, const char *out, const struct df_comparison *comparison, size_t draws,
                            struct df_images_interval *interval, struct df_error *err)
{
    double *difference = df_malloc((draws + 1) * sizeof *difference);
    struct images im = { 0 };
    df_status status = open_images(&im, spec, out, comparison, err);

    if (status == DF_OK)
        status = draw_all(&im, draws, difference, err);
    if (status == DF_OK) {
        qsort(difference, draws, sizeof *difference, by_value);
        *interval = (struct df_images_interval){
            .draws = draws, .images = im.validation->size, .low = part(difference, draws, 0.025), .high = part(difference, draws, 0.975)
        };
    }
    images_release(&im);
    free(difference);
    return status;
}
