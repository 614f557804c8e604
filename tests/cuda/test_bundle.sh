#!/bin/sh
# `make bundle` on its own: packed from the build, unpacked elsewhere, run in an empty environment whose PATH holds no compiler and no Python. What
# run.sh says where something is missing: with a program of two lines that asks for libraries which are nowhere. The build may be the CPU's or the
# double of CUDA (make hostcuda).
build=${DEFEAT_BUILD:?}
[ -x "$build/defeat" ] || { echo "no program '$build/defeat' [make all]"; exit 77; }
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
build=$(cd "$build" && pwd) root=$PWD
export XZ_OPT=-0
log=$folder/log

die() { echo "FAILED: $*"; cat "$log"; exit 1; }
says() { grep -qF -- "$1" "$log" || die "no '$1'"; }
# expect STATUS COMMAND...: it exits so
expect() {
    wanted=$1
    shift
    "$@" >"$log" 2>&1
    status=$?
    [ $status = "$wanted" ] || die "exit $status, expected $wanted: $*"
}
# pack NAME: $folder/NAME.build, unpacked in $folder/NAME
pack() {
    expect 0 sh tests/cuda/bundle.sh "$folder/$1.build" "$folder/$1.tar.xz"
    mkdir "$folder/$1"
    tar -xJf "$folder/$1.tar.xz" -C "$folder/$1" --strip-components=1 || die "cannot unpack $1"
}

# all that the machine has
mkdir "$folder/path"
for tool in awk basename cat cmp cp cut date dirname env find getconf grep head mkdir mktemp nvidia-smi paste realpath rm sed sh sort tail timeout tr uname wc; do
    at=$(command -v $tool) && ln -s "$at" "$folder/path/$tool"
done
bare() { env -i PATH="$folder/path" "$@"; }

# ---- the program, with three of its tests ----
for name in core/nn/test_schedule core/device/test_pool; do
    mkdir -p "$folder/real.build/tests/${name%/*}"
    cp "$build/tests/$name" "$folder/real.build/tests/$name" || die "no $name [make tests]"
