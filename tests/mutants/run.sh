#!/bin/sh
# Mutation testing: each entry of a list breaks one line of the sources; a test must notice.
#   sh tests/mutants/run.sh [-c] [-l LIST] [-t TREE] [-w WORK] [NAME...]
#     -c         only check that every entry still applies
#     LIST       default tests/mutants/mutants.txt
#     TREE       the checkout (default .); it is copied to WORK/tree and never written to
#     WORK       default TREE/build/mutants; the objects in WORK/build are used again by the next run
#     NAME...    only these mutants
# An entry is five lines, a word and what follows it: mutant NAME: what is broken; file; find (a text that the file holds exactly once);
# put (what replaces it, may be empty); tests (folders or programs under tests/ that should notice). A line that starts with # is a comment.
# Sources after a header's name are the only ones that are compiled again: those that use what is broken in it.
# A mutant that its own tests let through meets the whole suite. Prints a line per mutant and `N mutants, N killed, M survived`.
# Exit: 0 all killed, 1 some not (or not compiled), 2 the list or the tree is wrong.
check= list= tree=. work=
while getopts cl:t:w: option; do
    case $option in
    c) check=1 ;;
    l) list=$OPTARG ;;
    t) tree=$OPTARG ;;
    w) work=$OPTARG ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
fail() { echo "mutants: $1" >&2; exit 2; }
tree=$(cd "$tree" && pwd) || exit 2
list=${list:-$tree/tests/mutants/mutants.txt}
work=${work:-$tree/build/mutants}
[ -r "$list" ] || fail "cannot read '$list'"
mkdir -p "$work" && work=$(cd "$work" && pwd) || exit 2
scratch=$(mktemp -d) || exit 2
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM

# ---- the list ----

# One file per entry and word: $scratch/3.find; prints how many entries there are.
split() {
    awk -v out="$scratch/" '
        function stop(what) { printf "%s:%d: %s\n", FILENAME, FNR, what > "/dev/stderr"; bad = 1; exit 2 }
        /^#/ || /^[ \t]*$/ { next }
        {
            word = $1; text = $0; sub(/^[^ \t]+[ \t]*/, "", text)
            if (word != order[at % 5 + 1]) stop("found \"" word "\", expected \"" order[at % 5 + 1] "\"")
            if (text == "" && word != "put") stop("\"" word "\" without a text")
            if (word == "mutant") {
                n++; name = text; sub(/:.*/, "", name)
                if (name !~ /^[a-z0-9-]+$/ || name == text) stop("expected \"mutant name: what is broken\"")
                if (name in seen) stop("a second mutant \"" name "\"")
                seen[name] = 1
                print name > (out n ".name"); close(out n ".name")
                sub(/^[^:]*:[ \t]*/, "", text)
            }
            print text > (out n "." word); close(out n "." word); at++
        }
        BEGIN { split("mutant file find put tests", order, " ") }
        END { if (!bad && at % 5) { printf "%s: the last entry ends early\n", FILENAME > "/dev/stderr"; bad = 1 } if (bad) exit 2; print n + 0 }
    ' "$list"
}
of() { cat "$scratch/$1.$2"; }
path() { sed 's/[ \t].*//' "$scratch/$1.file"; }
users() { sed -n 's/^[^ \t]*[ \t]*//p' "$scratch/$1.file"; }

# The file with the text replaced goes to stdout; the exit status is the number of places (3: more than two).
replaced() {
    find=$(of "$1" find) put=$(of "$1" put) awk '
        BEGIN { find = ENVIRON["find"]; put = ENVIRON["put"] }
        {
            line = $0; done = ""
            while (at = index(line, find)) { places++; done = done substr(line, 1, at - 1) put; line = substr(line, at + length(find)) }
            print done line
        }
        END { exit places > 3 ? 3 : places }
    ' "$tree/$(path "$1")"
}

