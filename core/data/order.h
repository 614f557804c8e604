/* The order of an epoch: which images each batch holds, and which of them are flipped. The images of a batch have one canvas.
 * Shuffled: a permutation of all images is drawn from (seed, DF_RNG_ORDER, epoch), and for each of its places whether the image there is
 * flipped, from (seed, DF_RNG_FLIP, epoch). Along it every image joins the open batch of its canvas; a batch takes the next place of the epoch
 * when it is full, and what is still open at the end is left out. (torchvision's GroupedBatchSampler does so over shuffled images.) Where all
 * images have one canvas this is the permutation, cut into batches.
 * Not shuffled: the images in turn; a batch ends early where the canvas changes. Ranks differ in nothing but the part of a batch they see. */
#ifndef DF_CORE_DATA_ORDER_H
#define DF_CORE_DATA_ORDER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/comm.h"
#include "core/base/status.h"

struct df_canvas_size {
    size_t height, width;
};
struct df_order_config {
    size_t images, batch;
    uint64_t seed;
    bool shuffle, flip;
    const struct df_comm *comm; /* shuffled: each rank has an equal part of a batch, neighbours in it; NULL: all */
};
struct df_order_item {
    uint32_t image;
    bool flip;
};

struct df_order;
/* canvas [images]. Fails where no batch can be filled or a batch has no equal parts for all ranks; warns, with their number, of images that no epoch can take because their canvas has
 * fewer images than a batch. */
df_status df_order_new(const struct df_order_config *config, const struct df_canvas_size *canvas, struct df_order **out,
                       struct df_error *err);
void df_order_free(struct df_order *order);
size_t df_order_steps(const struct df_order *order); /* batches of an epoch, the same in each */
/* The *n images of a step, counted over all epochs, that this rank has; valid until the next call. */
const struct df_order_item *df_order_batch(struct df_order *order, size_t step, size_t *n);
#endif
