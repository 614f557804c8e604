/* COCO JSON annotations with a folder of images. Without a file for tuning, every tune_every-th training image (by rising id) is kept apart
 * for tuning. All image files must be there before anything starts; their sizes and the
 * contents of the first GiB of them are part of the hash, and their headers are compared with the annotations: of larger sets the rest counts by size
 * alone, and is compared when it is read, or every start would read it all. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/data/coco_json.h"
#include "core/data/data.h"
#include "core/data/image_file.h"

#define HASHED_BYTES ((uint64_t)1 << 30)

struct coco_options {
    char images[DF_STRING_MAX], tune_images[DF_STRING_MAX], validation_images[DF_STRING_MAX];
    char train[DF_STRING_MAX], tune[DF_STRING_MAX], validation[DF_STRING_MAX];
    int64_t tune_every;
};

static const df_option coco_options[] = {
    { "images", DF_STRING_OPTION(struct coco_options, images), .text = ".", .help = "folder of the images (relative paths: to the spec)" },
    { "train", DF_STRING_OPTION(struct coco_options, train), .text = "", .help = "annotation file for training" },
    { "tune", DF_STRING_OPTION(struct coco_options, tune), .text = "", .help = "annotation file for tuning; none: see tune_every" },
    { "tune_every", DF_INT_OPTION(struct coco_options, tune_every), .standard = 5, .min = 2, .max = 1e6,
      .when = "tune=", .help = "one in so many training images is for tuning instead" },
    { "tune_images", DF_STRING_OPTION(struct coco_options, tune_images), .text = "",
      .when = "tune!=", .help = "folder of the tuning images, if another" },
    { "validation", DF_STRING_OPTION(struct coco_options, validation), .text = "", .help = "annotation file for validation" },
    { "validation_images", DF_STRING_OPTION(struct coco_options, validation_images), .text = "",
      .help = "folder of the validation images, if another" },
    { 0 },
};

/* An annotation file, read once however many splits are made of it. */
struct annotations {
    char *path;
    struct df_coco_truth *truth;
    size_t users;
};

struct coco {
    struct df_dataset dataset;
    struct annotations *annotations;
    struct df_image_info *info; /* [size], those of this split */
    char *folder;
};

static void annotations_release(struct annotations *annotations)
{
    if (!annotations || --annotations->users)
        return;
    df_coco_truth_free(annotations->truth);
    free(annotations->path);
    free(annotations);
}

/* Those of a split that is open, of these data or of older ones; else the file is read. Takes over path. */
static df_status annotations_of(const struct df_data *data, char *path, struct annotations **out, struct df_error *err)
{
    for (const struct df_data *other = data; other; other = other->older)
        for (int k = 0; k < DF_SPLITS && other->class == data->class; k++) {
            const struct coco *open = (const struct coco *)other->split[k];

            if (open && strcmp(open->annotations->path, path) == 0) {
                free(path);
                *out = open->annotations;
                (*out)->users++;
                return DF_OK;
            }
        }

    struct annotations *annotations = df_calloc(1, sizeof *annotations);

    *annotations = (struct annotations){ .path = path, .users = 1 };
    const df_status status = df_coco_truth_read(path, true, &annotations->truth, err);

    if (status != DF_OK)
        annotations_release(annotations);
    else
        *out = annotations;
    return status;
}

static void coco_close(struct df_dataset *dataset)
{
    struct coco *c = (struct coco *)dataset;

    annotations_release(c->annotations);
    free(c->info);
    free(c->folder);
    free(dataset->first_unreadable);
    free(c);
}

/* The annotation file and the image folder of a split; `part`: -1 all images, 0 those for training, 1 those for tuning. */
static df_status choose(const struct coco_options *o, enum df_split split, const char **file, const char **folder, int *part,
                        struct df_error *err)
{
    const bool shared = !*o->tune && split != DF_VALIDATION;

    *file = split == DF_VALIDATION ? o->validation : shared || split == DF_TRAIN ? o->train : o->tune;
    *folder = split == DF_VALIDATION ? o->validation_images : split == DF_TUNE && !shared ? o->tune_images : "";
    *folder = **folder ? *folder : o->images;
    *part = !shared ? -1 : split == DF_TUNE;
    if (!**file)
        return df_fail(err, DF_ERR_USAGE, "coco: no '%s', expected the path of an annotation file",
                       df_split_name[split == DF_TUNE && shared ? DF_TRAIN : split]);
    return DF_OK;
}

