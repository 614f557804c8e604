#include "ablations/behaviour/explain_spread.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/rng.h"
#include "results/environment.h"

/* Differences summed over pairs and objects, image by image. */
struct by_image {
    size_t images;
    double *sum;     /* [images] */
    double *objects; /* [images] */
};

/* The image that a score of one object is of; SIZE_MAX: of no object. */
static size_t image_of(const struct df_score *score, const char *metric)
{
    size_t image, object;

    return strcmp(score->metric, metric) == 0 && sscanf(score->class, "%zu.%zu", &image, &object) == 2 ? image : SIZE_MAX;
}

static void make_room(struct by_image *by, size_t images)
{
    if (images <= by->images)
        return;
    by->sum = df_realloc(by->sum, images * sizeof *by->sum);
    by->objects = df_realloc(by->objects, images * sizeof *by->objects);
    memset(by->sum + by->images, 0, (images - by->images) * sizeof *by->sum);
    memset(by->objects + by->images, 0, (images - by->images) * sizeof *by->objects);
    by->images = images;
}

static void add_row(const struct df_run_row *row, const char *metric, double sign, struct by_image *by)
{
    for (size_t k = 0; k < row->scores.count; k++) {
        const size_t image = image_of(&row->scores.score[k], metric);

        if (image == SIZE_MAX)
            continue;
        make_room(by, image + 1);
        by->sum[image] += sign * row->scores.score[k].value;
        by->objects[image] += sign > 0;
    }
}

static const struct df_run_row *row_of(const struct df_journal *journal, const struct df_table_request *request, size_t line, int64_t seed)
{
    const struct df_table_line_request *of = &request->line[line];

    for (size_t i = 0; i < of->runs; i++)
        if (of->seed[i] == seed)
            return df_journal_find(journal, of->run[i], request->semantics);
    return NULL;
}

static double mean_difference(const struct df_run_row *a, const struct df_run_row *b, const char *metric)
{
    return df_run_row_score(a, metric, "") - df_run_row_score(b, metric, "");
}

static int rising(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* 2.5 and 97.5 % of the draws; one without an object says nothing, and there is none where every image has one. */
static void draw_images(const struct by_image *by, struct df_explain_spread *out)
{
    double *mean = df_malloc(DF_EXPLAIN_DRAWS * sizeof *mean);
    size_t draws = 0;

    for (uint64_t draw = 0; draw < DF_EXPLAIN_DRAWS; draw++) {
        double sum = 0, objects = 0;
        struct df_rng rng;

        df_rng_init(&rng, 0, DF_RNG_BOOTSTRAP, draw);
        for (size_t i = 0; i < by->images; i++) {
            const uint32_t image = df_rng_below(&rng, (uint32_t)by->images);

            sum += by->sum[image];
            objects += by->objects[image];
        }
        if (objects > 0)
            mean[draws++] = 100 * sum / objects;
    }
    if (by->images > 1 && draws > 0) {
        qsort(mean, draws, sizeof *mean, rising);
        out->low = mean[(size_t)(0.025 * (double)(draws - 1) + 0.5)];
        out->high = mean[(size_t)(0.975 * (double)(draws - 1) + 0.5)];
    }
    free(mean);
}

struct df_explain_spread df_explain_spread_of(const struct df_journal *journal, const struct df_table_request *request, size_t line,
                                              enum df_explain_score score)
{
    struct df_explain_spread out = { .mean = NAN, .low = NAN, .high = NAN, .masks = NAN };
    const struct df_table_line_request *of = &request->line[line];
    const char *metric = df_explain_metrics[score];
    double even = 0, odd = 0, mean = 0;
    struct by_image by = { 0 };

    DF_ASSERT(score < DF_EXPLAIN_HALVED);
    for (size_t i = 0; i < of->runs; i++) {
        const struct df_run_row *a = df_journal_find(journal, of->run[i], request->semantics);
        const struct df_run_row *b = row_of(journal, request, of->baseline, of->seed[i]);

        if (!df_run_row_ok(a) || !df_run_row_ok(b) || !df_rows_share_teacher(a, b) || isnan(mean_difference(a, b, metric)))
            continue;
        out.pairs++;
        mean += mean_difference(a, b, metric);
        even += mean_difference(a, b, df_explain_half_metrics[score][0]);
        odd += mean_difference(a, b, df_explain_half_metrics[score][1]);
        add_row(a, metric, 1, &by);
        add_row(b, metric, -1, &by);
    }
    if (out.pairs) {
        out.mean = 100 * mean / (double)out.pairs;
        out.masks = 100 * fabs(even - odd) / (2 * (double)out.pairs);
        draw_images(&by, &out);
    }
    free(by.sum);
    free(by.objects);
    return out;
}
