#include "ablations/run/guard.h"

#include <math.h>
#include <stdio.h>

enum { CHUNK = 2048 };

static bool has_objects(const struct df_batch *images)
{
    size_t objects = 0;

    for (size_t i = 0; i < images->n; i++)
        objects += images->truth[i].count;
    return objects > 0;
}

/* Whether a gradient of the student's own is not 0. */
static bool student_has_gradient(const struct df_student *student)
{
    const struct df_parameters *parameters = student->model.parameters;
    df_real chunk[CHUNK];

    for (size_t i = 0; i < student->own_parameters; i++) {
        const struct df_parameter *one = parameters->items[i];
        const size_t count = one->grad ? df_count(one->shape) : 0;

        for (size_t at = 0; at < count; at += CHUNK) {
            const size_t n = count - at < CHUNK ? count - at : CHUNK;

            df_read(parameters->device, chunk, one->grad + at, n * sizeof *chunk);
            for (size_t k = 0; k < n; k++)
                if (chunk[k] != 0)
                    return true;
        }
    }
    return false;
}

static bool reaches_student(struct df_student *student, df_tensor *loss)
{
    df_backward(student->tape, loss);

    const bool reaches = student_has_gradient(student);

    df_parameters_zero_grad(student->model.parameters);
    return reaches;
}

/* "w_fg-term=0 other=0": the terms of distiller i, as they are. */
static void list_terms(const struct df_student *student, const struct df_step_view *view, size_t i, char *out, size_t room)
{
    size_t used = 0;

    out[0] = 0;
    for (size_t k = 0; k < view->taught[i].terms && used < room; k++) {
        const size_t term = view->taught[i].first + k;

        used += (size_t)snprintf(out + used, room - used, "%s%s=%g", k ? " " : "", student->terms.term[term].name,
                                 df_item(student->tape, student->terms.term[term].value));
    }
}

/* What is wrong after all of its steps; NULL: nothing. */
static const char *fault_of(const struct df_guard *guard, size_t i)
{
    if (!guard->seen[i].changes && guard->seen[i].first == 0)
        return "its loss stays 0 [is its mask always empty, is what it compares the same in both networks?]";
    if (!guard->seen[i].changes)
        return "its loss stays the same [does it read anything of the student that training changes?]";
    if (!guard->seen[i].reaches)
        return "its gradient never reaches a weight of the student [is what it reads of the student cut off the tape, or multiplied by 0?]";
    return NULL;
}

/* The terms that weigh something, unweighted: a weight's own schedule makes no loss change. */
static double sum_of_terms(const struct df_student *student, const struct df_step_view *view, size_t i, bool *weighs)
{
    double sum = 0;

    *weighs = false;
    for (size_t k = view->taught[i].first; k < view->taught[i].first + view->taught[i].terms; k++)
        if (student->terms.term[k].weight > 0) {
            sum += df_item(student->tape, student->terms.term[k].value);
            *weighs = true;
        }
    return sum;
}

static df_status look_at(struct df_guard *guard, struct df_student *student, const struct df_step_view *view, size_t i,
                         struct df_error *err)
{
    const char *name = student->cell->distiller[i].class->name;
    char terms[512];
    bool weighs;
    const double sum = sum_of_terms(student, view, i, &weighs);

    if (!weighs)
        return DF_OK;
    list_terms(student, view, i, terms, sizeof terms);
    if (!isfinite(sum))
        return df_fail(err, DF_ERR_CHECK, "distiller '%s': its loss is not finite at step %zu of %zu (terms: %s)", name, student->step,
                       student->steps, terms);
    if (guard->seen[i].steps++ == 0)
        guard->seen[i].first = sum;
    guard->seen[i].changes |= sum != guard->seen[i].first;
    if (!guard->seen[i].reaches)
        guard->seen[i].reaches = reaches_student(student, view->taught[i].loss);
    if (guard->seen[i].steps < DF_GUARD_STEPS || !fault_of(guard, i))
        return DF_OK;
    return df_fail(
        err, DF_ERR_CHECK,
        "distiller '%s' teaches nothing: in %d steps that had objects and a weight above 0 %s (terms at step %zu: %s; --no-guards "
        "trains on)",
        name, DF_GUARD_STEPS, fault_of(guard, i), student->step, terms);
}

df_status df_guard_look(struct df_guard *guard, struct df_student *student, const struct df_step_view *view, struct df_error *err)
{
    for (size_t i = 0; i < student->distillers; i++) {
        const bool passed = guard->seen[i].changes && guard->seen[i].reaches;

        if (!passed && view->taught[i].loss && has_objects(view->own->images))
            DF_TRY(look_at(guard, student, view, i, err));
    }
    return DF_OK;
}
