/* The parts of a detection state: what a network says of images, by name ("neck/0", "backbone/3", "logits"), and the names that a distiller
 * asks for. A part is named by the detector that makes it, and nowhere else: who captures, stores, compares and gives parts loops over them. */
#ifndef DF_DETECTORS_PART_H
#define DF_DETECTORS_PART_H
#include "core/base/text.h"
#include "core/nn/tape.h"

#define DF_PART_NAME 24 /* bytes */
#define DF_PARTS     32
#define DF_NO_LEVEL  SIZE_MAX

struct df_part {
    char name[DF_PART_NAME]; /* "<kind>/<level>", or the kind alone */
    size_t level;            /* DF_NO_LEVEL: it has none */
    size_t stride;           /* canvas pixels per cell of a map [N,h,w,C]; 0: rows, [N,1,A,K] or [R,1,1,K] */
    df_shape shape;
    df_tensor *tensor;      /* on the device; NULL: only its shape is known */
    const df_real *host;    /* the same values on the host, where they were made there; NULL: df_part_host reads them */
    const df_real **read;   /* on the tape: what df_part_host has read of it, for whoever asks next; NULL: it reads every time */
    const df_real *instead; /* of what is read, where the device computes nothing: the host has worked it out; NULL: elsewhere */
    double std;             /* of a teacher's map: over training images, all cells and channels; 0: not measured */
};
struct df_parts {
    size_t count;
    struct df_part part[DF_PARTS];
};
/* Adds a part, or replaces the one of that name. */
struct df_part *df_parts_set(struct df_parts *parts, const char *kind, size_t level, size_t stride, df_tensor *tensor);
/* ... of rows that were made on the host: copied to the device, kept on the host until the tape's reset. */
void df_parts_set_host(struct df_parts *parts, df_tape *tape, const char *name, df_shape shape, const df_real *host);
/* ... of rows that were made on the device and that several may ask for on the host: read once. */
struct df_part *df_parts_set_rows(struct df_parts *parts, df_tape *tape, const char *name, df_tensor *tensor);
/* NULL: there is none. */
const struct df_part *df_parts_find(const struct df_parts *parts, const char *name);
const struct df_part *df_parts_at(const struct df_parts *parts, const char *kind, size_t level);
size_t df_parts_channels(const struct df_parts *parts, const char *kind, size_t level); /* 0: there is none */
/* Its values on the host until the tape's reset. Waits for the device, unless they were made on the host. */
const df_real *df_part_host(df_tape *tape, const struct df_part *part);

/* ---- names that are asked for: of parts, or "<kind>/" and a star for all of that kind ---- */

#define DF_NEEDS 16
struct df_needs { /* sorted, each once */
    size_t count;
    char name[DF_NEEDS][DF_PART_NAME];
};
void df_needs_add(struct df_needs *needs, const char *names); /* separated by blanks */
void df_needs_add_all(struct df_needs *needs, const struct df_needs *more);
bool df_needs_has(const struct df_needs *needs, const char *name); /* by its own name or by its kind's star */
bool df_needs_same(const struct df_needs *a, const struct df_needs *b);
void df_needs_text(const struct df_needs *needs, const char *separator, struct df_text *out);
/* Whether `names`, separated by blanks, have a name or all that a star stands for. */
bool df_names_cover(const char *names, const char *name);
/* Whether what is asked for fits: each part that one network has of it must be in the other, maps with as many cells (widths may differ), rows
 * with as many of the same width. */
df_status df_parts_fit(const struct df_needs *needs, const struct df_parts *teacher, const struct df_parts *student, struct df_error *err);
#endif
