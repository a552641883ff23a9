# Two processors at once take hardly longer than one: busy.c on this machine's processors, then in a guest. Both cores
# of the host should be free for it: run it with a priority above everything else (make check-smp-time does).
. "$SRC/tests/boot/lib.sh"
case $accel in *verify*) skip_all "verify=on has one processor" ;; esac
rounds=${SMP_ROUNDS:-9}
[ "$(nproc)" -ge 2 ] || skip_all "this host has one processor"
mkdir "$work/extra"
gcc -O2 -static -pthread -o "$work/extra/busy" "$SRC/tests/smp/busy.c" || skip_all "busy.c does not build here"
echo "# on the host: $("$work/extra/busy" "$rounds" 2000 | tail -n 1)"
guest_with "$work/extra"
start_guest -m 256 -smp 2 -no-reboot -kernel "$work/guest/bzImage" -initrd "$work/guest/initrd.img" \
    -append "console=ttyS0 quiet panic=-1"
wait_for 120 'is up after'
ok $? "Linux comes up"
sleep 1
send "/busy $rounds ${SMP_SIZE:-2000}; echo busy=\$?\n"
wait_for 600 'busy=0'
ok $? "one thread, then two, $rounds times"
grep -a 'busy:' "$work/console" | tr -d '\r' | sed 's/^/# /'
median=$(tr -d '\r' <"$work/console" | sed -n 's/^busy: median //p')
awk -v r="${median:-9}" 'BEGIN {exit !(r <= 1.15)}'
ok $? "two threads take ${median:-?} times as long as one (limit 1.15)"
send 'poweroff\n'
wait_end 60
ok $? "poweroff"
finish
