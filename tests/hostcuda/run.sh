#!/bin/sh
# The GPU device on its double: planted faults, the conformance tests on 'cuda', what it says when there is no driver or no memory, and two
# short trainings with DeFeat whose losses must follow the CPU's and whose bits must not depend on the order of threads. The argument is the build folder; needs `make hostcuda` before. Ends with one line of totals; exit 1 if
# anything failed.
build=$1
passed=0 failed=0 skipped=0
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT INT TERM

count() { grep -c "$1" "$work/log"; }
# report STATUS NAME: counts the test whose output is in $work/log
report() {
    if [ "$1" = 0 ]; then
        printf '  ok    %s\n' "$2"
    else
        failed=$((failed + 1))
        printf '  FAIL  %s (exit %d)\n' "$2" "$1"
        grep -v '^\[ RUN\|^\[       OK' "$work/log" | sed 's/^/      /' | tail -n 40
    fi
}

for test in "$build"/hostcuda/test_double "$build"/hostcuda/tests/*/*/test_*; do
    case $test in *.o | *.d) continue ;; esac
    DEFEAT_TEST_DEVICE=cuda "$test" >"$work/log" 2>&1
    status=$?
    report $status "${test#"$build"/}"
    passed=$((passed + $(count '^\[       OK \]')))
    [ $status = 0 ] && skipped=$((skipped + $(count '^\[ RUN') - $(count '^\[       OK \]')))
done

# says TEXT COMMAND...: the command fails with this text
says() {
    text=$1
    shift
    "$@" >"$work/log" 2>&1 && echo "this went well: $*" >>"$work/log"
    grep -qF "$text" "$work/log"
    status=$?
    report $status "says: $text"
    [ $status = 0 ] && passed=$((passed + 1))
}
defeat=$build/hostcuda/defeat small=tests/hostcuda/retinanet.json
says "device 'cuda' cannot be used: CUDA driver version is insufficient" env HOSTCUDA_DEVICES=none "$defeat" status $small --device cuda
says "device 'cuda' cannot be used: no CUDA-capable device is detected" env HOSTCUDA_DEVICES=0 "$defeat" status $small --device cuda
says "[use 'cpu', or wait for the process that holds it" env HOSTCUDA_DEVICES=busy "$defeat" run $small --cell 0 --device cuda --out "$work/none"
says "there is no device 'cuda:3': this machine has 1 GPU" "$defeat" status $small --device cuda:3
says "out of memory on device 'cuda:0': asked for 32.0 MiB, free 28.6 MiB of 28.6 MiB" \
    env HOSTCUDA_MEMORY=30000000 "$defeat" run $small --cell 0 --device cuda --out "$work/none"
# packed as for a GPU node
DEFEAT_BUILD=$build/hostcuda sh tests/cuda/test_bundle.sh >"$work/log" 2>&1
status=$?
report $status "the bundle of the double"
[ $status = 0 ] && passed=$((passed + 1))
for call in cudaMallocHost cudaMemcpyAsync cudaEventRecord cublasSgemm cudaLaunchKernelEx cudnnCreate; do
    says "' to $call(" env HOSTCUDA_FAIL=$call DEFEAT_TEST_DEVICE=cuda "$build/hostcuda/tests/core/device/test_conv"
done
# an algorithm that turns out not to run makes way for the next
HOSTCUDA_FAIL=cudnnConvolutionForward DEFEAT_TEST_DEVICE=cuda "$build/hostcuda/tests/core/device/test_conv" >"$work/log" 2>&1
report $? "the first algorithm of a convolution fails"
# a convolution that turns out not to run with its bias in one call is two calls from then on, in passes that are kept as well: the first, or every one
fused=cudnnConvolutionBiasActivationForward
for fail in $fused:1 $fused:0; do
    for test in test_conv test_replay; do
        HOSTCUDA_FAIL=$fail DEFEAT_TEST_DEVICE=cuda "$build/hostcuda/tests/core/device/$test" >"$work/log" 2>&1
        status=$?
        report $status "$test where $fail fails"
        [ $status = 0 ] && passed=$((passed + 1))
    done
done
# what will not be captured, made a graph, launched or changed, is asked kernel by kernel
for fail in $fused:3 cudaStreamEndCapture:1 cudaStreamEndCapture:4 cudaGraphInstantiate:2 cudaGraphLaunch:3 cudaGraphLaunch:9 \
    cudaGraphExecKernelNodeSetParams:2 cudaGraphExecMemcpyNodeSetParams1D:1; do
    DEFEAT_TEST_UNCOUNTED=1 HOSTCUDA_FAIL=$fail DEFEAT_TEST_DEVICE=cuda "$build/hostcuda/tests/core/device/test_replay" >"$work/log" 2>&1
    status=$?
    report $status "test_replay where $fail fails"
    [ $status = 0 ] && passed=$((passed + 1))
done
# where it runs, the convolution alone is never asked for
HOSTCUDA_FAIL=cudnnConvolutionForward:0 DEFEAT_TEST_DEVICE=cuda "$build/hostcuda/tests/core/device/test_replay" >"$work/log" 2>&1
status=$?
report $status "convolutions with their bias are one call"
[ $status = 0 ] && passed=$((passed + 1))
# a call that has run before must not fail
says "cuDNN says 'CUDNN_STATUS_NOT_SUPPORTED'" env HOSTCUDA_FAIL=$fused:2 DEFEAT_TEST_DEVICE=cuda "$build/hostcuda/tests/core/device/test_conv"

# there is no more pinned memory to be had: the first three pieces are taken when the device is opened
HOSTCUDA_FAIL=cudaMallocHost:4 DEFEAT_TEST_DEVICE=cuda "$build/hostcuda/tests/core/device/test_device_pool" >"$work/log" 2>&1
status=$?
report $status "pinned memory that does not grow"
[ $status = 0 ] && passed=$((passed + 1))

