/* defeat eval: the 12 COCO numbers of anyone's results file, and what kinds of errors cost how much. */
#include "ablations/cli/command.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/metrics/calibration.h"
#include "core/metrics/conditions.h"
#include "core/metrics/tide.h"

struct eval_options {
    char gt[DF_STRING_MAX], dt[DF_STRING_MAX];
    bool json, per_class, tide, calibration, conditions;
};

static const df_option eval_options[] = {
    { "gt", DF_STRING_OPTION(struct eval_options, gt), .text = "", .help = "ground truth: COCO JSON" },
    { "dt", DF_STRING_OPTION(struct eval_options, dt), .text = "", .help = "detections: COCO results JSON" },
    { "json", DF_BOOL_OPTION(struct eval_options, json), .help = "print JSON, numbers with 17 digits" },
    { "per_class", DF_BOOL_OPTION(struct eval_options, per_class), .help = "print AP and AP50 of every class too" },
    { "tide", DF_BOOL_OPTION(struct eval_options, tide),
      .help = "print TIDE's kinds of errors too: what AP at IoU 0.5 would gain without each" },
    { "calibration", DF_BOOL_OPTION(struct eval_options, calibration),
      .help = "print whether scores mean what they say too: D-ECE, and the bins of the reliability diagram" },
    { "conditions", DF_BOOL_OPTION(struct eval_options, conditions), .help = "print AP by size thirds and by the objects of an image too" },
    { 0 },
};

/* What was asked for beside COCO's numbers. */
struct more {
    struct df_tide_scores tide;
    struct df_calibration calibration;
    struct df_conditions conditions;
};

static df_status evaluate_more(const struct eval_options *options, const struct df_coco_truth *truth, const struct df_detection *detections,
                               size_t count, struct more *more, struct df_error *err)
{
    const struct df_coco_set set = df_coco_set_of(truth);

    if (options->tide)
        DF_TRY(df_tide_evaluate(truth->images, truth->image, detections, count, &more->tide, err));
    if (options->calibration)
        DF_TRY(df_calibration_evaluate(&df_calibration_standard, set, detections, count, &more->calibration, err));
    return options->conditions ? df_conditions_evaluate(set, detections, count, &more->conditions, err) : DF_OK;
}

/* As members of the object that the text is. */
static void add_more(const struct eval_options *options, const struct more *more, struct df_text *text)
{
    text->length -= 2; /* "}\n" */
    if (options->tide) {
        df_text_add(text, ", \"TIDE\": ");
        df_tide_json(&more->tide, text);
    }
    if (options->calibration) {
        df_text_add(text, ", \"calibration\": ");
        df_calibration_json(&more->calibration, text);
    }
    if (options->conditions) {
        df_text_add(text, ", \"conditions\": ");
        df_conditions_json(&more->conditions, text);
    }
    df_text_add(text, "}\n");
}

static void print_json(const struct eval_options *options, const struct df_coco_scores *scores, const struct more *more,
                       const struct df_coco_truth *truth)
{
    struct df_text text = DF_TEXT_INIT;

    df_coco_json(scores, &text);
    add_more(options, more, &text);
    if (options->per_class) { /* a list: names are no keys */
        cJSON *root = cJSON_CreateObject(), *classes;
        struct df_text member = DF_TEXT_INIT;

        classes = cJSON_AddArrayToObject(root, "classes");
        for (size_t k = 0; k < truth->categories; k++) {
            cJSON *class = cJSON_CreateObject();

            cJSON_AddItemToArray(classes, class);
            cJSON_AddNumberToObject(class, "id", (double)truth->category[k].id);
            cJSON_AddStringToObject(class, "name", truth->category[k].name);
            cJSON_AddNumberToObject(class, "AP", scores->class_ap[k]);
            cJSON_AddNumberToObject(class, "AP50", scores->class_ap50[k]);
        }
        df_json_canonical(root, &member);
        printf("%.*s, %s\n", (int)text.length - 2, text.data, df_text_get(&member) + 1); /* "{...}\n" and "{...}" become one object */
        df_text_release(&member);
        cJSON_Delete(root);
    } else {
        fputs(df_text_get(&text), stdout);
    }
    df_text_release(&text);
}

static void print_text(const struct df_coco_scores *scores, const struct df_coco_truth *truth, bool per_class)
{
    struct df_text text = DF_TEXT_INIT;

    df_coco_summary(scores, &text);
    fputs(df_text_get(&text), stdout);
    df_text_release(&text);
    if (!per_class)
        return;
    printf("\n %-24s %6s %6s\n", "class", "AP", "AP50");
    for (size_t k = 0; k < truth->categories; k++) {
        struct df_text label = DF_TEXT_INIT;

        df_category_label(truth->category, truth->categories, k, &label);
        const struct df_shown name = df_shown(df_text_get(&label));

        printf(" %s%*s %6.3f %6.3f\n", name.text, name.columns < 24 ? 24 - name.columns : 0, "", scores->class_ap[k],
               scores->class_ap50[k]);
        df_text_release(&label);
    }
}

static void print_more(const struct eval_options *options, const struct more *more)
{
    struct df_text text = DF_TEXT_INIT;

    if (options->tide) {
        df_text_add(&text, "\n");
        df_tide_summary(&more->tide, &text);
    }
    if (options->calibration) {
        df_text_add(&text, "\n");
        df_calibration_summary(&more->calibration, &text);
    }
    if (options->conditions) {
        df_text_add(&text, "\n");
        df_conditions_summary(&more->conditions, &text);
    }
    fputs(df_text_get(&text), stdout);
    df_text_release(&text);
}

static df_status evaluate(const struct eval_options *options, struct df_error *err)
{
    struct df_coco_truth *truth = NULL;
    struct df_detection *detections = NULL;
    struct df_coco_scores scores = { 0 };
    struct more more;
    size_t count;
    df_status status = df_coco_truth_read(options->gt, false, &truth, err);

    if (status == DF_OK)
        status = df_coco_results_read(options->dt, &detections, &count, err);
    if (status == DF_OK) {
        status = df_coco_evaluate(df_coco_set_of(truth), detections, count, &scores, err);
        if (status == DF_OK)
            status = evaluate_more(options, truth, detections, count, &more, err);
        if (status != DF_OK)
            df_fail_in(err, status, "'%s'", options->dt);
    }
    if (status == DF_OK && options->json) {
        print_json(options, &scores, &more, truth);
    } else if (status == DF_OK) {
        print_text(&scores, truth, options->per_class);
        print_more(options, &more);
    }
    df_coco_scores_release(&scores);
    free(detections);
    df_coco_truth_free(truth);
    return status;
}

static int run(const void *values, int count, char *const *arguments)
{
    const struct eval_options *options = values;
    struct df_error err = { 0 };

    (void)count;
    (void)arguments;
    if (!options->gt[0] || !options->dt[0])
        df_fail(&err, DF_ERR_USAGE, "no %s given (defeat eval --gt GT.json --dt RESULTS.json)",
                options->gt[0] ? "detections" : "ground truth");
    else
        evaluate(options, &err);
    return err.status == DF_OK ? 0 : df_command_fail(&err);
}

const struct df_command df_command_eval = {
    .name = "eval",
    .summary = "the 12 COCO numbers of a results file",
    .usage = "defeat eval --gt GT.json --dt RESULTS.json [--json] [--per-class] [--tide]",
    .example = "defeat eval --gt tests/golden/coco_eval/plain.gt.json --dt tests/golden/coco_eval/plain.dt.json",
    .options = eval_options,
    .options_size = sizeof(struct eval_options),
    .run = run,
};
