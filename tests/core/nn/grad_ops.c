/* Every op in double on `ref`: signed central differences of sum(w out), w fixed and random so that each output counts, for every element of
 * every input; and values and gradients against PyTorch (tests/golden/ops.txt). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/core/nn/op_cases.h"
#include "tests/support/support.h"

enum { MOST = 6000 };
static struct df_device *device;
static df_tape *tape;

static df_tensor *weigh(df_tensor *x, uint64_t seed)
{
    static df_real weight[MOST];

    assert_true(df_count(x->shape) <= MOST);
    df_test_fill(weight, df_count(x->shape), seed, 1);
    return df_sum(tape, df_mul(tape, x, df_tensor_from(tape, x->shape, weight)), 15);
}

/* sum(w op(inputs)); again: plus a weighted sum of the inputs, whose gradients are there before the op's arrive. With gradients: of every
 * input, into grads[k]. */
static double weighted(const struct op_case *op, bool again, df_real *const *values, df_real *const *grads)
{
    df_tensor *in[5];

    df_tape_reset(tape);
    for (size_t k = 0; k < op->inputs; k++)
        in[k] = (op->constant[k] ? df_tensor_from : df_leaf)(tape, op->shape[k], values[k]);
    df_tensor *loss = weigh(op->build(tape, in, op), 77);

    for (size_t k = 0; again && k < op->inputs; k++)
        if (!op->constant[k])
            loss = df_add(tape, loss, weigh(in[k], 78 + k));
    if (grads) {
        df_backward(tape, loss);
        for (size_t k = 0; k < op->inputs; k++)
            if (op->constant[k])
                assert_null(in[k]->grad);
            else
                df_read(device, grads[k], in[k]->grad, df_count(in[k]->shape) * sizeof(df_real));
    }
    return df_item(tape, loss);
}

static void check_gradient(const struct op_case *op, bool again)
{
    /* Step 1e-5: the differences' truncation (h^2) and rounding (1e-16 / h) both stay near 1e-10 of the sums of about 100 terms. */
    const double h = 1e-5, tolerance = 2e-7;
    df_real *values[5], *grads[5];

    for (size_t k = 0; k < op->inputs; k++) {
        const size_t count = df_count(op->shape[k]);

        values[k] = df_malloc(count * sizeof(df_real));
        grads[k] = df_malloc(count * sizeof(df_real));
        df_test_fill(values[k], count, 11 + k, 1);
        for (size_t i = 0; op->positive && i < count; i++)
            values[k][i] = 0.5 + fabs(values[k][i]);
    }
    weighted(op, again, values, grads);
    for (size_t k = 0; k < op->inputs; k++) {
        const size_t count = df_count(op->shape[k]), stride = 1 + count / 300;

        for (size_t i = 0; !op->constant[k] && i < count; i += stride) {
            const df_real kept = values[k][i];

            values[k][i] = kept + h;
            const double up = weighted(op, again, values, NULL);

            values[k][i] = kept - h;
            const double numeric = (up - weighted(op, again, values, NULL)) / (2 * h);

            values[k][i] = kept;
            if (!(fabs(grads[k][i] - numeric) <= tolerance * (1 + fabs(numeric))))
                fail_msg("%s: input %zu element %zu: gradient %.12g, differences say %.12g", op->name, k, i, grads[k][i], numeric);
        }
    }
    for (size_t k = 0; k < op->inputs; k++) {
        free(values[k]);
        free(grads[k]);
    }
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < OP_CASES; i++)
        for (int again = 0; again < 2; again++)
            check_gradient(&op_cases[i], again);
}

static df_shape masked(df_shape s, unsigned mask)
{
    return (df_shape){ mask & 1 ? 1 : s.n, mask & 2 ? 1 : s.h, mask & 4 ? 1 : s.w, mask & 8 ? 1 : s.c };
}

static double apply(int kind, double a, double b) { return kind == 0 ? a + b : kind == 1 ? a - b : kind == 2 ? a * b : a / b; }

static size_t offset(df_shape s, size_t n, size_t h, size_t w, size_t c)
{
    return (((s.n == 1 ? 0 : n) * s.h + (s.h == 1 ? 0 : h)) * s.w + (s.w == 1 ? 0 : w)) * s.c + (s.c == 1 ? 0 : c);
}

static void check_broadcast_values(const struct op_case *op, int kind)
{
    static df_real a[120], b[120], y[120];
    df_tensor *in[2];

    df_test_fill(a, 120, 5, 1);
    df_test_fill(b, 120, 6, 1);
    df_tape_reset(tape);
    in[0] = df_tensor_from(tape, op->shape[0], a);
    in[1] = df_tensor_from(tape, op->shape[1], b);
    const df_tensor *out = op->build(tape, in, op);
    const df_shape s = out->shape;

    df_read(device, y, out->data, df_count(s) * sizeof *y);
    for (size_t n = 0; n < s.n; n++)
        for (size_t h = 0; h < s.h; h++)
            for (size_t w = 0; w < s.w; w++)
                for (size_t c = 0; c < s.c; c++)
                    assert_close(y[offset(s, n, h, w, c)],
                                 apply(kind, a[offset(op->shape[0], n, h, w, c)], b[offset(op->shape[1], n, h, w, c)]), 1e-15, 0);
}

