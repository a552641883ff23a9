#!/bin/sh
# tree.sh DIR: unpacks the Debian packages that the guest proof runs, and all that they need, to DIR/tree, adds
# the programs of this folder, and makes DIR/tree.iso of it. Nothing is installed; what is there is kept.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "${1:?usage: tree.sh DIR}"
dir=$(cd "$1" && pwd)
cd "$dir"

packages="libc6 libc-bin coreutils dash grep sed gawk util-linux openssl x264 vpx-tools flac libjpeg-turbo-progs"
packages="$packages zstd perl python3 libpython3.11-testsuite"
# What they need on a machine where nothing is installed or fetched.
mkdir -p none/partial
list=$(apt-get -o Dir::State::status=/dev/null -o "Dir::Cache::archives=$dir/none" install --no-install-recommends --print-uris -y -qq $packages |
    awk '/^.http|^.file/ { sub(/_.*/, "", $2); print $2 }' | sort -u)
[ -n "$list" ] || {
    echo "tree.sh: apt knows no such packages; apt-get update may help" >&2
    exit 1
}

if [ "$(cat tree/.packages 2>/dev/null)" != "$list" ]; then
    mkdir -p debs
    echo "fetching $(echo "$list" | wc -l) packages"
    (cd debs && for p in $list; do
        ls "${p}"_*.deb >/dev/null 2>&1 || echo "$p"
    done | xargs -r apt-get download -qq)
    rm -rf tree tree.iso
    mkdir -p tree/proc tree/dev tree/tmp tree/work
    for p in $list; do
        dpkg-deb -x debs/"${p}"_*.deb tree
    done
    rm -rf tree/usr/share/doc tree/usr/share/man tree/usr/share/locale tree/usr/share/fonts tree/usr/share/icons
    ln -sf gawk tree/usr/bin/awk
    for n in "null 3" "zero 5" "random 8" "urandom 9"; do
        mknod -m 666 "tree/dev/${n% *}" c 1 "${n#* }"
    done
    ldconfig -r tree
    echo "$list" >tree/.packages
    rm -f tree.iso
fi
mkdir -p tree/work
for f in "$here"/programs.sh "$here"/arithmetic.pl "$here"/pattern.py; do
    cmp -s "$f" "tree/work/$(basename "$f")" || { cp "$f" tree/work/; rm -f tree.iso; }
done
if [ ! -f tree/work/libm_sums ] || [ "$here/libm_sums.c" -nt tree/work/libm_sums ]; then
    ${CC:-gcc} -O1 -fno-builtin -D_GNU_SOURCE -o tree/work/libm_sums "$here/libm_sums.c" -lm
    rm -f tree.iso
fi
[ -f tree.iso ] || { xorriso -as mkisofs -quiet -R -o tree.new tree && mv tree.new tree.iso; }
