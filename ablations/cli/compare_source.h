/* What `compare` compares: methods of a spec, of a folder of rows, or single runs, as sides of comparisons (results/comparison.h). */
#ifndef DF_ABLATIONS_CLI_COMPARE_SOURCE_H
#define DF_ABLATIONS_CLI_COMPARE_SOURCE_H
#include "ablations/cli/table_source.h"
#include "results/comparison.h"

/* A spec with every seed that it has rows of (--seeds: those alone), or a folder of rows, whose spec is not known: spec is NULL. */
struct df_compare_source {
    char *path;
    struct df_table_source rows;
};
/* A path that ends in ".json" is a spec's. */
df_status df_compare_source_open(const struct df_common_options *options, const struct df_which_rows *which, const char *path,
                                 struct df_compare_source *out, struct df_error *err);
void df_compare_source_close(struct df_compare_source *source);
/* "SOURCE:METHOD" -> both, newly allocated; "SOURCE" alone: *method is NULL. What names no file is an error. */
df_status df_compare_split(const char *word, char **source, char **method, struct df_error *err);

struct df_compare_method {
    char *name;
    size_t runs;
    struct df_compare_run *run;
    size_t line;  /* the first one in the source's request */
    size_t lines; /* several: variants of a spec, which differ by the teacher alone */
};
/* By label, by "label options", or by a run's id. A label that stands for several lines must say which, unless they are one method under several
 * teachers. */
df_status df_compare_method_find(const struct df_compare_source *source, const char *name, struct df_compare_method *out,
                                 struct df_error *err);
void df_compare_method_of_line(const struct df_compare_source *source, size_t line, struct df_compare_method *out);
/* Methods of one line each pair by seed alone, whatever their variants are. */
void df_compare_methods_match(struct df_compare_method *a, struct df_compare_method *b);
/* Of rows that answer questions about trained networks both methods keep those of one question (df_cell_question): `asked`, or "": the only one. Rows of
 * several are never paired: DF_ERR_USAGE, which names them. */
df_status df_compare_methods_question(struct df_compare_method *a, struct df_compare_method *b, const char *asked, struct df_error *err);
struct df_compare_side df_compare_method_side(const struct df_compare_method *method); /* a view of it */
void df_compare_method_release(struct df_compare_method *method);
#endif
