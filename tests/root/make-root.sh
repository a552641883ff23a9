#!/bin/sh
# make-root.sh DIR: makes DIR/debian.qcow2, an installed Debian as people have it: systemd, the generic kernel, GRUB in the
# MBR, one ext4 partition. Logins on the first serial port and on the screen; root's password is "dragoman".
# What is there already is kept, as long as the recipe and the mirror's packages are the same (DIR/stamp; ROOT_KEEP=1
# does not ask the mirror). Needs root and mounting /proc, but no loop device; MIRROR= is the Debian mirror.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "${1:?usage: make-root.sh DIR}"
dir=$(cd "$1" && pwd)
: "${DRAGOMAN:=./dragoman}" "${MIRROR:=http://deb.debian.org/debian}" "${SUITE:=bookworm}"
PATH=$PATH:/sbin:/usr/sbin
image=$dir/debian.qcow2
password=dragoman
mib=8192 # the disk's size; the image holds what is used

packages="systemd-sysv udev dbus linux-image-amd64 initramfs-tools zstd grub-pc openssh-server iproute2 iputils-ping kmod
 ca-certificates less procps e2fsprogs fdisk fio iperf3 wget vim-tiny"
# shellcheck disable=SC2086
list=$(echo $packages | tr ' ' ',')

if [ -f "$image" ] && [ -n "${ROOT_KEEP:-}" ]; then
    exit 0
fi
# The stamp: this script, and the mirror's word for the versions.
stamp=$(sha256sum <"$here/make-root.sh")
release=$(wget -q -O - "$MIRROR/dists/$SUITE/Release" | sed -n 's/^\(Version\|Date\): //p' | tr '\n' ' ') || true
if [ -f "$image" ]; then
    # Without a mirror, what is there is good.
    [ -n "$release" ] || release=$(sed -n 2p "$dir/stamp" 2>/dev/null) || true
    [ "$(cat "$dir/stamp" 2>/dev/null)" != "$stamp
$release" ] || exit 0
fi
for p in debootstrap sfdisk mke2fs grub-mkimage; do
    command -v "$p" >/dev/null || {
        echo "make-root.sh: $p is not installed (scripts/deps.sh root)" >&2
        exit 1
    }
done
[ "$(id -u)" = 0 ] || {
    echo "make-root.sh: debootstrap needs to be root" >&2
    exit 1
}

root=$dir/root
umount "$root/proc" 2>/dev/null || true
rm -rf "$root"
cleanup() {
    umount "$root/proc" 2>/dev/null || true
}
trap cleanup EXIT
echo "debootstrap of $SUITE from $MIRROR"
mkdir -p "$dir/debs"
# The initial RAM disk (INITRD) is made once, at the end, with the drivers of every controller instead of everything.
INITRD=No debootstrap --variant=minbase --cache-dir="$dir/debs" --include="$list" "$SUITE" "$root" "$MIRROR" >"$dir/debootstrap.log" 2>&1 || {
    tail -n 5 "$dir/debootstrap.log" >&2
    exit 1
}

echo "configuring"
cat >"$root/etc/fstab" <<'F'
LABEL=root / ext4 errors=remount-ro 0 1
F
echo dragoman >"$root/etc/hostname"
printf '127.0.0.1 localhost\n127.0.1.1 dragoman\n' >"$root/etc/hosts"
rm -f "$root/etc/resolv.conf"
echo 'nameserver 10.0.2.3' >"$root/etc/resolv.conf"
echo "root:$password" | chroot "$root" chpasswd
mkdir -p "$root/etc/ssh/sshd_config.d" "$root/etc/systemd/network"
echo 'PermitRootLogin yes' >"$root/etc/ssh/sshd_config.d/root.conf"
cat >"$root/etc/systemd/network/ether.network" <<'F'
[Match]
Type=ether
[Network]
DHCP=yes
F
chroot "$root" systemctl -q enable systemd-networkd serial-getty@ttyS0.service getty@tty1.service
chroot "$root" systemctl -q disable systemd-networkd-wait-online.service apt-daily.timer apt-daily-upgrade.timer
# A host with much else to do must not make devices and services fail.
mkdir -p "$root/etc/systemd/system.conf.d"
printf '[Manager]\nDefaultTimeoutStartSec=900s\nDefaultDeviceTimeoutSec=900s\n' >"$root/etc/systemd/system.conf.d/slow.conf"
cat >"$root/etc/initramfs-tools/conf.d/dragoman" <<'F'
MODULES=list
COMPRESS=zstd
COMPRESSLEVEL=3
F
printf '%s\n' virtio_pci virtio_blk virtio_scsi ahci ata_piix ata_generic nvme xhci_pci ehci_pci uhci_hcd usb_storage uas sd_mod sr_mod \
    ext4 >"$root/etc/initramfs-tools/modules"
cat >"$root/etc/default/grub" <<'F'
GRUB_DEFAULT=0
GRUB_TIMEOUT=1
GRUB_DISTRIBUTOR=Debian
GRUB_CMDLINE_LINUX_DEFAULT="quiet"
GRUB_CMDLINE_LINUX="console=tty0 console=ttyS0,115200"
GRUB_TERMINAL="console serial"
GRUB_SERIAL_COMMAND="serial --unit=0 --speed=115200"
F
mount -t proc proc "$root/proc"
chroot "$root" update-initramfs -c -k all >>"$dir/debootstrap.log" 2>&1
umount "$root/proc"
# GRUB without devices: the core image in the gap before the partition, as grub-install would put it; grub.cfg as
# update-grub writes it. The guest can run both itself later.
kernel=$(basename "$root"/boot/vmlinuz-*)
version=${kernel#vmlinuz-}
mkdir -p "$root/boot/grub"
cp -r "$root/usr/lib/grub/i386-pc" "$root/boot/grub/"
cat >"$root/boot/grub/grub.cfg" <<F
serial --unit=0 --speed=115200
terminal_input console serial
terminal_output console serial
insmod part_msdos
insmod ext2
search --no-floppy --label --set=root root
set timeout=1
menuentry 'Debian GNU/Linux' {
    linux /boot/$kernel root=LABEL=root ro console=tty0 console=ttyS0,115200 quiet
    initrd /boot/initrd.img-$version
}
F
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root"/usr/share/doc/* "$root"/usr/share/man/* \
    "$root"/usr/share/locale/*
chroot "$root" dpkg-query -W >"$dir/packages"

echo "making the image"
raw=$dir/debian.raw
rm -f "$raw" "$image"
truncate -s "${mib}M" "$raw"
printf '2048,,83,*\n' | sfdisk -q "$raw" >/dev/null
mke2fs -q -t ext4 -L root -d "$root" -E offset=$((1 << 20)) "$raw" "$((mib - 1))M"
g=$root/usr/lib/grub/i386-pc
grub-mkimage -d "$g" -O i386-pc -p '(hd0,msdos1)/boot/grub' -o "$dir/core.img" biosdisk part_msdos ext2
dd if="$g/boot.img" of="$raw" bs=440 count=1 conv=notrunc status=none
dd if="$dir/core.img" of="$raw" bs=512 seek=1 conv=notrunc status=none
$DRAGOMAN img convert -f raw -O qcow2 "$raw" "$image.new"
cp "$root/boot/$kernel" "$dir/vmlinuz"
cp "$root/boot/initrd.img-$version" "$dir/initrd.img"
rm -rf "$raw" "$root"
mv "$image.new" "$image"
chmod a-w "$image"
printf '%s\n%s' "$stamp" "$release" >"$dir/stamp"
echo "$image: $(du -m "$image" | cut -f1) MiB"
