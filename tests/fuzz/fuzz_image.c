/* Images: the header alone, the whole picture, the picture as one of a size that somebody says. */
#include "core/data/image_file.h"
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
    struct df_image image = { 0 };
    int width = 0, height = 0;

    if (df_image_check(path, data, size, &width, &height, NULL) == DF_OK && (size_t)width * (size_t)height < 4000000) {
        if (df_image_read_as(path, height, width, &image, NULL) == DF_OK) /* turned, or square */
            DF_ASSERT(image.width == height && image.height == width);
        if (df_image_read(path, &image, NULL) == DF_OK)
            DF_ASSERT(image.width == width && image.height == height);
    }
    df_image_release(&image);
    return 0;
}
