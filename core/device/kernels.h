/* All kernels: enum df_kernel, one struct of arguments and one inline function each. Written once, looped by the CPU and launched by a GPU.
 * A kernel is `DF_KERNEL void df_k_<name>(size_t i, const struct df_<name>_args *a)`, does the work of index i (an element, pixel or
 * row), writes nothing that another index of the same launch reads or writes, and allocates nothing. Several lanes of a GPU may share an
 * index: they split the turns of a DF_LANES loop, and turn c of one such loop may use what turn c of another wrote, no other turn's. The
 * lists are X(ENUM, name):
 *   X(ADD, add) -> DF_K_ADD, df_k_add, struct df_add_args
 * Reductions write one double per row; a second launch (or df_k with n = 1) adds the partials in index order.
 * A GPU takes a sum apart. Along a row: df_share_<name>(i, a) is what one lane adds up, df_store_<name>(i, a, sum) what becomes of all shares.
 * Down the rows: df_column_<name>(i, c, a) is the work of channel c. Where the host's form is not just that (DF_SUM_KERNEL), it takes the same
 * terms in an order that vectorises, and test_sums holds both together. */
#ifndef DF_CORE_DEVICE_KERNELS_H
#define DF_CORE_DEVICE_KERNELS_H
#include "core/base/portable_math.h"
#include "core/base/real.h"
#include "core/device/kernels_box.h"     /* DF_KERNELS_BOX(X) */
#include "core/device/kernels_cells.h"   /* DF_KERNELS_CELLS(X) */
#include "core/device/kernels_draw.h"    /* DF_KERNELS_DRAW(X) */
#include "core/device/kernels_loss.h"    /* DF_KERNELS_LOSS(X) */
#include "core/device/kernels_match.h"   /* DF_KERNELS_MATCH(X) */
#include "core/device/kernels_op.h"      /* DF_KERNELS_OP(X) */
#include "core/device/kernels_optim.h"   /* DF_KERNELS_OPTIM(X) */
#include "core/device/kernels_propose.h" /* DF_KERNELS_PROPOSE(X) */
#include "core/device/kernels_roi.h"     /* DF_KERNELS_ROI(X) */
#include "core/device/kernels_sample.h"  /* DF_KERNELS_SAMPLE(X) */

#define DF_KERNELS(X)                                                                                                                      \
    DF_KERNELS_OP(X)                                                                                                                       \
    DF_KERNELS_CELLS(X)                                                                                                                    \
    DF_KERNELS_LOSS(X)                                                                                                                     \
    DF_KERNELS_OPTIM(X)                                                                                                                    \
    DF_KERNELS_ROI(X) DF_KERNELS_BOX(X) DF_KERNELS_SAMPLE(X) DF_KERNELS_MATCH(X) DF_KERNELS_DRAW(X) DF_KERNELS_PROPOSE(X)
enum df_kernel {
#define DF_KERNEL_ENUM(ENUM, name) DF_K_##ENUM,
    DF_KERNELS(DF_KERNEL_ENUM)
#undef DF_KERNEL_ENUM
        DF_KERNEL_COUNT
};
#endif
