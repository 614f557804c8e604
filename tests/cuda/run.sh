#!/bin/sh
# DeFeat Bench for a machine without compiler, root or network.
#   ./run.sh test [REPORT.md]     is all well here? conformance, trainings, steps beside PyTorch's; minutes; one file named after the device
#   ./run.sh COMMAND...           the program, such as: ./run.sh sweep ablations/specs/tiny.json; './run.sh help' lists the commands
# A GPU wants NVIDIA's driver, CUDA 13 and cuDNN 9: they are looked for in the system (LD_LIBRARY_PATH, CUDA_HOME, CUDNN_HOME, CONDA_PREFIX,
# /usr/local/cuda) and in the folders nvidia/* of the Python environment PYTHON (python3). DEVICE (cuda) names the device of the test.
here=$(cd "$(dirname "$0")" && pwd) || exit 1
python=${PYTHON:-python3}
case $python in /*) ;; */*) python=$PWD/$python ;; esac
fail() { echo "run.sh: $1" >&2; exit 1; }

read -r revision device machine glibc <"$here/packed" || fail "'$here/packed' is not there [unpack the archive again]"
[ $# -gt 0 ] || { sed -n '2,6s/^# //p' "$0"; exit 2; }
[ "$(uname -m)" = "$machine" ] || fail "defeat $revision was packed for $machine, and here is $(uname -m) [make bundle on such a machine]"

# lacks PATHS: what the loader does not find with these folders, a library or a version a line
lacks() {
    LD_LIBRARY_PATH=$1 LD_TRACE_LOADED_OBJECTS=1 "$here/bin/defeat" 2>&1 |
        sed -n "s/^[[:space:]]*\([^ ]*\) => not found.*/\1/p; s/.*version [\`']\([^']*\)' not found.*/\1/p" | sort -u
}
# folders PATTERN...: those that exist, with a colon before each
folders() { for folder; do [ ! -d "$folder" ] || printf ':%s' "$folder"; done; }
of_python() {
    "$python" -c 'import glob, nvidia; print(*(":" + lib for site in nvidia.__path__ for lib in sorted(glob.glob(site + "/*/lib"))), sep="")' 2>/dev/null
}
of_system() {
    for home in "$CUDA_HOME" "$CUDA_PATH" "$CUDNN_HOME" "$CUDNN_PATH" "$CONDA_PREFIX" /usr/local/cuda /usr/local/cuda-13* /opt/cuda; do
        [ ! "$home" ] || folders "$home/lib64" "$home/lib" "$home"/targets/*/lib
    done
}

# Our own libraries come first, then what the user says, then the first of these that leaves nothing missing: nothing more, the system's, Python's, both.
paths=$here/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
missing=$(lacks "$paths")
case $missing in
*libstdc++* | *libgcc_s* | *GLIBCXX_* | *CXXABI_* | *GCC_*) paths=$paths:$here/lib/gcc missing=$(lacks "$paths:$here/lib/gcc") ;;
esac
nvidia='^lib\(cu\|nv\)'
if echo "$missing" | grep -q "$nvidia"; then
    for more in "$(of_system)" "$(of_python)" "$(of_system)$(of_python)"; do
        missing=$(lacks "$paths$more")
        [ "$missing" ] || break
    done
    paths=$paths$more
fi
missing=$(echo "$missing" | tr '\n' ' ')
missing=${missing% }
case " $missing" in
' ') ;;
*' GLIBC_'*) fail "the C library here is older than the program: it wants glibc $glibc, found $(getconf GNU_LIBC_VERSION) [make bundle on a system no newer than this one]" ;;
*' libcu'* | *' libnv'*) fail "not found: $missing; neither in the system ($(of_system | sed 's/^://')) nor beside '$python' ($(of_python | sed 's/^://'))
[load the modules of CUDA 13 and cuDNN 9, or name their folders by CUDA_HOME= and CUDNN_HOME=, or in a folder that this machine sees:
 python3 -m venv env && env/bin/pip install nvidia-cuda-runtime nvidia-cublas nvidia-cuda-nvrtc nvidia-cudnn-cu13, then PYTHON=env/bin/python ./run.sh test]" ;;
*) fail "not found: $missing [unpack the archive again; all but NVIDIA's libraries are in lib/]" ;;
esac

outside=$LD_LIBRARY_PATH
export LD_LIBRARY_PATH="$paths"
[ "$1" = test ] || exec "$here/bin/defeat" "$@"
report=${2:-$PWD/}
case $report in /*) ;; *) report=$PWD/$report ;; esac
cd "$here" || exit 1
PYTHON_LIBRARIES=$outside PYTHON=$python sh tests/cuda/report.sh bin "$report" "${DEVICE:-$device}"
