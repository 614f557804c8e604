#!/bin/sh
# `defeat bench` on the two-stage detector: the shares that --json tells fit together, the host's work is told by name, anchors are the device's
# work, the text ends each profile with the host's share; nothing is left in the scratch folder. ~2 s.
set -eu
defeat=${DEFEAT_BUILD:?}/defeat
[ -x "$defeat" ] || { echo "no program '$defeat' [make all]"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "test_bench: $*" >&2; exit 1; }

mkdir "$work/scratch"
TMPDIR=$work/scratch "$defeat" bench ablations/specs/faster-tiny.json --steps 3 --json >"$work/json"
[ -z "$(ls "$work/scratch")" ] || fail "left behind: $(ls "$work/scratch")"
field() { grep -o "\"$1\":[-+.0-9e]*" "$work/json" | sed -n "${2}s/.*://p"; } # NAME, which (1: distilled comes first in canonical JSON)

for side in 1 2; do
    host=$(field host_seconds $side) products=$(field convolution_seconds $side) step=$(field profiled_seconds $side)
    echo "$host $products $step" | awk '{ exit !($1 > 0 && $2 > 0 && $1 + $2 < $3) }' ||
        fail "side $side: $host s on the host and $products s in convolutions, of $step s"
done
[ "$(field parameters 1)" -gt 1000 ] || fail "parameters: $(field parameters 1)"
for name in batch "teacher's records"; do
    grep -q "\"name\":\"host: $name\"" "$work/json" || fail "no entry 'host: $name'"
done
for name in match_rows draw_take propose propose_take roi_label roi_target roi_level select_top_k dense_candidates select_nms; do
    grep -q "\"name\":\"$name\"" "$work/json" || fail "no entry '$name'"
done
[ "$(grep -o '"name":"host: teacher' "$work/json" | wc -l)" = 1 ] || fail "only the distilled step reads the teacher's records"

TMPDIR=$work/scratch "$defeat" bench ablations/specs/tiny.json --steps 3 --methods >"$work/methods"
grep -q '^DeFeat .* ms a step, plain .* times (fastest steps: [0-9.]*)$' "$work/methods" || fail "$(cat "$work/methods")"
[ "$(wc -l <"$work/methods")" = "$(cut -c 1-20 "$work/methods" | sort -u | wc -l)" ] || fail "a method stands twice: $(cat "$work/methods")"
[ -z "$(ls "$work/scratch")" ] || fail "left behind: $(ls "$work/scratch")"

TMPDIR=$work/scratch "$defeat" bench ablations/specs/faster-tiny.json --steps 3 >"$work/text"
[ "$(grep -c 'on the host in all .* of the step' "$work/text")" = 2 ] || fail "$(cat "$work/text")"
grep -q '^teachers  *[1-9][0-9]* parameters; .*: [1-9][0-9]*$' "$work/text" || fail "no sizes: $(cat "$work/text")"
grep -q '^distilling .* outside convolutions and matrix products .* of a plain step$' "$work/text" || fail "$(cat "$work/text")"

grep -q "^  teacher's cache " "$work/text" || fail "no cache where nothing else is asked for: $(cat "$work/text")"

# A given teacher knows other classes than made-up data have: one of its shape stands in.
TMPDIR=$work/scratch "$defeat" bench ablations/specs/reproduce-table.json --synthetic --steps 3 --set schedule.batch=1 \
    --set 'data={"kind":"synthetic","width":96,"height":96}' >"$work/text" || fail "made-up data and a given teacher"
grep -q '^  teacher, live ' "$work/text" || fail "$(cat "$work/text")"

# Live, the same teacher's time is in the step.
TMPDIR=$work/scratch "$defeat" bench ablations/specs/tiny.json --live --steps 3 >"$work/live"
grep -q "^  teacher's cache " "$work/live" && fail "$(cat "$work/live")"
grep -q '^  teacher, live ' "$work/live" || fail "$(cat "$work/live")"
[ "$(grep -c '^  a step, waited for nowhere .* floor .* times that$' "$work/live")" = 2 ] || fail "$(cat "$work/live")"
[ "$(grep -c '^  memory on paper .* GB, of it on the tape now .* GB$' "$work/live")" = 2 ] || fail "$(cat "$work/live")"
