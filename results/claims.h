/* What a paper claims, as comparisons that can come out either way. A file of claims:
 *   { "paper": "Guo et al., CVPR 2021, arXiv:2103.14475",
 *     "claims": [ { "name": "background teaches",                                 of which no two of a spec are the same
 *                   "detector": "RetinaNet",                                      for the reader
 *                   "spec": "specs/reproduce-table.json",                         relative to the file
 *                   "a": "background", "b": "none",                               methods, as `compare` takes them
 *                   "claim": "better" | "equal",                                  a than b; or neither by as much as the margin
 *                   "margin": 0.5,                                                points: the smallest difference that counts
 *                   "metric": "AP",                                               optional
 *                   "paper": { "a": 40.9, "b": 37.4, "source": "abstract" } } ] } its figures; only "source" where it gives none
 * The answer is the interval's of a - b (of a score that is a cost: b - a), low to high, with margin d:
 *   better   reproduced: low > 0      refuted: low <= 0 and high < d      (what the paper says is more than can be)
 *   equal    reproduced: -d < low and high < d      refuted: low >= d or high <= -d
 * and not resolved else, or where there is no interval. All claims of one spec hold at once with 95 % (Bonferroni). */
#ifndef DF_RESULTS_CLAIMS_H
#define DF_RESULTS_CLAIMS_H
#include "results/comparison.h"

enum df_claim_kind { DF_CLAIM_BETTER, DF_CLAIM_EQUAL };
enum df_claim_answer { DF_NOT_RESOLVED, DF_REPRODUCED, DF_REFUTED, DF_CLAIM_ANSWERS };
extern const char *const df_claim_answer_names[DF_CLAIM_ANSWERS]; /* "not resolved", "reproduced", "refuted" */

struct df_claim { /* strings live as long as the claims */
    const char *name, *detector, *spec, *a, *b, *metric;
    enum df_claim_kind kind;
    double margin;           /* points, above 0 */
    double paper_a, paper_b; /* points; NAN: it gives none */
    const char *paper;       /* where they stand, or that there are none */
};
struct df_claims {
    const char *paper;
    size_t count;
    struct df_claim *claim;
    cJSON *root;
};
/* Fails with the place of what is missing, misspelt, out of range or said twice. */
df_status df_claims_read(const char *path, struct df_claims *out, struct df_error *err);
void df_claims_release(struct df_claims *claims);

/* What a comparison of its methods, asked with its margin, says of the claim. */
enum df_claim_answer df_claim_judge(const struct df_claim *claim, const struct df_comparison *comparison);
/* "reproduced    background teaches: background is 3.44 better than none (2.21 to 4.67; 5 pairs, for this teacher); the paper: +3.2 (39.7, 36.5; abstract)"
 * without an end of line. */
void df_claim_line(const struct df_claim *claim, const struct df_comparison *comparison, struct df_text *out);
cJSON *df_claim_json(const struct df_claim *claim, const struct df_comparison *comparison);
#endif
