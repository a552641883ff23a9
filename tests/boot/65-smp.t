# Several processors: all come up, topology as asked for, and a stress of what they do to each other
# (smp-stress.c). The environment makes it longer: SMP_SECONDS=600 SMP_CPUS=8. SMP_WALL=600 ends it after so many
# seconds of the host, when the guest gets so little of it that its clock is slow.
. "$SRC/tests/boot/lib.sh"
case $accel in *verify*) skip_all "verify=on compares one processor" ;; esac
cpus=${SMP_CPUS:-4}
seconds=${SMP_SECONDS:-15}
command -v gcc >/dev/null || skip_all "no compiler for the guest's program"
mkdir "$work/extra"
gcc -O2 -static -pthread -o "$work/extra/smp-stress" "$SRC/tests/boot/smp-stress.c" || skip_all "smp-stress.c does not build here"
guest_with "$work/extra"
start_guest -m 512 -smp "$cpus,sockets=1,cores=$((cpus / 2)),threads=2" -no-reboot -kernel "$work/guest/bzImage" \
    -initrd "$work/guest/initrd.img" -append "console=ttyS0 quiet panic=-1"
wait_for 120 'is up after'
ok $? "Linux comes up"
sleep 1
send 'echo cpus=$(grep -c ^processor /proc/cpuinfo)\n'
wait_for 20 "cpus=$cpus"
ok $? "with $cpus processors"
send 'echo siblings=$(grep -m1 ^siblings /proc/cpuinfo | cut -d: -f2) cores=$(grep -m1 "^cpu cores" /proc/cpuinfo | cut -d: -f2)\n'
wait_for 20 "siblings= *$cpus cores= *$((cpus / 2))"
ok $? "in one socket, two threads a core"
send "/smp-stress $seconds $cpus; echo stress=\$?\n"
[ -z "${SMP_WALL:-}" ] || wait_for "$SMP_WALL" 'stress=[0-9]' || send '\003'
wait_for $((seconds * 4 + 60)) 'stress=0'
ok $? "atomics, locks, memory order, unmapping, code and signals across processors"
grep -a 'smp-stress:' "$work/console" | tr -d '\r' | sed 's/^/# /'
send 'echo complaints=$(dmesg | grep -cE "BUG:|soft lockup|rcu.*stall|Call Trace")\n'
wait_for 20 'complaints=0'
ok $? "the kernel has nothing to complain about"
send 'poweroff\n'
wait_end 60
ok $? "poweroff ends with status 0"
finish
