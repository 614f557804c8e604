#!/bin/sh
# compare, claims, effects and power on a shrunk ablations/specs/tiny.json: seeds are run until a difference is decided, what was looked at stays, rows of another
# tree compare, what is missing or misspelt is told.
defeat=${DEFEAT_BUILD:?}/defeat
[ -x "$defeat" ] || { echo "no program '$defeat' [make all]"; exit 77; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
spec=$work/tiny.json out=$work/out
sed -e 's/"train": 64, "tune": 16, "validation": 32/"train": 32, "tune": 6, "validation": 8/' -e 's/"w_bg": \[8, 16\]/"w_bg": 8/' \
    -e '/"plots"/d' -e 's/"seeds": \[0, 1\],/"seeds": [0, 1]/' ablations/specs/tiny.json >"$spec"

die() { echo "FAILED: $*"; cat "$work/said" "$work/told" 2>/dev/null; exit 1; }
# STATUS WORDS...: runs compare over the tree.
compare() {
    want=$1; shift
    "$defeat" compare "$@" --out "$out" >"$work/said" 2>"$work/told"
    is=$?
    [ $is = "$want" ] || die "compare $*: exit status $is, expected $want"
}
said() { grep -q -e "$1" "$work/said" || die "expected '$1'"; }
told() { grep -q -e "$1" "$work/told" || die "expected '$1'"; }

compare 0 "$spec" 'DeFeat w_fg=2' none
said '^DeFeat w_fg=2 and none have no pair: undecided\.$'
said 'pairs left out: 2 (no row of DeFeat w_fg=2)'
said '^next: .*defeat compare .* --resolve 0.5'
compare 2 "$spec" DeFeat none
told "'DeFeat' are several methods .name one: 'DeFeat w_fg=2', 'DeFeat w_fg=4'"
compare 2 "$spec" 'ful feature' none
told "did you mean 'full feature'"
compare 1 "$spec" none
told "'none': neither a spec nor a folder of rows"

# The spec has two seeds: a third is run, and looked at. A difference of 50 points is more than these students have mAP.
compare 0 "$spec" 'DeFeat w_fg=2' none --resolve 50 --max-seeds 6 --jobs 2
said '^DeFeat w_fg=2 is .* (.*; 3 pairs, for this teacher): equivalent within 50\.$'
said '^  *3  0.0250 '
[ "$(ls "$out/tiny/runs" | grep -c '^[0-9a-f]*$')" = 6 ] || die "expected 2 methods x 3 seeds, and no other method's runs"
looks=$(ls "$out"/tiny/looks/*.json)
cp "$looks" "$work/before"
compare 0 "$spec" 'DeFeat w_fg=2' none --resolve 50 --max-seeds 6
cmp "$looks" "$work/before" || die "looking again changed the journal"
flock "$looks.lock" "$defeat" compare "$spec" 'DeFeat w_fg=2' none --resolve 50 --max-seeds 6 --out "$out" >"$work/said" 2>"$work/told" &&
    die "two may look at once"
told 'is held: somebody resolves this comparison now'
compare 1 "$spec" 'DeFeat w_fg=2' none --resolve 50 --max-seeds 7
told 'would spend the level twice'
compare 2 "$spec" 'DeFeat w_fg=2' none --resolve 50 --max-seeds 6 --within 1
told 'within'

# A margin that nothing here can be held within: all seeds that may be run are, and the answer is that it is not decided.
compare 1 "$spec" 'DeFeat w_fg=2' 'full feature' --metric AR100 --resolve 0.001 --max-seeds 4 --jobs 2
said 'undecided\|the same in every pair'
said '^All 4 that were planned are there'

# compare sees the seeds beyond the spec's, --seeds those that it names, and any score.
compare 0 "$spec" 'DeFeat w_fg=2' none --json
said '"pairs":[34],'
compare 0 "$spec" 'DeFeat w_fg=2' none --seeds 2 --metric AR100
said 'in AR100 (.*2 pairs'
compare 2 "$spec" 'DeFeat w_fg=2' none --metric AR10O
told "did you mean 'AR10"

# Drawn images, of the detections that cells leave; where there are none, it is told.
compare 0 "$spec" 'DeFeat w_fg=2' none --metric AR100 --images 20
said '^images: .* to .* in 95 % of 20 draws of the 8 validation images'
compare 2 "$out/tiny" 'DeFeat w_fg=2' none --images 20
told 'only a spec says'
for run in "$out"/tiny/runs/*/; do rm -f "$run/results.json"; done
compare 1 "$spec" 'DeFeat w_fg=2' none --images 20
told "results.json' is not there"

# Rows of another tree: the same bits, method by method.
cp -r "$out/tiny" "$work/other"
compare 0 "$out/tiny" "$work/other"
said 'the same in every pair'
compare 0 "$out/tiny:none" "$work/other:full feature" --json
said '"verdict"'

"$defeat" effects "$spec" --out "$out" >"$work/said" 2>"$work/told" || die "effects"
said '^DeFeat: 0 of 1 effects are told from 0'
said 'seeds left out, for a line has no score of them: 2'
"$defeat" effects "$spec" --method none --out "$out" >"$work/said" 2>"$work/told"
[ $? = 2 ] || die "effects of a method of one line"
told "'none' has 1 lines"

"$defeat" power --difference 0.5 --sd 0.6 >"$work/said" 2>"$work/told" || die "power"
said '^14 pairs find a difference of 0.5 points with a chance of 80 %'
said '^18 pairs show one of 0'
"$defeat" power --sd 1 --difference 1 --experiments 300 --json >"$work/said" 2>"$work/told" || die "power --experiments"
said '"experiments":\[{"tails":"normal","most":5'
"$defeat" power --difference 1 >"$work/said" 2>"$work/told"
[ $? = 2 ] || die "power without a spread"
# Claims over the rows of this tree: too few to say anything of 0.001 points, enough to say that there are no 50.
claim() { printf '{"name":"%s","detector":"D","spec":"tiny.json","a":"DeFeat w_fg=2","b":"none","claim":"%s","margin":%s,"paper":{"source":"none"}}' "$@"; }
echo "{\"paper\":\"made up\",\"claims\":[$(claim is better 50),$(claim same equal 50),$(claim apart equal 0.0001)]}" >"$work/claims.json"
"$defeat" claims "$work/claims.json" --out "$out" >"$work/said" 2>"$work/told" || die "claims"
said '^D (tiny.json): of 3 claims '
said 'refuted  *is: DeFeat w_fg=2 is\|reproduced  *is: DeFeat w_fg=2 is'
said '^  reproduced  *same: '
said 'Intervals: 98.33 %'
"$defeat" claims "$work/claims.json" --out "$work/nothing" >"$work/said" 2>"$work/told" || die "claims of no rows"
said 'of 3 claims 0 reproduced, 0 refuted, 3 not resolved'
said 'no pair has its rows yet: .*defeat sweep .*tiny.json --out '
"$defeat" claims "$work/claims.json" --out "$out" --json >"$work/said" 2>"$work/told" || die "claims as JSON"
said '"answer":"reproduced"'
sed 's/"a":"DeFeat w_fg=2"/"a":"DeFat"/' "$work/claims.json" >"$work/misspelt.json"
"$defeat" claims "$work/misspelt.json" --out "$out" >"$work/said" 2>"$work/told"
[ $? = 2 ] || die "a method that is not there"
told "misspelt.json/claims/0: .*did you mean 'DeFeat'"

echo "compare: decides, keeps its looks, tells what is missing"
