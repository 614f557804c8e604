/* Lines of a table that cannot be told apart, in place of an order that their noise does not hold: a compact letter display (Piepho 2004). Every
 * line is compared with every other one of its variant by the AP of their paired runs (t test, Holm over all these pairs, 5 % in all); two lines
 * share a letter exactly if they are not told apart. A line may have several letters. A pair of which nothing can be said (fewer than two pairs
 * of runs, or differences that are all equal) counts among the comparisons and is not told apart. */
#ifndef DF_RESULTS_GROUPS_H
#define DF_RESULTS_GROUPS_H
#include "results/table.h"

enum { DF_GROUP_LETTERS = 26 };

struct df_group_line {
    const char *label, *axes, *variant;
    size_t expected;       /* runs */
    struct df_interval ap; /* percent points, 95 % */
    size_t ahead, behind;  /* of how many lines of its variant */
    const char *letters;   /* "a", "bc"; "": no runs */
};
struct df_groups {
    size_t lines;
    struct df_group_line *line; /* by variant, in the request's order; then by falling mean; those without runs last */
    size_t comparisons;         /* pairs of lines, the most of a variant */
    size_t unpaired;            /* pairs of runs that were left out: two teachers */
    struct df_arena *memory;
};
/* DF_ERR_UNSUPPORTED: more than DF_GROUP_LETTERS groups in a variant. */
df_status df_groups_build(const struct df_journal *journal, const struct df_table_request *request, struct df_groups **out,
                          struct df_error *err);
void df_groups_free(struct df_groups *groups);
void df_groups_print(const struct df_groups *groups, enum df_table_format format, struct df_text *out);
#endif
