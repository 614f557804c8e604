/* A question that was put to trained networks, as a row like a run's: who answered, what was asked with which options, about which images. Its
 * canonical JSON is its identity, the hash of that text its id, and so a row that is there is not asked for again:
 *   {"semantics":2,"question":"explain","revision":1,
 *    "networks":[{"cell":"<run id>","weights":"<hash of the checkpoint>"}, ...]   (who answers first, then whom it is held against),
 *    "images":{"data":"<hash of the split>","split":"validation","count":50},     (the first so many)
 *    "options":{...every option that has an effect...}}
 * Label, axes and seed of the row are those of the first network's cell, so that rows pair by seed as runs do. */
#ifndef DF_ABLATIONS_BEHAVIOUR_QUESTION_H
#define DF_ABLATIONS_BEHAVIOUR_QUESTION_H
#include "ablations/behaviour/subject.h"
#include "results/journal.h"

enum { DF_QUESTION_NETWORKS = 8 };
struct df_question {
    const char *name; /* "explain": of its folder too */
    int revision;     /* raised when its numbers change */
    const df_option *options;
    const void *values;
    size_t networks;
    const struct df_subject *network[DF_QUESTION_NETWORKS]; /* all of one split */
    enum df_split split;
    size_t images;
    char id[17];         /* after df_question_seal */
    struct df_text json; /* after df_question_seal */
};
void df_question_seal(struct df_question *question);
void df_question_release(struct df_question *question);

char *df_question_weights(const struct df_question *question, const char *out); /* a file beside the row (heard.h): free it */
char *df_question_folder(const struct df_question *question,
                         const char *out); /* df_store_question_folder of the first network's spec: free it */
/* An empty row about the question, begun now, on the first network's device; its strings are in memory. */
struct df_run_row df_question_row(const struct df_question *question, struct df_arena *memory);
/* Finished now: put into its folder whole, by rename; the first one stays on `cuda`, as a run's does. */
df_status df_question_put(const struct df_question *question, const char *out, struct df_run_row *row, struct df_error *err);
#endif
