/* COCO ground truth, for training and for evaluation; what was read is written, and reads back as it is. */
#include "core/data/coco_json.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerInitialize(int *count, char ***words)
{
    (void)count;
    (void)words;
    df_warn_set(fuzz_silence, NULL);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path = fuzz_file(data, size);
    struct df_coco_truth *truth = NULL, *evaluated = NULL;
    struct df_error err;

    if (df_coco_truth_read(path, true, &truth, &err) == DF_OK)
        DF_ASSERT(df_coco_truth_read(path, false, &evaluated, &err) == DF_OK &&
                  evaluated->objects == truth->objects); /* training is stricter */
    else
        (void)df_coco_truth_read(path, false, &evaluated, &err);
    df_coco_truth_free(truth);
    df_coco_truth_free(evaluated);
    return 0;
}
