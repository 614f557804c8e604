#include "ablations/run/telemetry.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "distillers/masks.h"

enum { DETECTOR, DISTILLERS };
enum region { OBJECT, BACKGROUND, PADDING, REGIONS };
static const char *const region_names[REGIONS] = { "object", "background", "padding" };

/* One look: the step, and where its points go. */
struct look {
    struct df_telemetry *telemetry;
    struct df_student *student;
    const struct df_step_view *view;
    struct df_learning *learning;
    df_tensor *neck[DF_LEVELS];
    size_t levels, values; /* of all levels */
};

static void add_point(const struct look *look, const char *what, const char *of, double value)
{
    char name[80];

    snprintf(name, sizeof name, "telemetry.%s%s%s", what, *of ? "." : "", of);
    df_curve_add(&look->learning->curve, look->learning->memory,
                 (struct df_curve_point){ .step = (int64_t)look->student->step,
                                          .epoch = (double)look->student->step / (double)look->student->steps_per_epoch,
                                          .split = "train",
                                          .metric = name,
                                          .value = value });
}

/* ---- gradients at the neck -------------------------------------------------------------------------------------------------------- */

static void find_neck(struct look *look)
{
    const struct df_part *part;

    while ((part = df_parts_at(&look->view->own->parts, "neck", look->levels))) {
        look->neck[look->levels++] = part->tensor;
        look->values += df_count(part->tensor->shape);
    }
}

static void make_room(struct df_telemetry *telemetry, size_t values)
{
    if (telemetry->room >= values)
        return;
    telemetry->one = df_realloc(telemetry->one, values * sizeof *telemetry->one);
    for (int k = 0; k < 2; k++)
        telemetry->sum[k] = df_realloc(telemetry->sum[k], values * sizeof *telemetry->sum[k]);
    telemetry->room = values;
}

/* The gradient of a term into telemetry->one. */
static void read_gradient(const struct look *look, const df_tensor *term)
{
    struct df_student *student = look->student;
    df_real *to = look->telemetry->one;

    df_backward_to(student->tape, (df_tensor *)(uintptr_t)term, look->neck, look->levels);
    for (size_t l = 0; l < look->levels; l++) {
        const size_t count = df_count(look->neck[l]->shape);

        if (look->neck[l]->grad)
            df_read(student->model.device, to, look->neck[l]->grad, count * sizeof *to);
        else
            memset(to, 0, count * sizeof *to);
        to += count;
    }
    df_parameters_zero_grad(student->model.parameters);
}

/* Adds weight * one to the sum; the length of that. */
static double add_gradient(const struct look *look, double weight, double *sum)
{
    double squares = 0;

    for (size_t i = 0; i < look->values; i++) {
        const double g = weight * (double)look->telemetry->one[i];

        squares += g * g;
        sum[i] += g;
    }
    return sqrt(squares);
}

static double cosine(const double *a, const double *b, size_t n)
{
    double ab = 0, aa = 0, bb = 0;

    for (size_t i = 0; i < n; i++) {
        ab += a[i] * b[i];
        aa += a[i] * a[i];
        bb += b[i] * b[i];
    }
    return ab / (sqrt(aa) * sqrt(bb));
}

static void look_at_gradients(const struct look *look)
{
    const struct df_loss_terms *terms = &look->student->terms;
    struct df_telemetry *telemetry = look->telemetry;

    make_room(telemetry, look->values);
    for (int k = 0; k < 2; k++)
        memset(telemetry->sum[k], 0, look->values * sizeof *telemetry->sum[k]);
    for (size_t i = 0; i < terms->count; i++) {
        const int whose = i < look->view->own_terms ? DETECTOR : DISTILLERS;

        add_point(look, "loss", terms->term[i].name, df_item(look->student->tape, terms->term[i].value));
        read_gradient(look, terms->term[i].value);
        add_point(look, "norm", terms->term[i].name, add_gradient(look, terms->term[i].weight, telemetry->sum[whose]));
    }

    const double angle = cosine(telemetry->sum[DETECTOR], telemetry->sum[DISTILLERS], look->values);

    if (isfinite(angle))
        add_point(look, "cosine", "", angle);
}

