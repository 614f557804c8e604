#!/bin/sh
# What `make install` leaves is enough: from an empty folder, with nothing of the checkout but README.md's distiller. `make uninstall` takes all away
# but what somebody else put there.
set -e
build=${DEFEAT_BUILD:?}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
stop() { echo "$1" >&2; exit 1; }
place="$folder/stage/opt/bench"
quietly() { "$@" >"$folder/log" 2>&1 || { cat "$folder/log" >&2; exit 1; }; }

quietly make install-files BUILD="$build" DESTDIR="$folder/stage" PREFIX=/opt/bench
awk '/^```c$/ { on = 1; next } /^```$/ { on = 0 } on' README.md | sed 's/\.name = "attention"/.name = "readme"/' >"$folder/attention.c"
grep -q '"base": "../data/bccd"' "$place/share/defeat-bench/specs/bccd.json" || stop "bccd.json does not look for its data beside the specs"

mkdir "$folder/empty" && cd "$folder/empty"
export PKG_CONFIG_PATH="$place/share/pkgconfig"
pkg-config --exists 'defeat >= 2.0' || stop "pkg-config does not know defeat.pc"
quietly cc -shared -fPIC -std=c11 -Wall -Werror $(pkg-config --cflags defeat) "$folder/attention.c" -o readme.so
quietly "$place/bin/defeat" distillers --plugin readme.so --check readme
printf '{"name": "mine", "extends": "%s/tiny.json", "plugins": ["readme.so"], "seeds": [0], "plots": null,
    "methods": [{"label": "none"}, {"label": "attention", "distillers": [{"name": "readme"}]}]}\n' \
    "$(pkg-config --variable=specs defeat)" >mine.json
quietly "$place/bin/defeat" sweep mine.json --jobs 1 --set schedule.epochs=0.5 --set data.train=16
"$place/bin/defeat" table mine.json --set schedule.epochs=0.5 --set data.train=16 | grep -q '^attention' || stop "the table has no line of the plugin"
quietly "$place/bin/defeat" sweep tiny --list
quietly "$place/bin/defeat" sweep reproduce-table --dry-run
"$place/bin/defeat" help sweep | grep -q "^example: $place/bin/defeat sweep reproduce-table.json" || stop "the example is none that works here"
cd - >/dev/null

mkdir -p "$place/share/defeat-bench/data" && touch "$place/share/defeat-bench/data/mine"
quietly make uninstall DESTDIR="$folder/stage" PREFIX=/opt/bench
left=$(find "$place" -type f | sed "s,$place/,,")
[ "$left" = share/defeat-bench/data/mine ] || stop "uninstall left: $left"
