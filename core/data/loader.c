/* Batches. One builder makes a batch from (step) alone; with prefetch a thread runs it one step ahead into the other of two slots, so
 * what a batch holds cannot depend on it. Pixels: 8-bit image -> resized 8-bit canvas (kept when memory_limit allows) -> flipped,
 * normalised, padded with 0 on the right and below; of a packed batch the device does what has not been done when images are kept. Resizing
 * rule: torchvision's GeneralizedRCNNTransform. */
#include "core/data/loader.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fpu.h"
#include "core/data/image_file.h"
#include "core/data/order.h"

const df_option df_canvas_option_table[] = {
    { "min_side", DF_INT_OPTION(struct df_canvas_options, min_side), .max = 1e4,
      .help = "images are resized to this shorter side, pixels; 0: not resized" },
    { "max_side", DF_INT_OPTION(struct df_canvas_options, max_side), .standard = 1333, .min = 1, .max = 1e5, .when = "min_side!=0",
      .help = "the longer side is never resized to more than this, pixels" },
    { "divisor", DF_INT_OPTION(struct df_canvas_options, divisor), .standard = 32, .min = 1, .max = 1024,
      .help = "the canvas is rounded up to a multiple of this, pixels" },
    { "fixed", DF_BOOL_OPTION(struct df_canvas_options, fixed), .help = "one canvas for all images, which must fit it" },
    { "canvas_width", DF_INT_OPTION(struct df_canvas_options, canvas_width), .max = 1e5, .when = "fixed=1",
      .help = "width of the fixed canvas, pixels" },
    { "canvas_height", DF_INT_OPTION(struct df_canvas_options, canvas_height), .max = 1e5, .when = "fixed=1",
      .help = "height of the fixed canvas, pixels" },
    { "mean", DF_REAL_LIST_OPTION(struct df_canvas_options, mean), .max = 1, .text = "0.485,0.456,0.406",
      .help = "subtracted from red, green, blue, which are 0..1" },
    { "std", DF_REAL_LIST_OPTION(struct df_canvas_options, std), .min = 1e-3, .max = 10, .text = "0.229,0.224,0.225",
      .help = "what red, green, blue are then divided by" },
    { 0 },
};

struct slot {
    struct df_batch batch;
    size_t pixels_capacity, bytes_capacity;
    uint8_t *bytes;
    struct df_placed_image *image;
    struct df_ground_truth *truth;
    struct df_box *boxes; /* [n][most objects of an image] */
    int32_t *labels;
    size_t *index, *valid_h, *valid_w;
    bool *flipped;
    double *scale_x, *scale_y;
    size_t step, skipped; /* images that were found bad while it was built */
    bool full;
    df_status status;
    struct df_error err;
};

enum image_state { IMAGE_UNREAD, IMAGE_KEPT, IMAGE_BAD };

struct df_loader {
    struct df_loader_config config;
    size_t most_objects, skipped;
    df_real normal[3 * 256];
    /* the builder's; under `work` */
    pthread_mutex_t work;
    struct df_image image;
    struct df_image resized;
    uint8_t *kept; /* all resized images, or NULL */
    size_t *kept_at;
    uint8_t *state;
    struct df_order *order;
    struct slot slot[2], single;
    /* the thread's; under `lock` */
    pthread_mutex_t lock;
    pthread_cond_t change;
    pthread_t thread;
    struct slot *wanted; /* to be built: wanted->step */
    bool busy, stop;
};

static size_t round_up(size_t n, size_t divisor) { return (n + divisor - 1) / divisor * divisor; }

static void resized_size(const struct df_canvas_options *canvas, const struct df_image_info *info, int *width, int *height)
{
    double scale = 1;

    if (canvas->min_side) {
        const int small = info->width < info->height ? info->width : info->height;
        const int large = info->width < info->height ? info->height : info->width;

        scale = fmin((double)canvas->min_side / small, (double)canvas->max_side / large);
    }
    *width = (int)fmax(1, floor(info->width * scale));
    *height = (int)fmax(1, floor(info->height * scale));
}