/* Takes the images of this part: number tune_every - 1, 2 tune_every - 1, ... are for tuning. */
static void take_part(struct coco *c, int part, size_t every)
{
    const struct df_coco_truth *truth = c->annotations->truth;

    c->info = df_malloc((truth->images + 1) * sizeof *c->info);
    for (size_t i = 0; i < truth->images; i++)
        if (part < 0 || (i % every == every - 1) == (part == 1))
            c->info[c->dataset.size++] = truth->image[i];
    c->dataset.info = c->info;
}

/* What the files of a split are like: counted, with the first of each kind. */
struct files {
    bool may_be_bad; /* a training image that cannot be read may be skipped later: told, not refused */
    size_t missing, sizeless_missing, bad, without_size;
    uint64_t bytes;
    char *first_missing, *first_without_size;
    char *first_unreadable; /* missing or bad: the data set's */
    struct df_error first_bad;
    struct df_hasher *hasher;
};

/* The file's name, or one like it, as the folder has it: names differ in case, in blanks, or in how an accent is written. */
static void add_nearest(const char *path, struct df_text *out)
{
    char *folder = df_path_folder(path), **names;
    const char *slash = strrchr(path, '/'), *near;

    if (df_folder_list(folder, &names, NULL) == DF_OK) {
        near = df_nearest(slash ? slash + 1 : path, (const char *const *)names);
        if (near)
            df_text_addf(out, ", its folder has '%s'", near);
        df_names_free(names);
    }
    if (strchr(path, '\\'))
        df_text_add(out, ", whose backslashes are no '/' here");
    free(folder);
}

static void note_unreadable(struct files *files, const char *path)
{
    if (!files->missing && !files->bad)
        files->first_unreadable = df_strdup(path);
}

/* What the header of an image says, and of the first GiB of images the contents into the hash. */
static df_status check_image(struct files *files, const char *path, struct df_image_info *info, struct df_error *err)
{
    const bool without_size = info->width == 0 || info->height == 0;
    struct df_error mine = { 0 };
    size_t bytes;
    char *data;

    if (files->bytes > HASHED_BYTES && !without_size)
        return DF_OK;
    DF_TRY(df_file_read(path, 0, &data, &bytes, err));
    if (files->bytes <= HASHED_BYTES)
        df_hasher_add(files->hasher, data, bytes);
    int width = 0, height = 0;
    df_status status = df_image_check(path, data, bytes, &width, &height, &mine);

    if (status != DF_OK && files->may_be_bad && !without_size) {
        note_unreadable(files, path);
        if (files->bad++ == 0)
            files->first_bad = mine;
        status = DF_OK;
    } else if (status != DF_OK) {
        df_fail(err, status, "%s", mine.text);
    } else {
        status = df_image_check(path, data, bytes, &info->width, &info->height, err);
        if (without_size && files->without_size++ == 0)
            files->first_without_size = df_strdup(path);
    }
    free(data);
    return status;
}

static df_status check_file(struct files *files, const char *path, struct df_image_info *info, struct df_error *err)
{
    struct stat file;

    if (stat(path, &file) != 0 || !S_ISREG(file.st_mode) || access(path, R_OK) != 0) {
        note_unreadable(files, path);
        if (files->missing++ == 0)
            files->first_missing = df_strdup(path);
        files->sizeless_missing += info->width == 0 || info->height == 0;
        return DF_OK;
    }
    const int64_t bytes = file.st_size;

    df_hasher_add(files->hasher, &bytes, sizeof bytes);
    files->bytes += (uint64_t)bytes;
    return check_image(files, path, info, err);
}

