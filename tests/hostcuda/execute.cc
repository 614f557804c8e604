/* Kernels: a loop over blocks and threads, backwards at every second launch. The threads of a block share one stack until one of them waits
 * at a barrier: it keeps that stack, and the next thread gets another. The compiler's hooks (cuda.cu is compiled with -fsanitize=thread and
 * linked without its library) report every access of a kernel: it must lie inside a live allocation, and no thread may touch what another
 * thread of the launch writes, unless a barrier stands between. */
#include <cxxabi.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vector>

#include "hostcuda.h"
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif
#if !defined(__x86_64__)
#include <ucontext.h>
#endif

extern "C" {
extern char __start_hostcuda_shared[] __attribute__((weak));
extern char __stop_hostcuda_shared[] __attribute__((weak));
}

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace hostcuda
{
namespace
{
constexpr size_t STACK = 256 * 1024, PAGE = 4096, WORD = 4, SLOT = STACK + PAGE;
constexpr uint32_t SEVERAL = 0x80000000u, EVERYWHERE = 0xffffffffu; /* readers: of one block, of many */

struct Fiber {
    char *stack; /* a page that is never mapped, then STACK bytes */
#if defined(__x86_64__)
    void *pointer;
#else
    ucontext_t context;
#endif
    void *fake_stack;
    uint32_t thread;
    bool waits;
};
struct Range {
    uintptr_t from, to;
};
struct Kernel {
    const Call *call;
    dim3 block;
    uint32_t threads, next, thread; /* of the block */
    uint32_t first;                 /* 1 + the number of the block's thread 0 in the grid */
    uint32_t launch, block_serial;
    uint16_t phase;
    bool running, hooks;
    Fiber host, *current;
    char *stacks;
    size_t fibers_made;
};
Kernel k;
Fiber fibers[MAX_THREADS];
std::vector<Fiber *> idle, waiting;
std::vector<Cell> shared_cells;
std::vector<Range> constants; /* the program's read-only bytes */

/* ---- switching stacks: only from the host's to a fiber and back ---- */

#if defined(__x86_64__)
extern "C" void hostcuda_switch(void **save, void *to);
asm(R"(
    .text
    .globl hostcuda_switch
    .type hostcuda_switch, @function
hostcuda_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size hostcuda_switch, . - hostcuda_switch
)");
#endif

#if defined(__SANITIZE_ADDRESS__)
const void *host_bottom;
size_t host_size;
#endif
void jump(Fiber *from, Fiber *to)
{
#if defined(__SANITIZE_ADDRESS__)
    if (to == &k.host)
        __sanitizer_start_switch_fiber(&from->fake_stack, host_bottom, host_size);
    else
        __sanitizer_start_switch_fiber(&from->fake_stack, to->stack + PAGE, STACK);
#endif
#if defined(__x86_64__)
    hostcuda_switch(&from->pointer, to->pointer);
#else
    swapcontext(&from->context, &to->context);
#endif
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(from->fake_stack, nullptr, nullptr);
#endif
}

/* HOSTCUDA_BACKWARDS: the other way round, to see that no result depends on the order */
bool forwards()
{
    static const unsigned backwards = getenv("HOSTCUDA_BACKWARDS") != nullptr;

    return (k.launch & 1) != backwards;
}

void set_thread(uint32_t t)
{
    k.thread = t;
    threadIdx = { t % k.block.x, t / k.block.x % k.block.y, t / k.block.x / k.block.y };
}

/* Takes the block's next threads until none is left or one waits. */
void fiber_main()
{
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(nullptr, &host_bottom, &host_size);
#endif
    for (;;) {
        while (k.next < k.threads) {
            const uint32_t t = k.next++;

            set_thread(forwards() ? t : k.threads - 1 - t);
            k.call->invoke(k.call);
        }
        jump(k.current, &k.host);
    }
}

Fiber *new_fiber()
{
    Fiber *fiber = &fibers[k.fibers_made];

    if (!k.stacks) {
        k.stacks = static_cast<char *>(mmap(nullptr, MAX_THREADS * SLOT, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
        if (k.stacks == MAP_FAILED)
            fault("no address space for the threads' stacks");
    }
    fiber->stack = k.stacks + k.fibers_made++ * SLOT;
    mprotect(fiber->stack + PAGE, STACK, PROT_READ | PROT_WRITE);
#if defined(__x86_64__)
    void **top = reinterpret_cast<void **>(fiber->stack + SLOT) - 2; /* the entry is 8 bytes off a multiple of 16, as after a call */

    top[0] = reinterpret_cast<void *>(fiber_main);
    fiber->pointer = top - 6; /* six registers */
#else
    getcontext(&fiber->context);
    fiber->context.uc_stack.ss_sp = fiber->stack + PAGE;
    fiber->context.uc_stack.ss_size = STACK;
    makecontext(&fiber->context, fiber_main, 0);
#endif
    return fiber;
}

void resume(Fiber *fiber)
{
    fiber->waits = false;
    k.current = fiber;
    jump(&k.host, fiber);
    (fiber->waits ? waiting : idle).push_back(fiber);
}

void run_block()
{
    std::vector<Fiber *> round;

    k.next = 0;
    k.phase = 0;
    k.block_serial++;
    if (__start_hostcuda_shared)
        __builtin_memset(__start_hostcuda_shared, 0xff, size_t(__stop_hostcuda_shared - __start_hostcuda_shared));
    while (k.next < k.threads) {
        Fiber *fiber = idle.empty() ? new_fiber() : idle.back();

        if (!idle.empty())
            idle.pop_back();
        resume(fiber);
    }
    while (!waiting.empty()) {
        if (waiting.size() != k.threads)
            fault("%zu of the %u threads of a block wait at __syncthreads, the others have left the kernel", waiting.size(), k.threads);
        k.phase++;
        round.clear();
        round.swap(waiting);
        for (Fiber *fiber : round)
            resume(fiber);
    }
}

/* ---- what a kernel may touch ---- */

int note_constants(struct dl_phdr_info *info, size_t, void *)
{
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) &part = info->dlpi_phdr[i];

        if ((part.p_type == PT_LOAD && !(part.p_flags & PF_W)) || part.p_type == PT_GNU_RELRO)
            constants.push_back({ info->dlpi_addr + part.p_vaddr, info->dlpi_addr + part.p_vaddr + part.p_memsz });
    }
    return 1; /* the program itself only */
}

bool in(uintptr_t at, const void *from, size_t bytes) { return at - uintptr_t(from) < bytes; }

/* The number, within the grid, of a Cell's thread; which of them is said when there were several. */
bool ordered(uint32_t other, uint16_t phase)
{
    const uint32_t thread = other & ~SEVERAL;

    return other != EVERYWHERE && thread - k.first < k.threads && phase < k.phase;
}

[[noreturn]] void race(const void *address, const char *mine, const char *theirs)
{
    char text[256];

    if (in_region(uintptr_t(address)))
        describe(text, sizeof text, address);
    else
        snprintf(text, sizeof text, "byte %td of the shared memory", static_cast<const char *>(address) - __start_hostcuda_shared);
    fault("overlapping access: this thread %s %s, which another thread of the launch %s", mine, text, theirs);
}

void use_word(Cell &cell, uint32_t stamp, const void *address, bool write)
{
    const uint32_t me = k.first + k.thread;

    if (cell.launch != stamp) {
        cell.launch = stamp;
        cell.writer = cell.reader = 0;
    }
    if (cell.writer && cell.writer != me && !ordered(cell.writer, cell.write_phase))
        race(address, write ? "writes" : "reads", "writes");
    if (!write) {
        if (!cell.reader || ordered(cell.reader, cell.read_phase))
            cell.reader = me;
        else if (cell.reader != me)
            cell.reader = (cell.reader & ~SEVERAL) - k.first < k.threads && cell.reader != EVERYWHERE ? cell.reader | SEVERAL : EVERYWHERE;
        cell.read_phase = k.phase & 0x7fff;
        return;
    }
    if (cell.reader && cell.reader != me && !ordered(cell.reader, cell.read_phase))
        race(address, "writes", "reads");
    cell.writer = me;
    cell.write_phase = k.phase;
    cell.reader = 0;
}

void use_device(uintptr_t at, size_t bytes, bool write)
{
    const Allocation *a = allocation_of(at);
    const void *address = reinterpret_cast<const void *>(at);
    Cell *cell = cells_of(at), *end = cells_of(at + bytes + WORD - 1);

    if (!a || a->freed || at < a->start || at + bytes > a->start + a->bytes) {
        char text[256];

        describe(text, sizeof text, address);
        fault("illegal address: %s %zu bytes at %s", write ? "writes" : "reads", bytes, text);
    }
    for (; cell < end; cell++, address = static_cast<const char *>(address) + WORD) {
        if (bytes >= WORD)
            use_word(*cell, k.launch, address, write);
        if (!write && !cell->written) {
            char text[256];

            describe(text, sizeof text, address);
            fault("reads %s, which nothing has written", text);
        }
        cell->written = cell->written | write;
    }
}

void use_shared(uintptr_t at, size_t bytes, bool write)
{
    const size_t first = (at - uintptr_t(__start_hostcuda_shared)) / WORD;

    if (shared_cells.empty())
        shared_cells.resize(size_t(__stop_hostcuda_shared - __start_hostcuda_shared) / WORD + 2);
    for (size_t word = 0; word < (bytes + WORD - 1) / WORD; word++) {
        Cell &cell = shared_cells[first + word];

        if (!write && (cell.launch != k.block_serial || !cell.written))
            fault("reads shared memory that nothing has written");
        if (cell.launch != k.block_serial)
            cell.written = 0;
        use_word(cell, k.block_serial, reinterpret_cast<const void *>(at + word * WORD), write);
        cell.written = cell.written | write;
    }
}

void use_host(uintptr_t at, size_t bytes, bool write)
{
    if (!write && (in(at, k.call, k.call->bytes) || in(at, &threadIdx, sizeof threadIdx) || in(at, &blockIdx, sizeof blockIdx) ||
                   in(at, &blockDim, sizeof blockDim) || in(at, &gridDim, sizeof gridDim)))
        return;
    if (constants.empty())
        dl_iterate_phdr(note_constants, nullptr);
    for (const Range &range : constants)
        if (!write && at >= range.from && at < range.to)
            return;
    fault("illegal address: %s %zu bytes of host memory at %p", write ? "writes" : "reads", bytes, reinterpret_cast<void *>(at));
}

inline void use(const void *address, size_t bytes, bool write)
{
    const uintptr_t at = uintptr_t(address);

    if (!k.running)
        return;
    if (in_region(at))
        use_device(at, bytes, write);
    else if (in(at, k.stacks, MAX_THREADS * SLOT))
        return;
    else if (__start_hostcuda_shared && in(at, __start_hostcuda_shared, size_t(__stop_hostcuda_shared - __start_hostcuda_shared)))
        use_shared(at, bytes, write);
    else
        use_host(at, bytes, write);
}

/* ---- names of functions, from the program's own symbol table ---- */

bool search_symbols(const char *file, size_t bytes, uintptr_t at, char *text, size_t size)
{
    const ElfW(Ehdr) *header = reinterpret_cast<const ElfW(Ehdr) *>(file);
    const ElfW(Shdr) *section = reinterpret_cast<const ElfW(Shdr) *>(file + header->e_shoff);

    for (int s = 0; s < header->e_shnum; s++) {
        if (section[s].sh_type != SHT_SYMTAB || section[s].sh_offset + section[s].sh_size > bytes)
            continue;
        const ElfW(Sym) *symbol = reinterpret_cast<const ElfW(Sym) *>(file + section[s].sh_offset);
        const char *names = file + section[section[s].sh_link].sh_offset;

        for (size_t i = 0; i < section[s].sh_size / sizeof *symbol; i++) {
            if (ELF64_ST_TYPE(symbol[i].st_info) != STT_FUNC || symbol[i].st_value != at)
                continue;
            int status = 0;
            char *plain = abi::__cxa_demangle(names + symbol[i].st_name, nullptr, nullptr, &status);

            snprintf(text, size, "%s", plain ? plain : names + symbol[i].st_name);
            free(plain);
            return true;
        }
    }
    return false;
}
int first_base(struct dl_phdr_info *info, size_t, void *base)
{
    *static_cast<uintptr_t *>(base) = info->dlpi_addr;
    return 1;
}
} // namespace

void function_name(char *text, size_t size, const void *address)
{
    const int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    struct stat info = {};
    uintptr_t base = 0;

    snprintf(text, size, "%p", address);
    dl_iterate_phdr(first_base, &base);
    if (fd >= 0 && fstat(fd, &info) == 0) {
        void *file = mmap(nullptr, size_t(info.st_size), PROT_READ, MAP_PRIVATE, fd, 0);

        if (file != MAP_FAILED) {
            search_symbols(static_cast<char *>(file), size_t(info.st_size), uintptr_t(address) - base, text, size);
            munmap(file, size_t(info.st_size));
        }
    }
    if (fd >= 0)
        close(fd);
}

void barrier()
{
    Fiber *fiber = k.current;

    if (!k.running)
        fault("__syncthreads outside a kernel");
    fiber->waits = true;
    fiber->thread = k.thread;
    jump(fiber, &k.host);
    set_thread(fiber->thread);
}

void touch(const void *address, size_t bytes, bool write)
{
    if (k.hooks && bytes)
        use(address, bytes, write);
}

bool hooks_present() { return k.hooks; }

bool on_kernel_stack(uintptr_t address, bool *guard)
{
    *guard = k.stacks && in(address, k.stacks, MAX_THREADS * SLOT) && (address - uintptr_t(k.stacks)) % SLOT < PAGE;
    return k.stacks && in(address, k.stacks, MAX_THREADS * SLOT);
}

bool where_in_kernel(char *text, size_t size)
{
    char name[256];

    if (!k.running)
        return false;
    function_name(name, sizeof name, k.call->kernel);
    snprintf(text, size, "kernel '%s', block (%u,%u,%u), thread (%u,%u,%u)", name, blockIdx.x, blockIdx.y, blockIdx.z, threadIdx.x,
             threadIdx.y, threadIdx.z);
    return true;
}

void run_kernel(const Call *call, dim3 grid, dim3 block)
{
    const uint64_t blocks = uint64_t(grid.x) * grid.y * grid.z;

    k.call = call;
    k.block = block;
    k.threads = block.x * block.y * block.z;
    if (blocks * k.threads >= SEVERAL)
        fault("%llu threads are more than the double can number", static_cast<unsigned long long>(blocks * k.threads));
    k.launch++;
    blockDim = block;
    gridDim = grid;
    k.running = true;
    for (uint64_t i = 0; i < blocks; i++) {
        const uint32_t b = uint32_t(forwards() ? i : blocks - 1 - i);

        blockIdx = { b % grid.x, b / grid.x % grid.y, b / grid.x / grid.y };
        k.first = 1 + b * k.threads;
        run_block();
    }
    k.running = false;
}

extern "C" {
void __tsan_init(void) { k.hooks = true; }
void __tsan_func_entry(void *) {}
void __tsan_func_exit(void) {}
void __tsan_vptr_update(void **, void *) {}
#define HOSTCUDA_HOOK(bytes)                                                                                                               \
    void __tsan_read##bytes(void *at) { use(at, bytes, false); }                                                                           \
    void __tsan_write##bytes(void *at) { use(at, bytes, true); }                                                                           \
    void __tsan_unaligned_read##bytes(void *at) { use(at, bytes, false); }                                                                 \
    void __tsan_unaligned_write##bytes(void *at) { use(at, bytes, true); }
HOSTCUDA_HOOK(1)
HOSTCUDA_HOOK(2)
HOSTCUDA_HOOK(4)
HOSTCUDA_HOOK(8)
HOSTCUDA_HOOK(16)
void __tsan_read_range(void *at, size_t bytes) { touch(at, bytes, false); }
void __tsan_write_range(void *at, size_t bytes) { touch(at, bytes, true); }
}
} // namespace hostcuda
