/* A step of a training asks for the same work as the step before: the same kernels, mostly with the same arguments, on the same memory. Asked
 * one by one, small kernels wait for their launches. So what is asked between df_replay_begin and df_replay_end is kept the second time it is
 * asked with a key, as CUDA graphs, and compared from the third time on: what is the same costs the host a comparison, a kernel's arguments that
 * have changed are changed in the graph, and the graph is launched where the host waits, or at the end. Nothing is assumed about who asks:
 * where something else is asked than was kept, what has been compared so far is asked one by one, as the rest of the pass is. No bit depends
 * on it.
 * A graph is a segment of a pass: a pass that reads has two. What the host writes goes to the device ahead of its segment, in one piece, and
 * from there, by the graph, to where and when it is wanted; there is room for the most that was ever written there. What is large goes on its
 * own, between two segments: it needs no second place.
 * Libraries keep addresses to themselves: what they were kept with is forgotten when scratch memory moves, or memory goes back to CUDA.
 * A step that fails to be kept, or a graph that CUDA refuses, costs time alone. */
#include <stdlib.h>

#include "core/device/cuda/cuda.h"

struct entry {
    const struct df_cuda_kind *kind;
    size_t at, bytes;     /* in the pass's memory: what was asked */
    cudaGraphNode_t node; /* of work that may change; NULL: of other work */
};

struct segment {
    size_t end;            /* of its entries, which begin where those of the one before it end */
    size_t sent, sent_end; /* bytes of what is written */
    cudaGraph_t graph;     /* kept: its nodes are the names of the other's */
    cudaGraphExec_t launched;
};

/* COLD: nothing is known. COUNTED: has been asked once, one by one: the libraries have chosen, scratch memory has grown. */
enum state { COLD, COUNTED, KEPT, REFUSED };
enum { PASSES = 16, MISSES = 2, ATTEMPTS = 4, PROVEN = 32, BOUNDARY = 256 };
static const size_t LARGE = (size_t)1 << 20;

struct pass {
    uint64_t key;
    enum state state;
    unsigned misses, attempts; /* misses: in a row; attempts: how often it was kept in vain */
    size_t replayed;           /* since it was kept */
    size_t moved;              /* as below, when it was kept */
    struct entry *entry;
    size_t entries, entry_room;
    char *memory;
    size_t used, memory_room;
    struct segment *segment;
    size_t segments, segment_room;
    char *written, *sent; /* what the host writes, here and on the device; both of `room` bytes, or more than one time needs */
    size_t room, written_bytes;
    size_t *largest; /* of each write, in their order, the most bytes that were ever asked for */
    size_t writes, largest_room;
};

enum mode { ONE_BY_ONE, COUNTING, KEEPING, COMPARING };

struct df_cuda_replay {
    struct pass pass[PASSES];
    size_t passes;
    struct pass *now; /* NULL outside a pass */
    enum mode mode;
    bool capturing;
    bool broken;    /* what is being kept will not come again as it was */
    size_t at;      /* entries that have been compared */
    size_t segment; /* that they stand in */
    size_t write;   /* writes of the pass so far */
    size_t moved;   /* how often scratch memory has moved, or memory gone back to CUDA */
};

static size_t aligned(size_t bytes) { return (bytes + BOUNDARY - 1) / BOUNDARY * BOUNDARY; }

#define GROW(array, count, room)                                                                                                           \
    do {                                                                                                                                   \
        if ((count) == (room))                                                                                                             \
            (array) = (decltype(array))df_realloc((array), ((room) = (room) ? 2 * (room) : 64) * sizeof *(array));                         \
    } while (0)

/* An error of a graph is none of the step's: the work is asked one by one then, and CUDA forgets it. */
static bool went_well(cudaError_t status)
{
    if (status != cudaSuccess)
        (void)cudaGetLastError();
    return status == cudaSuccess;
}

/* ---- what is written ---- */

struct written {
    char *to;
    size_t slot, room, bytes; /* slot: where in the pass's memory of what is written */
};

static void send_written(struct df_cuda *cuda, const void *work)
{
    const struct written *w = (const struct written *)work;

    df_cuda_send(cuda, w->to, cuda->replay->now->written + w->slot, w->bytes);
}

