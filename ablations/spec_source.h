/* The JSON of a spec before anybody reads it: what it extends is under it, what the command line sets is over it.
 *
 *   "extends": "other.json"   its members are put over the other's (relative to its own folder), as a JSON Merge Patch (RFC 7396): objects member
 *                             by member, everything else replaced, null takes a member away. Name and title are every file's own. Paths of
 *                             the other file stay relative to that file.
 *   --set KEY=VALUE           KEY: "schedule.epochs"; of a list the index or the label or name of its element: "methods.1.label",
 *                             "methods.DeFeat.distillers.defeat.w_fg". VALUE: JSON, and what is none is a text; null takes the member away. */
#ifndef DF_ABLATIONS_SPEC_SOURCE_H
#define DF_ABLATIONS_SPEC_SOURCE_H
#include "core/base/option.h"

/* set: NULL for none. from: "extends 'other.json', which extends ...", for messages; "" where nothing is extended. */
df_status df_spec_source_read(const char *path, const struct df_texts *set, cJSON **root, struct df_text *from, struct df_error *err);
/* The paths of a spec's file in `folder`, as a file beside which that folder lies says them. */
void df_spec_move_paths(cJSON *root, const char *folder);
/* `over` put over `base` as a new object. Either may be NULL. */
cJSON *df_spec_merged(const cJSON *base, const cJSON *over);
#endif
