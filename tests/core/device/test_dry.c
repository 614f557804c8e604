/* What a profile counts in bytes: kernel by kernel against arguments whose operands were counted by hand, and the dry device, which counts
 * as the others do and touches nothing. */
#include "core/device/dry/dry.h"
#include "tests/core/device/devices.h"

static struct df_device *dry;

static const struct df_profile_entry *entry(const struct df_device *device, const char *name)
{
    for (size_t i = 0; i < device->profile_count; i++)
        if (strcmp(device->profile[i].name, name) == 0)
            return &device->profile[i];
    fail_msg("no entry '%s'", name);
    return NULL;
}

/* A launch of n indices must move so many df_reals and so many other bytes. */
static void moves(enum df_kernel kernel, const char *name, size_t n, const void *args, double reals, double bytes)
{
    df_device_profile(dry, true);
    df_launch(dry, kernel, n, args);
    assert_int_equal(entry(dry, name)->calls, 1);
    df_assert_close(entry(dry, name)->bytes, reals * sizeof(df_real) + bytes, 0, 0, name, __FILE__, __LINE__);
}
#define MOVES(ENUM, name, n, reals, bytes, ...) moves(DF_K_##ENUM, #name, n, &(const struct df_##name##_args){ __VA_ARGS__ }, reals, bytes)

static const df_real some[1];
static df_real *const there = (df_real *)(uintptr_t)some; /* an operand that is there: nothing is read or written */

static void elementwise_kernels(void **state)
{
    (void)state;
    MOVES(FILL, fill, 7, 7, 0, .value = 2);
    MOVES(SCALE, scale, 7, 14, 0, .factor = 2);
    MOVES(SCALE, scale, 7, 21, 0, .factor = 2, .add = true);
    MOVES(RELU, relu, 7, 14, 0, .x = some);
    MOVES(SIGMOID_BACKWARD, sigmoid_backward, 7, 21, 0, .v = some);
    MOVES(SIGMOID_BACKWARD, sigmoid_backward, 7, 28, 0, .v = some, .add = true);
    MOVES(ADD_RELU, add_relu, 7, 21, 0, .a = some);
    MOVES(ADD_RELU_BACKWARD, add_relu_backward, 7, 35, 0, .y = some, .add_b = true);
    MOVES(COPY_ROWS, copy_rows, 3, 3 * 5 * 2, 0, .row = 5);
    MOVES(ADD_ROWS, add_rows, 3, 3 * 5 * 3, 0, .row = 5);
}

/* y [2,3,4,5]: a of the same shape, b [1,1,1,5]; then b [2,1,4,1]; then a alone; then a row of 10000 cut into pieces of 4096. */
static void broadcast_operands_count_once(void **state)
{
    (void)state;
    MOVES(BINARY, binary, 24, 120 + 120 + 5, 0, .op = DF_BINARY_ADD, .size = { 1, 1, 24 }, .step_a = { 0, 0, 5, 1 },
          .step_b = { 0, 0, 0, 1 }, .row = 5, .total = 120);
    MOVES(BINARY, binary, 24, 2 * 120 + 120 + 8, 0, .op = DF_BINARY_MUL, .size = { 2, 3, 4 }, .step_a = { 60, 20, 5, 1 },
          .step_b = { 4, 0, 1, 0 }, .row = 5, .total = 120, .add = true);
    MOVES(BINARY, binary, 24, 120 + 5, 0, .op = DF_BINARY_FIRST, .size = { 1, 1, 24 }, .step_a = { 0, 0, 0, 1 }, .step_b = { 0, 0, 5, 1 },
          .row = 5, .total = 120);
    MOVES(BINARY, binary, 3, 3 * 10000, 0, .op = DF_BINARY_ADD, .size = { 1, 1, 3 }, .step_a = { 0, 0, 4096, 1 },
          .step_b = { 0, 0, 4096, 1 }, .row = 4096, .total = 10000);
}

