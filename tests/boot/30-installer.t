# The Debian installer's kernels and initial RAM disks, 64 and 32 bits, to the first dialog.
. "$SRC/tests/boot/lib.sh"
images=/usr/lib/debian-installer/images/12
for arch in amd64 i386; do
    dir=$images/$arch/text/debian-installer/$arch
    [ -f "$dir/linux" ] || skip_all "package debian-installer-12-netboot-$arch is not installed"
    start_guest -m 1G -no-reboot -kernel "$dir/linux" -initrd "$dir/initrd.gz" \
        -append "console=ttyS0 TERM=dumb DEBIAN_FRONTEND=text quiet"
    wait_for 600 'Select a language'
    ok $? "$arch: the installer asks for the language"
    stop_guest
done
finish
