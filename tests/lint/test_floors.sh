#!/bin/sh
# The floors checker must accept a good tree and name file and line of a bad include.
here=$(cd "$(dirname "$0")" && pwd)
tree=$(mktemp -d) || exit 1
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree/core/base" "$tree/core/nn" "$tree/detectors" "$tree/results"
fail() { echo "test_floors: $1" >&2; exit 1; }

printf '#include <stdio.h>\n#include "core/nn/tape.h"\n#include "detectors/detector.h"\n' >"$tree/detectors/retina.c"
printf '#include "core/base/real.h"\n' >"$tree/core/nn/tape.h"
sh "$here/floors.sh" "$tree" || fail 'a good tree was refused'

printf '\n#include "detectors/detector.h"\n' >"$tree/core/base/bad.c"
found=$(sh "$here/floors.sh" "$tree") && fail 'an upward include was accepted'
case $found in core/base/bad.c:2:*floor\ 0*floor\ 4*) ;; *) fail "unexpected message: $found" ;; esac

printf '#include "core/base/real.h"\n#include "core/nn/tape.h"\n' >"$tree/core/base/bad.c"
sh "$here/floors.sh" "$tree" >/dev/null && fail 'core/base may not include core/nn'
rm "$tree/core/base/bad.c"
printf '#include "core/data/loader.h"\n' >"$tree/results/side.c"
sh "$here/floors.sh" "$tree" >/dev/null && fail 'a room of the same floor may not be included'
mkdir -p "$tree/core/device/cpu"
printf '#include "core/device/cpu/cpu.h"\n#include "core/base/real.h"\n' >"$tree/core/device/cpu/conv.c"
printf '#include "core/device/cpu/cpu.h"\n' >"$tree/core/device/device.c"
printf '#include "core/base/real.h"\n' >"$tree/results/side.c"
sh "$here/floors.sh" "$tree" || fail 'a folder without a floor of its own belongs to the room above it'
printf '#include "core/nn/tape.h"\n' >"$tree/core/device/cpu/conv.c"
found=$(sh "$here/floors.sh" "$tree") && fail 'an upward include from a folder without a floor was accepted'
case $found in core/device/cpu/conv.c:1:*core/device*floor\ 2*floor\ 3*) ;; *) fail "unexpected message: $found" ;; esac
rm -r "$tree/core/device"
printf '#include "util/x.h"\n' >"$tree/results/side.c"
sh "$here/floors.sh" "$tree" >/dev/null && fail 'an unknown room was accepted'
exit 0
