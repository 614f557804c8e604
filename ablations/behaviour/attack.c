#include "ablations/behaviour/attack.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/behaviour/patch_attack.h"
#include "ablations/behaviour/question.h"
#include "ablations/behaviour/view.h"
#include "ablations/run/evaluate.h"
#include "ablations/run/stop.h"
#include "ablations/run/store.h"
#include "core/base/file.h"
#include "core/base/progress.h"
#include "core/data/image_codec.h"
#include "core/data/image_file.h"

enum { REVISION = 1 };

/* ---- what a row and a patch are known by ---- */

struct identity {
    struct df_attack_values values;
    bool at_random;
    int64_t draw;
};
static const df_option identity_table[] = {
    DF_ATTACK_OPTION_ROWS(struct identity, values),
    { "at_random", DF_BOOL_OPTION(struct identity, at_random), .absent = "0", .help = "blocks and values are drawn" },
    { "draw", DF_INT_OPTION(struct identity, draw), .when = "at_random=1", .help = "seed of that" },
    { 0 },
};

/* Of the control nothing counts but how much may be covered, and which boxes do. */
static struct identity identity_of(const struct df_attack_case *what)
{
    const struct df_attack_values *asked = what->values;
    struct identity identity;

    df_options_standard(identity_table, &identity);
    if (what->attacked)
        return (struct identity){ .values = *asked };
    identity.values.area = asked->area;
    identity.values.regions = asked->regions;
    identity.values.side = asked->side;
    identity.values.score = asked->score;
    identity.at_random = true;
    identity.draw = what->draw;
    return identity;
}

/* Release it. judged: as its first network; else of the patches alone, which know nothing of who is judged and how many images are. */
static df_status question_of(const struct df_attack_case *what, const struct identity *identity, bool judged, struct df_question *out,
                             struct df_error *err)
{
    struct df_question question = { .name = DF_ATTACK_QUESTION,
                                    .revision = REVISION,
                                    .options = identity_table,
                                    .values = identity,
                                    .split = what->split,
                                    .images = judged ? what->images : 0 };

    if (what->attacked + judged > DF_QUESTION_NETWORKS)
        return df_fail(err, DF_ERR_UNSUPPORTED, "'%s': %zu networks are attacked at once, expected at most %d", what->name, what->attacked,
                       DF_QUESTION_NETWORKS - 1);
    if (judged)
        question.network[question.networks++] = what->judged;
    for (size_t i = 0; i < what->attacked; i++)
        question.network[question.networks++] = what->target[i];
    df_question_seal(&question);
    *out = question;
    return DF_OK;
}

df_status df_attack_check(const struct df_attack_values *values, struct df_error *err)
{
    if (values->least_step > values->step)
        return df_fail(err, DF_ERR_USAGE, "attack: least-step %g is above step %g, where the steps begin", values->least_step,
                       values->step);
    if (values->loss_score > values->score)
        return df_fail(err, DF_ERR_USAGE,
                       "attack: loss-score %g is above score %g: boxes between the two would count, and nobody would hide them",
                       values->loss_score, values->score);
    return DF_OK;
}

static struct df_attack_options options_of(const struct df_attack_values *values)
{
    return (struct df_attack_options){ .budget = { values->area, (size_t)values->regions },
                                       .side = (int)values->side,
                                       .choice = (enum df_block_choice)values->choice,
                                       .search = (enum df_block_search)values->search,
                                       .select_steps = (size_t)values->select_steps,
                                       .steps = (size_t)values->steps,
                                       .patience = (size_t)values->patience,
                                       .select_step = values->select_step,
                                       .step = values->step,
                                       .decay = values->decay,
                                       .least_step = values->least_step };
}

/* ---- patches ---- */

/* Their folder: free it. */
static df_status patches_of(const struct df_attack_case *what, char **out, struct df_error *err)
{
    const struct identity identity = identity_of(what);
    struct df_question question;

    DF_TRY(question_of(what, &identity, false, &question, err));
    char *folder = df_question_folder(&question, what->out);

    *out = df_store_patches(folder, question.id);
    free(folder);
    df_question_release(&question);
    return DF_OK;
}

static char *patch_path(const char *folder, size_t image)
{
    char name[32];

    snprintf(name, sizeof name, "%06zu.png", image);
    return df_path_join(folder, name);
}

