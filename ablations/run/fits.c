#include "ablations/run/fits.h"

#include <string.h>

/* Not a part, but the teacher's network itself. */
static bool is_network(const char *name) { return strcmp(name, DF_NEEDS_HEAD) == 0 || strcmp(name, DF_OBJECT_NETWORK) == 0; }

void df_teacher_plan_of(const struct df_cell_teacher *by, struct df_teacher_plan *out)
{
    const struct df_detector_class *detector = by->cell->detector;

    *out = (struct df_teacher_plan){ .network = false };
    for (size_t i = 0; i < by->needs.count; i++) {
        const char *name = by->needs.name[i];
        const bool on_request = df_names_cover(detector->on_request, name), network = is_network(name);

        out->network = out->network || on_request || network;
        if (!on_request && !network && !df_teachers_alone(name))
            df_needs_add(&out->captured, name);
        if (!network)
            df_needs_add(&out->given, on_request ? "neck/*" : name);
    }
    out->recorded = out->given;
    if (df_needs_has(&out->given, "neck/*") || df_needs_has(&out->given, "logits"))
        df_needs_add(&out->recorded, "neck/* logits");
}

bool df_same_canvas(const struct df_canvas_options *a, const struct df_canvas_options *b)
{
    cJSON *one = df_options_write(df_canvas_option_table, a), *other = df_options_write(df_canvas_option_table, b);
    const bool same = cJSON_Compare(one, other, true);

    cJSON_Delete(one);
    cJSON_Delete(other);
    return same;
}

/* A student and the teacher that is asked about. */
struct lesson {
    const struct df_cell *student;
    const struct df_cell_teacher *by;
    struct df_teacher_plan plan;
    struct df_taught_parts parts;
};

static df_status offers(const struct lesson *lesson, const char *who, const struct df_detector_class *detector, struct df_error *err)
{
    const struct df_needs *needs = &lesson->by->needs;

    for (size_t i = 0; i < needs->count; i++) {
        const char *name = needs->name[i];

        if (df_teachers_alone(name) && detector != lesson->by->cell->detector)
            continue;
        if (!is_network(name) && !df_names_cover(detector->offers, name) && !df_names_cover(detector->on_request, name))
            return df_fail(err, DF_ERR_UNSUPPORTED, "'%s' needs '%s' of both networks, which detector '%s' of the %s does not have",
                           lesson->student->label, name, detector->name, who);
    }
    return DF_OK;
}

static size_t cells(size_t pixels, size_t stride) { return (pixels + stride - 1) / stride; }

/* Where the canvases differ: on every image each map must have as many cells in both. The dense rows follow the neck. */
static df_status image_fits(const struct lesson *lesson, const struct df_image_info *info, struct df_error *err)
{
    const struct df_canvas_size own = df_canvas_of(&lesson->student->canvas, info), theirs = df_canvas_of(&lesson->by->cell->canvas, info);
    const struct df_needs *captured = &lesson->plan.captured;
    const bool dense = df_needs_has(captured, "logits") || df_needs_has(captured, "deltas");

    for (size_t i = 0; i < lesson->parts.teacher.count; i++) {
        const struct df_part *t = &lesson->parts.teacher.part[i], *s = df_parts_find(&lesson->parts.student, t->name);

        if (!t->stride || !(df_needs_has(captured, t->name) || (dense && df_names_cover("neck/*", t->name))))
            continue;
        if (!s || cells(own.height, s->stride) != cells(theirs.height, t->stride) ||
            cells(own.width, s->stride) != cells(theirs.width, t->stride))
            return df_fail(
                err, DF_ERR_UNSUPPORTED,
                "'%s' of image %lld: the teacher's canvas of %zu x %zu has other cells at stride %zu than the student's of %zu x "
                "%zu at stride %zu (expected as many) [choose canvases in proportion to the strides]",
                t->name, (long long)info->id, theirs.height, theirs.width, t->stride, own.height, own.width, s ? s->stride : 0);
    }
    return DF_OK;
}

/* The head of the one runs over what comes from the other. */
static df_status head_fits(const struct lesson *lesson, size_t classes, struct df_error *err)
{
    const struct df_cell *teacher = lesson->by->cell, *student = lesson->student;

    if (!df_same_canvas(&teacher->canvas, &student->canvas))
        return df_fail(
            err, DF_ERR_UNSUPPORTED,
            "'%s': the teacher's head runs over the student's boxes or features, but it has another canvas than the student [give "
            "both one canvas, or leave out what needs the head]",
            student->label);
    if (df_needs_has(&lesson->by->needs, teacher->detector->class_logits) && teacher->classes && teacher->classes != classes)
        return df_fail(
            err, DF_ERR_UNSUPPORTED,
            "'%s' needs '%s', but the teacher has %zu classes and the student %zu (expected the same) [leave out what needs them]",
            student->label, teacher->detector->class_logits, teacher->classes, classes);
    return DF_OK;
}

/* The crops of the one are the objects of the other, and their classes. */
static df_status objects_fit(const struct lesson *lesson, size_t classes, struct df_error *err)
{
    const struct df_cell *teacher = lesson->by->cell;

    if (!df_same_canvas(&teacher->canvas, &lesson->student->canvas))
        return df_fail(err, DF_ERR_UNSUPPORTED,
                       "'%s': the classifier's crops come from the student's images, but it has another canvas [leave the teacher's out]",
                       lesson->student->label);
    if (teacher->classes && teacher->classes != classes)
        return df_fail(err, DF_ERR_UNSUPPORTED, "'%s': the classifier has %zu classes and the student %zu (expected the same)",
                       lesson->student->label, teacher->classes, classes);
    return DF_OK;
}

static df_status lesson_fits(struct lesson *lesson, const struct df_dataset *train, struct df_error *err)
{
    const struct df_cell *student = lesson->student, *teacher = lesson->by->cell;
    const struct df_canvas_size own = df_canvas_of(&student->canvas, train->info), theirs = df_canvas_of(&teacher->canvas, train->info);

    DF_TRY(offers(lesson, "student", student->detector, err));
    DF_TRY(offers(lesson, "teacher", teacher->detector, err));
    if (df_needs_has(&lesson->by->needs, DF_OBJECT_LOGITS))
        DF_TRY(objects_fit(lesson, train->categories, err));
    else if (lesson->plan.network)
        DF_TRY(head_fits(lesson, train->categories, err));
    DF_TRY(df_cell_parts(student, train->categories, own, &lesson->parts.student, err));
    DF_TRY(df_cell_parts(teacher, train->categories, theirs, &lesson->parts.teacher, err));
    DF_TRY(df_parts_fit(&lesson->plan.captured, &lesson->parts.teacher, &lesson->parts.student, err));
    for (size_t i = 0; i < train->size && !df_same_canvas(&teacher->canvas, &student->canvas); i++)
        DF_TRY(image_fits(lesson, &train->info[i], err));
    return DF_OK;
}

df_status df_teacher_fits(const struct df_cell *student, const struct df_cell_teacher *by, const struct df_dataset *train,
                          struct df_taught_parts *out, struct df_error *err)
{
    struct lesson lesson = { .student = student, .by = by };

    df_teacher_plan_of(by, &lesson.plan);

    const df_status status = lesson_fits(&lesson, train, err);

    if (status != DF_OK)
        return by->name[0] ? df_fail_in(err, status, "teacher '%s'", by->name) : status;
    if (out)
        *out = lesson.parts;
    return DF_OK;
}