# "core/nn core/device/test_conv" -> the programs, one a line
programs() {
    for item in $(of "$1" tests); do
        if [ -f "$tree/tests/$item.c" ]; then
            echo "tests/$item"
        else
            for source in "$tree/tests/$item"/test_*.c "$tree/tests/$item"/grad_*.c; do
                [ -f "$source" ] && source=${source#"$tree"/} && echo "${source%.c}"
            done
        fi
    done
}

check_entry() {
    name=$(of "$1" name)
    for file in $(users "$1") $(path "$1"); do
        [ -f "$tree/$file" ] || { echo "mutant '$name' no longer applies: there is no file '$file'" >&2; return 1; }
    done
    [ "$(of "$1" find)" != "$(of "$1" put)" ] || { echo "mutant '$name' changes nothing" >&2; return 1; }
    replaced "$1" >/dev/null
    places=$?
    [ $places = 1 ] || { echo "mutant '$name' no longer applies: '$file' holds its text $places times, expected once: $(of "$1" find)" >&2; return 1; }
    for item in $(of "$1" tests); do
        [ -f "$tree/tests/$item.c" ] || ls "$tree/tests/$item"/test_*.c >/dev/null 2>&1 ||
            { echo "mutant '$name': no tests in 'tests/$item'" >&2; return 1; }
    done
}

total=$(split) || exit 2
[ "$total" -gt 0 ] || fail "'$list' is empty"
i=0 bad=0
while [ $((i += 1)) -le "$total" ]; do check_entry $i || bad=1; done
[ $bad = 0 ] || fail 'the list does not fit the sources [correct the entries above]'
[ -z "$check" ] || { echo "$total mutants apply"; exit 0; }

chosen=
if [ $# = 0 ]; then
    chosen=$(seq "$total")
else
    for name; do
        found=$(grep -lx -- "$name" "$scratch"/*.name) || fail "unknown mutant '$name'"
        found=${found##*/} chosen="$chosen ${found%.name}"
    done
fi
count=$(echo $chosen | wc -w)

# ---- the copy ----

log=$work/log
build=$work/build
jobs=${JOBS:-$(nproc 2>/dev/null || echo 2)}

# A file that is as it was in the last copy keeps its date, any other is new now: sources may change while a run goes on.
copy_tree() {
    rm -rf "$work/new"
    mkdir -p "$work/new" || exit 2
    # what git knows or would take; without git (a tarball) all but what was built
    if git -C "$tree" rev-parse >/dev/null 2>&1; then
        (cd "$tree" && git ls-files -co --exclude-standard | while read -r file; do [ -e "$file" ] && echo "$file"; done)
    else
        (cd "$tree" && find . -path ./build -prune -o -path ./out -prune -o -type f -print)
    fi >"$scratch/files"
    tar -C "$tree" -cf - -T "$scratch/files" | tar -C "$work/new" -xmf - || fail "cannot copy '$tree' to '$work/new'"
    while read -r file; do
        cmp -s "$work/new/$file" "$work/tree/$file" && touch -r "$work/tree/$file" "$work/new/$file"
    done <"$scratch/files"
    rm -rf "$work/tree"
    mv "$work/new" "$work/tree" || exit 2
}
# Objects that the mutant of an interrupted run may have left behind are not used again.
[ ! -e "$work/unfinished" ] || { xargs rm -f <"$work/unfinished"; rm -f "$build"/*.a "$work/unfinished"; }
copy_tree
cd "$work/tree" || exit 2
compile() { "${MAKE:-make}" --no-print-directory -j"$jobs" BUILD="$build" REVISION=mutants "$@" >"$log" 2>&1; }

# Runs programs until one fails: prints it with its first failed test and returns 0; 1 if all pass.
first_failure() {
    for program; do
        timeout 300 "$build/$program" >"$log" 2>&1
        status=$?
        [ $status != 0 ] || continue
        test=$(sed -n 's/^\[  FAILED  \] \([A-Za-z_]*\).*/\1/p' "$log" | head -n 1)
        [ $status = 124 ] && test="no end after 300 s"
        echo "${program#tests/} (${test:-exit $status})"
        return 0
    done
    return 1
}

all=$(for i in $chosen; do programs "$i"; done | sort -u)
echo "mutants: building $(echo "$all" | wc -l) test programs without a change" >&2
compile $(echo "$all" | sed "s,^,$build/,") || { tail -n 20 "$log" >&2; fail 'the unchanged sources do not build'; }
broken=$(first_failure $all) && { cat "$log" >&2; fail "the unchanged sources fail $broken"; }

# ---- the mutants ----

# Objects of everything that includes the mutated file are set aside, and come back with their old dates: nothing is compiled twice.
mutate() {
    file=$(path "$1") users=$(users "$1")
    rm -rf "$scratch/kept"
    mkdir -p "$scratch/kept"
    # Those that are there: an interrupted run's were deleted, and only what the chosen tests need was built again.
    if [ -n "$users" ]; then
        for user in $users; do printf '%s\n' "$build"/*/"${user%.c}.o"; done
    else
        find "$build" -name '*.d' -exec grep -lF "$file" {} + | sed 's/\.d$/.o/'
    fi | while read -r object; do [ ! -e "$object" ] || echo "$object"; done >"$scratch/objects"
    [ ! -s "$scratch/objects" ] || tar --format=posix -cPf "$scratch/kept/objects.tar" -T "$scratch/objects" || exit 2
    cp -p "$file" "$scratch/kept/source"
    cp "$scratch/objects" "$work/unfinished"
    replaced "$1" >"$file"
    [ -z "$users" ] || { touch -r "$scratch/kept/source" "$file"; xargs rm -f <"$scratch/objects"; rm -f "$build"/*.a; }
}
restore() {
    cp -p "$scratch/kept/source" "$file"
    [ ! -s "$scratch/objects" ] || tar -xpPf "$scratch/kept/objects.tar" || exit 2
    rm -f "$build"/*.a "$work/unfinished"
}

started=$(date +%s) done=0 killed=0 survivors=
progress() {
    gone=$(($(date +%s) - started))
    left=$([ $done = 0 ] || echo ", about $((gone * (count - done) / done)) s left")
    printf '[%d/%d] %d s%s: %s\n' $((done + 1)) "$count" $gone "$left" "$(of "$1" name)" >&2
}
for i in $chosen; do
    progress "$i"
    own=$(programs "$i")
    mutate "$i"
    what="$(of "$i" name): $(of "$i" mutant)"
    if ! compile $(echo "$own" | sed "s,^,$build/,"); then
        echo "DOES NOT COMPILE $what"
        grep -m 3 'error' "$log" >&2
    elif killer=$(first_failure $own); then
        killed=$((killed + 1))
        echo "killed by $killer  $what"
    else
        survivors="$survivors $i"
        echo "mutants: $(of "$i" name) passes its own tests; the whole suite comes after the others" >&2
    fi
    restore
    done=$((done + 1))
done

# The suite must pass without a change, or its failures would say nothing; the list's own test fails at any, and says nothing either.
survived=0
rm -f tests/mutants/test_mutants.sh
if [ -n "$survivors" ]; then
    { compile all tests || fail 'the unchanged sources do not build'; sh tests/run.sh "$build" >"$log" 2>&1; } ||
        { tail -n 3 "$log" >&2; fail 'the unchanged sources fail the suite'; }
fi
for i in $survivors; do
    mutate "$i"
    what="$(of "$i" name): $(of "$i" mutant)"
    if ! compile all tests; then
        echo "DOES NOT COMPILE $what"
    elif sh tests/run.sh "$build" >"$log" 2>&1; then
        survived=$((survived + 1))
        echo "SURVIVED $what"
    else
        killed=$((killed + 1))
        echo "killed by $(sed -n 's/^failed: *//p' "$log")  $what (not by its own tests: $(of "$i" tests))"
    fi
    restore
done
echo "$count mutants, $killed killed, $survived survived"
[ "$killed" = "$count" ]