done
mkdir -p "$folder/real.build/tests/ablations/run"
cp "$build/tests/core/nn/test_schedule" "$folder/real.build/tests/ablations/run/test_step_log"
cp "$build/defeat" "$folder/real.build"
pack real
device=cpu
! "$build/defeat" version | grep -q '^devices.* cuda' || device=cuda
says "4 programs"
says "device $device"
for file in ablations/specs/*.json $([ ! -d results/teachers ] || find results/teachers -type f); do
    cmp "$file" "$folder/real/$file" || die "not packed: $file"
done
cd "$folder/real" || exit 1
for file in lib/libcjson.so.1 lib/libcmocka.so.0 LICENSE; do [ -f $file ] || die "$file is not packed"; done
[ ! -e lib/libc.so.6 ] || die "the C library is packed"
[ "$(cd bin && find . -type f | wc -l)" = 4 ] || die "bin/ holds something else"

mkdir "$folder/empty" && cd "$folder/empty" || exit 1
expect 0 bare ../real/run.sh version
says "defeat $("$build/defeat" version | sed -n 's/^defeat //p')"
expect 2 bare ../real/run.sh
says "./run.sh test [REPORT.md]"
expect 2 bare ../real/run.sh sweep --nonsense
expect 0 bare PARTS="machine conformance" ../real/run.sh test
says "2 passed, 0 failed, 0 left out"
cp report-*.md "$log" || die "no report named after the card"
says "# DeFeat Bench on "
says "| conformance | ok |"
says "test_pool"
says "Only these parts were asked for: machine conformance."
[ $device = cpu ] || says "DeFeat Bench on host double 0"
expect 1 bare LIMIT=0 PARTS=machine ../real/run.sh test late.md
says "1 failed"
grep -q 'no time left' late.md || die "late.md does not say that there was no time"
expect 2 bare PARTS=nonsense ../real/run.sh test
says "unknown part 'nonsense'"
printf '#!/bin/sh\necho it is broken\nexit 3\n' >../real/bin/tests/core/nn/test_schedule
expect 1 bare PARTS=conformance ../real/run.sh test broken.md
grep -q 'it is broken' broken.md || die "broken.md does not tell what a test said"
grep -q '^| conformance | FAILED: exit 1 |' broken.md || die "broken.md does not tell that a test failed"
# refuses DEVICE TEXT [NAME=VALUE...]: the test does not begin, and leaves no report
refuses() {
    says=$2 on=$1
    shift 2
    expect 1 bare DEVICE="$on" "$@" ../real/run.sh test none.md
    says "$says"
    [ ! -e none.md ] || die "a report of nothing"
}
if [ $device = cpu ]; then
    refuses cuda "device 'cuda' is not in this build"
else
    refuses cuda "install NVIDIA's driver for CUDA" HOSTCUDA_DEVICES=none
    refuses cuda "ask the queue for a GPU" HOSTCUDA_DEVICES=0
    refuses cuda "wait for the process that holds it" HOSTCUDA_DEVICES=busy
    refuses cuda:3 "there is no device 'cuda:3'" HOSTCUDA_DEVICES=1
    refuses cuda "out of memory on device" HOSTCUDA_MEMORY=30000000
fi
sed 's/ [^ ]* \([0-9.]*\)$/ pdp11 \1/' ../real/packed >"$folder/packed" && cp "$folder/packed" ../real/packed
expect 1 bare ../real/run.sh version
says "was packed for pdp11"


# ---- steps beside PyTorch's: a Python that says what torch_step.py would ----
cd "$root" || exit 1
cat >"$folder/python" <<'PYTHON'
#!/bin/sh
[ "$1" = -c ] && exit
echo "asked: $*"
echo "eager          fastest step 0.40 ms, 20000.0 images/s"
echo "channels-last  fastest step 0.02 ms, 400000.0 images/s"
case $* in *--distilled*)
    echo "eager          fastest distilled step 0.90 ms, 8888.9 images/s, 2.25 times a plain one"
    echo "channels-last  fastest distilled step 0.03 ms, 266666.7 images/s, 1.50 times a plain one" ;;
esac
PYTHON
chmod +x "$folder/python"
# steps WHICH PYTHON: the row of tiny's steps, or of its distilled steps; all that was said is in the log
steps() {
    rm -rf "$folder/steps" && mkdir "$folder/steps"
    expect 0 env PYTHON="$2" sh tests/cuda/report.sh "$build" none.md "$device" step "$folder/steps" "$1" ablations/specs/tiny.json "$device" 3
    row=$(cat "$folder/steps/table")
}
# row LABEL THEIRS: the row is what the log says of ours, and THEIRS
row() {
    ours=$(sed -n "s/^$1 .*fastest \([0-9.]*\)).*/\1/p" "$log")
    wanted=$(awk -v ours="$ours" -v theirs="$2" 'BEGIN { printf "| tiny.json | cpu | %.2f | %s | %s |", ours, theirs, theirs == "-" ? "-" : sprintf("%.2f", theirs / ours) }')
    [ "$ours" ] && [ "$row" = "$wanted" ] || die "the row is '$row', expected '$wanted'"
}
if [ $device = cpu ]; then # the double takes a minute for what a GPU does in a second
    steps steps "$folder/python"
    says "where a step of 'none' spends its time"
    says "teacher's cache"
    says "asked: tests/peers/torch_step.py --device cpu --steps 3"
    ! grep -q 'asked: .*--distilled' "$log" || die "distilled steps that nobody asked for"
    row none 0.02
    steps distilled "$folder/python"
    says "teacher, live"
    says "asked: tests/peers/torch_step.py --device cpu --steps 3 --rounds 1 --modes eager,channels-last --distilled ablations/specs/tiny.json"
    row DeFeat 0.03
    steps distilled "$folder/nobody"
    says "PyTorch's side is left out: '$folder/nobody' cannot import torch"
    row DeFeat -
