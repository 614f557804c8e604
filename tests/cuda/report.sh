#!/bin/sh
# What a machine with a GPU is asked, in under 6 minutes: the conformance suite on `cuda`, same seed = same bits, with CUDA graphs and without, a short training beside the
# CPU's, a checkpoint that changes devices, steps of both detectors, small and at 800x800, beside PyTorch's, memcheck over one cell, and where
# time is left distilled steps at 800x800.
#   sh tests/cuda/report.sh BUILD REPORT [DEVICE]
#     BUILD      folder of the program and its tests (make CUDA=1)
#     REPORT     the Markdown file; a name that ends in / is a folder, and the file is named after the card
#     DEVICE     default cuda; on cpu the parts that compare with the CPU are left out
#   In the environment: PARTS (default: all of them), LIMIT (seconds: what has not begun by then fails), PYTHON (python3: what it cannot
#   import is left out), PYTHON_LIBRARIES (its LD_LIBRARY_PATH, where the program's own is another).
# Exit 1 if anything failed.
build=${1:?} report=${2:?} device=${3:-cuda}
defeat=$build/defeat
python=${PYTHON:-python3}

machine() {
    uname -srm
    [ "$device" = cpu ] || nvidia-smi --query-gpu=name,driver_version,memory.total,memory.used,clocks.max.sm --format=csv ||
        echo "nvidia-smi says nothing"
    "$defeat" version && card
}

# one step of training and a look at the row it leaves: "NVIDIA H200, 140 GiB, ..."
opens() {
    "$defeat" run ablations/specs/tiny.json --cell 0 --device "$device" --out "$out/opens" --set data.train=8 --set data.tune=2 \
        --set data.validation=2 --set schedule.epochs=1 >"$out/log" 2>&1
}
card() { sed -n 's/.*"card":"\([^"]*\)".*/\1/p' "$out"/opens/*/runs/*/row.json; }

conformance() {
    bad=1
    for part in core/device core/nn ablations/run/test_step_log; do
        [ -e "$build/tests/$part" ] || { echo "no test programs in '$build/tests/$part' [make tests, or unpack the archive again]"; return 1; }
    done
    for test in $(find "$build/tests/core/device" "$build/tests/core/nn" "$build/tests/ablations/run/test_step_log" -type f -perm -u+x -name 'test_*' ! -name '*.*' | sort); do
        [ -f "$out/ran" ] || bad=0
        : >"$out/ran"
        DEFEAT_TEST_DEVICE=$device "$test" >"$out/log" 2>&1
        status=$?
        printf '%-40s exit %d, %s passed, %s skipped\n' "${test#"$build"/}" $status "$(grep -c '^\[       OK' "$out/log")" \
            "$(grep -c '^\[  SKIPPED \] [A-Za-z_]' "$out/log")"
        [ $status = 0 ] || { bad=1; grep -v '^\[ RUN\|^\[       OK' "$out/log" | tail -n 20; }
    done
    return $bad
}

# train SPEC CELL FOLDER DEVICE
train() { "$defeat" run "ablations/specs/$1" --cell "$2" --out "$out/$3" --device "$4" >/dev/null; }
student() { find "$out/$1" -name student.safetensors; }

same_bits() {
    train tiny.json 10 first "$device" && train tiny.json 10 second "$device" && (export DEFEAT_GRAPHS=0 && train tiny.json 10 third "$device") || return 1
    cmp "$(student first)" "$(student second)" && cmp "$(student first)" "$(student third)" &&
        echo "three trainings, one seed, the third without graphs: the same bits"
}

