#!/bin/sh
# Packs what was built for a machine without compiler, root or network: the program, the tests that tests/cuda/report.sh runs, their shared
# libraries, specs with the teachers they name, scripts. Not packed: the C library, and NVIDIA's, which tests/cuda/run.sh finds there.
#   sh tests/cuda/bundle.sh BUILD ARCHIVE.tar.xz     ('XZ_OPT=-1' packs fast)
build=${1:?} archive=${2:?}
most=60000000 # bytes
fail() { echo "bundle: $1" >&2; exit 1; }

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

"$build/defeat" version >"$work/version" || fail "cannot start '$build/defeat' [make all, on this machine's own architecture]"
revision=$(sed -n 's/^defeat //p' "$work/version")
device=cpu
! grep -q '^devices.* cuda' "$work/version" || device=cuda
top=$work/defeat-bench-$device-$revision
mkdir -p "$top/bin" "$top/lib/gcc" || exit 1

# programs: what is packed of BUILD
programs() {
    echo defeat
    (cd "$build" && find tests/core/device tests/core/nn tests/ablations/run/test_step_log -type f -perm -u+x -name 'test_*' ! -name '*.*' | sort)
}
programs >"$work/programs" || exit 1
[ "$(wc -l <"$work/programs")" -gt 1 ] || fail "no test programs in '$build' [make tests]"
while read -r program; do
    mkdir -p "$top/bin/$(dirname "$program")" && strip -o "$top/bin/$program" "$build/$program" || exit 1
done <"$work/programs"

# The loader's own list, one path a line. GCC's libraries lie apart: the machine's are taken where they will do, since cuDNN asks for them too.
sed "s,^,$build/," "$work/programs" | xargs ldd >"$work/ldd" || exit 1
! grep 'not found' "$work/ldd" >&2 || fail "these libraries are not here: the program would not start"
awk '$2 == "=>" { print $3 }' "$work/ldd" | sort -u | while read -r library; do
    case ${library##*/} in
    libc.so* | libm.so* | libdl.so* | libpthread.so* | librt.so* | libresolv.so* | ld-linux*) continue ;;
    libcu* | libnv*) continue ;;
    libstdc++.so* | libgcc_s.so*) to=lib/gcc ;;
    *) to=lib ;;
    esac
    cp -L "$library" "$top/$to/" || exit 1
    ! command -v dpkg >/dev/null || dpkg -S "$(realpath "$library")" 2>/dev/null | cut -d: -f1
done >"$work/packages" || exit 1
sort -u "$work/packages" | while read -r package; do # their licences
    [ ! -f "/usr/share/doc/$package/copyright" ] || install -D -m 644 "/usr/share/doc/$package/copyright" "$top/lib/licences/$package" || exit 1
done || exit 1

files() {
    printf '%s\n' LICENSE ablations/specs/*.json tests/cuda/report.sh tests/cuda/*.json tests/peers/torch_step.py
    find tests/golden -maxdepth 1 -type f ! -name '*.py'
    [ ! -d results/teachers ] || find results/teachers -type f
}
files >"$work/files"
tar -cf - -T "$work/files" | tar -xf - -C "$top" && install -m 755 tests/cuda/run.sh "$top/run.sh" || exit 1

# The youngest symbol of the C library that is always asked for: GCC's libraries are seldom taken.
glibc=$(find "$top/bin" "$top"/lib/*.so* -type f -exec readelf -V {} + 2>/dev/null | grep -o 'GLIBC_2\.[0-9]*' | sort -u -t. -k2n | tail -n 1)
[ "$glibc" ] || fail "readelf tells no version of the C library"
echo "$revision $device $(uname -m) ${glibc#GLIBC_}" >"$top/packed"

XZ_OPT=${XZ_OPT:--9} tar --sort=name --owner=0 --group=0 --numeric-owner -C "$work" -cJf "$work/archive" "${top##*/}" || exit 1
bytes=$(wc -c <"$work/archive")
[ "$bytes" -le $most ] || fail "'$archive' would have $bytes bytes, expected at most $most"
mkdir -p "$(dirname "$archive")" && cp "$work/archive" "$archive" || exit 1
echo "$archive: $bytes bytes, $(wc -l <"$work/programs") programs, $(find "$top/lib" -name '*.so*' | wc -l) libraries, device $device; asks for glibc ${glibc#GLIBC_}"
