#!/bin/sh
# guest.sh DIR: makes a small Linux guest from Debian packages in DIR: bzImage and initrd.img, whose init
# mounts the usual file systems and runs commands from the kernel command line (run=...) or a shell.
set -eu
dir=${1:?usage: guest.sh DIR}
mkdir -p "$dir"
cd "$dir"

# Debian's kernel for virtual machines has no drivers of SATA and floppy controllers:
# GUEST_KERNEL=linux-image-amd64 is the one that has.
package=${GUEST_KERNEL:-linux-image-cloud-amd64}

# Drivers of IDE, SATA and floppy drives, of virtio, and of what they need, in the order they are loaded in.
modules="crc16 crc32c_generic mbcache jbd2 ext4 crct10dif_common crct10dif_generic crc-t10dif crc64 crc64_rocksoft_generic crc64-rocksoft"
modules="$modules t10-pi scsi_common scsi_mod libata ata_piix libahci ahci sd_mod cdrom sr_mod isofs floppy"
modules="$modules virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk virtio_scsi failover"
modules="$modules net_failover virtio_net virtio-rng virtio_console virtio_balloon${GUEST_MODULES:+ $GUEST_MODULES}"

if [ ! -f bzImage ] || [ "$(cat modules/list 2>/dev/null)" != "$modules" ]; then
    rm -f initrd.img
    [ -n "$(apt-cache show $package 2>/dev/null)" ] || {
        if [ "$(id -u)" = 0 ]; then apt-get update -qq; else sudo apt-get update -qq; fi
    }
    kernel=$(apt-cache depends $package | awk '/Depends:/ {print $2; exit}')
    echo "fetching $kernel"
    rm -rf unpack
    mkdir unpack
    chmod 777 unpack
    (cd unpack && apt-get download -qq "$kernel" && dpkg-deb -x ./*.deb .)
    cp unpack/boot/vmlinuz-* bzImage.new
    rm -rf modules modules.new
    mkdir modules.new
    for m in $modules; do
        find unpack/lib/modules -name "$m.ko*" -exec cp {} modules.new/ \;
    done
    echo "$modules" >modules.new/list
    mv modules.new modules
    rm -rf unpack
    mv bzImage.new bzImage
fi

if [ ! -f initrd.img ]; then
    echo "making the initial RAM disk"
    rm -rf root
    mkdir -p root/bin root/dev root/proc root/sys root/tmp root/etc
    cp "$(command -v busybox)" root/bin/busybox
    cp -r modules root/modules
    cat >root/init <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin HOME=/ TERM="${TERM:-linux}" PS1='guest:\w# '
# What busybox's poweroff, halt and reboot send to init.
trap '/bin/busybox poweroff -f' USR2
trap '/bin/busybox halt -f' USR1
trap '/bin/busybox reboot -f' TERM
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
for m in MODULES; do
    [ ! -f "/modules/$m.ko" ] || insmod "/modules/$m.ko"
done 2>/dev/null
for word in $(cat /proc/cmdline); do
    case $word in run=*) run=${word#run=} ;; esac
done
echo "Linux $(uname -r) is up after $(cut -d' ' -f1 /proc/uptime) s. 'poweroff' ends it."
if [ -n "$run" ]; then
    sh "/$run" </dev/console >/dev/console 2>&1 &
else
    setsid cttyhack sh &
fi
wait $!
/bin/busybox poweroff -f
INIT
    sed -i "s/MODULES/$modules/" root/init
    chmod +x root/init
    if [ -d "${GUEST_EXTRA:-/nonexistent}" ]; then cp -r "$GUEST_EXTRA"/. root/; fi
    (cd root && find . | sort | cpio -o -H newc --quiet) | gzip -1 >initrd.new
    rm -rf root
    mv initrd.new initrd.img
fi
