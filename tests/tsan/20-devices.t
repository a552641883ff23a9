# A build with ThreadSanitizer, with everything at once: virtio-blk on qcow2 and an AHCI disk, virtio-net and e1000 on
# user networks, VNC viewers that come and go, screen dumps, QMP and monitor queries, pauses, a debugger: no report.
# (make check-tsan)
. "$SRC/tests/boot/lib.sh"
seconds=${TSAN_SECONDS:-40}
guest=$PWD/guest-tsan
export GUEST_KERNEL=linux-image-amd64 GUEST_MODULES=e1000
mkdir "$work/extra" "$work/www"
cat >"$work/extra/stress.sh" <<'S'
ip link set lo up
ip link set eth0 up; ip addr add 10.0.2.15/24 dev eth0
ip link set eth1 up; ip addr add 10.0.3.15/24 dev eth1
port=$(sed 's/.*port=\([0-9]*\).*/\1/' /proc/cmdline)
end=$(sed 's/.*seconds=\([0-9]*\).*/\1/' /proc/cmdline)
cat /proc/partitions
for n in 2 3; do
    while :; do wget -q -O /dev/null http://10.0.$n.2:$port/big && echo . >>/tmp/net$n; sleep 0.2; done &
done
for d in vda sda; do
    while :; do
        dd if=/dev/urandom of=/dev/$d bs=64k count=8 conv=fsync 2>/dev/null &&
        dd if=/dev/$d of=/dev/null bs=4k count=128 iflag=direct 2>/dev/null && echo . >>/tmp/$d
    done &
done
while :; do dmesg | tail -n 40 >/dev/tty1; sleep 0.3; done &
sleep $end
# On a slow host till each has done something.
more=0
while [ $more -lt $((5 * end)) ] && ! { [ -s /tmp/net2 ] && [ -s /tmp/net3 ] && [ -s /tmp/vda ] && [ -s /tmp/sda ]; }; do
    sleep 1
    more=$((more + 1))
done
echo "stress: virtio-net $(wc -l </tmp/net2), e1000 $(wc -l </tmp/net3), virtio-blk $(wc -l </tmp/vda), AHCI $(wc -l </tmp/sda) rounds"
S
guest_with "$work/extra"
head -c 1000000 /dev/urandom >"$work/www/big"
truncate -s 16M "$work/b.img"
$DRAGOMAN img create -f qcow2 "$work/a.qcow2" 16M >/dev/null
export TSAN_OPTIONS="log_path=$work/tsan history_size=5 suppressions=$SRC/tests/tsan/suppressions"
python3 "$SRC/tests/tsan/devices.py" "$work" "$seconds"
status=$?
ok $status "guest, viewers and monitors ran for $seconds s"
grep -a '^stress: ' "$work/console" | tr -d '\r' | sed 's/^/# /'
tr -d '\r' <"$work/console" | grep -aqE '^stress: virtio-net [1-9].*e1000 [1-9].*virtio-blk [1-9].*AHCI [1-9]'
ok $? "all devices were used"
reports=$(cat "$work"/tsan.* 2>/dev/null | grep -c 'WARNING: ThreadSanitizer')
[ "$reports" = 0 ]
ok $? "$reports reports"
cat "$work"/tsan.* 2>/dev/null | grep '^SUMMARY' | sort | uniq -c | sed 's/^/# /'
[ -z "${TSAN_KEEP:-}" ] || cp "$work"/tsan.* "$TSAN_KEEP/" 2>/dev/null
finish
