# LLDB: attaches, reads registers, breaks, steps, watches.
. "$SRC/tests/boot/lib.sh"
. "$SRC/tests/debug/lib.sh"
command -v lldb >/dev/null || skip_all "lldb is not installed"
build_kernel
port=23458
start_guest -S -m 64 -nodefaults -kernel "$work/kernel.elf" -gdb "tcp::$port,arch=i386"
sleep 1
cat >"$work/lldb.cmd" <<C
target create $work/kernel.elf
gdb-remote 127.0.0.1:$port
register read eip cr0
breakpoint set -n work
continue
bt
stepi
thread step-over
watchpoint set variable total
breakpoint delete -f
continue
register write eax 5
register read eax
process kill
C
timeout -k 2 90 lldb --no-lldbinit -b -s "$work/lldb.cmd" >"$work/gdb" 2>&1 </dev/null
says 'eip = 0xfffffff0' "registers at the reset vector"
says 'cr0 = 0x60000010' "control registers"
says 'stop reason = breakpoint 1.1' "a breakpoint"
says 'frame #1: 0x[0-9a-f]+ kernel.elf`kernel_main' "backtrace"
says 'stop reason = instruction step' "step"
says 'stop reason = step over' "step over"
says 'stop reason = watchpoint 1' "a watchpoint"
says '^new value: 4' "with the new value"
says 'eax = 0x00000005' "a register written"
wait_end 20
ok $? "kill ends the emulator"
finish
