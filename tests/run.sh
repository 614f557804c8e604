#!/bin/sh
# Runs every test program under BUILD/tests (the argument) and every tests/**/test_*.sh; ends with one line of totals. Exit 1 if any failed.
build=$1
passed=0 failed=0 skipped=0 broken=
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT INT TERM

count() { grep -c "$1" "$log"; }
programs=$(find "$build/tests" -type f -perm -u+x \( -name 'test_*' -o -name 'grad_*' \) ! -name '*.*' | sort)
[ -n "$programs" ] || { echo "no test programs under $build/tests [run: make tests]" >&2; exit 1; }
scripts=$(find tests -name 'test_*.sh' | sort)

for test in $programs $scripts; do
    name=${test#"$build"/}
    start=$(date +%s%N)
    case $test in
    *.sh) DEFEAT_BUILD=$build sh "$test" >"$log" 2>&1; status=$?
          [ $status = 0 ] && passed=$((passed + 1)) ; [ $status = 77 ] && skipped=$((skipped + 1)) && status=0
          [ $status = 0 ] || failed=$((failed + 1)) ;;
    *)    "$test" >"$log" 2>&1; status=$?
          passed=$((passed + $(count '^\[       OK \]'))) ; skipped=$((skipped + $(count '^\[  SKIPPED \] [A-Za-z_]')))
          [ $status = 0 ] || failed=$((failed + 1)) ;;
    esac
    ms=$((($(date +%s%N) - start) / 1000000))
    if [ $status = 0 ]; then
        printf '  ok   %6d ms  %s\n' $ms "$name"
    else
        printf '  FAIL %6d ms  %s (exit %d)\n' $ms "$name" $status
        grep -v '^\[ RUN\|^\[       OK' "$log" | sed 's/^/      /' | tail -n 40
        broken="$broken $name"
    fi
done
[ -z "$broken" ] || echo "failed:$broken"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
