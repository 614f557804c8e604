/* The log of the training steps. */
#include "ablations/run/step_log.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NORM, LOSS, TERMS, ROW_MOST = TERMS + DF_LOSS_TERMS, NO_MEAN = DF_LOSS_TERMS };
_Static_assert((int)ROW_MOST <= DF_OPTIM_LOGGED + 1, "a row is gathered in one launch");

void df_step_log_init(struct df_step_log *log, struct df_device *device)
{
    const size_t bytes = sizeof(double) * ROW_MOST * DF_LOG_STEPS;

    *log = (struct df_step_log){ .device = device,
                                 .every = device->ops->runs_behind ? DF_LOG_STEPS : 1,
                                 .rows = df_device_alloc(device, bytes),
                                 .host = df_malloc(bytes) };
}

void df_step_log_release(struct df_step_log *log)
{
    if (log->rows)
        df_device_free(log->device, log->rows);
    free(log->host);
    *log = (struct df_step_log){ 0 };
}

/* The mean of this name, a new one if need be; NO_MEAN: there are too many already. */
static uint8_t mean_of(struct df_step_log *log, const char *name)
{
    size_t i = 0;

    while (i < log->means && strcmp(log->mean[i].name, name) != 0)
        i++;
    if (i == log->means && i < DF_LOSS_TERMS) {
        log->means++;
        snprintf(log->mean[i].name, sizeof log->mean[i].name, "%s", name);
        log->mean[i].sum = 0;
    }
    return (uint8_t)i;
}

void df_step_log_add(struct df_step_log *log, size_t step, const df_tensor *loss, const struct df_loss_terms *terms,
                     const struct df_optim_norm *norm)
{
    struct df_optim_log_args args = { .norm = norm, .row = log->rows + log->used };
    const size_t values = TERMS + terms->count;

    DF_ASSERT(!df_step_log_full(log) && df_count(loss->shape) == 1);
    log->row[log->waiting].step = step;
    log->row[log->waiting].terms = terms->count;
    args.value[LOSS - 1] = loss->data;
    for (size_t i = 0; i < terms->count; i++) {
        DF_ASSERT(df_count(terms->term[i].value->shape) == 1);
        log->row[log->waiting].mean[i] = mean_of(log, terms->term[i].name);
        args.value[TERMS - 1 + i] = terms->term[i].value->data;
    }
    df_launch(log->device, DF_K_OPTIM_LOG, values, &args);
    log->waiting++;
    log->used += values;
}

/* at: the row's place in the log; its values */
static df_status not_finite(const struct df_step_log *log, size_t at, const double *value, size_t steps, struct df_error *err)
{
    const char *what = isfinite(value[LOSS]) ? "gradient norm" : "loss";
    char terms[512];
    size_t used = 0;

    terms[0] = 0;
    for (size_t i = 0; i < log->row[at].terms && used < sizeof terms; i++) {
        const size_t mean = log->row[at].mean[i];

        used += (size_t)snprintf(terms + used, sizeof terms - used, "%s%s=%g", i ? " " : "", mean == NO_MEAN ? "?" : log->mean[mean].name,
                                 value[TERMS + i]);
    }
    return df_fail(err, DF_ERR_CHECK, "the %s is %g at step %zu of %zu (terms: %s) [lower the learning rate, or set 'clip']", what,
                   isfinite(value[LOSS]) ? value[NORM] : value[LOSS], log->row[at].step, steps, terms);
}

static df_status read_row(struct df_step_log *log, size_t at, const double *value, size_t steps, struct df_error *err)
{
    if (!isfinite(value[LOSS]) || !isfinite(value[NORM]))
        return not_finite(log, at, value, steps, err);
    log->gradient_norm = value[NORM];
    log->loss_sum += value[LOSS];
    log->mean_steps++;
    for (size_t i = 0; i < log->row[at].terms; i++)
        if (log->row[at].mean[i] != NO_MEAN)
            log->mean[log->row[at].mean[i]].sum += value[TERMS + i];
    return DF_OK;
}

df_status df_step_log_read(struct df_step_log *log, size_t steps, struct df_error *err)
{
    const double *value = log->host;
    const size_t rows = log->waiting;

    if (!rows)
        return DF_OK;
    df_read(log->device, log->host, log->rows, log->used * sizeof *log->host);
    log->waiting = log->used = 0;
    for (size_t i = 0; i < rows; i++) {
        DF_TRY(read_row(log, i, value, steps, err));
        value += TERMS + log->row[i].terms;
    }
    return DF_OK;
}

void df_step_log_clear(struct df_step_log *log)
{
    DF_ASSERT(!log->waiting);
    log->means = log->mean_steps = 0;
    log->loss_sum = 0;
}
