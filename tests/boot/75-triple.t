# A guest's triple fault resets the machine, or ends it with -no-reboot, and says why.
. "$SRC/tests/boot/lib.sh"
# A boot sector: cli; lidt [zero]; int3. 0x7c40 holds zeros.
{
    printf '\372\017\001\036\100\174\314'
    head -c 503 /dev/zero
    printf '\125\252'
    head -c 65024 /dev/zero
} >"$work/boot.img"
start_guest -m 64 -hda "$work/boot.img" -no-reboot -d cpu_reset
wait_end 60
ok $? "-no-reboot ends with status 0"
grep -aq 'triple fault' "$work/console"
ok $? "the log says why: $(grep -a 'triple fault' "$work/console" | head -n1 | tr -d '\r' | cut -c1-100)"
start_guest -m 64 -hda "$work/boot.img"
n=0
while [ "$(grep -ac 'SeaBIOS (version' "$work/console")" -lt 3 ] && [ $n -lt 100 ]; do
    sleep 0.2
    n=$((n + 1))
done
[ $n -lt 100 ]
ok $? "else the machine starts anew"
finish
