#include "ablations/run/teacher_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/run/described.h"
#include "ablations/run/store.h"
#include "core/base/hash.h"
#include "core/device/open.h"
#include "core/metrics/coco_eval.h"
#include "core/nn/checkpoint.h"

char *df_teacher_path(const struct df_cell *teacher, const struct df_run_options *options)
{
    return teacher->file[0] ? df_strdup(teacher->file) : df_store_teacher(options->out, teacher->id);
}

/* Of each neck level, over the images so far. */
struct sums {
    double sum[DF_LEVELS], squares[DF_LEVELS], count[DF_LEVELS];
    size_t levels;
};

static void add_necks(df_tape *tape, const struct df_detection_state *state, struct sums *sums)
{
    sums->levels = state->levels;
    for (size_t l = 0; l < state->levels; l++) {
        const struct df_part *neck = df_part(state, "neck", l);
        const df_real *host = df_part_host(tape, neck);
        const size_t n = df_count(neck->shape);

        for (size_t j = 0; j < n; j++) {
            sums->sum[l] += (double)host[j];
            sums->squares[l] += (double)host[j] * (double)host[j];
        }
        sums->count[l] += (double)n;
    }
}

df_status df_teacher_measure(const struct df_cell *cell, struct df_model *model, bool skip_bad, struct df_teacher_facts *facts,
                             struct df_error *err)
{
    struct df_loader *loader;
    struct df_dataset *train;
    struct sums sums = { 0 };
    df_status status = DF_OK;

    DF_TRY(df_data_split(cell->data, DF_TRAIN, &train, err));

    const struct df_loader_config config = df_cell_loader(cell, train, skip_bad);

    DF_TRY(df_loader_new(&config, &loader, err));

    df_tape *tape = df_tape_new(model->device, false);

    for (size_t i = 0; i < train->size && i < DF_NECK_STD_IMAGES; i++) {
        struct df_detection_state state = { 0 };
        const struct df_batch *batch;

        status = df_loader_one(loader, i, false, &batch, err);
        if (status != DF_OK)
            break;
        df_tape_reset(tape);
        df_detector_forward(model->detector, tape, batch, DF_BODY, &state);
        add_necks(tape, &state, &sums);
    }
    df_tape_free(tape);
    df_loader_free(loader);
    DF_TRY(status);
    facts->levels = sums.levels;
    for (size_t l = 0; l < sums.levels; l++) {
        const double mean = sums.sum[l] / sums.count[l];

        facts->neck_std[l] = sqrt(fmax(0, sums.squares[l] / sums.count[l] - mean * mean));
    }
    return DF_OK;
}

static void add_reals(struct df_text *text, const double *values, size_t n)
{
    char number[32];

    for (size_t i = 0; i < n; i++)
        df_text_addf(text, "%s%s", i ? "," : "", df_format_real(number, values[i]));
}

/* Of all that the gate's number depends on besides the weights. */
static df_status hash_gate(const struct df_cell *cell, char hash[17], struct df_error *err)
{
    struct df_dataset *validation;
    struct df_text text = DF_TEXT_INIT;
    cJSON *canvas, *detector;

    DF_TRY(df_data_split(cell->data, DF_VALIDATION, &validation, err));
    canvas = df_options_write(df_canvas_option_table, &cell->canvas);
    detector = df_options_write(cell->detector->options, cell->detector_options);
    df_text_addf(&text, "%s canvas ", df_hash_text(hash, validation->hash));
    df_json_canonical(canvas, &text);
    df_text_addf(&text, " detector %s ", cell->detector->name);
    df_json_canonical(detector, &text);
    df_hash_text(hash, df_hash(text.data, text.length));
    cJSON_Delete(canvas);
    cJSON_Delete(detector);
    df_text_release(&text);
    return DF_OK;
}

static df_status measure_gate(const struct df_cell *cell, struct df_model *model, struct df_teacher_facts *facts, struct df_error *err)
{
    struct df_dataset *validation;

    DF_TRY(df_data_split(cell->data, DF_VALIDATION, &validation, err));
    facts->gate_images = validation->size < DF_GATE_IMAGES ? validation->size : DF_GATE_IMAGES;
    return df_teacher_kind_of(cell)->measure(cell, model, facts->gate_images, &facts->gate_map, err);
}

df_status df_teacher_write(const struct df_cell *cell, struct df_model *model, struct df_teacher_writing how, const char *path,
                           struct df_error *err)
{
    const struct df_device_identity device = df_device_identity(cell->device);
    struct df_teacher_facts facts = { 0 };
    struct df_text neck = DF_TEXT_INIT, classes = DF_TEXT_INIT;
    struct df_dataset *train;
    const struct df_teacher_kind *kind = df_teacher_kind_of(cell);
    char hash[17], map_text[32], gate_text[32], images_text[32], gate_key[32];

