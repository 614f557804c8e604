#include "tests/support/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void df_assert_close(double a, double b, double relative, double absolute, const char *what, const char *file, int line)
{
    if (fabs(a - b) <= absolute + relative * fabs(b))
        return;
    print_error("%s = %.17g, expected %.17g (difference %.3g, allowed %.3g)\n", what, a, b, a - b, absolute + relative * fabs(b));
    _fail(file, line);
}

void df_test_fill(df_real *values, size_t n, uint64_t seed, double scale)
{
    struct df_rng rng;

    df_rng_init(&rng, seed, DF_RNG_TEST, 0);
    for (size_t i = 0; i < n; i++)
        values[i] = (df_real)(scale * df_rng_normal(&rng));
}

static char test_folder[256];

static void remove_folder(void)
{
    char command[320];

    snprintf(command, sizeof command, "rm -rf '%s'", test_folder);
    if (system(command) != 0)
        fprintf(stderr, "cannot remove %s\n", test_folder);
}

const char *df_test_folder(void)
{
    if (!test_folder[0]) {
        const char *base = getenv("TMPDIR");

        snprintf(test_folder, sizeof test_folder, "%s/defeat-test-XXXXXX", base ? base : "/tmp");
        if (!mkdtemp(test_folder))
            fail_msg("cannot make a folder like %s", test_folder);
        atexit(remove_folder);
    }
    return test_folder;
}

const char *df_test_shared(const char *relative)
{
    static char path[512];
    const char *base = getenv("DEFEAT_SHARED");

    snprintf(path, sizeof path, "%s/%s", base ? base : "../shared", relative);
    return access(path, R_OK) == 0 ? path : NULL;
}

const char *df_test_device(void)
{
    const char *name = getenv("DEFEAT_TEST_DEVICE");

    return name && *name ? name : "cpu";
}

struct df_device *df_test_open(const char *name, size_t threads)
{
    struct df_device *device;
    struct df_error err;

    assert_ok(df_device_open(name, &device, &err));
    assert_ok(df_device_threads(device, threads, &err));
    device->alone = 0;
    return device;
}
