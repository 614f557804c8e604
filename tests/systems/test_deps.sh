#!/bin/sh
# `make deps` where everything is there, where something is missing, as root, with sudo, with neither, without apt: what it says, what it runs.
# PATH holds stand-ins only: nothing is installed, nothing is fetched.
make=$(command -v make) || exit 77
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
fail() { echo "test_deps: $1" >&2; cat "$work/said" "$work/ran" >&2; exit 1; }
stand_in() { cat >"$work/bin/$1" && chmod +x "$work/bin/$1"; }

mkdir "$work/bin"
for tool in sh env find sort sed awk cat date mkdir nproc grep; do ln -s "$(command -v $tool)" "$work/bin/$tool"; done
for tool in git gnuplot xz clang clang-format g++ debootstrap; do echo '#!/bin/sh' | stand_in $tool; done
: >"$work/headers"

# The compiler builds what includes no header of the list, pkg-config finds no library of it, and apt-get empties the lists.
stand_in gcc <<END
#!/bin/sh
[ "\$*" = "\${*#*-x c}" ] || ! grep -qFf "$work/headers"
END
stand_in pkg-config <<END
#!/bin/sh
! grep -qx -- "\$2" "$work/libraries"
END
stand_in apt-get <<END
#!/bin/sh
echo "apt-get \$*" >>"$work/ran"
[ ! -e "$work/broken" ] || exit 100
[ "\$1" = update ] || [ -e "$work/useless" ] || { : >"$work/headers"; : >"$work/libraries"; }
END
user() { printf '#!/bin/sh\necho %s\n' "$1" | stand_in id; }
sudo() { printf '#!/bin/sh\necho "sudo $*" >>"%s/ran"\n"$@"\n' "$work" | stand_in sudo; }
missing() { printf '%s\n' $1 >"$work/libraries"; printf '%s' "$2" >"$work/headers"; }
deps() { : >"$work/ran"; PATH=$work/bin "$make" -s deps CC=gcc "$@" >"$work/said" 2>&1; }
says() { grep -qxF -- "$1" "$work/said" || fail "did not say: $1"; }
ran() { [ "$(cat "$work/ran")" = "$1" ] || fail "expected to run: $1"; }
silent() { [ ! -s "$work/said" ] && [ ! -s "$work/ran" ] || fail "$1"; }

missing '' ''
user 1000
deps || fail 'everything is there'
silent 'everything is there, and something is said'
rm "$work/bin/clang" "$work/bin/clang-format" "$work/bin/g++" "$work/bin/debootstrap"
deps || fail 'what only lint and the like need is asked for'
silent 'what only lint and the like need is told'
for other in 'lint clang clang-format' 'hostcuda g++' 'systems debootstrap'; do
    deps DEPS_FOR="${other%% *}" && fail "$other: not missed"
    says "missing: ${other#* }"
done
deps DEPS_FOR=other && fail 'an unknown target is accepted'

# without root
missing 'yajl cmocka' 'csv.h'
wanted='libyajl-dev libcmocka-dev libcsv-dev'
command="apt-get update && apt-get install -y --no-install-recommends $wanted"
deps && fail 'no root, no sudo, and all is well'
says "missing: $wanted"
says "only root can install them: run '$command' as root, then make again"
ran ''
sudo
deps || fail 'sudo'
says "missing: $wanted"
says "+ sudo apt-get update && sudo ${command#*&& }   (from the configured apt sources)"
ran "sudo apt-get update -qq
apt-get update -qq
sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $wanted
apt-get install -y -qq --no-install-recommends $wanted"

# as root; the message comes before anything is run
rm "$work/bin/sudo"
user 0
missing yajl ''
deps || fail 'root'
says "missing: libyajl-dev"
says "+ apt-get update && apt-get install -y --no-install-recommends libyajl-dev   (from the configured apt sources)"
ran "apt-get update -qq
apt-get install -y -qq --no-install-recommends libyajl-dev"
deps || fail 'the second time'
silent 'the second time'

missing yajl ''
: >"$work/useless"
deps && fail 'still missing, and all is well'
says 'installed, but still not found: libyajl-dev'
: >"$work/broken"
deps && fail 'apt-get fails, and all is well'
says "not installed: run 'apt-get update && apt-get install -y --no-install-recommends libyajl-dev', then make again"
ran 'apt-get update -qq'
rm "$work/bin/apt-get"
deps && fail 'no apt-get, and all is well'
says "no apt-get here: install these packages (Debian's names) and run make again"

# a compiler by another name is a package by that name
missing '' ''
for pair in gcc-13:gcc-13 aarch64-linux-gnu-gcc:gcc-aarch64-linux-gnu aarch64-linux-gnu-gcc-12:gcc-12-aarch64-linux-gnu; do
    deps CC=${pair%%:*} && fail "${pair%%:*} is not missed"
    grep -q "^missing: ${pair#*:} " "$work/said" || fail "${pair%%:*} is not in ${pair#*:}"
done
grep -q ' libcsv-dev:arm64' "$work/said" || fail 'a cross compiler gets the libraries of this machine'
exit 0