    if (how.half)
        df_parameters_round(model->parameters);
    if (df_teacher_has_neck(cell))
        DF_TRY(df_teacher_measure(cell, model, how.skip_bad, &facts, err));
    if (kind->class || isnan(how.map)) /* what a classifier's training evaluated is the mAP of boxes that were told */
        DF_TRY(kind->measure(cell, model, 0, &how.map, err));
    DF_TRY(measure_gate(cell, model, &facts, err));
    DF_TRY(hash_gate(cell, facts.gate_hash, err));
    DF_TRY(df_data_split(cell->data, DF_TRAIN, &train, err));
    df_classes_text(train, &classes);
    add_reals(&neck, facts.neck_std, facts.levels);
    snprintf(images_text, sizeof images_text, "%zu", facts.gate_images);
    snprintf(gate_key, sizeof gate_key, "gate_%s", kind->score);

    const struct df_metadata metadata[] = {
        { "format", "defeat teacher" },
        { "id", cell->id },
        { "cell", df_text_get(&cell->json) },
        { "classes", df_text_get(&classes) },
        { kind->score, df_format_real(map_text, how.map) },
        { gate_key, df_format_real(gate_text, facts.gate_map) },
        { "gate_images", images_text },
        { "gate_hash", facts.gate_hash },
        { "neck_std", df_text_get(&neck) },
        { "parameters_hash", df_hash_text(hash, df_parameters_hash(model->parameters)) },
        { "device", device.kind },
        { "isa", device.isa }, /* the last: of a device whose bits depend on it */
    };
    const struct df_checkpoint file = { .parameters = model->parameters,
                                        .half = how.half,
                                        .metadata = metadata,
                                        .metadata_count = sizeof metadata / sizeof *metadata - !df_device_varies(&device) };
    const df_status status = df_checkpoint_write(path, file, err);

    df_text_release(&neck);
    df_text_release(&classes);
    return status;
}

static const char *metadata_text(const cJSON *metadata, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(metadata, key);

    return cJSON_IsString(item) ? item->valuestring : NULL;
}

static bool metadata_real(const cJSON *metadata, const char *key, double *out)
{
    const char *text = metadata_text(metadata, key);

    return text && df_parse_real(text, out);
}

/* "14.1,8.7,4.2" */
static size_t parse_reals(const char *text, double *out, size_t most)
{
    size_t n = 0;

    while (text && *text && n < most) {
        char word[40];
        const size_t length = strcspn(text, ",");

        snprintf(word, sizeof word, "%.*s", (int)(length < sizeof word ? length : sizeof word - 1), text);
        if (!df_parse_real(word, &out[n]))
            return 0;
        n++;
        text += length + (text[length] == ',');
    }
    return n;
}

/* What the file says, which has been compared; of one from elsewhere the hash of its bytes. */
static df_status contents_hash(const char *path, const cJSON *metadata, char hash[17], struct df_error *err)
{
    const char *recorded = metadata_text(metadata, "contents_hash");

    if (!recorded)
        return df_file_hash(path, hash, err);
    snprintf(hash, 17, "%s", recorded);
    return DF_OK;
}

static void copy_word(char *to, size_t room, const char *from) { snprintf(to, room, "%s", from ? from : ""); }

df_status df_teacher_facts_read(const char *checkpoint, struct df_teacher_facts *out, struct df_error *err)
{
    struct df_teacher_facts facts = { 0 };
    cJSON *metadata;
    double images = 0;

    DF_TRY(df_checkpoint_metadata(checkpoint, &metadata, err));
    facts.map = NAN;
    facts.accuracy = metadata_real(metadata, "accuracy", &facts.map);
    if (!facts.accuracy)
        (void)metadata_real(metadata, "map", &facts.map);
    facts.gated = metadata_real(metadata, facts.accuracy ? "gate_accuracy" : "gate_map", &facts.gate_map) &&
                  metadata_real(metadata, "gate_images", &images) && images >= 1;
    facts.gate_images = facts.gated ? (size_t)images : 0;
    facts.levels = parse_reals(metadata_text(metadata, "neck_std"), facts.neck_std, DF_LEVELS);
    facts.measured = facts.levels > 0;
    copy_word(facts.gate_hash, sizeof facts.gate_hash, metadata_text(metadata, "gate_hash"));
    copy_word(facts.id, sizeof facts.id, metadata_text(metadata, "id"));
    copy_word(facts.parameters_hash, sizeof facts.parameters_hash, metadata_text(metadata, "parameters_hash"));
    copy_word(facts.device, sizeof facts.device, metadata_text(metadata, "device"));
    copy_word(facts.isa, sizeof facts.isa, metadata_text(metadata, "isa"));

    const df_status status = contents_hash(checkpoint, metadata, facts.contents_hash, err);

    cJSON_Delete(metadata);
    if (status == DF_OK)
        *out = facts;
    return status;
}

