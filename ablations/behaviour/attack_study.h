/* What patches for some networks did to all of them, over seeds: means, and differences that are paired by image within each seed. */
#ifndef DF_ABLATIONS_BEHAVIOUR_ATTACK_STUDY_H
#define DF_ABLATIONS_BEHAVIOUR_ATTACK_STUDY_H
#include "ablations/behaviour/attack.h"
#include "results/statistics.h"

struct df_attack_study {
    size_t seeds, attacks, networks, areas;
    struct df_attack_told *told; /* [seeds][attacks][networks] */
    const double *area;          /* [areas] rising: of each network attacked alone, judged by itself; */
    struct df_attack_told *own;  /* [seeds][networks][areas] */
};
struct df_attack_told *df_attack_told_of(const struct df_attack_study *study, size_t seed, size_t attack, size_t network);
struct df_attack_told *df_attack_own_of(const struct df_attack_study *study, size_t seed, size_t network, size_t area);

/* Means over the seeds that have one; NAN: none has. rate, score: evasion.h's; drop: of AP by the patches, in points. */
struct df_attack_means {
    double rate, score, drop;
    size_t left_out, beyond, images; /* sums over the seeds */
};
struct df_attack_means df_attack_means_of(const struct df_attack_study *study, size_t attack, size_t network);
/* df_evasion_area over the images of all seeds on which the network found something. */
double df_attack_area_of(const struct df_attack_study *study, size_t network);

/* By how much more `a` hides than `b`, each an attack and who judges it, on the images on which both networks found something without
 * patches. From two seeds on a pair is a seed: what is said holds for seeds like these. With one it is an image: it holds for these trained
 * networks alone. */
struct df_attack_side {
    size_t attack, network;
};
struct df_attack_difference {
    struct df_interval interval; /* rates, 0..1; n = 0 and NAN: there is no pair */
    bool of_images;
};
struct df_attack_difference df_attack_difference_of(const struct df_attack_study *study, struct df_attack_side a, struct df_attack_side b,
                                                    double confidence);
void df_attack_study_release(struct df_attack_study *study); /* told, own; not area */
#endif
