#!/bin/sh
# Runs the fuzz targets of BUILD/fuzz, each for so many seconds, or for so many inputs drawn from a fixed seed (the same ones every time, as
# long as its code and its first inputs are), from the fixtures and from what a tiny run leaves.
#   sh tests/fuzz/run.sh BUILD SECONDS [NAME...]     NAME: coco, results, ... (default: all)
#   sh tests/fuzz/run.sh BUILD INPUTSx [NAME...]
# What they found stays under BUILD/corpus/NAME, and the next run begins with it. What breaks a target is under BUILD/found/NAME-...: exit 1, with
# the command that shows it. Nothing is fetched; the shared collection of bad inputs is used where it is.
build=${1:?}
case ${2:?} in *x) length="-seed=1 -runs=${2%x}" ;; *) length=-max_total_time=$2 ;; esac
shift 2
[ $# -gt 0 ] || set -- $(cd "$build/fuzz" && ls fuzz_* | grep -v '\.' | sed 's/fuzz_//')
bad=${DEFEAT_SHARED:-../shared}/data/badinputs
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
mkdir -p "$build/found"

# A row, a teacher, a cache and a position: the smallest there are.
tiny() {
    [ -d "$work/out" ] && return
    sed 's/"train": 64, "tune": 16, "validation": 32/"train": 4, "tune": 2, "validation": 2/; s/"batch": 8/"batch": 2/; s/"epochs": [24]/"epochs": 1/' \
        ablations/specs/tiny.json >"$work/tiny.json"
    ./defeat run "$work/tiny.json" --cell 2 --out "$work/out" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
}
seeds() {
    case $1 in
    coco)        cp tests/golden/coco_eval/*.gt.json "$2"; cp "$bad"/coco/*.json "$2" 2>/dev/null ;;
    results)     cp tests/golden/coco_eval/*.dt.json "$2"; cp "$bad"/results/*.json "$2" 2>/dev/null ;;
    safetensors) cp tests/golden/checkpoint_*.safetensors "$2" ;;
    image)       cp tests/golden/jpeg/*.jpg "$2"; cp "$bad"/images/* "$2" 2>/dev/null ;;
    spec)        cp ablations/specs/*.json "$2" ;;
    row)         tiny
                 cp "$(find "$work/out" -name row.json)" "$2"
                 ./defeat run "$work/tiny.json" --cell 2 --out "$work/out" --json >/dev/null 2>&1
                 for csv in results/published/*/runs.csv; do { printf c; head -n 3 "$csv"; } >"$2/$(basename "$(dirname "$csv")").csv"; done ;;
    cache)       tiny; cp "$work"/out/cache/* "$2" ;;
    position)    printf '%s' '{"run":"0123456789abcdef","step":2,"seconds":0.5,"lr":0.1,"mean_steps":1,"loss_sum":0.5,"means":[{"name":"box","sum":0.5}],' \
                     '"points":1,"curve":[[2,0.5,"tune","AP",0.25],[2,0.5,"train","loss",null]]}' >"$2/position.json"
                 cp tests/golden/checkpoint_c.safetensors "$2" ;;
    *)           echo "no target '$1'" >&2; exit 2 ;;
    esac
    true
}

failed=0
for name; do
    corpus=$build/corpus/$name
    mkdir -p "$corpus" "$work/$name"
    seeds "$name" "$work/$name" || exit
    if "$build/fuzz/fuzz_$name" $length -timeout=20 -rss_limit_mb=4096 -artifact_prefix="$build/found/$name-" \
            "$corpus" "$work/$name" >"$work/said" 2>&1; then
        printf '  ok   %-12s %s\n' "$name" "$(tail -n 1 "$work/said")"
    else
        failed=$((failed + 1))
        grep -v '^#[0-9]*	' "$work/said" | tail -n 40
        printf '  FAIL %-12s again: %s %s\n' "$name" "$build/fuzz/fuzz_$name" "$(ls -t "$build/found/$name-"* 2>/dev/null | head -n 1)"
    fi
done
[ $failed = 0 ]
