# The 82540EM with Linux's driver (of the installer's kernel: Debian's cloud kernel has none): DHCP, 50 MB in
# and 10 MB out.
. "$SRC/tests/boot/lib.sh"
$DRAGOMAN -nic user -m 1 -kernel /nonexistent 2>&1 </dev/null | grep -q 'not in this build' && skip_all "built without libslirp"
dir=/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64
[ -f "$dir/linux" ] || skip_all "package debian-installer-12-netboot-amd64 is not installed"
need_guest
mkdir "$work/extra" "$work/www"
(cd "$work/extra" && zcat "$dir/initrd.gz" | cpio -id --quiet 'lib/modules/*/e1000.ko' && mv "$(find . -name e1000.ko)" . && rm -r lib)
[ -f "$work/extra/e1000.ko" ] || skip_all "the installer has no e1000 driver"
cat >"$work/extra/dhcp" <<'D'
#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr add "$ip/24" dev "$interface"
ip route add default via "$router"
echo "lease $ip dns $dns"
D
chmod +x "$work/extra/dhcp"
{ cat "$guest/initrd.img" && (cd "$work/extra" && find . | cpio -o -H newc --quiet); } >"$work/initrd"
head -c 50000000 /dev/urandom >"$work/www/big"
port=$((20000 + $$ % 20000))
busybox httpd -f -p "127.0.0.1:$port" -h "$work/www" &
server=$!
trap 'kill $server 2>/dev/null; stop_guest; rm -rf "$work"' EXIT
start_guest -m 256 -no-reboot -kernel "$dir/linux" -initrd "$work/initrd" -append 'console=ttyS0 quiet' \
    -nic "user,mac=52:54:00:01:02:03"
wait_for 300 'is up after'
ok $? "Linux boots"
sleep 1
send 'insmod /e1000.ko; ip link set eth0 up; sleep 1; cat /sys/class/net/eth0/address; udhcpc -i eth0 -q -n -s /dhcp; echo dhcp=$?\n'
wait_for 60 'dhcp=0'
grep -aq '^52:54:00:01:02:03' "$work/console"
ok $? "the driver reads its address from the EEPROM"
grep -aq 'lease 10.0.2.15 dns 10.0.2.3' "$work/console"
ok $? "DHCP gives an address"
send "wget -q -O - http://10.0.2.2:$port/big | sha256sum; echo wget=\$?\\n"
wait_for 300 'wget=0'
grep -aq "$(sha256sum <"$work/www/big" | cut -d' ' -f1)" "$work/console"
ok $? "50 MB come in unchanged"
mkfifo "$work/open" # nc ends when its input does
sleep 60 >"$work/open" &
hold=$!
busybox nc -l -p $((port + 2)) <"$work/open" >"$work/out" &
nc=$!
send "dd if=/dev/urandom of=/out bs=64k count=160 2>/dev/null; sha256sum /out; nc 10.0.2.2 $((port + 2)) </out; echo out=\$?\\n"
wait_for 60 'out=0'
for _ in 1 2 3 4 5 6 7 8 9 10; do
    [ "$(wc -c <"$work/out")" -lt 10485760 ] || break
    sleep 0.5
done
kill $nc $hold 2>/dev/null
grep -aq "$(sha256sum <"$work/out" | cut -d' ' -f1)" "$work/console" && [ "$(wc -c <"$work/out")" = 10485760 ]
ok $? "10 MB go out unchanged"
send 'poweroff\n'
wait_end 60
ok $? "poweroff ends with status 0"
finish
