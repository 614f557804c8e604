/* `defeat attack`: what patches made for some networks hide from a network, as rows like a run's (question.h): the judged network first,
 * then those that were attacked. A row's scores: attack.evasion (the mean rate), .score (the challenge's, the mean), .images, .left_out
 * (images on which it found nothing without the patch: they are in no mean), .beyond (patches that break the budget), .AP_clean and
 * .AP_patched of all images; and of image i, with class "i": attack.clean, .left (boxes), .changed, .pixels (in all), .regions.
 * The patched images are kept as PNG files, each under its own number, so that an attack goes on where it stopped. */
#ifndef DF_ABLATIONS_BEHAVIOUR_ATTACK_H
#define DF_ABLATIONS_BEHAVIOUR_ATTACK_H
#include "ablations/behaviour/evasion.h"
#include "ablations/behaviour/subject.h"
#include "results/journal.h"

#define DF_ATTACK_QUESTION "attack"
struct df_attack_values {
    double area, score, loss_score, select_step, step, decay, least_step;
    int64_t regions, side, select_steps, steps, patience;
    int choice, search; /* df_block_choice, df_block_search */
};
/* clang-format off */
#define DF_ATTACK_OPTION_ROWS(type_, member)                                                                                               \
    { "area", DF_REAL_OPTION(type_, member.area), .standard = 0.02, .min = 1e-6, .max = 1, .help = "share of an image's pixels that may change" }, \
    { "regions", DF_INT_OPTION(type_, member.regions), .standard = 10, .min = 1, .max = 10000,                                             \
      .help = "most regions of changed pixels (connected by sides or corners)" },                                                          \
    { "side", DF_INT_OPTION(type_, member.side), .max = 10000,                                                                             \
      .help = "side of the square blocks that a patch is made of (pixels); 0: as large as the budget allows for all regions, and even" },  \
    { "choice", DF_CHOICE_OPTION(type_, member.choice), .choices = "heat|consensus",                                                       \
      .help = "blocks matter by the noise of one attack on all attacked networks, or by the sum of each one's own" },                      \
    { "search", DF_CHOICE_OPTION(type_, member.search), .choices = "one_shot|bisection",                                                   \
      .help = "keep the best blocks at once, or half of them each time, attacked anew" },                                                  \
    { "select_steps", DF_INT_OPTION(type_, member.select_steps), .standard = 20, .min = 1, .max = 100000,                                  \
      .help = "iterations of each attack that says which blocks matter" },                                                                 \
    { "select_step", DF_REAL_OPTION(type_, member.select_step), .standard = 2, .min = 1e-3, .max = 255,                                    \
      .help = "its step (grey levels, root mean square over the blocks)" },                                                                \
    { "steps", DF_INT_OPTION(type_, member.steps), .standard = 100, .min = 1, .max = 100000, .help = "most iterations on the patch" },     \
    { "step", DF_REAL_OPTION(type_, member.step), .standard = 6, .min = 1e-3, .max = 255, .help = "its first step (grey levels)" },        \
    { "decay", DF_REAL_OPTION(type_, member.decay), .standard = 0.93, .min = 0.01, .max = 1,                                               \
      .help = "factor of the step whenever the loss has not fallen" },                                                                     \
    { "patience", DF_INT_OPTION(type_, member.patience), .standard = 5, .min = 1, .max = 100000, .help = "... within so many iterations" }, \
    { "least_step", DF_REAL_OPTION(type_, member.least_step), .standard = 1, .min = 1e-3, .max = 255, .help = "smallest step (grey levels)" }, \
    { "score", DF_REAL_OPTION(type_, member.score), .standard = 0.3, .max = 1, .help = "boxes count that score more" },                    \
    { "loss_score", DF_REAL_OPTION(type_, member.loss_score), .standard = 0.24, .max = 1,                                                  \
      .help = "the attack makes scores small that are above this" }
/* clang-format on */
df_status df_attack_check(const struct df_attack_values *values, struct df_error *err); /* combinations */

struct df_attack_case {
    const struct df_attack_values *values;
    size_t attacked;                  /* 0: nobody: blocks and values are drawn at random (the control) */
    struct df_subject *const *target; /* [attacked] */
    int64_t draw;                     /* ... from this seed */
    const char *name;                 /* of those that are attacked, for people */
    struct df_subject *judged;        /* of the same split */
    enum df_split split;
    size_t images; /* the first so many */
    const char *out;
};
/* The patched images that are not there yet. DF_ERR_INTERRUPTED: stopped between two images; those that are done stay. DF_ERR_USAGE, as of those
 * below: the budget pays for no block of an image. */
df_status df_attack_make(const struct df_attack_case *what, struct df_error *err);
/* The patched image. DF_ERR_NOT_FOUND: it has not been made; DF_ERR_STALE: it has another size than the image. */
df_status df_attack_read(const struct df_attack_case *what, size_t image, const struct df_image *clean, struct df_image *out,
                         struct df_error *err);

struct df_attack_told {
    size_t images, left_out, beyond;
    struct df_evasion *image;         /* [images] */
    double rate, score, ap_clean, ap; /* rate, score: NAN where nothing could be hidden; AP 0..1, -1: no objects */
    struct df_patch_budget budget;
};
/* What the judged network says: out of `known` (the rows of the question's folder) if its row is there, else by asking, and the row is put
 * there. */
df_status df_attack_judge(const struct df_attack_case *what, const struct df_journal *known, struct df_attack_told *out,
                          struct df_error *err);
void df_attack_told_release(struct df_attack_told *told);
#endif