static cudaError_t change_written(struct df_cuda *cuda, cudaGraphExec_t graph, cudaGraphNode_t node, const void *work)
{
    const struct written *w = (const struct written *)work;

    return cudaGraphExecMemcpyNodeSetParams1D(graph, node, w->to, cuda->replay->now->sent + w->slot, w->bytes, cudaMemcpyDeviceToDevice);
}

static const struct df_cuda_kind written_kind = { send_written, change_written, 0 };

/* ---- a pass ---- */

static void drop(struct pass *pass)
{
    for (size_t i = 0; i < pass->segments; i++) {
        DF_CUDA(cudaGraphExecDestroy(pass->segment[i].launched));
        DF_CUDA(cudaGraphDestroy(pass->segment[i].graph));
    }
    pass->segments = pass->entries = pass->used = pass->replayed = 0;
    pass->state = pass->attempts < ATTEMPTS ? COLD : REFUSED;
}

static void release(struct df_cuda *cuda, struct pass *pass)
{
    drop(pass);
    df_cuda_give(cuda, pass->sent);
    free(pass->written);
    free(pass->entry);
    free(pass->memory);
    free(pass->segment);
    free(pass->largest);
}

static struct pass *pass_of(struct df_cuda_replay *replay, uint64_t key)
{
    for (size_t i = 0; i < replay->passes; i++)
        if (replay->pass[i].key == key)
            return &replay->pass[i];
    if (replay->passes == PASSES)
        return NULL;
    replay->pass[replay->passes].key = key;
    return &replay->pass[replay->passes++];
}

/* The first entry that no graph has been launched for. */
static size_t first_open(const struct df_cuda_replay *replay)
{
    return replay->segment ? replay->now->segment[replay->segment - 1].end : 0;
}

/* What has been asked since the last graph, one by one; so is the rest. */
static void ask_again(struct df_cuda *cuda, size_t end)
{
    struct df_cuda_replay *replay = cuda->replay;
    const struct pass *pass = replay->now;

    replay->mode = ONE_BY_ONE;
    for (size_t i = first_open(replay); i < end; i++)
        pass->entry[i].kind->run(cuda, pass->memory + pass->entry[i].at);
}

static void launch(struct df_cuda *cuda)
{
    struct df_cuda_replay *replay = cuda->replay;
    struct pass *pass = replay->now;
    const struct segment *segment = &pass->segment[replay->segment];

    df_cuda_send(cuda, pass->sent + segment->sent, pass->written + segment->sent, segment->sent_end - segment->sent);
    if (went_well(cudaGraphLaunch(segment->launched, cuda->stream))) {
        replay->segment++;
        return;
    }
    pass->attempts = ATTEMPTS;
    ask_again(cuda, segment->end);
}

/* ---- keeping ---- */

static void begin_capture(struct df_cuda *cuda)
{
    if (cuda->replay->capturing)
        return;
    DF_CUDA(cudaStreamBeginCapture(cuda->stream, cudaStreamCaptureModeRelaxed));
    cuda->replay->capturing = true;
}

/* What the last work has become, if it is one node. false: a library's work has ended the capture. */
static bool find_node(struct df_cuda *cuda, cudaGraphNode_t *node)
{
    enum cudaStreamCaptureStatus status;
    const cudaGraphNode_t *last;
    const cudaGraphEdgeData *edge;
    size_t count = 0;

    DF_CUDA(cudaStreamGetCaptureInfo(cuda->stream, &status, NULL, NULL, &last, &edge, &count));
    if (status != cudaStreamCaptureStatusActive)
        return false;
    *node = count == 1 ? last[0] : NULL;
    return true;
}

static struct entry *add_entry(struct pass *pass, const struct df_cuda_kind *kind, const void *work, size_t bytes)
{
    const size_t need = (bytes + 15) / 16 * 16;

