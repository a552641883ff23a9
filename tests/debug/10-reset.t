# GDB at the reset vector, and 10,000 steps through SeaBIOS against the execution log.
. "$SRC/tests/boot/lib.sh"
. "$SRC/tests/debug/lib.sh"
start_debug -S -m 64 -nodefaults
debug 30 <<'C'
p $pc
x/i $pc
p/x $cs
p/x $cs_base
p/x $ip
stepi
x/i $pc
show architecture
info mem
info registers idt_limit
p $eflags
monitor info status
kill
C
says '\$1 = .* 0xfffffff0$' "\$pc at the reset vector"
says '=> 0xfffffff0:.*ljmp +\$0xf000,\$0xe05b' "16-bit code there"
says '^\$2 = 0xf000$' "cs"
says '^\$3 = 0xffff0000$' "its base"
says '^\$4 = 0xfff0$' "the offset"
says '=> 0xfe05b:.*cmpl' "the first step"
says 'currently "?i8086' "the architecture is i8086 by itself"
says 'ro nocache' "ROM is told"
says 'idt_limit +0xffff' "system registers"
says '\[ .*IOPL=0 \]' "flags by name"
says 'VM status: paused' "the monitor"
wait_end 10
ok $? "kill ends the emulator"

ARCH=x86-64 start_debug -S -m 64 -nodefaults
debug 30 <<'C'
p $rip
p/x $r15
kill
C
says '^\$1 = .* 0xfffffff0$' "arch=x86-64 at the reset vector"
says '^\$2 = 0x0$' "has r15"
wait_end 10

export STEPS=10000 STEPS_FILE="$work/steps"
start_debug -S -m 64 -nodefaults
debug 300 <<C
source $SRC/tests/debug/steps.py
kill
C
[ "$(wc -l <"$work/steps")" = 10000 ]
ok $? "10000 steps"
wait_end 10
start_guest -m 64 -nodefaults -singlestep -d exec,cpu -D "$work/log"
n=100
while [ "$n" -gt 0 ] && [ "$(grep -c ^Trace "$work/log" 2>/dev/null)0" -lt 120000 ]; do
    sleep 0.2
    n=$((n - 1))
done
stop_guest
awk -f "$SRC/tests/debug/log2steps.awk" "$work/log" | head -n 10000 >"$work/logsteps"
cmp "$work/steps" "$work/logsteps" >"$work/cmp" 2>&1
ok $? "have the registers, flags and selectors of the execution log"
sed 's/^/# /' "$work/cmp"
finish
