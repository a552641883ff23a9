# The 82540EM with Linux's driver (of the installer's kernel: Debian's cloud kernel has none): DHCP, 50 MB in
# and 10 MB out.
. "$SRC/tests/boot/lib.sh"
. "$SRC/tests/boot/net.sh"
dir=/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64
[ -f "$dir/linux" ] || skip_all "package debian-installer-12-netboot-amd64 is not installed"
(cd "$work/extra" && zcat "$dir/initrd.gz" | cpio -id --quiet 'lib/modules/*/e1000.ko' && mv "$(find . -name e1000.ko)" . && rm -r lib)
[ -f "$work/extra/e1000.ko" ] || skip_all "the installer has no e1000 driver"
guest_with "$work/extra"
serve 50000000
start_guest -m 256 -no-reboot -kernel "$dir/linux" -initrd "$work/guest/initrd.img" -append 'console=ttyS0 quiet' \
    -nic "user,mac=52:54:00:01:02:03"
wait_for 300 'is up after'
ok $? "Linux boots"
sleep 1
send 'insmod /e1000.ko; ip link set eth0 up; sleep 1; cat /sys/class/net/eth0/address; udhcpc -i eth0 -q -n -s /dhcp; echo dhcp=$?\n'
wait_for 120 'dhcp=0'
grep -aq '^52:54:00:01:02:03' "$work/console"
ok $? "the driver reads its address from the EEPROM"
grep -aq 'lease 10.0.2.15 dns 10.0.2.3' "$work/console"
ok $? "DHCP gives an address"
fetch "50 MB come in unchanged"
fetch_from_guest 10
send 'poweroff\n'
wait_end 120
ok $? "poweroff ends with status 0"
finish