/* ---- regions ---------------------------------------------------------------------------------------------------------------------- */

struct regions {
    size_t cells[REGIONS];
    double error[REGIONS]; /* sums over them */
};

/* |x| of every cell [N h w] over its channels, divided by the root of their mean square; all 0 if it is 0. */
static double *lengths(const df_real *x, df_shape shape)
{
    const size_t cells = df_pixels(shape);
    double *length = df_malloc(cells * sizeof *length), squares = 0;

    for (size_t p = 0; p < cells; p++) {
        double sum = 0;

        for (size_t c = 0; c < shape.c; c++)
            sum += (double)x[p * shape.c + c] * (double)x[p * shape.c + c];
        length[p] = sqrt(sum);
        squares += sum;
    }
    for (size_t p = 0; p < cells && squares > 0; p++)
        length[p] /= sqrt(squares / (double)cells);
    return length;
}

static enum region region_of(struct df_cells valid, size_t y, size_t x, bool object)
{
    return y >= valid.h || x >= valid.w ? PADDING : object ? OBJECT : BACKGROUND;
}

/* s, t: NULL where there is no teacher's map */
static void add_level(const struct look *look, const struct df_part *neck, const double *s, const double *t, struct regions *out)
{
    static const struct df_mask_options boxes = { .kind = DF_MASK_GT, .level_rule = DF_LEVEL_FPN, .rounding = DF_ROUND_COVER };
    const df_real *object = df_mask_objects(look->student->tape, look->view->own, neck->level, &boxes);
    const df_shape map = neck->shape;
    size_t p = 0;

    for (size_t n = 0; n < map.n; n++) {
        const struct df_cells valid = df_valid_cells(look->view->own->images, n, neck->stride);

        for (size_t y = 0; y < map.h; y++)
            for (size_t x = 0; x < map.w; x++, p++) {
                const enum region region = region_of(valid, y, x, object[p] > 0);

                out->cells[region]++;
                out->error[region] += s ? (s[p] - t[p]) * (s[p] - t[p]) : 0;
            }
    }
}

/* The map of the first teacher that shows its neck; NULL: none does. */
static const struct df_part *neck_of_teacher(const struct look *look, size_t level)
{
    const struct df_part *neck = NULL;

    for (size_t t = 0; t < look->student->cell->teachers && !neck; t++)
        neck = df_parts_at(&look->view->teacher[t].parts, "neck", level);
    return neck;
}

/* Whether a teacher shows its neck is seen at the first level. */
static void look_at_regions(const struct look *look)
{
    df_tape *tape = look->student->tape;
    struct regions regions = { 0 };
    size_t all = 0;
    bool taught = false;

    for (size_t l = 0; l < look->levels; l++) {
        const struct df_part *own = df_parts_at(&look->view->own->parts, "neck", l), *theirs = neck_of_teacher(look, l);
        double *s = theirs ? lengths(df_part_host(tape, own), own->shape) : NULL;
        double *t = theirs ? lengths(df_part_host(tape, theirs), theirs->shape) : NULL;

        taught |= theirs != NULL;
        add_level(look, own, s, t, &regions);
        free(s);
        free(t);
    }
    for (int r = 0; r < REGIONS; r++)
        all += regions.cells[r];
    for (int r = 0; r < REGIONS; r++) {
        add_point(look, "share", region_names[r], (double)regions.cells[r] / (double)all);
        if (taught && regions.cells[r])
            add_point(look, "error", region_names[r], regions.error[r] / (double)regions.cells[r]);
    }
}

void df_telemetry_look(struct df_telemetry *telemetry, struct df_student *student, const struct df_step_view *view,
                       struct df_learning *learning)
{
    struct look look = { .telemetry = telemetry, .student = student, .view = view, .learning = learning };

    if (!telemetry->every || student->step % telemetry->every)
        return;
    find_neck(&look);
    if (!look.levels)
        return;
    look_at_gradients(&look);
    look_at_regions(&look);
}

void df_telemetry_release(struct df_telemetry *telemetry)
{
    free(telemetry->one);
    free(telemetry->sum[DETECTOR]);
    free(telemetry->sum[DISTILLERS]);
}
