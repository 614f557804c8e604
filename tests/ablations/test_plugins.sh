#!/bin/sh
# Plugins that break their contract: what is wrong is said of them, in a check and in a run; a crash names the check, and never this program's lines.
set -e
defeat=$(cd "$(dirname "${DEFEAT_BUILD:?}/defeat")" && pwd)/defeat
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
stop() { echo "$1" >&2; cat "$folder/out" >&2; exit 1; }
here=$(pwd)
awk '/^```c$/ { on = 1; next } /^```$/ { on = 0 } on' README.md >"$folder/base.c"
# plugin NAME SED: README.md's distiller, changed
plugin() {
    sed "s/\.name = \"attention\"/.name = \"$1\"/; $2" "$folder/base.c" >"$folder/$1.c"
    cmp -s "$folder/base.c" "$folder/$1.c" && stop "nothing to change for $1"
    cc -shared -fPIC -std=c11 -I. $(pkg-config --cflags libcjson) "$folder/$1.c" -o "$folder/$1.so"
}
# says NAME TEXT: a check ends with 1 and says so
says() {
    set +e; "$defeat" distillers --plugin "$folder/$1.so" --check "$1" >"$folder/out" 2>&1; got=$?; set -e
    [ $got = 1 ] || stop "the check of $1 ended with $got"
    grep -qF -- "$2" "$folder/out" || stop "the check of $1 does not say: $2"
    ! grep -q 'bug: ' "$folder/out" || stop "a fault of $1 is told as ours"
}
export ASAN_OPTIONS=handle_segv=0 # a crash is a crash, under AddressSanitizer too
returns='return df_scale(tape, sum, options->w);'
plugin nul "s/$returns/return NULL;/"
plugin vec "s/$returns/return df_part(student, \"neck\", 0)->tensor;/"
plugin term 's/"attention", sum, options->w/"attention", df_part(student, "neck", 0)->tensor, 0/'
plugin big 's/sizeof(struct attention_options), .loss/(size_t)1 << 50, .loss/'
plugin crash "s/$returns/return options->w == 0 ? ((df_tensor *volatile *)NULL)[1] : df_scale(tape, sum, options->w);/"
says nul "FAIL result: distiller 'nul': its loss is NULL, though it added the term 'attention' with the weight 1"
says vec "FAIL result: distiller 'vec': its loss has shape ["
says term "FAIL result: distiller 'term': its term 'attention' has shape ["
says big "options_size is 1125899906842624 bytes"
says crash "the code of the plugin crashed in the check of weight zero: signal 11"

cd "$folder"
run() {
    printf '{"name": "%s", "extends": "%s/ablations/specs/tiny.json", "plugins": ["%s.so"], "plots": null, "data": {"train": 16, "tune": 3, "validation": 4},
        "schedule": {"epochs": 1, "warmup_steps": 2}, "seeds": [0], "methods": [{"label": "x", "distillers": [{"name": "%s"}]}]}\n' "$1" "$here" "$1" "$1" >"$1.json"
    set +e; "$defeat" sweep "$1.json" --jobs 1 --out made >out 2>&1; set -e
    grep -qF "x seed 0: failed: distiller '$1': its loss $2" out || stop "the sweep does not say: its loss $2"
}
run nul "is NULL"
run vec "has shape ["
