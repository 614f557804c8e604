#!/bin/sh
# README's two commands on bare Debian systems: git, gcc and make, a clone of the last commit, nothing else. For root; needs some 3 GB.
#   sh tests/systems/run.sh bookworm|trixie [TARGET...]      these targets of make (default: test reproduce-quick)
#   sh tests/systems/run.sh short bookworm|trixie [CC]       warnings as errors, by this compiler; tests of the device, the detectors and the reference rows
#   sh tests/systems/run.sh matrix                           short with each compiler of both systems
#   sh tests/systems/run.sh compare [NAME...]                the rows of those that were run
# Each run ends with the tiny sweep. Its rows must be those of every other run of this revision. Logs, rows and the systems are kept in WORK (build/systems).
. "$(dirname "$0")/bare.sh"

matrix='bookworm:gcc-12 bookworm:clang trixie:gcc-14 trixie:gcc-13'
tiny='./defeat sweep ablations/specs/tiny.json --jobs 2 && ./defeat table ablations/specs/tiny.json &&
      ./defeat plot ablations/specs/tiny.json && ./defeat status ablations/specs/tiny.json --rows >rows.csv'

rows_of() { echo "$WORK/$1.$(revision).rows"; }
names() { for f in "$WORK"/*."$(revision)".rows; do [ ! -e "$f" ] || basename "$f" ".$(revision).rows"; done; }

# compare [NAME...]: are the rows of these runs (default: of all of this revision) equal?
compare() {
    [ $# -gt 0 ] || set -- $(names)
    [ $# -gt 1 ] || fail "nothing to compare: rows of revision $(revision) are there of '$*' [run.sh bookworm, run.sh trixie]"
    first=$1
    for other; do
        [ -e "$(rows_of "$other")" ] || fail "no rows of $other at revision $(revision) [run it]"
        diff "$(rows_of "$first")" "$(rows_of "$other")" >"$WORK/difference" ||
            { head -n 20 "$WORK/difference" | cut -c 1-200 >&2; fail "the rows of $first and $other differ"; }
    done
    echo "equal rows on $(echo "$*" | sed 's/ /, /g; s/\(.*\), /\1 and /'): $(grep -c ',ok,' "$(rows_of "$first")") rows"
}

# system NAME SUITE STEP...: the steps, each a shell command, in a fresh system
system() {
    name=$1 suite=$2 began=$(date +%s) said=
    shift 2
    rm -f "$WORK/$name".*.rows
    fresh "run-$name" "$suite"
    : >"$WORK/$name.log"
    for step in "$@" "$tiny"; do
        short=${step%% && *}
        echo "== $name: $short ($(($(date +%s) - began)) s so far)"
        inside "run-$name" "$step" >"$WORK/$name.step" 2>&1 && status=0 || status=$?
        cat "$WORK/$name.step" >>"$WORK/$name.log"
        if [ $status != 0 ]; then
            tail -n 40 "$WORK/$name.step" | sed 's/^/    /'
            echo "$name: FAILED at '$short' (exit $status), after $(($(date +%s) - began)) s; all it said: $WORK/$name.log; the system: $WORK/run-$name"
            return 1
        fi
        ! grep '[0-9] passed, ' "$WORK/$name.step" >"$WORK/$name.totals" || said="$said$(tail -n 1 "$WORK/$name.totals"); "
    done
    cp "$WORK/run-$name/defeat-bench/rows.csv" "$(rows_of "$name")"
    rm -rf --one-file-system "$WORK/run-$name" "$WORK/$name.step" "$WORK/$name.totals"
    grep -n 'warning: ' "$WORK/$name.log" >&2 && { echo "$name: FAILED: warnings, see above"; return 1; }
    [ "$(names | wc -l)" -lt 2 ] || compare
    echo "$name: ${said}$(grep -c ',ok,' "$(rows_of "$name")") rows of the tiny sweep, $(($(date +%s) - began)) s"
}

suite() { case ${1:-} in bookworm | trixie) ;; *) usage ;; esac; }

full() {
    suite "${1:-}"
    on=$1
    shift
    [ $# -gt 0 ] || set -- test reproduce-quick
    for target; do
        set -- "$@" "make $target"
        shift
    done
    system "$on" "$on" "$@"
}

short() {
    suite "${1:-}"
    cc=${2:-gcc}
    make="make WERROR=1 CC=$cc BUILD=build/short"
    system "$1-$cc" "$1" "make deps CC=$cc" "$make -j\$(nproc) all tests" "sh tests/run.sh build/short core/device detectors ablations/test_reference"
}

case ${1:-} in
matrix)
    failed=
    for pair in $matrix; do (short "${pair%%:*}" "${pair#*:}") || failed="$failed $pair"; done
    [ -z "$failed" ] || fail "failed:$failed"
    compare $(echo $matrix | tr : -) ;;
compare) shift; compare "$@" ;;
short) shift; short "$@" ;;
*) full "$@" ;;
esac
