/* Safetensors, as a checkpoint, as a state dict, as what `inspect` shows. */
#include "core/device/open.h"
#include "core/nn/checkpoint.h"
#include "core/nn/state_dict.h"
#include "tests/fuzz/fuzz.h"

static struct df_parameters *parameters;

int LLVMFuzzerInitialize(int *count, char ***words)
{
    struct df_device *device;

    (void)count;
    (void)words;
    df_warn_set(fuzz_silence, NULL);
    if (df_device_open("ref", &device, NULL) != DF_OK)
        return -1;
    parameters = df_parameters_new();
    df_parameters_add(parameters, "a", DF_CONV_WEIGHT, (df_shape){ 2, 1, 1, 3 }, (struct df_initialiser){ 0 }, DF_RNG_INIT);
    df_parameters_add_buffer(parameters, "bn.running_var", 2, 1);
    df_parameters_build(parameters, device, 1, false);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct df_class_rows rows[] = { { "a", 0, 1 }, { 0 } };
    static const int64_t number[] = { 0, 1 };
    const struct df_class_choice choice = { rows, 2, number };
    const char *path = fuzz_file(data, size);
    cJSON *found = NULL;

    if (df_checkpoint_metadata(path, &found, NULL) == DF_OK)
        cJSON_Delete(found);
    if (df_checkpoint_index(path, &found, NULL) == DF_OK)
        cJSON_Delete(found);
    (void)df_checkpoint_read(path, parameters, false, false, NULL);
    (void)df_state_dict_read(path, parameters, NULL, NULL);
    (void)df_state_dict_read(path, parameters, &choice, NULL);
    return 0;
}