static void reductions_and_normalisation(void **state)
{
    (void)state;
    MOVES(REDUCE_RUNS, reduce_runs, 12, 2 * 3 * 4 * 10, 12 * 8, .keep = { 2, 3 }, .outer = 4, .run = 10, .chunk = 5, .chunks = 2);
    MOVES(REDUCE_ROWS, reduce_rows, 6, 3 * 4 * 5 * 7, 6 * 7 * 8, .size = { 4, 5 }, .width = 7, .chunks = 2);
    MOVES(REDUCE_FINAL, reduce_final, 7, 14, 7 * 3 * 8, .count = 3, .width = 7, .add = true);
    MOVES(MAX, max, 6, 2 * 3 * 4 * 5 + 6, 6 * 4, .shape = { 2, 3, 4, 5 });
    MOVES(CHANNEL_SUMS, channel_sums, 3, 20 * 4, 3 * 4 * 8, .rows = 20, .channels = 4);
    MOVES(CHANNEL_SUMS, channel_sums, 3, 2 * 20 * 4, 2 * 3 * 4 * 8, .rows = 20, .channels = 4, .v = some);
    MOVES(CHANNEL_SUMS, channel_sums, 3, 20 * 4, (3 + 1) * 4 * 8, .rows = 20, .channels = 4, .square = true);
    MOVES(STANDARDISE_STATS, standardise_stats, 4, 0, 4 * (3 + 1) * 8, .chunks = 3, .channels = 4);
    MOVES(STANDARDISE, standardise, 20, 2 * 80, 2 * 4 * 8, .channels = 4);
    MOVES(STANDARDISE_BACKWARD, standardise_backward, 20, 3 * 80, 3 * 4 * 8, .channels = 4);
    MOVES(SOFTMAX, softmax, 20, 2 * 80, 0, .channels = 4);
    MOVES(SOFTMAX_BACKWARD, softmax_backward, 20, 4 * 80, 0, .channels = 4, .add = true);
}

static void resampling_and_roi_align(void **state)
{
    const df_shape coarse = { 2, 3, 4, 5 }, fine = { 2, 6, 8, 5 };

    (void)state;
    MOVES(NEAREST, nearest, 96, 120 + 480, 0, .from = coarse, .to = fine);
    MOVES(NEAREST, nearest, 96, 120 + 2 * 480, 0, .from = coarse, .to = fine, .fine = some);
    MOVES(NEAREST_BACKWARD, nearest_backward, 24, 480 + 2 * 120, 0, .from = coarse, .to = fine, .add = true);
    MOVES(BILINEAR, bilinear, 96, 600, 0, .from = coarse, .to = fine);
    MOVES(ADAPTIVE_BACKWARD, adaptive_backward, 96, 600, 0, .from = fine, .to = coarse);
    /* 3 boxes, 7x7 cells of 5 channels, 2x2 samples each */
    MOVES(ROI_ALIGN, roi_align, 3, 3 * 49 * 5 * (1 + 4), 0, .options = { .size = 7, .sampling = 2 }, .channels = 5);
    /* rows of 2 images of 6x8; the gradient of the boxes with the first level only */
    MOVES(ROI_ALIGN_BACKWARD, roi_align_backward, 12, 480 + 3 * 49 * 5, 0, .options.size = 7, .rois = 3, .channels = 5, .height = 6,
          .width = 8);
    MOVES(ROI_ALIGN_BACKWARD, roi_align_backward, 12, 2 * 480, 0, .options.size = 7, .rois = 3, .channels = 5, .height = 6, .width = 8,
          .this_level = 1, .add = true);
}

