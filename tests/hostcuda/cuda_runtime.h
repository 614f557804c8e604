/* The part of the CUDA runtime that core/device calls, executed on the host: test code, never a back end. Values and signatures are the
 * runtime's own. What a driver or a GPU would punish, or let pass as wrong numbers, ends the process with exit status 86 and a message:
 *   memory    the host touches device memory, or a pinned buffer before the copy to it has run; null, freed or host pointers for the device;
 *             copies and library operands beyond their allocation; words that nothing has written; bytes written around an allocation
 *   time      launches and asynchronous copies wait in their stream until a call waits for them; a pinned source that changes meanwhile;
 *             pageable memory in an asynchronous copy; work on the default stream beside a stream that does not wait for it
 *   kernels   barriers that some threads do not reach; a word that one thread writes and another uses without a barrier between; local
 *             memory beyond 256 kB a thread; grids that cannot be launched
 *   graphs    nodes of another graph, or of one that is gone; a kernel's place taken by another kernel; what may not be done while a stream is
 *             captured; what a node uses is looked at whenever it runs
 *   libraries descriptors never set, gone, or not of one convolution; layouts and element types; workspaces; leading dimensions; overlap
 *   the end   streams, events, handles, descriptors, memory that were not given back
 * Environment: HOSTCUDA_DEVICES (a number; "none": no driver), HOSTCUDA_MEMORY (bytes of the device), HOSTCUDA_FAIL (name of a call that
 * fails once; name:N, at its Nth time), HOSTCUDA_BACKWARDS (blocks and threads in the other order). */
#ifndef DF_HOSTCUDA_CUDA_RUNTIME_H
#define DF_HOSTCUDA_CUDA_RUNTIME_H
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <new>
#include <tuple>
#include <type_traits>
#include <utility>

#define DF_HOSTCUDA    1
#define CUDART_VERSION 13000

/* ---- the language ---- */
#define __global__
#define __device__
#define __host__
#define __constant__
#define __grid_constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
/* All blocks share the storage: they run one after the other, and each begins with it filled with 0xff. */
#define __shared__ __attribute__((section("hostcuda_shared"))) static

struct uint3 {
    unsigned x, y, z;
};
struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;

namespace hostcuda
{
void barrier();
/* An access of a kernel that the compiler's hooks do not see. */
void touch(const void *address, size_t bytes, bool write);
} // namespace hostcuda
#define __syncthreads() hostcuda::barrier()

/* The compiler's hooks see no library call: these two report what they touch. */
inline void *hostcuda_memcpy(void *to, const void *from, size_t bytes)
{
    hostcuda::touch(from, bytes, false);
    hostcuda::touch(to, bytes, true);
    return __builtin_memcpy(to, from, bytes);
}
inline void *hostcuda_memset(void *to, int value, size_t bytes)
{
    hostcuda::touch(to, bytes, true);
    return __builtin_memset(to, value, bytes);
}
#define memcpy(to, from, bytes)                                                                                                            \
    (__builtin_constant_p(bytes) && (bytes) <= 16 ? __builtin_memcpy(to, from, bytes) : hostcuda_memcpy(to, from, bytes))
#define memset(to, value, bytes) hostcuda_memset(to, value, bytes)

/* ---- the runtime ---- */
typedef enum cudaError {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorMemoryAllocation = 2,
    cudaErrorInitializationError = 3,
    cudaErrorInvalidConfiguration = 9,
    cudaErrorInsufficientDriver = 35,
    cudaErrorDevicesUnavailable = 46,
    cudaErrorNoDevice = 100,
    cudaErrorInvalidDevice = 101,
    cudaErrorInvalidResourceHandle = 400,
    cudaErrorNotReady = 600,
    cudaErrorIllegalAddress = 700,
    cudaErrorLaunchFailure = 719,
    cudaErrorNotSupported = 801,
    cudaErrorUnknown = 999
} cudaError_t;
enum cudaMemcpyKind {
    cudaMemcpyHostToHost = 0,
    cudaMemcpyHostToDevice = 1,
    cudaMemcpyDeviceToHost = 2,
    cudaMemcpyDeviceToDevice = 3,
    cudaMemcpyDefault = 4
};
#define cudaStreamDefault      0x00
#define cudaStreamNonBlocking  0x01
#define cudaEventDefault       0x00
#define cudaEventBlockingSync  0x01
#define cudaEventDisableTiming 0x02

typedef struct CUstream_st *cudaStream_t;
typedef struct CUevent_st *cudaEvent_t;
struct cudaDeviceProp {
    char name[256];
    size_t totalGlobalMem, sharedMemPerBlock;
    int maxThreadsPerBlock, major, minor, multiProcessorCount, l2CacheSize, warpSize;
};
typedef struct cudaLaunchAttribute_st {
    int id;
} cudaLaunchAttribute;
typedef struct cudaLaunchConfig_st {
    dim3 gridDim, blockDim;
    size_t dynamicSmemBytes;
    cudaStream_t stream;
    cudaLaunchAttribute *attrs;
    unsigned int numAttrs;
} cudaLaunchConfig_t;

