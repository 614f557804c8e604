/* Checkpoints in the safetensors format. Convolution weights are stored as PyTorch has them, [out,in,kh,kw], linear ones [out,in], vectors
 * [c], in F32, or weights of two and more axes in F16: a PyTorch user can load the file. Optimiser moments are "optimiser.moment1.<name>",
 * "optimiser.moment2.<name>", averages "optimiser.average.<name>". */
#ifndef DF_CORE_NN_CHECKPOINT_H
#define DF_CORE_NN_CHECKPOINT_H
#include "core/base/json.h"
#include "core/nn/parameters.h"

struct df_metadata { /* __metadata__ of safetensors: strings */
    const char *key, *value;
};
struct df_checkpoint { /* what a file is to hold */
    const struct df_parameters *parameters;
    size_t count;        /* only the first: a student-only export leaves out what distillers added; 0: all */
    bool with_optimiser; /* moments too, and averages where they are kept */
    bool half;           /* weights of two and more axes as F16, rounded to nearest (df_parameters_round gives what is read back) */
    const struct df_metadata *metadata;
    size_t metadata_count;
};
/* Written to a temporary name, fsynced, renamed. The bytes depend on the contents only. The metadata get two keys more:
 * "contents_hash", of everything else in the file, and "writer". Whoever reads such a file, if only its metadata, compares the hash: one flipped bit
 * anywhere is an error. */
df_status df_checkpoint_write(const char *path, struct df_checkpoint what, struct df_error *err);
/* Every parameter and buffer must be there with its shape, and nothing else (allow_extra: extra tensors are ignored). A truncated,
 * overlapping or otherwise broken file is an error that names the tensor, found and expected. with_optimiser: the moments must be there, the
 * averages if the parameters keep them, and the hash. On failure the parameters are as they were. */
df_status df_checkpoint_read(const char *path, struct df_parameters *parameters, bool with_optimiser, bool allow_extra,
                             struct df_error *err);
/* The values as a file in half precision has them. */
void df_parameters_round(struct df_parameters *parameters);
/* The metadata as a JSON object (cJSON_Delete it); the hash is among them. */
df_status df_checkpoint_metadata(const char *path, cJSON **out, struct df_error *err);
/* name, shape, offset of each tensor as JSON, for `defeat inspect`. */
df_status df_checkpoint_index(const char *path, cJSON **out, struct df_error *err);
#endif