/* Slopes are written only where somebody will ask for them. 600 elements are 3 tiles; rows of 6 classes. */
static void losses_and_optimisers(void **state)
{
    (void)state;
    MOVES(SIGMOID_FOCAL, sigmoid_focal, 3, 600, 100 * 4 + 3 * 8, .count = 600, .classes = 6);
    MOVES(SIGMOID_FOCAL, sigmoid_focal, 3, 1200, 100 * 4 + 3 * 8, .count = 600, .classes = 6, .d = there);
    MOVES(BCE_LOGITS, bce_logits, 3, 3 * 600, 3 * 8, .count = 600, .w = some);
    MOVES(SIGMOID_KL, sigmoid_kl, 3, 3 * 600, 100 + 3 * 8, .count = 600, .classes = 6, .d = there);
    MOVES(CROSS_ENTROPY, cross_entropy, 100, 1200, 100 * (4 + 8), .classes = 6, .d = there);
    MOVES(SOFTMAX_KL, softmax_kl, 100, 3 * 600, 100 * (1 + 8), .classes = 6, .d = there);
    MOVES(SMOOTH_L1, smooth_l1, 100, 3 * 400, 100 * (1 + 8), .width = 4, .d = there);
    MOVES(MASKED_MSE, masked_mse, 20, 20 * (2 * 4 + 1), 20 * 8, .channels = 4);
    MOVES(MASKED_MSE_BACKWARD, masked_mse_backward, 20, 20 * (3 * 4 + 1), 0, .channels = 4, .fresh = true);
    MOVES(MASKED_MSE_BACKWARD, masked_mse_backward, 20, 20 * (4 * 4 + 1), 0, .channels = 4);
    MOVES(SQUARED_ERROR, squared_error, 20, 20 * 2 * 4, 20 * 8, .channels = 4, .image = 10);
    MOVES(SQUARED_ERROR_BACKWARD, squared_error_backward, 20, 20 * 3 * 4, 0, .channels = 4, .image = 10, .fresh = true);
    MOVES(LOSS_SPREAD, loss_spread, 3, 3 * 600, 0, .count = 600);
    MOVES(LOSS_SPREAD, loss_spread, 3, 2 * 600, 0, .count = 600, .fresh = true);
    MOVES(OPTIM_SQUARES, optim_squares, 2, 1500, 2 * 8, .count = 1500);
    MOVES(OPTIM_SUM, optim_sum, 1, 0, (20 + 2) * 8, .count = 20);
    MOVES(OPTIM_SGD, optim_sgd, 2, 5 * 1500, 8, .count = 1500);         /* x, b read and written, g read; how they are clipped */
    MOVES(OPTIM_ADAMW, optim_adamw, 2, 7 * 1500, 8, .count = 1500);     /* x, m, v read and written, g read */
    MOVES(OPTIM_AVERAGE, optim_average, 2, 3 * 1500, 0, .count = 1500); /* a read and written, x read */
    MOVES(OPTIM_LOG, optim_log, 4, 3, 8 + 4 * 8, .row = NULL);          /* the norm, a loss and two terms */
}

/* 2 images of 300 anchors (2 tiles) and room for 4 objects each. The anchors' boxes once; a row: label, matched, 4 deltas, a byte. */
static void matching_and_drawing(void **state)
{
    const struct df_truth truth = { .images = 2, .room = 4 };
    float most[1];

    (void)state;
    MOVES(MATCH_MOST, match_most, 8, 300 * 4, 8 * (16 + 4), .anchors = { .count = 300 }, .truth = truth);
    MOVES(MATCH_ROWS, match_rows, 4, 300 * 4 + 600 * 6, 600 + 8 * 20, .anchors = { .count = 300 }, .truth = truth);
    MOVES(MATCH_ROWS, match_rows, 4, 300 * 4 + 600 * 6, 600 + 8 * (20 + 4), .anchors = { .count = 300 }, .truth = truth, .most = most);
    MOVES(MATCH_COUNT, match_count, 2, 2, 600 + 2 * 8, .anchors = 300);
    MOVES(MARK_ROWS, mark_rows, 2, 600, 600 + 2 * 8, .rows = 300);
    MOVES(MARK_ROWS, mark_rows, 2, 2 * 600, 600 + 2 * 8, .rows = 300, .weight = there);
    MOVES(DRAW_COUNT, draw_count, 4, 600, 4 * 2 * 4, .images = 2, .rows = 300);
    MOVES(DRAW_PLACE, draw_place, 4, 0, 4 * 2 * 2 * 4, .images = 2, .rows = 300);
    MOVES(DRAW_LIST, draw_list, 4, 3 * 600, 600 + 600 * 4 + 4 * 2 * 4, .images = 2, .rows = 300);
    MOVES(DRAW_TAKE, draw_take, 2, 2 * 256, 2 * 256 * (1 + 4 * 4) + 2 * 8, .images = 2, .rows = 300, .size = 256);
}

