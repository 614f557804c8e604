#!/bin/sh
# `defeat explain`: a row per network, asked once; what is not trained, of another spec or out of range is told; pictures; rows that `compare` reads.
defeat=${DEFEAT_BUILD:?}/defeat
[ -x "$defeat" ] || { echo "no program '$defeat' [make all]"; exit 77; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
unset DEFEAT_DEVICE
spec=ablations/specs/tiny.json out=$work/out

die() { echo "FAILED: $*"; cat "$work/log"; exit 1; }
ask() { "$defeat" "$@" >"$work/log" 2>&1; }
says() { grep -qF -e "$1" "$work/log" || die "no '$1' in what was said"; }
explain() { ask explain $spec --out "$out" --images 3 --masks 40 --grid 4 "$@"; }
rows() { cat "$out"/tiny.explain/runs/*/row.json | sed 's/"started":"[^"]*"//; s/"finished":"[^"]*"//; s/"eval_seconds":[^,]*//' | cksum; }

explain && die "nothing is trained"
says "the teacher is not trained yet [to make it: "
for cell in 0 1 2 3; do
    ask run $spec --cell $cell --out "$out" || die "cell $cell"
done
explain --steps 3 --pictures 2 || die "explain"
says "explanations (D-RISE)"
says "students asked now, 0 before"
says "students are not trained yet."
says "masks "
[ -s "$out/tiny.explain/pictures/0.png" ] || die "no sheet"
[ -s "$out/tiny.explain/pictures/0.0-teacher.png" ] || die "no picture of the teacher's"
[ -s "$out/tiny.explain/pictures/0.0-none.png" ] || die "no picture of a student's"
before=$(rows)

explain --steps 3 || die "again"
says "0 students asked now, 4 before"
grep -q " passes" "$work/log" && die "it was asked again"
[ "$(rows)" = "$before" ] || die "a row changed"

# made again, the rows are the same but for their times; one that is gone is the only one that is asked
gone=$(grep -l '"label":"none"' "$out"/tiny.explain/runs/*/row.json | head -n 1)
rm -r "$(dirname "$gone")"
explain --steps 3 || die "one is gone"
says "1 students asked now, 3 before"
[ "$(rows)" = "$before" ] || die "the row is another one"

# other options are another question, whose rows stand beside these
explain --mask-seed 1 || die "another seed"
says "4 students asked now, 0 before"
compare() { ask compare "$out/tiny.explain" 'full feature' none "$@"; }
compare --metric explain.agreement && die "two questions were mixed"
says "answer several questions, which are not mixed [--question "
question=$(sed -n 's/.*\[--question \([0-9a-f]*\): 3 images, .*/\1/p' "$work/log")
compare --metric explain.agreement --question "$question" || die "compare"
says "in explain.agreement"
says "2 pairs"
compare --metric explain.energy_gap --question "$question" || die "compare by a cost"
says "of which less is better"
power() { ask power "$out/tiny.explain" 'full feature' none --metric explain.agreement "$@"; }
power && die "power: two questions were mixed"
says "answer several questions, which are not mixed [--question "
power --question "$question" || die "power"
says "pairs find a difference"

# what the runs' detections tell of scores and circumstances: a table, the same as eval says, and the diagram
runs=$(cat "$out"/tiny/runs/*/row.json | cksum)
ask table $spec --out "$out" --calibration --conditions || die "table"
says "calibration"
says "AP by size and crowding"
says "crowding.4+"
"$defeat" table $spec --out "$out" --seeds 1 --calibration --format csv >"$work/csv" 2>"$work/log" || die "no CSV"
ask data export $spec --split validation --output "$work/gt.json" || die "no ground truth"
none=$(dirname "$(grep -l '"label":"none".*"seed":0[,}]' "$out"/tiny/runs/*/row.json)")
"$defeat" eval --gt "$work/gt.json" --dt "$none/results.json" --calibration --conditions --json >"$work/json" 2>"$work/log" || die "no eval"
sed -n 's/.*"D-ECE": \([^,]*\),.*/\1/p' "$work/json" >"$work/log"
awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "calibration.D-ECE_mean_percent") c = i } NR == 2 { print $c }' "$work/csv" >>"$work/log"
awk 'NR == 1 { e = $1 } NR == 2 { d = $1 - 100 * e; exit !($1 > 0 && d < 1e-9 && d > -1e-9) } END { exit NR != 2 }' "$work/log" || die "table and eval differ"
grep -q '"size.small": ' "$work/json" || die "no conditions"
ask eval --gt "$work/gt.json" --dt "$none/results.json" --calibration --conditions || die "eval as text"
says "0.9 to 1.0"
says "2 or 3 objects"
ask compare $spec 'full feature' none --out "$out" --metric calibration.D-ECE || die "compare by D-ECE"
says "in calibration.D-ECE, of which less is better"
ask compare $spec 'full feature' none --out "$out" --metric size.large || die "compare by size"
ask compare $spec 'full feature' none --out "$out" --question "$question" && die "runs answer no question"
says "--question has no effect"
[ "$(cat "$out"/tiny/runs/*/row.json | cksum)" = "$runs" ] || die "a run's row changed"
if command -v gnuplot >/dev/null; then
    ask sweep $spec --out "$out" --jobs 1 || die "the rest of the spec"
    ask plot $spec --out "$out" --calibration --output "$work/plots" || die "plot"
    [ -s "$work/plots/reliability.svg" ] || die "no diagram"
    grep -q '^0,2,' "$work/plots/reliability.csv" || die "the diagram has not both runs"
fi

# a stranger's weights, and words that say nothing
cp "$out"/teachers/*.safetensors "$(dirname "$(grep -l '"label":"none"' "$out"/tiny/runs/*/row.json | head -n 1)")/student.safetensors"
explain && die "these are the teacher's weights"
says "expected those of 'none'"
explain --blur 3 && die "there are no steps"
says "blur"
explain --masks 1 && die "one mask has no halves"
explain --grid 65 && die "too many cells"
echo "passed"
