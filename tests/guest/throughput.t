# make check-throughput: iperf3 both ways over virtio-net, and fio on virtio-blk, under Dragoman and under QEMU's
# TCG in turn in one run: at least 1.5 times as fast (ROUNDS rounds, best of each).
: "${DRAGOMAN:=./dragoman}" "${SRC:=../}"
. "$SRC/tests/guest/net-lib.sh"
command -v qemu-system-x86_64 >/dev/null || skip_all "qemu-system-x86_64 is not installed"
cat >"$extra/fio.job" <<'F'
[global]
filename=/dev/vda
direct=1
ioengine=psync
time_based=1
runtime=5
size=256m
[seqread]
rw=read
bs=256k
[seqwrite]
stonewall
rw=write
bs=256k
[randread]
stonewall
rw=randread
bs=4k
[randwrite]
stonewall
rw=randwrite
bs=4k
F
guest_with "$extra"
serve_iperf
truncate -s 256M "$work/disk"
dragoman=$DRAGOMAN
measure() { # which
    if [ "$1" = qemu ]; then
        DRAGOMAN="qemu-system-x86_64 -accel tcg -cpu max -nographic"
    else
        DRAGOMAN="$dragoman -accel tcg -nographic"
    fi
    rm -f "$work/in" "$work/console"
    mkfifo "$work/in"
    $DRAGOMAN -m 512 -no-reboot -kernel "$guest/bzImage" -initrd "$work/guest/initrd.img" -append 'console=ttyS0 quiet no_timer_check' \
        -nic user,model=virtio-net-pci -drive "file=$work/disk,format=raw,if=virtio,cache=writeback" \
        <"$work/in" >"$work/console" 2>&1 &
    pid=$!
    exec 9>"$work/in"
    wait_for 300 'is up after'
    sleep 1
    send 'export PATH=/bin:/usr/bin; ip link set eth0 up; sleep 1; udhcpc -i eth0 -q -n -s /dhcp; echo dhcp=$?\n'
    wait_for 60 'dhcp=0'
    for way in out in; do
        send "echo begin $way; iperf3 -c 10.0.2.2 -p $((port + 1)) -t 5 -J $([ $way = out ] || echo -R); echo end $way\\n"
        wait_for 60 "^end $way"
        echo "iperf3-$way $(iperf_result $way)" >>"$work/$1"
    done
    send 'fio --output-format=terse /fio.job >/tmp/fio; echo begin fio; cut -d";" -f3,7,48 /tmp/fio; echo end fio\n'
    wait_for 120 '^end fio'
    tr -d '\r' <"$work/console" | sed -n '/^begin fio/,/^end fio/p' |
        awk -F';' 'NF == 3 { print "fio-" $1, $1 ~ /write/ ? $3 : $2 }' >>"$work/$1"
    send 'poweroff\n'
    wait_end 60
}
for round in $(seq "${ROUNDS:-1}"); do
    measure dragoman
    measure qemu
done
best() { awk -v k="$2" '$1 == k && $2 > b { b = $2 } END { print b + 0 }' "$work/$1"; }
for what in iperf3-out iperf3-in fio-seqread fio-seqwrite fio-randread fio-randwrite; do
    ours=$(best dragoman $what) theirs=$(best qemu $what)
    awk -v a="$ours" -v b="$theirs" 'BEGIN { exit !(a > 0 && b > 0 && a >= 1.5 * b) }'
    ok $? "$what: $ours, QEMU $theirs ($(awk -v a="$ours" -v b="$theirs" 'BEGIN { printf "%.2f", b ? a / b : 0 }') times)"
done
finish
