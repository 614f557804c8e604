#include "core/metrics/calibration.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/metrics/matching.h"

const struct df_calibration_options df_calibration_standard = { .iou = 0.5, .least = 0.05 };
/* clang-format off */
#define BIN(from) "calibration.share." from, "calibration.confidence." from, "calibration.precision." from
const char *const df_calibration_metrics[DF_CALIBRATION_METRICS] = {
    "calibration.D-ECE", "calibration.MCE", "calibration.overconfidence",
    BIN("0.0"), BIN("0.1"), BIN("0.2"), BIN("0.3"), BIN("0.4"), BIN("0.5"), BIN("0.6"), BIN("0.7"), BIN("0.8"), BIN("0.9"),
};
/* clang-format on */

void df_calibration_values(const struct df_calibration *calibration, double value[DF_CALIBRATION_METRICS])
{
    memcpy(value, calibration->value, sizeof calibration->value);
    value += DF_CALIBRATION_SCORES;
    for (size_t b = 0; b < DF_CALIBRATION_BINS; b++) {
        const struct df_calibration_bin *bin = &calibration->bin[b];

        *value++ = calibration->count ? (double)bin->count / (double)calibration->count : NAN;
        *value++ = bin->confidence;
        *value++ = bin->precision;
    }
}

struct ranked {
    const struct df_detection *detection;
    size_t image, place;
};

static int by_image_then_score(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;

    if (x->image != y->image)
        return x->image < y->image ? -1 : 1;
    const int by_score = df_compare_scores(x->detection->score, y->detection->score);

    return by_score ? by_score : (x->place > y->place) - (x->place < y->place);
}

static df_status rank(struct df_coco_set set, const struct df_detection *detections, size_t count, struct ranked *out, struct df_error *err)
{
    struct df_id_place *ids = df_malloc((set.images + 1) * sizeof *ids);
    df_status status = DF_OK;

    for (size_t i = 0; i < set.images; i++)
        ids[i] = (struct df_id_place){ set.info[i].id, i };
    qsort(ids, set.images, sizeof *ids, df_compare_ids);
    for (size_t k = 0; k < count && status == DF_OK; k++) {
        const size_t at = df_find_id(ids, set.images, detections[k].image_id);

        if (at == set.images)
            status = df_fail(err, DF_ERR_FORMAT,
                             "detection %zu is of image %lld, which the ground truth does not have (do the two files belong together?)",
                             k + 1, (long long)detections[k].image_id);
        else
            out[k] = (struct ranked){ &detections[k], ids[at].place, k };
    }
    free(ids);
    if (status == DF_OK)
        qsort(out, count, sizeof *out, by_image_then_score);
    return status;
}

/* ---- one detection ---- */

enum verdict { WRONG, RIGHT, OUT };

/* Takes the object that it matches. taken: [objects of the image] */
static enum verdict judge(const struct df_image_info *info, const struct df_detection *detection, double iou, bool *taken)
{
    size_t best = info->count;
    double most = iou;
    bool in_crowd = false;

    for (size_t g = 0; g < info->count; g++) {
        const struct df_object *object = &info->objects[g];

        if (object->category_id != detection->category_id || (taken[g] && !object->crowd))
            continue;
        const double overlap = df_overlap(detection->bbox, object->bbox, object->crowd);

        if (object->crowd)
            in_crowd |= overlap >= iou;
        else if (overlap >= most && (best == info->count || overlap > most)) {
            most = overlap;
            best = g;
        }
    }
    if (best < info->count)
        taken[best] = true;
    return best < info->count ? RIGHT : in_crowd ? OUT : WRONG;
}

static bool is_known(struct df_coco_set set, int64_t category)
{
    for (size_t k = 0; k < set.categories; k++)
        if (set.category[k].id == category)
            return true;
    return false;
}

/* ---- bins ---- */

struct sums {
    size_t count[DF_CALIBRATION_BINS];
    double score[DF_CALIBRATION_BINS], right[DF_CALIBRATION_BINS];
};

static void add(double score, bool right, struct sums *sums)
{
    const double at = score * DF_CALIBRATION_BINS;
    const size_t b = at >= DF_CALIBRATION_BINS ? DF_CALIBRATION_BINS - 1 : at > 0 ? (size_t)at : 0;

    sums->count[b]++;
    sums->score[b] += score;
    sums->right[b] += right;
}

