#!/bin/sh
# Runs every test program under BUILD/tests and every tests/**/test_*.sh, JOBS at a time (default: a core each); ends with one line of totals.
#   sh tests/run.sh BUILD [PART...]     PART: a folder (core/device) or a program (ablations/test_reference): only the tests there and below
#     EMULATOR=qemu-aarch64-static           in the environment: what runs the programs, where this machine cannot
# Lines come in the order of names, whoever is done first. Exit 1 if any failed.
build=${1:?}
shift
# These take longest: they begin first, so that no core waits for them at the end.
heavy='test_end_to_end.sh|test_reference|device/test_|test_network|test_sweep|test_mutants.sh|test_retinanet'

if [ "$RUN_ONE" ]; then # a test of its own process: its output in N.log, what came of it in N.result; prints N
    work=$RUN_ONE number=${1%%:*} test=${1#*:}
    unset RUN_ONE
    start=$(date +%s%N)
    case $test in
    *.sh) DEFEAT_BUILD=$build sh "$test" ;;
    *) $EMULATOR "$test" ;;
    esac >"$work/$number.log" 2>&1 </dev/null
    echo "$? $((($(date +%s%N) - start) / 1000000)) $test" >"$work/$number.part"
    mv "$work/$number.part" "$work/$number.result"
    echo "$number"
    exit
fi

[ -d "$build/tests" ] || { echo "no test programs under $build/tests [run: make tests]" >&2; exit 1; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

for part in "${@:-.}"; do
    programs=$(find "$build/tests/$part" -type f -perm -u+x \( -name 'test_*' -o -name 'grad_*' \) ! -name '*.*' 2>/dev/null | sort)
    scripts=$(find "tests/$part" -name 'test_*.sh' 2>/dev/null | sort)
    [ -n "$programs$scripts" ] || { echo "no tests in tests/$part [run: make tests]" >&2; exit 1; }
    printf '%s\n' $programs >>"$work/programs"
    printf '%s\n' $scripts >>"$work/scripts"
done
sed 's,/\./,/,' "$work/programs" "$work/scripts" | awk 'NF { print ++n ":" $0 }' >"$work/tests"

# Lines before the summary, which lists what was skipped once more.
count() { sed '/^\[==========\] .*run\.$/,$d' "$work/$next.log" | grep -c "$1"; }
# The verdict on test number $next, whose files are there.
report() {
    read -r status ms test <"$work/$next.result"
    case $test in
    *.sh) [ "$status" = 0 ] && passed=$((passed + 1))
          [ "$status" = 77 ] && skipped=$((skipped + 1)) && status=0 ;;
    *)    passed=$((passed + $(count '^\[       OK \]'))) skipped=$((skipped + $(count '^\[  SKIPPED \]'))) ;;
    esac
    if [ "$status" = 0 ]; then
        printf '  ok   %6d ms  %s\n' "$ms" "${test#"$build"/}"
    else
        failed=$((failed + 1)) broken="$broken ${test#"$build"/}"
        printf '  FAIL %6d ms  %s (exit %d)\n' "$ms" "${test#"$build"/}" "$status"
        grep -v '^\[ RUN\|^\[       OK' "$work/$next.log" | sed 's/^/      /' | tail -n 40
    fi
}

{ grep -E "$heavy" "$work/tests"; grep -vE "$heavy" "$work/tests"; } |
RUN_ONE=$work xargs -P "${JOBS:-$(nproc 2>/dev/null || echo 2)}" -I {} sh "$0" "$build" {} | {
    passed=0 failed=0 skipped=0 broken= next=1
    while read -r _; do
        while [ -e "$work/$next.result" ]; do
            report
            next=$((next + 1))
        done
    done
    [ $((next - 1)) = "$(wc -l <"$work/tests")" ] || { echo "only $((next - 1)) of $(wc -l <"$work/tests") tests were run" >&2; failed=$((failed + 1)); }
    [ -z "$broken" ] || echo "failed:$broken"
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" = 0 ]
}
