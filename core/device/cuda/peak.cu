/* The best float GFLOP/s of the GPU, measured on chains of fused multiply-adds that never leave the registers (tensor cores are not asked). */
#include "core/device/cuda/cuda.h"

enum { CHAINS = 8, UNROLLED = 16, BLOCKS_EACH = 8 /* blocks of a multiprocessor */, REPEATS = 5, FIRST_ROUNDS = 16, MOST_ROUNDS = 1 << 20 };

static __global__ void DF_CUDA_BOUNDS multiply_add(size_t rounds, float factor, float addend, float *sums)
{
    const size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    float chain[CHAINS], sum = 0;

    for (int k = 0; k < CHAINS; k++)
        chain[k] = (float)k;
    for (size_t r = 0; r < rounds; r++)
        for (int u = 0; u < UNROLLED; u++)
            for (int k = 0; k < CHAINS; k++)
                chain[k] = fmaf(chain[k], factor, addend);
    for (int k = 0; k < CHAINS; k++)
        sum += chain[k];
    sums[i] = sum;
}

static double seconds_of(struct df_device *device, unsigned blocks, size_t rounds, float *sums)
{
    df_sync(device);
    const double start = df_now();

    df_cuda_run(df_cuda_of(device), multiply_add, dim3(blocks), dim3(DF_CUDA_THREADS), rounds, 0.999f, 1e-3f, sums);
    df_sync(device);
    return df_now() - start;
}

double df_cuda_peak_gflops(struct df_device *device)
{
    struct df_cuda *cuda = df_cuda_of(device);
    struct cudaDeviceProp properties;
    size_t rounds = FIRST_ROUNDS;
    double fastest;

    DF_CUDA(cudaGetDeviceProperties(&properties, cuda->index));
    const unsigned blocks = (unsigned)properties.multiProcessorCount * BLOCKS_EACH;
    float *sums = (float *)df_cuda_take(cuda, (size_t)blocks * DF_CUDA_THREADS * sizeof *sums);

    while ((fastest = seconds_of(device, blocks, rounds, sums)) < 5e-3 && rounds < MOST_ROUNDS)
        rounds *= 2;
    for (int i = 0; i < REPEATS; i++) {
        const double seconds = seconds_of(device, blocks, rounds, sums);

        fastest = seconds < fastest ? seconds : fastest;
    }
    df_cuda_give(cuda, sums);
    return 2e-9 * (double)(CHAINS * UNROLLED * rounds * blocks * DF_CUDA_THREADS) / fastest;
}
