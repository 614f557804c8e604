#!/bin/sh
# A spec with two teachers, as somebody types it: each is prepared under its name, a sweep waits for whom a cell needs, tables and counts know both.
defeat=${DEFEAT_BUILD:?}/defeat
[ -x "$defeat" ] || { echo "no program '$defeat' [make all]"; exit 77; }
defeat=$(cd "$(dirname "$defeat")" && pwd)/defeat
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
tiny=$(pwd)/ablations/specs/tiny.json
die() { echo "FAILED: $*"; cat "$work/said" "$work/told" 2>/dev/null; exit 1; }
# STATUS WORDS...
run() {
    want=$1; shift
    "$defeat" "$@" >"$work/said" 2>"$work/told"
    is=$?
    [ $is = "$want" ] || die "$*: exit status $is, expected $want"
}
said() { grep -q -e "$1" "$work/said" || die "expected '$1'"; }
told() { grep -q -e "$1" "$work/told" || die "expected '$1' on stderr"; }

cd "$work" || exit 1
net='"depth": 0, "block": "basic", "blocks": [1, 1, 1], "stem": "small", "stem_width": 8, "fpn_stages": [2, 3, 4], "extra": "none", "head_convs": 1, "head_norm": "batch"'
cat >two.json <<END
{ "name": "two", "extends": "$tiny", "data": {"train": 16, "tune": 3, "validation": 4}, "schedule": {"epochs": 1, "warmup_steps": 2}, "seeds": [0],
  "plots": null, "baseline": "none", "teacher": null,
  "teachers": { "wide": {"network": {$net, "widths": [8, 16, 24], "fpn_channels": 16}},
                "big": {"network": {$net, "widths": [16, 16, 24], "fpn_channels": 24}} },
  "methods": [ {"label": "none"},
    {"label": "both", "distillers": [{"name": "pkd", "teacher": "wide"}, {"name": "head_kl", "teacher": "big"}]},
    {"label": "one", "distillers": [{"name": "head_kl", "teacher": ["wide", "big"]}]} ] }
END

# ---- before anything is there
run 0 sweep two.json --list
[ "$(grep -c left said)" = 4 ] || die "expected 4 cells"
run 2 prepare two.json --which huge
told "has no teacher 'huge' (expected one of 'wide', 'big')"
run 2 predict two.json --teacher
told "has no teacher '' (expected one of 'wide', 'big')"
run 1 predict two.json --teacher --which big
told "not there yet"
run 0 cost two.json --teacher
said "^teacher wide: "
said "^teacher big: "

# ---- one of them, then a sweep: each has a log, a file, and as many caches as there are needs
run 0 prepare two.json --which big --stage teacher
said "^teacher big: "
[ "$(ls out/teachers/*.safetensors | wc -l)" = 1 ] || die "expected one teacher"
run 0 sweep two.json --jobs 2
[ "$(ls out/teachers/*.safetensors | wc -l)" = 2 ] || die "expected two teachers"
for log in teacher.wide teacher.big cache.wide cache.big; do [ -f "out/two/$log.log" ] || die "no $log.log"; done
run 0 status two.json
said "^both  *1  *0  *0$"
said "^one teacher=wide  *1  *0  *0$"
run 0 table two.json
said "^teacher: wide [0-9.]* mAP, big [0-9.]* mAP"
run 0 prepare two.json
[ "$(grep '^cache ' said | sort -u | wc -l)" = 2 ] && [ "$(ls out/cache/*.cache | wc -l)" = 2 ] || die "neck and logits are recorded together: a cache each"
run 0 predict two.json --teacher --which wide --output wide.json
run 0 train two.json --which big --json
said '"gate_AP"'

# ---- the same cell alone, its teacher without a name: one id, and nothing to do
run 0 sweep two.json --list --only teacher=big
id=$(cut -f 2 said)
cat >one.json <<END
{ "name": "two", "extends": "two.json", "teachers": null, "teacher": {"network": {$net, "widths": [16, 16, 24], "fpn_channels": 24}},
  "methods": [ {"label": "none"}, {"label": "one", "distillers": [{"name": "head_kl"}]} ] }
