/* Parameters, moments and buffers are tensors; step, means and the curve so far are one JSON text in the metadata. Numbers are written so that
 * they read back as the same doubles. Random numbers are counter-based: the step is their whole state. */
#include "ablations/run/position.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "ablations/run/environment.h"
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

/* On `cuda`, where the machine may move bits: what it adds. "" elsewhere. */
static void environment_of(const struct df_student *student, struct df_text *out)
{
    if (strncmp(student->cell->device, "cuda", 4) == 0)
        df_run_environment(student->cell, student->model.device, NULL, out);
}

static cJSON *position_json(const struct df_student *student, const struct df_step_log *log, const struct df_learning *learning)
{
    cJSON *root = cJSON_CreateObject();
    struct df_text environment = DF_TEXT_INIT;

    cJSON_AddStringToObject(root, "run", student->cell->id);
    environment_of(student, &environment);
    if (environment.length)
        cJSON_AddStringToObject(root, "environment", environment.data);
    df_text_release(&environment);
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

/* A whole number of 0 to `most`. */
static df_status read_count(const cJSON *root, const char *key, size_t most, const char *path, size_t *out, struct df_error *err)
{
    int64_t found;

    DF_TRY(df_json_int(root, key, true, path, &found, err));
    if (found < 0 || (uint64_t)found > most)
        return df_fail(err, DF_ERR_FORMAT, "%s: /%s: found %lld, expected at most %zu", path, key, (long long)found, most);
    *out = (size_t)found;
    return DF_OK;
}

/* The means since the last line: sums that were not finite stand as null. */
static df_status read_means(const cJSON *root, size_t step, const char *path, struct df_step_log *log, struct df_error *err)
{
    const cJSON *list, *one;

    DF_TRY(read_count(root, "mean_steps", step, path, &log->mean_steps, err));
    DF_TRY(df_json_array(root, "means", true, path, &list, err));
    log->means = 0;
    log->loss_sum = get_real(root, "loss_sum");
    cJSON_ArrayForEach(one, list)
    {
        char where[600];
        const char *name;

        snprintf(where, sizeof where, "%s: /means/%zu", path, log->means);
        if (log->means == DF_LOSS_TERMS)
            return df_fail(err, DF_ERR_FORMAT, "%s: /means: more than %d terms", path, DF_LOSS_TERMS);
        DF_TRY(df_json_string(one, "name", true, where, &name, err));
        snprintf(log->mean[log->means].name, sizeof log->mean->name, "%s", name);
        log->mean[log->means++].sum = get_real(one, "sum");
    }
    return DF_OK;
}

static df_status read_learning(const cJSON *root, const char *path, size_t most, struct df_learning *out, struct df_error *err)
{
    const cJSON *list;

    DF_TRY(read_count(root, "points", most, path, &out->points, err));
    DF_TRY(df_json_array(root, "curve", true, path, &list, err));
    DF_TRY(df_curve_read(list, path, out->memory, &out->curve, err));
    return df_json_real(root, "seconds", true, path, &out->seconds, err);
}

/* A run has the bits of one environment: it does not go on in another. */
static df_status check_environment(const cJSON *root, const char *path, const struct df_student *student, struct df_error *err)
{
    struct df_text here = DF_TEXT_INIT;
    const char *there = "";
    df_status status = df_json_string(root, "environment", false, path, &there, err);

    environment_of(student, &here);
    if (status == DF_OK && strcmp(there, df_text_get(&here)) != 0)
        status = df_fail(err, DF_ERR_STALE, "'%s' was written on another GPU, driver or build", path);
    df_text_release(&here);
    return status;
}

/* The position's JSON; *out is there also of a position of another run. */
static df_status read_position(const char *path, const struct df_student *student, size_t *step, cJSON **out, struct df_error *err)
{
    cJSON *metadata;

    DF_TRY(df_checkpoint_metadata(path, &metadata, err));

    const cJSON *text = cJSON_GetObjectItemCaseSensitive(metadata, "position");
    const df_status status = cJSON_IsString(text) ? df_json_parse(text->valuestring, strlen(text->valuestring), path, out, err)
                                                  : df_fail(err, DF_ERR_FORMAT, "'%s' holds no position", path);

    cJSON_Delete(metadata);
    DF_TRY(status);

    const cJSON *run = cJSON_GetObjectItemCaseSensitive(*out, "run");

    if (!cJSON_IsString(run) || strcmp(run->valuestring, student->cell->id) != 0)
        return df_fail(err, DF_ERR_STALE, "'%s' is a position of another run", path);
    DF_TRY(read_count(*out, "step", student->steps, path, step, err));
    if (*step == 0)
        return df_fail(err, DF_ERR_FORMAT, "%s: /step: found 0, expected at least 1", path);
    return check_environment(*out, path, student, err);
}

/* What it is given changes only if all of it can be read. */
static df_status read_all(const char *path, size_t points, struct df_student *student, struct df_step_log *log,
                          struct df_learning *learning, struct df_error *err)
{
    struct df_learning so_far = { .memory = learning->memory };
    struct df_step_log means = *log;
    size_t step = 0;
    double lr = 0;
    cJSON *root = NULL;
    df_status status = read_position(path, student, &step, &root, err);

    if (status == DF_OK)
        status = df_json_real(root, "lr", true, path, &lr, err);
    if (status == DF_OK)
        status = read_means(root, step, path, &means, err);
    if (status == DF_OK)
        status = read_learning(root, path, points, &so_far, err);
    cJSON_Delete(root);
    DF_TRY(status);
    DF_TRY(df_checkpoint_read(path, student->model.parameters, true, false, err));
    *learning = so_far;
    *log = means;
    student->step = step;
    student->lr = lr;
    return DF_OK;
}

void df_position_read(const char *path, size_t points, struct df_student *student, struct df_step_log *log, struct df_learning *learning)
{
    struct df_error found = { 0 };

    if (df_file_exists(path) && read_all(path, points, student, log, learning, &found) != DF_OK)
        df_warn("%s: the run starts from the beginning", found.text);
}
