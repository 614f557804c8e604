/* Parameters, moments and buffers are tensors; step, means and the curve so far are one JSON text in the metadata. Numbers are written so that
 * they read back as the same doubles. Random numbers are counter-based: the step is their whole state. */
#include "ablations/run/position.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

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

static cJSON *position_json(const struct df_student *student, const struct df_step_log *log, const struct df_learning *learning)
{
    cJSON *root = cJSON_CreateObject();

    cJSON_AddStringToObject(root, "run", student->cell->id);
    add_real(root, "step", (double)student->step);
    add_real(root, "seconds", learning->seconds);
    add_real(root, "lr", student->lr);
    add_real(root, "mean_steps", (double)log->mean_steps);
    add_real(root, "loss_sum", log->loss_sum);

    cJSON *means = cJSON_AddArrayToObject(root, "means");

    for (size_t i = 0; i < log->means; i++) {
        cJSON *one = cJSON_CreateObject();

        cJSON_AddStringToObject(one, "name", log->mean[i].name);
        add_real(one, "sum", log->mean[i].sum);
        cJSON_AddItemToArray(means, one);
    }
    add_real(root, "points", (double)learning->points);
    cJSON_AddItemToObject(root, "curve", df_curve_json(&learning->curve));
    return root;
}

df_status df_position_write(const char *path, const struct df_student *student, const struct df_step_log *log,
                            const struct df_learning *learning, struct df_error *err)
{
    struct df_text text = DF_TEXT_INIT;
    cJSON *root = position_json(student, log, learning);

    DF_ASSERT(!log->waiting);
    df_json_canonical(root, &text);

    const struct df_metadata metadata[] = { { "position", df_text_get(&text) } };
    const struct df_checkpoint file = {
        .parameters = student->model.parameters, .with_optimiser = true, .metadata = metadata, .metadata_count = 1
    };
    const df_status status = df_checkpoint_write(path, file, err);

    cJSON_Delete(root);
    df_text_release(&text);
    return status;
}

static void restore_means(const cJSON *root, struct df_step_log *log)
{
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

static df_status read_learning(const cJSON *root, const char *path, size_t most, struct df_learning *out, struct df_error *err)
{
    const cJSON *list;
    int64_t points;

    DF_TRY(df_json_int(root, "points", true, path, &points, err));
    if (points < 0 || (uint64_t)points > most)
        return df_fail(err, DF_ERR_FORMAT, "%s: /points: found %lld, expected at most %zu", path, (long long)points, most);
    DF_TRY(df_json_array(root, "curve", true, path, &list, err));
    DF_TRY(df_curve_read(list, path, out->memory, &out->curve, err));
    out->points = (size_t)points;
    out->seconds = get_real(root, "seconds");
    return DF_OK;
}

/* The position's JSON; *out is there also of a position of another run. */
static df_status read_position(const char *path, const struct df_student *student, cJSON **out, struct df_error *err)
{
    cJSON *metadata;

    DF_TRY(df_checkpoint_metadata(path, &metadata, err));

    const cJSON *text = cJSON_GetObjectItemCaseSensitive(metadata, "position");
    const df_status status = cJSON_IsString(text) ? df_json_parse(text->valuestring, strlen(text->valuestring), path, out, err)
                                                  : df_fail(err, DF_ERR_FORMAT, "'%s' holds no position", path);

    cJSON_Delete(metadata);
    DF_TRY(status);

    const cJSON *run = cJSON_GetObjectItemCaseSensitive(*out, "run");
    const double step = get_real(*out, "step");

    if (!cJSON_IsString(run) || strcmp(run->valuestring, student->cell->id) != 0 || !(step >= 1 && step <= (double)student->steps))
        return df_fail(err, DF_ERR_STALE, "'%s' is a position of another run", path);
    return DF_OK;
}

/* *learning and the student's parameters change only if all of it can be read. */
static df_status read_all(const char *path, size_t points, struct df_student *student, struct df_learning *learning, cJSON **root,
                          struct df_error *err)
{
    struct df_learning so_far = { .memory = learning->memory };

    DF_TRY(read_position(path, student, root, err));
    DF_TRY(read_learning(*root, path, points, &so_far, err));
    DF_TRY(df_checkpoint_read(path, student->model.parameters, true, false, err));
    *learning = so_far;
    return DF_OK;
}

void df_position_read(const char *path, size_t points, struct df_student *student, struct df_step_log *log, struct df_learning *learning)
{
    struct df_error found = { 0 };
    cJSON *root = NULL;

    if (!df_file_exists(path))
        return;
    if (read_all(path, points, student, learning, &root, &found) == DF_OK) {
        student->step = (size_t)get_real(root, "step");
        student->lr = get_real(root, "lr");
        restore_means(root, log);
    } else {
        df_warn("%s: the run starts from the beginning", found.text);
    }
    cJSON_Delete(root);
}
