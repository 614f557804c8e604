/* Spec files -> cells. The keys: `defeat help spec`, which is made of spec_keys.c and the rooms' option tables. What a file extends is put under
 * it, what the command line sets over it, and then it is read (spec_source.h): how a spec was written leaves no trace in its cells.
 *
 * {
 *   "name": "context", "extends": "reproduce-quick.json",
 *   "methods": [ { "label": "none" }, { "label": "DeFeat neck", "distillers": [ { "name": "defeat", "w_fg": [2, 4], "w_bg": 16 } ] } ],
 *   "variants": [ { "label": "context=0", "data": { "context": 0 } }, ... ],
 *   "seeds": [0, 1, 2], "baseline": "none"
 * }
 * A list in place of a distiller's option makes an axis (for list-typed options a list of lists does); axes multiply, unless the method says
 * "axes": "together": then its lines are the lists' first values, their second ones, and so on. A variant is the whole spec once more with its
 * members put over data, canvas, detector, student, teacher and schedule: its label stands before the axes, its teacher is its own, and its
 * differences are to its own baseline. Several teachers have names, "teachers": { "big": {...}, "wide": {...} }, and a distiller says which one is
 * its own: { "name": "pkd", "teacher": "big" }. A list in place of a teacher's seed or file is as many teachers, which take turns: seed k learns from
 * the one at k mod the list's length (pairs of runs then differ in the teacher as well). Whose turn comes with none of the seeds is not there.
 * Anything unknown, misspelt, out of range or without effect (a teacher that no distiller needs included) is an error that names the path. */
#ifndef DF_ABLATIONS_SPEC_H
#define DF_ABLATIONS_SPEC_H
#include "ablations/run/cell.h"

#define DF_SPEC_AXES_MAX 8 /* of a method */

#define DF_SPEC_TEACHERS 64

struct df_spec_teacher {
    char name[DF_TEACHER_NAME]; /* that distillers tell; "": the spec's "teacher" */
    char which[DF_TEACHER_NAME +
               8];               /* that tells it from all others: the name, and of several of a name its turn: "big", "big.3", "3", "" */
    size_t turn, turns;          /* it teaches the seeds k with k mod turns = turn */
    struct df_cell *cell;        /* that is trained, or of a file */
    const struct df_cell *first; /* the variant's first cell that it teaches; NULL: none */
};
struct df_spec_variant {
    char label[64]; /* "": the spec has no variants */
    size_t teachers;
    struct df_spec_teacher teacher[DF_SPEC_TEACHERS];
    size_t line, lines;          /* its first line, and how many */
    size_t baseline;             /* line */
    const struct df_cell *first; /* its first cell that needs a teacher; NULL: none does */
};
struct df_spec {
    char name[64], title[256], path[DF_STRING_MAX];
    size_t variants; /* at least one */
    struct df_spec_variant *variant;
    size_t count;
    struct df_cell **cell; /* variants in order, methods in order, axes in order, seeds innermost */
    size_t lines;          /* (variant, method, axes) groups: cells are lines x seeds */
    size_t seeds;
    char heat_x[64], heat_y[64]; /* "" */
    struct df_data *data;        /* of all variants; those whose data are the same share them */
    cJSON *source;               /* as it was read: extended and set */
};
struct df_spec_overrides {
    const char *seeds;     /* "5" = 0..4, or "0,3,7"; NULL */
    const char *data_path; /* replaces base; NULL */
    const char *device;
    const struct df_texts *set; /* "schedule.epochs=8", put over the file; NULL */
    bool unread;                /* no file but the spec is looked at: the cells describe runs that cannot be run */
};
df_status df_spec_read(const char *path, const struct df_spec_overrides *overrides, struct df_spec **out, struct df_error *err);
const struct df_spec_variant *df_spec_variant_of(const struct df_spec *spec, size_t cell);
/* By its label; "" is the only one. Errors name the labels. */
df_status df_spec_variant_find(const struct df_spec *spec, const char *label, const struct df_spec_variant **out, struct df_error *err);
void df_spec_free(struct df_spec *spec);
#endif
