# LLDB: attaches, reads registers, breaks, steps, watches.
. "$SRC/tests/boot/lib.sh"
. "$SRC/tests/debug/lib.sh"
command -v lldb >/dev/null || skip_all "lldb is not installed"
build_kernel
port=$((20000 + $$ % 10000))
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
# 64-bit code with paging.
need_nasm
assemble stepping.asm
at() {
    awk -v name="$1" '$3 == name {print "0x" $1}' "$work/symbols"
}
start_guest -S -m 32 -nodefaults -kernel "$work/kernel.elf" -gdb "tcp::$port"
sleep 1
cat >"$work/lldb.cmd" <<C
gdb-remote 127.0.0.1:$port
breakpoint set -a $(at s_pf)
continue
register read rip cr2 ymm0
disassemble -s \$rip -c 2
memory region \$rip
memory region 0x3fe00000
thread step-inst
memory read -s 8 -c 1 -f x \$rsp
breakpoint delete -f
breakpoint set -a $(at user)
continue
thread step-inst
thread step-inst
process plugin packet monitor info status
process detach
C
timeout -k 2 90 lldb --no-lldbinit -b -s "$work/lldb.cmd" >"$work/gdb" 2>&1 </dev/null
says "rip = 0x0*$(at s_pf | cut -c5-)" "64-bit: a breakpoint, rip"
says 'cr2 = 0x0+$' "and cr2"
says 'ymm0 = \{0x00' "and ymm0"
says '^->.*movq +0x3fe00010, %rax' "disassembly with an expression"
says '^\[0x0+-0x0*3fe00000\) rwx' "the region of the code"
says '^\[0x0*3fe00000-0x[0-9a-f]+\) ---' "and that of an absent page"
says "^    frame #0: 0x0*$(at on_pf | cut -c5-)" "a step into the page fault"
says '^0x[0-9a-f]+: 0x0000000000000000' "its error code on the stack"
says "^    frame #0: 0x0*$(at on_syscall | cut -c5-)" "and into a system call"
says 'VM status: paused' "the monitor"
kill -0 "$pid"
ok $? "detached, the guest goes on"
finish
