/* Parts by name, and patterns of names. */
#include "detectors/part.h"

#include <stdio.h>
#include <string.h>

static void name_of(char name[DF_PART_NAME], const char *kind, size_t level)
{
    if (level == DF_NO_LEVEL)
        snprintf(name, DF_PART_NAME, "%s", kind);
    else
        snprintf(name, DF_PART_NAME, "%s/%zu", kind, level);
}

const struct df_part *df_parts_find(const struct df_parts *parts, const char *name)
{
    for (size_t i = 0; i < parts->count; i++)
        if (strcmp(parts->part[i].name, name) == 0)
            return &parts->part[i];
    return NULL;
}

const struct df_part *df_parts_at(const struct df_parts *parts, const char *kind, size_t level)
{
    char name[DF_PART_NAME];

    name_of(name, kind, level);
    return df_parts_find(parts, name);
}

size_t df_parts_channels(const struct df_parts *parts, const char *kind, size_t level)
{
    const struct df_part *part = df_parts_at(parts, kind, level);

    return part ? part->shape.c : 0;
}

struct df_part *df_parts_set(struct df_parts *parts, const char *kind, size_t level, size_t stride, df_tensor *tensor)
{
    char name[DF_PART_NAME];
    struct df_part *part = parts->part;

    name_of(name, kind, level);
    while (part < parts->part + parts->count && strcmp(part->name, name) != 0)
        part++;
    if (part == parts->part + parts->count) {
        DF_ASSERT(parts->count < DF_PARTS);
        parts->count++;
    }
    *part = (struct df_part){ .level = level, .stride = stride, .shape = tensor->shape, .tensor = tensor };
    memcpy(part->name, name, sizeof name);
    return part;
}

void df_parts_set_host(struct df_parts *parts, df_tape *tape, const char *name, df_shape shape, const df_real *host)
{
    df_parts_set(parts, name, DF_NO_LEVEL, 0, df_tensor_from(tape, shape, host))->host = host;
}

struct df_part *df_parts_set_rows(struct df_parts *parts, df_tape *tape, const char *name, df_tensor *tensor)
{
    struct df_part *part = df_parts_set(parts, name, DF_NO_LEVEL, 0, tensor);

    part->read = df_tape_host(tape, sizeof *part->read);
    *part->read = NULL;
    return part;
}

const df_real *df_part_host(df_tape *tape, const struct df_part *part)
{
    const size_t bytes = df_count(part->shape) * sizeof(df_real);

    if (part->host)
        return part->host;
    if (part->read && *part->read)
        return *part->read;
    df_real *host = df_tape_host(tape, bytes);

    df_read(df_tape_device(tape), host, part->tensor->data, bytes);
    if (part->read)
        *part->read = part->instead ? part->instead : host;
    return part->read ? *part->read : host;
}

/* ---- names ---- */

/* Whether a word of n bytes is this name, or the star of its kind. */
static bool word_covers(const char *word, size_t n, const char *name)
{
    if (strncmp(word, name, n) == 0 && !name[n])
        return true;
    return n > 2 && word[n - 1] == '*' && strncmp(word, name, n - 1) == 0;
}

bool df_names_cover(const char *names, const char *name)
{
    for (size_t n; *names; names += n + strspn(names + n, " ")) {
        n = strcspn(names, " ");
        if (word_covers(names, n, name))
            return true;
    }
    return false;
}

bool df_needs_has(const struct df_needs *needs, const char *name)
{
    for (size_t i = 0; i < needs->count; i++)
        if (word_covers(needs->name[i], strlen(needs->name[i]), name))
            return true;
    return false;
}

static void add_name(struct df_needs *needs, const char *name)
{
    size_t at = 0;

    while (at < needs->count && strcmp(needs->name[at], name) < 0)
        at++;
    if (at < needs->count && strcmp(needs->name[at], name) == 0)
        return;
    DF_ASSERT(needs->count < DF_NEEDS);
    memmove(needs->name[at + 1], needs->name[at], (needs->count++ - at) * sizeof *needs->name);
    snprintf(needs->name[at], sizeof *needs->name, "%s", name);
}

