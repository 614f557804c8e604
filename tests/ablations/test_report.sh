#!/bin/sh
# `defeat report` over a real sweep and over published rows: figures, images and masks, what is missing, failed and warned of, the same page again.
defeat=${DEFEAT_BUILD:?}/defeat
[ -x "$defeat" ] || { echo "no program '$defeat' [make all]"; exit 77; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
unset DEFEAT_DEVICE
out=$work/out spec=$work/page.json page=$work/out/page/report.html

die() { echo "FAILED: $*"; cat "$work/said" "$work/told"; exit 1; }
# report STATUS ARGUMENTS...
report() {
    expected=$1
    shift
    "$defeat" report "$@" >"$work/said" 2>"$work/told"
    status=$?
    [ $status = "$expected" ] || die "report $*: exit status $status, expected $expected"
}
told() { grep -q -e "$1" "$work/told" || die "no '$1' on stderr"; }
has() { grep -qF -e "$1" "$page" || die "the page has no '$1'"; }
hasnt() { ! grep -qF -e "$1" "$page" || die "the page has '$1'"; }

sed -e 's|"name": "tiny"|"name": "page"|' -e 's|"seeds": \[0, 1\]|"seeds": [0]|' ablations/specs/tiny.json >"$spec"
report 1 "$spec" --out "$out"
told 'nothing to report: .* holds no runs of this spec yet'
"$defeat" sweep "$spec" --out "$out" --jobs 1 >"$work/said" 2>"$work/told" || die "no sweep"

# all of it
report 0 "$spec" --out "$out"
grep -q "^$page: 0\.[0-9]* MB, and [0-9]* CSV files beside it$" "$work/said" || die "another sentence"
[ -s "$work/told" ] && die "a warning"
has "Of 5 methods against &#39;none&#39;: 0 better, 0 worse, 5 undecided."
has "dAP by kind of error"
has "data:image/png;base64,iVBOR"
has "masks, level 2"
has "<figcaption>teacher <small>"
has "None: every run of 6 methods is finished, and nothing was warned of."
has "sweep $spec --out $out"
[ "$(grep -c '<div class="pictures">' "$page")" = 5 ] || die "not four images and a row of masks"
for file in bars classes curves errors heat pairs runs table verdicts; do
    [ -s "$out/page/report-data/$file.csv" ] || die "no $file.csv"
    has "href=\"report-data/$file.csv\""
done
[ -e "$out/page/report-data/image.png" ] && die "a picture is left"
cp "$page" "$work/first.html"
report 0 "$spec" --out "$out"
cmp "$page" "$work/first.html" || die "made again it is another page"
report 0 "$spec" --out "$out" --output "$work/a page.html" --images 0
[ -s "$work/a page-data/bars.csv" ] && grep -q 'href="a%20page-data/bars.csv"' "$work/a page.html" || die "data of a page with a blank in its name"
grep -q 'data:image/png' "$work/a page.html" && die "images that nobody asked for"

# what is not there: detections of another run, of no run; a run; a warning of a worker
first=$(ls -d "$out"/page/runs/*/ | head -n 1)
echo 'warning: <b>a worker</b> said so' >>"$first/log.txt"
rm "$first/results.json"
report 0 "$spec" --out "$out" --seeds 2
has "Of 6 finished runs 1 have no results.json here"
has "Runs that failed: 0; runs that are missing: 6; warnings: 1."
has "<bdi>&lt;b&gt;a worker&lt;/b&gt; said so</bdi>"
cat "$out"/page/runs/*/results.json >/dev/null || die "no results"
for run in "$out"/page/runs/*/; do echo '[]' >"$run/results.json"; done
report 0 "$spec" --out "$out"
told "another run has left it"
has "another run has left it"
has "No method has a run whose detections (results.json) are here: the truth alone is shown."

# rows without their runs: of a spec, and of a folder, whose variants keep their baselines
page=$work/rows.html
report 0 ablations/specs/reproduce-table.json --out results/published --output "$page" --claims ablations/claims.json
has "of 35 finished runs none has its results.json here"
has "run ablations/specs/reproduce-table.json --out results/published --cell 0 --again"
"$defeat" claims ablations/claims.json --out results/published --seeds 5 | sed -n 's/^  \([nr].*ed  *regions without objects teach: .*\)\.$/\1/p' | head -n 1 >"$work/claim"
[ -s "$work/claim" ] || die "no such claim"
has "<bdi>$(cat "$work/claim")</bdi>"
report 2 results/edition-1/bccd --claims ablations/claims.json --output "$page"
told "a folder of rows names none"
report 0 results/edition-1/semantics-1/ablations/context --semantics 1 --output "$page"
has "Of 6 methods against &#39;none&#39; of its variant:"
has "background context=0.5 is 10.92 better than none context=0.5 ("
has "Gains over variants"
has "a folder of rows does not say which data"
hasnt "data:image/png"
report 0 results/edition-1/semantics-1/ablations/context --semantics 1 --output "$page" --baseline foreground
has "none context=1 is 8.80 worse than foreground context=1 ("
report 2 results/published/reproduce-faster --output "$page" --baseline nonw
told "did you mean 'none'"
report 1 "$work/nothing" --output "$page"
echo "report: tells what there is, and what is not"
