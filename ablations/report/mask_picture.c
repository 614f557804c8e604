#include "ablations/report/mask_picture.h"

#include <math.h>
#include <string.h>

#include "ablations/run/model.h"
#include "distillers/masks.h"
#include "results/html.h"

enum { BYTES_PER_CELL = 110 };

/* The value of an option of a distiller; NULL: it has none of that name. */
static const void *option_at(const struct df_cell_distiller *distiller, const char *name)
{
    for (const df_option *option = distiller->class->options; option && option->name; option++)
        if (strcmp(option->name, name) == 0)
            return (const char *)distiller->options + option->offset;
    return NULL;
}

static int choice(const struct df_cell_distiller *distiller, const char *name, int absent)
{
    const int *value = option_at(distiller, name);

    return value ? *value : absent;
}

/* What decides a distiller's masks, as distillers/common.h names it; false: it has none. */
static bool mask_options(const struct df_cell_distiller *distiller, struct df_mask_options *out)
{
    const bool *authors = option_at(distiller, "authors");
    const double *share = option_at(distiller, "roi_share");

    if (!option_at(distiller, "level_rule") || !option_at(distiller, "rounding"))
        return false;
    *out = (struct df_mask_options){ .kind = choice(distiller, "mask", DF_MASK_GT),
                                     .level_rule = choice(distiller, "level_rule", DF_LEVEL_FPN),
                                     .rounding = choice(distiller, "rounding", DF_ROUND_AUTHORS),
                                     .roi_share = share ? *share : 0.5 };
    if (authors && *authors) { /* the released code's choices, whatever is written */
        out->level_rule = DF_LEVEL_FPN;
        out->rounding = DF_ROUND_AUTHORS;
    }
    return true;
}

static const struct df_cell *find_cell(const struct df_spec *spec, struct df_mask_options *options)
{
    for (size_t l = 0; l < spec->variant[0].lines; l++) {
        const struct df_cell *cell = spec->cell[(spec->variant[0].line + l) * spec->seeds];

        for (size_t d = 0; d < cell->distillers; d++)
            if (mask_options(&cell->distiller[d], options))
                return cell;
    }
    return NULL;
}

/* Runs of equal weight in a row of cells as one rectangle, in pixels of the stored image. */
static void add_cells(const struct df_part *neck, const df_real *mask, const struct df_batch *image, struct df_text *out)
{
    const double width = (double)neck->stride / image->scale_x[0], height = (double)neck->stride / image->scale_y[0];

    for (size_t y = 0; y < neck->shape.h; y++)
        for (size_t x = 0, end; x < neck->shape.w; x = end) {
            const double weight = (double)mask[y * neck->shape.w + x];

            for (end = x + 1; end < neck->shape.w && (double)mask[y * neck->shape.w + end] == weight; end++)
                ;
            if (weight > 0)
                df_text_addf(out, "<rect class=\"weight\" fill-opacity=\"%.2f\"", 0.6 * weight);
            else
                df_text_add(out, "<rect class=\"rest\"");
            df_text_addf(out, " x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\"/>\n", (double)x * width, (double)y * height,
                         (double)(end - x) * width, height);
        }
}

static void add_levels(struct df_page *page, df_tape *tape, const struct df_detection_state *state, const struct df_mask_options *options,
                       const struct df_picture *picture)
{
    for (size_t l = 0; l < state->levels; l++) {
        const struct df_part *neck = df_part(state, "neck", l);

        if (!df_page_has_room(page, neck->shape.h * neck->shape.w * BYTES_PER_CELL)) {
            df_page_say(page, "note", "The masks of level %zu are left out: the page would be too large.", l);
            continue;
        }
        const df_real *mask = df_mask_objects(tape, state, l, options);
        struct df_text caption = DF_TEXT_INIT;

        df_text_addf(&caption, "masks, level %zu (%zu x %zu)", l, neck->shape.w, neck->shape.h);
        df_picture_begin(picture, "mask", caption.data, &page->body);
        add_cells(neck, mask, state->images, &page->body);
        df_picture_end(&page->body);
        df_text_release(&caption);
    }
}

struct masked { /* whose masks are shown: the first cell that has any */
    const struct df_cell *cell;
    struct df_mask_options options;
};

/* The student's maps, anchors and labels, on the device that computes nothing: no weight has a say in a mask. */
static df_status add_masks(struct df_page *page, const struct masked *of, const struct df_batch *image, size_t classes,
                           const struct df_picture *picture, struct df_error *err)
{
    struct df_detection_state state;
    struct df_model model;

    DF_TRY(df_model_create_dry(of->cell, classes, &model, err));
    df_model_build(&model, of->cell, false);
    df_tape *tape = df_tape_new(model.device, false);

    df_detector_forward(model.detector, tape, image, DF_LABELS | DF_FIRST_STAGE, &state);
    add_levels(page, tape, &state, &of->options, picture);
    df_tape_free(tape);
    df_model_release(&model);
    return DF_OK;
}

df_status df_report_masks(struct df_page *page, struct df_dataset *dataset, size_t index, const struct df_picture *picture,
                          struct df_error *err)
{
    struct masked of;
    const struct df_batch *image;
    struct df_loader *loader;

    of.cell = find_cell(page->request->spec, &of.options);
    if (!of.cell)
        return DF_OK;
    const struct df_loader_config config = df_cell_loader(of.cell, dataset, false);

    DF_TRY(df_loader_new(&config, &loader, err));
    df_text_add(&page->body, "</div>\n<p class=\"note\">Masks of ");
    df_html_add_name(&page->body, of.cell->label);
    df_text_add(&page->body, " on this image: cells of objects in orange, of background darkened.</p>\n<div class=\"pictures\">\n");
    df_status status = df_loader_one(loader, index, false, &image, err);

    if (status == DF_OK)
        status = add_masks(page, &of, image, dataset->categories, picture, err);

    df_loader_free(loader);
    return status;
}