/* Nothing could be hidden of an image whose budget pays for no block: that is no attack. */
static df_status check_budget(const struct df_attack_options *options, const struct df_image *image, struct df_error *err)
{
    const struct df_patch_grid grid = df_patch_grid_of(options->budget, options->side, image->width, image->height);

    if (grid.most)
        return DF_OK;
    return df_fail(err, DF_ERR_USAGE, "attack: area %g of %d x %d pixels pays for no block of side %d [a larger --area%s]",
                   options->budget.area, image->width, image->height, grid.side, options->side ? ", or --side 0" : "");
}

struct targets {
    const struct df_attack_case *what;
    struct df_view *view[DF_QUESTION_NETWORKS];
    size_t image;
};

static df_status target_slope(void *self, size_t k, const struct df_image *image, double *loss, double *slope, struct df_error *err)
{
    const struct targets *targets = self;
    struct df_view_slope out = { .slope = slope };

    DF_TRY(df_view_slope(targets->view[k], targets->image, image, targets->what->values->loss_score, &out, err));
    *loss = out.loss;
    return DF_OK;
}

static df_status make_patch(struct targets *targets, const char *path, struct df_image scratch[2], struct df_error *err)
{
    const struct df_attack_options options = options_of(targets->what->values);
    const struct df_attacked attacked = { .self = targets, .count = targets->what->attacked, .slope = target_slope };
    struct df_dataset *images = targets->what->target[0]->images;
    struct df_attack_result result;

    DF_TRY(images->class->read(images, targets->image, &scratch[0], err));
    DF_TRY(check_budget(&options, &scratch[0], err));
    DF_TRY(df_attack_image(&options, &attacked, &scratch[0], &scratch[1], &result, err));
    return df_png_write(path, scratch[1].pixels, scratch[1].width, scratch[1].height, err);
}

static df_status make_patches(struct targets *targets, const char *folder, struct df_error *err)
{
    const size_t images = targets->what->images;
    struct df_progress *progress = df_progress_new(targets->what->name, "patches", (double)images);
    struct df_image scratch[2] = { { 0 } };
    df_status status = DF_OK;

    for (targets->image = 0; targets->image < images && status == DF_OK; targets->image++) {
        char *path = patch_path(folder, targets->image);

        if (df_run_stop)
            status = df_fail(err, DF_ERR_INTERRUPTED, "interrupted before the patch of image %zu of %zu; the same command goes on there",
                             targets->image, images);
        else if (!df_file_exists(path))
            status = make_patch(targets, path, scratch, err);
        free(path);
        df_progress_set(progress, (double)(targets->image + 1), NULL);
    }
    df_progress_free(progress);
    df_image_release(&scratch[0]);
    df_image_release(&scratch[1]);
    return status;
}

df_status df_attack_make(const struct df_attack_case *what, struct df_error *err)
{
    struct targets targets = { .what = what };
    char *folder;

    if (!what->attacked)
        return DF_OK;
    DF_TRY(patches_of(what, &folder, err));

    df_status status = df_folder_make(folder, err);

    for (size_t k = 0; k < what->attacked && status == DF_OK; k++)
        status = df_view_new(what->target[k], &targets.view[k], err);
    if (status == DF_OK)
        status = make_patches(&targets, folder, err);
    for (size_t k = 0; k < what->attacked; k++)
        df_view_free(targets.view[k]);
    free(folder);
    return status;
}

df_status df_attack_read(const struct df_attack_case *what, size_t image, const struct df_image *clean, struct df_image *out,
                         struct df_error *err)
{
    const struct df_attack_options options = options_of(what->values);
    char *folder, *path;
    df_status status = DF_OK;

    DF_TRY(check_budget(&options, clean, err));
    if (!what->attacked) {
        df_attack_at_random(&options, (uint64_t)what->draw, image, clean, out);
        return DF_OK;
    }
    DF_TRY(patches_of(what, &folder, err));
    path = patch_path(folder, image);
    if (!df_file_exists(path))
        status = df_fail(err, DF_ERR_NOT_FOUND, "'%s': the patch of image %zu has not been made", path, image);
    else
        status = df_image_read(path, out, err);
    if (status == DF_OK && (out->width != clean->width || out->height != clean->height))
        status = df_fail(err, DF_ERR_STALE, "'%s': %d x %d pixels, expected the image's %d x %d [remove it: it will be made again]", path,
                         out->width, out->height, clean->width, clean->height);
    free(path);
    free(folder);
    return status;
}

/* ---- judging ---- */

