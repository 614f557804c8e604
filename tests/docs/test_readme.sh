#!/bin/sh
# README.md's distiller must compile as it stands there and pass its check (by another name: its reader may have kept it, as README.md says).
set -e
defeat=${DEFEAT_BUILD:?}/defeat
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
awk '/^```c$/ { on = 1; next } /^```$/ { on = 0 } on' README.md | sed 's/\.name = "attention"/.name = "readme"/' >"$folder/attention.c"
grep -q df_distiller_class "$folder/attention.c" || { echo "README.md shows no distiller" >&2; exit 1; }
cc -shared -fPIC -std=c11 -Wall -Werror -I. $(pkg-config --cflags libcjson) "$folder/attention.c" -o "$folder/attention.so"
"$defeat" distillers --plugin "$folder/attention.so" --check readme
