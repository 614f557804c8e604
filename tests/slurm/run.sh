#!/bin/sh
# The sweep on a real Slurm of this test's own (cluster.sh), on ablations/specs/tiny.json: in the end every row is what it is without a cluster.
#   sh tests/slurm/run.sh BUILD        root; munge and slurm-wlm (Debian); some minutes
# A sweep with its teacher as a job and its cells in arrays; two submitters at once; a full scratch; a cell that is preempted; one over its time
# limit; a node whose slurmd is killed; a cell that is killed; jobs that are called off.
build=${1:?}
defeat=$PWD/$build/defeat
cd "$(dirname "$0")/../.." || exit 1
. tests/slurm/cluster.sh
[ -x "$defeat" ] || { echo "no program '$defeat' [make all]"; exit 1; }
lacks=$(cluster_lacks)
[ -z "$lacks" ] || { echo "not there:$lacks [apt-get install --no-install-recommends munge slurm-wlm]"; exit 1; }
[ "$(id -u)" = 0 ] || { echo "only root can start a Slurm here"; exit 1; }

work=$(mktemp -d) || exit 1
finish() { cluster_stop; umount "$work/disk" 2>/dev/null; rm -rf "$work"; }
trap finish EXIT
trap 'exit 1' INT TERM
spec=ablations/specs/tiny.json
die() { echo "FAILED: $*"; tail -n 20 "$work"/*.log "$work"/cluster/slurmctld.log 2>/dev/null; squeue; exit 1; }
slurm() { out=$1; shift; "$defeat" sweep $spec --out "$work/$out" --executor slurm "$@" >>"$work/$out.log" 2>&1; }
status() { out=$1; shift; "$defeat" status $spec --out "$work/$out" "$@"; }
# Waits until the command is true, so many seconds at most.
until_true() { seconds=$1; shift; while ! "$@" >/dev/null 2>&1; do seconds=$((seconds - 1)); [ $seconds -gt 0 ] || return 1; sleep 1; done; }
rows() {
    out=$1; shift
    status "$out" "$@" --rows >"$work/$out.rows" || die "status of $out"
    cmp "$work/$local.rows" "$work/$out.rows" || die "$out: other rows than without a cluster"
}

# One cell that trains for half a minute, and one for more than the shortest time limit there is: here, without a cluster.
epochs=${EPOCHS:-1500}
long="--set schedule.epochs=$epochs --seeds 1" longer="--set schedule.epochs=$((4 * epochs)) --seeds 1"
local=short
"$defeat" sweep $spec --out "$work/short" --jobs 2 >"$work/short.log" 2>&1 || die "the sweep without a cluster"
status short --rows >"$work/short.rows"
local=long
"$defeat" sweep $spec --out "$work/long" $long --only '^none' >"$work/long.log" 2>&1 || die "the long cell without a cluster"
status long $long --rows >"$work/long.rows"
"$defeat" sweep $spec --out "$work/longer" $longer --only '^none' >"$work/longer.log" 2>&1 || die "the longer cell without a cluster"
status longer $longer --rows >"$work/longer.rows"
cluster_start "$work/cluster" || die "Slurm"
echo "Slurm $(sinfo --version | cut -d' ' -f2): two nodes"

# ---- a sweep: teacher, cache and check are jobs, the cells three arrays (MaxArraySize is 5), two to a task, one task at a time ----
local=short
slurm all --wait --cells-per-task 2 --throttle 1 || die "a sweep"
grep -q '^job [0-9]*: teacher$' "$work/all.log" || die "the teacher is no job of its own"
grep -q 'cells in .* tasks, after ' "$work/all.log" || die "the cells wait for nothing"
rows all
slurm all --wait || die "the sweep again"
grep -q '12 done before, 0 done now' "$work/all.log" || die "finished cells were run again"
echo "a sweep: the same rows"

# ---- two submitters at once, and one that comes back ----
slurm two & a=$!
slurm two & b=$!
wait $a || die "the first of two submitters"
wait $b || die "the second of two submitters"
[ "$(grep -c '^job' "$work/two.log")" = 6 ] || die "the same was submitted twice"
slurm two --wait || die "coming back"
rows two
echo "two submitters: one set of jobs, the same rows"

# ---- a scratch without room ----
mkdir "$work/disk" && mount -t tmpfs -o size=64k defeat-test "$work/disk" || die "no small disk"
slurm full --wait --scratch "$work/disk/here" || die "a sweep with a full scratch"
grep -rq 'the shared cache is read' "$work"/full/tiny/runs/*/log.txt || die "the scratch was not full"
rows full
slurm roomy --wait --scratch "$work/scratch" || die "a sweep with a scratch"
ls "$work"/scratch/*.cache >/dev/null || die "nothing was copied"
rows roomy
echo "a full scratch, and one with room: the same rows"

# ---- one that is preempted ----
local=long
cell() { echo "$work/$1/tiny/runs"/????????????????; }
runs() { grep -q ' running on ' "$work/$1.status"; }
running() { status "$1" $long >"$work/$1.status" 2>&1; runs "$1" && grep -q '%' "$(cell "$1")/log.txt"; }
job() { sed -n 's/^job \([0-9]*\): .*cell.*/\1/p' "$work/$1.log" | tail -n 1; }
# It trains: its first line of progress is there.
begin() { out=$1; shift; slurm "$out" $long --only '^none' "$@" || die "submitting '$out'"; until_true 120 running "$out" || die "'$out' does not run"; }
ended() { status "$1" $long >"$work/$1.status" 2>&1; grep -q '^none  *1  *0  *0' "$work/$1.status"; }
begin preempted
scontrol requeue "$(job preempted)" || die "scontrol requeue"
until_true 200 ended preempted || die "a preempted cell does not go on"
grep -q 'goes on from there' "$(cell preempted)/log.txt" || die "a preempted cell left no position"
rows preempted $long
echo "preempted: the same row"

# ---- one over its time limit: the signal comes 5 to 35 s before its end, for Slurm looks every 30 s ----
local=longer kept=$long long=$longer
begin limit --sbatch --time=1 --signal USR2@5
until_true 600 ended limit || die "a cell over its time limit does not go on"
grep -q 'goes back into the queue' "$work"/limit/tiny/slurm/*.log || die "the time limit was not met"
rows limit $long
local=long long=$kept
echo "a time limit: the same row"

# ---- a node that is lost while its process goes on: the cell runs twice ----
begin lost
node=$(sed -n 's/^job .*: running on \(n[12]\): .*/\1/p' "$work/lost.status")
kill -9 "$(cat "$work/cluster/slurmd.$node.pid")" || die "no slurmd of '$node'"
until_true 200 ended lost || die "a cell of a lost node does not go on"
cluster_node "$node"
rows lost $long
until_true 60 [ "$(cluster_nodes)" = 2 ] || die "the lost node does not come back"
echo "a killed slurmd: the same row"

# ---- what fails is told: the job, its node, its end, its log; in the table too; the same command tries again ----
begin killed
kill -9 "$(pgrep -f "run $spec .*--out $work/killed ")" || die "no process to kill"
failed() { status "$1" $long >"$work/$1.status" 2>&1; grep -q "failed: none seed 0: job $(job killed) on n[12]: FAILED: killed by signal 9" "$work/$1.status"; }
until_true 200 failed killed || { cat "$work/killed.status"; die "a killed cell is not told"; }
"$defeat" table $spec --out "$work/killed" $long >"$work/killed.table" 2>&1 || die "a table of what failed"
grep -q "1 of 1 runs failed (seed 0: job $(job killed) on n[12]: FAILED: killed by signal 9" "$work/killed.table" || die "the table does not say why"
slurm killed $long --only '^none' --wait || die "the killed cell, again"
rows killed $long
echo "a killed cell: told, and run again to the same row"

# ---- called off ----
begin called
slurm called $long --cancel || die "--cancel"
grep -q '^cancelled: job ' "$work/called.log" || die "nothing was cancelled"
gone() { status "$1" $long >"$work/$1.status" 2>&1; grep -q '^cancelled: none seed 0' "$work/$1.status"; }
until_true 60 gone called || { cat "$work/called.status"; die "a cancelled job is not told"; }
[ -z "$(squeue --noheader)" ] || die "a cancelled job goes on"
slurm called $long --only '^none' --wait || die "what was called off, again"
grep -q 'goes on from there' "$(cell called)/log.txt" || die "what was called off left no position"
rows called $long
echo "called off and begun again: the same row"
echo "slurm: all rows are the same"
