/* What names of devices mean: what is refused and how, and what enters a cell's identity. A build with the GPU device but no GPU must say so. */
#include <string.h>

#include "core/device/device.h"
#include "tests/support/support.h"

static bool has_cuda(void) { return strstr(df_device_names(), "cuda") != NULL; }

static void test_refused(void **state)
{
    static const char *const options[] = { "ref:0", "ref+tf32", "cuda-1", "cudacudacudacudacuda", "", ":1" };
    struct df_device *device;
    struct df_error err;

    (void)state;
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        assert_fails(df_device_check(options[i], &err), DF_ERR_USAGE, "unknown device '");
        assert_fails(df_device_open(options[i], &device, &err), DF_ERR_USAGE, "unknown device '");
        assert_null(device);
    }
    assert_fails(df_device_check("ref:0", &err), DF_ERR_USAGE, "'ref' takes no options [use 'ref']");
    assert_fails(df_device_check("cudda", &err), DF_ERR_USAGE, "did you mean 'cuda'?");
    assert_ok(df_device_check("ref", &err));
}

static void test_identity(void **state)
{
    const struct df_device_identity ref = df_device_identity("ref"), gpu = df_device_identity("cuda:1+tf32");

    (void)state;
    assert_string_equal(ref.kind, "ref");
    assert_string_equal(ref.isa, df_device_isa());
    assert_string_equal(df_device_identity("cuda:7").kind, "cuda"); /* never the number of the GPU */
    assert_string_equal(gpu.kind, "cuda+tf32");                     /* in a build without it as well */
    if (has_cuda())
        assert_true(strncmp(gpu.isa, "sm_", 3) == 0 || strcmp(gpu.isa, "none") == 0);
}

static void test_gpu(void **state)
{
    struct df_error err;
    const df_status there = df_device_check("cuda", &err);
    struct df_device *device;

    (void)state;
    assert_non_null(strstr(df_device_names(), "ref"));
    if (!has_cuda()) {
        assert_int_equal(there, DF_ERR_UNSUPPORTED);
        assert_fails(df_device_open("cuda:1", &device, &err), DF_ERR_UNSUPPORTED,
                     "device 'cuda:1' is not in this build [use 'cpu', or build with 'make CUDA=1']");
        return;
    }
    assert_fails(df_device_check("cuda:x", &err), DF_ERR_USAGE, "expected cuda[:N][+tf32]");
    assert_fails(df_device_check("cuda+fp16", &err), DF_ERR_USAGE, "expected cuda[:N][+tf32]");
    assert_fails(df_device_check("cuda:", &err), DF_ERR_USAGE, "expected cuda[:N][+tf32]");
    if (there == DF_OK) {
        assert_fails(df_device_check("cuda:99999999999", &err), DF_ERR_UNSUPPORTED, "this machine has");
    } else {
        assert_fails(df_device_open("cuda", &device, &err), DF_ERR_UNSUPPORTED, "'cuda' cannot be used: ");
        assert_non_null(strstr(err.text, "[use 'cpu'"));
    }
}

/* Whatever the host's own description is, it names the instruction set. */
static void test_described(void **state)
{
    struct df_device *device;
    struct df_error err;
    char text[256] = "";

    (void)state;
    assert_ok(df_device_open("ref", &device, &err));
    df_device_describe(device, text, sizeof text);
    assert_string_equal(text, df_device_isa());
    df_sync(device);
    df_device_close(device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_gpu),
        cmocka_unit_test(test_described),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
