#!/bin/sh
# What the program says of itself, as somebody types it: cures are pasted, cells are listed, slips are told before anything is trained.
set -e
defeat=$(cd "$(dirname "${DEFEAT_BUILD:?}/defeat")" && pwd)/defeat
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
stop() { echo "$1" >&2; [ ! -f "$folder/err" ] || cat "$folder/err" >&2; exit 1; }
# Fails, with this exit status and this text on stderr.
refused() {
    status=$1 text=$2; shift 2
    set +e; "$@" >"$folder/out" 2>"$folder/err"; got=$?; set -e
    [ $got = "$status" ] || stop "'$*' ended with $got, expected $status"
    [ -z "$text" ] || grep -qF -- "$text" "$folder/err" || stop "'$*' does not say: $text"
}
# What stands behind "[to make it: " and its like in the last message, run as it stands.
run_cure() { sed -n 's/.*\[to [a-z ]*: \(.*\)\]$/\1/p' "$folder/err" | tail -n 1 >"$folder/cure"; [ -s "$folder/cure" ] || stop "no cure"; sh "$folder/cure" >"$folder/out" 2>&1; }

tiny=$(pwd)/ablations/specs/tiny.json
cd "$folder"
mkdir "my specs"
printf '{"name": "t", "extends": "%s", "data": {"train": 16, "tune": 3, "validation": 4}, "schedule": {"epochs": 1, "warmup_steps": 2}, "seeds": [0],
    "methods": [{"label": "none"}, {"label": "full feature", "distillers": [{"name": "full_feature", "w": 4}]}], "plots": null}\n' "$tiny" >"my specs/a spec.json"
spec="my specs/a spec.json"

# ---- cures that work when pasted, quoted and by the name the program was called by
refused 1 "not there yet [to make it: $defeat run 'my specs/a spec.json' --out 'my out' --cell 1 --again]" "$defeat" predict "$spec" --cell 1 --out "my out"
run_cure
"$defeat" predict "$spec" --cell 1 --out "my out" --json >json 2>err || stop "the pasted command made no weights"
grep -q '"AP"' json || stop "predict --json printed no JSON"
refused 2 "which cell? (--cell 0 to 1) [to list them: $defeat sweep 'my specs/a spec.json' --list]" "$defeat" run "$spec"
run_cure
grep -q "^0	[0-9a-f]*	left	none		seed=0$" out || stop "the pasted command listed no cells"

# ---- every cell with its state; nothing left is said; --output of a finished cell
"$defeat" sweep "$spec" --out "my out" --list >list
grep -q "^0	[0-9a-f]\{16\}	left	none" list || stop "--list: cell 0 is not left"
grep -q "^1	[0-9a-f]\{16\}	done	full feature" list || stop "--list: cell 1 is not done"
"$defeat" sweep "$spec" --out "my out" --jobs 1 >out 2>err
next=$(sed -n 's/^next: //p' out)
sh -c "$next" | grep -q "^full feature" || stop "the next command printed no table: $next"
"$defeat" sweep "$spec" --out "my out" --dry-run >out 2>err
[ ! -s out ] && grep -q "nothing is left of the 2 selected cells" err || stop "a dry run with nothing left"
"$defeat" distill "$spec" --method "full feature" --out "my out" --output w.safetensors >out 2>err
cmp -s w.safetensors "my out/t/runs/$(cut -f 2 list | tail -n 1)/student.safetensors" || stop "--output of a finished cell wrote no copy"

