/* Position checkpoints: parameters, moments and buffers as tensors; step, means and the curve so far as one JSON text in the metadata.
 * Numbers are written so that they read back as the same doubles. Random numbers are counter-based: the step is their whole state. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "ablations/run/trainer.h"
#include "core/base/file.h"
#include "core/nn/checkpoint.h"

static void add_real(cJSON *object, const char *key, double value)
{
    if (isfinite(value))
        cJSON_AddNumberToObject(object, key, value);
    else
        cJSON_AddNullToObject(object, key);
}

static double get_real(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

    return cJSON_IsNumber(item) ? item->valuedouble : NAN;
}

static cJSON *position_json(const struct df_trainer *trainer, const struct df_curve *curve, double seconds)
{
    cJSON *root = cJSON_CreateObject();

    cJSON_AddStringToObject(root, "run", trainer->cell->id);
    add_real(root, "step", (double)trainer->step);
    add_real(root, "seconds", seconds);
    add_real(root, "lr", trainer->lr);
    add_real(root, "mean_steps", (double)trainer->log.mean_steps);
    add_real(root, "loss_sum", trainer->log.loss_sum);

    cJSON *means = cJSON_AddArrayToObject(root, "means"), *rows = cJSON_AddArrayToObject(root, "curve");

    for (size_t i = 0; i < trainer->log.means; i++) {
        cJSON *one = cJSON_CreateObject();

        cJSON_AddStringToObject(one, "name", trainer->log.mean[i].name);
        add_real(one, "sum", trainer->log.mean[i].sum);
        cJSON_AddItemToArray(means, one);
    }
    for (size_t i = 0; i < curve->count; i++) {
        cJSON *one = cJSON_CreateObject();

        add_real(one, "step", (double)curve->row[i].step);
        add_real(one, "epoch", curve->row[i].epoch);
        add_real(one, "map", curve->row[i].map);
        add_real(one, "loss", curve->row[i].loss);
        add_real(one, "lr", curve->row[i].lr);
        cJSON_AddStringToObject(one, "terms", curve->row[i].terms);
        cJSON_AddItemToArray(rows, one);
    }
    return root;
}

df_status df_position_write(const char *path, const struct df_trainer *trainer, const struct df_curve *curve, double seconds,
                            struct df_error *err)
{
    struct df_text text = DF_TEXT_INIT;
    cJSON *root = position_json(trainer, curve, seconds);

    DF_ASSERT(!trainer->log.waiting);
    df_json_canonical(root, &text);

    const struct df_metadata metadata[] = { { "position", df_text_get(&text) } };
    const df_status status = df_checkpoint_write(path, trainer->model.parameters, 0, true, metadata, 1, err);

    cJSON_Delete(root);
    df_text_release(&text);
    return status;
}

static const char *keep(struct df_arena *memory, const cJSON *text)
{
    const char *from = cJSON_IsString(text) ? text->valuestring : "";
    const size_t bytes = strlen(from) + 1;

    return memcpy(df_arena_alloc(memory, bytes), from, bytes);
}

static void restore_means(const cJSON *root, struct df_trainer *trainer)
{
    struct df_step_log *log = &trainer->log;
    const cJSON *one;

    log->means = 0;
    log->mean_steps = (size_t)get_real(root, "mean_steps");
    log->loss_sum = get_real(root, "loss_sum");
    cJSON_ArrayForEach(one, cJSON_GetObjectItemCaseSensitive(root, "means"))
    {
        const cJSON *name = cJSON_GetObjectItemCaseSensitive(one, "name");

        if (log->means == DF_LOSS_TERMS || !cJSON_IsString(name))
            break;
        snprintf(log->mean[log->means].name, sizeof log->mean->name, "%s", name->valuestring);
        log->mean[log->means++].sum = get_real(one, "sum");
    }
}

static void restore_curve(const cJSON *root, struct df_trainer *trainer, struct df_curve *curve)
{
    const cJSON *one;

    curve->count = 0;
    cJSON_ArrayForEach(one, cJSON_GetObjectItemCaseSensitive(root, "curve"))
    {
        if (curve->count == trainer->points)
            break;
        curve->row[curve->count] = (struct df_curve_row){
            .schema = DF_JOURNAL_SCHEMA,
            .run = trainer->cell->id,
            .point = (int64_t)curve->count,
            .step = (int64_t)get_real(one, "step"),
            .epoch = get_real(one, "epoch"),
            .split = "tune",
            .map = get_real(one, "map"),
            .loss = get_real(one, "loss"),
            .lr = get_real(one, "lr"),
            .terms = keep(curve->memory, cJSON_GetObjectItemCaseSensitive(one, "terms")),
        };
        curve->count++;
    }
}

/* The position's JSON, if the file is a position of this cell. */
static df_status read_json(const char *path, const struct df_trainer *trainer, cJSON **out, struct df_error *err)
{
    cJSON *metadata;
    df_status status;

    *out = NULL;
    DF_TRY(df_checkpoint_metadata(path, &metadata, err));

    const cJSON *text = cJSON_GetObjectItemCaseSensitive(metadata, "position");

    status = cJSON_IsString(text) ? df_json_parse(text->valuestring, strlen(text->valuestring), path, out, err)
                                  : df_fail(err, DF_ERR_FORMAT, "'%s' holds no position", path);
    cJSON_Delete(metadata);
    if (status != DF_OK)
        return status;

    const cJSON *run = cJSON_GetObjectItemCaseSensitive(*out, "run");
    const double step = get_real(*out, "step");

    if (!cJSON_IsString(run) || strcmp(run->valuestring, trainer->cell->id) != 0 || !(step >= 1 && step <= (double)trainer->steps)) {
        cJSON_Delete(*out);
        *out = NULL;
        return df_fail(err, DF_ERR_STALE, "'%s' is a position of another run", path);
    }
    return DF_OK;
}

void df_position_read(const char *path, struct df_trainer *trainer, struct df_curve *curve, double *seconds)
{
    struct df_error found = { 0 };
    cJSON *root;

    if (!df_file_exists(path))
        return;

    df_status status = read_json(path, trainer, &root, &found);

    if (status == DF_OK)
        status = df_checkpoint_read(path, trainer->model.parameters, true, false, &found);
    if (status == DF_OK) {
        trainer->step = (size_t)get_real(root, "step");
        trainer->lr = get_real(root, "lr");
        *seconds = get_real(root, "seconds");
        restore_means(root, trainer);
        restore_curve(root, trainer, curve);
    } else {
        df_warn("%s: the run starts from the beginning", found.text);
    }
    cJSON_Delete(root);
}
