/* State dicts of PyTorch's detectors, in safetensors files, and back. Our checkpoints have PyTorch's layouts and torchvision's names already;
 * what differs: num_batches_tracked, element types, names of older versions, and classes in another order. */
#ifndef DF_CORE_NN_STATE_DICT_H
#define DF_CORE_NN_STATE_DICT_H
#include "core/nn/parameters.h"

/* A layer ("<layer>.weight" and ".bias") whose rows are groups x (lead + classes) x columns; lead: rows before the classes (background). */
struct df_class_rows {
    const char *layer;
    size_t lead, columns;
};
struct df_class_choice {
    const struct df_class_rows *rows; /* ends with a row whose layer is NULL */
    size_t classes;
    const int64_t
        *number; /* [classes]: class k is this one of the file's, its lead counted; NULL: the file has the same classes in this order */
};
/* Every parameter and buffer must be there with its shape, as F32, F64, F16 or BF16 and finite, under its name or the one that torchvision had
 * before version 0.12; nothing else but num_batches_tracked. Errors name the tensor, the shapes, the nearest name. On failure the parameters
 * are as they were. */
df_status df_state_dict_read(const char *path, struct df_parameters *parameters, const struct df_class_choice *choice,
                             struct df_error *err);
struct df_taken {
    size_t tensors, left; /* read; of the file left alone */
    size_t kept;          /* of the network left as it was */
    char first_left[96];  /* the first of the file's that was, "" */
};
/* Of the first `count` parameters and buffers those whose names begin with `prefix` ("": all), under the same rules; what the file has beside
 * the prefix is left alone. A file without the prefix in its names (an image classifier's "conv1.weight" for "backbone.body") serves too. */
df_status df_state_dict_take(const char *path, struct df_parameters *parameters, size_t count, const char *prefix, struct df_taken *out,
                             struct df_error *err);
/* What load_state_dict(strict=True) takes: all parameters and buffers, and a num_batches_tracked of 0 for every batch norm. */
df_status df_state_dict_write(const char *path, const struct df_parameters *parameters, struct df_error *err);
#endif
