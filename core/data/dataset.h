/* Datasets: images with ground truth. One file per dataset, one line in registry.c. */
#ifndef DF_CORE_DATA_DATASET_H
#define DF_CORE_DATA_DATASET_H
#include "core/base/option.h"
#include "core/base/real.h"

/* What the file said: evaluation uses this record and nothing derived from the network's float boxes. */
struct df_object {
    int64_t id, category_id;
    int32_t label;  /* 0..categories-1, by rising category id */
    double bbox[4]; /* x, y, width, height in pixels of the stored image */
    double area;
    bool crowd, difficult;
};

struct df_image_info {
    int64_t id;
    const char *file_name; /* relative; "" for rendered images */
    int width, height;     /* pixels */
    size_t count;
    const struct df_object *objects;
};

struct df_image { /* 8-bit RGB, rows top to bottom, no padding between rows */
    int width, height;
    uint8_t *pixels; /* [height][width][3]; owned by the caller's buffer: grown by read, released by df_image_release */
    size_t capacity;
};
void df_image_release(struct df_image *image);
/* Makes room for width x height RGB pixels and `extra` bytes behind them, and sets the size. What was there is lost. */
void df_image_reserve(struct df_image *image, int width, int height, size_t extra);

struct df_category {
    int64_t id;
    const char *name;
};

enum df_split { DF_TRAIN, DF_TUNE, DF_VALIDATION, DF_SPLITS };

struct df_dataset;
struct df_data;
struct df_dataset_class {
    int abi;
    const char *name, *summary;
    const df_option *options; /* the members of the spec's "data" object besides "kind" */
    size_t options_size;
    bool
        from_files; /* paths are relative to the data's base, and what the files hold belongs to what a cell is; else: options decide all */
    size_t images[DF_SPLITS]; /* not from files: offset of the option (int64_t) that says how many images a split has */
    /* Opens one split of data that hold its options and may hold other splits of its own. */
    df_status (*open)(const struct df_data *data, enum df_split split, struct df_dataset **out, struct df_error *err);
    void (*close)(struct df_dataset *dataset);
    df_status (*read)(struct df_dataset *dataset, size_t i, struct df_image *out, struct df_error *err); /* thread-safe */
    int revision; /* raised when its pictures or its ground truth change: 0 and 1 are the first; in the cell beside its name from 2 on */
};
#define DF_DATASET_ABI 2

/* Concrete datasets put this first in their own struct. */
struct df_dataset {
    const struct df_dataset_class *class;
    size_t size, categories;
    const struct df_category *category; /* [categories], by rising id */
    const struct df_image_info *info;   /* [size] */
    uint64_t hash;                      /* of everything that decides the images and the ground truth of this split */
    size_t skipped_boxes;               /* boxes that training leaves out, told to the user */
    size_t unreadable;      /* training images that opening it found missing or broken: they can be left out, or training fails */
    char *first_unreadable; /* path; NULL: none */
};

extern const struct df_dataset_class *const df_dataset_classes[];                             /* NULL-terminated: scenes, coco, synthetic */
const struct df_dataset_class *df_dataset_class_find(const char *name, struct df_error *err); /* names the nearest */
void df_dataset_close(struct df_dataset *dataset);                                            /* NULL is fine */
/* Fails unless both have the same category ids and names: a network trained on one can be evaluated on the other. */
df_status df_dataset_same_categories(const struct df_dataset *a, const struct df_dataset *b, struct df_error *err);
/* What category k is called where categories are told apart by their names: its name, with the id behind it if it has none or shares it: "cat (id 7)". */
void df_category_label(const struct df_category *category, size_t categories, size_t k, struct df_text *out);
/* The ground truth of a dataset as COCO JSON (17 digits), for `defeat data export` and for evaluating exported results. */
df_status df_dataset_export_coco(const struct df_dataset *dataset, const char *path, struct df_error *err);
#endif
