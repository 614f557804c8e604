#include "ablations/spec_teachers.h"

#include <string.h>

static void list_names(const struct df_spec_variant *variant, struct df_text *out)
{
    for (size_t t = 0; t < variant->teachers; t++)
        df_text_addf(out, "%s'%s'", t ? ", " : "", variant->teacher[t].which);
}

df_status df_spec_teacher_find(const struct df_spec *spec, const struct df_spec_variant *variant, const char *name,
                               const struct df_spec_teacher **out, struct df_error *err)
{
    struct df_text names = DF_TEXT_INIT;
    df_status status = DF_OK;

    *out = NULL;
    for (size_t t = 0; t < variant->teachers; t++)
        if (strcmp(variant->teacher[t].which, name) == 0 || (!name[0] && variant->teachers == 1))
            *out = &variant->teacher[t];
    list_names(variant, &names);
    if (!variant->teachers)
        status = df_fail(err, DF_ERR_USAGE, "'%s' has no teacher", spec->path);
    else if (!*out && !variant->teacher[0].which[0])
        status = df_fail(err, DF_ERR_USAGE, "'%s': the spec's teacher has no name, found '%s'", spec->path, name);
    else if (!*out)
        status = df_fail(err, DF_ERR_USAGE, "'%s' has no teacher '%s' (expected one of %s)", spec->path, name, df_text_get(&names));
    df_text_release(&names);
    return status;
}

/* Whether the variant's cells, from the first to that of the lesson, have the like of it before it. */
static bool is_repeated(const struct df_spec *spec, size_t first, const struct df_cell_teacher *by)
{
    for (size_t i = first;; i++)
        for (size_t t = 0; t < spec->cell[i]->teachers; t++) {
            const struct df_cell_teacher *one = &spec->cell[i]->teacher[t];

            if (one == by)
                return false;
            if (one->cell == by->cell && df_needs_same(&one->needs, &by->needs))
                return true;
        }
}

static const char *which_of(const struct df_spec_variant *variant, const struct df_cell *teacher)
{
    size_t t = 0;

    while (variant->teacher[t].cell != teacher)
        t++;
    return variant->teacher[t].which;
}

bool df_spec_next_lesson(const struct df_spec *spec, const struct df_spec_variant *variant, struct df_spec_lesson *lesson)
{
    const size_t begin = variant->line * spec->seeds, end = begin + variant->lines * spec->seeds;
    bool behind = lesson->cell == NULL;

    for (size_t i = begin; i < end; i++)
        for (size_t t = 0; t < spec->cell[i]->teachers; t++) {
            const struct df_cell_teacher *by = &spec->cell[i]->teacher[t];

            if (behind && !is_repeated(spec, begin, by)) {
                *lesson = (struct df_spec_lesson){ spec->cell[i], by, which_of(variant, by->cell) };
                return true;
            }
            behind |= by == lesson->by;
        }
    return false;
}
