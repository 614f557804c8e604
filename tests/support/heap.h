/* Counts calls to the heap by standing in front of the C library's functions: for one source file of a test program. Our code is the program, the
 * libraries are shared objects. COUNT_HEAP is 0 where nothing is counted: under a sanitizer, which stands there already, and without glibc. */
#ifndef DF_TESTS_HEAP_H
#define DF_TESTS_HEAP_H
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
#define COUNT_HEAP 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define COUNT_HEAP 0
#endif
#endif
#if !defined(COUNT_HEAP) && defined(__GLIBC__)
#define COUNT_HEAP 1
#elif !defined(COUNT_HEAP)
#define COUNT_HEAP 0
#endif

static atomic_size_t heap_ours, heap_others;

#if COUNT_HEAP
extern const char __executable_start, etext;
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t), *__libc_memalign(size_t, size_t);

static void heap_tally(const void *caller)
{
    const uintptr_t at = (uintptr_t)caller;

    atomic_fetch_add(at >= (uintptr_t)&__executable_start && at < (uintptr_t)&etext ? &heap_ours : &heap_others, 1);
}

void *malloc(size_t bytes)
{
    heap_tally(__builtin_return_address(0));
    return __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
    heap_tally(__builtin_return_address(0));
    return __libc_calloc(count, bytes);
}

void *realloc(void *old, size_t bytes)
{
    heap_tally(__builtin_return_address(0));
    return __libc_realloc(old, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
    heap_tally(__builtin_return_address(0));
    return __libc_memalign(alignment, bytes);
}

int posix_memalign(void **memory, size_t alignment, size_t bytes)
{
    heap_tally(__builtin_return_address(0));
    *memory = __libc_memalign(alignment, bytes);
    return *memory ? 0 : ENOMEM;
}
#endif
#endif
