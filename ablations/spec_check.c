#include "ablations/spec_check.h"

#include <stdlib.h>

#include "ablations/run/fits.h"
#include "ablations/run/student.h"
#include "ablations/spec_teachers.h"
#include "core/base/progress.h"

/* ---- images ---- */

struct images {
    bool skip_bad;
    size_t bytes; /* of pixels' files that may still be decoded */
    struct df_progress *bar;
    struct df_spec_checked *out;
};

/* About what the file takes: JPEG needs some two bits a pixel. Nothing here knows files. */
static size_t cost_of(const struct df_image_info *info) { return (size_t)info->width * (size_t)info->height / 4 + 1; }

static df_status check_split(struct df_dataset *dataset, enum df_split split, struct images *images, struct df_error *err)
{
    struct df_image image = { 0 };
    struct df_error first = { 0 }, why = { 0 };
    size_t bad = 0;

    for (size_t i = 0; i < dataset->size && images->bytes > cost_of(&dataset->info[i]); i++) {
        images->bytes -= cost_of(&dataset->info[i]);
        if (dataset->class->read(dataset, i, &image, &why) != DF_OK && bad++ == 0)
            first = why;
        df_progress_set(images->bar, (double)++images->out->images, NULL);
    }
    df_image_release(&image);
    if (!bad || (split == DF_TRAIN && images->skip_bad))
        return DF_OK;
    return df_fail(err, first.status, "%zu of %zu %s images cannot be read, the first: %s%s", bad, dataset->size, df_split_name[split],
                   first.text, split == DF_TRAIN ? " [--on-bad-image skip trains without them]" : "");
}

/* The validation split first: its images are needed last. */
static df_status check_images(struct df_data *data, struct images *images, struct df_error *err)
{
    struct df_dataset *dataset;

    if (!data->class->from_files)
        return DF_OK;
    for (int split = DF_SPLITS - 1; split >= 0; split--) {
        DF_TRY(df_data_split(data, (enum df_split)split, &dataset, err));
        DF_TRY(check_split(dataset, (enum df_split)split, images, err));
    }
    return DF_OK;
}

static df_status count_images(const struct df_spec *spec, size_t *count, struct df_error *err)
{
    struct df_dataset *dataset;

    *count = 0;
    for (struct df_data *data = spec->data; data; data = data->older)
        for (int split = 0; split < DF_SPLITS && data->class->from_files; split++) {
            DF_TRY(df_data_split(data, (enum df_split)split, &dataset, err));
            *count += dataset->size;
        }
    return DF_OK;
}

static df_status check_all_images(const struct df_spec *spec, bool skip_bad, struct df_spec_checked *out, struct df_error *err)
{
    struct images images = { .skip_bad = skip_bad, .bytes = DF_SPEC_CHECK_BYTES, .out = out };
    df_status status = count_images(spec, &out->of, err);

    if (status != DF_OK || !out->of)
        return status;
    images.bar = df_progress_new("images", "images", (double)out->of);
    for (struct df_data *data = spec->data; data && status == DF_OK; data = data->older)
        status = check_images(data, &images, err);
    df_progress_free(images.bar);
    return status;
}

/* ---- canvases and networks ---- */

/* A loader of the split can be made: it says what does not fit. */
static df_status check_loader(const struct df_cell *cell, enum df_split split, struct df_error *err)
{
    struct df_dataset *dataset;
    struct df_loader_config config;
    struct df_loader *loader;

    DF_TRY(df_data_split(cell->data, split, &dataset, err));
    config = df_cell_loader(cell, dataset, false);
    if (split == DF_TRAIN && !(cell->teacher_role && cell->file[0])) {
        config.batch = (size_t)cell->schedule.batch;
        config.shuffle = true;
    }
    if (df_loader_new(&config, &loader, err) != DF_OK)
        return df_fail_in(err, DF_ERR_USAGE, "the %s's %s images", cell->teacher_role ? cell->label : "student", df_split_name[split]);
    df_loader_free(loader);
    return DF_OK;
}

static bool looks_alike(const struct df_cell *a, const struct df_cell *b)
{
    return df_same_canvas(&a->canvas, &b->canvas) && a->schedule.batch == b->schedule.batch;
}

/* The cell's student is set up, with its distillers, on a device that computes nothing: options that contradict each other or the networks are told. */
static df_status check_student(const struct df_cell *cell, struct df_error *err)
{
    struct df_taught_parts *parts = df_calloc(DF_STACK_MAX, sizeof *parts);
    struct df_student_setup setup = { .steps = 1, .steps_per_epoch = 1, .dry = true };
    struct df_student student;
    struct df_dataset *train;
    df_status status = df_data_split(cell->data, DF_TRAIN, &train, err);

    for (size_t t = 0; status == DF_OK && t < cell->teachers; t++) {
        status = df_teacher_fits(cell, &cell->teacher[t], train, &parts[t], err);
        for (size_t i = 0; i < parts[t].teacher.count; i++)
            parts[t].teacher.part[i].std = 1; /* measured when it is trained */
        setup.parts[t] = &parts[t];
    }
    if (status == DF_OK) {
        setup.classes = train->categories;
        status = df_student_open(&student, cell, &setup, err);
        df_student_close(&student);
    }
    free(parts);
    return status;
}

static df_status check_variant(const struct df_spec *spec, const struct df_spec_variant *variant, struct df_error *err)
{
    const struct df_cell *student = spec->cell[variant->line * spec->seeds];
    struct df_spec_lesson lesson = { NULL };
    struct df_dataset *train;

    for (int split = 0; split < DF_SPLITS; split++) {
        DF_TRY(check_loader(student, (enum df_split)split, err));
        for (size_t t = 0; t < variant->teachers && split != DF_TUNE; t++)
            if (!looks_alike(variant->teacher[t].cell, student))
                DF_TRY(check_loader(variant->teacher[t].cell, (enum df_split)split, err));
    }
    DF_TRY(df_data_split(student->data, DF_TRAIN, &train, err));
    while (df_spec_next_lesson(spec, variant, &lesson))
        if (df_teacher_fits(lesson.cell, lesson.by, train, NULL, err) != DF_OK)
            return df_fail_in(err, DF_ERR_UNSUPPORTED, "method '%s'", lesson.cell->label);
    for (size_t line = variant->line; line < variant->line + variant->lines; line++)
        if (spec->cell[line * spec->seeds]->distillers)
            DF_TRY(check_student(spec->cell[line * spec->seeds], err));
    return DF_OK;
}

df_status df_spec_check(const struct df_spec *spec, bool skip_bad, struct df_spec_checked *out, struct df_error *err)
{
    *out = (struct df_spec_checked){ 0 };
    for (size_t v = 0; v < spec->variants; v++) {
        const df_status status = check_variant(spec, &spec->variant[v], err);

        if (status != DF_OK)
            return df_fail_in(err, status, "%s%s%s", spec->path, spec->variant[v].label[0] ? ": variant " : "", spec->variant[v].label);
    }
    const df_status status = check_all_images(spec, skip_bad, out, err);

    return status == DF_OK ? status : df_fail_in(err, status, "%s", spec->path);
}
