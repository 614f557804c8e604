/* No option is idle: with some other value of it a short run ends with other weights, another curve or other detections, and scenes are other
 * pictures. Values are tried from the table's own range; options that have no effect in the tiny cells get what they depend on first. */
#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/nn/optimiser.h"
#include "tests/ablations/run/tiny.h"

struct knob {
    const df_option *table;
    void *values;
    size_t bytes;
};

/* What an option depends on, where the tiny cells do not have it: "option", "other=value other=value". */
static const char *const enabled_by[][2] = {
    { "box_beta", "box_loss=smooth_l1" },
    { "momentum", "optimiser=sgd" },
    { "decay_at", "decay=step decay_factor=0.5" },
    { "decay_factor", "decay=step decay_at=0.4" },
    { "canvas_width", "fixed=true canvas_width=64 canvas_height=64" },
    { "canvas_height", "fixed=true canvas_width=64 canvas_height=64" },
    { "fixed", "canvas_width=96 canvas_height=96" },
    { "max_side", "min_side=64" },
    { "min_side", "max_side=96" },
    { "anchor_truncate", "anchor_size=13.5,23.5,40.5" },
    { "low_quality", "fg_iou=0.95 bg_iou=0.1" },
    { "low_quality_iou", "fg_iou=0.95 bg_iou=0.1" },
    { "marker_with", "marker=1" },
    { "marker_without", "marker=1" },
    { "marker_size", "marker=1" },
    { "rpn_low_quality", "rpn_fg_iou=0.95 rpn_bg_iou=0.1" },
    { "rpn_low_quality_iou", "rpn_fg_iou=0.95 rpn_bg_iou=0.1" },
};
/* Options that decide nothing in so small a run, and where they are held instead. */
static const char *const elsewhere[] = {
    "canvas_width",    "canvas_height",       "fixed", /* tests/core/data/test_loader.c */
    "low_quality_box", "rpn_low_quality_box",          /* tests/detectors/test_anchors.c */
    "evaluations",                                     /* tests/ablations/run/test_run.c: points of the curve, at least five */
    "depth",           "fpn_stages",          "extra",
    "extra_from", /* tests/detectors/test_network.c: they change how many levels and anchors there are */
};

static uint64_t add_file(const char *out, const struct df_cell *cell, enum df_cell_file which, uint64_t hash)
{
    char *path = df_store_cell_file(out, cell, which), *data;
    struct df_error err = { 0 };
    size_t bytes, skip = 0;
    uint64_t header;

    assert_ok(df_file_read(path, 0, &data, &bytes, &err));
    if (which == DF_CELL_WEIGHTS) { /* behind the header, which names the cell */
        memcpy(&header, data, sizeof header);
        skip = sizeof header + (size_t)header;
    }
    hash = hash * 31 + df_hash(data + skip, bytes - skip);
    free(data);
    free(path);
    return hash;
}

/* Of all that a run ends with; 0: these values cannot be run. */
static uint64_t fingerprint(struct df_cell *cell)
{
    const char *out = tiny_out("knobs");
    struct df_run_options options = tiny_run(out);
    struct df_run_result *result;
    uint64_t hash = 1;

    options.resume = false;

    if (df_cell_seal(cell, NULL) != DF_OK || df_run_cell(cell, &options, &result, NULL) != DF_OK)
        return 0;
    for (size_t i = 0; i < result->row.curve.count; i++)
        hash = hash * 31 + df_hash(&result->row.curve.point[i].value, sizeof(double));
    hash = add_file(out, cell, DF_CELL_WEIGHTS, hash);
    hash = add_file(out, cell, DF_CELL_RESULTS, hash);
    df_run_result_free(result);
    return hash;
}

