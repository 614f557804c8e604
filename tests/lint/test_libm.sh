#!/bin/sh
# The libm checker must accept what is exact or ours, and name file and line of every other call.
here=$(cd "$(dirname "$0")" && pwd)
tree=$(mktemp -d) || exit 1
trap 'rm -rf "$tree"' EXIT
fail() { echo "test_libm: $1" >&2; exit 1; }
# refused LINE: as line 3 of a file
refused() {
    printf '/* exp(x) */\nint line_two;\n%s\n' "$1" >"$tree/core/base/bad.c"
    found=$(sh "$here/libm.sh" "$tree") && fail "accepted: $1"
    case $found in core/base/bad.c:3:*) ;; *) fail "unexpected message: $found" ;; esac
    rm "$tree/core/base/bad.c"
}

mkdir -p "$tree/core/base" "$tree/distillers" "$tree/ablations/run" "$tree/results" "$tree/objects/isa-x/core" "$tree/objects/cuda/core"
cat >"$tree/core/base/good.c" <<'C'
/* log(x), over two
 * lines: exp(x) */
#include <math.h>
double f(struct s *s) { return sqrt(fma(s->log(1), s.exp(2), floor(fmin(3, ldexp(4, 5))))) + df_log(fmod(6, 7)) + s->catalog(8); } // pow(9)
const char *text = "sin(x) \" cos(x)";
static int log, gamma = 1;
C
printf 'float k(float x) { return __expf(x); }\n' >"$tree/core/base/good.cu"
printf 'double t(double x) { return lgamma(x); }\n' >"$tree/results/free.c"
sh "$here/libm.sh" "$tree" || fail 'a good tree was refused'
refused 'double f(double x) { return log(x); }'
refused 'double f(double x) { return /* one */ 1 /* two */ + tanhf (x); }'
refused 'double f(double x) { return -__builtin_pow(x, 3); }'
refused 'double f(double x) { return x>exp2(x); }'
refused '#include <tgmath.h>'
printf 'double f(double x) { return cosh(x); }\n' >"$tree/ablations/run/bad.h"
sh "$here/libm.sh" "$tree" >/dev/null && fail 'a header was not read'
rm "$tree/ablations/run/bad.h"

printf '#include <math.h>\ndouble (*chosen)(double) = floor;\n' | ${CC:-cc} -x c -c -o "$tree/objects/isa-x/core/chosen.o" - || fail 'no object'
sh "$here/libm.sh" "$tree" "$tree/objects" || fail 'a good object was refused'
printf '#include <math.h>\ndouble (*chosen)(double) = exp;\n' | ${CC:-cc} -x c -c -o "$tree/objects/isa-x/core/chosen.o" - || fail 'no object'
found=$(sh "$here/libm.sh" "$tree" "$tree/objects") && fail 'a function pointer was accepted'
case $found in *chosen.o:*exp*) ;; *) fail "unexpected message: $found" ;; esac
mv "$tree/objects/isa-x/core/chosen.o" "$tree/objects/cuda/core"
sh "$here/libm.sh" "$tree" "$tree/objects" || fail "CUDA's own functions were refused"
exit 0
