/* The owner of a spec's data: class, options, and the splits, each opened when it is first asked for and once a process. Everybody else
 * borrows: a split lives as long as its owner. One thread asks for splits and hash; what it is given may be read by several. */
#ifndef DF_CORE_DATA_DATA_H
#define DF_CORE_DATA_DATA_H
#include "core/data/dataset.h"

struct df_data {
    const struct df_dataset_class *class;
    void *options;
    char *base;                          /* folder that relative paths are relative to */
    struct df_dataset *split[DF_SPLITS]; /* NULL: not asked for yet */
    struct df_data *older;               /* other data of the same spec, made before: a file that theirs have read is not read again */
};
extern const char *const df_split_name[DF_SPLITS]; /* "train", "tune", "validation" */

struct df_data *df_data_new(const struct df_dataset_class *class, const char *base); /* options at their defaults */
/* Of a spec's root the members "data" and "base". file: its path; base is relative to its folder, and the default of base is that folder.
 * instead: replaces base; NULL: does not. */
df_status df_data_read(const cJSON *root, const char *file, const char *instead, struct df_data **out, struct df_error *err);
/* For data without a spec: replaces base. An error, as in a spec, where the class reads no files. */
df_status df_data_move(struct df_data *data, const char *base, const char *where, struct df_error *err);
void df_data_free(struct df_data *data);                             /* and the older ones; NULL is fine */
bool df_data_same(const struct df_data *a, const struct df_data *b); /* class, options and base are */

/* What the options say of the number of images; 0: only the files do. */
size_t df_data_images(const struct df_data *data, enum df_split split);
/* Other numbers of images, of a class that reads no files, before any split is open. */
void df_data_resize(struct df_data *data, const int64_t images[DF_SPLITS]);

df_status df_data_split(struct df_data *data, enum df_split split, struct df_dataset **out, struct df_error *err);
/* "<16 hex digits of train>-<tune>-<validation>" of all splits; what files hold is in it. */
df_status df_data_hash(struct df_data *data, char hash[51], struct df_error *err);
#endif
