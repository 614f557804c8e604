/* What the files of the double share with each other. */
#ifndef DF_HOSTCUDA_H
#define DF_HOSTCUDA_H
#include "cuda_runtime.h"
#undef memcpy
#undef memset

#include <deque>
#include <functional>
#include <memory>

namespace hostcuda
{
/* What a library answers with where an operand is off this boundary: bits of another kernel, as on silicon. */
enum { KERNEL_BOUNDARY = 64 };
inline double other_kernel(std::initializer_list<const void *> operands)
{
    for (const void *operand : operands)
        if (uintptr_t(operand) % KERNEL_BOUNDARY)
            return 1 + 1.0 / 4194304;
    return 1;
}
enum { EXIT_FAULT = 86, ALIGNMENT = 256, MAX_THREADS = 1024 };

/* Prints "hostcuda: ..." with the call or the queued operation at work, and ends the process with EXIT_FAULT. */
[[noreturn]] void fault(const char *format, ...) __attribute__((format(printf, 1, 2)));
void describe(char *text, size_t size, const void *address); /* "byte 12 of the 64-byte allocation #3" */
void function_name(char *text, size_t size, const void *address);

/* Every entry point begins with one: names the call in messages. True: HOSTCUDA_FAIL=name asks this call to fail,
 * once, or name:N the Nth of its kind, name:0 every one. */
bool enter(const char *call);

/* ---- memory (memory.cc) ---- */
struct Allocation {
    uintptr_t start, page_start, page_end; /* [start, start + bytes) ends within ALIGNMENT of page_end */
    size_t bytes;
    bool freed;
};
const Allocation *allocation_of(uintptr_t address); /* NULL outside the region or in its gaps */
bool in_region(uintptr_t address);
/* The bytes are a live device allocation's, else a fault that begins with `what`. */
void check_device(const char *what, const void *address, size_t bytes);
/* ... and each word of it has been written by something, as far as the double can see */
void check_written(const char *what, const void *address, size_t bytes);
void mark_written(const void *address, size_t bytes);
bool overlap(const void *a, size_t a_bytes, const void *b, size_t b_bytes);
bool pinned(const void *address, size_t bytes); /* a fault if only a part is */
/* A copy is queued: its pinned destination may not be touched, its source not be written, until it has run. */
uint64_t copy_begins(void *to, const void *from, size_t bytes, bool to_host);
void copy_runs(uint64_t copy, void *to, const void *from, size_t bytes, bool to_host);
void unlock();                                /* device memory opens for the double's own work */
void lock();                                  /* ... and closes: the host may not touch it */
void scribble(void *workspace, size_t bytes); /* what it held is lost */

/* A word of device memory as the running launch has used it. Threads are numbered from 1 through the whole grid; a phase ends at a barrier. */
struct Cell {
    uint32_t launch, writer, reader;
    uint16_t write_phase;
    uint16_t read_phase : 15, written : 1;
};
Cell *cells_of(uintptr_t address);

/* ---- queues (stream.cc) ---- */
/* Of a graph: what it does, and how to do it with other arguments of a kernel, or of a copy between device memories; else NULL. */
struct Node {
    const char *name;
    std::function<void()> run;
    std::function<std::function<void()>(const cudaKernelNodeParams *)> with;
    std::function<std::function<void()>(void *to, const void *from, size_t bytes)> copying;
};
/* A stream that is captured gives it to its graph. */
void enqueue(cudaStream_t stream, const char *name, std::function<void()> run);
void enqueue(cudaStream_t stream, Node node);
/* graph.cc: of a stream that is captured; NULL ends it */
void add_node(cudaGraph_t graph, Node node);
void running(const char *name); /* a node, by a graph that runs */
void begin_capture(cudaStream_t stream, cudaGraph_t graph);
cudaGraph_t captured(cudaStream_t stream);    /* NULL: it is not */
void refuse_while_captured(const char *what); /* a fault, of any stream */
void drain_all();
size_t pending();
const char *running_operation(); /* NULL: the host's code is at work */

/* ---- kernels (execute.cc) ---- */
void run_kernel(const Call *call, dim3 grid, dim3 block);
bool where_in_kernel(char *text, size_t size); /* "kernel 'f', block (0,0,0), thread (1,0,0)" while one runs */
bool on_kernel_stack(uintptr_t address, bool *guard);
bool hooks_present();

/* ---- what must be given back ---- */
enum Kind {
    STREAM,
    EVENT,
    CUBLAS_HANDLE,
    CUDNN_HANDLE,
    TENSOR_DESCRIPTOR,
    FILTER_DESCRIPTOR,
    CONVOLUTION_DESCRIPTOR,
    ACTIVATION_DESCRIPTOR,
    GRAPH,
    GRAPH_EXEC,
    KINDS
};
void object_made(const void *object, Kind kind);
void object_gone(const void *object, Kind kind); /* a fault unless it lives */
void object_check(const void *object, Kind kind);
} // namespace hostcuda

/* For tests in C: how often a call of the host has waited for all that a stream held (an event's wait is for a part of it). */
extern "C" size_t hostcuda_waits(void);
/* How often it has waited for an event that had not happened. */
extern "C" size_t hostcuda_event_waits(void);
#endif