struct detections {
    struct df_detection *at;
    size_t count, capacity;
};
struct judging {
    const struct df_attack_case *what;
    struct df_view *view;
    struct df_image clean, patched;
    struct detections before, after;
};

/* Adds what is found, and counts the boxes above the threshold. */
static df_status look(struct judging *j, size_t image, const struct df_image *pixels, struct detections *to, size_t *boxes,
                      struct df_error *err)
{
    struct df_sight seen;

    DF_TRY(df_view_ask(j->view, image, pixels, &seen, err));
    if (to->capacity - to->count < seen.answer.count) {
        to->capacity = 2 * to->capacity + seen.answer.count;
        to->at = df_realloc(to->at, to->capacity * sizeof *to->at);
    }
    *boxes = 0;
    for (size_t i = 0; i < seen.answer.count; i++) {
        to->at[to->count++] = df_coco_detection(&seen.answer.found[i], j->what->judged->images, seen.batch, 0);
        *boxes += (double)seen.answer.found[i].score > j->what->values->score;
    }
    return DF_OK;
}

static df_status judge_image(struct judging *j, size_t image, struct df_evasion *out, struct df_error *err)
{
    struct df_dataset *images = j->what->judged->images;

    DF_TRY(images->class->read(images, image, &j->clean, err));
    DF_TRY(df_attack_read(j->what, image, &j->clean, &j->patched, err));
    DF_TRY(look(j, image, &j->clean, &j->before, &out->clean, err));
    DF_TRY(look(j, image, &j->patched, &j->after, &out->left, err));
    out->use = df_patch_measure(&j->clean, &j->patched);
    out->pixels = (size_t)j->clean.width * (size_t)j->clean.height;
    return DF_OK;
}

static df_status ap_of(const struct judging *j, const struct detections *found, double *ap, struct df_error *err)
{
    struct df_coco_set set = df_coco_set_of_dataset(j->what->judged->images);
    struct df_coco_scores scores;

    set.images = j->what->images;
    DF_TRY(df_coco_evaluate(set, found->at, found->count, &scores, err));
    *ap = scores.value[DF_AP];
    df_coco_scores_release(&scores);
    return DF_OK;
}

static df_status judge_images(struct judging *j, struct df_attack_told *told, struct df_error *err)
{
    for (size_t i = 0; i < told->images; i++) {
        if (df_run_stop)
            return df_fail(err, DF_ERR_INTERRUPTED, "interrupted while image %zu of %zu was judged", i, told->images);
        DF_TRY(judge_image(j, i, &told->image[i], err));
    }
    DF_TRY(ap_of(j, &j->before, &told->ap_clean, err));
    return ap_of(j, &j->after, &told->ap, err);
}

static df_status ask(const struct df_attack_case *what, struct df_attack_told *told, struct df_error *err)
{
    struct judging j = { .what = what };
    df_status status = df_view_new(what->judged, &j.view, err);

    if (status == DF_OK)
        status = judge_images(&j, told, err);
    df_view_free(j.view);
    df_image_release(&j.clean);
    df_image_release(&j.patched);
    free(j.before.at);
    free(j.after.at);
    return status;
}

/* The means, from what is known of each image. */
static void sum_up(struct df_attack_told *told)
{
    size_t counted = 0;

    told->rate = told->score = 0;
    for (size_t i = 0; i < told->images; i++) {
        const struct df_evasion *e = &told->image[i];
        const bool within = df_patch_within(e->use, told->budget, e->pixels);

        told->beyond += !within;
        told->left_out += !e->clean;
        if (!e->clean)
            continue;
        told->rate += df_evasion_rate(e);
        told->score += df_evasion_score(e, told->budget, within);
        counted++;
    }
    told->rate = counted ? told->rate / (double)counted : (double)NAN;
    told->score = counted ? told->score / (double)counted : (double)NAN;
}

/* ---- rows ---- */

static void add_score(struct df_run_row *row, struct df_arena *memory, const char *metric, const char *class, double value)
{
    df_scores_add(&row->scores, memory, (struct df_score){ metric, class, value });
}

/* Of one image: where its numbers stand in what is told. */
struct image_number {
    const char *metric;
    size_t offset;
};
static const struct image_number image_numbers[] = { { "attack.clean", offsetof(struct df_evasion, clean) },
                                                     { "attack.left", offsetof(struct df_evasion, left) },
                                                     { "attack.changed", offsetof(struct df_evasion, use.changed) },
                                                     { "attack.regions", offsetof(struct df_evasion, use.regions) },
                                                     { "attack.pixels", offsetof(struct df_evasion, pixels) } };
