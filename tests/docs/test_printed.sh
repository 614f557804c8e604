#!/bin/sh
# A document's "text" block is what the "sh" block before it prints: of published rows, so that nothing is trained. DF_WRITE_GOLDEN=1 writes it.
set -eu
defeat=${DEFEAT_BUILD:?}/defeat
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
unset DEFEAT_DEVICE

# the document again, with its n-th text from n.text; the commands before it are n.sh, what it says now n.old
split() {
    awk -v folder="$folder" '
        /^```sh$/ { commands = ""; on = "sh" }
        /^```text$/ {
            n++; on = "text"; print
            printf "%s", commands > (folder "/" n ".sh"); printf "" > (folder "/" n ".old")
            while ((getline line < (folder "/" n ".text")) > 0) print line
            next
        }
        /^```$/ { on = "" }
        on == "sh" && !/^```/ { commands = commands $0 "\n" }
        on == "text" { print > (folder "/" n ".old"); next }
        { print }' "$1"
}
run() {
    sed "s,\./defeat ,$defeat ,g" "$1" >"$folder/run"
    sh -eu "$folder/run" 2>&1
}

total=0
for document in REPRODUCE.md; do
    rm -f "$folder"/*
    split "$document" >"$folder/before"
    for commands in "$folder"/*.sh; do
        [ -e "$commands" ] || { echo "$document: no block of text behind commands" >&2; exit 1; }
        total=$((total + 1))
        run "$commands" >"${commands%.sh}.text" || true
        [ -n "${DF_WRITE_GOLDEN:-}" ] || diff "${commands%.sh}.old" "${commands%.sh}.text" >&2 || {
            echo "$document: these commands print the lines with > [DF_WRITE_GOLDEN=1 writes them there]:" >&2
            cat "$commands" >&2
            exit 1
        }
    done
    [ -z "${DF_WRITE_GOLDEN:-}" ] || { split "$document" >"$folder/after" && cp "$folder/after" "$document"; }
done
echo "printed: $total blocks"
