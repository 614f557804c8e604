/* Device memory: a region of the address space that the host may touch only while the double works. Every allocation has its own pages and
 * ends (up to the alignment) at a page that nothing may touch; addresses are never used twice. */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <map>
#include <string>
#include <vector>

#include "hostcuda.h"
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, bytes)   ((void)(address), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(address, bytes) ((void)(address), (void)(bytes))
#endif

namespace hostcuda
{
namespace
{
constexpr size_t REGION = size_t(1) << 38, PAGE = 4096, WORD = 4;
constexpr unsigned char FRESH = 0xff, GUARD = 0xcb; /* 0xffffffff is a NaN */

struct Copy {
    uint64_t number, hash;
    uintptr_t start; /* of the host's side */
    size_t bytes;
    bool to_host;
};
struct Pinned {
    size_t bytes;
    bool freed;
};
struct Memory {
    char *region = nullptr;
    Cell *cells = nullptr;
    uint32_t *owner = nullptr; /* per page: index into allocations + 1 */
    size_t used = 0, live = 0, limit = size_t(8) << 30;
    std::vector<Allocation> allocations;
    std::map<uintptr_t, Pinned> pinned;
    std::vector<Copy> copies;
    std::map<uintptr_t, unsigned> closed; /* pages of pinned memory that wait for a copy */
    std::map<const void *, Kind> objects;
    uint64_t copy_number = 0;
    int open = 0;
    std::string call, fail;
    unsigned long calls_to_fail;
    pid_t owner_pid = 0;
    struct sigaction old_segv, old_bus;
};
Memory &memory()
{
    static Memory *m = new Memory;

    return *m;
}

size_t round_up(size_t x, size_t to) { return (x + to - 1) / to * to; }
bool device_side(uintptr_t address) { return address - uintptr_t(memory().region) < REGION; }

uint64_t hash_of(const void *data, size_t bytes)
{
    const unsigned char *p = static_cast<const unsigned char *>(data);
    uint64_t hash = 0xcbf29ce484222325u, word = 0;

    for (; bytes; p += sizeof word) {
        const size_t part = bytes < sizeof word ? bytes : sizeof word;

        __builtin_memcpy(&word, p, part);
        hash = (hash ^ word) * 0x100000001b3u;
        hash ^= hash >> 29;
        bytes -= part;
    }
    return hash;
}

void *reserve(size_t bytes)
{
    void *at = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (at == MAP_FAILED) {
        fprintf(stderr, "hostcuda: cannot reserve %zu bytes of address space: %s\n", bytes, strerror(errno));
        _exit(EXIT_FAULT);
    }
    return at;
}

const char *plural(size_t n) { return n == 1 ? "" : "s"; }

const char *const names[KINDS] = { "stream",
                                   "event",
                                   "cuBLAS handle",
                                   "cuDNN handle",
                                   "tensor descriptor",
                                   "filter descriptor",
                                   "convolution descriptor",
                                   "activation descriptor",
                                   "graph",
                                   "graph ready to run" };

/* What lives at the end of a process that thinks it went well is leaked. */
void at_exit(int status, void *)
{
    Memory &m = memory();
    size_t blocks = 0, bytes = 0, host = 0, count[KINDS] = { 0 };
    std::string text;

    if (getpid() != m.owner_pid || status != 0)
        return;
    m.call = "exit";
    for (const Allocation &a : m.allocations)
        if (!a.freed) {
            blocks++;
            bytes += a.bytes;
        }
    for (const auto &p : m.pinned)
        host += !p.second.freed;
    for (const auto &object : m.objects)
        count[object.second]++;
    if (blocks)
        text += std::to_string(blocks) + " device allocation" + plural(blocks) + " (" + std::to_string(bytes) + " bytes), ";
    if (host)
        text += std::to_string(host) + " pinned allocation" + plural(host) + ", ";
    for (int k = 0; k < KINDS; k++)
        if (count[k])
            text += std::to_string(count[k]) + " " + names[k] + plural(count[k]) + ", ";
    if (pending())
        text += std::to_string(pending()) + " operation" + plural(pending()) + " that nothing waited for, ";
    if (!text.empty())
        fault("the process ends with %.*s: not given back", int(text.size() - 2), text.c_str());
}

void on_signal(int signal, siginfo_t *info, void *context)
{
    Memory &m = memory();
    const uintptr_t at = uintptr_t(info->si_addr);
    char text[256];
    bool guard = false;

    if (on_kernel_stack(at, &guard) && guard)
        fault("the kernel's local memory exceeds 256 kB a thread");
    if (device_side(at)) {
        describe(text, sizeof text, info->si_addr);
        if (m.open)
            fault("illegal address: %s", text);
        fault("the host's code uses a device pointer: %s", text);
    }
    if (m.closed.count(at / PAGE * PAGE))
        fault("the host's code uses a pinned buffer before the copy to it has run [synchronise first]");
    const struct sigaction &old = signal == SIGSEGV ? m.old_segv : m.old_bus;
    if (old.sa_flags & SA_SIGINFO) {
        old.sa_sigaction(signal, info, context);
    } else {
        sigaction(signal, &old, nullptr);
        raise(signal);
    }
}

/* Others take the signals too (cmocka before every test): each call takes them back. */
void take_signals()
{
    Memory &m = memory();
    struct sigaction action = {}, before;

    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(SIGSEGV, &action, &before);
    if (before.sa_sigaction == on_signal)
        return;
    m.old_segv = before;
    sigaction(SIGBUS, &action, &before);
    if (before.sa_sigaction != on_signal)
        m.old_bus = before;
}

void start()
{
    Memory &m = memory();
    static stack_t stack;
    const char *limit = getenv("HOSTCUDA_MEMORY"), *fail = getenv("HOSTCUDA_FAIL");

    if (m.region)
        return;
    m.region = static_cast<char *>(reserve(REGION));
    m.cells = static_cast<Cell *>(reserve(REGION / WORD * sizeof(Cell)));
    m.owner = static_cast<uint32_t *>(reserve(REGION / PAGE * sizeof(uint32_t)));
    mprotect(m.owner, REGION / PAGE * sizeof(uint32_t), PROT_READ | PROT_WRITE);
    m.limit = limit ? strtoull(limit, nullptr, 10) : m.limit;
    m.fail = fail ? fail : "";
    const size_t colon = m.fail.find(':');
    m.calls_to_fail = colon == std::string::npos ? 1 : strtoul(m.fail.c_str() + colon + 1, nullptr, 10);
    m.fail = m.fail.substr(0, colon);
    m.owner_pid = getpid();
    stack.ss_size = 1 << 16;
    stack.ss_sp = mmap(nullptr, stack.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    sigaltstack(&stack, nullptr);
    on_exit(at_exit, nullptr);
}

/* Fills fresh memory; of much memory the ends only, or the machine would do nothing else. */
void fill(void *at, unsigned char value, size_t bytes)
{
    constexpr size_t END = 1 << 16;
    char *p = static_cast<char *>(at);

    __builtin_memset(p, value, bytes < 2 * END ? bytes : END);
    if (bytes >= 2 * END)
        __builtin_memset(p + bytes - END, value, END);
}

void protect(const Allocation &a, int how)
{
    if (mprotect(reinterpret_cast<void *>(a.page_start), a.page_end - a.page_start, how) != 0)
        fault("mprotect: %s", strerror(errno));
}

/* Bytes around an allocation, inside its pages. */
void check_guards(const Allocation &a)
{
    const unsigned char *p = reinterpret_cast<const unsigned char *>(a.page_start);

    ASAN_UNPOISON_MEMORY_REGION(p, a.page_end - a.page_start);
    for (uintptr_t at = a.page_start; at < a.page_end; at++, p++) {
        if (at == a.start) {
            at += a.bytes - 1;
            p += a.bytes - 1;
        } else if (*p != GUARD) {
            fault("something wrote %td bytes %s the %zu-byte allocation #%zu",
                  at < a.start ? ptrdiff_t(a.start - at) : ptrdiff_t(at - a.start - a.bytes), at < a.start ? "before" : "behind", a.bytes,
                  size_t(&a - memory().allocations.data()));
        }
    }
    ASAN_POISON_MEMORY_REGION(reinterpret_cast<void *>(a.page_start), a.start - a.page_start);
    ASAN_POISON_MEMORY_REGION(reinterpret_cast<void *>(a.start + a.bytes), a.page_end - a.start - a.bytes);
}
} // namespace

bool enter(const char *call)
{
    Memory &m = memory();

    start();
    take_signals();
    m.call = call;
    if (m.fail != call)
        return false;
    if (m.calls_to_fail == 0)
        return true;
    if (--m.calls_to_fail)
        return false;
    m.fail.clear();
    return true;
}

void fault(const char *format, ...)
{
    char text[1024], where[512] = "";
    va_list list;

    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    if (where_in_kernel(where, sizeof where))
        fprintf(stderr, "hostcuda: %s: %s\n", where, text);
    else if (running_operation())
        fprintf(stderr, "hostcuda: queued %s: %s\n", running_operation(), text);
    else
        fprintf(stderr, "hostcuda: %s: %s\n", memory().call.c_str(), text);
    fflush(nullptr);
    _exit(EXIT_FAULT);
}

bool in_region(uintptr_t address) { return device_side(address); }

const Allocation *allocation_of(uintptr_t address)
{
    Memory &m = memory();

    if (!m.region || !device_side(address))
        return nullptr;
    const uint32_t at = m.owner[(address - uintptr_t(m.region)) / PAGE];
    return at ? &m.allocations[at - 1] : nullptr;
}

void describe(char *text, size_t size, const void *address)
{
    const uintptr_t at = uintptr_t(address);
    const Allocation *a = allocation_of(at);

    if (!address)
        snprintf(text, size, "a null pointer");
    else if (!device_side(at))
        snprintf(text, size, "the host address %p", address);
    else if (!a)
        snprintf(text, size, "%p, device memory that no allocation holds", address);
    else
        snprintf(text, size, "byte %td of the %zu-byte %sallocation #%zu", ptrdiff_t(at - a->start), a->bytes, a->freed ? "freed " : "",
                 size_t(a - memory().allocations.data()));
}

void check_device(const char *what, const void *address, size_t bytes)
{
    const uintptr_t at = uintptr_t(address);
    const Allocation *a = allocation_of(at);
    char text[256];

    if (!bytes)
        return;
    describe(text, sizeof text, address);
    if (!address || !device_side(at))
        fault("%s is %s, expected device memory", what, text);
    if (!a)
        fault("%s is %s", what, text);
    if (a->freed)
        fault("%s is %s", what, text);
    if (at < a->start || at + bytes > a->start + a->bytes)
        fault("%s: %zu bytes at %s reach beyond its end", what, bytes, text);
}

Cell *cells_of(uintptr_t address)
{
    Memory &m = memory();

    return m.cells + (address - uintptr_t(m.region)) / WORD;
}

void mark_written(const void *address, size_t bytes)
{
    Cell *cell = cells_of(uintptr_t(address)), *end = cells_of(uintptr_t(address) + bytes + WORD - 1);

    for (; cell < end && hooks_present(); cell++)
        cell->written = 1;
}

void check_written(const char *what, const void *address, size_t bytes)
{
    const Cell *first = cells_of(uintptr_t(address)), *end = cells_of(uintptr_t(address) + bytes);

    for (const Cell *cell = first; cell < end && hooks_present(); cell++)
        if (!cell->written) {
            char text[256];

            describe(text, sizeof text, static_cast<const char *>(address) + WORD * size_t(cell - first));
            fault("%s: nothing has written %s", what, text);
        }
}

bool overlap(const void *a, size_t a_bytes, const void *b, size_t b_bytes)
{
    return uintptr_t(a) < uintptr_t(b) + b_bytes && uintptr_t(b) < uintptr_t(a) + a_bytes;
}

void scribble(void *workspace, size_t bytes) { fill(workspace, FRESH, bytes); }

void unlock()
{
    Memory &m = memory();

    if (m.open++ == 0)
        for (const Allocation &a : m.allocations)
            if (!a.freed)
                protect(a, PROT_READ | PROT_WRITE);
}

void lock()
{
    Memory &m = memory();

    if (m.open == 1)
        for (const Allocation &a : m.allocations)
            if (!a.freed) {
                check_guards(a);
                protect(a, PROT_NONE);
            }
    m.open--;
}

bool pinned(const void *address, size_t bytes)
{
    Memory &m = memory();
    const uintptr_t at = uintptr_t(address);
    auto next = m.pinned.upper_bound(at);

    if (next == m.pinned.begin())
        return false;
    --next;
    if (at >= next->first + next->second.bytes)
        return false;
    if (next->second.freed)
        fault("pinned host memory %p is freed", address);
    if (at + bytes > next->first + next->second.bytes)
        fault("%zu bytes at byte %zu of a pinned allocation of %zu bytes reach beyond its end", bytes, size_t(at - next->first),
              next->second.bytes);
    return true;
}

uint64_t copy_begins(void *to, const void *from, size_t bytes, bool to_host)
{
    Memory &m = memory();
    const uintptr_t host = uintptr_t(to_host ? to : from);
    Copy copy = { ++m.copy_number, 0, host, bytes, to_host };

    for (const Copy &other : m.copies)
        if ((to_host || other.to_host) &&
            overlap(reinterpret_cast<void *>(host), bytes, reinterpret_cast<void *>(other.start), other.bytes))
            fault("the pinned bytes of this copy belong to another copy that has not run");
    if (to_host) {
        for (uintptr_t page = host / PAGE * PAGE; page < host + bytes; page += PAGE)
            if (m.closed[page]++ == 0)
                mprotect(reinterpret_cast<void *>(page), PAGE, PROT_NONE);
    } else {
        copy.hash = hash_of(from, bytes);
    }
    m.copies.push_back(copy);
    return copy.number;
}

void copy_runs(uint64_t number, void *to, const void *from, size_t bytes, bool to_host)
{
    Memory &m = memory();

    for (size_t i = 0; i < m.copies.size(); i++) {
        if (m.copies[i].number != number)
            continue;
        if (to_host) {
            for (uintptr_t page = m.copies[i].start / PAGE * PAGE; page < m.copies[i].start + bytes; page += PAGE)
                if (--m.closed[page] == 0) {
                    m.closed.erase(page);
                    mprotect(reinterpret_cast<void *>(page), PAGE, PROT_READ | PROT_WRITE);
                }
        } else if (hash_of(from, bytes) != m.copies[i].hash) {
            fault("the pinned source of %zu bytes has changed since the copy was queued [synchronise first]", bytes);
        }
        m.copies.erase(m.copies.begin() + ptrdiff_t(i));
        break;
    }
    __builtin_memcpy(to, from, bytes);
}

void object_made(const void *object, Kind kind) { memory().objects[object] = kind; }

void object_check(const void *object, Kind kind)
{
    const auto at = memory().objects.find(object);

    if (at == memory().objects.end())
        fault("%p is no live %s", object, names[kind]);
    if (at->second != kind)
        fault("%p is a %s, expected a %s", object, names[at->second], names[kind]);
}

void object_gone(const void *object, Kind kind)
{
    object_check(object, kind);
    memory().objects.erase(object);
}
} // namespace hostcuda

using namespace hostcuda;

cudaError_t cudaMemGetInfo(size_t *free, size_t *total)
{
    if (enter("cudaMemGetInfo"))
        return cudaErrorUnknown;
    *total = memory().limit;
    *free = memory().limit - memory().live;
    return cudaSuccess;
}

cudaError_t cudaMalloc(void **to, size_t bytes)
{
    if (enter("cudaMalloc"))
        return cudaErrorMemoryAllocation;
    Memory &m = memory();
    const size_t pages = round_up(round_up(bytes, ALIGNMENT), PAGE), next = m.used + pages + PAGE;

    *to = nullptr;
    if (!bytes)
        return cudaSuccess;
    if (bytes > m.limit - m.live || next > REGION)
        return cudaErrorMemoryAllocation;
    Allocation a;
    a.page_start = uintptr_t(m.region) + m.used;
    a.page_end = a.page_start + pages;
    a.start = a.page_end - round_up(bytes, ALIGNMENT);
    a.bytes = bytes;
    a.freed = false;
    protect(a, PROT_READ | PROT_WRITE);
    __builtin_memset(reinterpret_cast<void *>(a.page_start), GUARD, a.start - a.page_start);
    __builtin_memset(reinterpret_cast<void *>(a.start + bytes), GUARD, a.page_end - a.start - bytes);
    fill(reinterpret_cast<void *>(a.start), FRESH, bytes);
    check_guards(a);
    if (hooks_present())
        mprotect(cells_of(a.page_start), pages / WORD * sizeof(Cell), PROT_READ | PROT_WRITE);
    if (!m.open)
        protect(a, PROT_NONE);
    m.allocations.push_back(a);
    for (size_t page = 0; page < pages / PAGE; page++)
        m.owner[m.used / PAGE + page] = uint32_t(m.allocations.size());
    m.used = next;
    m.live += bytes;
    *to = reinterpret_cast<void *>(a.start);
    return cudaSuccess;
}

cudaError_t cudaFree(void *address)
{
    if (enter("cudaFree"))
        return cudaErrorUnknown;
    refuse_while_captured("frees");
    if (!address)
        return cudaSuccess;
    Memory &m = memory();
    Allocation *a = const_cast<Allocation *>(allocation_of(uintptr_t(address)));

    check_device("the pointer", address, 1);
    if (a->start != uintptr_t(address)) {
        char text[256];

        describe(text, sizeof text, address);
        fault("%s is not what cudaMalloc gave", text);
    }
    drain_all(); /* as the runtime does */
    unlock();
    check_guards(*a);
    lock();
    a->freed = true;
    protect(*a, PROT_NONE);
    madvise(reinterpret_cast<void *>(a->page_start), a->page_end - a->page_start, MADV_DONTNEED);
    if (hooks_present())
        madvise(cells_of(a->page_start), (a->page_end - a->page_start) / WORD * sizeof(Cell), MADV_DONTNEED);
    m.live -= a->bytes;
    return cudaSuccess;
}

cudaError_t cudaMallocHost(void **to, size_t bytes)
{
    if (enter("cudaMallocHost"))
        return cudaErrorMemoryAllocation;
    const size_t pages = round_up(bytes, PAGE);
    void *at = reserve(pages + PAGE);

    mprotect(at, pages, PROT_READ | PROT_WRITE);
    fill(at, FRESH, pages);
    memory().pinned[uintptr_t(at)] = { bytes, false };
    *to = at;
    return cudaSuccess;
}

cudaError_t cudaFreeHost(void *address)
{
    if (enter("cudaFreeHost"))
        return cudaErrorUnknown;
    if (!address)
        return cudaSuccess;
    Memory &m = memory();
    const auto at = m.pinned.find(uintptr_t(address));

    if (at == m.pinned.end() || at->second.freed)
        fault("%p is no live pinned memory", address);
    for (const Copy &copy : m.copies)
        if (overlap(address, at->second.bytes, reinterpret_cast<void *>(copy.start), copy.bytes))
            fault("a copy that has not run uses this memory [synchronise first]");
    at->second.freed = true;
    mprotect(address, round_up(at->second.bytes, PAGE), PROT_NONE);
    madvise(address, round_up(at->second.bytes, PAGE), MADV_DONTNEED);
    return cudaSuccess;
}
