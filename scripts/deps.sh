#!/bin/sh
# Installs the Debian packages that building and running need; with "test", those of the tests too,
# with "ui" also those of make check-ui, with "root" those of make check-root.
# As root, or through sudo.
set -eu
run="make gcc pkg-config libglib2.0-dev libjansson-dev zlib1g-dev libzstd-dev libcapstone-dev libslirp-dev libvncserver-dev libsdl2-dev
 libncurses-dev seabios ipxe-qemu"
guest="busybox-static cpio xz-utils"
tests="perl python3 luajit linux-perf gdb lldb clang libclang-rt-14-dev nasm expect gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static
 libglib2.0-dev:arm64 libjansson-dev:arm64 zlib1g-dev:arm64 libzstd-dev:arm64 grub-pc-bin grub-common xorriso mtools e2fsprogs fdisk qemu-utils memtest86+
 debian-installer-12-netboot-amd64 debian-installer-12-netboot-i386 iperf3 fio openssl dropbear-bin openssh-client"
ui="xvfb openbox tigervnc-viewer xdotool imagemagick novnc chromium"
root="python3 iperf3 openssh-client debootstrap wget fdisk e2fsprogs grub-pc-bin grub-common qemu-utils"
want="$run $guest"
[ "${1:-}" = test ] && want="$want $tests"
[ "${1:-}" = ui ] && want="$want $tests $ui"
[ "${1:-}" = root ] && want="$want $root"

missing=
for p in $want; do
    dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
done
[ -n "$missing" ] || exit 0
sudo=
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || {
        echo "these packages are missing, and this is neither root nor is sudo there:$missing" >&2
        exit 1
    }
    sudo=sudo
fi
echo "installing:$missing"
case $missing in *:arm64*) $sudo dpkg --add-architecture arm64 ;; esac
$sudo apt-get update -qq
# shellcheck disable=SC2086
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing >/dev/null
