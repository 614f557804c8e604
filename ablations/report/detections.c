#include "ablations/report/detections.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/report/mask_picture.h"
#include "ablations/report/picture.h"
#include "ablations/run/store.h"
#include "core/base/file.h"
#include "core/metrics/tide.h"
#include "results/html.h"

enum { MOST_IMAGES = 64, BYTES_PER_BOX = 420 };
static const double least_score = 0.3;

/* Somebody's detections in the images that are shown. */
struct side {
    size_t line;         /* SIZE_MAX: a teacher */
    const char *teacher; /* its name; "": it has none */
    int64_t seed;
    struct df_detection *detection;
    size_t count;
};
struct sides {
    size_t count;
    struct side *side;
    struct df_dataset *dataset;
    size_t images;
    size_t image[MOST_IMAGES]; /* places in the data set */
};

static void choose_images(struct sides *sides, size_t wanted)
{
    for (size_t i = 0; i < sides->dataset->size && sides->images < wanted && sides->images < MOST_IMAGES; i++)
        if (sides->dataset->info[i].count)
            sides->image[sides->images++] = i;
}

static bool is_shown(const struct sides *sides, const struct df_detection *detection)
{
    for (size_t k = 0; k < sides->images; k++)
        if (sides->dataset->info[sides->image[k]].id == detection->image_id)
            return detection->score >= least_score;
    return false;
}

/* Keeps of a results file what is shown. */
static df_status add_side(struct sides *sides, const char *path, size_t line, int64_t seed, struct df_error *err)
{
    struct df_detection *detection;
    size_t count, kept = 0;

    DF_TRY(df_coco_results_read(path, &detection, &count, err));
    for (size_t i = 0; i < count; i++)
        if (is_shown(sides, &detection[i]))
            detection[kept++] = detection[i];
    sides->side = df_realloc(sides->side, (sides->count + 1) * sizeof *sides->side);
    sides->side[sides->count++] = (struct side){ line, "", seed, detection, kept };
    return DF_OK;
}

static const struct df_cell *cell_of(const struct df_spec *spec, const char *run)
{
    for (size_t i = 0; i < spec->count; i++)
        if (strcmp(spec->cell[i]->id, run) == 0)
            return spec->cell[i];
    return NULL;
}

/* The first run of a line whose results.json was found to be its own. */
static df_status add_method(const struct df_page *page, size_t line, struct sides *sides, struct df_error *err)
{
    const struct df_table_request *rows = page->request->rows;

    for (size_t r = 0; r < rows->line[line].runs; r++) {
        const struct df_run_row *row = df_journal_find(page->request->journal, rows->line[line].run[r], rows->semantics);
        const struct df_cell *cell = cell_of(page->request->spec, rows->line[line].run[r]);

        if (!cell || !df_run_row_ok(row) || isnan(df_run_row_score(row, df_tide_metrics[0], "")))
            continue;
        char *path = df_store_cell_file(page->request->out, cell, DF_CELL_RESULTS);
        const df_status status = add_side(sides, path, line, row->seed, err);

        free(path);
        return status;
    }
    return DF_OK;
}

static df_status add_teacher(const struct df_page *page, const struct df_spec_teacher *teacher, struct sides *sides, struct df_error *err)
{
    char *path = df_store_cell_file(page->request->out, teacher->cell, DF_CELL_RESULTS);
    df_status status = DF_OK;

    if (!teacher->cell->file[0] && df_file_exists(path)) {
        status = add_side(sides, path, SIZE_MAX, 0, err);
        if (status == DF_OK)
            sides->side[sides->count - 1].teacher = teacher->which;
    }
    free(path);
    return status;
}

static df_status add_teachers(const struct df_page *page, struct sides *sides, struct df_error *err)
{
    const struct df_spec_variant *variant = &page->request->spec->variant[0];

    for (size_t t = 0; t < variant->teachers; t++)
        DF_TRY(add_teacher(page, &variant->teacher[t], sides, err));
    return DF_OK;
}

/* ---- drawing ---------------------------------------------------------------------------------------------------------------------- */

static size_t category_place(const struct df_dataset *dataset, int64_t id)
{
    size_t c = 0;

    while (c < dataset->categories && dataset->category[c].id != id)
        c++;
    return c;
}

static void add_truth(const struct sides *sides, const struct df_picture *picture, const struct df_image_info *info, struct df_text *out)
{
    struct df_text caption = DF_TEXT_INIT;

    df_text_addf(&caption, "truth <small>%zu</small>", info->count);
    df_picture_begin(picture, "truth", caption.data, out);
    df_text_release(&caption);
    for (size_t j = 0; j < info->count; j++)
        df_picture_box(info->objects[j].bbox, (size_t)info->objects[j].label, sides->dataset->category[info->objects[j].label].name, out);
    df_picture_end(out);
}

static size_t count_boxes(const struct side *side, int64_t image)
{
    size_t n = 0;

    for (size_t i = 0; i < side->count; i++)
        n += side->detection[i].image_id == image;
    return n;
}

static void add_boxes(const struct sides *sides, const struct side *side, int64_t image, struct df_text *out)
{
    for (size_t i = 0; i < side->count; i++) {
        const size_t category = category_place(sides->dataset, side->detection[i].category_id);
        struct df_text text = DF_TEXT_INIT;

        if (side->detection[i].image_id != image)
            continue;
        df_text_addf(&text, "%s %.2f", category < sides->dataset->categories ? sides->dataset->category[category].name : "?",
                     side->detection[i].score);
        df_picture_box(side->detection[i].bbox, category, text.data, out);
        df_text_release(&text);
    }
}

