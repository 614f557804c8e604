/* defeat eval: the 12 COCO numbers of anyone's results file, and what kinds of errors cost how much. */
#include "ablations/cli/command.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/metrics/coco_eval.h"
#include "core/metrics/tide.h"

struct eval_options {
    char gt[DF_STRING_MAX], dt[DF_STRING_MAX];
    bool json, per_class, tide;
};

static const df_option eval_options[] = {
    { "gt", DF_STRING_OPTION(struct eval_options, gt), .text = "", .help = "ground truth: COCO JSON" },
    { "dt", DF_STRING_OPTION(struct eval_options, dt), .text = "", .help = "detections: COCO results JSON" },
    { "json", DF_BOOL_OPTION(struct eval_options, json), .help = "print JSON, numbers with 17 digits" },
    { "per_class", DF_BOOL_OPTION(struct eval_options, per_class), .help = "print AP and AP50 of every class too" },
    { "tide", DF_BOOL_OPTION(struct eval_options, tide),
      .help = "print TIDE's kinds of errors too: what AP at IoU 0.5 would gain without each" },
    { 0 },
};

/* As a member of the object that the text is. */
static void add_tide(const struct df_tide_scores *tide, struct df_text *text)
{
    text->length -= 2; /* "}\n" */
    df_text_add(text, ", \"TIDE\": ");
    df_tide_json(tide, text);
    df_text_add(text, "}\n");
}

/* tide: NULL if it was not asked for. */
static void print_json(const struct df_coco_scores *scores, const struct df_tide_scores *tide, const struct df_coco_truth *truth,
                       bool per_class)
{
    struct df_text text = DF_TEXT_INIT;

    df_coco_json(scores, &text);
    if (tide)
        add_tide(tide, &text);
    if (per_class) { /* a list: names are no keys */
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

static void print_tide(const struct df_tide_scores *tide)
{
    struct df_text text = DF_TEXT_INIT;

    df_tide_summary(tide, &text);
    printf("\n%s", text.data);
    df_text_release(&text);
}

static df_status evaluate(const struct eval_options *options, struct df_error *err)
{
    struct df_coco_truth *truth = NULL;
    struct df_detection *detections = NULL;
    struct df_coco_scores scores = { 0 };
    struct df_tide_scores tide;
    size_t count;
    df_status status = df_coco_truth_read(options->gt, false, &truth, err);

    if (status == DF_OK)
        status = df_coco_results_read(options->dt, &detections, &count, err);
    if (status == DF_OK) {
        status = df_coco_evaluate(df_coco_set_of(truth), detections, count, &scores, err);
        if (status == DF_OK && options->tide)
            status = df_tide_evaluate(truth->images, truth->image, detections, count, &tide, err);
        if (status != DF_OK)
            df_fail_in(err, status, "'%s'", options->dt);
    }
    if (status == DF_OK && options->json) {
        print_json(&scores, options->tide ? &tide : NULL, truth, options->per_class);
    } else if (status == DF_OK) {
        print_text(&scores, truth, options->per_class);
        if (options->tide)
            print_tide(&tide);
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
