# A Slurm of one's own, for tests: munged, slurmctld and two slurmd (nodes n1 and n2, a core each) under a folder, on ports of the loopback address.
# To be read by a script; root. cluster_start FOLDER sets SLURM_CONF; cluster_stop ends what it has started, and nothing else.
# Times are short: a node is down after 10 s without a word, a requeued job may begin again after 5 s, TERM is followed by KILL after 20 s.

cluster_lacks() { for program in munged slurmctld slurmd sbatch squeue scontrol scancel; do command -v $program >/dev/null || printf ' %s' $program; done; }

# A port that nobody listens on, and the next two.
cluster_port()
{
    port=$((20000 + $$ % 20000))
    while grep -qiE "$(printf ':(%04X|%04X|%04X) ' $port $((port + 1)) $((port + 2)))" /proc/net/tcp /proc/net/tcp6 2>/dev/null; do port=$((port + 3)); done
}

cluster_conf()
{
    cat <<END
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=$port
SlurmUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=$cluster/munge.socket,cred_expire=5
StateSaveLocation=$cluster/state
SlurmdSpoolDir=$cluster/spool.%n
SlurmctldPidFile=$cluster/slurmctld.pid
SlurmdPidFile=$cluster/slurmd.%n.pid
SlurmctldLogFile=$cluster/slurmctld.log
SlurmdLogFile=$cluster/slurmd.%n.log
MailProg=/bin/true
MpiDefault=none
SwitchType=switch/none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/builtin
SchedulerParameters=sched_interval=1,batch_sched_delay=0,sched_min_interval=100000
SlurmdParameters=config_overrides
KillWait=20
SlurmdTimeout=10
SlurmctldTimeout=10
ReturnToService=2
MinJobAge=300
MaxArraySize=5
NodeName=n1 NodeHostname=localhost NodeAddr=127.0.0.1 Port=$((port + 1)) CPUs=1 RealMemory=2000 State=UNKNOWN
NodeName=n2 NodeHostname=localhost NodeAddr=127.0.0.1 Port=$((port + 2)) CPUs=1 RealMemory=2000 State=UNKNOWN
PartitionName=all Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
END
}

cluster_node() { slurmd -f "$SLURM_CONF" -N "$1" >>"$cluster/slurmd.$1.log" 2>&1; }

# Nodes that take jobs.
cluster_nodes() { sinfo --noheader --Node --states=idle,allocated,mixed --format=%N 2>/dev/null | sort -u | wc -l; }

cluster_start()
{
    cluster=$1
    mkdir -p "$cluster/state" && chmod 755 "$cluster" || return 1
    cluster_port
    SLURM_CONF=$cluster/slurm.conf
    export SLURM_CONF
    cluster_conf >"$SLURM_CONF"
    head -c 1024 /dev/urandom >"$cluster/munge.key" && chmod 600 "$cluster/munge.key"
    munged --force --key-file="$cluster/munge.key" --socket="$cluster/munge.socket" --pid-file="$cluster/munged.pid" \
        --log-file="$cluster/munged.log" --seed-file="$cluster/munged.seed" >"$cluster/munged.out" 2>&1 || { cat "$cluster"/munged.*; return 1; }
    slurmctld -f "$SLURM_CONF" >>"$cluster/slurmctld.log" 2>&1 || { cat "$cluster/slurmctld.log"; return 1; }
    cluster_node n1 && cluster_node n2 || { cat "$cluster"/slurmd.*.log; return 1; }
    waited=0
    until [ "$(cluster_nodes)" = 2 ]; do
        [ $((waited += 1)) -lt 300 ] || { tail -n 20 "$cluster"/*.log; echo "the nodes do not come up"; return 1; }
        sleep 0.1
    done
}

cluster_stop()
{
    scancel --user=root >/dev/null 2>&1
    for daemon in slurmd.n1 slurmd.n2 slurmctld munged; do
        pid=$(cat "$cluster/$daemon.pid" 2>/dev/null) || continue
        kill "$pid" 2>/dev/null
        for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do kill -0 "$pid" 2>/dev/null || break; sleep 0.2; done
        kill -9 "$pid" 2>/dev/null
    done
}
