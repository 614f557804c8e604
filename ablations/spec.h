/* Spec files -> cells.
 *
 * {
 *   "name": "reproduce-table",                 letters, digits, '-', '_'; the folder under out/
 *   "title": "...",                            optional
 *   "base": "../data",                         optional: folder that the dataset's relative paths are relative to; itself relative to the
 *                                              spec file; default the spec file's folder; --data-path replaces it
 *   "data": { "kind": "scenes", ...options of the dataset... },
 *   "canvas": { ...df_canvas_option_table... },
 *   "detector": { "kind": "retinanet", ...options of the detector... },
 *   "student": { "network": {...}, "schedule": {...over the spec's schedule...}, "file": "start.safetensors", "take": "backbone.body" },
 *                                              file: weights to start from instead of drawn ones, a checkpoint or a state dict; take: only
 *                                              tensors whose names begin so, "" all
 *   "teacher": { "kind": "detector", "network": {...}, "detector": {...}, "canvas": {...}, "schedule": {...}, "seed": 1000 },
 *                                              detector and canvas: only where they are not the student's, and then whole;
 *                                              or a checkpoint: { "file": "teacher.safetensors", "network": {...}, "detector": {...},
 *                                              "canvas": {...}, "classes": 80 }; classes: only where they are not the data's
 *   "schedule": {...},                         common to both
 *   "methods": [ { "label": "DeFeat neck", "distillers": [ { "name": "defeat", "w_fg": [2, 4], "w_bg": 16 } ] }, ... ],
 *                                              a list makes an axis (for list-typed options: a list of lists); axes multiply;
 *                                              "init_student": true: the student starts with the teacher's neck and head, every tensor that
 *                                              both have in one shape (after its file, if it has one)
 *   "variants": [ { "label": "context=0", "data": { "context": 0 } }, ... ],
 *                                              optional: the whole spec once per variant, with its members put over data, canvas, detector,
 *                                              student, teacher and schedule, object by object; its label stands before the axes; every
 *                                              variant has its own teacher, and its differences are to its own baseline
 *   "seeds": [0, 1, 2, 3, 4],
 *   "baseline": "none",                        label; default: the first method without distillers
 *   "plots": { "heat": ["w_fg", "w_bg"] },     optional
 *   "device": "cpu", "threads": 1
 * }
 * Anything unknown, misspelt, out of range or without effect (a teacher that no distiller needs included) is an error that names the path. */
#ifndef DF_ABLATIONS_SPEC_H
#define DF_ABLATIONS_SPEC_H
#include "ablations/run/cell.h"

struct df_spec_variant {
    char label[64];              /* "": the spec has no variants */
    struct df_cell *teacher;     /* that is trained; NULL: none, or a file */
    struct df_cell *given;       /* the teacher of a file; NULL: none */
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
};
struct df_spec_overrides {
    const char *seeds;     /* "5" = 0..4, or "0,3,7"; NULL */
    const char *data_path; /* replaces base; NULL */
    const char *device;
    bool unread; /* no file but the spec is looked at: the cells describe runs that cannot be run */
};
df_status df_spec_read(const char *path, const struct df_spec_overrides *overrides, struct df_spec **out, struct df_error *err);
const struct df_spec_variant *df_spec_variant_of(const struct df_spec *spec, size_t cell);
/* By its label; "" is the only one. Errors name the labels. */
df_status df_spec_variant_find(const struct df_spec *spec, const char *label, const struct df_spec_variant **out, struct df_error *err);
void df_spec_free(struct df_spec *spec);
#endif