# losses SPEC FOLDER DEVICE: point,step,loss of its one run; `table` makes the CSV of the row
losses() {
    "$defeat" table "ablations/specs/$1" --out "$out/$2" --device "$3" >/dev/null || return 1
    awk -F, '$5 == "loss" { print n++ "," $2 "," $6 }' "$out/$2"/*/curves.csv >"$out/$2.losses"
}

# follows SPEC CELL: the largest relative difference of the losses along the curves; up to 1 % is rounding that training has carried on
follows() {
    train "$1" "$2" "cpu-$1" cpu && train "$1" "$2" "gpu-$1" "$device" || return 1
    losses "$1" "cpu-$1" cpu && losses "$1" "gpu-$1" "$device" || return 1
    paste -d, "$out/cpu-$1.losses" "$out/gpu-$1.losses" | awk -F, -v device="$device" '
        { d = $3 - $6; d = (d < 0 ? -d : d) / $3; if (!(d <= most)) most = d; rows++
                 printf "step %4d: loss %.6f on cpu, %.6f on %s\n", $2, $3, $6, device }
        END { printf "largest relative difference %.2e over %d points\n", most, rows; exit !(rows >= 5 && most <= 0.01) }'
}

# the student that the GPU trained predicts on both
moves() {
    for d in cpu "$device"; do
        "$defeat" predict ablations/specs/tiny.json --cell 10 --device "$d" --checkpoint "$(student first)" --output "$out/$d.json" || return 1
    done
}

torch_works() { LD_LIBRARY_PATH=${PYTHON_LIBRARIES-$LD_LIBRARY_PATH} "$python" -c 'import torch, torchvision' >/dev/null 2>&1; }
# fastest FILE PATTERN: milliseconds of the first such line that has them
fastest() { sed -n "/$2/s/.*fastest \([a-z ]*step \)\{0,1\}\([0-9.]*\).*/\2/p" "$1" | sort -n | head -n 1; }

# steps SPEC DEVICE STEPS: ours by part, PyTorch's in each mode, and a row of the report's table: the plain steps
steps() { beside_torch "$1" "$2" "$3" '^none ' '^[a-z-]* *fastest step'; }
# distilled SPEC DEVICE STEPS: the same with the steps of the spec's last method, DeFeat, whose teacher runs live; the row is theirs
distilled() { beside_torch "$1" "$2" "$3" '^DeFeat' '^[a-z-]* *fastest distilled step' --live --distilled; }
# beside_torch SPEC DEVICE STEPS OURS THEIRS [OPTION OPTION]: patterns of the lines that the row is made of, what each side is asked besides
beside_torch() {
    "$defeat" bench "$1" --steps "$3" --device "$2" $6 >"$out/ours" || return 1
    cat "$out/ours"
    : >"$out/theirs"
    if torch_works; then
        LD_LIBRARY_PATH=${PYTHON_LIBRARIES-$LD_LIBRARY_PATH} "$python" tests/peers/torch_step.py --device "$2" --steps "$3" --rounds 1 --modes eager,channels-last $7 \
            "$1" >"$out/theirs" 2>"$out/log" || { tail -n 5 "$out/log"; return 1; }
        echo
        cat "$out/theirs"
    else
        echo "PyTorch's side is left out: '$python' cannot import torch and torchvision"
    fi
    awk -v spec="${1##*/}" -v device="$2" -v ours="$(fastest "$out/ours" "$4")" -v theirs="$(fastest "$out/theirs" "$5")" 'BEGIN {
        printf "| %s | %s | %.2f | %s | %s |\n", spec, device, ours, theirs == "" ? "-" : theirs, theirs == "" ? "-" : sprintf("%.2f", theirs / ours)
        exit !(ours > 0) }' >>"$out/table"
}

# the sanitizer of the system's CUDA; 77: there is none
memcheck() {
    for tool in compute-sanitizer "$CUDA_HOME/bin/compute-sanitizer" /usr/local/cuda/bin/compute-sanitizer none; do
        ! command -v "$tool" >/dev/null || break
    done
    [ "$tool" != none ] || { echo "no compute-sanitizer here"; return 77; }
    "$tool" --tool memcheck --error-exitcode 9 "$defeat" run ablations/specs/tiny.json --cell 10 --out "$out/memcheck" --device "$device" >"$out/log" 2>&1
    status=$?
    tail -n 5 "$out/log"
    return $status
}

if [ "$4" ]; then # a step of its own process
    out=$5
    shift 5
    "$@"
    exit
fi

parts=${PARTS:-machine conformance training small large memcheck distilled}
for part in $parts; do
    case $part in
    machine | conformance | training | small | large | memcheck | distilled) ;;
    *) echo "report: unknown part '$part' in PARTS (there are: machine conformance training small large memcheck distilled)" >&2; exit 2 ;;
    esac
