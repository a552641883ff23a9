# A 32-bit ELF kernel with debug information on the 64-bit machine.
. "$SRC/tests/boot/lib.sh"
. "$SRC/tests/debug/lib.sh"
build_kernel
ARCH=i386 start_debug -S -m 64 -nodefaults -kernel "$work/kernel.elf"
debug 120 <<C
file $work/kernel.elf
break kernel_main
continue
break descend if depth == 0
continue
backtrace
finish
delete
watch total
continue
continue
delete
break work if n == 2000
continue
info breakpoints
p counter
next
next
step
where 2
delete
set var flag = 8
watch to[5]
continue
p to
p \$ecx
x/i \$pc
delete
tbreak work
continue
p to
find /b &from, +64, 's', 't', 'r', 'i', 'n', 'g'
compare-sections .text
info threads
kill
C
says '^Breakpoint 1, kernel_main' "break at a function"
says '^#4 .*work \(n=' "backtrace through a recursion"
says 'Value returned is .* = 1' "finish"
says '^New value = 4$' "a variable watched"
says '^New value = 11$' "again"
says 'stop only if n == 2000 \(target evals\)' "conditions are the stub's"
says 'work \(n=n@entry=2000\)' "and hold"
says '^descend \(depth=depth@entry=3\)' "step into a function"
says "^New value = 100 'd'" "watch a byte that a string instruction writes"
says '= "copied", ' "which stops after it"
says '^\$[0-9]+ = 25$' "with its count right"
says 'rep movsb' "in the middle of the instruction"
says '= "copied by a string instruction"' "and goes on"
says '1 pattern found' "find"
says 'Section .text.*matched' "compare-sections"
wait_end 10
ok $? "kill ends the emulator"
# Interrupts from the debugger's terminal.
ARCH=i386 start_debug -m 64 -nodefaults -kernel "$work/kernel.elf"
sleep 1
cat >"$work/int.cmd" <<C
set pagination off
file $work/kernel.elf
target remote $socket
p counter
continue
echo interrupted\n
p counter
detach
C
timeout -k 2 30 "$gdb" -nx -batch -x "$work/int.cmd" >"$work/gdb" 2>&1 </dev/null &
g=$!
n=50
while [ "$n" -gt 0 ] && ! grep -q '^\$1 =' "$work/gdb"; do
    sleep 0.2
    n=$((n - 1))
done
sleep 1
kill -INT "$(pgrep -P $g -n gdb)"
wait $g
says 'SIGINT' "Ctrl-C"
says '^interrupted' "gives the prompt back"
a=$(sed -n 's/^\$2 = //p' "$work/gdb")
sleep 0.5
debug 30 <<C
file $work/kernel.elf
p counter
kill
C
b=$(sed -n 's/^\$1 = //p' "$work/gdb")
[ "${b:-0}" -gt "${a:-0}" ]
ok $? "detached, it ran on (${a:-?} to ${b:-?})"
finish