static struct df_canvas_size canvas_size(const struct df_canvas_options *canvas, int width, int height)
{
    if (canvas->fixed)
        return (struct df_canvas_size){ (size_t)canvas->canvas_height, (size_t)canvas->canvas_width };
    return (struct df_canvas_size){ round_up((size_t)height, (size_t)canvas->divisor), round_up((size_t)width, (size_t)canvas->divisor) };
}

struct df_canvas_size df_canvas_of(const struct df_canvas_options *canvas, const struct df_image_info *info)
{
    int width, height;

    resized_size(canvas, info, &width, &height);
    return canvas_size(canvas, width, height);
}

static df_status check_config(const struct df_loader_config *config, struct df_error *err)
{
    const struct df_canvas_options *canvas = &config->canvas;

    if (canvas->mean.count != 3 || canvas->std.count != 3)
        return df_fail(err, DF_ERR_USAGE, "canvas: mean has %zu and std %zu numbers, expected 3 (red, green, blue)", canvas->mean.count,
                       canvas->std.count);
    if (canvas->fixed && (canvas->canvas_width <= 0 || canvas->canvas_height <= 0 || canvas->canvas_width % canvas->divisor ||
                          canvas->canvas_height % canvas->divisor))
        return df_fail(err, DF_ERR_USAGE, "canvas: a fixed canvas of %lld x %lld, expected positive multiples of divisor %lld",
                       (long long)canvas->canvas_width, (long long)canvas->canvas_height, (long long)canvas->divisor);
    if (config->batch == 0)
        return df_fail(err, DF_ERR_USAGE, "batch of 0 images, expected 1 or more");
    if (config->dataset->size == 0)
        return df_fail(err, DF_ERR_USAGE, "the data set has no images");
    return DF_OK;
}

/* Where each resized image would be kept, and whether all of them may be; their canvases; checks that they fit a fixed one. */
static df_status plan_images(struct df_loader *loader, struct df_canvas_size *sizes, struct df_error *err)
{
    const struct df_dataset *dataset = loader->config.dataset;
    const struct df_canvas_options *canvas = &loader->config.canvas;
    size_t total = 0;

    for (size_t i = 0; i < dataset->size; i++) {
        const struct df_image_info *info = &dataset->info[i];
        int width, height;

        resized_size(canvas, info, &width, &height);
        if (canvas->fixed && (width > canvas->canvas_width || height > canvas->canvas_height))
            return df_fail(
                err, DF_ERR_USAGE, "canvas: image %lld '%s' is %d x %d after resizing and does not fit the fixed canvas of %lld x %lld",
                (long long)info->id, info->file_name, width, height, (long long)canvas->canvas_width, (long long)canvas->canvas_height);
        sizes[i] = canvas_size(canvas, width, height);
        loader->kept_at[i] = total;
        total += (size_t)width * (size_t)height * 3;
        if (info->count > loader->most_objects)
            loader->most_objects = info->count;
    }
    if (total <= loader->config.memory_limit)
        loader->kept = df_malloc(total);
    return DF_OK;
}

static void slot_init(struct slot *slot, size_t batch, size_t most_objects)
{
    slot->truth = df_calloc(batch, sizeof *slot->truth);
    slot->boxes = df_calloc(batch * most_objects + 1, sizeof *slot->boxes);
    slot->labels = df_calloc(batch * most_objects + 1, sizeof *slot->labels);
    slot->image = df_calloc(batch, sizeof *slot->image);
    slot->bytes = df_malloc(slot->bytes_capacity = 1); /* a batch of bad images has none, and a place where they begin */
    slot->index = df_calloc(batch, sizeof *slot->index);
    slot->valid_h = df_calloc(batch, sizeof *slot->valid_h);
    slot->valid_w = df_calloc(batch, sizeof *slot->valid_w);
    slot->flipped = df_calloc(batch, sizeof *slot->flipped);
    slot->scale_x = df_calloc(batch, sizeof *slot->scale_x);
    slot->scale_y = df_calloc(batch, sizeof *slot->scale_y);
}