/* Every set of broadcast axes of b, of a, and of b with the other ones of a. */
static void test_broadcasting(void **state)
{
    static const char *const names[] = { "add", "sub", "mul", "div" };
    const df_shape full = { 2, 3, 4, 5 };
    char name[64];

    (void)state;
    for (int kind = 0; kind < 4; kind++)
        for (unsigned mask = 0; mask < 16; mask++)
            for (unsigned way = 0; way < 3; way++) {
                const unsigned mask_a = way == 0 ? 0 : way == 1 ? mask : 15 - mask, mask_b = way == 1 ? 0 : mask;
                struct op_case op = { name,
                                      (df_tensor * (*[])(df_tape *, df_tensor **, const struct op_case *)){ case_add, case_sub, case_mul,
                                                                                                            case_div }[kind],
                                      2,
                                      { masked(full, mask_a), masked(full, mask_b) },
                                      .option = 0 };

                snprintf(name, sizeof name, "%s, axes of a %u, of b %u", names[kind], mask_a, mask_b);
                check_broadcast_values(&op, kind);
                op.positive = true;
                check_gradient(&op, (mask + way) % 2);
            }
}

static void test_reductions(void **state)
{
    char name[64];
    struct op_case op = { name, NULL, 1, { { 2, 3, 4, 5 } }, .option = 0 };

    (void)state;
    for (int axes = 0; axes < 16; axes++) {
        op.option = axes;
        snprintf(name, sizeof name, "sum over axes %d", axes);
        op.build = case_sum;
        check_gradient(&op, axes % 2);
        snprintf(name, sizeof name, "mean over axes %d", axes);
        op.build = case_mean;
        check_gradient(&op, axes % 2);
        snprintf(name, sizeof name, "max over axes %d", axes);
        op.build = case_max;
        check_gradient(&op, axes % 2);
    }
}

/* ---- PyTorch ---- */

struct golden {
    char name[64];
    df_shape shape;
    df_real *value;
};
enum { GOLDENS = 128 };
static struct golden golden[GOLDENS];
static size_t goldens;

static int read_goldens(void)
{
    FILE *file = fopen("tests/golden/ops.txt", "r");
    struct golden g;

    if (!file)
        return -1;
    while (fscanf(file, "%63s %zu %zu %zu %zu", g.name, &g.shape.n, &g.shape.h, &g.shape.w, &g.shape.c) == 5 && goldens < GOLDENS) {
        g.value = df_malloc(df_count(g.shape) * sizeof(df_real));
        for (size_t i = 0; i < df_count(g.shape); i++) {
            char word[64];

            if (fscanf(file, "%63s", word) != 1)
                return -1;
            g.value[i] = (df_real)strtod(word, NULL);
        }
        golden[goldens++] = g;
    }
    fclose(file);
    return 0;
}

static void free_goldens(void)
{
    for (size_t i = 0; i < goldens; i++)
        free(golden[i].value);
}

static const struct golden *find(const char *op, const char *part)
{
    char name[64];

    snprintf(name, sizeof name, "%s.%s", op, part);
    for (size_t i = 0; i < goldens; i++)
        if (strcmp(golden[i].name, name) == 0)
            return &golden[i];
    fail_msg("tests/golden/ops.txt has no '%s'", name);
    return NULL;
}

static void compare(const char *op, const char *part, const df_real *device_data, df_shape shape)
{
    const struct golden *expected = find(op, part);
    const size_t count = df_count(shape);
    df_real *found = df_malloc(count * sizeof *found);

    assert_int_equal(count, df_count(expected->shape));
    df_read(device, found, device_data, count * sizeof *found);
    for (size_t i = 0; i < count; i++) /* both computed in double; the file has 15 digits */
        if (!(fabs(found[i] - expected->value[i]) <= 1e-12 * (1 + fabs(expected->value[i]))))
            fail_msg("%s.%s[%zu] = %.15g, PyTorch says %.15g", op, part, i, found[i], expected->value[i]);
    free(found);
}

static df_tensor *leaf(const char *op, const char *part)
{
    const struct golden *g = find(op, part);

    return df_leaf(tape, g->shape, g->value);
}