done
limit=${LIMIT:-330}
began=$(date +%s)
passed=0 failed=0 skipped=0
out=$(mktemp -d) || exit 1
trap 'rm -rf "$out"' EXIT
trap 'exit 130' INT TERM

if ! "$defeat" status ablations/specs/tiny.json --device "$device" --out "$out" >/dev/null 2>"$out/log" || ! opens; then
    cat "$out/log" >&2
    exit 1
fi
card=$(card)
card=${card%%,*}
[ "$card" ] || card=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
[ "$card" ] || card=$(uname -m)
case $report in */) report=${report}report-$(echo "$card" | tr -cs '[:alnum:]\n' -).md ;; esac
: >"$report" && : >"$out/steps" && : >"$out/body" && : >"$out/table" || exit 1

left() { echo $((limit - $(date +%s) + began)); }
# The whole file, after each step: whoever stops the machine leaves what is known so far.
write() {
    {
        printf '# DeFeat Bench on %s\n\n' "$card"
        echo "$("$defeat" version | head -n 1) on device $device, $(date -u +%Y-%m-%dT%H:%M:%SZ): $1"
        [ -z "$PARTS" ] || printf '\nOnly these parts were asked for: %s.\n' "$parts"
        if [ -s "$out/table" ]; then
            printf '\n## Steps\n\nMilliseconds of the fastest step; PyTorch in its best mode.\n\n'
            printf '| spec | device | ours | PyTorch | ratio |\n|---|---|---|---|---|\n'
            cat "$out/table"
        fi
        printf '\n## What was asked\n\n| step | verdict | seconds |\n|---|---|---|\n'
        cat "$out/steps" "$out/body"
    } >"$out/report" && cp "$out/report" "$report"
}
# step SECONDS FUNCTION ARGUMENTS...: what it prints goes to the report
step() {
    most=$1 start=$(date +%s) status=0 verdict=
    shift
    [ "$most" -le "$(left)" ] || most=$(left)
    if [ "$most" -le 0 ]; then
        status=1 verdict="FAILED: not begun, no time left"
        : >"$out/said"
    else
        timeout "$most" sh "$0" "$build" "$report" "$device" step "$out" "$@" >"$out/said" 2>&1 || status=$?
    fi
    case $status in
    0) passed=$((passed + 1)) verdict=ok ;;
    77) skipped=$((skipped + 1)) verdict="left out: $(tail -n 1 "$out/said")" ;;
    124) failed=$((failed + 1)) verdict="FAILED: longer than $most s" ;;
    *) failed=$((failed + 1)) verdict=${verdict:-"FAILED: exit $status"} ;;
    esac
    took=$(($(date +%s) - start))
    printf '%-60s %s (%d s)\n' "$*" "$verdict" $took
    echo "| $* | $verdict | $took |" >>"$out/steps"
    { printf '\n## %s\n\n```\n' "$*"; cat "$out/said"; printf '```\n'; } >>"$out/body"
    write "not finished: $passed passed, $failed failed, $skipped left out so far"
}

part_machine() { step 30 machine; }
part_conformance() { step 150 conformance; }
part_training() {
    step 60 same_bits
    [ "$device" != cpu ] || return 0
    step 60 follows tiny.json 10
    step 60 follows faster-tiny.json 3
    step 30 moves
}
part_small() {
    step 60 steps ablations/specs/reproduce-table.json "$device" 30
    step 60 steps ablations/specs/reproduce-faster.json "$device" 30
}
part_large() {
    for d in "${device%+tf32}+tf32" "${device%+tf32}"; do
        step 90 steps tests/cuda/retinanet-800.json "$d" 10
        step 90 steps tests/cuda/faster-800.json "$d" 10
    done
}
part_memcheck() { step 90 memcheck; }
part_distilled() { # in the precision of the fastest plain steps: float32 takes minutes
    for spec in retinanet faster; do
        step 90 distilled tests/cuda/$spec-800-distilled.json "${device%+tf32}+tf32" 5
    done
}

for part in $parts; do
    case $device:$part in
    cpu:large | cpu:memcheck | cpu:distilled) ;; # a GPU's
    *) "part_$part" ;;
    esac
done
total="$passed passed, $failed failed, $skipped left out, $(($(date +%s) - began)) s in all"
write "$total"
echo "$total; the results are in $report"
[ "$failed" = 0 ]