typedef struct CUgraph_st *cudaGraph_t;
typedef struct CUgraphExec_st *cudaGraphExec_t;
typedef struct CUgraphNode_st *cudaGraphNode_t;
typedef struct cudaGraphEdgeData_st {
    unsigned char from_port, to_port, type, reserved[5];
} cudaGraphEdgeData;
enum cudaStreamCaptureStatus { cudaStreamCaptureStatusNone = 0, cudaStreamCaptureStatusActive = 1, cudaStreamCaptureStatusInvalidated = 2 };
enum cudaStreamCaptureMode { cudaStreamCaptureModeGlobal = 0, cudaStreamCaptureModeThreadLocal = 1, cudaStreamCaptureModeRelaxed = 2 };
struct cudaKernelNodeParams {
    void *func;
    dim3 gridDim, blockDim;
    unsigned int sharedMemBytes;
    void **kernelParams;
    void **extra;
};

extern "C" {
cudaError_t cudaGetDeviceCount(int *count);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *properties, int device);
cudaError_t cudaDriverGetVersion(int *version);
cudaError_t cudaRuntimeGetVersion(int *version);
cudaError_t cudaDeviceSynchronize(void);
cudaError_t cudaGetLastError(void);
const char *cudaGetErrorName(cudaError_t error);
const char *cudaGetErrorString(cudaError_t error);

cudaError_t cudaMemGetInfo(size_t *free, size_t *total);
cudaError_t cudaMalloc(void **memory, size_t bytes);
cudaError_t cudaFree(void *memory);
cudaError_t cudaMallocHost(void **memory, size_t bytes);
cudaError_t cudaFreeHost(void *memory);
cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind);
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind, cudaStream_t stream);
cudaError_t cudaMemsetAsync(void *memory, int value, size_t bytes, cudaStream_t stream);

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaEventQuery(cudaEvent_t event);

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph);
cudaError_t cudaStreamGetCaptureInfo(cudaStream_t stream, enum cudaStreamCaptureStatus *status, unsigned long long *id, cudaGraph_t *graph,
                                     const cudaGraphNode_t **dependencies, const cudaGraphEdgeData **edges, size_t *count);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long flags);
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec);
cudaError_t cudaGraphExecKernelNodeSetParams(cudaGraphExec_t exec, cudaGraphNode_t node, const struct cudaKernelNodeParams *params);
cudaError_t cudaGraphExecMemcpyNodeSetParams1D(cudaGraphExec_t exec, cudaGraphNode_t node, void *to, const void *from, size_t bytes,
                                               enum cudaMemcpyKind kind);
}
template <typename T> inline cudaError_t cudaMalloc(T **memory, size_t bytes)
{
    void *raw = nullptr;
    const cudaError_t error = cudaMalloc(&raw, bytes);
    *memory = static_cast<T *>(raw);
    return error;
}
template <typename T> inline cudaError_t cudaMallocHost(T **memory, size_t bytes)
{
    void *raw = nullptr;
    const cudaError_t error = cudaMallocHost(&raw, bytes);
    *memory = static_cast<T *>(raw);
    return error;
}

namespace hostcuda
{
/* A launch's arguments, copied when it is queued, and how to call the kernel with them. */
struct Call {
    void (*invoke)(const Call *);
    void (*destroy)(Call *);
    Call *(*with)(const Call *, void **values); /* the same kernel with other arguments */
    const void *kernel;
    size_t bytes; /* of the whole object */
};
template <typename... P> struct Bound : Call {
    std::tuple<std::decay_t<P>...> values;
    template <typename... A> Bound(void (*f)(P...), A &&...args) : values(std::forward<A>(args)...)
    {
        kernel = reinterpret_cast<const void *>(f);
        bytes = sizeof *this;
        invoke = [](const Call *call) {
            std::apply(reinterpret_cast<void (*)(P...)>(const_cast<void *>(call->kernel)), static_cast<const Bound *>(call)->values);
        };
        destroy = [](Call *call) { delete static_cast<Bound *>(call); };
        with = [](const Call *call, void **from) -> Call * {
            Bound *other = new Bound(*static_cast<const Bound *>(call));
            const auto take = [&from](auto &value) { __builtin_memcpy(&value, *from++, sizeof value); };

            std::apply([&take](auto &...value) { (take(value), ...); }, other->values);
            return other;
        };
    }
};
cudaError_t launch(const cudaLaunchConfig_t *config, Call *call);
} // namespace hostcuda
template <typename... P, typename... A>
inline cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t *config, void (*kernel)(P...), A &&...args)
{
    static_assert((sizeof(std::decay_t<P>) + ... + 0) <= 4096, "kernel arguments beyond 4 kB");
    static_assert((std::is_trivially_copyable<std::decay_t<P>>::value && ...), "kernel arguments are copied byte by byte");
    return hostcuda::launch(config, new hostcuda::Bound<P...>(kernel, std::forward<A>(args)...));
}
#endif