static void finish(const char *op, df_tensor *y, df_tensor *const *in, const char *const *parts, size_t count)
{
    const struct golden *dy = find(op, "dy");
    char part[16];

    compare(op, "y", y->data, y->shape);
    df_backward(tape, df_sum(tape, df_mul(tape, y, df_tensor_from(tape, dy->shape, dy->value)), 15));
    for (size_t i = 0; i < count; i++) {
        snprintf(part, sizeof part, "d%s", parts[i]);
        compare(op, part, in[i]->grad, in[i]->shape);
    }
}

static void test_pytorch(void **state)
{
    const char *const parts[] = { "x", "w", "b" };
    df_tensor *in[3];

    (void)state;
#define GOLDEN_UNARY(op, call)                                                                                                             \
    do {                                                                                                                                   \
        df_tape_reset(tape);                                                                                                               \
        df_tensor *x = in[0] = leaf(op, "x");                                                                                              \
        finish(op, (call), in, parts, 1);                                                                                                  \
    } while (0)
    GOLDEN_UNARY("sigmoid", df_sigmoid(tape, x));
    GOLDEN_UNARY("softmax", df_softmax(tape, x));
    GOLDEN_UNARY("softmax_cells", df_softmax_cells(tape, x, 2.5));
    GOLDEN_UNARY("standardise", df_standardise(tape, x, 1e-6));
    GOLDEN_UNARY("nearest", df_upsample_nearest(tape, x, 5, 7));
    GOLDEN_UNARY("bilinear_up", df_resize_bilinear(tape, x, 7, 9));
    GOLDEN_UNARY("bilinear_down", df_resize_bilinear(tape, x, 3, 4));
    GOLDEN_UNARY("adaptive_down", df_adaptive_avg_pool(tape, x, 3, 4));
    GOLDEN_UNARY("adaptive_up", df_adaptive_avg_pool(tape, x, 4, 5));
    GOLDEN_UNARY("max_pool", df_max_pool(tape, x, 3, 2, 1));
    GOLDEN_UNARY("max_pool_2", df_max_pool(tape, x, 2, 2, 0));
    GOLDEN_UNARY("mean_hw", df_mean(tape, x, 6));
    GOLDEN_UNARY("max_c", df_max(tape, x, 8));

    for (int kind = 0; kind < 4; kind++) {
        const struct df_grid_options options = { .border = kind / 2, .align_corners = kind % 2 };
        char name[16];

        df_tape_reset(tape);
        snprintf(name, sizeof name, "grid_%s_%d", options.border ? "border" : "zeros", options.align_corners);
        in[0] = leaf(name, "x");
        in[1] = leaf(name, "w");
        finish(name, df_grid_sample(tape, in[0], in[1], NULL, options), in, parts, 2);
    }

    df_tape_reset(tape);
    for (size_t i = 0; i < 3; i++)
        in[i] = leaf("conv", parts[i]);
    finish("conv", df_conv2d(tape, in[0], in[1], in[2], (struct df_conv_options){ 2, 1, 1, 2, true }), in, parts, 3);

    df_tape_reset(tape);
    for (size_t i = 0; i < 3; i++)
        in[i] = leaf("linear", parts[i]);
    finish("linear", df_linear(tape, in[0], in[1], in[2]), in, parts, 3);
}

static void test_pytorch_batch_norm(void **state)
{
    const char *const parts[] = { "x", "w", "b" };
    df_tensor *in[3];

    (void)state;
    for (int train = 0; train < 2; train++) {
        const char *op = train ? "norm_train" : "norm_eval";
        const struct golden *mean = find(op, "mean"), *var = find(op, "var");

        df_tape_reset(tape);
        for (size_t i = 0; i < 3; i++)
            in[i] = leaf(op, parts[i]);
        df_tensor *running_mean = df_tensor_from(tape, mean->shape, mean->value),
                  *running_var = df_tensor_from(tape, var->shape, var->value);

        finish(op,
               df_batch_norm(tape, in[0], in[1], in[2],
                             (struct df_norm_options){ running_mean->data, running_var->data, 1e-5, 0.1,
                                                       train ? DF_NORM_TRAIN : DF_NORM_EVAL, false }),
               in, parts, 3);
        compare(op, "mean_after", running_mean->data, running_mean->shape);
        compare(op, "var_after", running_var->data, running_var->shape);
    }
}

static int open_device(void **state)
{
    (void)state;
    if (df_device_open("ref", &device, NULL) != DF_OK)
        return -1;
    tape = df_tape_new(device, true);
    return read_goldens();
}

static int close_device(void **state)
{
    (void)state;
    free_goldens();
    df_tape_free(tape);
    df_device_close(device);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),   cmocka_unit_test(test_broadcasting),       cmocka_unit_test(test_reductions),
        cmocka_unit_test(test_pytorch), cmocka_unit_test(test_pytorch_batch_norm),
    };

    return cmocka_run_group_tests(tests, open_device, close_device);
}
