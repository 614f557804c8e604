/* What the tests share: cmocka, tolerances that fail on NaN, the gradient check, scratch folders. */
#ifndef DF_TESTS_SUPPORT_H
#define DF_TESTS_SUPPORT_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/base/real.h"
#include "core/base/rng.h"
#include "core/base/status.h"
#include "core/device/open.h"

/* |a - b| <= absolute + relative * |b|; NaN fails. */
#define assert_close(a, b, relative, absolute) df_assert_close((a), (b), (relative), (absolute), #a, __FILE__, __LINE__)
void df_assert_close(double a, double b, double relative, double absolute, const char *what, const char *file, int line);
/* The call must return DF_OK; prints the error's text when it does not. Needs `struct df_error err` in scope. */
#define assert_ok(call)                                                                                                                    \
    do {                                                                                                                                   \
        err.text[0] = 0;                                                                                                                   \
        if ((call) != DF_OK)                                                                                                               \
            fail_msg("%s: %s", #call, err.text);                                                                                           \
    } while (0)
/* The call must fail with this status and its message must contain `part`. */
#define assert_fails(call, expected, part)                                                                                                 \
    do {                                                                                                                                   \
        err.text[0] = 0;                                                                                                                   \
        const df_status status_ = (call);                                                                                                  \
        if (status_ != (expected) || !strstr(err.text, (part)))                                                                            \
            fail_msg("%s: status %d, message '%s', expected '%s'", #call, (int)status_, err.text, (part));                                 \
    } while (0)
/* A primitive of a device, with the arguments in the order of its struct, or by name. */
#define RUN(name, device, ...) df_##name((device), &(struct df_##name##_args){ __VA_ARGS__ })
/* Normal values, mean 0, of the given scale, from (seed, DF_RNG_TEST, 0). */
void df_test_fill(df_real *values, size_t n, uint64_t seed, double scale);
/* A fresh folder under $TMPDIR or /tmp, removed at exit. */
const char *df_test_folder(void);
/* The folder with shared data, or NULL when it is not there ($DEFEAT_SHARED, else ../shared): tests that need it call skip(). */
const char *df_test_shared(const char *relative);
/* The device that the float tests check against `ref`: $DEFEAT_TEST_DEVICE, else "cpu". */
const char *df_test_device(void);
/* It or another, with so many threads, which share even the smallest work. */
struct df_device *df_test_open(const char *name, size_t threads);
/* Runs tests' fixture files: path of tests/golden/<name> from the repository root (tests run from there). */
#endif