df_status df_teacher_check(const struct df_cell *cell, const char *path, struct df_error *err)
{
    struct df_teacher_facts facts;

    DF_TRY(df_teacher_facts_read(path, &facts, err));
    if (strcmp(facts.id, cell->id) != 0)
        return df_fail(err, DF_ERR_STALE, "teacher '%s' says that it is '%s' (expected '%s') [delete the file: it will be trained again]",
                       path, facts.id, cell->id);
    return DF_OK;
}

/* The recorded number against the measured one. same_gate: it is of what was measured here. */
static df_status compare_gate(const struct df_cell *cell, const char *path, const struct df_teacher_facts *facts, double map,
                              bool same_gate, struct df_error *err)
{
    const struct df_device_identity here = df_device_identity(cell->device);
    const bool same_machine = strcmp(facts->device, here.kind) == 0 && (!df_device_varies(&here) || strcmp(facts->isa, here.isa) == 0);
    const double allowed = same_machine ? 0 : 0.005;
    char found[32], expected[32];

    if (fabs(map - facts->gate_map) <= allowed)
        return DF_OK;
    df_format_real(found, 100 * map); /* percent points, with all digits: the least difference counts */
    df_format_real(expected, 100 * facts->gate_map);
    if (cell->file[0] && !same_gate) { /* somebody's own, of other pictures: that is no fault of the file */
        df_warn("teacher '%s' reaches %s %s on the first %zu validation images, where %s is recorded: it was measured on other images, on "
                "another canvas or with other options of its detector",
                path, found, facts->accuracy ? "% accuracy" : "mAP", facts->gate_images, expected);
        return DF_OK;
    }
    return df_fail(err, DF_ERR_CHECK,
                   "teacher gate: '%s' reaches %s %s on the first %zu validation images, but %s is recorded (allowed difference %g points "
                   "on %s) [%s]",
                   path, found, facts->accuracy ? "% accuracy" : "mAP", facts->gate_images, expected, 100 * allowed,
                   same_machine ? "the same device" : "another device",
                   cell->file[0] ? "copy or make the file again" : "delete the teacher to train it again");
}

static df_status check_weights(const struct df_cell *cell, const struct df_model *model, const char *path,
                               const struct df_teacher_facts *facts, struct df_error *err)
{
    char hash[17];

    if (!facts->parameters_hash[0] || strcmp(df_hash_text(hash, df_parameters_hash(model->parameters)), facts->parameters_hash) == 0)
        return DF_OK;
    return df_fail(err, DF_ERR_CHECK, "teacher gate: the weights in '%s' have hash %s, but %s is recorded [%s]", path, hash,
                   facts->parameters_hash, cell->file[0] ? "copy or make the file again" : "delete the teacher to train it again");
}

static df_status run_gate(const struct df_cell *cell, const char *path, const struct df_teacher_facts *facts, struct df_error *err)
{
    struct df_model model;
    double map = 0;
    char gate[17];

    DF_TRY(hash_gate(cell, gate, err));
    DF_TRY(df_model_load(cell, path, &model, err));

    df_status status = check_weights(cell, &model, path, facts, err);

    if (status == DF_OK)
        status = df_teacher_kind_of(cell)->measure(cell, &model, facts->gate_images, &map, err);
    df_model_release(&model);
    DF_TRY(status);
    return compare_gate(cell, path, facts, map, strcmp(gate, facts->gate_hash) == 0, err);
}

static df_status gate_file(const struct df_cell *cell, const char *path, struct df_error *err)
{
    struct df_teacher_facts facts;

    if (!cell->file[0])
        DF_TRY(df_teacher_check(cell, path, err));
    DF_TRY(df_teacher_facts_read(path, &facts, err));
    if (facts.gated && !cell->classes)
        return run_gate(cell, path, &facts, err);
    if (!facts.gated)
        df_warn("teacher '%s' has no recorded mAP: the teacher gate cannot check it", path);
    else
        df_warn("teacher '%s' has %zu classes of its own: the teacher gate cannot check it on these data", path, cell->classes);
    return DF_OK;
}

df_status df_teacher_gate(const struct df_cell *teacher, const struct df_run_options *options, struct df_error *err)
{
    char *path = df_teacher_path(teacher, options);
    const df_status status = gate_file(teacher, path, err);

    free(path);
    return status;
}

df_status df_teacher_halve(const struct df_cell *cell, const char *from, const char *to, struct df_error *err)
{
    struct df_model model;

    DF_TRY(df_model_load(cell, from, &model, err));

    const df_status status = df_teacher_write(cell, &model, (struct df_teacher_writing){ .map = NAN, .half = true }, to, err);

    df_model_release(&model);
    return status;
}

const char *df_teacher_score_text(const struct df_teacher_facts *facts, double score, char buffer[32])
{
    if (!facts->accuracy)
        return df_coco_percent(score, buffer);
    snprintf(buffer, 32, "%.2f %% accuracy", 100 * score);
    return buffer;
}
