#!/bin/sh
# The published rows are of semantics 1: what table, status and plot say of them with and without --semantics 1; that nothing is written beside
# them; and that an old journal becomes rows before a sweep goes on.
defeat=${DEFEAT_BUILD:?}/defeat
[ -x "$defeat" ] || { echo "no program '$defeat' [make all]"; exit 77; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
unset DEFEAT_DEVICE
published=results/edition-1/semantics-1
spec=results/edition-1/specs/reproduce-table.json

die() { echo "FAILED: $*"; cat "$work/log"; exit 1; }
ask() { "$defeat" "$@" >"$work/log" 2>&1; }
says() { grep -qF -e "$1" "$work/log" || die "no '$1' in what was said"; }

ask table $spec --out $published || die "a table without rows of today is no failure"
says "holds 0 of the 35 rows of this spec, but 35 of semantics 1 (--semantics 1 shows them)"
says "none: 5 of 5 runs missing, stale rows of another version left out: 5."
ask table $spec --out $published --semantics 1 || die "rows of semantics 1"
says "rows of semantics 1, an older version's"
says "DeFeat neck          5  42.35 ± 1.22  0.98  +11.17 ± 1.99      5  <0.001"
grep -q "missing\|stale" "$work/log" && die "the published table is whole"
ask table results/edition-1/specs/bccd.json --out $published --semantics 1 || die "rows of files that are not here"
says "none                 3"
ask table $spec --out $published --semantics 1 --device ref || die "a device without rows"
says "0/5"
ask status $spec --out $published || die "status"
says "stale rows of another version: 5"
ask status $spec --out $published --semantics 1 --json || die "status of semantics 1"
says '"done":35,"failed":0,"left":0,"stale":0,'
ask plot $spec --out $published --output "$work/plots" && die "a plot of nothing"
says "nothing to plot: "
says "--semantics 1 shows them"
ask table $spec --out $published --semantics 3 && die "semantics of the future"
says "3"
ask table $spec --out $published --semantics 1 --environment sm_90 && die "an environment where none counts"
says "--environment 'sm_90': has no effect, for none of these rows is of cuda"

ls $published/reproduce-table | tr '\n' ' ' >"$work/log"
says "curves.csv runs.csv "
[ "$(wc -w <"$work/log")" = 2 ] || die "something was left beside the published rows"

# a journal of schema 1 goes on
mkdir -p "$work/out/tiny"
cp $published/reproduce-table/*.csv "$work/out/tiny"
sed -e 's/"train": 64, "tune": 16, "validation": 32/"train": 16, "tune": 3, "validation": 4/' ablations/specs/tiny.json >"$work/tiny.json"
ask run "$work/tiny.json" --cell 0 --out "$work/out" || die "an old journal takes no new row"
ask status "$work/tiny.json" --out "$work/out" --json || die "the status of both"
says '"done":1,"failed":0,"left":11,'
ask sweep "$work/tiny.json" --out "$work/out" --only '^none' && die "a sweep that does not see old rows"
says "[first: $defeat journal import $work/out/tiny]"
ask status "$work/tiny.json" --out "$work/out" --rows || die "the rows of both"
cp "$work/log" "$work/before"
ask journal import "$work/out/tiny" || die "no import"
says "35 finished and 0 failed rows imported, 1 were there already"
ask status "$work/tiny.json" --out "$work/out" --rows || die "the rows after the import"
cmp "$work/log" "$work/before" || die "the import changed a row"
[ "$(grep -c ',ok,' "$work/out/tiny/runs.csv")" = 36 ] || die "old rows are gone"
ask sweep "$work/tiny.json" --out "$work/out" --only '^none' --dry-run || die "no sweep after the import"
[ "$(wc -l <"$work/log")" = 1 ] || die "the finished cell would be run again"
ask journal import "$work/tiny.json" && die "a spec is no journal"
ask journal imprt "$work/out/tiny" && die "an unknown action"
says "did you mean"
echo "passed"
