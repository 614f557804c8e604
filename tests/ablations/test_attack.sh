#!/bin/sh
# `defeat attack` from nothing to its tables: what it trains, what it keeps, that asking again gives the same words from what is kept, that what was lost
# is made again with the same bytes, and what it says of bad words.
defeat=${DEFEAT_BUILD:?}/defeat
[ -x "$defeat" ] || { echo "no program '$defeat' [make all]"; exit 77; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
unset DEFEAT_DEVICE
spec=ablations/specs/faster-tiny.json out=$work/out
kept=$out/faster-tiny.attack

die() { echo "FAILED: $*"; cat "$work/log"; exit 1; }
ask() { "$defeat" attack $spec --out "$out" "$@" >"$work/log" 2>&1; }
says() { grep -qF -e "$1" "$work/log" || die "no '$1' in what was said"; }
# The scores are low: networks of seconds
few="--images 6 --score 0.1 --loss-score 0.08 --select-steps 3 --steps 10 --areas 0.005"
tell() { "$defeat" attack $spec --out "$out" $few "$@" 2>"$work/log"; }

ask && die "attacked what is not there"
says "the weights of 'teacher' are not there [to make them: "
says "sweep $spec --out $out; or attack --train]"
ask --on nun && die "attacked nobody"
says "unknown network 'nun' (did you mean 'none'? there are: teacher, none, DeFeat)"
ask --on none --on none && die "attacked twice"
says "--on 'none' is there twice"
ask --baseline teacher && die "held against the teacher"
says "is a teacher, expected a student"
ask --loss-score 0.9 && die "a loss that leaves boxes"
says "loss-score 0.9 is above score 0.3"

tell --train --jobs 2 --pictures 2 >"$work/first" || die "no attack"
cp "$work/first" "$work/log"
says "Patches for 'teacher' hide"
says "boxes hidden (%), judged by"
says "AP lost (points), judged by"
says "beyond patches at random"
says "Intervals over seeds"
for sheet in 00 01 02 03; do
    [ -s "$kept/pictures/sheet-$sheet.png" ] || die "no sheet $sheet"
done
# Two seeds of a teacher and two students: attacks on each network and at random, each judged by all three, and each network alone at another area. The
# teacher is one network under both seeds: what it says of its own patches is said once.
rows=$(ls "$kept/runs" | grep -c '^[0-9a-f]\{16\}$')
[ "$rows" = $((2 * 4 * 3 - 1 + 2 * 3 - 1)) ] || die "$rows rows"
[ "$(ls "$kept/patches" | wc -l)" = 10 ] || die "other patches than of five networks at two areas"
grep -q ',attack.evasion,,' "$kept/scores.csv" || die "no table of scores"

# asked again: nothing is made; what is lost is made again, the same
stamp() { find "$kept/runs" "$kept/patches" -name '*.png' -o -name row.json | sort | xargs cat | cksum; }
patches() { find "$kept/patches" -name '*.png' | sort | xargs cat | cksum; }
before=$(stamp) drawn=$(patches)
tell --pictures 0 >"$work/again" || die "not twice"
cmp -s "$work/first" "$work/again" || die "other words the second time"
[ "$(stamp)" = "$before" ] || die "something was made again"
rm -r "$(ls -d "$kept"/patches/* | head -n 1)" "$(ls -d "$kept"/runs/*/ | tail -n 1)"
find "$kept/patches" -name 000003.png -exec rm {} +
tell --pictures 0 >"$work/again" || die "not from the rest"
cmp -s "$work/first" "$work/again" || die "other words from the rest"
[ "$(patches)" = "$drawn" ] || die "other patches from the rest"

# one JSON object of the same numbers; a joint attack; one seed has intervals over images
tell --pictures 0 --seeds 1 --on teacher --on 'teacher & none' --on random --json >"$work/json" || die "no JSON"
grep -q '"patches_for":"teacher & none","judged_by":"DeFeat","evasion":' "$work/json" || die "no joint attack"
grep -q '"pair":"image"' "$work/json" || die "no pairs of images"
tell --images 100 --pictures 0 --seeds 1 --on random --json >"$work/json" || die "not all images"
grep -q '"images":32[,}]' "$work/json" || die "other images than the 32 that there are"

# the teacher's file of another run is no teacher
cp "$(ls "$out"/faster-tiny/runs/*/student.safetensors | head -n 1)" "$(ls "$out"/teachers/*.safetensors)"
tell --pictures 0 && die "took another run's weights"
grep -q "weights of run .* expected those of 'teacher'" "$work/log" || die "no word of whose weights"
exit 0