void df_needs_add(struct df_needs *needs, const char *names)
{
    for (size_t n; names && *names; names += n + strspn(names + n, " ")) {
        char name[DF_PART_NAME];

        n = strcspn(names, " ");
        snprintf(name, sizeof name, "%.*s", (int)n, names);
        add_name(needs, name);
    }
}

void df_needs_add_all(struct df_needs *needs, const struct df_needs *more)
{
    for (size_t i = 0; i < more->count; i++)
        add_name(needs, more->name[i]);
}

bool df_needs_same(const struct df_needs *a, const struct df_needs *b)
{
    for (size_t i = 0; i < a->count && i < b->count; i++)
        if (strcmp(a->name[i], b->name[i]) != 0)
            return false;
    return a->count == b->count;
}

void df_needs_text(const struct df_needs *needs, const char *separator, struct df_text *out)
{
    for (size_t i = 0; i < needs->count; i++)
        df_text_addf(out, "%s%s", i ? separator : "", needs->name[i]);
}

/* ---- teacher and student ---- */

static df_status one_fits(const struct df_part *t, const struct df_part *s, struct df_error *err)
{
    if (t->shape.h == s->shape.h && t->shape.w == s->shape.w && (t->stride || t->shape.c == s->shape.c))
        return DF_OK;
    if (t->stride)
        return df_fail(err, DF_ERR_UNSUPPORTED,
                       "'%s': the teacher has %zu x %zu cells of stride %zu, the student %zu x %zu of stride %zu (expected as many)",
                       t->name, t->shape.h, t->shape.w, t->stride, s->shape.h, s->shape.w, s->stride);
    return df_fail(err, DF_ERR_UNSUPPORTED, "'%s': the teacher has %zu rows of %zu, the student %zu of %zu (expected the same)", t->name,
                   t->shape.w, t->shape.c, s->shape.w, s->shape.c);
}

/* Each part of `these` that is asked for is among `those`. */
static df_status none_lacks(const struct df_needs *needs, const struct df_parts *these, const char *who, const struct df_parts *those,
                            const char *other, struct df_error *err)
{
    for (size_t i = 0; i < these->count; i++) {
        const char *name = these->part[i].name;

        if (df_needs_has(needs, name) && !df_parts_find(those, name))
            return df_fail(err, DF_ERR_UNSUPPORTED,
                           "the %s has '%s', the %s has not (expected both) [align 'fpn_stages', 'extra' and 'blocks']", who, name, other);
    }
    return DF_OK;
}

/* Each name stands for something. */
static df_status all_there(const struct df_needs *needs, const struct df_parts *teacher, struct df_error *err)
{
    struct df_text has = DF_TEXT_INIT;
    size_t i = 0, p;

    for (bool found = true; i < needs->count && found; i += found)
        for (p = 0, found = false; p < teacher->count && !found; p++)
            found = df_names_cover(needs->name[i], teacher->part[p].name);
    for (p = 0; p < teacher->count; p++)
        df_text_addf(&has, "%s%s", p ? ", " : "", teacher->part[p].name);
    if (i < needs->count)
        df_fail(err, DF_ERR_UNSUPPORTED, "'%s' is needed, but the teacher has no such part (it has %s)", needs->name[i], df_text_get(&has));
    df_text_release(&has);
    return i < needs->count ? DF_ERR_UNSUPPORTED : DF_OK;
}

df_status df_parts_fit(const struct df_needs *needs, const struct df_parts *teacher, const struct df_parts *student, struct df_error *err)
{
    DF_TRY(all_there(needs, teacher, err));
    DF_TRY(none_lacks(needs, teacher, "teacher", student, "student", err));
    DF_TRY(none_lacks(needs, student, "student", teacher, "teacher", err));
    for (size_t i = 0; i < teacher->count; i++)
        if (df_needs_has(needs, teacher->part[i].name))
            DF_TRY(one_fits(&teacher->part[i], df_parts_find(student, teacher->part[i].name), err));
    return DF_OK;
}
