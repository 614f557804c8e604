#!/bin/sh
# defeat tune with the real program: equal budgets in the rows, a stop by time that the same command goes on from, a spec that other commands read,
# and nothing said of validation. Then both leagues: each of their cells trains, shrunk to two steps.
set -e
defeat=${DEFEAT_BUILD:?}/defeat
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
stop() { echo "$1" >&2; [ ! -f "$folder/err" ] || cat "$folder/err" >&2; exit 1; }

mkdir "$folder/my specs"
printf '{"name": "t", "extends": "%s/ablations/specs/tiny.json", "data": {"train": 16, "tune": 4, "validation": 4},
    "schedule": {"epochs": 1, "warmup_steps": 1}, "teacher": {"schedule": {"epochs": 1}}, "plots": null, "seeds": [0, 100], "methods": [{"label": "none"},
    {"label": "full", "distillers": [{"name": "full_feature", "w": 4}]}, {"label": "cwd", "distillers": [{"name": "cwd"}]}]}\n' "$(pwd)" \
    >"$folder/my specs/t.json"
spec="$folder/my specs/t.json" trials=$folder/out/t-tune/trials.json
tune() { "$defeat" tune "$spec" --out "$folder/out" --jobs 2 --trials 3 "$@"; }

# ---- a stop by time, before anything can have ended; the same command without it goes on
set +e; tune --for 0.001s >"$folder/stopped" 2>"$folder/err"; got=$?; set -e
[ $got = 130 ] || stop "tune --for ended with $got, expected 130"
grep -q "the time is over; the same command goes on" "$folder/err" || stop "--for does not say why it stopped"
[ -f "$trials" ] && [ ! -s "$folder/stopped" ] || stop "--for: no trials, or an answer without them"
tune --json >"$folder/json" 2>"$folder/err" || stop "tune failed"

# ---- each method with weights has the same number of rows, a method without one per seed; the seed is none of the spec's
rounds=$(sed 's/.*"rounds":\([12]\).*/\1/' "$folder/json")
"$defeat" sweep "$trials" --out "$folder/out" --list >"$folder/list"
for label in full cwd; do
    [ "$(grep -c "	done	$label	w=[0-9.e-]*	seed=101$" "$folder/list")" = $((3 * rounds)) ] || stop "$label: $(cat "$folder/list")"
done
[ "$(grep -c "	done	none		seed=101$" "$folder/list")" = 1 ] && [ "$(wc -l <"$folder/list")" = $((6 * rounds + 1)) ] || stop "none, or more"
"$defeat" table "$trials" --out "$folder/out" --tune >"$folder/table" 2>"$folder/err"
for label in full cwd; do
    chosen=$(sed "s/.*\"label\":\"$label\"[^]]*\"chosen\":\([0-9.e-]*\).*/\1/" "$folder/json")
    grep -q "^$label	w=$chosen	.*	$((3 * rounds)) tried" "$folder/table" || stop "$label: w=$chosen is not the table's best: $(cat "$folder/table")"
    grep -q "\"w\": $chosen[,}]" "$folder/out/t-tune/t-tuned.json" || stop "$label: w=$chosen is not in the chosen spec"
done
for kind in csv gp $(command -v gnuplot >/dev/null && echo svg png pdf); do
    [ -s "$folder/out/t-tune/plots/sensitivity.$kind" ] || stop "no sensitivity.$kind"
done

# ---- the same command runs nothing again and says the same; the chosen spec is one
tune --json >"$folder/again" 2>"$folder/err"
cmp "$folder/json" "$folder/again" || stop "the same command says something else"
! grep -q "seed 101" "$folder/err" || stop "trials were run again"
[ "$("$defeat" sweep "$folder/out/t-tune/t-tuned.json" --out "$folder/out" --dry-run 2>"$folder/err" | wc -l)" = 6 ] || stop "the chosen spec"
tune >"$folder/text" 2>"$folder/err"
sh -c "$(sed -n 's/^next: //p' "$folder/text") --dry-run" >"$folder/next" 2>&1 || stop "the next command: $(cat "$folder/text")"
set +e; tune --for soon >"$folder/soon" 2>"$folder/err"; got=$?; set -e
[ $got = 2 ] && grep -q "expected a time such as 90s" "$folder/err" || stop "--for soon"
tune --seeds 100, --trials 2 --out "$folder/own" >"$folder/text" 2>"$folder/err" || stop "--seeds 100,"
grep -q "seed 100 is one of the spec's own" "$folder/err" || stop "a seed of the spec is not told"

# ---- the leagues
for league in retinanet faster; do
    # RetinaNet's teacher is trained here, Faster R-CNN's are files: what takes long of either is left out
    [ $league = retinanet ] && short="--set teachers.detector.schedule.epochs=1 --set teachers.detector.seed=1000" || short="--set teachers.detector.file=null"
    json=ablations/specs/league-$league.json
    "$defeat" sweep $json --out "$folder/league" --dry-run >"$folder/list" 2>"$folder/err" || stop "league-$league: the dry run"
    lines=$(grep -c '"label"' $json)
    [ "$(wc -l <"$folder/list")" = $((5 * lines)) ] || stop "league-$league: not $lines methods with 5 seeds"
    "$defeat" sweep $json --out "$folder/league" --jobs 2 --set data.train=16 --set data.tune=4 --set data.validation=4 --set data.image_size=64 \
        --set schedule.epochs=1 $short --set teachers.classifier.schedule.epochs=1 --set schedule.warmup_steps=1 --set 'seeds=[0]' >"$folder/text" 2>"$folder/err" ||
        stop "league-$league: a shrunk cell does not train"
    grep -q " $lines done now, 0 failed, 0 left" "$folder/text" || stop "league-$league: $(cat "$folder/text")"
    for name in $("$defeat" distillers | sed -n 's/^  \([a-z_]*\) .*/\1/p'); do
        [ "$name" = none ] && continue
        grep -q "\"name\": \"$name\"" $json || { [ "$league $name" = "faster crosskd" ] || stop "league-$league lacks $name"; }
    done
done
echo "equal budgets, and every cell of both leagues trains"