enum { IMAGE_NUMBERS = sizeof image_numbers / sizeof *image_numbers };

static size_t *number_of(struct df_evasion *image, size_t k) { return (size_t *)(void *)((char *)image + image_numbers[k].offset); }

static df_status put_row(const struct df_attack_case *what, const struct df_question *question, struct df_attack_told *told,
                         struct df_error *err)
{
    struct df_arena memory;
    struct df_text axes = DF_TEXT_INIT;
    char class[32];

    df_arena_init(&memory, NULL, 4096);

    struct df_run_row row = df_question_row(question, &memory);

    df_text_addf(&axes, "%s%spatches=%s area=%g", row.axes, row.axes[0] ? " " : "", what->name, what->values->area);
    row.axes = df_text_get(&axes);
    row.status = "ok";
    add_score(&row, &memory, "attack.evasion", "", told->rate);
    add_score(&row, &memory, "attack.score", "", told->score);
    add_score(&row, &memory, "attack.images", "", (double)told->images);
    add_score(&row, &memory, "attack.left_out", "", (double)told->left_out);
    add_score(&row, &memory, "attack.beyond", "", (double)told->beyond);
    add_score(&row, &memory, "attack.AP_clean", "", told->ap_clean);
    add_score(&row, &memory, "attack.AP_patched", "", told->ap);
    for (size_t i = 0; i < told->images; i++)
        for (size_t k = 0; k < IMAGE_NUMBERS; k++) {
            snprintf(class, sizeof class, "%zu", i);
            add_score(&row, &memory, image_numbers[k].metric, class, (double)*number_of(&told->image[i], k));
        }
    const df_status status = df_question_put(question, what->out, &row, err);

    df_text_release(&axes);
    df_arena_release(&memory);
    return status;
}

/* What the row says. False: a number is not there, or is none that was written so. */
static bool from_row(const struct df_run_row *row, struct df_attack_told *told)
{
    char class[32];

    told->ap_clean = df_run_row_score(row, "attack.AP_clean", "");
    told->ap = df_run_row_score(row, "attack.AP_patched", "");
    for (size_t i = 0; i < told->images; i++)
        for (size_t k = 0; k < IMAGE_NUMBERS; k++) {
            snprintf(class, sizeof class, "%zu", i);

            const double value = df_run_row_score(row, image_numbers[k].metric, class);

            if (!(value >= 0 && value < 1e15 && value == floor(value)))
                return false;
            *number_of(&told->image[i], k) = (size_t)value;
        }
    return !isnan(told->ap_clean) && !isnan(told->ap);
}

static df_status judge(const struct df_attack_case *what, const struct df_question *question, const struct df_journal *known,
                       struct df_attack_told *told, struct df_error *err)
{
    const struct df_run_row *row = df_journal_find(known, question->id, DF_SEMANTICS);

    if (!df_run_row_ok(row)) {
        DF_TRY(ask(what, told, err));
        sum_up(told);
        return put_row(what, question, told, err);
    }
    if (!from_row(row, told))
        return df_fail(err, DF_ERR_FORMAT, "row %s does not tell what became of each of its %zu images [remove it: it will be made again]",
                       question->id, told->images);
    sum_up(told);
    return DF_OK;
}

df_status df_attack_judge(const struct df_attack_case *what, const struct df_journal *known, struct df_attack_told *out,
                          struct df_error *err)
{
    const struct identity identity = identity_of(what);
    struct df_attack_told told = { .images = what->images, .budget = { what->values->area, (size_t)what->values->regions } };
    struct df_question question;

    DF_ASSERT(what->images > 0 && what->images <= what->judged->images->size);
    for (size_t k = 0; k < what->attacked; k++)
        if (what->target[k]->images->hash != what->judged->images->hash)
            return df_fail(err, DF_ERR_STALE, "the patches for '%s' lie on other images than '%s' is judged by", what->name,
                           what->judged->cell->label);
    DF_TRY(question_of(what, &identity, true, &question, err));
    told.image = df_calloc(told.images, sizeof *told.image);

    const df_status status = judge(what, &question, known, &told, err);

    if (status == DF_OK)
        *out = told;
    else
        df_attack_told_release(&told);
    df_question_release(&question);
    return status;
}

void df_attack_told_release(struct df_attack_told *told)
{
    free(told->image);
    *told = (struct df_attack_told){ 0 };
}
