#!/bin/sh
# The real program on a shrunk ablations/specs/tiny.json: one job, two jobs, a killed worker, two sweeps at once, the cache on and off, and an
# interrupted sweep must leave the same rows (all deterministic columns; times and the revision are left out).
defeat=${DEFEAT_BUILD:?}/defeat
[ -x "$defeat" ] || { echo "no program '$defeat' [make all]"; exit 77; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
spec=$work/tiny.json
sed -e 's/"train": 64, "tune": 16, "validation": 32/"train": 32, "tune": 6, "validation": 8/' -e 's/"w_bg": \[8, 16\]/"w_bg": 8/' \
    -e '/"plots"/d' -e 's/"seeds": \[0, 1\],/"seeds": [0, 1]/' ablations/specs/tiny.json >"$spec"
cells=8

die() { echo "FAILED: $*"; cat "$work"/*.log; exit 1; }
sweep() { out=$1; shift; "$defeat" sweep "$spec" --out "$work/$out" "$@" >>"$work/$out.log" 2>&1; }
# Failed rows and the points of runs that were cut off do not count.
rows() {
    "$defeat" status "$spec" --out "$work/$1" --rows >"$work/$1.rows" || die "status of $1"
    [ "$(grep -c ',ok,' "$work/$1.rows")" = $cells ] || die "$1 has not $cells finished rows"
    cmp "$work/one.rows" "$work/$1.rows" || die "$1 differs from one"
}

sweep one --jobs 1 || die "one job"
rows one
sweep one --jobs 1 || die "nothing left"
grep -q "$cells done before, 0 done now, 0 failed, 0 left" "$work/one.log" || die "finished cells were run again"

sweep two --jobs 2 --cache off || die "two jobs"
rows two

sweep first --jobs 1 --cache on & a=$!
sweep first --jobs 1 --cache on & b=$!
wait $a || die "first of two sweeps"
wait $b || die "second of two sweeps"
rows first

# A worker is killed in the middle: its cell fails, the same command does it.
sweep killed --jobs 1 & a=$!
worker=
while [ -z "$worker" ] && kill -0 $a 2>/dev/null; do
    worker=$(for p in $(cat /proc/$a/task/$a/children 2>/dev/null); do
        for q in $p $(cat "/proc/$p/task/$p/children" 2>/dev/null); do
            cat "/proc/$q/cmdline" 2>/dev/null | tr '\0' ' ' | grep -q ' --locked' && echo "$q"
        done
    done | head -n 1)
done
[ -n "$worker" ] && kill -9 "$worker"
wait $a && die "a sweep with a killed worker says that all is well"
grep -q 'killed by signal 9' "$work/killed.log" || die "the killed worker is not told"
sweep killed --jobs 1 || die "the sweep after the kill"
rows killed

# Ctrl-C, then the same command.
"$defeat" sweep "$spec" --out "$work/stopped" --jobs 2 >>"$work/stopped.log" 2>&1 & a=$!
while ! ls "$work"/stopped/tiny/runs/*/row.json >"$work/none" 2>&1 && kill -0 $a 2>/dev/null; do sleep 0.02; done
kill -TERM $a
wait $a
[ $? = 130 ] || die "an interrupted sweep does not exit with 130"
sweep stopped --jobs 2 || die "the sweep after the interrupt"
rows stopped
echo "the same $cells rows six times"
