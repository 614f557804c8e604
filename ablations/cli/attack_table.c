#include "ablations/cli/attack_table.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/json.h"
#include "results/inference.h"

struct table {
    const struct df_attack_study *study;
    const struct df_attack_names *names;
    struct df_text *out;
};

/* ---- differences ---- */

/* Students besides the baseline: so many differences are told at once. */
static size_t comparisons(const struct table *t) { return t->study->networks - t->names->teachers - 1; }

static double confidence(const struct table *t) { return df_simultaneous(0.95, comparisons(t)); }

static bool is_compared(const struct table *t, size_t network) { return network >= t->names->teachers && network != t->names->baseline; }

/* Of the teacher's patches: of a student against the baseline. */
static struct df_attack_difference against_baseline(const struct table *t, size_t network)
{
    const size_t attack = (size_t)t->names->of_teacher;

    return df_attack_difference_of(t->study, (struct df_attack_side){ attack, network },
                                   (struct df_attack_side){ attack, t->names->baseline }, confidence(t));
}

/* ... against patches at random, on the same network. */
static struct df_attack_difference against_random(const struct table *t, size_t network)
{
    return df_attack_difference_of(t->study, (struct df_attack_side){ (size_t)t->names->of_teacher, network },
                                   (struct df_attack_side){ (size_t)t->names->at_random, network }, 0.95);
}

static bool is_told(const struct df_interval *interval) { return interval->low > 0 || interval->high < 0; }

/* ---- text ---- */

static void add_percent(struct df_text *out, double share, int width)
{
    if (isnan(share))
        df_text_addf(out, " %*s", width, "-");
    else
        df_text_addf(out, " %*.1f", width, 100 * share);
}

static void add_difference(struct df_text *out, const struct df_interval *interval)
{
    char text[64];

    if (isnan(interval->mean))
        snprintf(text, sizeof text, "-");
    else if (isnan(interval->low))
        snprintf(text, sizeof text, "%+.1f", 100 * interval->mean);
    else
        snprintf(text, sizeof text, "%+.1f (%.1f to %.1f)%s", 100 * interval->mean, 100 * interval->low, 100 * interval->high,
                 is_told(interval) ? "" : " ~");
    df_text_addf(out, "  %-24s", text);
}

static double rate(const struct table *t, int attack, size_t network) { return df_attack_means_of(t->study, (size_t)attack, network).rate; }

static void add_sentence(const struct table *t)
{
    const struct df_attack_names *names = t->names;
    size_t told = 0;

    if (names->of_teacher == DF_NO_ATTACK)
        return;
    df_text_addf(t->out, "Patches for '%s' hide %.1f %% of its own boxes and %.1f %% of those of '%s'", names->network[0],
                 100 * rate(t, names->of_teacher, 0), 100 * rate(t, names->of_teacher, names->baseline), names->network[names->baseline]);
    if (names->at_random != DF_NO_ATTACK)
        df_text_addf(t->out, "; patches at random %.1f %% and %.1f %%", 100 * rate(t, names->at_random, 0),
                     100 * rate(t, names->at_random, names->baseline));
    df_text_add(t->out, ".");
    for (size_t k = 0; k < t->study->networks; k++) {
        if (!is_compared(t, k))
            continue;

        const struct df_attack_difference difference = against_baseline(t, k);

        if (is_told(&difference.interval))
            df_text_addf(t->out, "%s '%s' (%+.1f points)", told++ ? "," : " Told from it:", names->network[k],
                         100 * difference.interval.mean);
    }
    if (comparisons(t))
        df_text_addf(t->out, "%s.\n\n", told ? "" : " No other student is told from it");
    else
        df_text_add(t->out, "\n\n");
}

static int width_of(const char *name)
{
    const int length = (int)strlen(name);

    return length < 7 ? 7 : length;
}

static void add_matrix(const struct table *t, const char *title, size_t number)
{
    df_text_addf(t->out, "%s\n%-24s", title, "patches for");
    for (size_t k = 0; k < t->study->networks; k++)
        df_text_addf(t->out, " %*s", width_of(t->names->network[k]), t->names->network[k]);
    for (size_t a = 0; a < t->study->attacks; a++) {
        df_text_addf(t->out, "\n%-24s", t->names->attack[a]);
        for (size_t k = 0; k < t->study->networks; k++) {
            const struct df_attack_means means = df_attack_means_of(t->study, a, k);

            add_percent(t->out, number ? means.drop / 100 : means.rate, width_of(t->names->network[k]));
        }
    }
    df_text_add(t->out, "\n\n");
}

/* Which attack is that network's alone: attacks of one network bear its name. */
static int own_attack(const struct table *t, size_t network)
{
    for (size_t a = 0; a < t->study->attacks; a++)
        if (strcmp(t->names->attack[a], t->names->network[network]) == 0)
            return (int)a;
    return DF_NO_ATTACK;
}

static void add_own(const struct table *t)
{
    df_text_addf(t->out, "each on its own\n%-24s %9s %9s %9s %16s %9s\n", "network", "hidden %", "score", "AP drop", "area for half %",
                 "left out");
    for (size_t k = 0; k < t->study->networks; k++) {
        const int attack = own_attack(t, k);
        const double area = df_attack_area_of(t->study, k);

        if (attack == DF_NO_ATTACK)
            continue;

        const struct df_attack_means means = df_attack_means_of(t->study, (size_t)attack, k);

        df_text_addf(t->out, "%-24s", t->names->network[k]);
        add_percent(t->out, means.rate, 9);
        df_text_addf(t->out, " %9.3f %9.2f", means.score, means.drop);
        if (isinf(area))
            df_text_addf(t->out, "     above %6.2f", 100 * t->study->area[t->study->areas - 1]);
        else
            df_text_addf(t->out, " %16.2f", 100 * area);
        df_text_addf(t->out, " %zu of %zu\n", means.left_out, means.images);
    }
    df_text_add(t->out, "\n");
}

