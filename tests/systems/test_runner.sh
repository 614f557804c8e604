#!/bin/sh
# tests/run.sh on a tree of its own: tests side by side, lines in the order of names, the totals, what counts as failed, folders.
runner=$(cd "$(dirname "$0")/.." && pwd)/run.sh
tree=$(mktemp -d) || exit 1
trap 'rm -rf "$tree"' EXIT
cd "$tree" || exit 1
fail() { echo "test_runner: $1" >&2; cat said >&2; exit 1; }
run() { JOBS=2 sh "$runner" build "$@" >said 2>&1; }
program() { mkdir -p "build/tests/${1%/*}"; { echo '#!/bin/sh'; cat; } >"build/tests/$1"; chmod +x "build/tests/$1"; }
totals() { [ "$(tail -n 1 said)" = "$1" ] || fail "expected '$1'"; }

run && fail 'a tree without tests passes'
grep -q 'no test programs under build/tests' said || fail 'a tree without tests is not told'

# The first waits for the second: only side by side do both end.
program core/a/test_one <<'END'
n=0
while [ ! -e second ]; do sleep 0.05; n=$((n + 1)); [ $n -lt 1200 ] || exit 1; done
echo '[       OK ] one'; echo '[       OK ] other'; echo '[  SKIPPED ] third'
echo '[==========] tests: 3 test(s) run.'; echo '[  SKIPPED ] tests: 1 test(s), listed below:'; echo '[  SKIPPED ] third'
END
program core/a/test_two <<'END'
touch second; echo '[       OK ] two'
END
mkdir -p tests/core/b
echo 'echo $DEFEAT_BUILD >folder' >tests/core/b/test_script.sh
run || fail 'three good tests fail'
totals '4 passed, 0 failed, 1 skipped'
[ "$(cat folder)" = build ] || fail 'a script is not told its build'
[ "$(sed -n 's/.* ms  //p' said | tr '\n' ' ')" = 'tests/core/a/test_one tests/core/a/test_two tests/core/b/test_script.sh ' ] || fail 'the order'

echo 'exit 77' >tests/core/b/test_skipped.sh
run core/b || fail 'one folder'
totals '1 passed, 0 failed, 1 skipped'
run core/c && fail 'a folder without tests passes'
grep -q 'no tests in tests/core/c' said || fail 'a folder without tests is not told'

# A failure after good tests, and a crash: both are told, with what they said.
program core/c/grad_crash <<'END'
echo '[       OK ] before'; echo 'what it said'; kill -SEGV $$
END
echo 'echo because; exit 3' >tests/core/b/test_wrong.sh
run && fail 'failures pass'
totals '5 passed, 2 failed, 2 skipped'
grep -q '^failed: tests/core/c/grad_crash tests/core/b/test_wrong.sh$' said || fail 'the failed are not listed'
grep -q 'grad_crash (exit 139)' said && grep -q '^      what it said$' said && grep -q '^      because$' said || fail 'no reasons'
exit 0