static void slot_release(struct slot *slot)
{
    free(slot->batch.pixels);
    free(slot->bytes);
    free(slot->image);
    free(slot->truth);
    free(slot->boxes);
    free(slot->labels);
    free(slot->index);
    free(slot->valid_h);
    free(slot->valid_w);
    free(slot->flipped);
    free(slot->scale_x);
    free(slot->scale_y);
}

/* 8-bit RGB: resized, or, where a device will do that, as it is stored, unless that is larger. */
struct found {
    size_t width, height;
    const uint8_t *pixels; /* NULL: a bad image, that is skipped */
};

/* Of the image that was read: it has this size, or a device resizes it, to which no more bytes go than its canvas has. */
static bool needs_no_resizing(const struct df_loader *loader, int width, int height)
{
    const struct df_image *image = &loader->image;

    if (image->width == width && image->height == height)
        return true;
    return loader->config.packed && (int64_t)image->width * image->height <= (int64_t)width * height;
}

/* valid: its size when resized */
static df_status find_image(struct df_loader *loader, size_t i, struct df_canvas_size valid, struct found *out, struct df_error *err)
{
    struct df_dataset *dataset = loader->config.dataset;
    const int width = (int)valid.width, height = (int)valid.height;
    uint8_t *to;

    *out = (struct found){ valid.width, valid.height, loader->kept ? loader->kept + loader->kept_at[i] : NULL };
    if (loader->state[i] == IMAGE_KEPT)
        return DF_OK;
    DF_TRY(dataset->class->read(dataset, i, &loader->image, err));
    if (loader->kept) {
        to = loader->kept + loader->kept_at[i];
        loader->state[i] = IMAGE_KEPT;
    } else if (needs_no_resizing(loader, width, height)) {
        *out = (struct found){ (size_t)loader->image.width, (size_t)loader->image.height, loader->image.pixels };
        return DF_OK;
    } else {
        const size_t bytes = (size_t)width * (size_t)height * 3;

        if (bytes > loader->resized.capacity) {
            loader->resized.pixels = df_realloc(loader->resized.pixels, bytes);
            loader->resized.capacity = bytes;
        }
        to = loader->resized.pixels;
    }
    df_image_resize(&loader->image, to, width, height);
    out->pixels = to;
    return DF_OK;
}

static df_status find_or_skip(struct df_loader *loader, struct slot *slot, size_t k, struct found *out, struct df_error *err)
{
    const struct df_canvas_size valid = { slot->valid_h[k], slot->valid_w[k] };
    const struct found none = { 0 };
    const size_t i = slot->index[k];
    struct df_error mine = { 0 };

    *out = none;
    if (loader->state[i] == IMAGE_BAD)
        return DF_OK;
    const df_status status = find_image(loader, i, valid, out, &mine);
    if (status == DF_OK)
        return DF_OK;
    if (!loader->config.skip_bad) {
        if (err)
            *err = mine;
        return status;
    }
    df_warn("left out: %s", mine.text);
    loader->state[i] = IMAGE_BAD;
    slot->skipped++;
    *out = none;
    return DF_OK;
}

/* Image k of the slot, whose pixels may be gone with the next one's: made, or packed behind those before it. */
static void fill_canvas(const struct df_loader *loader, struct slot *slot, size_t k, struct found from, struct df_canvas_size canvas)
{
    const struct df_placed_image *before = k ? &slot->image[k - 1] : NULL;
    struct df_placed_image image = { .offset = before ? before->offset + before->height * before->width * 3 : 0,
                                     .width = from.width,
                                     .height = from.height,
                                     .flipped = slot->flipped[k] };
    const size_t bytes = image.height * image.width * 3, end = image.offset + bytes;

    if (from.pixels) {
        image.valid_w = slot->valid_w[k];
        image.valid_h = slot->valid_h[k];
    }
    slot->image[k] = image;
    if (!loader->config.packed) {
        df_real *to = slot->batch.pixels + k * canvas.height * canvas.width * 3;

        for (size_t y = 0; y < canvas.height; y++)
            for (size_t x = 0; x < canvas.width; x++, to += 3)
                df_canvas_pixel(&image, from.pixels, loader->normal, y, x, to);
        return;
    }
    if (end > slot->bytes_capacity)
        slot->bytes = df_realloc(slot->bytes, slot->bytes_capacity = end + end / 2); /* another batch's images are larger */
    if (bytes)
        memcpy(slot->bytes + image.offset, from.pixels, bytes);
}