    GROW(pass->entry, pass->entries, pass->entry_room);
    while (pass->used + need > pass->memory_room)
        pass->memory = (char *)df_realloc(pass->memory, pass->memory_room = pass->memory_room ? 2 * pass->memory_room : 1 << 16);
    memcpy(pass->memory + pass->used, work, bytes);
    pass->entry[pass->entries] = { kind, pass->used, bytes, NULL };
    pass->used += need;
    return &pass->entry[pass->entries++];
}

/* The capture leads to nothing; what was asked in it has to be asked again. */
static void abandon(struct df_cuda *cuda)
{
    cudaGraph_t graph = NULL;

    cuda->replay->capturing = false;
    cuda->replay->now->attempts = ATTEMPTS;
    (void)cudaStreamEndCapture(cuda->stream, &graph);
    (void)cudaGetLastError(); /* whatever it was: the work itself will say it */
    if (graph)
        DF_CUDA(cudaGraphDestroy(graph));
    ask_again(cuda, cuda->replay->now->entries);
}

bool df_cuda_replay_refuse(struct df_cuda *cuda)
{
    if (!cuda->replay || !cuda->replay->capturing)
        return false;
    abandon(cuda);
    return true;
}

/* Work whose run has ended the segment before it (scratch memory has moved) stands in no graph: it is done. */
static void keep(struct df_cuda *cuda, const struct df_cuda_kind *kind, const void *work, size_t bytes)
{
    cudaGraphNode_t node;

    begin_capture(cuda);
    kind->run(cuda, work);
    if (!cuda->replay->capturing)
        return;
    const bool active = find_node(cuda, &node);

    add_entry(cuda->replay->now, kind, work, bytes)->node = kind->change && active ? node : NULL;
    if (!active)
        abandon(cuda);
}

static bool end_capture(struct df_cuda *cuda, struct segment *segment)
{
    cuda->replay->capturing = false;
    if (!went_well(cudaStreamEndCapture(cuda->stream, &segment->graph)))
        return false;
    if (went_well(cudaGraphInstantiate(&segment->launched, segment->graph, 0)))
        return true;
    DF_CUDA(cudaGraphDestroy(segment->graph));
    return false;
}

static void end_segment(struct df_cuda *cuda)
{
    struct df_cuda_replay *replay = cuda->replay;
    struct pass *pass = replay->now;
    struct segment segment = { .end = pass->entries,
                               .sent = replay->segment ? pass->segment[replay->segment - 1].sent_end : 0,
                               .sent_end = pass->written_bytes };

    if (!replay->capturing)
        return;
    if (!end_capture(cuda, &segment)) {
        pass->attempts = ATTEMPTS;
        ask_again(cuda, pass->entries);
        return;
    }
    GROW(pass->segment, pass->segments, pass->segment_room);
    pass->segment[pass->segments++] = segment;
    launch(cuda);
}

/* ---- comparing ---- */

/* Whether what was kept is asked again, as it was or with arguments that can be changed. */
static bool is_next(struct df_cuda *cuda, const struct df_cuda_kind *kind, const void *work, size_t bytes)
{
    struct df_cuda_replay *replay = cuda->replay;
    struct pass *pass = replay->now;

    if (replay->segment == pass->segments || replay->at == pass->segment[replay->segment].end)
        return false;
    const struct entry *entry = &pass->entry[replay->at];
    char *kept = pass->memory + entry->at;

    if (entry->kind != kind || entry->bytes != bytes)
        return false;
    if (memcmp(kept, work, bytes) == 0)
        return true;
    if (!entry->node || memcmp(kept, work, kind->fixed) != 0 ||
        !went_well(kind->change(cuda, pass->segment[replay->segment].launched, entry->node, work)))
        return false;
    memcpy(kept, work, bytes);
    return true;
}

static void compare(struct df_cuda *cuda, const struct df_cuda_kind *kind, const void *work, size_t bytes)
{
    if (is_next(cuda, kind, work, bytes)) {
        cuda->replay->at++;
        return;
    }
    ask_again(cuda, cuda->replay->at);
    kind->run(cuda, work);
}

/* ---- who asks ---- */

