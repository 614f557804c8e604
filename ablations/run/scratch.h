/* A node's own disk for teacher caches: what many workers read again and again is copied there once per node, and every record of a copy is compared
 * with its checksum before it is used. The shared file stays what it is; without room, or with a copy that is not whole, it is read instead. */
#ifndef DF_ABLATIONS_RUN_SCRATCH_H
#define DF_ABLATIONS_RUN_SCRATCH_H
#include "core/base/status.h"

/* The path of a copy of the cache `shared`, which holds `count` records under the key; free() it. NULL: there is none, and a warning has said why,
 * unless the user wants to stop. scratch: a folder, made if it is not there; "$NAME" and "$NAME/rest": what the variable is where this runs. */
char *df_scratch_copy(const char *scratch, const char *shared, const char *key, unsigned long count);
#endif
