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
x/i \$pc
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
set scheduler-locking off
detach
C
says 'i386:x86-64' "with -kernel the layout is for it, still at the reset vector"
says 'Breakpoint 1, .*'"$(at start_kernel | cut -c3-)" "a breakpoint set before the kernel was loaded or paging was on"
says 'Linux version 6' "its memory is read through its page tables"
says 'efer .*LMA' "EFER"
[ "$(grep -c '^New value = ' "$work/gdb")" = 2 ]
ok $? "jiffies is watched"
says '^Thread [12] .*hit Breakpoint 3' "a breakpoint in a system call"
says '1 +Thread 1.1 "CPU#0"' "the first processor"
says '2 +Thread 1.2 "CPU#1"' "the second is a thread too"
first=$(sed -n '/Switching to thread 2/,$ s/^\$[0-9]* = .* \(0x[0-9a-f]*\)$/\1/p' "$work/gdb" | head -n 1)
last=$(sed -n '/^other:/,$ s/^\$[0-9]* = .* \(0x[0-9a-f]*\)$/\1/p' "$work/gdb" | head -n 1)
[ -n "$first" ] && [ "$first" = "$last" ]
ok $? "which stays where it is while the first is stepped"
wait_for 200 'is up after'
ok $? "detached, the kernel boots to its shell"
sleep 1
send 'echo $((6 * 7))\n'
wait_for 30 '^42'
ok $? "and takes commands"
finish
