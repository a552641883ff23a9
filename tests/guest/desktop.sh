#!/bin/sh
# desktop.sh DIR: a Debian with X.org and Weston from debootstrap, on an ext4 image of its own in DIR: root.img,
# vmlinuz, initrd.img. systemd starts one of the two (desktop=x, desktop=weston on the kernel's command line) with a
# terminal in it. Root, and a mirror. What is there is kept.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "${1:?usage: desktop.sh DIR}"
dir=$(cd "$1" && pwd)
cd "$dir"
packages="linux-image-amd64,initramfs-tools,zstd,systemd-sysv,udev,dbus,libpam-systemd,kmod,procps,iproute2"
packages="$packages,xserver-xorg-core,xserver-xorg-input-libinput,xinit,xterm,openbox,x11-xserver-utils,xfonts-base,xkb-data"
packages="$packages,weston,fonts-dejavu-core"

if [ "$(cat tree/.packages 2>/dev/null)" != "$packages" ]; then
    rm -rf tree root.img
    mkdir -p cache
    debootstrap --foreign --variant=minbase --cache-dir="$dir/cache" --include="$packages" bookworm tree http://deb.debian.org/debian >debootstrap.log 2>&1
    # All that the initial RAM disk has to have; with every driver it takes minutes, and is made twice.
    mkdir -p tree/etc/initramfs-tools/conf.d tree/usr/share/initramfs-tools/modules.d
    echo 'MODULES=list' >tree/etc/initramfs-tools/conf.d/desktop
    printf '%s\n' virtio_pci virtio_blk ext4 bochs virtio-gpu >tree/usr/share/initramfs-tools/modules.d/desktop
    chroot tree /debootstrap/debootstrap --second-stage >>debootstrap.log 2>&1
    echo "$packages" >tree/.packages
fi
if [ root.img -ot "$0" ] || [ root.img -ot "$here/desktop-session" ] || [ ! -f root.img ]; then
    echo desktop >tree/etc/hostname
    echo '/dev/vda / ext4 defaults 0 1' >tree/etc/fstab
    chroot tree passwd -d root >/dev/null
    cp "$here/desktop-session" tree/usr/local/sbin/
    printf '%s\n' '#!/bin/sh' 'echo "desktop: ready" >/dev/ttyS0' 'exec sh' >tree/usr/local/sbin/desktop-shell
    chmod +x tree/usr/local/sbin/desktop-shell
    cat >tree/etc/systemd/system/desktop.service <<'UNIT'
[Unit]
Description=The desktop
ConditionKernelCommandLine=desktop
After=systemd-user-sessions.service
[Service]
PAMName=login
User=root
TTYPath=/dev/tty7
TTYReset=yes
StandardInput=tty
StandardOutput=journal+console
StandardError=journal
UtmpIdentifier=tty7
UtmpMode=user
ExecStart=/usr/local/sbin/desktop-session
[Install]
WantedBy=multi-user.target
UNIT
    chroot tree systemctl enable desktop.service >/dev/null 2>&1
    # The test reads whole lines from ttyS0: no login prompt there.
    chroot tree systemctl mask serial-getty@ttyS0.service apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer fstrim.timer >/dev/null 2>&1
    cp tree/vmlinuz vmlinuz.new
    cp tree/initrd.img initrd.new
    rm -rf tree/var/cache/apt/archives/*.deb
    rm -rf tree/usr/share/doc/* tree/usr/share/locale/*
    rm -f root.new
    mke2fs -q -t ext4 -L desktop -d tree root.new 3G
    mv vmlinuz.new vmlinuz
    mv initrd.new initrd.img
    mv root.new root.img
fi
