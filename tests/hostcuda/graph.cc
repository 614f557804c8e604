/* Graphs: what a captured stream was given, run one after the other, as often as it is asked. */
#include "hostcuda.h"

#include <vector>

using namespace hostcuda;

struct CUgraphNode_st {
    size_t place;
    Node node;
};
struct CUgraph_st {
    std::deque<CUgraphNode_st> nodes; /* which stay where they are */
    cudaGraphNode_t last = nullptr;
};
struct Step {
    const char *name;
    std::function<void()> run;
};
struct CUgraphExec_st {
    cudaGraph_t graph;
    std::vector<Step> steps;
};

void hostcuda::add_node(cudaGraph_t graph, Node node)
{
    graph->nodes.push_back({ graph->nodes.size(), std::move(node) });
    graph->last = &graph->nodes.back();
}

#define HOSTCUDA_ENTER(name)                                                                                                               \
    do {                                                                                                                                   \
        if (enter(name))                                                                                                                   \
            return cudaErrorUnknown;                                                                                                       \
    } while (0)

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode mode)
{
    HOSTCUDA_ENTER("cudaStreamBeginCapture");
    if (mode != cudaStreamCaptureModeRelaxed)
        fault("only relaxed capture is part of the double");
    if (!stream || captured(stream))
        fault("the stream %s", stream ? "is captured already" : "is the default one, which cannot be captured");
    cudaGraph_t graph = new CUgraph_st;

    object_made(graph, GRAPH);
    begin_capture(stream, graph);
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph)
{
    const bool fails = enter("cudaStreamEndCapture");

    *graph = captured(stream);
    if (!*graph)
        fault("the stream is not captured");
    begin_capture(stream, nullptr);
    if (!fails)
        return cudaSuccess;
    cudaGraphDestroy(*graph);
    *graph = nullptr;
    return cudaErrorUnknown;
}

cudaError_t cudaStreamGetCaptureInfo(cudaStream_t stream, enum cudaStreamCaptureStatus *status, unsigned long long *id, cudaGraph_t *graph,
                                     const cudaGraphNode_t **dependencies, const cudaGraphEdgeData **edges, size_t *count)
{
    static const cudaGraphEdgeData plain = {};
    cudaGraph_t into = captured(stream);

    HOSTCUDA_ENTER("cudaStreamGetCaptureInfo");
    *status = into ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
    if (!into)
        return cudaSuccess;
    if (id)
        *id = 1;
    if (graph)
        *graph = into;
    if (dependencies)
        *dependencies = &into->last;
    if (edges)
        *edges = &plain;
    if (count)
        *count = into->last ? 1 : 0;
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
    HOSTCUDA_ENTER("cudaGraphDestroy");
    object_gone(graph, GRAPH);
    delete graph;
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long flags)
{
    HOSTCUDA_ENTER("cudaGraphInstantiate");
    object_check(graph, GRAPH);
    if (flags)
        fault("flags are not part of the double");
    *exec = new CUgraphExec_st{ graph, {} };
    for (const CUgraphNode_st &one : graph->nodes)
        (*exec)->steps.push_back({ one.node.name, one.node.run });
    object_made(*exec, GRAPH_EXEC);
    return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream)
{
    HOSTCUDA_ENTER("cudaGraphLaunch");
    object_check(exec, GRAPH_EXEC);
    if (captured(stream))
        fault("graphs in graphs are not part of the double");
    enqueue(stream, "cudaGraphLaunch", [steps = exec->steps] {
        for (const Step &step : steps) {
            running(step.name);
            step.run();
        }
        running(nullptr);
    });
    return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec)
{
    HOSTCUDA_ENTER("cudaGraphExecDestroy");
    object_gone(exec, GRAPH_EXEC);
    delete exec;
    return cudaSuccess;
}

/* The graph lives and has the node, or a fault. */
static const CUgraphNode_st &node_of(cudaGraphExec_t exec, cudaGraphNode_t node)
{
    object_check(exec, GRAPH_EXEC);
    object_check(exec->graph, GRAPH);
    for (const CUgraphNode_st &one : exec->graph->nodes)
        if (&one == node)
            return one;
    fault("%p is no node of this graph", static_cast<void *>(node));
}

cudaError_t cudaGraphExecKernelNodeSetParams(cudaGraphExec_t exec, cudaGraphNode_t node, const struct cudaKernelNodeParams *params)
{
    HOSTCUDA_ENTER("cudaGraphExecKernelNodeSetParams");
    const CUgraphNode_st &one = node_of(exec, node);

    if (!one.node.with)
        fault("the node is no kernel");
    exec->steps[one.place].run = one.node.with(params);
    return cudaSuccess;
}

cudaError_t cudaGraphExecMemcpyNodeSetParams1D(cudaGraphExec_t exec, cudaGraphNode_t node, void *to, const void *from, size_t bytes,
                                               enum cudaMemcpyKind kind)
{
    HOSTCUDA_ENTER("cudaGraphExecMemcpyNodeSetParams1D");
    const CUgraphNode_st &one = node_of(exec, node);

    if (!one.node.copying)
        fault("the node is no copy");
    if (kind != cudaMemcpyDeviceToDevice || !bytes)
        fault("copies of kind %d and %zu bytes in graphs are not part of the double", int(kind), bytes);
    exec->steps[one.place].run = one.node.copying(to, from, bytes);
    return cudaSuccess;
}
