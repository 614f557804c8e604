/* The question "explain": what does a network's finding of each object rest on, and on the same as another network's, its teacher? Asked about the
 * ground truth's objects, the same for every network: a target is an object's box with its class alone. Scores of the row, means over the objects
 * (class ""), and of every object (class "<image>.<object>"):
 *   explain.agreement    Spearman's correlation of the two networks' maps                         (as all below of the teacher: where there is one)
 *   explain.energy_gap   |energy in the box - the teacher's|
 *   explain.outside      the map's energy outside of the box, 1 - EBPG
 *   explain.pointing     1: the map's peak is in the box
 *   explain.split_half   Spearman's correlation of the maps of even and of odd masks: how sure the map is of itself
 *   explain.deletion, explain.insertion    (erasure.h; where steps are asked for)
 * and of those that two sets of masks may tell differently explain.<score>.even and .odd: what each half of the masks says alone. Half of their
 * difference is the Monte-Carlo error of the score. */
#ifndef DF_ABLATIONS_BEHAVIOUR_EXPLAIN_H
#define DF_ABLATIONS_BEHAVIOUR_EXPLAIN_H
#include "ablations/behaviour/erasure.h"
#include "ablations/behaviour/heard.h"
#include "ablations/behaviour/question.h"

enum df_explain_score {
    DF_EXPLAIN_AGREEMENT,
    DF_EXPLAIN_ENERGY_GAP,
    DF_EXPLAIN_OUTSIDE,
    DF_EXPLAIN_HALVED, /* so many are told of both halves of the masks */
    DF_EXPLAIN_POINTING = DF_EXPLAIN_HALVED,
    DF_EXPLAIN_SPLIT_HALF,
    DF_EXPLAIN_DELETION,
    DF_EXPLAIN_INSERTION,
    DF_EXPLAIN_SCORES
};
extern const char *const df_explain_metrics[DF_EXPLAIN_SCORES];         /* "explain.agreement", ... */
extern const char *const df_explain_half_metrics[DF_EXPLAIN_HALVED][2]; /* "explain.agreement.even", ".odd" */

struct df_explain_options {
    struct df_saliency_options saliency;
    struct df_erasure_options erasure; /* no steps: not asked */
};
/* Rows of a table whose struct has `struct df_explain_options member`. */
/* clang-format off */
#define DF_EXPLAIN_OPTION_ROWS(type_, member)                                                                                              \
    { "masks", DF_INT_OPTION(type_, member.saliency.mask.count), .standard = 1000, .min = 2, .max = 1e6,                                   \
      .help = "masks behind which an image is shown: passes of the network (D-RISE: 5000)" },                                              \
    { "grid", DF_INT_OPTION(type_, member.saliency.mask.grid), .standard = 8, .min = 1, .max = DF_MASK_GRID_MAX,                           \
      .help = "cells of a mask per side (D-RISE: 16)" },                                                                                   \
    { "keep", DF_REAL_OPTION(type_, member.saliency.mask.keep), .standard = 0.5, .min = 0.01, .max = 0.99,                                 \
      .help = "probability that a cell is shown" },                                                                                        \
    { "edges", DF_CHOICE_OPTION(type_, member.saliency.mask.edges), .choices = "bilinear|nearest",                                         \
      .help = "how a mask's cells become pixels" },                                                                                        \
    { "shift", DF_BOOL_OPTION(type_, member.saliency.mask.shift), .standard = 1, .help = "shift every mask by less than a cell" },         \
    { "mask_seed", DF_INT_OPTION(type_, member.saliency.mask.seed), .max = 9e15,                                                           \
      .help = "of the masks, which are the same for all networks" },                                                                       \
    { "centre", DF_BOOL_OPTION(type_, member.saliency.centre), .standard = 1,                                                              \
      .help = "subtract the mean weight, so that where masks fell by chance tells nothing (D-RISE: off)" },                                \
    { "confidence", DF_BOOL_OPTION(type_, member.saliency.confidence),                                                                     \
      .help = "similarity times the detection's score, in place of the objectness that no detector here says" },                           \
    { "steps", DF_INT_OPTION(type_, member.erasure.steps), .max = 1e5,                                                                     \
      .help = "steps of deletion and of insertion; 0: neither is measured" },                                                              \
    { "blur", DF_REAL_OPTION(type_, member.erasure.blur), .standard = 5, .min = 0.1, .max = 64, .when = "steps!=0",                        \
      .help = "insertion begins with the image blurred by a Gaussian of this standard deviation, pixels" }
/* clang-format on */
extern const df_option df_explain_option_table[]; /* these alone */

/* What the subject says behind masks of its first images: [images] into heard. A progress bar's label; NULL: none. */
df_status df_explain_ask(const struct df_explain_options *options, struct df_subject *subject, size_t images, const char *label,
                         struct df_heard *heard, struct df_error *err);
/* Adds the scores of what was heard to a row; teacher: what another network said of the same images, or NULL. `subject` is asked again for deletion and
 * insertion. DF_ERR_UNSUPPORTED: the two see an image in different sizes. No object in any image: no scores. */
df_status df_explain_scores(const struct df_explain_options *options, struct df_subject *subject, const struct df_heard *heard,
                            const struct df_heard *teacher, struct df_scores *scores, struct df_arena *memory, struct df_error *err);
/* The question of one network, and of whom it is held against (NULL: nobody), sealed. */
void df_explain_question(const struct df_explain_options *options, const struct df_subject *subject, const struct df_subject *teacher,
                         size_t images, struct df_question *question);
#endif