/* Stored pixels -> canvas pixels. False when nothing of the box is left. */
static bool canvas_box(const double bbox[4], const struct df_image_info *info, const struct slot *slot, size_t k, struct df_box *out)
{
    double x0 = fmax(bbox[0], 0) * slot->scale_x[k], x1 = fmin(bbox[0] + bbox[2], info->width) * slot->scale_x[k];
    const double y0 = fmax(bbox[1], 0) * slot->scale_y[k], y1 = fmin(bbox[1] + bbox[3], info->height) * slot->scale_y[k];

    if (slot->flipped[k]) {
        const double left = (double)slot->valid_w[k] - x1;

        x1 = (double)slot->valid_w[k] - x0;
        x0 = left;
    }
    *out = (struct df_box){ (float)x0, (float)y0, (float)x1, (float)y1 };
    return out->x1 > out->x0 && out->y1 > out->y0;
}

static void fill_truth(const struct df_loader *loader, struct slot *slot, size_t k, bool bad)
{
    const struct df_image_info *info = &loader->config.dataset->info[slot->index[k]];
    struct df_box *boxes = slot->boxes + k * loader->most_objects;
    int32_t *labels = slot->labels + k * loader->most_objects;
    size_t count = 0;

    for (size_t j = 0; j < info->count && !bad; j++) {
        const struct df_object *object = &info->objects[j];

        if (object->crowd || object->difficult || !canvas_box(object->bbox, info, slot, k, &boxes[count]))
            continue;
        labels[count++] = object->label;
    }
    slot->truth[k] = (struct df_ground_truth){ count, boxes, labels };
}

/* Sizes of the slot's n images, which have the one canvas that is returned. */
static struct df_canvas_size place_images(const struct df_loader *loader, struct slot *slot, size_t n)
{
    struct df_canvas_size canvas = { 0 };

    for (size_t k = 0; k < n; k++) {
        const struct df_image_info *info = &loader->config.dataset->info[slot->index[k]];
        int w, h;

        resized_size(&loader->config.canvas, info, &w, &h);
        const struct df_canvas_size own = canvas_size(&loader->config.canvas, w, h);

        DF_ASSERT(k == 0 || (own.width == canvas.width && own.height == canvas.height));
        slot->valid_w[k] = (size_t)w;
        slot->valid_h[k] = (size_t)h;
        slot->scale_x[k] = (double)w / info->width;
        slot->scale_y[k] = (double)h / info->height;
        canvas = own;
    }
    return canvas;
}

static void reserve_pixels(struct slot *slot, size_t elements)
{
    if (elements <= slot->pixels_capacity)
        return;
    free(slot->batch.pixels);
    slot->batch.pixels = df_malloc(elements * sizeof *slot->batch.pixels);
    slot->pixels_capacity = elements;
}

/* Fills the slot with the n images whose index and flip it holds, all of one canvas. */
static df_status build(struct df_loader *loader, struct slot *slot, size_t n, struct df_error *err)
{
    const struct df_canvas_size canvas = place_images(loader, slot, n);

    if (!loader->config.packed)
        reserve_pixels(slot, n * canvas.height * canvas.width * 3);
    for (size_t k = 0; k < n; k++) {
        struct found from;

        DF_TRY(find_or_skip(loader, slot, k, &from, err));
        fill_canvas(loader, slot, k, from, canvas);
        fill_truth(loader, slot, k, from.pixels == NULL);
    }
    slot->batch = (struct df_batch){ .n = n,
                                     .height = canvas.height,
                                     .width = canvas.width,
                                     .pixels = slot->batch.pixels,
                                     .image = slot->image,
                                     .bytes = slot->bytes,
                                     .normal = loader->normal,
                                     .truth = slot->truth,
                                     .index = slot->index,
                                     .flipped = slot->flipped,
                                     .valid_h = slot->valid_h,
                                     .valid_w = slot->valid_w,
                                     .scale_x = slot->scale_x,
                                     .scale_y = slot->scale_y,
                                     .seed = loader->config.seed,
                                     .step = slot->step };
    return DF_OK;
}

