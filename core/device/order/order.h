/* The order of sums of convolutions and products: what `cpu` computes, to the last bit, on every instruction set, with any tile and any number of
 * threads. `order` does it in naive loops.
 *   forward        a chain is acc = +0; over (kernel row, kernel column, channel), taps outside the image left out: acc = fma(x, w, acc). It
 *                  is cut into blocks of DF_CHAIN_TERMS taken terms, each from +0, that are added in order to +0. Then + bias, once; then
 *                  relu: v < 0 ? 0 : v.
 *   data gradient  the same over (kernel row, kernel column, filter) of the taps that hit. To what is there it is added at the end, once; where
 *                  no tap hits, nothing is added.
 *   weights        one chain from +0 for every DF_BLOCK_PIXELS consecutive output pixels (image, row, column), of the taps inside; the blocks
 *                  are added in order to +0, and their sum to dw, once.
 *   products       are 1x1 convolutions: a b^T (rows of a: pixels) forward, a b the data gradient, a^T b the weights' gradient.
 * All other reductions, the bias's gradient and batch norm's sums among them, are in double, in the order of pixels: a sum in a convolution's
 * epilogue would come in the order of its tiles. */
#ifndef DF_CORE_DEVICE_ORDER_ORDER_H
#define DF_CORE_DEVICE_ORDER_ORDER_H
#include "core/device/device.h"

enum { DF_CHAIN_TERMS = 4096, DF_BLOCK_PIXELS = 1024 };

/* Fills in the device's table and its state; there are no options. Float only. */
df_status df_order_open(struct df_device *device, const char *options, struct df_error *err);
#endif
