#!/bin/sh
# The floors of the house: a file includes only from its own room or from rooms on lower floors. A folder without a floor of its own belongs
# to the room above it. Argument: the root to check.
# Prints "file:line: ..." for each forbidden edge; exit 1 if there is one.
cd "${1:-.}" || exit 2
find ablations distillers detectors core plots results \( -name '*.c' -o -name '*.h' -o -name '*.cu' \) 2>/dev/null | sort |
xargs awk '
BEGIN {
    split("ablations/cli 8 ablations 7 ablations/behaviour 7 ablations/run 6 distillers/check 6 distillers 5 detectors 4 core/nn 3 core/metrics 3 plots 3 " \
          "core/device 2 core/data 2 results 2 core/geometry 1 core/base 0", word, " ")
    for (i = 1; i in word; i += 2) floor[word[i]] = word[i + 1]
}
function room(path,    folder) {
    sub(/\/[^\/]*$/, "", path)
    for (folder = path; !(folder in floor); sub(/\/[^\/]*$/, "", folder)) if (folder !~ /\//) return path
    return folder
}
/^[ \t]*#[ \t]*include[ \t]*"/ {
    target = $0; sub(/^[^"]*"/, "", target); sub(/".*/, "", target)
    from = room(FILENAME); to = room(target)
    if (!(from in floor))    { printf "%s:%d: room \"%s\" is on no floor\n", FILENAME, FNR, from; bad = 1 }
    else if (!(to in floor)) { printf "%s:%d: includes \"%s\", which is in no room of the house\n", FILENAME, FNR, target; bad = 1 }
    else if (from != to && floor[to] >= floor[from]) {
        printf "%s:%d: %s (floor %d) must not include \"%s\" (floor %d): only its own room or lower floors\n",
               FILENAME, FNR, from, floor[from], target, floor[to]; bad = 1
    }
}
END { exit bad }'
