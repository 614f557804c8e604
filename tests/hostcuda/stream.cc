/* Streams, events, copies and launches. What is queued runs, in order, when a call waits for it: never earlier. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "hostcuda.h"

struct Operation {
    const char *name;
    uint64_t number;
    std::function<void()> run;
};
struct CUstream_st {
    bool blocking;
    std::deque<Operation> queue;
    cudaGraph_t graph; /* it is captured into this */
};
struct CUevent_st {
    cudaStream_t stream;
    uint64_t number; /* of its record */
    bool pending;
};

namespace hostcuda
{
namespace
{
struct Streams {
    CUstream_st standard = { true, {}, nullptr };
    std::deque<cudaStream_t> others;
    uint64_t operations = 0;
    const Operation *running = nullptr;
    const char *node = nullptr; /* of a graph that runs */
    cudaError_t last = cudaSuccess;
    size_t waits = 0, event_waits = 0;
};
Streams &streams()
{
    static Streams *s = new Streams;

    return *s;
}

cudaStream_t stream_of(cudaStream_t stream)
{
    if (!stream)
        return &streams().standard;
    object_check(stream, STREAM);
    return stream;
}

void run_first(cudaStream_t stream)
{
    const Operation operation = std::move(stream->queue.front());

    stream->queue.pop_front();
    streams().running = &operation;
    operation.run();
    streams().running = nullptr;
}

void drain(cudaStream_t stream, uint64_t last)
{
    if (stream->queue.empty())
        return;
    streams().waits += last == UINT64_MAX;
    unlock();
    while (!stream->queue.empty() && stream->queue.front().number <= last)
        run_first(stream);
    lock();
}

/* The default stream does not wait for streams made with cudaStreamNonBlocking. */
void check_default_stream()
{
    for (cudaStream_t other : streams().others)
        if (!other->blocking && !other->queue.empty())
            fault("work on the default stream does not wait for the %zu operations that another stream still holds [use that stream, or "
                  "synchronise it]",
                  other->queue.size());
}

void check_copy(const void *to, const void *from, size_t bytes, cudaMemcpyKind kind, bool *host_to, bool *host_from)
{
    *host_to = kind == cudaMemcpyDeviceToHost;
    *host_from = kind == cudaMemcpyHostToDevice;
    if (kind != cudaMemcpyDeviceToHost && kind != cudaMemcpyHostToDevice && kind != cudaMemcpyDeviceToDevice)
        fault("copies of kind %d are not part of the double", int(kind));
    if (!to || !from)
        fault("a null %s", to ? "source" : "destination");
    if (*host_to && in_region(uintptr_t(to)))
        fault("the destination is device memory, said to be the host's");
    if (*host_from && in_region(uintptr_t(from)))
        fault("the source is device memory, said to be the host's");
    if (!*host_to)
        check_device("the destination", to, bytes);
    if (!*host_from)
        check_device("the source", from, bytes);
    if (!*host_to && !*host_from && overlap(to, bytes, from, bytes))
        fault("source and destination overlap");
}
} // namespace

const char *running_operation()
{
    static char text[128];

    if (!streams().running)
        return nullptr;
    snprintf(text, sizeof text, "%s%s%s #%llu", streams().node ? streams().node : "", streams().node ? " of " : "", streams().running->name,
             static_cast<unsigned long long>(streams().running->number));
    return text;
}

void running(const char *name) { streams().node = name; }

void enqueue(cudaStream_t stream, Node node)
{
    cudaStream_t to = stream_of(stream);

    if (to->graph) {
        add_node(to->graph, std::move(node));
        return;
    }
    if (to == &streams().standard)
        check_default_stream();
    to->queue.push_back({ node.name, ++streams().operations, std::move(node.run) });
}

void enqueue(cudaStream_t stream, const char *name, std::function<void()> run) { enqueue(stream, Node{ name, std::move(run), {}, {} }); }

void begin_capture(cudaStream_t stream, cudaGraph_t graph) { stream_of(stream)->graph = graph; }
cudaGraph_t captured(cudaStream_t stream) { return stream_of(stream)->graph; }

void refuse_while_captured(const char *what)
{
    for (cudaStream_t other : streams().others)
        if (other->graph)
            fault("%s while a stream is captured", what);
}

size_t pending()
{
    size_t n = streams().standard.queue.size();

    for (cudaStream_t other : streams().others)
        n += other->queue.size();
    return n;
}

void drain_all()
{
    drain(&streams().standard, UINT64_MAX);
    for (cudaStream_t other : streams().others)
        drain(other, UINT64_MAX);
}

static void check_grid(dim3 grid, dim3 block)
{
    const uint64_t threads = uint64_t(block.x) * block.y * block.z;

    if (!grid.x || !grid.y || !grid.z || !threads || threads > MAX_THREADS || block.z > 64 || grid.x > 0x7fffffff || grid.y > 65535 ||
        grid.z > 65535)
        fault("a grid of (%u,%u,%u) blocks of (%u,%u,%u) threads cannot be launched", grid.x, grid.y, grid.z, block.x, block.y, block.z);
}

/* A kernel's node with other arguments */
static std::function<void()> with(const Call *call, const cudaKernelNodeParams *params)
{
    const dim3 grid = params->gridDim, block = params->blockDim;

    if (params->func != call->kernel)
        fault("the node's kernel would become another one");
    if (params->sharedMemBytes || params->extra || !params->kernelParams)
        fault("dynamic shared memory and `extra` are not part of the double");
    check_grid(grid, block);
    Call *other = call->with(call, params->kernelParams);
    const std::shared_ptr<Call> kept(other, other->destroy);

    return [kept, grid, block] { run_kernel(kept.get(), grid, block); };
}

cudaError_t launch(const cudaLaunchConfig_t *config, Call *call)
{
    const dim3 grid = config->gridDim, block = config->blockDim;
    const std::shared_ptr<Call> kept(call, call->destroy);

    if (enter("cudaLaunchKernelEx"))
        return streams().last = cudaErrorLaunchFailure;
    check_grid(grid, block);
    if (config->dynamicSmemBytes || config->numAttrs)
        fault("dynamic shared memory and launch attributes are not part of the double");
    enqueue(config->stream, { "kernel",
                              [kept, grid, block] { run_kernel(kept.get(), grid, block); },
                              [kept](const cudaKernelNodeParams *params) { return with(kept.get(), params); },
                              {} });
    return cudaSuccess;
}
} // namespace hostcuda

