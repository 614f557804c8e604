/* Batches. What batch k of a run holds is a function of (dataset, options, seed, k) alone: never of threads or of what ran before. An image's
 * canvas is a function of the image's size and the options, never of its batch: the images of a batch have the same one. */
#ifndef DF_CORE_DATA_LOADER_H
#define DF_CORE_DATA_LOADER_H
#include "core/data/dataset.h"
#include "core/data/order.h"
#include "core/geometry/canvas.h"

struct df_canvas_options { /* part of the spec's "data" object, table df_canvas_option_table */
    int64_t min_side,
        max_side; /* 0, 0: images keep their size; else torchvision's rule: short side to min_side unless the long one would exceed max_side */
    int64_t divisor;                     /* canvas = size rounded up to a multiple of this */
    bool fixed;                          /* one canvas for all images, which must fit after resizing */
    int64_t canvas_width, canvas_height; /* for fixed: the canvas */
    struct df_list mean, std;            /* per channel, of pixels in 0..1; padding is 0 after normalising */
};
extern const df_option df_canvas_option_table[];
struct df_canvas_size df_canvas_of(const struct df_canvas_options *canvas, const struct df_image_info *info);

/* Training targets: crowd and difficult objects and boxes without area are left out. Boxes are in canvas pixels (after resize and flip). */
struct df_ground_truth {
    size_t count;
    const struct df_box *boxes;
    const int32_t *labels;
};

struct df_batch {
    size_t n;
    size_t height, width;                /* the canvas, which is that of each of its images */
    df_real *pixels;                     /* [n, height, width, 3] on the host, normalised; NULL where they are packed: */
    const struct df_placed_image *image; /* [n], by rising offset */
    const uint8_t *bytes;                /* their pixels, stored or resized */
    const df_real *normal;               /* [3][256] what each byte of red, green and blue becomes */
    const struct df_ground_truth *truth; /* [n] */
    const size_t *index;                 /* [n] into the dataset */
    const bool *flipped;                 /* [n] */
    const size_t *valid_h, *valid_w;     /* [n] resized image size inside the canvas */
    const double *scale_x, *scale_y;     /* [n] canvas pixels per stored pixel */
    uint64_t seed;                       /* of the run, and its step: what a detector samples with */
    size_t step;                         /* 0 for an image alone */
    size_t first;                        /* place of image 0 in the batch of all ranks: 0 where there is one */
};

/* Red, green and blue of canvas pixel (y, x) of image k, packed or not. */
void df_batch_pixel(const struct df_batch *batch, size_t k, size_t y, size_t x, df_real to[3]);
/* Image k alone. */
struct df_batch df_batch_one(const struct df_batch *batch, size_t k);

struct df_loader;
struct df_loader_config {
    struct df_dataset *dataset;
    struct df_canvas_options canvas;
    size_t batch;
    uint64_t seed;
    bool shuffle, flip;         /* training: what order.h draws of an epoch; batches that cannot be filled are left out */
    const struct df_comm *comm; /* training: this rank's part of every batch is loaded; NULL: all of it */
    bool prefetch;              /* a thread prepares the next batch */
    bool packed;                /* images stay bytes: devices make the pixels (df_detector_pixels), with the same bits */
    size_t memory_limit;        /* resized 8-bit canvases are kept if all of them fit in this many bytes */
    bool skip_bad; /* --on-bad-image skip: unreadable images become an empty grey canvas without objects, counted; else an error */
};
df_status df_loader_new(const struct df_loader_config *config, struct df_loader **out, struct df_error *err);
void df_loader_free(struct df_loader *loader);
size_t df_loader_steps_per_epoch(const struct df_loader *loader); /* shuffle: over the canvases, floor(images / batch) */
/* Batch of a step counted from 0 over all epochs (shuffle) or within one pass (not shuffle: the last one may be short). The batch stays
 * valid until the next call. No heap memory after the first call of the same shape. */
df_status df_loader_get(struct df_loader *loader, size_t step, const struct df_batch **out, struct df_error *err);
/* One image, any (index, flip): what the teacher cache is made from. Batch of 1, same bits as inside any batch. */
df_status df_loader_one(struct df_loader *loader, size_t index, bool flip, const struct df_batch **out, struct df_error *err);
size_t df_loader_skipped(const struct df_loader *loader);
#endif
