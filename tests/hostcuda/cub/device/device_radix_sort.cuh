/* The part of CUB that core/device calls (see cuda_runtime.h): the stable sort of pairs by a 32-bit key. */
#ifndef DF_HOSTCUDA_CUB_H
#define DF_HOSTCUDA_CUB_H
#include "cuda_runtime.h"

namespace cub
{
struct DeviceRadixSort {
    /* work NULL: only says how many bytes it needs */
    static cudaError_t SortPairs(void *work, size_t &bytes, const uint32_t *keys_in, uint32_t *keys_out, const uint32_t *values_in,
                                 uint32_t *values_out, int count, int begin_bit, int end_bit, cudaStream_t stream);
};
} // namespace cub
#endif