void df_cuda_ask_kind(struct df_cuda *cuda, const struct df_cuda_kind *kind, const void *work, size_t bytes)
{
    const enum mode mode = cuda->replay ? cuda->replay->mode : ONE_BY_ONE;

    if (mode == KEEPING)
        keep(cuda, kind, work, bytes);
    else if (mode == COMPARING)
        compare(cuda, kind, work, bytes);
    else
        kind->run(cuda, work);
}

/* The most that was ever written where this pass writes next, this time included. */
static size_t largest_of(struct df_cuda *cuda, size_t bytes)
{
    struct df_cuda_replay *replay = cuda->replay;
    struct pass *pass = replay->now;
    const size_t at = replay->write++;

    if (at == pass->writes) {
        GROW(pass->largest, pass->writes, pass->largest_room);
        pass->largest[pass->writes++] = 0;
    }
    if (bytes > pass->largest[at])
        pass->largest[at] = bytes;
    return pass->largest[at];
}

/* Where there is not room enough the pass is counted anew. */
static void keep_written(struct df_cuda *cuda, char *to, const void *from_host, size_t bytes, size_t largest)
{
    struct df_cuda_replay *replay = cuda->replay;
    struct pass *pass = replay->now;
    const struct written work = { to, pass->written_bytes, aligned(largest), bytes };
    cudaGraphNode_t node;

    if (work.slot + work.room > pass->room) {
        end_segment(cuda);
        replay->broken = true;
        replay->mode = ONE_BY_ONE;
        df_cuda_send(cuda, to, from_host, bytes);
        return;
    }
    pass->written_bytes += work.room;
    memcpy(pass->written + work.slot, from_host, bytes);
    begin_capture(cuda);
    DF_CUDA(cudaMemcpyAsync(to, pass->sent + work.slot, bytes, cudaMemcpyDeviceToDevice, cuda->stream));
    const bool active = find_node(cuda, &node);

    add_entry(pass, &written_kind, &work, sizeof work)->node = active ? node : NULL;
    if (!active)
        abandon(cuda);
}

/* The slot is that of the entry whose turn it is, if it is a write and has the room. */
static void compare_written(struct df_cuda *cuda, char *to, const void *from_host, size_t bytes)
{
    struct df_cuda_replay *replay = cuda->replay;
    const struct pass *pass = replay->now;
    const struct entry *entry = replay->at < pass->entries ? &pass->entry[replay->at] : NULL;
    struct written work = { to, 0, 0, bytes };

    if (entry && entry->kind == &written_kind) {
        const struct written *kept = (const struct written *)(pass->memory + entry->at);

        work.slot = kept->slot;
        work.room = kept->room;
        if (bytes <= kept->room && is_next(cuda, &written_kind, &work, sizeof work)) {
            memcpy(pass->written + work.slot, from_host, bytes);
            replay->at++;
            return;
        }
    }
    ask_again(cuda, replay->at);
    df_cuda_send(cuda, to, from_host, bytes);
}

void df_cuda_write(struct df_device *device, void *to, const void *from_host, size_t bytes)
{
    struct df_cuda *cuda = df_cuda_of(device);
    const bool large = bytes > LARGE, counted = !large && bytes && cuda->replay && cuda->replay->now;
    const size_t largest = counted ? largest_of(cuda, bytes) : 0;

    if (large)
        df_cuda_replay_launch(cuda);
    if (counted && cuda->replay->mode == KEEPING)
        keep_written(cuda, (char *)to, from_host, bytes, largest);
    else if (counted && cuda->replay->mode == COMPARING)
        compare_written(cuda, (char *)to, from_host, bytes);
    else
        df_cuda_send(cuda, (char *)to, from_host, bytes);
}

void df_cuda_replay_launch(struct df_cuda *cuda)
{
    struct df_cuda_replay *replay = cuda->replay;

    if (!replay || !replay->now)
        return;
    if (replay->mode == KEEPING)
        end_segment(cuda);
    if (replay->mode != COMPARING || replay->at == first_open(replay))
        return;
    if (replay->at == replay->now->segment[replay->segment].end)
        launch(cuda);
    else
        ask_again(cuda, replay->at);
}

void df_cuda_replay_taken(struct df_cuda *cuda)
{
    df_cuda_replay_launch(cuda);
    if (cuda->replay)
        cuda->replay->broken = true;
}

