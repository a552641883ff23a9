# Debian's kernel: breakpoints by address from reset on, a variable watched, two processors as threads.
. "$SRC/tests/boot/lib.sh"
. "$SRC/tests/debug/lib.sh"
need_guest
# Debian's System.map is an empty one: the guest tells its symbols.
mkdir -p "$work/extra" "$work/guest"
cat >"$work/extra/test.sh" <<'S'
grep -E ' (jiffies|start_kernel|do_sys_openat2|linux_banner)$' /proc/kallsyms
echo "end of symbols"
S
cp -r "$guest/bzImage" "$guest/modules" "$work/guest/"
GUEST_EXTRA=$work/extra "$SRC/scripts/guest.sh" "$work/guest" >/dev/null
linux="-m 256 -no-reboot -kernel $guest/bzImage"
append="console=ttyS0 quiet nokaslr panic=-1"
# shellcheck disable=SC2086
start_guest $linux -initrd "$work/guest/initrd.img" -append "$append run=test.sh"
wait_for 200 'end of symbols'
ok $? "the kernel's symbols"
at() {
    tr -d '\r' <"$work/symbols" | awk -v name="$1" '$3 == name {print "0x" $1; exit}'
}
cp "$work/console" "$work/symbols"
# shellcheck disable=SC2086
start_debug -S $linux -smp 2 -initrd "$guest/initrd.img" -append "$append"
debug 300 <<C
show architecture
break *$(at start_kernel)
continue
x/s $(at linux_banner)
info registers cr0 efer
delete
watch *(long *)$(at jiffies)
continue
x/2i \$pc - 6
x/2i \$pc - 7
x/2i \$pc - 8
continue
delete
break *$(at do_sys_openat2)
continue
info threads
delete
set scheduler-locking on
thread 2
p \$pc
thread 1
set var \$before = \$pc
stepi
p \$pc != \$before
thread 2
echo other: \n
p \$pc
set var \$before = \$pc
thread 1
echo first: \n
p \$pc
thread 2
stepi
echo second moved: \n
p \$pc != \$before
thread 1
echo first again: \n
p \$pc
set scheduler-locking off
echo tables: \n
monitor info mem
monitor gva2gpa $(at linux_banner)
monitor info cpus
monitor info tlb
monitor x/2i \$pc
detach
C
says 'i386:x86-64' "with -kernel the layout is for it, still at the reset vector"
says 'Breakpoint 1, .*'"$(at start_kernel | cut -c3-)" "a breakpoint set before the kernel was loaded or paging was on"
says 'Linux version 6' "its memory is read through its page tables"
says 'efer .*LMA' "EFER"
[ "$(grep -c '^New value = ' "$work/gdb")" = 2 ]
ok $? "jiffies is watched"
grep -A1 "# $(at jiffies)" "$work/gdb" | grep -q '^=> '
ok $? "and it stops behind the instruction that writes"
says '^Thread [12] .*hit Breakpoint 3' "a breakpoint in a system call"
says '1 +Thread 1.1 "CPU#0"' "the first processor"
says '2 +Thread 1.2 "CPU#1"' "the second is a thread too"
first=$(sed -n '/Switching to thread 2/,$ s/^\$[0-9]* = .* \(0x[0-9a-f]*\)$/\1/p' "$work/gdb" | head -n 1)
last=$(sed -n '/^other:/,$ s/^\$[0-9]* = .* \(0x[0-9a-f]*\)$/\1/p' "$work/gdb" | head -n 1)
[ -n "$first" ] && [ "$first" = "$last" ]
ok $? "which stays where it is while the first is stepped"
# What follows KEY in GDB's output, a line that matches PATTERN.
after() {
    sed -n "/^$1/,\$ p" "$work/gdb" | grep -aE -m 1 -e "$2"
}
[ -n "$(after 'first:' '^\$')" ] && [ "$(after 'first:' '^\$' | cut -d= -f2)" = "$(after 'first again:' '^\$' | cut -d= -f2)" ] &&
    after 'second moved:' '^\$.* = 1$' >/dev/null
ok $? "the other way round: the second is stepped, the first stays"
after 'tables:' '^ffffffff8[0-9a-f]*-ffffffff[0-9a-f]* [0-9a-f]* -r-x$' >/dev/null
ok $? "monitor info mem"
after 'tables:' '^gpa: 0x[0-9a-f]+' >/dev/null
ok $? "monitor gva2gpa"
after 'tables:' '^  CPU #1: .* pc=0x' >/dev/null
ok $? "monitor info cpus"
after 'tables:' '^ffffffff8[0-9a-f]*: [0-9a-f]{16} [-X]' >/dev/null
ok $? "monitor info tlb"
after 'tables:' '^0x[0-9a-f]{16}:  [0-9a-f]+ +[a-z]' >/dev/null
ok $? "monitor x/i"
wait_for 200 'is up after'
ok $? "detached, the kernel boots to its shell"
sleep 1
send 'echo $((6 * 7))\n'
wait_for 30 '^42'
ok $? "and takes commands"
# Non-stop: GDB runs one processor while the other stands still. Commands come one by one, as from a person.
for line in 'set non-stop on' "target remote $socket" 'info threads' 'thread 1' 'continue&' 'thread 2' 'stepi' 'stepi' \
    'info threads' 'thread 1' 'interrupt' 'info threads' 'detach' 'quit'; do
    sleep 0.4
    echo "$line"
done | timeout -k 2 60 "$gdb" -nx -q -ex 'set width 0' -ex 'set confirm off' >"$work/gdb" 2>&1
says '^Thread 2 "CPU#1" stopped' "non-stop: the second processor's stop is told"
says '^  1 +Thread 1.1 "CPU#0".*\(running\)$' "one runs"
says '^[* ] 2 +Thread 1.2 "CPU#1" .* 0x[0-9a-f]+ in' "while the other is stepped"
says '^\* 1 +Thread 1.1 "CPU#0" .* 0x[0-9a-f]+ in' "until it is interrupted"
sleep 0.5
send 'echo $((6 * 9))\n'
wait_for 30 '^54'
ok $? "detached, both run"
finish
