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

static cJSON *position_json(const struct df_trainer *trainer, const struct df_learning *learning, double seconds)
{
    cJSON *root = cJSON_CreateObject();

    cJSON_AddStringToObject(root, "run", trainer->cell->id);
    add_real(root, "step", (double)trainer->step);
    add_real(root, "seconds", seconds);
    add_real(root, "lr", trainer->lr);
    add_real(root, "mean_steps", (double)trainer->log.mean_steps);
    add_real(root, "loss_sum", trainer->log.loss_sum);

    cJSON *means = cJSON_AddArrayToObject(root, "means");

    for (size_t i = 0; i < trainer->log.means; i++) {
        cJSON *one = cJSON_CreateObject();

        cJSON_AddStringToObject(one, "name", trainer->log.mean[i].name);
        add_real(one, "sum", trainer->log.mean[i].sum);
        cJSON_AddItemToArray(means, one);
    }
    add_real(root, "points", (double)learning->points);
    cJSON_AddItemToObject(root, "curve", df_curve_json(&learning->curve));
    return root;
}

df_status df_position_write(const char *path, const struct df_trainer *trainer, const struct df_learning *learning, double seconds,
                            struct df_error *err)
{
    struct df_text text = DF_TEXT_INIT;
    cJSON *root = position_json(trainer, learning, seconds);

    DF_ASSERT(!trainer->log.waiting);
    df_json_canonical(root, &text);

    const struct df_metadata metadata[] = { { "position", df_text_get(&text) } };
    const df_status status = df_checkpoint_write(path, trainer->model.parameters, 0, true, metadata, 1, err);

    cJSON_Delete(root);
    df_text_release(&text);
    return status;
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

/* *out: only if all of it can be read. */
static df_status read_curve(const cJSON *root, const char *path, const struct df_trainer *trainer, struct df_learning *out,
                            struct df_error *err)
{
    const cJSON *list;
    int64_t points;

    DF_TRY(df_json_int(root, "points", true, path, &points, err));
    if (points < 0 || (uint64_t)points > trainer->points)
        return df_fail(err, DF_ERR_FORMAT, "%s: /points: found %lld, expected at most %zu", path, (long long)points, trainer->points);
    DF_TRY(df_json_array(root, "curve", true, path, &list, err));
    DF_TRY(df_curve_read(list, path, out->memory, &out->curve, err));
    out->points = (size_t)points;
    return DF_OK;
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

void df_position_read(const char *path, struct df_trainer *trainer, struct df_learning *learning, double *seconds)
{
    struct df_learning so_far = { .memory = learning->memory };
    struct df_error found = { 0 };
    cJSON *root;

    if (!df_file_exists(path))
        return;

    df_status status = read_json(path, trainer, &root, &found);

    if (status == DF_OK)
        status = read_curve(root, path, trainer, &so_far, &found);
    if (status == DF_OK)
        status = df_checkpoint_read(path, trainer->model.parameters, true, false, &found);
    if (status == DF_OK) {
        trainer->step = (size_t)get_real(root, "step");
        trainer->lr = get_real(root, "lr");
        *seconds = get_real(root, "seconds");
        restore_means(root, trainer);
        *learning = so_far;
    } else {
        df_warn("%s: the run starts from the beginning", found.text);
    }
    cJSON_Delete(root);
}
