#include "ablations/run/environment.h"
#include "core/device/open.h"

#include <png.h>
#include <string.h>

/* TurboJPEG does not tell its version to a program: the build asks pkg-config. */
#ifndef DF_JPEG_VERSION
#define DF_JPEG_VERSION "unknown"
#endif
#ifndef DF_REVISION
#define DF_REVISION "unknown"
#endif
#ifdef __clang__
#define COMPILER __VERSION__
#else
#define COMPILER "gcc " __VERSION__
#endif

const char *df_run_revision(void) { return DF_REVISION; }

const char *df_run_compiler(void) { return COMPILER; }

void df_run_environment(const struct df_cell *cell, struct df_device *device, const char *teacher, struct df_text *out)
{
    const struct df_device_identity identity = df_device_identity(cell->device);
    cJSON *root = cJSON_CreateObject();
    char card[256];

    cJSON_AddStringToObject(root, "isa", identity.isa);
    cJSON_AddNumberToObject(root, "threads", (double)cell->threads);
    if (device && strncmp(identity.kind, "cuda", 4) == 0) {
        df_device_describe(device, card, sizeof card);
        cJSON_AddStringToObject(root, "card", card);
    }
    cJSON_AddStringToObject(root, "libjpeg-turbo", DF_JPEG_VERSION);
    cJSON_AddStringToObject(root, "libpng", png_get_libpng_ver(NULL));
    cJSON_AddStringToObject(root, "compiler", COMPILER);
    if (teacher && teacher[0])
        cJSON_AddStringToObject(root, "teacher", teacher);
    df_json_canonical(root, out);
    cJSON_Delete(root);
}
