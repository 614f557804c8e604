#!/bin/sh
# The cycles checker must accept a tree without circles, and name every line of one that is there, however it is made.
here=$(cd "$(dirname "$0")" && pwd)
tree=$(mktemp -d) || exit 1
trap 'rm -rf "$tree"' EXIT
fail() { echo "test_cycles: $1" >&2; exit 1; }
# put FILE LINE...
put() { file=$tree/$1; shift; mkdir -p "${file%/*}"; printf '%s\n' "$@" >"$file"; }
# refused TEXT...: the tree has a circle, and all of these are said of it
refused() {
    found=$(sh "$here/cycles.sh" "$tree") && fail "accepted, expected: $*"
    for text in "$@"; do case $found in *"$text"*) ;; *) fail "'$text' is missing in: $found" ;; esac; done
}
accepted() { sh "$here/cycles.sh" "$tree" || fail "$1"; }

# Three sources of one header, a private header that extends its name, one that another module defines, a class that only a registry names.
put core/nn/tape.h 'struct df_tape;'
put core/nn/ops.h '#include "core/nn/tape.h"' 'int df_add(int x);' 'int df_roi(' '    int x);'
put core/nn/ops_shared.h '#include "core/nn/ops.h"' 'int df_into(int x);'
put core/nn/ops_binary.c '#include "core/nn/ops_shared.h"' 'int df_add(int x) { return x; }' 'int df_into(int x)' '{' '    return x;' '}'
put core/nn/ops_roi.c '#include "core/nn/ops_shared.h"' 'int df_roi(int x) { return df_into(x); }'
put distillers/distiller.h '/* df_defeat(' ' * is no declaration */' '#include "core/nn/ops.h"' 'extern const int df_classes[];'
put distillers/registry.c '#include "distillers/distiller.h"' 'extern const int df_defeat;' 'const int df_classes[] = { 1 };'
put distillers/defeat.c '#include "distillers/distiller.h"' 'const int df_defeat = 1;'
put results/row.h '#include "core/nn/tape.h"'
put results/up.h '/*' 'int df_add(int x); is elsewhere' '*/'
put results/table.h '#include "results/row.h"' '#include "results/up.h"' 'int df_table(void);'
put results/stored.h 'int df_stored(void);'
put results/journal.h '#include "results/row.h"'
put results/journal.c '#include "results/journal.h"' '#include "results/stored.h"' 'int df_stored(void) { return 1; }'
put results/table.c '#include "results/table.h"' 'int df_table(void) { return 1; }'
put results/table_print.c '#include "results/table.h"' '#include "results/row.h"'
accepted 'a good tree was refused'

put results/row.c '' '#include "results/table.h"'
refused 'circle through results/row (a knot of 2 modules)' 'results/table.h:1: includes "results/row.h"' 'results/row.c:2: includes "results/table.h"'
rm "$tree/results/row.c"

# a header alone is a module as well
put results/row.h '#include "results/cell.h"'
put results/cell.h '#include "results/table.h"'
refused 'a knot of 3 modules' 'results/row.h:1: includes "results/cell.h"' 'results/cell.h:1: includes "results/table.h"' 'results/table.h:1: includes'
rm "$tree/results/cell.h"
put results/row.h '#include "core/nn/tape.h"'

# what is declared in another's header
put results/low.h 'int df_other(void);'
put results/low.c '#include "results/low.h"' '#include "results/high.h"' 'int df_low(void)' '{' '    return df_other();' '}'
put results/high.h 'int df_low(void);' 'int df_high(void);'
put results/high.c '#include "results/high.h"' 'int df_high(void) { return df_low(); }'
refused 'results/high.h: declares df_low, which results/low.c defines' 'results/low.c:2: includes "results/high.h"'
put results/low.h 'int df_low(void);'
put results/high.h 'int df_high(void);'
put results/low.c '#include "results/low.h"' 'int df_low(void) { return 1; }'
put results/high.c '#include "results/high.h"' '#include "results/low.h"' 'int df_high(void) { return df_low(); }'
accepted 'what was put right was refused'

# a source belongs to the header of what it defines, with all that it includes
put results/high_print.c '#include "results/high.h"' 'int df_high_print(void) { return 1; }'
put results/high.h 'int df_high(void);' 'int df_high_print(void);'
put results/low.c '#include "results/low.h"' '#include "results/sink.h"' 'int df_low(void) { return 1; }'
put results/sink.h '#include "results/high.h"'
refused 'results/high.c:2: includes "results/low.h"' 'results/low.c:2: includes "results/sink.h"' 'results/sink.h:1: includes "results/high.h"'
put results/high.c '#include "results/high.h"' 'int df_high(void) { return 1; }'
accepted 'a chain was refused'
put results/high_print.c '#include "results/low.h"' 'int df_high_print(void) { return 1; }'
refused 'results/high_print.c:1: includes "results/low.h"'
exit 0