static void build_step(struct df_loader *loader, struct slot *slot)
{
    size_t n;

    pthread_mutex_lock(&loader->work);
    const struct df_order_item *item = df_order_batch(loader->order, slot->step, &n);

    for (size_t k = 0; k < n; k++) {
        slot->index[k] = item[k].image;
        slot->flipped[k] = item[k].flip;
    }
    slot->status = build(loader, slot, n, &slot->err);
    slot->batch.first = n * df_comm_rank(loader->config.comm);
    slot->full = true;
    pthread_mutex_unlock(&loader->work);
}

static void *prefetch(void *context)
{
    struct df_loader *loader = context;

    (void)df_fpu_reset();
    pthread_mutex_lock(&loader->lock);
    while (!loader->stop) {
        struct slot *slot = loader->wanted;

        if (!slot) {
            pthread_cond_wait(&loader->change, &loader->lock);
            continue;
        }
        loader->busy = true;
        pthread_mutex_unlock(&loader->lock);
        build_step(loader, slot);
        pthread_mutex_lock(&loader->lock);
        loader->busy = false;
        loader->wanted = NULL;
        pthread_cond_broadcast(&loader->change);
    }
    pthread_mutex_unlock(&loader->lock);
    return NULL;
}

static df_status plan(struct df_loader *loader, struct df_error *err)
{
    const struct df_loader_config *config = &loader->config;
    const struct df_order_config order = {
        config->dataset->size, config->batch, config->seed, config->shuffle, config->flip, config->comm
    };
    struct df_canvas_size *sizes = df_calloc(order.images, sizeof *sizes);
    df_status status = plan_images(loader, sizes, err);

    if (status == DF_OK)
        status = df_order_new(&order, sizes, &loader->order, err);
    free(sizes);
    return status;
}

df_status df_loader_new(const struct df_loader_config *config, struct df_loader **out, struct df_error *err)
{
    *out = NULL;
    DF_TRY(check_config(config, err));
    struct df_loader *loader = df_calloc(1, sizeof *loader);
    const size_t size = config->dataset->size;
    loader->config = *config;
    loader->kept_at = df_calloc(size, sizeof *loader->kept_at);
    loader->state = df_calloc(size, sizeof *loader->state);
    pthread_mutex_init(&loader->work, NULL);
    pthread_mutex_init(&loader->lock, NULL);
    pthread_cond_init(&loader->change, NULL);
    loader->config.prefetch = false; /* no thread yet, for df_loader_free */
    const df_status status = plan(loader, err);
    if (status != DF_OK) {
        df_loader_free(loader);
        return status;
    }
    for (int c = 0; c < 3; c++)
        for (int v = 0; v < 256; v++)
            loader->normal[256 * c + v] = (df_real)((v / 255.0 - config->canvas.mean.value[c]) / config->canvas.std.value[c]);
    slot_init(&loader->slot[0], config->batch, loader->most_objects);
    slot_init(&loader->slot[1], config->batch, loader->most_objects);
    slot_init(&loader->single, 1, loader->most_objects);
    if (config->prefetch)
        loader->config.prefetch = pthread_create(&loader->thread, NULL, prefetch, loader) == 0; /* without a thread: the same, slower */
    *out = loader;
    return DF_OK;
}

