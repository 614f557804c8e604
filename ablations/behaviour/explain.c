#include "ablations/behaviour/explain.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/progress.h"

const char *const df_explain_metrics[DF_EXPLAIN_SCORES] = { "explain.agreement", "explain.energy_gap", "explain.outside",
                                                            "explain.pointing",  "explain.split_half", "explain.deletion",
                                                            "explain.insertion" };
const char *const df_explain_half_metrics[DF_EXPLAIN_HALVED][2] = { { "explain.agreement.even", "explain.agreement.odd" },
                                                                    { "explain.energy_gap.even", "explain.energy_gap.odd" },
                                                                    { "explain.outside.even", "explain.outside.odd" } };

struct only {
    struct df_explain_options ask;
};
const df_option df_explain_option_table[] = { DF_EXPLAIN_OPTION_ROWS(struct only, ask), { 0 } };

void df_explain_question(const struct df_explain_options *options, const struct df_subject *subject, const struct df_subject *teacher,
                         size_t images, struct df_question *question)
{
    *question = (struct df_question){ .name = "explain",
                                      .revision = 1,
                                      .options = df_explain_option_table,
                                      .values = options,
                                      .networks = teacher ? 2 : 1,
                                      .network = { subject, teacher },
                                      .split = DF_VALIDATION,
                                      .images = images };
    df_question_seal(question);
}

/* ---- an image and its objects ---- */

struct looking {
    const struct df_explain_options *options;
    struct df_subject *subject;
    struct df_answerer answerer;
    struct df_loader *loader;
    struct df_arena memory; /* of an image's targets */
    struct df_scene_asked asked;
};

static df_status looking_open(const struct df_explain_options *options, struct df_subject *subject, struct looking *out,
                              struct df_error *err)
{
    struct df_loader_config config = df_cell_loader(subject->cell, subject->images, false);

    config.packed = false;
    *out = (struct looking){ .options = options, .subject = subject, .answerer = df_answerer_of(subject) };
    DF_TRY(df_loader_new(&config, &out->loader, err));
    df_arena_init(&out->memory, NULL, 4096);
    return DF_OK;
}

static void looking_close(struct looking *looking)
{
    if (looking->loader)
        df_arena_release(&looking->memory);
    df_loader_free(looking->loader);
}

/* Image i; its objects are the targets: each its box, with its class alone. */
static df_status look_at(struct looking *looking, size_t i, struct df_error *err)
{
    const size_t classes = looking->answerer.classes;
    const struct df_batch *batch;

    DF_TRY(df_loader_one(looking->loader, i, false, &batch, err));
    df_arena_reset(&looking->memory);

    const struct df_ground_truth *truth = &batch->truth[0];
    struct df_target *target = df_arena_alloc(&looking->memory, truth->count * sizeof *target);

    for (size_t t = 0; t < truth->count; t++) {
        float *scores = df_arena_alloc(&looking->memory, classes * sizeof *scores);

        memset(scores, 0, classes * sizeof *scores);
        scores[truth->labels[t]] = 1;
        target[t] = (struct df_target){ truth->boxes[t], scores };
    }
    looking->asked = (struct df_scene_asked){ &looking->subject->cell->canvas, batch, truth->count, target };
    return DF_OK;
}

static df_status ask_image(struct looking *looking, size_t i, struct df_heard *heard, struct df_error *err)
{
    DF_TRY(look_at(looking, i, err));

    const struct df_batch *batch = looking->asked.image;
    const struct df_heard_image of = { .objects = (uint32_t)looking->asked.targets,
                                       .h = (uint32_t)batch->valid_h[0],
                                       .w = (uint32_t)batch->valid_w[0] };
    float *weight = df_heard_add(heard, i, of);

    return of.objects ? df_saliency_ask(&looking->options->saliency, &looking->answerer, &looking->asked, weight, err) : DF_OK;
}

