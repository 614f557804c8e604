/* CUB: a stable sort of pairs. */
#include <algorithm>
#include <numeric>
#include <vector>

#include "cub/device/device_radix_sort.cuh"
#include "hostcuda.h"

using namespace hostcuda;

namespace
{
struct Sort {
    const uint32_t *keys_in, *values_in;
    uint32_t *keys_out, *values_out;
    size_t count;
    uint32_t mask; /* of the bits that count */

    size_t bytes() const { return count * sizeof(uint32_t); }
    void check() const
    {
        check_device("the keys", keys_in, bytes());
        check_device("the values", values_in, bytes());
        check_device("the sorted keys", keys_out, bytes());
        check_device("the sorted values", values_out, bytes());
    }
    void run() const
    {
        std::vector<size_t> order(count);
        std::vector<uint32_t> keys(count), values(count);

        check();
        check_written("the keys", keys_in, bytes());
        check_written("the values", values_in, bytes());
        std::iota(order.begin(), order.end(), size_t(0));
        std::stable_sort(order.begin(), order.end(), [this](size_t a, size_t b) { return (keys_in[a] & mask) < (keys_in[b] & mask); });
        for (size_t i = 0; i < count; i++) {
            keys[i] = keys_in[order[i]];
            values[i] = values_in[order[i]];
        }
        std::copy(keys.begin(), keys.end(), keys_out);
        std::copy(values.begin(), values.end(), values_out);
        mark_written(keys_out, bytes());
        mark_written(values_out, bytes());
    }
};
} // namespace

cudaError_t cub::DeviceRadixSort::SortPairs(void *work, size_t &bytes, const uint32_t *keys_in, uint32_t *keys_out,
                                            const uint32_t *values_in, uint32_t *values_out, int count, int begin_bit, int end_bit,
                                            cudaStream_t stream)
{
    if (enter("cub::DeviceRadixSort::SortPairs"))
        return cudaErrorInvalidValue;
    if (count < 0 || begin_bit < 0 || begin_bit >= end_bit || end_bit > 32)
        fault("%d pairs, bits %d to %d", count, begin_bit, end_bit);

    const Sort sort = { keys_in,    values_in,     keys_out,
                        values_out, size_t(count), uint32_t((end_bit == 32 ? 0 : 1ull << end_bit) - (1ull << begin_bit)) };
    const size_t need = 2 * sort.bytes() + ALIGNMENT;

    if (!work) {
        bytes = need;
        return cudaSuccess;
    }
    if (bytes < need)
        fault("the work space has %zu bytes, %d pairs need %zu", bytes, count, need);
    sort.check();
    for (const uint32_t *in : { keys_in, values_in })
        if (overlap(in, sort.bytes(), keys_out, sort.bytes()) || overlap(in, sort.bytes(), values_out, sort.bytes()))
            fault("an output overlaps an input");
    if (overlap(keys_out, sort.bytes(), values_out, sort.bytes()))
        fault("the outputs overlap");
    enqueue(stream, "cub::DeviceRadixSort::SortPairs", [sort, work, bytes] {
        check_device("the work space", work, bytes);
        scribble(work, bytes);
        sort.run();
    });
    return cudaSuccess;
}
