#include "ablations/cli/predict_images.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ablations/run/described.h"
#include "ablations/run/evaluate.h"
#include "ablations/run/model.h"
#include "core/base/file.h"
#include "core/data/draw.h"
#include "core/data/image_codec.h"
#include "core/data/image_list.h"

#define LARGE_ENOUGH 400 /* pixels: smaller images are enlarged by a whole factor, so that names can be read */

struct found {
    const struct df_predict_images *options;
    const struct df_described *network;
    struct df_dataset *dataset;
    const struct df_detection *detections; /* in the order of the images, by falling score */
    size_t count;
};

bool df_predict_is_images(const char *path)
{
    const char *dot = strrchr(path, '.');

    if (df_folder_is(path))
        return true;
    return dot && (strcasecmp(dot, ".jpg") == 0 || strcasecmp(dot, ".jpeg") == 0 || strcasecmp(dot, ".png") == 0);
}

static size_t class_of(const struct found *found, const struct df_detection *detection)
{
    size_t k = 0;

    while (found->network->category[k].id != detection->category_id)
        k++;
    return k;
}

/* The detections of image i that are told: from *at on while they are its, in turn. NULL: no more. */
static const struct df_detection *next(const struct found *found, size_t i, size_t *at)
{
    while (*at < found->count && found->detections[*at].image_id == found->dataset->info[i].id) {
        const struct df_detection *detection = &found->detections[(*at)++];

        if (detection->score >= found->options->score)
            return detection;
    }
    return NULL;
}

/* ---- results ---- */

static void print_table(const struct found *found)
{
    const struct df_detection *detection;
    size_t at = 0, told = 0;

    printf("%-32s %-20s %6s %8s %8s %8s %8s\n", "image", "class", "score", "x", "y", "width", "height");
    for (size_t i = 0; i < found->dataset->size; i++)
        while ((detection = next(found, i, &at))) {
            const double *box = detection->bbox;

            printf("%-32s %-20s %6.3f %8.1f %8.1f %8.1f %8.1f\n", found->dataset->info[i].file_name,
                   found->network->category[class_of(found, detection)].name, detection->score, box[0], box[1], box[2], box[3]);
            told++;
        }
    printf("%zu boxes of score %g and more in %zu images; pictures: %s\n", told, found->options->score, found->dataset->size,
           found->options->output);
}

static cJSON *detection_json(const struct found *found, const struct df_detection *detection)
{
    const size_t k = class_of(found, detection);
    cJSON *object = cJSON_CreateObject();

    cJSON_AddNumberToObject(object, "category_id", (double)detection->category_id);
    cJSON_AddStringToObject(object, "name", found->network->category[k].name);
    cJSON_AddNumberToObject(object, "score", detection->score);
    cJSON_AddItemToObject(object, "bbox", cJSON_CreateDoubleArray(detection->bbox, 4));
    return object;
}

/* [{"image":"a.jpg","width":640,"height":480,"detections":[{"category_id":1,"name":"disk","score":0.9,"bbox":[x,y,w,h]}]}] */
static void print_json(const struct found *found)
{
    cJSON *root = cJSON_CreateArray();
    const struct df_detection *detection;
    struct df_text text = DF_TEXT_INIT;
    size_t at = 0;

    for (size_t i = 0; i < found->dataset->size; i++) {
        const struct df_image_info *info = &found->dataset->info[i];
        cJSON *image = cJSON_CreateObject(), *list = cJSON_CreateArray();

        cJSON_AddStringToObject(image, "image", info->file_name);
        cJSON_AddNumberToObject(image, "width", info->width);
        cJSON_AddNumberToObject(image, "height", info->height);
        cJSON_AddItemToObject(image, "detections", list);
        while ((detection = next(found, i, &at)))
            cJSON_AddItemToArray(list, detection_json(found, detection));
        cJSON_AddItemToArray(root, image);
    }
    df_json_canonical(root, &text);
    puts(df_text_get(&text));
    df_text_release(&text);
    cJSON_Delete(root);
}

/* ---- pictures ---- */

/* "predicted/photo.png" of "holiday/photo.jpg". Two images of one name but for its end are told apart by keeping the end. */
static char *picture_path(const struct found *found, size_t i)
{
    const char *path = found->dataset->info[i].file_name, *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const size_t stem = (size_t)(strrchr(name, '.') - name);
    struct df_text text = DF_TEXT_INIT;
    bool twice = false;

    for (size_t j = 0; j < found->dataset->size; j++) {
        const char *other = found->dataset->info[j].file_name, *at = strrchr(other, '/');

        other = at ? at + 1 : other;
        twice |= j != i && (size_t)(strrchr(other, '.') - other) == stem && strncmp(other, name, stem) == 0;
    }
    df_text_addf(&text, "%.*s.png", (int)(twice ? strlen(name) : stem), name);
    char *out = df_path_join(found->options->output, text.data);

    df_text_release(&text);
    return out;
}