# ---- no rows yet: the command that makes them is of this folder, and these seeds
"$defeat" table "$spec" --out "other out" --seeds 7 >out 2>err
grep -qF "[to make them: $defeat sweep 'my specs/a spec.json' --out 'other out' --seeds 7]" err || stop "table: no cure"
run_cure
"$defeat" table "$spec" --out "other out" --seeds 7 2>&1 | grep -q "^full feature" || stop "the pasted command made no rows of the table"
# a torn teacher or cache: what is said to be removed is removed, and made again
for torn in "other out"/teachers/*.safetensors "other out"/cache/*.cache; do
    rm -r "other out/t/runs"; head -c 5 "$torn" >part; mv part "$torn"
    refused 1 "" "$defeat" sweep "$spec" --out "other out" --seeds 7
    grep -q "made again\]\|built again\]" err || stop "no cure for a torn $torn"
    rm "$torn"
    "$defeat" sweep "$spec" --out "other out" --seeds 7 >out 2>&1 || stop "the sweep did not make '$torn' again"
done

"$defeat" table "$spec" --out "my out" --set 'title=Does it run?' --format latex 2>err | grep -qF '\caption{Does it run? teacher: ' || stop "LaTeX: two ends of a sentence"

# ---- --set and extends: the ids are those of what is asked, and diff sees it
printf '{"name": "u", "extends": "a spec.json", "schedule": {"epochs": 2}}\n' >"my specs/b.json"
"$defeat" sweep "my specs/b.json" --list | cut -f 2 >b
"$defeat" sweep "$spec" --set schedule.epochs=2 --list | cut -f 2 >a
cmp -s a b || stop "the same spec, set and extended, has two kinds of ids"
"$defeat" diff "$spec" "my specs/b.json" --set schedule.epochs=3 | grep -q "^both ask for the same 2 runs" || stop "diff: not the same"
refused 1 "" "$defeat" diff "$spec" "my specs/b.json"
grep -q "^0 runs are the same, 2 differ, 0 are only" out && grep -q "schedule.epochs  1 -> 2  (2 cells)" out || stop "diff: $(cat out)"
refused 2 "did you mean 'epochs'?" "$defeat" sweep "$spec" --set schedule.epcohs=2
refused 2 "there are: none, full feature" "$defeat" sweep "$spec" --set baseline=nobody
refused 2 "(did you mean 'full feature'? expected one of 'none', 'full feature')" "$defeat" table "$spec" --out "my out" --baseline "full featur"
refused 2 "--format" "$defeat" table "$spec" --out "my out" --runs --format markdown
refused 1 "/plugins/0: cannot open" "$defeat" sweep "$spec" --dry-run --set 'plugins=["no.so"]'
"$defeat" help spec schedule | grep -q "^  epochs  *[0-9.]*  *number" || stop "help spec schedule does not tell epochs"
refused 2 "did you mean 'schedule'?" "$defeat" help spec shedule

# ---- caches are listed, then freed
"$defeat" distill "$spec" --method "full feature" --out "my out" --cache on --again >out 2>err
"$defeat" clean --out "my out" >out
grep -q "cache " out && [ "$(ls "my out/cache" | grep -c 'cache$')" = 1 ] || stop "clean removed what it should only list"
sh -c "$(sed -n 's/^next: //p' out)" | grep -q "MiB removed" || stop "the next command of clean removed nothing"
"$defeat" clean --out "my out" | grep -q "^nothing to remove" || stop "clean: something is left"

# ---- what a process was killed over: not what somebody writes now (young, or locked), nor anything of a like name
run=$(find "my out/t/runs" -name row.json | head -n 1)
for name in part-aB3xYz part-locked part-young1 backup; do echo x >"$run.$name"; done
touch -d '2 minutes ago' "$run.part-aB3xYz" "$run.part-locked" "$run.backup"
echo x >"my out/cache/0123.cache.part"
flock "$run.part-locked" "$defeat" clean --out "my out" --what unfinished --yes >out
grep -q "row.json.part-locked  (in use: stays)" out || stop "clean: what is in use is not told"
[ "$(ls "$run".* | tr '\n' ' ')" = "$run.backup $run.part-locked $run.part-young1 " ] || stop "clean left: $(ls "$run".*)"
[ ! -e "my out/cache/0123.cache.part" ] || stop "clean left the part of a cache"
rm -f "$run".*

# ---- images: told before training, and boxes drawn
"$defeat" data show "$spec" --count 1 --columns 1 --cell 64 --no-boxes --output "a.png" >/dev/null
mkdir images && cp a.png images/b.PNG && cp a.png images/c.png && echo text >images/notes.txt
"$defeat" predict images --checkpoint w.safetensors --score 0 --output drawn >out 2>err
[ "$(ls drawn)" = "b.png
c.png" ] || stop "predict drew: $(ls drawn)"
grep -q "disk\|ring\|square\|triangle\|star\|cross\|crescent\|tee" out || stop "predict tells no class by its name"
"$defeat" predict a.png --checkpoint w.safetensors --score 0 --json >out 2>err
grep -q '^\[{"image":"a.png","width":[0-9]*,"height":[0-9]*,"detections":\[{"category_id":[1-8],"name":"[a-z]*","score":' out || stop "predict --json: $(cut -c1-200 out)"
refused 2 "--cell has no effect on images" "$defeat" predict a.png --checkpoint w.safetensors --cell 0
refused 2 "whose weights?" "$defeat" predict a.png
refused 2 "--score has no effect on a data set" "$defeat" predict "$spec" --cell 1 --score 0.5
refused 1 "holds no image" "$defeat" predict "my specs" --checkpoint w.safetensors
printf 'no image' >images/d.jpg
refused 1 "d.jpg: not an image" "$defeat" predict images --checkpoint w.safetensors
"$defeat" predict images --checkpoint w.safetensors --on-bad-image skip >out 2>err
grep -q "left out: images/d.jpg" err || stop "a bad image was left out in silence"

# a picture of the validation split that cannot be decoded: told at once, not after training
truth() { printf '{"images":[{"id":1,"file_name":"%s","width":76,"height":236},{"id":2,"file_name":"c.png","width":76,"height":236}],
    "annotations":[{"id":1,"image_id":1,"category_id":1,"bbox":[8,8,30,30],"area":900,"iscrowd":0}],"categories":[{"id":1,"name":"a"}]}' "$1"; }
truth b.PNG >train.json
{ head -c 2000 a.png; tail -c 12 a.png; } >images/torn.png
truth torn.png >val.json
printf '{"name": "files", "extends": "my specs/a spec.json", "schedule": {"batch": 1}, "base": ".",
    "data": {"kind": "coco", "images": "images", "train": "train.json", "tune": "train.json", "validation": "val.json", "image_size": null}}\n' >files.json
refused 1 "1 of 2 validation images cannot be read, the first: " "$defeat" sweep files.json --dry-run
[ ! -s out ] || stop "a dry run listed cells that cannot run"
refused 1 "validation images cannot be read" "$defeat" sweep files.json --on-bad-image skip
