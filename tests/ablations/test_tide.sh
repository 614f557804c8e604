#!/bin/sh
# `table --tide` and `eval --tide` over real runs: one says of a run what the other says; no row changes; what is missing or not the run's own is
# told, and the command that is told mends it.
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
# Column of that name in the n-th line of the CSV; member of the JSON's dAP
column() { awk -F, -v name="$1" -v line="$2" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) c = i } NR == line + 1 { print $c }' "$work/csv"; }
dap() { sed -e 's/.*"dAP": {//' -e 's/}.*//' "$work/json" | tr ',' '\n' | sed -n "s/ *\"$1\": //p"; }
rows() { cat "$out"/tiny/runs/*/row.json | cksum; }
# The folder of a cell's run, by its label and seed
folder() { dirname "$(grep -l "\"label\":\"$1\".*\"seed\":$2[,}]" "$out"/tiny/runs/*/row.json)"; }

for cell in 0 1 2 3; do
    ask run $spec --cell $cell --out "$out" || die "cell $cell"
done
before=$(rows)
ask table $spec --out "$out" --tide || die "no table"
says "A sweep of seconds"
says "errors (TIDE)"
says "so that all 30 hold at once"
says "DeFeat w_fg=2 w_bg=8: 2 of 2 runs without these scores."
grep -q "results.json" "$work/log" && die "nothing is missing"
cp "$work/log" "$work/whole"
[ "$(rows)" = "$before" ] || die "a row changed"
grep -q TIDE "$out/tiny/scores.csv" && die "the scores are kept"

# one seed: the table's mean is the run's own number, in percent
none=$(folder none 0) full=$(folder "full feature" 0)
ask data export $spec --split validation --output "$work/gt.json" || die "no ground truth"
"$defeat" table $spec --out "$out" --tide --seeds 1 --format csv >"$work/csv" 2>"$work/log" || die "no CSV"
head -n 1 "$work/csv" | grep -q '^method,options,runs,n,pairs,difference_confidence,TIDE.Cls_mean_percent,' || die "another table comes first"
for run in "1 $none" "2 $full"; do
    "$defeat" eval --gt "$work/gt.json" --dt "${run#* }/results.json" --tide --json >"$work/json" 2>"$work/log" || die "no eval"
    for kind in Cls Loc Both Dupe Bkg Miss; do
        echo "$kind $(column "TIDE.${kind}_mean_percent" "${run%% *}") $(dap $kind)" >"$work/log"
        awk '{ d = $2 - 100 * $3; exit !($2 != "" && $3 != "" && d < 1e-9 && d > -1e-9) }' "$work/log" || die "table and eval differ"
    done
done
awk '{ exit !($3 > 0) }' "$work/log" || die "there is nothing to compare: no Miss"
ask eval --gt "$work/gt.json" --dt "$full/results.json" --tide || die "eval as text"
says "TIDE, in percent points: AP at IoU 0.50"

# the same differences as comparisons: of a cost less is better, and two runs of a method make no interval that is told
ask compare $spec 'full feature' none --out "$out" --metric TIDE.Miss || die "compare by TIDE.Miss"
says " than none in TIDE.Miss, of which less is better ("
says "; 2 pairs, for this teacher)"
"$defeat" compare $spec 'full feature' none --out "$out" --seeds 1 --metric TIDE.Miss --json >"$work/json" 2>"$work/log" || die "as JSON"
sed -e 's/.*"pair":\[{//' -e 's/}.*//' "$work/json" | tr ',' '\n' | sed -n 's/"b"://p' >"$work/log"
column TIDE.Miss_mean_percent 1 >>"$work/log"
awk 'NR == 1 { b = $1 } NR == 2 { d = b - $1; exit !(d < 1e-9 && d > -1e-9) }' "$work/log" || die "compare and table differ"
"$defeat" effects $spec --method DeFeat --out "$out" --metric TIDE.Bkg >"$work/log" 2>&1 || die "effects by TIDE.Bkg"
ask compare "$out/tiny:none" "$out/tiny:full feature" --metric TIDE.Bkg
[ $? = 2 ] || die "a folder of rows has no detections"
says "only a spec says whose detections are counted"

# a results file that is not there: the network predicts again
mv "$full/results.json" "$work/kept.json"
ask table $spec --out "$out" --tide || die "a missing file is no failure"
says "full feature: 1 of 2 runs without these scores."
says "1 of 4 finished runs have no results.json here"
ask compare $spec 'full feature' none --out "$out" --metric TIDE.Miss || die "a missing file is no failure"
says " (1 pair, for this teacher)"
says " --metric TIDE.Miss --resolve 0.5"
says "1 of 4 finished runs have no results.json here"
ask table $spec --out "$out" --tide || die "the table again"
command=$(sed -n 's/^the first of them, cell 2, gets it by: [^ ]*defeat //p' "$work/log")
[ -n "$command" ] || die "no remedy"
eval "\"\$defeat\" $command" >"$work/log" 2>&1 || die "the remedy fails: $command"
cmp "$full/results.json" "$work/kept.json" || die "another file"
ask table $spec --out "$out" --tide || die "the mended table"
cmp "$work/log" "$work/whole" || die "another table"

# without the network: the run again
rm "$full/results.json" "$full/student.safetensors"
ask table $spec --out "$out" --tide --format csv || die "CSV"
says "defeat run $spec --out $out --cell 2 --again"

# results of another run, and what is no results file
cp "$none/results.json" "$full/results.json"
ask table $spec --out "$out" --tide || die "foreign results are no failure"
says "another run has left it"
says "1 of 4 finished runs have a results.json that is not theirs or cannot be read."
echo '[{' >"$full/results.json"
ask table $spec --out "$out" --tide || die "a broken file is no failure"
says "1 of 4 finished runs have a results.json that is not theirs or cannot be read."

for words in "--runs" "--tune" "--semantics 1" "--format csv --classes"; do
    ask table $spec --out "$out" --tide $words
    [ $? = 2 ] || die "--tide $words"
done
[ "$(rows)" = "$before" ] || die "a row changed"
echo "passed"
