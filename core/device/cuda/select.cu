/* Selections of `cuda`: CUB's radix sort, which is stable, orders keys that core/geometry/box.h defines, so ties go by index as on the host;
 * suppression is a block per segment. The number of candidates stays on the device: nothing here waits for it. */
#include <cub/device/device_radix_sort.cuh>

#include "core/device/cuda/cuda.h"

enum { NO_CANDIDATE = -1, KEY_BITS = 32 }; /* NO_CANDIDATE as a key is the last one */

/* Work space of a selection: what is sorted, of one segment, and the sorted keys and indices, of all. */
struct sorting {
    size_t segments, count, bytes;
    uint32_t *key, *index;               /* [count] */
    uint32_t *sorted_key, *sorted_index; /* [segments][count] */
    void *work;                          /* CUB's: bytes */
};

static struct sorting sorting_of(struct df_cuda *cuda, size_t segments, size_t count)
{
    struct sorting s = { segments, count, 0, NULL, NULL, NULL, NULL, NULL };
    uint32_t *none = NULL;

    DF_ASSERT(count <= INT32_MAX);
    DF_CUDA(cub::DeviceRadixSort::SortPairs(NULL, s.bytes, none, none, none, none, (int)count, 0, KEY_BITS, cuda->stream));

    const size_t arrays = 2 * (segments + 1) * count * sizeof(uint32_t), begin = (arrays + 255) / 256 * 256;

    s.key = (uint32_t *)df_cuda_scratch(cuda, DF_CUDA_SORTED, begin + s.bytes);
    s.index = s.key + count;
    s.sorted_key = s.index + count;
    s.sorted_index = s.sorted_key + segments * count;
    s.work = (char *)s.key + begin;
    return s;
}

namespace
{
struct sort {
    struct sorting of;
    size_t segment;

    void run(struct df_cuda *cuda) const
    {
        size_t bytes = of.bytes;

        DF_CUDA(cub::DeviceRadixSort::SortPairs(of.work, bytes, of.key, of.sorted_key + segment * of.count, of.index,
                                                of.sorted_index + segment * of.count, (int)of.count, 0, KEY_BITS, cuda->stream));
    }
};
} // namespace

static void sort_segment(struct df_cuda *cuda, const struct sorting *s, size_t segment) { df_cuda_ask(cuda, sort{ *s, segment }); }

static dim3 threads_for(size_t n) { return dim3(df_cuda_blocks(n, DF_CUDA_THREADS)); }

/* ---- the k largest ---- */

static __global__ void DF_CUDA_BOUNDS value_keys(size_t n, const float *value, float minimum, uint32_t *key, uint32_t *index)
{
    const size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;

    if (i >= n)
        return;
    key[i] = value[i] > minimum ? df_falling_key(value[i]) : (uint32_t)NO_CANDIDATE;
    index[i] = (uint32_t)i;
}

static __global__ void DF_CUDA_BOUNDS take_first(size_t k, const uint32_t *sorted_key, const uint32_t *sorted_index, uint32_t *out)
{
    const size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;

    if (i < k)
        out[i] = sorted_key[i] == (uint32_t)NO_CANDIDATE ? UINT32_MAX : sorted_index[i];
}

void df_cuda_select_top_k(struct df_device *device, const struct df_select_top_k_args *a)
{
    struct df_cuda *cuda = df_cuda_of(device);
    const struct sorting s = sorting_of(cuda, 1, a->count);

    for (size_t i = 0; i < a->segments; i++) {
        df_cuda_run(cuda, value_keys, threads_for(a->count), dim3(DF_CUDA_THREADS), a->count, a->values + i * a->value_stride, a->minimum,
                    s.key, s.index);
        sort_segment(cuda, &s, 0);
        df_cuda_run(cuda, take_first, threads_for(a->k), dim3(DF_CUDA_THREADS), a->k, s.sorted_key, s.sorted_index,
                    a->index + i * a->index_stride);
    }
}

/* ---- non-maximum suppression ---- */

/* NaN comes after every score, what is no candidate after that. */
static __global__ void DF_CUDA_BOUNDS candidate_keys(size_t n, const float *score, const int32_t *group, uint32_t *key, uint32_t *index)
{
    const size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;

    if (i >= n)
        return;
    if (group[i] < 0)
        key[i] = (uint32_t)NO_CANDIDATE;
    else
        key[i] = score[i] == score[i] ? df_falling_key(score[i]) : (uint32_t)NO_CANDIDATE - 1;
    index[i] = (uint32_t)i;
}

/* A block takes a segment's candidates in order, a thread each, as many as it has threads at a time: against all that were kept before, then
 * against each other. */
static __global__ void DF_CUDA_BOUNDS suppress(const __grid_constant__ struct df_select_nms_args nms, const uint32_t *sorted_key,
                                               const uint32_t *sorted_index)
{
    __shared__ struct df_box box[DF_CUDA_THREADS];
    __shared__ int32_t group[DF_CUDA_THREADS];
    __shared__ uint32_t alive[DF_CUDA_THREADS];
    const size_t segment = blockIdx.x, first = segment * nms.count, me = threadIdx.x;
    uint32_t *kept = nms.keep + segment * nms.most;
    size_t found = 0;

    for (size_t begin = 0; begin < nms.count && found < nms.most; begin += DF_CUDA_THREADS) {
        const size_t at = begin + me;
        const bool there = at < nms.count && sorted_key[first + at] != (uint32_t)NO_CANDIDATE;
        const uint32_t index = there ? sorted_index[first + at] : 0;
        struct df_box mine = { 0, 0, 0, 0 };
        int32_t own = NO_CANDIDATE;
        bool left = there;

        if (sorted_key[first + begin] == (uint32_t)NO_CANDIDATE)
            break;
        if (there) {
            mine = nms.from.box[first + index];
            own = nms.from.group[first + index];
        }
        for (size_t tile = 0; tile < found; tile += DF_CUDA_THREADS) {
            const size_t rest = found - tile, n = rest < blockDim.x ? rest : blockDim.x;

            __syncthreads();
            if (me < n) {
                box[me] = nms.from.box[first + kept[tile + me]];
                group[me] = nms.from.group[first + kept[tile + me]];
            }
            __syncthreads();
            for (size_t k = 0; left && k < n; k++)
                left = !(group[k] == own && df_box_iou(box[k], mine) > nms.threshold);
        }
        __syncthreads();
        box[me] = mine;
        group[me] = own;
        alive[me] = left;
        __syncthreads();
        for (size_t k = 0; k < DF_CUDA_THREADS && found < nms.most; k++) {
            if (!alive[k])
                continue;
            if (me == k)
                kept[found] = index;
            else if (me > k && left && group[k] == own && df_box_iou(box[k], mine) > nms.threshold)
                alive[me] = left = false;
            found++;
            __syncthreads();
        }
    }
    DF_LANES(i, nms.most - found)
        kept[found + i] = UINT32_MAX;
}

void df_cuda_select_nms(struct df_device *device, const struct df_select_nms_args *a)
{
    struct df_cuda *cuda = df_cuda_of(device);
    const struct sorting s = sorting_of(cuda, a->segments, a->count);

    for (size_t i = 0; i < a->segments; i++) {
        df_cuda_run(cuda, candidate_keys, threads_for(a->count), dim3(DF_CUDA_THREADS), a->count, a->from.score + i * a->count,
                    a->from.group + i * a->count, s.key, s.index);
        sort_segment(cuda, &s, i);
    }
    df_cuda_run(cuda, suppress, dim3((unsigned)a->segments), dim3(DF_CUDA_THREADS), *a, s.sorted_key, s.sorted_index);
}