static void add_inherited(const struct table *t)
{
    bool of_images = false;

    if (t->names->of_teacher == DF_NO_ATTACK)
        return;
    df_text_addf(t->out, "patches for '%s': points of boxes hidden, paired\n%-24s  %-24s  %-24s\n", t->names->network[0], "network",
                 "beyond patches at random", "against the baseline");
    for (size_t k = 0; k < t->study->networks; k++) {
        const struct df_interval none = { .mean = NAN, .low = NAN, .high = NAN };
        const struct df_attack_difference base = is_compared(t, k) ? against_baseline(t, k) : (struct df_attack_difference){ none, false };
        const struct df_attack_difference random =
            t->names->at_random == DF_NO_ATTACK ? (struct df_attack_difference){ none, false } : against_random(t, k);

        of_images |= base.of_images || random.of_images;
        df_text_addf(t->out, "%-24s", t->names->network[k]);
        add_difference(t->out, &random.interval);
        add_difference(t->out, &base.interval);
        df_text_add(t->out, "\n");
    }
    df_text_addf(t->out, "Intervals over %s; beyond random: 95 %% each",
                 of_images ? "images (one seed: of these trained networks alone)" : "seeds");
    if (comparisons(t))
        df_text_addf(t->out, "; against '%s': %.4g %% each, so that all %zu hold at once with 95 %%", t->names->network[t->names->baseline],
                     100 * confidence(t), comparisons(t));
    if (t->study->seeds > 1 && t->names->teachers && t->names->at_random != DF_NO_ATTACK)
        df_text_add(t->out, "; of a teacher that seeds share, over the draws of the patches at random alone");
    df_text_add(t->out, ". ~: it holds 0.\n");
}

void df_attack_text(const struct df_attack_study *study, const struct df_attack_names *names, struct df_text *out)
{
    const struct table t = { study, names, out };

    add_sentence(&t);
    add_matrix(&t, "boxes hidden (%), judged by", 0);
    add_matrix(&t, "AP lost (points), judged by", 1);
    add_own(&t);
    add_inherited(&t);
}

/* ---- JSON ---- */

static void add_number(cJSON *object, const char *name, double value)
{
    if (isfinite(value))
        cJSON_AddNumberToObject(object, name, value);
    else
        cJSON_AddNullToObject(object, name);
}

static void add_interval(cJSON *object, const char *name, const struct df_attack_difference *difference)
{
    cJSON *one = cJSON_AddObjectToObject(object, name);

    add_number(one, "mean", difference->interval.mean);
    add_number(one, "low", difference->interval.low);
    add_number(one, "high", difference->interval.high);
    cJSON_AddNumberToObject(one, "pairs", (double)difference->interval.n);
    cJSON_AddStringToObject(one, "pair", difference->of_images ? "image" : "seed");
}

static cJSON *judged_json(const struct table *t, size_t attack, size_t network)
{
    const struct df_attack_means means = df_attack_means_of(t->study, attack, network);
    cJSON *one = cJSON_CreateObject();

    cJSON_AddStringToObject(one, "patches_for", t->names->attack[attack]);
    cJSON_AddStringToObject(one, "judged_by", t->names->network[network]);
    add_number(one, "evasion", means.rate);
    add_number(one, "score", means.score);
    add_number(one, "ap_drop_points", means.drop);
    cJSON_AddNumberToObject(one, "images", (double)means.images);
    cJSON_AddNumberToObject(one, "left_out", (double)means.left_out);
    cJSON_AddNumberToObject(one, "beyond_budget", (double)means.beyond);
    if ((int)attack != t->names->of_teacher)
        return one;
    if (is_compared(t, network)) {
        const struct df_attack_difference difference = against_baseline(t, network);

        add_interval(one, "against_baseline", &difference);
    }
    if (t->names->at_random != DF_NO_ATTACK) {
        const struct df_attack_difference difference = against_random(t, network);

        add_interval(one, "beyond_random", &difference);
    }
    return one;
}

void df_attack_json(const struct df_attack_study *study, const struct df_attack_names *names, struct df_text *out)
{
    const struct table t = { study, names, out };
    cJSON *root = cJSON_CreateObject(), *list;

    cJSON_AddStringToObject(root, "baseline", names->network[names->baseline]);
    cJSON_AddNumberToObject(root, "seeds", (double)study->seeds);
    cJSON_AddNumberToObject(root, "confidence_against_baseline", confidence(&t));
    list = cJSON_AddArrayToObject(root, "matrix");
    for (size_t a = 0; a < study->attacks; a++)
        for (size_t k = 0; k < study->networks; k++)
            cJSON_AddItemToArray(list, judged_json(&t, a, k));
    list = cJSON_AddArrayToObject(root, "area_for_half");
    for (size_t k = 0; k < study->networks && study->areas; k++) {
        cJSON *one = cJSON_CreateObject();

        cJSON_AddStringToObject(one, "network", names->network[k]);
        add_number(one, "area", df_attack_area_of(study, k));
        add_number(one, "largest_tried", study->area[study->areas - 1]);
        cJSON_AddItemToArray(list, one);
    }
    df_json_canonical(root, out);
    cJSON_Delete(root);
}
