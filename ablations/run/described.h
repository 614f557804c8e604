/* What a checkpoint says of itself: the network that its weights belong to, and the classes that it tells apart. A picture needs no more: no spec,
 * no data set.
 *   metadata "cell":    the cell's canonical JSON (cell.h)
 *   metadata "classes": {"1":"disk","7":"ring",...}, the data's category ids and names, in the order of the network's rows */
#ifndef DF_ABLATIONS_RUN_DESCRIBED_H
#define DF_ABLATIONS_RUN_DESCRIBED_H
#include "ablations/run/cell.h"
#include "core/base/arena.h"

/* The value of "classes". */
void df_classes_text(const struct df_dataset *dataset, struct df_text *out);

/* The value of "cell" for weights that no run of ours has made: the network alone, nothing of a training. */
void df_network_text(const struct df_cell *cell, struct df_text *out);

struct df_described {
    struct df_cell cell; /* detector, network, canvas, seed; no data: it is never sealed */
    size_t classes;
    struct df_category *category; /* [classes] */
    bool named;                   /* false: the file is older than "classes"; they are called by their numbers, from 1 */
    char run[17];                 /* id of the run that wrote it; "" */
    struct df_arena memory;
};
/* device: where it will run. A file that says nothing of its network is an error that names the way with a spec. */
df_status df_described_read(const char *path, const char *device, struct df_described *out, struct df_error *err);
void df_described_release(struct df_described *described);
#endif