static void add_seen(struct df_page *page, const struct sides *sides, const struct side *side, const struct df_picture *picture,
                     int64_t image)
{
    struct df_text class = DF_TEXT_INIT, caption = DF_TEXT_INIT;

    if (side->line == SIZE_MAX) {
        df_text_add(&class, "taught");
        df_text_addf(&caption, "teacher%s%s", side->teacher[0] ? " " : "", side->teacher);
    } else {
        df_text_addf(&class, "of p p%zu", side->line);
        df_page_method(page, side->line, &caption);
    }
    df_text_addf(&caption, " <small>%zu</small>", count_boxes(side, image));
    df_picture_begin(picture, class.data, caption.data, &page->body);
    add_boxes(sides, side, image, &page->body);
    df_picture_end(&page->body);
    df_text_release(&class);
    df_text_release(&caption);
}

static size_t boxes_in(const struct sides *sides, const struct df_image_info *info)
{
    size_t n = info->count;

    for (size_t s = 0; s < sides->count; s++)
        n += count_boxes(&sides->side[s], info->id);
    return n;
}

/* What cannot be read on this machine is warned of: the rest of the page does not hang on it. Returns whether there was room. */
static bool add_image(struct df_page *page, const struct sides *sides, size_t k)
{
    const struct df_image_info *info = &sides->dataset->info[sides->image[k]];
    const size_t bytes = boxes_in(sides, info) * BYTES_PER_BOX + sides->count * 512;
    struct df_picture picture = { .number = k };
    struct df_error err;
    bool shown;

    if (!df_page_has_room(page, bytes))
        return false;
    if (df_picture_add(page, sides->dataset, sides->image[k], &picture, &shown, &err) != DF_OK) {
        df_warn("%s", err.text);
        return true;
    }
    if (!shown)
        return false;
    df_text_add(&page->body, "<div class=\"pictures\">\n");
    add_truth(sides, &picture, info, &page->body);
    for (size_t s = 0; s < sides->count; s++)
        add_seen(page, sides, &sides->side[s], &picture, info->id);
    if (k == 0 && df_report_masks(page, sides->dataset, sides->image[k], &picture, &err) != DF_OK)
        df_warn("%s", err.text);
    df_text_add(&page->body, "</div>\n");
    return true;
}

static void add_legend(const struct df_dataset *dataset, struct df_text *out)
{
    df_text_add(out, "<p class=\"keys\">");
    for (size_t c = 0; c < dataset->categories && c < 16; c++) {
        df_text_addf(out, "<span><i style=\"background:%s;outline:1px solid var(--dim)\"></i>", df_picture_colour(c));
        df_html_add_name(out, dataset->category[c].name);
        df_text_add(out, "</span>");
    }
    df_text_addf(out, "%s</p>\n", dataset->categories > 16 ? " ..." : "");
}

static void tell(struct df_page *page, const struct sides *sides)
{
    const struct df_spec *spec = page->request->spec;
    bool teacher = false;
    size_t k = 0;

    add_legend(sides->dataset, &page->body);
    while (k < sides->images && add_image(page, sides, k))
        k++;
    for (size_t s = 0; s < sides->count; s++)
        teacher |= sides->side[s].line == SIZE_MAX;
    df_page_say(
        page, "note",
        "The first validation images that hold an object%s%s%s: truth, then the detections of the two chosen methods (each its first "
        "seed here) and of the teacher, those with a score of %.1f or more and how many they are. Class and score: point at a box.",
        spec->variants > 1 ? ", of variant '" : "", spec->variant[0].label, spec->variants > 1 ? "'" : "", least_score);
    if (!teacher)
        df_page_say(page, "note", "The teacher's detections (its results.json under '%s/teachers') are not here.", page->request->out);
    if (k < sides->images)
        df_page_say(page, "note", "%zu images are left out: the page would be too large.", sides->images - k);
}

static df_status show(struct df_page *page, struct sides *sides, struct df_error *err)
{
    const struct df_spec *spec = page->request->spec;
    size_t methods;

    DF_TRY(df_data_split(spec->cell[0]->data, DF_VALIDATION, &sides->dataset, err));
    choose_images(sides, page->request->images);
    for (size_t l = 0; l < spec->variant[0].lines; l++)
        DF_TRY(add_method(page, spec->variant[0].line + l, sides, err));
    methods = sides->count;
    DF_TRY(add_teachers(page, sides, err));
    if (!methods)
        df_page_say(page, "", "No method has a run whose detections (results.json) are here: the truth alone is shown.");
    tell(page, sides);
    return DF_OK;
}

df_status df_report_detections(struct df_page *page, struct df_error *err)
{
    const struct df_report_request *request = page->request;
    struct sides sides = { 0 };
    df_status status = DF_OK;

    df_page_section_begin(page, "images", "Images");
    if (!request->detections || !request->images)
        df_page_say(page, "", "None were asked for (--detections, --images).");
    else if (!request->spec)
        df_page_say(page, "", "No images: a folder of rows does not say which data its runs were judged on ('defeat report SPEC' does).");
    else if (request->rows->semantics != DF_SEMANTICS)
        df_page_say(page, "", "No images: rows of semantics %lld, an older version's, have no detections.",
                    (long long)request->rows->semantics);
    else
        status = show(page, &sides, err);
    df_page_section_end(page);
    for (size_t s = 0; s < sides.count; s++)
        free(sides.side[s].detection);
    free(sides.side);
    return status;
}