# Every loss of the curve, and each of its terms, within 1e-3 of the CPU's (relative; terms below 1e-3 of the loss: of the loss). The two runs
# compute the same sums in other orders; after a few steps of a few hundred thousand operations that is far below 1e-3. Lines: run,step,epoch,
# split,metric,value; a loss stands before its terms.
compare='
    BEGIN { FS = "," }
    FNR == 1 { file++ }
    $5 != "loss" && $5 !~ /^term\./ { next }
    { n = ++count[file]; step[file, n] = $2 " " $5; value[file, n] = $6 }
    END {
        if (count[1] < 6 || count[1] != count[2]) { printf "%d and %d values of the curves\n", count[1], count[2]; exit 1 }
        for (n = 1; n <= count[1]; n++) {
            a = value[1, n]; b = value[2, n]
            size = a < 0 ? -a : a
            if (step[1, n] ~ / loss$/) { total = size; points++ } else if (size < total / 1000) size = total / 1000
            off = (a > b ? a - b : b - a) / size; if (off > worst) worst = off
            if (step[1, n] != step[2, n] || b !~ /^-?[0-9]/ || off > 1e-3) { printf "step %s: cpu %s, cuda %s\n", step[1, n], a, b; bad = 1 }
        }
        printf "%d points, largest difference %.1e\n", points, worst
        exit bad || points < 5
    }'
cpu() { "$build/defeat" sweep "tests/hostcuda/$1.json" --jobs 1 --out "$work/cpu"; }
cuda() { "$defeat" sweep "tests/hostcuda/$1.json" --device cuda --jobs 1 --out "$work/cuda"; }
# both KIND: on the CPU and on the double, then the comparison
both() { cpu "$1" && cuda "$1" && awk "$compare" "$work/cpu/double-$1/curves.csv" "$work/cuda/double-$1/curves.csv"; }
# background NAME COMMAND...: its output in NAME.log, its exit status in NAME.status
background() {
    name=$1
    shift
    { "$@" >"$work/$name.log" 2>&1; echo $? >"$work/$name.status"; } &
}
# ended NAME WHAT: reports it
ended() {
    status=$(cat "$work/$1.status")
    cp "$work/$1.log" "$work/log"
    report "$status" "$2"
    [ "$status" = 0 ] && passed=$((passed + 1))
}
background retinanet both retinanet
background faster_rcnn both faster_rcnn
background backwards env HOSTCUDA_BACKWARDS=1 "$defeat" sweep $small --device cuda --jobs 1 --out "$work/backwards"
background alone env DEFEAT_GRAPHS=0 "$defeat" sweep $small --device cuda --jobs 1 --out "$work/alone"
for fail in cudaGraphInstantiate:4 cudaStreamEndCapture:3 cudaGraphExecKernelNodeSetParams:2 cudaGraphLaunch:5; do
    background "${fail%:*}" env HOSTCUDA_FAIL=$fail "$defeat" run $small --device cuda --cell 0 --out "$work/${fail%:*}"
done
background alone2 env DEFEAT_GRAPHS=0 "$defeat" sweep tests/hostcuda/faster_rcnn.json --device cuda --jobs 1 --out "$work/alone2"
background live "$defeat" sweep $small --device cuda --jobs 1 --cache off --out "$work/live"
wait
for kind in retinanet faster_rcnn; do
    ended $kind "training: $kind ($(tail -n 1 "$work/$kind.log"))"
done
# same OTHER WHAT [DETECTOR]: its student has the bits of the first training
same() {
    cmp "$work/cuda/double-${3:-retinanet}"/runs/*/student.safetensors "$work/$1/double-${3:-retinanet}"/runs/*/student.safetensors \
        >>"$work/$1.log" 2>&1 || echo 1 >"$work/$1.status"
    ended "$1" "training: the same bits $2"
}
same backwards "with blocks and threads the other way round"
same live "with a teacher that runs live"
same alone "with every kernel launched on its own"
same alone2 "with every kernel launched on its own, in two stages" faster_rcnn
for fail in cudaGraphInstantiate cudaStreamEndCapture cudaGraphExecKernelNodeSetParams cudaGraphLaunch; do
    same $fail "where $fail fails once"
done
# However TF32 is said, it is one run, and another than float32's.
plain() { "$defeat" "$@" $small --set teacher=null --set 'methods=[{"label":"none"}]' --out "$work/tf32"; }
# finished N WORDS...: so many cells
finished() {
    n=$1
    shift
    plain status "$@" | awk -v n="$n" '$1 == "none" { found = $2 == n } END { exit !found }'
}
{
    plain run --cell 0 --device cuda+tf32 && finished 1 --device cuda --set precision=tf32 && finished 1 --set device=cuda:0+tf32 &&
        finished 1 --device cuda+tf32 --set precision=float32 && finished 0 --device cuda &&
        grep -q '"device":"cuda","precision":"tf32"}' "$work"/tf32/double-retinanet/runs/*/row.json
} >"$work/log" 2>&1
status=$?
report $status "precision: a key of the cell, however it is said"
[ $status = 0 ] && passed=$((passed + 1))
student=$(find "$work/cuda/double-retinanet" -name student.safetensors)
predict() { "$defeat" predict $small --cell 0 --limit 2 --checkpoint "$student" --output "$work/$1.json" --device "$1"; }
{ predict cpu && predict cuda; } >"$work/log" 2>&1
status=$?
report $status "a checkpoint of cuda on both devices"
[ $status = 0 ] && passed=$((passed + 1))
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
