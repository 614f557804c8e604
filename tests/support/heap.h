/* Counts calls to the heap by standing in front of the C library's functions, and lets one of them fail: for one source file of a test program. Our
 * code is the program, the libraries are shared objects. COUNT_HEAP is 0 where nothing is counted: under a sanitizer, which stands there already, and without glibc. */
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
static atomic_size_t heap_calls, heap_fails; /* the call of that number fails, from 1; 0: none does */

#if COUNT_HEAP
extern const char __executable_start, etext;
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t), *__libc_memalign(size_t, size_t);

/* False: this call fails. */
static int heap_tally(const void *caller)
{
    const uintptr_t at = (uintptr_t)caller;

    atomic_fetch_add(at >= (uintptr_t)&__executable_start && at < (uintptr_t)&etext ? &heap_ours : &heap_others, 1);
    if (atomic_fetch_add(&heap_calls, 1) + 1 != atomic_load(&heap_fails))
        return 1;
    errno = ENOMEM;
    return 0;
}

void *malloc(size_t bytes) { return heap_tally(__builtin_return_address(0)) ? __libc_malloc(bytes) : NULL; }

void *calloc(size_t count, size_t bytes) { return heap_tally(__builtin_return_address(0)) ? __libc_calloc(count, bytes) : NULL; }

void *realloc(void *old, size_t bytes) { return heap_tally(__builtin_return_address(0)) ? __libc_realloc(old, bytes) : NULL; }

void *aligned_alloc(size_t alignment, size_t bytes)
{
    return heap_tally(__builtin_return_address(0)) ? __libc_memalign(alignment, bytes) : NULL;
}

int posix_memalign(void **memory, size_t alignment, size_t bytes)
{
    if (!heap_tally(__builtin_return_address(0)))
        return ENOMEM;
    *memory = __libc_memalign(alignment, bytes);
    return *memory ? 0 : ENOMEM;
}
#endif
#endif
