/* Memory of `cuda`: a pool over slabs of cudaMalloc, and the way of data between the host and the device. */
#include <stdio.h>
#include <stdlib.h>

#include "core/device/cuda/cuda.h"

#ifndef DF_CUDA_SLAB
#define DF_CUDA_SLAB ((size_t)256 << 20) /* smallest piece asked of CUDA */
#endif
#ifndef DF_CUDA_HALF
#define DF_CUDA_HALF ((size_t)8 << 20) /* pinned memory's halves at first */
#endif
static const size_t ALIGN = 256, HALF_MOST = (size_t)256 << 20, ARRIVAL_BYTES = 8 << 20;

/* A piece of a slab, used or free. The list holds the pieces of a slab in order of address, slab after slab. */
struct df_cuda_block {
    struct df_cuda_block *previous, *next;
    char *at;
    size_t bytes;
    bool used, first; /* first: of its slab */
};

static size_t aligned(size_t bytes) { return (bytes + ALIGN - 1) / ALIGN * ALIGN; }
static bool last_of_slab(const struct df_cuda_block *block) { return !block->next || block->next->first; }

static void unlink_block(struct df_cuda *cuda, struct df_cuda_block *block)
{
    if (block->previous)
        block->previous->next = block->next;
    else
        cuda->blocks = block->next;
    if (block->next)
        block->next->previous = block->previous;
    free(block);
}

/* Cuts the block after `bytes`, if something worth the trouble is left. */
static void split(struct df_cuda_block *block, size_t bytes)
{
    const size_t kept = aligned(bytes);

    if (kept + ALIGN > block->bytes)
        return;
    struct df_cuda_block *rest = (struct df_cuda_block *)df_calloc(1, sizeof *rest);

    rest->at = block->at + kept;
    rest->bytes = block->bytes - kept;
    rest->previous = block;
    rest->next = block->next;
    if (rest->next)
        rest->next->previous = rest;
    block->next = rest;
    block->bytes = kept;
}

/* A block that is its whole slab goes back to CUDA. */
static void release_slab(struct df_cuda *cuda, struct df_cuda_block *block)
{
    df_cuda_replay_moved(cuda);
    DF_CUDA(cudaStreamSynchronize(cuda->stream));
    DF_CUDA(cudaFree(block->at));
    unlink_block(cuda, block);
}

static struct df_cuda_block *new_slab(struct df_cuda *cuda, size_t bytes)
{
    void *memory;

    df_cuda_replay_taken(cuda);
    if (cudaMalloc(&memory, bytes) != cudaSuccess) {
        (void)cudaGetLastError(); /* forget it: the caller deals with it */
        return NULL;
    }
    struct df_cuda_block *block = (struct df_cuda_block *)df_calloc(1, sizeof *block);

    block->at = (char *)memory;
    block->bytes = bytes;
    block->first = true;
    block->next = cuda->blocks;
    if (block->next)
        block->next->previous = block;
    cuda->blocks = block;
    return block;
}

[[noreturn]] static void out_of_memory(const struct df_cuda *cuda, size_t bytes)
{
    const double mib = 1.0 / (1 << 20);
    size_t available = 0, total = 0, used = 0, idle = 0;

    for (const struct df_cuda_block *block = cuda->blocks; block; block = block->next)
        *(block->used ? &used : &idle) += block->bytes;
    (void)cudaMemGetInfo(&available, &total);
    fprintf(
        stderr,
        "defeat: out of memory on device 'cuda:%d': asked for %.1f MiB, free %.1f MiB of %.1f MiB, this run holds %.1f MiB and %.1f MiB "
        "in pieces that are too small [use a smaller batch or canvas]\n",
        cuda->index, (double)bytes * mib, (double)available * mib, (double)total * mib, (double)used * mib, (double)idle * mib);
    abort();
}

void *df_cuda_take(struct df_cuda *cuda, size_t bytes)
{
    const size_t need = bytes ? bytes : 1;
    struct df_cuda_block *best = NULL;

    for (struct df_cuda_block *block = cuda->blocks; block; block = block->next)
        if (!block->used && block->bytes >= need && (!best || block->bytes < best->bytes))
            best = block;
    if (!best && need < DF_CUDA_SLAB)
        best = new_slab(cuda, DF_CUDA_SLAB);
    if (!best)
        best = new_slab(cuda, need);
    if (!best)
        out_of_memory(cuda, bytes);
    split(best, need);
    best->used = true;
    return best->at;
}

void df_cuda_give(struct df_cuda *cuda, void *memory)
{
    struct df_cuda_block *block = cuda->blocks;

    if (!memory)
        return;
    while (block && block->at != memory)
        block = block->next;
    DF_ASSERT(block && block->used);
    block->used = false;
    if (!last_of_slab(block) && !block->next->used) {
        block->bytes += block->next->bytes;
        unlink_block(cuda, block->next);
    }
    if (!block->first && !block->previous->used) {
        block = block->previous;
        block->bytes += block->next->bytes;
        unlink_block(cuda, block->next);
    }
    if (block->first && last_of_slab(block))
        release_slab(cuda, block);
}