/* Each pixel becomes a square of `factor`. */
static void enlarge(const struct df_image *from, int factor, struct df_image *to)
{
    df_image_reserve(to, from->width * factor, from->height * factor, 0);
    for (int y = 0; y < to->height; y++)
        for (int x = 0; x < to->width; x++)
            memcpy(to->pixels + 3 * ((size_t)y * (size_t)to->width + (size_t)x),
                   from->pixels + 3 * ((size_t)(y / factor) * (size_t)from->width + (size_t)(x / factor)), 3);
}

/* The surest box is drawn last, over the others. `at`: the image's first detection. */
static void draw_boxes(const struct found *found, size_t i, size_t at, int factor, struct df_image *picture)
{
    const struct df_frame frame = { 0, 0, picture->width, picture->height };
    const int longer = picture->width > picture->height ? picture->width : picture->height, scale = longer >= 1200 ? longer / 600 : 1;
    const struct df_detection *told[1000], *detection;
    size_t n = 0;

    while (n < sizeof told / sizeof *told && (detection = next(found, i, &at)))
        told[n++] = detection;
    while (n-- > 0) {
        const size_t k = class_of(found, told[n]);
        const double *b = told[n]->bbox, box[4] = { b[0] * factor, b[1] * factor, b[2] * factor, b[3] * factor };
        char label[256];

        snprintf(label, sizeof label, "%.200s %.2f", found->network->category[k].name, told[n]->score);
        df_draw_box(picture, frame, box, df_class_colour(k), label, scale);
    }
}

static df_status draw_image(const struct found *found, size_t i, size_t at, struct df_image scratch[2], struct df_error *err)
{
    char *path = picture_path(found, i);
    df_status status = found->dataset->class->read(found->dataset, i, &scratch[0], err);

    if (status == DF_OK) {
        const int longer = scratch[0].width > scratch[0].height ? scratch[0].width : scratch[0].height;
        const int factor = longer < LARGE_ENOUGH ? LARGE_ENOUGH / longer : 1;

        enlarge(&scratch[0], factor, &scratch[1]);
        draw_boxes(found, i, at, factor, &scratch[1]);
        status = df_png_write(path, scratch[1].pixels, scratch[1].width, scratch[1].height, err);
    }
    free(path);
    return status;
}

static df_status draw_images(const struct found *found, struct df_error *err)
{
    struct df_image scratch[2] = { { 0 } };
    df_status status = df_folder_make(found->options->output, err);
    size_t at = 0;

    for (size_t i = 0; i < found->dataset->size && status == DF_OK; i++) {
        status = draw_image(found, i, at, scratch, err);
        while (next(found, i, &at))
            ;
    }
    df_image_release(&scratch[0]);
    df_image_release(&scratch[1]);
    return status;
}

/* ---- both ---- */

static df_status predict(const struct df_predict_images *options, const struct df_described *network, struct df_dataset *dataset,
                         struct df_error *err)
{
    const struct df_evaluation what = { .cell = &network->cell, .dataset = dataset, .label = dataset->size > 1 ? "predict" : NULL };
    struct found found = { .options = options, .network = network, .dataset = dataset };
    struct df_evaluator *evaluator = NULL;
    struct df_coco_scores scores = { 0 }; /* of images without ground truth: nobody asks */
    struct df_model model;

    DF_TRY(df_model_open(&network->cell, network->classes, options->checkpoint, &model, err));

    df_status status = df_evaluator_new(&what, model.device, &evaluator, err);

    if (status == DF_OK)
        status = df_evaluator_run(evaluator, model.detector, &scores, err);
    if (status == DF_OK) {
        found.detections = df_evaluator_detections(evaluator, &found.count);
        status = draw_images(&found, err);
    }
    if (status == DF_OK)
        (options->json ? print_json : print_table)(&found);
    df_coco_scores_release(&scores);
    df_evaluator_free(evaluator);
    df_model_release(&model);
    return status;
}

static df_status predict_paths(const struct df_predict_images *options, const char *const *paths, size_t count,
                               const struct df_described *network, struct df_error *err)
{
    const struct df_image_files files = { paths, count, options->skip_bad };
    struct df_dataset *dataset;

    DF_TRY(df_image_list_open(files, network->category, network->classes, &dataset, err));

    const df_status status = predict(options, network, dataset, err);

    df_dataset_close(dataset);
    return status;
}

df_status df_predict_images(const struct df_predict_images *options, struct df_error *err)
{
    const char *one[] = { options->path };
    struct df_described network;
    char **names = NULL;
    size_t count = 1;

    DF_TRY(df_described_read(options->checkpoint, options->device, &network, err));
    if (!network.named)
        df_warn("'%s' was written before checkpoints held the names of their classes: they are called by their numbers",
                options->checkpoint);

    df_status status = DF_OK;

    if (df_folder_is(options->path))
        status = df_image_list_folder(options->path, &names, &count, err);
    if (status == DF_OK)
        status = predict_paths(options, names ? (const char *const *)names : one, count, &network, err);
    df_names_free(names);
    df_described_release(&network);
    return status;
}