/* Missing files are an error, but for some of the training split, which may be skipped: whoever trains without skipping stops before it begins (unreadable). */
static df_status tell_files(const struct coco *c, const struct files *files, struct df_error *err)
{
    struct df_text near = DF_TEXT_INIT;
    struct df_error missing = { 0 };

    if (files->without_size)
        df_warn("%zu of %zu images have no size in the annotations: it is taken from their files (first: '%s')", files->without_size,
                c->dataset.size, files->first_without_size);
    if (files->bad)
        df_warn("%zu of %zu training images cannot be read, the first is %s [training stops there, unless --on-bad-image skip]", files->bad,
                c->dataset.size, files->first_bad.text);
    if (!files->missing)
        return DF_OK;
    add_nearest(files->first_missing, &near);
    df_fail(&missing, DF_ERR_NOT_FOUND, "%zu of %zu image files are missing or unreadable, the first is '%s'%s (check 'images')",
            files->missing, c->dataset.size, files->first_missing, df_text_get(&near));
    df_text_release(&near);
    if (!files->may_be_bad || files->sizeless_missing || files->missing == c->dataset.size)
        return df_fail(err, missing.status, "%s", missing.text);
    df_warn("%s: %s [training stops there, unless --on-bad-image skip]", c->annotations->path, missing.text);
    return DF_OK;
}

/* Every file must be there, and be what the annotations say of it; of the training images, some that are not can be trained without. An image whose size is not given gets it from its file. */
static df_status check_files(struct coco *c, bool may_be_bad, struct df_hasher *hasher, struct df_error *err)
{
    struct files files = { .may_be_bad = may_be_bad, .hasher = hasher };
    df_status status = DF_OK;

    for (size_t i = 0; i < c->dataset.size && status == DF_OK; i++) {
        char *path = df_path_join(c->folder, c->info[i].file_name);

        status = check_file(&files, path, &c->info[i], err);
        free(path);
    }
    if (status == DF_OK)
        status = tell_files(c, &files, err);
    c->dataset.unreadable = files.missing + files.bad;
    c->dataset.first_unreadable = files.first_unreadable;
    free(files.first_missing);
    free(files.first_without_size);
    return status;
}

static df_status fill(struct coco *c, const struct df_data *data, enum df_split split, struct df_error *err)
{
    const struct coco_options *o = data->options;
    const char *file, *folder;
    int part;

    DF_TRY(choose(o, split, &file, &folder, &part, err));
    DF_TRY(annotations_of(data, df_path_join(data->base, file), &c->annotations, err));
    const struct df_coco_truth *truth = c->annotations->truth;
    c->folder = df_path_join(data->base, folder);
    take_part(c, part, (size_t)o->tune_every);
    if (c->dataset.size == 0)
        return df_fail(err, DF_ERR_USAGE, "coco: no images are left for %s (%zu in '%s', tune_every %lld)",
                       split == DF_TUNE ? "tuning" : "training", truth->images, file, (long long)o->tune_every);
    struct df_hasher *hasher = df_hasher_new();
    const int64_t rule[] = { part, part < 0 ? 0 : o->tune_every, (int64_t)truth->hash };
    df_hasher_add(hasher, rule, sizeof rule);
    const df_status checked = check_files(c, split == DF_TRAIN, hasher, err);
    if (checked != DF_OK)
        df_fail_in(err, checked, "%s", c->annotations->path);
    c->dataset.hash = df_hasher_value(hasher);
    df_hasher_free(hasher);
    c->dataset.categories = truth->categories;
    c->dataset.category = truth->category;
    c->dataset.skipped_boxes = truth->skipped;
    return checked;
}

static df_status coco_open(const struct df_data *data, enum df_split split, struct df_dataset **out, struct df_error *err)
{
    struct coco *c = df_calloc(1, sizeof *c);

    *out = NULL;
    c->dataset.class = data->class;
    const df_status status = fill(c, data, split, err);
    if (status != DF_OK)
        coco_close(&c->dataset);
    else
        *out = &c->dataset;
    return status;
}

static df_status coco_read(struct df_dataset *dataset, size_t i, struct df_image *out, struct df_error *err)
{
    struct coco *c = (struct coco *)dataset;
    char path[4096];
    const int length = snprintf(path, sizeof path, "%s/%s", c->folder, c->info[i].file_name);

    if (length < 0 || (size_t)length >= sizeof path)
        return df_fail(err, DF_ERR_IO, "the path of image %lld is too long", (long long)c->info[i].id);
    return df_image_read_as(path, c->info[i].width, c->info[i].height, out, err);
}

const struct df_dataset_class df_dataset_coco = {
    .abi = DF_DATASET_ABI,
    .name = "coco",
    .summary = "COCO JSON annotations, JPEG and PNG images",
    .options = coco_options,
    .options_size = sizeof(struct coco_options),
    .from_files = true,
    .open = coco_open,
    .close = coco_close,
    .read = coco_read,
};
