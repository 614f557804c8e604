/* Canonical cells compared with one another: which rows of older versions answer the same question. */
#ifndef DF_RESULTS_CELLS_H
#define DF_RESULTS_CELLS_H
#include "core/base/json.h"

/* The older text is the newer one but for lower revisions of data set, detector or distillers (a detector's or a data set's changes the hashes
 * of teacher and data too). False for equal texts and for what is no cell. */
bool df_cell_is_superseded(const char *older, const char *newer);
/* The same but for what these members are or whether they are there; keys end with NULL. False for what is no cell. */
bool df_cells_same_but(const char *a, const char *b, const char *const *keys);
/* Of a row that answers a question about trained networks ("question", ablations/behaviour/question.h): the hash of what all networks were asked, the
 * text less "networks". "" of any other cell. */
void df_cell_question(const char *cell, char id[17]);
/* A row of older semantics against what a spec asks for (df_cell_asked): every key that both have says the same. Hashes are not compared, for
 * every version has its own; nor is what the older version did not know, nor what the spec leaves at a default, which may have been another. */
bool df_cell_answers(const char *older, const cJSON *asked);
#endif