void *df_cuda_scratch(struct df_cuda *cuda, enum df_cuda_scratch which, size_t bytes)
{
    if (bytes > cuda->scratch_bytes[which]) {
        df_cuda_replay_moved(cuda);
        df_cuda_give(cuda, cuda->scratch[which]);
        cuda->scratch[which] = df_cuda_take(cuda, bytes);
        cuda->scratch_bytes[which] = bytes;
    }
    return cuda->scratch[which];
}

void df_cuda_memory_open(struct df_cuda *cuda)
{
    for (size_t i = 0; i < DF_CUDA_HALVES; i++) {
        cuda->half_bytes[i] = DF_CUDA_HALF;
        DF_CUDA(cudaMallocHost((void **)&cuda->half[i], cuda->half_bytes[i]));
        DF_CUDA(cudaEventCreateWithFlags(&cuda->sent[i], cudaEventDisableTiming));
    }
    DF_CUDA(cudaMallocHost((void **)&cuda->arrivals, ARRIVAL_BYTES));
}

void df_cuda_memory_close(struct df_cuda *cuda)
{
    for (size_t i = 0; i < DF_CUDA_SCRATCHES; i++)
        df_cuda_give(cuda, cuda->scratch[i]);
    for (size_t i = 0; i < DF_CUDA_HALVES; i++) {
        DF_CUDA(cudaEventDestroy(cuda->sent[i]));
        DF_CUDA(cudaFreeHost(cuda->half[i]));
    }
    DF_CUDA(cudaFreeHost(cuda->arrivals));
    DF_ASSERT(!cuda->blocks); /* all that was taken has been given back */
}

/* Twice the room for a half that has arrived; without it if there is not so much pinned memory to be had. */
static void grow_half(struct df_cuda *cuda, size_t i)
{
    char *larger;

    if (cuda->half_bytes[i] >= HALF_MOST)
        return;
    if (cudaMallocHost((void **)&larger, 2 * cuda->half_bytes[i]) != cudaSuccess) {
        (void)cudaGetLastError(); /* forget it: the half stays as it is */
        return;
    }
    DF_CUDA(cudaFreeHost(cuda->half[i]));
    cuda->half[i] = larger;
    cuda->half_bytes[i] *= 2;
}

/* If a half has not arrived yet, the host stands still for the device's work: it gets more room, so that after some steps both halves hold
 * what is sent between two readings, or as much as they may, and the host runs ahead. */
static void wait_for_half(struct df_cuda *cuda, size_t i)
{
    const bool early = cudaEventQuery(cuda->sent[i]) == cudaErrorNotReady;

    (void)cudaGetLastError(); /* "not ready" is no error */
    DF_CUDA(cudaEventSynchronize(cuda->sent[i]));
    cuda->under_way[i] = false;
    if (early)
        grow_half(cuda, i);
}

/* The half that is full is on its way; the other one must have arrived before it is filled again. */
static void switch_halves(struct df_cuda *cuda)
{
    DF_CUDA(cudaEventRecord(cuda->sent[cuda->current], cuda->stream));
    cuda->under_way[cuda->current] = true;
    cuda->current = (cuda->current + 1) % DF_CUDA_HALVES;
    cuda->used = 0;
    if (cuda->under_way[cuda->current])
        wait_for_half(cuda, cuda->current);
}

void df_cuda_send(struct df_cuda *cuda, char *to, const void *from_host, size_t bytes)
{
    for (size_t done = 0, part; done < bytes; done += part) {
        if (cuda->used == cuda->half_bytes[cuda->current])
            switch_halves(cuda);
        const size_t room = cuda->half_bytes[cuda->current] - cuda->used;
        char *pinned = cuda->half[cuda->current] + cuda->used;

        part = bytes - done < room ? bytes - done : room;
        memcpy(pinned, (const char *)from_host + done, part);
        DF_CUDA(cudaMemcpyAsync(to + done, pinned, part, cudaMemcpyHostToDevice, cuda->stream));
        cuda->used += aligned(part);
    }
}

void df_cuda_read(struct df_device *device, void *to_host, const void *from, size_t bytes)
{
    struct df_cuda *cuda = df_cuda_of(device);

    df_cuda_replay_launch(cuda);
    for (size_t done = 0, part; done < bytes; done += part) {
        part = bytes - done < ARRIVAL_BYTES ? bytes - done : ARRIVAL_BYTES;
        DF_CUDA(cudaMemcpyAsync(cuda->arrivals, (const char *)from + done, part, cudaMemcpyDeviceToHost, cuda->stream));
        DF_CUDA(cudaStreamSynchronize(cuda->stream));
        memcpy((char *)to_host + done, cuda->arrivals, part);
    }
}