df_status df_explain_ask(const struct df_explain_options *options, struct df_subject *subject, size_t images, const char *label,
                         struct df_heard *heard, struct df_error *err)
{
    struct df_progress *progress = label ? df_progress_new(label, "images", (double)images) : NULL;
    struct looking looking;
    df_status status = looking_open(options, subject, &looking, err);

    df_heard_init(heard, images, (size_t)options->saliency.mask.count);
    for (size_t i = 0; i < images && status == DF_OK; i++) {
        status = ask_image(&looking, i, heard, err);
        if (progress)
            df_progress_set(progress, (double)(i + 1), NULL);
    }
    looking_close(&looking);
    df_progress_free(progress);
    if (status != DF_OK)
        df_heard_release(heard);
    return status;
}

/* ---- scores ---- */

/* Of one object; NAN: not measured. */
struct object_scores {
    double value[DF_EXPLAIN_SCORES], half[DF_EXPLAIN_HALVED][2];
};

/* An object's maps: of the even masks, of the odd ones, of all. */
struct maps {
    struct df_map even, odd, all;
};

static struct maps maps_of(size_t h, size_t w, const double *halves, double *all)
{
    const size_t pixels = h * w;

    for (size_t p = 0; p < pixels; p++)
        all[p] = (halves[p] + halves[pixels + p]) / 2;
    return (struct maps){ { h, w, halves }, { h, w, halves + pixels }, { h, w, all } };
}

/* The scores that any number of masks tell: of one network's map, held against another's. */
static void score_pair(const struct df_map *map, const struct df_map *teacher, struct df_box box, double out[DF_EXPLAIN_HALVED])
{
    const double energy = df_map_energy_in(map, box);

    out[DF_EXPLAIN_OUTSIDE] = 1 - energy;
    out[DF_EXPLAIN_AGREEMENT] = teacher ? df_rank_correlation(map->value, teacher->value, map->h * map->w) : NAN;
    out[DF_EXPLAIN_ENERGY_GAP] = teacher ? fabs(energy - df_map_energy_in(teacher, box)) : NAN;
}

static void score_maps(const struct maps *maps, const struct maps *teacher, struct df_box box, struct object_scores *out)
{
    double even[DF_EXPLAIN_HALVED], odd[DF_EXPLAIN_HALVED];

    score_pair(&maps->all, teacher ? &teacher->all : NULL, box, out->value);
    score_pair(&maps->even, teacher ? &teacher->even : NULL, box, even);
    score_pair(&maps->odd, teacher ? &teacher->odd : NULL, box, odd);
    for (int k = 0; k < DF_EXPLAIN_HALVED; k++) {
        out->half[k][0] = even[k];
        out->half[k][1] = odd[k];
    }
    out->value[DF_EXPLAIN_POINTING] = df_map_points_at(&maps->all, box);
    out->value[DF_EXPLAIN_SPLIT_HALF] = df_rank_correlation(maps->even.value, maps->odd.value, maps->all.h * maps->all.w);
}

/* The halves of all objects of an image. free() them. */
static double *halves_of(const struct df_explain_options *options, const struct df_heard_image *image)
{
    double *halves = df_malloc((size_t)image->objects * 2 * image->h * image->w * sizeof *halves + 1);

    df_saliency_halves(&options->saliency, image->weight, image->objects, image->h, image->w, halves);
    return halves;
}

static df_status score_object(struct looking *looking, size_t t, const struct maps *maps, const struct maps *teacher,
                              struct object_scores *out, struct df_error *err)
{
    const struct df_explain_options *o = looking->options;
    struct df_erasure erasure = { NAN, NAN };

    score_maps(maps, teacher, looking->asked.target[t].box, out);
    if (o->erasure.steps)
        DF_TRY(df_erasure_measure(&o->erasure, &o->saliency, &looking->answerer, &looking->asked, t, &maps->all, &erasure, err));
    out->value[DF_EXPLAIN_DELETION] = erasure.deletion;
    out->value[DF_EXPLAIN_INSERTION] = erasure.insertion;
    return DF_OK;
}

