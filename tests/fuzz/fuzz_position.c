/* Positions of a tiny training. The input is a whole file, or, where it is JSON, the text in the metadata of one whose hash is right. */
#include "ablations/run/position.h"
#include "core/device/open.h"
#include "core/nn/checkpoint.h"
#include "tests/fuzz/fuzz.h"

enum { POINTS = 5 };

static struct df_parameters *parameters;
static struct df_cell cell;
static char folder[] = "/tmp/defeat-fuzz-XXXXXX", path[64];

static void clean(void)
{
    unlink(path);
    rmdir(folder);
}

int LLVMFuzzerInitialize(int *count, char ***words)
{
    struct df_device *device;

    (void)count;
    (void)words;
    df_warn_set(fuzz_silence, NULL);
    if (!mkdtemp(folder) || df_device_open("ref", &device, NULL) != DF_OK)
        return -1;
    snprintf(path, sizeof path, "%s/position", folder);
    atexit(clean);
    snprintf(cell.id, sizeof cell.id, "0123456789abcdef");
    parameters = df_parameters_new();
    df_parameters_add(parameters, "a", DF_CONV_WEIGHT, (df_shape){ 2, 1, 1, 3 }, (struct df_initialiser){ 0 }, DF_RNG_INIT);
    df_parameters_build(parameters, device, 1, true);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct df_arena memory;
    struct df_student student = { .cell = &cell, .model = { .parameters = parameters }, .steps = 100 };
    struct df_step_log log = { 0 };
    struct df_learning learning = { .memory = &memory };
    char *text = df_malloc(size + 1);

    memcpy(text, data, size);
    text[size] = 0;
    const struct df_metadata metadata[] = { { "position", text } };
    const bool json = size && data[0] == '{';
    const struct df_checkpoint file = { .parameters = parameters, .with_optimiser = true, .metadata = metadata, .metadata_count = 1 };

    df_arena_init(&memory, NULL, 4096);
    if (json && df_checkpoint_write(path, file, NULL) != DF_OK)
        abort();
    df_position_read(json ? path : fuzz_file(data, size), POINTS, &student, &log, &learning);
    DF_ASSERT(student.step <= student.steps && learning.points <= POINTS);
    df_arena_release(&memory);
    free(text);
    return 0;
}
