# More processors than the host has, all of them busy: the guest boots, and its shell answers.
. "$SRC/tests/boot/lib.sh"
case $accel in *verify*) skip_all "verify=on has one processor" ;; esac
cpus=${SMP_CPUS:-8}
need_guest
from=$(date +%s%N)
start_guest -m 512 -smp "$cpus" -no-reboot -kernel "$guest/bzImage" -initrd "$guest/initrd.img" -append "console=ttyS0 quiet panic=-1"
wait_for 120 'is up after'
ok $? "Linux with $cpus processors on $(nproc) comes up in $((($(date +%s%N) - from) / 1000000)) ms"
sleep 2
send 'echo cpus=$(grep -c ^processor /proc/cpuinfo)\n'
wait_for 20 "cpus=$cpus"
ok $? "all of them"
quiet=$(python3 "$SRC/tests/smp/latency.py" "$work/in" "$work/console" 20)
ok $? "idle, an echo takes ${quiet% *} ms (worst ${quiet#* })"
send "i=0; while [ \$i -lt $cpus ]; do i=\$((i + 1)); while :; do :; done & done\n"
sleep 5
send 'jobs -p >/tmp/jobs; echo jobs=$(wc -l </tmp/jobs)\n'
wait_for 60 "jobs=$cpus"
ok $? "$cpus loops run"
busy=$(python3 "$SRC/tests/smp/latency.py" "$work/in" "$work/console" 40)
[ $? = 0 ] && [ "${busy% *}" -lt 500 ] && [ "${busy#* }" -lt 3000 ]
ok $? "with $cpus busy loops, an echo takes ${busy% *} ms (limit 500), worst ${busy#* } (limit 3000)"
send 'kill $(cat /tmp/jobs); echo complaints=$(dmesg | grep -cE "BUG:|soft lockup|rcu.*stall|Call Trace|clocksource.*unstable")\n'
wait_for 60 'complaints=0'
ok $? "the kernel has nothing to complain about"
send 'poweroff\n'
wait_end 60
ok $? "poweroff"
finish
