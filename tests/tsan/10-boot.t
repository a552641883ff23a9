# A build with ThreadSanitizer boots Linux on four processors and runs smp-stress there, under JIT and interpreter: no
# report. (make check-tsan)
. "$SRC/tests/boot/lib.sh"
seconds=${TSAN_SECONDS:-20}
mkdir "$work/extra"
gcc -O2 -static -pthread -o "$work/extra/smp-stress" "$SRC/tests/boot/smp-stress.c" || skip_all "smp-stress.c does not build here"
guest_with "$work/extra"
for accel in ${ACCELS:-tcg interp}; do
    export TSAN_OPTIONS="log_path=$work/tsan.$accel history_size=5 suppressions=$SRC/tests/tsan/suppressions"
    slow=$((10 * ${SLOW:-1}))
    start_guest -m 256 -smp 4 -no-reboot -kernel "$work/guest/bzImage" -initrd "$work/guest/initrd.img" \
        -append "console=ttyS0 quiet panic=-1"
    wait_for 120 'is up after'
    ok $? "$accel: Linux comes up"
    sleep 1
    send "/smp-stress $seconds 4; echo stress=\$?\n"
    wait_for $((seconds * 4 + 60)) 'stress=0'
    ok $? "$accel: smp-stress"
    send 'poweroff\n'
    wait_end 60
    status=$?
    reports=$(cat "$work/tsan.$accel".* 2>/dev/null | grep -c 'WARNING: ThreadSanitizer')
    [ "$reports" = 0 ]
    ok $? "$accel: $reports reports (status $status)"
    cat "$work/tsan.$accel".* 2>/dev/null | grep '^SUMMARY' | sort | uniq -c | sed 's/^/# /'
    [ -z "${TSAN_KEEP:-}" ] || cp "$work/tsan.$accel".* "$TSAN_KEEP/" 2>/dev/null
done
finish