using namespace hostcuda;

size_t hostcuda_waits(void) { return streams().waits; }
size_t hostcuda_event_waits(void) { return streams().event_waits; }

#define HOSTCUDA_ENTER(name)                                                                                                               \
    do {                                                                                                                                   \
        if (enter(name))                                                                                                                   \
            return streams().last = cudaErrorUnknown;                                                                                      \
    } while (0)

/* HOSTCUDA_DEVICES: how many there are (default 1); "none": no driver; "busy": one, which another process holds */
cudaError_t cudaGetDeviceCount(int *count)
{
    const char *devices = getenv("HOSTCUDA_DEVICES");

    HOSTCUDA_ENTER("cudaGetDeviceCount");
    *count = 0;
    if (devices && strcmp(devices, "none") == 0)
        return cudaErrorInsufficientDriver;
    *count = devices && strcmp(devices, "busy") != 0 ? atoi(devices) : 1;
    return *count ? cudaSuccess : cudaErrorNoDevice;
}

cudaError_t cudaSetDevice(int device)
{
    const char *devices = getenv("HOSTCUDA_DEVICES");
    int count;

    HOSTCUDA_ENTER("cudaSetDevice");
    if (devices && strcmp(devices, "busy") == 0)
        return cudaErrorDevicesUnavailable;
    const cudaError_t error = cudaGetDeviceCount(&count);
    return error ? error : device >= 0 && device < count ? cudaSuccess : cudaErrorInvalidDevice;
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *properties, int device)
{
    size_t free;

    HOSTCUDA_ENTER("cudaGetDeviceProperties");
    memset(properties, 0, sizeof *properties);
    snprintf(properties->name, sizeof properties->name, "host double %d", device);
    cudaMemGetInfo(&free, &properties->totalGlobalMem);
    properties->sharedMemPerBlock = 49152;
    properties->maxThreadsPerBlock = MAX_THREADS;
    properties->major = 9;
    properties->multiProcessorCount = 1;
    properties->l2CacheSize = 1 << 20;
    properties->warpSize = 32;
    return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int *version)
{
    HOSTCUDA_ENTER("cudaDriverGetVersion");
    *version = CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version)
{
    HOSTCUDA_ENTER("cudaRuntimeGetVersion");
    *version = CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize(void)
{
    HOSTCUDA_ENTER("cudaDeviceSynchronize");
    refuse_while_captured("waits");
    drain_all();
    return cudaSuccess;
}

cudaError_t cudaGetLastError(void)
{
    const cudaError_t last = streams().last;

    streams().last = cudaSuccess;
    return last;
}

#define HOSTCUDA_ERRORS(X)                                                                                                                 \
    X(cudaSuccess, "no error")                                                                                                             \
    X(cudaErrorInvalidValue, "invalid argument")                                                                                           \
    X(cudaErrorMemoryAllocation, "out of memory")                                                                                          \
    X(cudaErrorInitializationError, "initialization error")                                                                                \
    X(cudaErrorInvalidConfiguration, "invalid configuration argument")                                                                     \
    X(cudaErrorInsufficientDriver, "CUDA driver version is insufficient for CUDA runtime version")                                         \
    X(cudaErrorDevicesUnavailable, "all CUDA-capable devices are busy or unavailable")                                                     \
    X(cudaErrorNoDevice, "no CUDA-capable device is detected")                                                                             \
    X(cudaErrorInvalidDevice, "invalid device ordinal")                                                                                    \
    X(cudaErrorInvalidResourceHandle, "invalid resource handle")                                                                           \
    X(cudaErrorNotReady, "device not ready")                                                                                               \
    X(cudaErrorIllegalAddress, "an illegal memory access was encountered")                                                                 \
    X(cudaErrorLaunchFailure, "unspecified launch failure")                                                                                \
    X(cudaErrorNotSupported, "operation not supported")                                                                                    \
    X(cudaErrorUnknown, "unknown error")
const char *cudaGetErrorName(cudaError_t error)
{
    switch (error) {
#define HOSTCUDA_NAME(value, text)                                                                                                         \
    case value:                                                                                                                            \
        return #value;
        HOSTCUDA_ERRORS(HOSTCUDA_NAME)
    }
    return "unrecognized error code";
}
const char *cudaGetErrorString(cudaError_t error)
{
    switch (error) {
#define HOSTCUDA_TEXT(value, text)                                                                                                         \
    case value:                                                                                                                            \
        return text;
        HOSTCUDA_ERRORS(HOSTCUDA_TEXT)
    }
    return "unrecognized error code";
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind)
{
    bool host_to, host_from;

    HOSTCUDA_ENTER("cudaMemcpy");
    if (!bytes)
        return cudaSuccess;
    check_copy(to, from, bytes, kind, &host_to, &host_from);
    check_default_stream();
    drain_all();
    unlock();
    __builtin_memcpy(to, from, bytes);
    if (!host_to)
        mark_written(to, bytes);
    lock();
    return cudaSuccess;
}

static std::function<void()> copy_between(void *to, const void *from, size_t bytes)
{
    return [=] {
        check_device("the destination", to, bytes);
        check_device("the source", from, bytes);
        __builtin_memcpy(to, from, bytes);
        mark_written(to, bytes);
    };
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind, cudaStream_t stream)
{
    bool host_to, host_from;
    uint64_t copy;

    HOSTCUDA_ENTER("cudaMemcpyAsync");
    if (!bytes)
        return cudaSuccess;
    check_copy(to, from, bytes, kind, &host_to, &host_from);
    if (!host_to && !host_from) {
        enqueue(stream, { "cudaMemcpyAsync", copy_between(to, from, bytes), {}, copy_between });
        return cudaSuccess;
    }
    if (captured(stream))
        fault("copies from and to the host in graphs are not part of the double");
    if (!pinned(host_to ? to : from, bytes))
        fault("the %s is pageable host memory: such a copy is not asynchronous [use pinned memory, or cudaMemcpy]",
              host_to ? "destination" : "source");
    copy = copy_begins(to, from, bytes, host_to);
    enqueue(stream, "cudaMemcpyAsync", [=] {
        if (!host_to)
            check_device("the destination", to, bytes);
        if (!host_from)
            check_device("the source", from, bytes);
        copy_runs(copy, to, from, bytes, host_to);
        if (!host_to)
            mark_written(to, bytes);
    });
    return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void *address, int value, size_t bytes, cudaStream_t stream)
{
    HOSTCUDA_ENTER("cudaMemsetAsync");
    if (!bytes)
        return cudaSuccess;
    check_device("the pointer", address, bytes);
    enqueue(stream, "cudaMemsetAsync", [=] {
        check_device("the pointer", address, bytes);
        __builtin_memset(address, value, bytes);
        mark_written(address, bytes);
    });
    return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags)
{
    HOSTCUDA_ENTER("cudaStreamCreateWithFlags");
    *stream = new CUstream_st{ !(flags & cudaStreamNonBlocking), {}, nullptr };
    streams().others.push_back(*stream);
    object_made(*stream, STREAM);
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    HOSTCUDA_ENTER("cudaStreamDestroy");
    object_gone(stream, STREAM);
    if (!stream->queue.empty())
        fault("the stream still holds %zu operations that nothing waited for", stream->queue.size());
    std::deque<cudaStream_t> &others = streams().others;
    for (size_t i = 0; i < others.size(); i++)
        if (others[i] == stream)
            others.erase(others.begin() + ptrdiff_t(i--));
    delete stream;
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    HOSTCUDA_ENTER("cudaStreamSynchronize");
    refuse_while_captured("waits");
    if (!stream)
        check_default_stream();
    drain(stream_of(stream), UINT64_MAX);
    return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags)
{
    (void)flags;
    HOSTCUDA_ENTER("cudaEventCreateWithFlags");
    *event = new CUevent_st{ nullptr, 0, false };
    object_made(*event, EVENT);
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    HOSTCUDA_ENTER("cudaEventDestroy");
    object_gone(event, EVENT);
    if (event->pending)
        fault("the event has been recorded and nothing waited for it");
    delete event;
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    HOSTCUDA_ENTER("cudaEventRecord");
    refuse_while_captured("uses an event");
    object_check(event, EVENT);
    enqueue(stream, "cudaEventRecord", [event, number = streams().operations + 1] {
        if (event->number == number)
            event->pending = false;
    });
    event->stream = stream_of(stream);
    event->number = streams().operations;
    event->pending = true;
    return cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t event)
{
    HOSTCUDA_ENTER("cudaEventQuery");
    refuse_while_captured("uses an event");
    object_check(event, EVENT);
    if (!event->pending)
        return cudaSuccess;
    unlock(); /* the device makes progress while the host asks */
    run_first(event->stream);
    lock();
    return event->pending ? cudaErrorNotReady : cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    HOSTCUDA_ENTER("cudaEventSynchronize");
    refuse_while_captured("uses an event");
    object_check(event, EVENT);
    if (event->pending) {
        streams().event_waits++;
        drain(event->stream, event->number);
    }
    return cudaSuccess;
}