/* Value k that is worth a try, as text; false: there are no more. */
static bool value_at(const df_option *option, const char *now, int k, char text[256])
{
    static const double factors[] = { 0.5, 2, 0.1, 8, 0, 1 };
    const bool list = option->type == DF_OPTION_INT_LIST || option->type == DF_OPTION_REAL_LIST;
    const bool whole = option->type == DF_OPTION_INT || option->type == DF_OPTION_INT_LIST;
    const char *choices = option->type == DF_OPTION_BOOL ? "0|1" : option->choices;
    char number[32];
    double value;

    if (choices) {
        for (; k && choices; k--)
            choices = strchr(choices, '|') ? strchr(choices, '|') + 1 : NULL;
        snprintf(text, 256, "%.*s", choices ? (int)strcspn(choices, "|") : 0, choices ? choices : "");
        return choices != NULL;
    }
    if (k >= 6)
        return false;
    text[0] = 0;
    for (const char *at = now; *at;) {
        char word[64];
        const size_t length = strcspn(at, ",");

        snprintf(word, sizeof word, "%.*s", (int)length, at);
        if (!df_parse_real(word, &value))
            return false;
        value = k < 4 ? value * factors[k] : k == 4 ? option->min : option->max;
        value = k >= 4 || !(option->max > option->min) ? value : fmin(fmax(value, option->min), option->max);
        value = whole ? floor(value) : value;
        snprintf(text + strlen(text), 256 - strlen(text), "%s%s", text[0] ? "," : "", df_format_real(number, value));
        at += length + (at[length] == ',');
        if (!list)
            break;
    }
    return true;
}

static void value_now(const struct knob *knob, const df_option *option, char text[256])
{
    cJSON *all = df_options_write(knob->table, knob->values);
    const cJSON *value = cJSON_GetObjectItem(all, option->name), *element;
    char number[32];

    text[0] = 0;
    if (cJSON_IsNumber(value))
        df_format_real(text, value->valuedouble);
    cJSON_ArrayForEach(element, value)
        snprintf(text + strlen(text), 256 - strlen(text), "%s%s", text[0] ? "," : "", df_format_real(number, element->valuedouble));
    cJSON_Delete(all);
}

/* "a=1 b=2", of those that the table has: detectors share names. */
static void set_words(const struct knob *knob, const char *words)
{
    while (*words) {
        char name[64], value[64];
        const size_t equals = strcspn(words, "="), length = strcspn(words, " ");

        snprintf(name, sizeof name, "%.*s", (int)equals, words);
        snprintf(value, sizeof value, "%.*s", (int)(length - equals - 1), words + equals + 1);
        (void)df_options_set(knob->table, name, value, "knobs", knob->values, NULL);
        words += length + (words[length] == ' ');
    }
}

static bool has_effect(const struct knob *knob, const df_option *option)
{
    const char *const set[] = { option->name, NULL };

    return df_options_check(knob->table, knob->values, set, "", NULL) == DF_OK;
}

static bool is_elsewhere(const df_option *option)
{
    for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++)
        if (strcmp(elsewhere[i], option->name) == 0)
            return true;
    return false;
}

typedef uint64_t print_fn(void *context);

/* Whether some other value of the option gives another fingerprint. */
static bool decides(const struct knob *knob, const df_option *option, print_fn *print, void *context)
{
    void *kept = memcpy(df_malloc(knob->bytes), knob->values, knob->bytes), *enabled;
    char now[256], text[256];
    bool other = false;

    for (size_t i = 0; i < sizeof enabled_by / sizeof *enabled_by; i++)
        if (strcmp(enabled_by[i][0], option->name) == 0 &&
            df_options_check(knob->table, knob->values, (const char *[]){ NULL }, "", NULL) == DF_OK)
            set_words(knob, enabled_by[i][1]);
    if (!has_effect(knob, option)) {
        print_error("%s: nothing here says what it depends on\n", option->name);
        memcpy(knob->values, kept, knob->bytes);
        free(kept);
        return false;
    }
    enabled = memcpy(df_malloc(knob->bytes), knob->values, knob->bytes);
    value_now(knob, option, now);

    const uint64_t before = print(context);

    for (int k = 0; !other && value_at(option, now, k, text); k++) {
        memcpy(knob->values, enabled, knob->bytes);
        if (df_options_set(knob->table, option->name, text, "", knob->values, NULL) != DF_OK)
            continue;

        const uint64_t after = print(context);

        other = after != 0 && after != before;
    }
    memcpy(knob->values, kept, knob->bytes);
    free(kept);
    free(enabled);
    return other && before != 0;
}

