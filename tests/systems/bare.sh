# Bare Debian systems in folders, for the scripts beside this one: made once by debootstrap, copied for each use. To be sourced; $0's folder is here.
#   WORK    where they are kept (default build/systems; some 600 MB a system)
#   MIRROR  Debian's mirror (default: the one of this machine's own apt sources)
# Mounts are made in a mount namespace of the command's own: they are gone with its last process, however it ends.
set -eu
tree=$(cd "$(dirname "$0")/../.." && pwd)
me=$(basename "$0" .sh)
fail() { echo "$me: $1" >&2; exit 1; }
usage() { sed -n '/^#!/d; /^#/!q; s/^# \{0,1\}//p' "$0" >&2; exit 2; }

WORK=${WORK:-$tree/build/systems}
mkdir -p "$WORK"
WORK=$(cd "$WORK" && pwd)

# The part of apt's configuration that says how archives are reached.
reached() { apt-config dump | grep -E '^Acquire::(http|https|Check|Retries)' || true; }

# The mirror that this machine's release comes from. A list of mirrors gives its first.
mirror() {
    [ -z "${MIRROR:-}" ] || { echo "$MIRROR"; return; }
    release=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    found=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 2>/dev/null |
        awk -v release="$release" '$2 == release && $3 == "main" { print $1; exit }')
    case $found in mirror+file:*) found=$(awk '!/^#/ && NF { print $1; exit }' "${found#mirror+file:}") ;; esac
    [ -n "$found" ] || fail "apt's sources name no mirror of Debian [set MIRROR=]"
    echo "$found"
}

# once NAME: nobody else uses WORK/NAME as long as this script runs
once() {
    exec 9>"$WORK/$1.lock"
    flock -n 9 || fail "'$WORK/$1' is in use by another run"
}

# bare SUITE: makes WORK/SUITE, Debian with git, gcc and make, unless it is there
bare() {
    [ "$(id -u)" = 0 ] || fail "only root can make a system in a folder"
    [ ! -d "$WORK/$1" ] || return 0
    make -s -C "$tree" deps DEPS_FOR=systems || exit 1
    from=$(mirror)
    rm -rf --one-file-system "$WORK/$1.new"
    echo "$me: debootstrap $1 from $from"
    # debootstrap mounts things of its own; minbase is Debian's smallest that has apt
    unshare --mount --propagation private \
        debootstrap --variant=minbase --include=git,gcc,make "$1" "$WORK/$1.new" "$from" >"$WORK/$1.log" 2>&1 ||
        { tail -n 20 "$WORK/$1.log" >&2; fail "debootstrap $1 failed: $WORK/$1.log"; }
    reached >"$WORK/$1.new/etc/apt/apt.conf.d/90host"
    mv "$WORK/$1.new" "$WORK/$1"
}

# fresh NAME SUITE: a copy of the bare system in WORK/NAME, with a clone of the tree's last commit in /defeat-bench
fresh() {
    once "$2" # two runs must not make one system
    bare "$2"
    once "$1"
    rm -rf --one-file-system "${WORK:?}/$1"
    cp -a --reflink=auto "$WORK/$2" "$WORK/$1"
    cp -L /etc/resolv.conf /etc/hosts "$WORK/$1/etc/"
    clone "$1"
}
clone() {
    rm -rf --one-file-system "${WORK:?}/$1/defeat-bench"
    git clone -q --no-hardlinks "$tree" "$WORK/$1/defeat-bench"
    [ -z "$(git -C "$tree" status --porcelain)" ] || echo "$me: changes that are not committed are not in it" >&2
}
revision() { git -C "$tree" rev-parse --short HEAD; }

# inside NAME COMMAND: runs the shell command in WORK/NAME, in the clone, with nothing of this machine's environment
inside() {
    unshare --mount --propagation private --pid --fork --kill-child sh -c '
        mount -t proc proc "$0/proc" && mount --rbind /sys "$0/sys" && mount --rbind /dev "$0/dev" && exec "$@"' "$WORK/$1" \
        env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root ${JOBS:+JOBS=$JOBS} chroot "$WORK/$1" \
        sh -c "cd /defeat-bench && $2" </dev/null
}
