#include "ablations/behaviour/attack_study.h"

#include <math.h>
#include <stdlib.h>

struct df_attack_told *df_attack_told_of(const struct df_attack_study *study, size_t seed, size_t attack, size_t network)
{
    return &study->told[(seed * study->attacks + attack) * study->networks + network];
}

struct df_attack_told *df_attack_own_of(const struct df_attack_study *study, size_t seed, size_t network, size_t area)
{
    return &study->own[(seed * study->networks + network) * study->areas + area];
}

struct mean {
    double sum;
    size_t count;
};

static void mean_add(struct mean *mean, double value)
{
    if (isnan(value))
        return;
    mean->sum += value;
    mean->count++;
}

static double mean_get(const struct mean *mean) { return mean->count ? mean->sum / (double)mean->count : (double)NAN; }

struct df_attack_means df_attack_means_of(const struct df_attack_study *study, size_t attack, size_t network)
{
    struct mean rate = { 0 }, score = { 0 }, drop = { 0 };
    struct df_attack_means means = { 0 };

    for (size_t s = 0; s < study->seeds; s++) {
        const struct df_attack_told *told = df_attack_told_of(study, s, attack, network);

        mean_add(&rate, told->rate);
        mean_add(&score, told->score);
        mean_add(&drop, told->ap_clean < 0 ? (double)NAN : 100 * (told->ap_clean - told->ap));
        means.left_out += told->left_out;
        means.beyond += told->beyond;
        means.images += told->images;
    }
    means.rate = mean_get(&rate);
    means.score = mean_get(&score);
    means.drop = mean_get(&drop);
    return means;
}

double df_attack_area_of(const struct df_attack_study *study, size_t network)
{
    const size_t areas = study->areas, most = study->seeds && areas ? df_attack_own_of(study, 0, network, 0)->images : 0;
    double *rate = df_malloc((study->seeds * most * areas + 1) * sizeof *rate), area;
    size_t images = 0;

    for (size_t s = 0; s < study->seeds && areas; s++)
        for (size_t i = 0; i < most; i++) {
            if (!df_attack_own_of(study, s, network, 0)->image[i].clean)
                continue;
            for (size_t a = 0; a < areas; a++)
                rate[images * areas + a] = df_evasion_rate(&df_attack_own_of(study, s, network, a)->image[i]);
            images++;
        }
    area = df_evasion_area(rate, images, study->area, areas);
    free(rate);
    return area;
}

/* The differences of one seed, image by image; returns how many. out: room for all images. */
static size_t differences(const struct df_attack_told *a, const struct df_attack_told *b, double *out)
{
    size_t n = 0;

    DF_ASSERT(a->images == b->images);
    for (size_t i = 0; i < a->images; i++)
        if (a->image[i].clean && b->image[i].clean)
            out[n++] = df_evasion_rate(&a->image[i]) - df_evasion_rate(&b->image[i]);
    return n;
}

struct df_attack_difference df_attack_difference_of(const struct df_attack_study *study, struct df_attack_side a, struct df_attack_side b,
                                                    double confidence)
{
    const size_t images = df_attack_told_of(study, 0, a.attack, a.network)->images;
    double *of_image = df_malloc((images + 1) * sizeof *of_image), *of_seed = df_malloc((study->seeds + 1) * sizeof *of_seed);
    struct df_attack_difference out = { .interval = { .mean = NAN, .sd = NAN, .low = NAN, .high = NAN }, .of_images = study->seeds < 2 };
    size_t n = 0, seeds = 0;

    for (size_t s = 0; s < study->seeds; s++) {
        n = differences(df_attack_told_of(study, s, a.attack, a.network), df_attack_told_of(study, s, b.attack, b.network), of_image);
        if (n)
            of_seed[seeds++] = df_mean_spread(of_image, n).mean;
    }
    if (out.of_images && n)
        out.interval = df_mean_interval(of_image, n, confidence);
    else if (!out.of_images && seeds)
        out.interval = df_mean_interval(of_seed, seeds, confidence);
    free(of_image);
    free(of_seed);
    return out;
}

void df_attack_study_release(struct df_attack_study *study)
{
    for (size_t i = 0; study->told && i < study->seeds * study->attacks * study->networks; i++)
        df_attack_told_release(&study->told[i]);
    for (size_t i = 0; study->own && i < study->seeds * study->networks * study->areas; i++)
        df_attack_told_release(&study->own[i]);
    free(study->told);
    free(study->own);
    study->told = study->own = NULL;
}