static double backward_bytes(bool training, bool relu, bool add, bool parameters)
{
    df_device_profile(dry, true);
    RUN(batch_norm_backward, dry, .shape = { 2, 3, 4, 5 }, .training = training, .relu = relu, .dgamma = parameters ? there : NULL,
        .add = add);
    return entry(dry, "batch_norm_backward")->bytes / (120 * sizeof(df_real));
}

/* Frozen: dy and dx, and y for the ReLU. Learning: x as well. Batch statistics: all that is read, twice. */
static void norm_reads_what_its_mode_needs(void **state)
{
    (void)state;
    assert_close(backward_bytes(false, false, false, false), 2, 0, 0);
    assert_close(backward_bytes(false, true, false, false), 3, 0, 0);
    assert_close(backward_bytes(false, true, true, true), 5, 0, 0);
    assert_close(backward_bytes(true, false, false, true), 5, 0, 0);
    assert_close(backward_bytes(true, true, true, true), 8, 0, 0);
}

/* The same calls on `ref` and on the dry device are counted the same; the latter leaves all memory alone. */
static void dry_counts_as_the_others(void **state)
{
    const struct df_conv conv = { .x = { 2, 4, 5, 3 }, .filters = 2, .kernel_h = 3, .kernel_w = 1, .stride_h = 1, .stride_w = 2 };
    struct df_device *const device[2] = { ref, dry };
    double flops[2];

    (void)state;
    for (int k = 0; k < 2; k++) {
        const double before = device[k]->flops;
        df_real *x = df_device_alloc(device[k], 120 * sizeof *x), *w = df_device_alloc(device[k], 18 * sizeof *w);
        df_real *y = df_device_alloc(device[k], 24 * sizeof *y), host[24];
        const struct df_fill_args fill = { .y = y, .value = 3 };

        df_device_profile(device[k], true);
        df_zero(device[k], x, 120 * sizeof *x);
        df_zero(device[k], w, 18 * sizeof *w);
        RUN(conv_forward, device[k], conv, x, (struct df_weights){ w, 1 }, NULL, y);
        RUN(conv_backward_weights, device[k], conv, x, y, w, NULL);
        RUN(matmul, device[k], .m = 2, .n = 3, .k = 4, .a = x, .b = { w, 0 }, .c = y);
        df_launch(device[k], DF_K_FILL, 24, &fill);
        df_read(device[k], host, y, sizeof host);
        assert_close((double)host[23], k ? 0 : 3, 0, 0);
        df_device_free(device[k], x);
        df_device_free(device[k], w);
        df_device_free(device[k], y);
        flops[k] = device[k]->flops - before;
    }
    assert_close(flops[0], 2 * (2.0 * 24 * 9) + 2.0 * 24, 0, 0);
    assert_close(flops[1], flops[0], 0, 0);
    for (size_t i = 0; i < ref->profile_count; i++) {
        assert_int_equal(dry->profile[i].calls, ref->profile[i].calls);
        assert_close(dry->profile[i].bytes, ref->profile[i].bytes, 0, 0);
        assert_close(dry->profile[i].flops, ref->profile[i].flops, 0, 0);
    }
    assert_close(entry(dry, "conv_backward_weights")->bytes, (120 + 24 + 2 * 18) * sizeof(df_real), 0, 0);
}

/* 256 GiB: more than most machines have. */
static void dry_memory_costs_nothing(void **state)
{
    void *memory = df_device_alloc(dry, (size_t)1 << 38);

    (void)state;
    df_zero(dry, memory, (size_t)1 << 38);
    df_device_free(dry, memory);
    df_device_free(dry, NULL);
}

static int open_all(void **state)
{
    dry = df_device_dry();
    return open_devices(state);
}

static int close_all(void **state)
{
    df_device_close(dry);
    return close_devices(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elementwise_kernels),
        cmocka_unit_test(broadcast_operands_count_once),
        cmocka_unit_test(reductions_and_normalisation),
        cmocka_unit_test(resampling_and_roi_align),
        cmocka_unit_test(losses_and_optimisers),
        cmocka_unit_test(matching_and_drawing),
        cmocka_unit_test(norm_reads_what_its_mode_needs),
        cmocka_unit_test(dry_counts_as_the_others),
        cmocka_unit_test(dry_memory_costs_nothing),
    };

    return cmocka_run_group_tests(tests, open_all, close_all);
}
