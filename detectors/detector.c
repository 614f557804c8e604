/* What all detectors share: the list of logged terms, finding a class by name, the end of a detector's life. */
#include "detectors/detector.h"

#include <stdio.h>
#include <string.h>

void df_loss_terms_add(struct df_loss_terms *terms, const char *name, const df_tensor *value, double weight)
{
    if (!terms)
        return;
    DF_ASSERT(terms->count < DF_LOSS_TERMS);
    snprintf(terms->term[terms->count].name, sizeof terms->term->name, "%s", name);
    terms->term[terms->count].value = value;
    terms->term[terms->count++].weight = weight;
}

static const char *class_name(const void *table, size_t i)
{
    (void)table;
    return df_detector_classes[i] ? df_detector_classes[i]->name : NULL;
}

const struct df_detector_class *df_detector_class_find(const char *name, struct df_error *err)
{
    const size_t i = df_find_name(class_name, NULL, name, "detector", NULL, err);

    return i == SIZE_MAX ? NULL : df_detector_classes[i];
}

void df_detector_first_stage(struct df_detector *detector, df_tape *tape, const struct df_batch *batch, struct df_detection_state *state)
{
    if (detector->class->first_stage)
        detector->class->first_stage(detector, tape, batch, state);
    else
        detector->class->forward(detector, tape, batch, false, false, state);
}

void df_detector_free(struct df_detector *detector)
{
    if (detector)
        detector->class->destroy(detector);
}
