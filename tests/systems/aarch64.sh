#!/bin/sh
# AArch64 without a machine of that kind: Debian 12's cross compiler and libraries, qemu in user mode. For root; needs some 4 GB.
#   sh tests/systems/aarch64.sh
# Builds without a warning, runs the device's conformance tests, then every reference cell (tests/reference/): rows, students and teachers must have the
# bits that this machine's own build gives. qemu starts one program and not what that starts: cells are run one by one, without a sweep.
. "$(dirname "$0")/bare.sh"
[ $# = 0 ] || usage

cross='make WERROR=1 CC=aarch64-linux-gnu-gcc BUILD=build/aarch64'
began=$(date +%s)
log=$WORK/aarch64.log

# step WHAT COMMAND: what it says goes to the log
step() {
    echo "== aarch64: $1 ($(($(date +%s) - began)) s so far)"
    echo "== $1" >>"$log"
    inside run-aarch64 "$2" >"$WORK/aarch64.step" 2>&1 && status=0 || status=$?
    cat "$WORK/aarch64.step" >>"$log"
    [ $status = 0 ] || {
        tail -n 40 "$WORK/aarch64.step" | sed 's/^/    /'
        echo "aarch64: FAILED: $1 (exit $status), after $(($(date +%s) - began)) s; all it said: $log"
        exit 1
    }
}

fresh run-aarch64 bookworm
: >"$log"
step 'the cross compiler, its libraries and qemu' "export DEBIAN_FRONTEND=noninteractive
    dpkg --add-architecture arm64 && $cross deps && apt-get install -y -qq --no-install-recommends qemu-user-static"
step 'build' "$cross -j\$(nproc) all \$(printf 'build/aarch64/%s ' \$(ls tests/core/device/*.c | sed 's/\.c\$//'))"
step "the device's conformance" "EMULATOR=qemu-aarch64-static sh tests/run.sh build/aarch64 core/device"
totals=$(tail -n 1 "$WORK/aarch64.step")
step "this machine's own build" "make deps && make -j\$(nproc) BUILD=build/own build/own/defeat build/own/tests/ablations/test_reference"
step 'the reference cells on this machine' 'build/own/tests/ablations/test_reference &&
    for spec in tests/reference/*.json; do build/own/defeat sweep $spec --out out/own || exit 1; done'
step 'the reference cells' 'for spec in tests/reference/*.json; do
        build/own/defeat sweep $spec --dry-run --out out/none | sed "s,\t.*,,; s,^,$spec ,"
    done | xargs -n 2 -P $(nproc) sh -c '"'"'qemu-aarch64-static build/aarch64/defeat run $0 --cell $1 --out out/aarch64'"'"
# Of a file of weights what follows its header, which names the machine.
step 'the same bits' 'for side in aarch64 own; do
        for spec in tests/reference/*.json; do build/own/defeat status $spec --rows --out out/$side || exit 1; done >$side.rows
        (cd out/$side && find . -name "*.safetensors" | sort | while read -r file; do
            tail -c +$(($(od -A n -t u8 -N 8 "$file") + 9)) "$file" | sha256sum | sed "s,-,$file,"
        done) >$side.weights
    done
    for what in rows weights; do diff aarch64.$what own.$what >difference || { cut -c 1-200 difference; exit 1; }; done
    echo "$(grep -c ,ok, own.rows) rows, $(wc -l <own.weights) files of weights"'
bits=$(tail -n 1 "$WORK/aarch64.step")
rm -rf --one-file-system "$WORK/run-aarch64" "$WORK/aarch64.step"
echo "aarch64: $totals; $bits as on $(uname -m), $(($(date +%s) - began)) s"