static void every_option_decides(const struct knob *knob, print_fn *print, void *context)
{
    size_t idle = 0;

    for (const df_option *option = knob->table; option->name; option++) {
        if (is_elsewhere(option) || decides(knob, option, print, context))
            continue;
        print_error("option '%s' changes nothing\n", option->name);
        idle++;
    }
    assert_int_equal(idle, 0);
}

static uint64_t run_print(void *context) { return fingerprint(context); }

static struct df_cell *short_cell(bool faster)
{
    struct df_cell *cell = faster ? tiny_faster(3) : tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 3);

    cell->schedule.epochs = 1;
    cell->schedule.warmup_steps = 1;
    return cell;
}

static void retinanet(void **state)
{
    struct df_cell *cell = short_cell(false);

    (void)state;
    every_option_decides(&(struct knob){ cell->detector->options, cell->detector_options, cell->detector->options_size }, run_print, cell);
    df_cell_free(cell);
}

static void faster_rcnn(void **state)
{
    struct df_cell *cell = short_cell(true);

    (void)state;
    every_option_decides(&(struct knob){ cell->detector->options, cell->detector_options, cell->detector->options_size }, run_print, cell);
    df_cell_free(cell);
}

static void schedule(void **state)
{
    struct df_cell *cell = short_cell(false);

    (void)state;
    every_option_decides(&(struct knob){ df_schedule_options, &cell->schedule, sizeof cell->schedule }, run_print, cell);
    df_cell_free(cell);
}

static void network(void **state)
{
    struct df_cell *cell = short_cell(false);

    (void)state;
    every_option_decides(&(struct knob){ df_network_option_table, &cell->network, sizeof cell->network }, run_print, cell);
    df_cell_free(cell);
}

static void canvas(void **state)
{
    struct df_cell *cell = short_cell(false);

    (void)state;
    every_option_decides(&(struct knob){ df_canvas_option_table, &cell->canvas, sizeof cell->canvas }, run_print, cell);
    df_cell_free(cell);
}

/* Pictures and objects of all splits. */
static uint64_t scenes_print(void *context)
{
    const struct df_data *options = context;
    struct df_data *data = df_data_new(options->class, ".");
    struct df_image image = { 0 };
    struct df_dataset *dataset;
    uint64_t hash = 1;

    memcpy(data->options, options->options, options->class->options_size);
    for (int split = 0; split < DF_SPLITS && hash; split++) {
        if (df_data_split(data, (enum df_split)split, &dataset, NULL) != DF_OK) {
            hash = 0;
            break;
        }
        hash = hash * 31 + dataset->size;
        for (size_t i = 0; i < dataset->size && i < 12; i++) {
            assert_int_equal(dataset->class->read(dataset, i, &image, NULL), DF_OK);
            hash = hash * 31 + df_hash(image.pixels, (size_t)image.width * (size_t)image.height * 3);
        }
    }
    df_image_release(&image);
    df_data_free(data);
    return hash;
}

static void scenes(void **state)
{
    struct df_data *data = tiny_data_of("scenes", ".", "{\"train\":12,\"tune\":12,\"validation\":12}");

    (void)state;
    every_option_decides(&(struct knob){ data->class->options, data->options, data->class->options_size }, scenes_print, data);
    df_data_free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(retinanet), cmocka_unit_test(faster_rcnn), cmocka_unit_test(schedule),
                                        cmocka_unit_test(network),   cmocka_unit_test(canvas),      cmocka_unit_test(scenes) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