END
run 0 sweep one.json --list
said "^1	$id	done	one"

# ---- in half precision: smaller, measured anew, gated, the same file on every instruction set
run 2 train one.json --half
told "half.*--output"
run 0 train one.json --output half.safetensors --half
DEFEAT_ISA=plain run 0 train one.json --out elsewhere --output again.safetensors --half
cmp half.safetensors again.safetensors || die "the file depends on the instruction set"
run 0 inspect half.safetensors
said "F16 .*conv1.weight"
said "F32 .*bn1.weight"
cat >halved.json <<END
{ "name": "halved", "extends": "one.json", "teacher": {"file": "half.safetensors"} }
END
run 0 prepare halved.json
said "^gate: passed"

# ---- teachers that take turns: seed 1 learns from the second, whose file can be given
cat >turns.json <<END
{ "name": "turns", "extends": "one.json", "teacher": {"seed": [5, 6]}, "seeds": [1, 2] }
END
run 0 sweep turns.json --jobs 2
for log in teacher.0 teacher.1 cache.0 cache.1; do [ -f "out/turns/$log.log" ] || die "no $log.log"; done
run 0 table turns.json
said "^teacher: 0 [0-9.]* mAP, 1 [0-9.]* mAP"
run 0 train turns.json --seeds 1,3 --which 1 --json
said '"gate_AP"'
run 0 prepare turns.json --seeds 1
[ "$(grep -c '^teacher' said)" = 1 ] || die "of seed 0 nobody is taught by the second"
run 0 prepare turns.json --which 1 --stage teacher
second=$(sed -n 's/^teacher 1: //p' said)
cat >files.json <<END
{ "name": "files", "extends": "turns.json", "teacher": {"seed": null, "file": ["nowhere.safetensors", "$second"]}, "seeds": [1] }
END
run 1 sweep files.json --list
told "/teacher/file.*nowhere.safetensors"

# ---- by the clock, and on paper
run 0 bench two.json --cell 1 --steps 3
said "both"
run 0 cost two.json --set 'teachers.wide.canvas={"min_side": 128, "max_side": 128}' --set 'teachers.wide.network.fpn_stages=[3, 4, 5]' \
    --set 'teachers.wide.network.blocks=[1, 1, 1, 1]' --set 'teachers.wide.network.widths=[8, 16, 24, 24]'
said "^both: "

# ---- a classifier of crops: trained, gated by its accuracy, told by the table
cat >crops.json <<END
{ "name": "crops", "extends": "$tiny", "data": {"train": 16, "tune": 3, "validation": 4}, "schedule": {"epochs": 1, "warmup_steps": 2}, "seeds": [0],
  "plots": null, "baseline": "none", "teacher": {"kind": "classifier", "classifier": {"size": 32}, "network":
    {"blocks": [1, 1], "widths": [8, 16], "fpn_stages": null, "fpn_channels": null, "extra": null, "head_convs": null, "head_norm": null}},
  "methods": [ {"label": "none"}, {"label": "kd", "distillers": [{"name": "kd_classifier", "sigmoid": ["kl_bce", "kl_ce"]}]} ] }
END
run 0 sweep crops.json --jobs 2
run 0 table crops.json
said "^teacher: [0-9.]* % accuracy"
run 0 prepare crops.json
said "^gate: passed"
run 0 train crops.json --json
said '"gate_accuracy"'
run 0 predict crops.json --teacher --output crops-results.json
run 0 cost crops.json --teacher
said "^teacher: "
run 0 bench crops.json --steps 3

# ---- compared: what taught one of them taught the other too
run 0 compare two.json both 'one teacher=big'
said "1 pair"
run 0 compare two.json 'one teacher=wide' 'one teacher=big'
said "taught by other weights"
run 0 diff two.json two.json --set teachers.big.seed=7