static void summarise(const struct sums *sums, struct df_calibration *out)
{
    double score = 0, right = 0, ece = 0, most = 0;

    *out = (struct df_calibration){ .value = { -1, -1, -1 } };
    for (size_t b = 0; b < DF_CALIBRATION_BINS; b++) {
        const double n = (double)sums->count[b];
        struct df_calibration_bin *bin = &out->bin[b];

        *bin = (struct df_calibration_bin){ sums->count[b], n > 0 ? sums->score[b] / n : NAN, n > 0 ? sums->right[b] / n : NAN };
        out->count += sums->count[b];
        score += sums->score[b];
        right += sums->right[b];
        ece += n > 0 ? fabs(sums->right[b] - sums->score[b]) : 0;
        most = n > 0 ? fmax(most, fabs(bin->precision - bin->confidence)) : most;
    }
    if (out->count == 0)
        return;
    out->value[DF_CALIBRATION_ECE] = ece / (double)out->count;
    out->value[DF_CALIBRATION_MCE] = most;
    out->value[DF_CALIBRATION_OVER] = (score - right) / (double)out->count;
}

df_status df_calibration_evaluate(const struct df_calibration_options *options, struct df_coco_set set,
                                  const struct df_detection *detections, size_t count, struct df_calibration *out, struct df_error *err)
{
    struct ranked *ranked = df_malloc(count * sizeof *ranked + 1);
    struct sums sums = { 0 };
    size_t most = 0;

    for (size_t i = 0; i < set.images; i++)
        most = set.info[i].count > most ? set.info[i].count : most;
    bool *taken = df_malloc(most + 1);
    const df_status status = rank(set, detections, count, ranked, err);

    for (size_t k = 0; k < count && status == DF_OK; k++) {
        const struct df_detection *detection = ranked[k].detection;
        const struct df_image_info *info = &set.info[ranked[k].image];

        if (k == 0 || ranked[k - 1].image != ranked[k].image)
            memset(taken, 0, info->count);
        if (!(detection->score >= options->least) || !is_known(set, detection->category_id))
            continue;
        const enum verdict verdict = judge(info, detection, options->iou, taken);

        if (verdict != OUT)
            add(detection->score, verdict == RIGHT, &sums);
    }
    if (status == DF_OK)
        summarise(&sums, out);
    free(taken);
    free(ranked);
    return status;
}

/* ---- what is told ---- */

void df_calibration_summary(const struct df_calibration *calibration, struct df_text *out)
{
    df_text_addf(out, " %-11s %10s %10s %10s %10s\n", "score", "detections", "confidence", "precision", "gap");
    for (size_t b = 0; b < DF_CALIBRATION_BINS; b++) {
        const struct df_calibration_bin *bin = &calibration->bin[b];

        df_text_addf(out, " %.1f to %.1f %11zu", (double)b / DF_CALIBRATION_BINS, (double)(b + 1) / DF_CALIBRATION_BINS, bin->count);
        if (bin->count)
            df_text_addf(out, " %10.3f %10.3f %+10.3f", bin->confidence, bin->precision, bin->confidence - bin->precision);
        df_text_add(out, "\n");
    }
    for (int k = 0; k < DF_CALIBRATION_SCORES; k++)
        df_text_addf(out, " %-15s %.4f\n", strchr(df_calibration_metrics[k], '.') + 1, calibration->value[k]);
}

static void add_number(struct df_text *out, const char *before, double value)
{
    char number[32];

    df_text_addf(out, "%s%s", before, isfinite(value) ? df_format_real(number, value) : "null");
}

void df_calibration_json(const struct df_calibration *calibration, struct df_text *out)
{
    df_text_add(out, "{");
    for (int k = 0; k < DF_CALIBRATION_SCORES; k++) {
        df_text_addf(out, "%s\"%s\": ", k ? ", " : "", strchr(df_calibration_metrics[k], '.') + 1);
        add_number(out, "", calibration->value[k]);
    }
    df_text_add(out, ", \"bins\": [");
    for (size_t b = 0; b < DF_CALIBRATION_BINS; b++) {
        df_text_addf(out, "%s[%zu", b ? ", " : "", calibration->bin[b].count);
        add_number(out, ", ", calibration->bin[b].confidence);
        add_number(out, ", ", calibration->bin[b].precision);
        df_text_add(out, "]");
    }
    df_text_add(out, "]}");
}
