#!/bin/sh
# What a machine with a GPU is asked, in under 8 minutes: the conformance suite on `cuda`, same seed = same bits, a short training beside the
# CPU's, a checkpoint that changes devices, the benchmark. Arguments: the build (make CUDA=1), the file for the results, the device (cuda).
# Exit 1 if anything failed.
build=$1 report=$2 device=${3:-cuda}
defeat=$build/defeat

conformance() {
    bad=1
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
    train tiny.json 10 first "$device" && train tiny.json 10 second "$device" || return 1
    cmp "$(student first)" "$(student second)" && echo "two trainings, one seed: the same bits"
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

machine() {
    uname -srm
    nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm --format=csv || echo "nvidia-smi says nothing"
    "$defeat" version
}

if [ "$4" ]; then # a step of its own process
    out=$5
    shift 5
    "$@"
    exit
fi

limit=${LIMIT:-330} # seconds; what has not begun by then is skipped, and said to be
began=$(date +%s)
failed=0
out=$(mktemp -d) || exit 1
trap 'rm -rf "$out"' EXIT INT TERM
: >"$report" || exit 1

say() { printf '%s\n' "$@" | tee -a "$report"; }
left() { echo $((limit - $(date +%s) + began)); }
# step SECONDS FUNCTION ARGUMENTS...: what it prints goes to the report
step() {
    most=$1
    shift
    say "" "== $*"
    if [ "$(left)" -le 0 ]; then
        say "skipped: no time left"
        failed=$((failed + 1))
        return
    fi
    [ "$most" -le "$(left)" ] || most=$(left)
    start=$(date +%s)
    timeout "$most" sh "$0" "$build" "$report" "$device" step "$out" "$@" >>"$report" 2>&1
    status=$?
    case $status in 0) verdict=ok ;; 124) verdict="FAILED: longer than $most s" ;; *) verdict="FAILED: exit $status" ;; esac
    [ $status = 0 ] || failed=$((failed + 1))
    say "$verdict ($(($(date +%s) - start)) s)"
}

say "defeat on $device, $(date -u +%Y-%m-%dT%H:%M:%SZ)"
step 30 machine
if "$defeat" status ablations/specs/tiny.json --device "$device" --out "$out" >/dev/null 2>"$out/log"; then
    step 180 conformance
    step 60 same_bits
    step 60 follows tiny.json 10
    step 60 follows faster-tiny.json 3
    step 30 moves
    for d in "$device" "${device%+tf32}+tf32" cpu; do
        step 60 "$defeat" bench ablations/specs/reproduce-table.json --steps 30 --device "$d"
    done
else
    say "" "$(cat "$out/log")"
    failed=1
fi
say "" "$failed failed, $(($(date +%s) - began)) s in all; the results are in $report"
[ "$failed" = 0 ]