fi

# ---- a program whose libraries are nowhere ----
stubs=$folder/stubs
mkdir -p "$stubs" "$folder/stub.build/tests/core/device" "$folder/stub.build/tests/core/nn" "$folder/stub.build/tests/ablations/run"
# stub NAME FUNCTION [VERSION]: a library; its function's version
stub() {
    echo "${3:-STUB_1} { $2; };" >"$folder/version"
    echo "int $2(void) { return 0; }" | cc -shared -fPIC -Wl,-soname,"$1" -Wl,--version-script,"$folder/version" -x c - -o "$stubs/$1" || die "cannot make $1"
}
stub libcudnn.so.99 dnn
stub libcublas.so.99 blas
stub libgcc_s.so.99 gcc
stub libours.so.9 ours GLIBC_9.9
cat >"$folder/stub.c" <<'C'
#include <stdio.h>
int dnn(void), blas(void), gcc(void), ours(void);
int main(void)
{
    puts("defeat 123\ndevices cpu, cuda");
    return dnn() + blas() + gcc() + ours();
}
C
cc "$folder/stub.c" -o "$folder/stub.build/defeat" "$stubs"/lib*.so.* || die "cannot make the program"
cp "$folder/stub.build/defeat" "$folder/stub.build/tests/core/device/test_it"
cp "$folder/stub.build/defeat" "$folder/stub.build/tests/ablations/run/test_step_log"
expect 1 sh tests/cuda/bundle.sh "$folder/stub.build" "$folder/none.tar.xz"
says "cannot start"
LD_LIBRARY_PATH=$stubs pack stub
says "device cuda"
[ "$(cd "$folder/stub/lib" && find . -type f -name '*.so*' | sort | tr '\n' ' ')" = "./gcc/libgcc_s.so.99 ./libours.so.9 " ] || die "lib/ holds $(find "$folder/stub/lib")"

cd "$folder/stub" || exit 1
expect 1 bare ./run.sh version
says "not found: libcublas.so.99 libcudnn.so.99; neither in the system"
says "pip install nvidia-cuda-runtime nvidia-cublas nvidia-cuda-nvrtc nvidia-cudnn-cu13"
mkdir -p "$folder/home/lib64" "$folder/site/nvidia/cudnn/lib" "$folder/site/nvidia/cu99/lib"
cp "$stubs"/libcu* "$folder/home/lib64"
expect 0 bare CUDA_HOME="$folder/home" ./run.sh version
says "defeat 123"
expect 0 bare LD_LIBRARY_PATH="$folder/home/lib64" ./run.sh version
if python=$(python3 -c 'import sys; print(sys.executable)' 2>/dev/null); then
    cp "$stubs/libcudnn.so.99" "$folder/site/nvidia/cudnn/lib"
    expect 1 bare PYTHON="$python" PYTHONPATH="$folder/site" ./run.sh version
    says "not found: libcublas.so.99; neither in the system"
    says "$folder/site/nvidia/cudnn/lib"
    cp "$stubs/libcublas.so.99" "$folder/site/nvidia/cu99/lib"
    expect 0 bare PYTHON="$python" PYTHONPATH="$folder/site" ./run.sh version
    rm "$folder/home/lib64/libcublas.so.99" "$folder/site/nvidia/cudnn/lib/libcudnn.so.99"
    expect 0 bare PYTHON="$python" PYTHONPATH="$folder/site" CUDA_HOME="$folder/home" ./run.sh version
else
    echo "no python3 here: folders of a Python environment are not looked for"
fi
cp "$stubs"/libcu* "$folder/home/lib64"
stub libours.so.9 ours GLIBC_1.1
cp "$stubs/libours.so.9" lib
expect 1 bare CUDA_HOME="$folder/home" ./run.sh version
says "the C library here is older than the program"
rm lib/libours.so.9
expect 1 bare CUDA_HOME="$folder/home" ./run.sh version
says "not found: libours.so.9 [unpack the archive again"
