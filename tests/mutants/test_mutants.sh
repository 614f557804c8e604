#!/bin/sh
# Every mutant of the list still applies; and the runner tells killed, survived and wrong apart, on a small tree of its own.
here=$(cd "$(dirname "$0")" && pwd)
tree=$(mktemp -d) || exit 1
trap 'rm -rf "$tree"' EXIT
fail() { echo "test_mutants: $1" >&2; exit 1; }
run() { sh "$here/run.sh" -l "$tree/list" -t "$tree" -w "$tree/build" "$@" 2>"$tree/said"; }
refused() { # what it should say
    run -c >/dev/null && fail "accepted: $1"
    grep -qF -- "$1" "$tree/said" || { cat "$tree/said" >&2; fail "did not say: $1"; }
}

sh "$here/run.sh" -c -t "$here/../.." -w "$tree/build" >/dev/null || fail 'the list does not fit the sources'

# A program of two numbers; its first test looks at one of them, the whole suite at both but not at the word.
mkdir -p "$tree/core/sum" "$tree/tests/core/sum"
printf 'one=1\ntwo=2\nword=[a*]\n' >"$tree/core/sum/sum.c"
printf '. core/sum/sum.c || exit 3; [ "$one" = 1 ]\n' >"$tree/tests/core/sum/test_one.c"
printf 'two=; . core/sum/sum.c; [ "$two" = 2 ] || { echo "failed: tests/two"; exit 1; }\n' >"$tree/tests/run.sh"
cat >"$tree/Makefile" <<'END'
all tests: $(BUILD)/tests/core/sum/test_one
$(BUILD)/tests/core/sum/test_one: tests/core/sum/test_one.c core/sum/sum.c
	@grep -q two core/sum/sum.c # what this compiler knows of errors
	@mkdir -p $(@D); (echo '#!/bin/sh'; cat $<) >$@; chmod +x $@
END
entry() { printf 'mutant  %s: broken\nfile    core/sum/sum.c\nfind    %s\nput     %s\ntests   core/sum/test_one\n\n' "$1" "$2" "$3"; }

{ entry first one=1 one=3 && entry second two=2 two=3; } >"$tree/list"
found=$(run) || { cat "$tree/said" >&2; fail "two killed mutants: $found"; }
[ "$(echo "$found" | tail -n 1)" = '2 mutants, 2 killed, 0 survived' ] || fail "totals: $found"
case $found in *'killed by core/sum/test_one (exit 1)  first: broken'*'killed by tests/two  second: broken (not by its own'*) ;; *) fail "$found" ;; esac
grep -q '^one=1$' "$tree/core/sum/sum.c" || fail 'the tree was written to'

{ entry first one=1 one=3 && entry word '[a*]' '' && entry compiler two= 2=; } >"$tree/list"
found=$(run) && fail "a survivor counts as success: $found"
[ "$(echo "$found" | tail -n 1)" = '3 mutants, 1 killed, 1 survived' ] || fail "totals: $found"
case $found in *'DOES NOT COMPILE compiler: broken'*'SURVIVED word: broken'*) ;; *) fail "$found" ;; esac
[ "$(run first | tail -n 1)" = '1 mutants, 1 killed, 0 survived' ] || fail 'one mutant by name'
run nobody && fail 'an unknown name was accepted'

# An interrupted run leaves its list of objects; they are deleted, and a list of headers may stay behind without its object.
mkdir -p "$tree/build/build" && echo "$tree/build/build/gone.o" >"$tree/build/unfinished" && : >"$tree/build/build/gone.o"
echo 'gone.o: core/sum/sum.c' >"$tree/build/build/gone.d"
[ "$(run first | tail -n 1)" = '1 mutants, 1 killed, 0 survived' ] || { cat "$tree/said" >&2; fail 'after an interrupted run'; }

entry first = x >"$tree/list"
refused "mutant 'first' no longer applies: 'core/sum/sum.c' holds its text 3 times"
entry first one=4 x >"$tree/list"
refused "mutant 'first' no longer applies: 'core/sum/sum.c' holds its text 0 times"
entry first one=1 one=1 >"$tree/list"
refused "mutant 'first' changes nothing"
{ entry first one=1 x && entry first two=2 x; } >"$tree/list"
refused 'a second mutant "first"'
entry first one=1 x | grep -v find >"$tree/list"
refused 'found "put", expected "find"'
entry first one=1 x | grep -v tests >"$tree/list"
refused 'the last entry ends early'
entry first one=1 x | sed s/test_one/test_two/ >"$tree/list"
refused "no tests in 'tests/core/sum/test_two'"

entry first one=1 x | sed 's,sum.c,sum.c core/sum/user.c,' >"$tree/list"
refused "there is no file 'core/sum/user.c'"

# Tests that fail without a change say nothing about a mutant; a source that changed is built again whatever its date is.
entry first one=1 one=3 >"$tree/list"
printf 'exit 1\n' >"$tree/tests/core/sum/test_one.c"
touch -d 2001-01-01 "$tree/tests/core/sum/test_one.c"
run >/dev/null && fail 'a failing test killed a mutant'
grep -q 'the unchanged sources fail core/sum/test_one' "$tree/said" || { cat "$tree/said" >&2; fail 'a failing test went unnoticed'; }
exit 0
