# make check-net-long: each network card with user networking against servers on the host's loopback: 200 MB by
# wget, 200 small files, iperf3 both ways, ssh by a forwarded port, and the link going down and up.
: "${DRAGOMAN:=./dragoman}" "${SRC:=../}"
. "$SRC/tests/guest/net-lib.sh"
command -v dropbearkey >/dev/null && command -v ssh >/dev/null || skip_all "dropbear or ssh is not installed"
dir=/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64
[ -f "$dir/linux" ] || skip_all "package debian-installer-12-netboot-amd64 is not installed"
(cd "$extra" && mkdir m && cd m && zcat "$dir/initrd.gz" | cpio -id --quiet 'lib/modules/*.ko')
for m in mii 8139cp e1000 failover net_failover virtio virtio_ring virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_net; do
    find "$extra/m" -name "$m.ko" -exec cp {} "$extra/" \;
done
rm -r "$extra/m"
dropbearkey -t ed25519 -f "$extra/etc/dropbear/key" >/dev/null 2>&1
ssh-keygen -q -t ed25519 -N '' -f "$work/id" && cp "$work/id.pub" "$extra/root/.ssh/authorized_keys"
chmod 700 "$extra/root" "$extra/root/.ssh"
guest_with "$extra"
serve_files "${BYTES:-200000000}"
serve_iperf
sum=$(sha256sum <"$work/www/big" | cut -d' ' -f1)
for card in ${CARDS:-e1000 rtl8139 virtio-net-pci}; do
    start_guest -m 384 -no-reboot -kernel "$dir/linux" -initrd "$work/guest/initrd.img" -append 'console=ttyS0 quiet no_timer_check' \
        -netdev "user,id=n,hostfwd=tcp:127.0.0.1:$((port + 2))-:22" -device "$card,netdev=n" \
        -qmp "unix:$work/qmp,server=on,wait=off"
    wait_for 900 'is up after'
    ok $? "$card: Linux boots"
    sleep 1
    send 'export PATH=/bin:/usr/bin; for m in mii 8139cp e1000 failover net_failover virtio virtio_ring virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_net; do insmod /$m.ko 2>/dev/null; done; mkdir -p /dev/pts; mount -t devpts x /dev/pts; ip link set lo up; ip link set eth0 up; sleep 1; udhcpc -i eth0 -q -n -s /dhcp; echo dhcp=$?\n'
    wait_for 300 'dhcp=0'
    ok $? "$card: DHCP"
    start=$(date +%s%N)
    send "wget -q -O - http://10.0.2.2:$port/big | sha256sum; echo wget=\$?\\n"
    wait_for 900 'wget=0' && grep -aq "$sum" "$work/console"
    ok $? "$card: $((${BYTES:-200000000} / 1000000)) MB by wget, $(($(date +%s%N) / 1000000 - start / 1000000)) ms"
    send "for i in \$(seq 200); do wget -q -O - http://10.0.2.2:$port/small\$i; done | sha256sum; echo small=\$?\\n"
    wait_for 120 'small=0' && grep -aq "$(cat "$work/small.sum")" "$work/console"
    ok $? "$card: 200 small files"
    for way in out in; do
        send "echo begin $way; iperf3 -c 10.0.2.2 -p $((port + 1)) -t ${SECONDS_EACH:-5} -J $([ $way = out ] || echo -R); echo end $way\\n"
        wait_for 300 "^end $way"
        mbit=$(iperf_result $way)
        [ "${mbit:-0}" -gt 10 ]
        ok $? "$card: iperf3 $way, $mbit Mbit/s"
    done
    send 'dropbear -E -r /etc/dropbear/key -p 22; echo ssh=$?\n'
    wait_for 120 'ssh=0'
    head -c $((${BYTES:-200000000} / 10)) "$work/www/big" >"$work/part"
    timeout 120 ssh -p $((port + 2)) -i "$work/id" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR \
        root@127.0.0.1 'cat >/tmp/x; sha256sum </tmp/x' <"$work/part" >"$work/ssh.out" 2>"$work/ssh.err"
    [ "$(cut -d' ' -f1 "$work/ssh.out")" = "$(sha256sum <"$work/part" | cut -d' ' -f1)" ]
    status=$?
    [ $status = 0 ] || sed 's/^/# ssh: /' "$work/ssh.err" "$work/ssh.out"
    ok $status "$card: a tenth of it by ssh through the forwarded port"
    send 'echo carrier=$(cat /sys/class/net/eth0/carrier)\n'
    wait_for 60 'carrier=1'
    ok $? "$card: the link is up"
    python3 -c 'import socket,sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(b"{\"execute\":\"qmp_capabilities\"}{\"execute\":\"set_link\",\"arguments\":{\"name\":\"n\",\"up\":false}}"); s.settimeout(2); s.recv(4096); import time; time.sleep(1)' "$work/qmp"
    send 'sleep 3; echo now=$(cat /sys/class/net/eth0/carrier)\n'
    wait_for 60 'now=0'
    ok $? "$card: the link is down"
    send 'poweroff\n'
    wait_end 200
    ok $? "$card: poweroff"
done
finish
