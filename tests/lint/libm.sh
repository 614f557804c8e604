#!/bin/sh
# No function of libm whose last bit may differ between systems decides a number of a run: core/portable_math.h has our own. sqrt, fma, the
# roundings, fmin, fmax, fmod, ldexp and their like are exact everywhere and free to use; .cu files have CUDA's own.
# Arguments: the root to check, and a folder of objects built from it, whose undefined symbols are checked as well (function pointers,
# <tgmath.h>, calls that the compiler makes).
# Prints "file:line: ..." or "object: ..." for each call; exit 1 if there is one.
cd "${1:-.}" || exit 2
objects=$2
rooms='core detectors distillers ablations/run'
inexact='exp exp2 exp10 expm1 log log2 log10 log1p pow pow10 cbrt hypot sin cos tan sincos asin acos atan atan2 sinh cosh tanh asinh acosh
         atanh erf erfc gamma lgamma lgamma_r tgamma j0 j1 jn y0 y1 yn'
found=0

# shellcheck disable=SC2086
find $rooms \( -name '*.c' -o -name '*.h' \) 2>/dev/null | sort | xargs awk -v inexact="$inexact" '
BEGIN {
    gsub(/[ \n]+/, "|", inexact)
    call = "(^|[^A-Za-z0-9_.])(__builtin_|__)?(" inexact ")[fl]?[ \t]*\\("
}
FNR == 1 { comment = 0 }
{
    line = $0
    if (line ~ /^[ \t]*#[ \t]*include[ \t]*<(tgmath|complex)\.h>/) {
        printf "%s:%d: includes a header of generic functions: core/base/portable_math.h has ours\n", FILENAME, FNR; bad = 1
    }
    gsub(/\\./, "", line); gsub(/\047"\047/, "", line); gsub(/"[^"]*"/, "\"\"", line)
    code = ""
    while (line != "") {                                        # what is not in a comment
        if (comment) {
            if (!(at = index(line, "*/"))) break
            line = substr(line, at + 2); comment = 0
        } else if (at = match(line, /\/[*\/]/)) {
            code = code substr(line, 1, at - 1) " "
            if (substr(line, at, 2) == "//") break
            line = substr(line, at + 2); comment = 1
        } else { code = code line; break }
    }
    gsub(/->/, ".", code)
    if (match(code, call)) {
        name = substr(code, RSTART, RLENGTH); gsub(/[^A-Za-z0-9_]/, "", name)
        printf "%s:%d: %s() may give another last bit on another system: core/base/portable_math.h has ours\n", FILENAME, FNR, name; bad = 1
    }
}
END { exit bad }' || found=1

for kind in ${objects:+"$objects"/*}; do # float, double, one for each instruction set
    for room in $rooms; do
        [ "${kind##*/}" = cuda ] || [ ! -d "$kind/$room" ] || find "$kind/$room" -name '*.o' | sort
    done
done | while read -r object; do nm -u "$object" | sed "s|^|$object |"; done | awk -v inexact="$inexact" '
BEGIN { gsub(/[ \n]+/, "|", inexact) }
$3 ~ "^(" inexact ")[fl]?$" || $3 ~ /^_ZGV/ {
    printf "%s: calls %s, which may give another last bit on another system\n", $1, $3; bad = 1
}
END { exit bad }' || found=1
exit $found