static df_status check_sizes(const struct df_heard_image *a, const struct df_heard_image *b, size_t i, struct df_error *err)
{
    if (a->h == b->h && a->w == b->w && a->objects == b->objects)
        return DF_OK;
    return df_fail(
        err, DF_ERR_UNSUPPORTED,
        "image %zu: one network sees it as %u x %u pixels with %u objects, the other as %u x %u with %u: their maps cannot be held "
        "against each other (expected one canvas)",
        i, a->w, a->h, a->objects, b->w, b->h, b->objects);
}

static df_status score_image(struct looking *looking, size_t i, const struct df_heard_image *image, const struct df_heard_image *teacher,
                             struct object_scores *out, struct df_error *err)
{
    DF_TRY(look_at(looking, i, err));
    if (teacher)
        DF_TRY(check_sizes(image, teacher, i, err));

    const size_t pixels = (size_t)image->h * image->w;
    double *own = halves_of(looking->options, image), *theirs = teacher ? halves_of(looking->options, teacher) : NULL;
    double *all = df_malloc(2 * pixels * sizeof *all);
    df_status status = DF_OK;

    for (size_t t = 0; t < image->objects && status == DF_OK; t++) {
        const struct maps maps = maps_of(image->h, image->w, own + 2 * t * pixels, all);
        const struct maps held = teacher ? maps_of(image->h, image->w, theirs + 2 * t * pixels, all + pixels) : maps;

        status = score_object(looking, t, &maps, teacher ? &held : NULL, &out[t], err);
    }
    free(own);
    free(theirs);
    free(all);
    return status;
}

/* The metric of all objects, and of each. */
static void add_scores(const struct df_heard *heard, const char *metric, const double *value, size_t stride, struct df_scores *scores,
                       struct df_arena *memory)
{
    double sum = 0;
    size_t n = 0;

    for (size_t i = 0; i < heard->images; i++)
        for (size_t t = 0; t < heard->image[i].objects; t++, n++)
            sum += value[n * stride];
    if (n == 0 || isnan(sum))
        return;
    df_scores_add(scores, memory, (struct df_score){ metric, "", sum / (double)n });
    n = 0;
    for (size_t i = 0; i < heard->images; i++)
        for (size_t t = 0; t < heard->image[i].objects; t++, n++) {
            char name[48];

            snprintf(name, sizeof name, "%zu.%zu", i, t);
            df_scores_add(scores, memory, (struct df_score){ metric, name, value[n * stride] });
        }
}

static void add_all_scores(const struct df_heard *heard, const struct object_scores *object, struct df_scores *scores,
                           struct df_arena *memory)
{
    const size_t stride = sizeof *object / sizeof(double);

    for (int k = 0; k < DF_EXPLAIN_SCORES; k++)
        add_scores(heard, df_explain_metrics[k], &object->value[k], stride, scores, memory);
    for (int k = 0; k < DF_EXPLAIN_HALVED; k++)
        for (int half = 0; half < 2; half++)
            add_scores(heard, df_explain_half_metrics[k][half], &object->half[k][half], stride, scores, memory);
}

df_status df_explain_scores(const struct df_explain_options *options, struct df_subject *subject, const struct df_heard *heard,
                            const struct df_heard *teacher, struct df_scores *scores, struct df_arena *memory, struct df_error *err)
{
    struct object_scores *object;
    struct looking looking;
    size_t objects = 0, n = 0;
    df_status status = looking_open(options, subject, &looking, err);

    for (size_t i = 0; i < heard->images; i++)
        objects += heard->image[i].objects;
    object = df_calloc(objects + 1, sizeof *object);
    for (size_t i = 0; i < heard->images && status == DF_OK; n += heard->image[i++].objects)
        status = score_image(&looking, i, &heard->image[i], teacher ? &teacher->image[i] : NULL, object + n, err);
    if (status == DF_OK)
        add_all_scores(heard, object, scores, memory);
    looking_close(&looking);
    free(object);
    return status;
}