void df_cuda_replay_moved(struct df_cuda *cuda)
{
    df_cuda_replay_taken(cuda);
    if (cuda->replay)
        cuda->replay->moved++;
}

/* ---- begin, end ---- */

static void begin_keeping(struct df_cuda *cuda, struct pass *pass)
{
    size_t room = 1;

    for (size_t i = 0; i < pass->writes; i++)
        room += aligned(pass->largest[i]);
    if (room > pass->room) { /* twice the room: the first time, when much is written once, may have been in another order */
        df_cuda_give(cuda, pass->sent);
        free(pass->written);
        pass->room = 2 * room;
        pass->written = (char *)df_calloc(1, pass->room);
        pass->sent = (char *)df_cuda_take(cuda, pass->room);
    }
    pass->written_bytes = 0;
    pass->moved = cuda->replay->moved;
}

void df_cuda_replay_begin(struct df_device *device, uint64_t key)
{
    static const enum mode mode_of[] = { COUNTING, KEEPING, COMPARING, ONE_BY_ONE };
    struct df_cuda *cuda = df_cuda_of(device);
    struct df_cuda_replay *replay = cuda->replay;

    if (!replay || device->profiling)
        return;
    DF_ASSERT(!replay->now);
    struct pass *pass = pass_of(replay, key);

    device->replays.passes++;
    if (!pass)
        return;
    if (pass->state == KEPT && pass->moved != replay->moved)
        drop(pass);
    if (pass->state == COUNTED)
        begin_keeping(cuda, pass);
    replay->now = pass;
    replay->mode = mode_of[pass->state];
    replay->at = replay->segment = replay->write = 0;
    replay->broken = false;
}

/* Whether it was in vain: kept, and not replayed often. */
static void give_up(struct pass *pass)
{
    if (pass->attempts < ATTEMPTS)
        pass->attempts = pass->replayed < PROVEN ? pass->attempts + 1 : 0;
    drop(pass);
}

static void settle_compared(struct df_device *device, struct pass *pass, bool whole)
{
    if (whole) {
        pass->misses = 0;
        pass->replayed++;
        device->replays.replayed++;
        if (device->replays.pieces < pass->segments)
            device->replays.pieces = pass->segments;
    } else if (++pass->misses == MISSES || pass->attempts == ATTEMPTS) {
        give_up(pass);
    }
}

void df_cuda_replay_end(struct df_device *device)
{
    struct df_cuda *cuda = df_cuda_of(device);
    struct df_cuda_replay *replay = cuda->replay;
    struct pass *pass = replay ? replay->now : NULL;

    if (!pass)
        return;
    df_cuda_replay_launch(cuda);
    const bool kept = replay->mode == KEEPING && !replay->broken;
    const bool replayed = replay->mode == COMPARING && replay->at == pass->entries;

    replay->now = NULL;
    replay->mode = ONE_BY_ONE;
    if (pass->state == COLD) {
        pass->state = COUNTED;
    } else if (pass->state == KEPT) {
        settle_compared(device, pass, replayed);
    } else if (pass->state == COUNTED && kept) {
        pass->state = KEPT;
        pass->misses = 0;
    } else if (pass->state == COUNTED) {
        give_up(pass);
    }
}

void df_cuda_replay_forget(struct df_device *device)
{
    struct df_cuda *cuda = df_cuda_of(device);
    struct df_cuda_replay *replay = cuda->replay;

    if (!replay)
        return;
    DF_ASSERT(!replay->now);
    for (size_t i = 0; i < replay->passes; i++)
        release(cuda, &replay->pass[i]);
    memset(replay->pass, 0, sizeof replay->pass);
    replay->passes = 0;
}

void df_cuda_replay_open(struct df_cuda *cuda) { cuda->replay = (struct df_cuda_replay *)df_calloc(1, sizeof *cuda->replay); }

void df_cuda_replay_close(struct df_cuda *cuda)
{
    struct df_cuda_replay *replay = cuda->replay;

    for (size_t i = 0; replay && i < replay->passes; i++)
        release(cuda, &replay->pass[i]);
    cuda->replay = NULL;
    free(replay);
}
