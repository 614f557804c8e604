/* The safetensors format, for the files of this room that read and write it: checkpoint.c (our own files) and state_dict.c (PyTorch's). */
#ifndef DF_CORE_NN_SAFETENSORS_H
#define DF_CORE_NN_SAFETENSORS_H
#include <stdio.h>

#include "core/base/json.h"
#include "core/nn/parameters.h"

struct df_safetensors {
    FILE *file;
    const char *path;
    cJSON *header; /* every extent has been checked */
    size_t data_at, data_bytes;
    char *data; /* after df_safetensors_load */
};
/* Reads the header. Where the file has a hash of its contents, and every checkpoint of ours has, all of the file is compared with it. */
df_status df_safetensors_open(struct df_safetensors *opened, const char *path, struct df_error *err);
void df_safetensors_close(struct df_safetensors *opened);
/* Everything after the header. */
df_status df_safetensors_load(struct df_safetensors *opened, struct df_error *err);
/* Length and header, as they begin a file */
void df_safetensors_header(const cJSON *header, struct df_text *text);

/* What a parameter is in a file: PyTorch's shape (returns its rank), its dtype from byte `begin` on, and its elements in PyTorch's order. */
size_t df_stored_shape(const struct df_parameter *item, size_t shape[4]);
cJSON *df_stored_describe(const struct df_parameter *item, size_t begin, const char *dtype);
void df_stored_shape_text(const cJSON *shape, char *text, size_t bytes);
void df_to_stored(const struct df_parameter *item, const df_real *values, float *stored);
void df_from_stored(const struct df_parameter *item, const float *stored, df_real *values);
#endif
