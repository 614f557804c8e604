#!/bin/sh
# Which device a command takes: --device, else DEFEAT_DEVICE, else the spec's "device", else cpu. Reading a spec is enough to see it: `status`
# numbers the finished cells of its device, and refuses a device that is not there.
defeat=${DEFEAT_BUILD:?}/defeat
[ -x "$defeat" ] || { echo "no program '$defeat' [make all]"; exit 77; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
unset DEFEAT_DEVICE

die() { echo "FAILED: $*"; cat "$work/log"; exit 1; }
status() { "$defeat" status "$work/$1.json" --out "$work/out" $2 >"$work/log" 2>&1; }
says() { grep -qF "$1" "$work/log" || die "no '$1' in the message"; }

sed 's/"name": "tiny"/"name": "tiny", "device": "nowhere"/' ablations/specs/tiny.json >"$work/nowhere.json"
cp ablations/specs/tiny.json "$work/plain.json"

status nowhere && die "the spec's device is not looked at"
says "nowhere.json/device: unknown device 'nowhere'"
status nowhere "--device ref" || die "--device does not replace the spec's"
DEFEAT_DEVICE=ref status nowhere || die "DEFEAT_DEVICE does not replace the spec's"
DEFEAT_DEVICE=elsewhere status plain && die "DEFEAT_DEVICE is not looked at"
says "defeat: unknown device 'elsewhere'"
DEFEAT_DEVICE=elsewhere status plain "--device cpu" || die "--device does not come before DEFEAT_DEVICE"
DEFEAT_DEVICE='' status plain || die "an empty DEFEAT_DEVICE counts"
DEFEAT_DEVICE=ref "$defeat" bench "$work/plain.json" --device elsewhere --steps 3 >"$work/log" 2>&1 && die "bench does not look at --device"
says "unknown device 'elsewhere'"
case $("$defeat" version) in
*"devices cpu, order, cuda, ref"*) ;; # with a GPU or without, it is not told here
*"devices cpu, order, ref"*)
    status plain "--device cuda" && die "a GPU in a build without"
    says "device 'cuda' is not in this build [use 'cpu', or build with 'make CUDA=1']" ;;
*) die "version does not list the devices" ;;
esac
DEFEAT_ISA=plain "$defeat" version >"$work/log" && says "plain (plain computes)"
status plain && DEFEAT_ISA=v9 "$defeat" bench "$work/plain.json" --steps 3 >"$work/log" 2>&1 && die "an unknown DEFEAT_ISA is not looked at"
says "DEFEAT_ISA is 'v9', expected one of"
echo "passed"