void df_loader_free(struct df_loader *loader)
{
    if (!loader)
        return;
    if (loader->config.prefetch) {
        pthread_mutex_lock(&loader->lock);
        loader->stop = true;
        pthread_cond_broadcast(&loader->change);
        pthread_mutex_unlock(&loader->lock);
        pthread_join(loader->thread, NULL);
    }
    pthread_cond_destroy(&loader->change);
    pthread_mutex_destroy(&loader->lock);
    pthread_mutex_destroy(&loader->work);
    slot_release(&loader->slot[0]);
    slot_release(&loader->slot[1]);
    slot_release(&loader->single);
    df_image_release(&loader->image);
    df_image_release(&loader->resized);
    free(loader->kept);
    free(loader->kept_at);
    free(loader->state);
    df_order_free(loader->order);
    free(loader);
}

size_t df_loader_steps_per_epoch(const struct df_loader *loader) { return df_order_steps(loader->order); }

/* The slot that holds the step, built now if the thread has not done so. Asks the thread for the step after it. */
static struct slot *slot_of(struct df_loader *loader, size_t step)
{
    struct slot *slot = &loader->slot[0], *other = &loader->slot[1];

    if (loader->config.prefetch) {
        pthread_mutex_lock(&loader->lock);
        while (loader->wanted || loader->busy)
            pthread_cond_wait(&loader->change, &loader->lock);
        pthread_mutex_unlock(&loader->lock);
        if (other->full && other->step == step) {
            slot = &loader->slot[1];
            other = &loader->slot[0];
        }
    }
    if (!loader->config.prefetch || !slot->full || slot->step != step) {
        slot->step = step;
        build_step(loader, slot);
    }
    if (loader->config.prefetch && (loader->config.shuffle || step + 1 < df_order_steps(loader->order))) {
        pthread_mutex_lock(&loader->lock);
        other->step = step + 1;
        other->full = false;
        loader->wanted = other;
        pthread_cond_broadcast(&loader->change);
        pthread_mutex_unlock(&loader->lock);
    }
    return slot;
}

/* Of a slot that is handed out: what the thread has built and nobody has asked for is not counted. */
static void count_skipped(struct df_loader *loader, struct slot *slot)
{
    loader->skipped += slot->skipped;
    slot->skipped = 0;
}

df_status df_loader_get(struct df_loader *loader, size_t step, const struct df_batch **out, struct df_error *err)
{
    if (!loader->config.shuffle)
        DF_ASSERT(step < df_order_steps(loader->order));
    struct slot *slot = slot_of(loader, step);

    count_skipped(loader, slot);
    if (slot->status != DF_OK) {
        if (err)
            *err = slot->err;
        slot->full = false;
        return slot->status;
    }
    *out = &slot->batch;
    return DF_OK;
}

df_status df_loader_one(struct df_loader *loader, size_t index, bool flip, const struct df_batch **out, struct df_error *err)
{
    DF_ASSERT(index < loader->config.dataset->size);
    pthread_mutex_lock(&loader->work);
    loader->single.index[0] = index;
    loader->single.flipped[0] = flip;
    const df_status status = build(loader, &loader->single, 1, err);
    pthread_mutex_unlock(&loader->work);
    if (status == DF_OK)
        *out = &loader->single.batch;
    count_skipped(loader, &loader->single);
    return status;
}

size_t df_loader_skipped(const struct df_loader *loader) { return loader->skipped; }

void df_batch_pixel(const struct df_batch *batch, size_t k, size_t y, size_t x, df_real to[3])
{
    if (batch->pixels)
        memcpy(to, batch->pixels + ((k * batch->height + y) * batch->width + x) * 3, 3 * sizeof *to);
    else
        df_canvas_pixel(&batch->image[k], batch->bytes + batch->image[k].offset, batch->normal, y, x, to);
}

struct df_batch df_batch_one(const struct df_batch *batch, size_t k)
{
    struct df_batch one = *batch;

    one.n = 1;
    one.first += k;
    one.pixels = batch->pixels ? batch->pixels + k * batch->height * batch->width * 3 : NULL;
    one.image = batch->image ? batch->image + k : NULL;
    one.truth += k;
    one.index += k;
    one.flipped += k;
    one.valid_h += k;
    one.valid_w += k;
    one.scale_x += k;
    one.scale_y += k;
    return one;
}
