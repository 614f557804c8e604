/* COCO results, and their evaluation against a small ground truth. */
#include "core/metrics/coco_eval.h"
#include "tests/fuzz/fuzz.h"

static struct df_coco_truth *truth;

int LLVMFuzzerInitialize(int *count, char ***words)
{
    static const char text[] =
        "{\"images\":[{\"id\":1},{\"id\":2}],\"categories\":[{\"id\":1,\"name\":\"a\"},{\"id\":2,\"name\":\"b\"}],\"annotations\":["
        "{\"id\":1,\"image_id\":1,\"category_id\":1,\"bbox\":[1,1,9,9],\"area\":81,\"iscrowd\":0},"
        "{\"id\":2,\"image_id\":1,\"category_id\":2,\"bbox\":[4,4,9,9],\"area\":81,\"iscrowd\":1},"
        "{\"id\":3,\"image_id\":2,\"category_id\":1,\"bbox\":[0,0,40,40],\"area\":1600,\"iscrowd\":0}]}";

    (void)count;
    (void)words;
    df_warn_set(fuzz_silence, NULL);
    return df_coco_truth_read(fuzz_file((const uint8_t *)text, sizeof text - 1), false, &truth, NULL) == DF_OK ? 0 : -1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct df_coco_scores scores = { 0 };
    struct df_detection *found = NULL;
    struct df_error err;
    size_t count = 0;

    if (df_coco_results_read(fuzz_file(data, size), &found, &count, &err) == DF_OK &&
        df_coco_evaluate(df_coco_set_of(truth), found, count, &scores, &err) == DF_OK) {
        for (size_t m = 0; m < DF_COCO_METRICS; m++)
            DF_ASSERT(scores.value[m] == -1 || (scores.value[m] >= 0 && scores.value[m] <= 1));
        df_coco_scores_release(&scores);
    }
    free(found);
    return 0;
}
