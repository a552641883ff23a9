# A boot sector: break before it is loaded, step what is hard to step, watch, from 16-bit to 64-bit code.
. "$SRC/tests/boot/lib.sh"
. "$SRC/tests/debug/lib.sh"
need_nasm
(cd "$work" && nasm -f bin -o boot.img "$SRC/tests/debug/bootsector.asm" && truncate -s 1M boot.img) ||
    fail_all "bootsector.asm is assembled"
at() { # address of a label
    awk -v name="$1" '$3 == name {print "0x" $2}' "$work/bootsector.map"
}
start_debug -S -m 64 -nodefaults -hda "$work/boot.img"
debug 100 <<C
break *$(at start)
continue
echo first:\n
x/i \$pc
p/x \$cs
monitor info version
stepi
stepi
tbreak *$(at stack)
continue
stepi
echo after mov ss: \n
p/x \$ip
tbreak *$(at rep16)
continue
stepi
echo one byte: \n
p \$ecx
stepi
p \$ecx
x/i \$pc
set var \$cx = 2
tbreak *$(at after_rep)
continue
echo after rep: \n
p \$ecx
tbreak *$(at software)
continue
stepi
echo in handler: \n
x/i \$pc
stepi
stepi
echo back: \n
x/i \$pc
tbreak *$(at segmented)
continue
echo segment: \n
p/x \$cs
p/x \$ip
p/x \$cs_base
watch *(short *)0x8010
continue
echo written: \n
x/i \$pc
delete
rwatch *(short *)0x8010
continue
echo was read: \n
x/i \$pc
delete
tbreak *$(at allowed)
continue
stepi
echo interrupts masked: \n
p \$pc == $(at allowed) + 1
tbreak *$(at code32)
continue
p/x \$cr0
tbreak *$(at store32)
continue
awatch *(int *)0x8020
continue
echo stored: \n
p/x *(int *)0x8020
delete
tbreak *$(at code64)
continue
p/x \$efer
p \$efer
disconnect
C
says '^Breakpoint 1, 0x00007c00' "a breakpoint at 0x7c00 set before there was any code"
says '=> 0x7c00:.*cli' "16-bit disassembly"
for check in 'after mov ss: /^\$[0-9]+ = 0x7c09/mov ss is one step' 'one byte: /= 7$/rep is stepped an element at a time' \
    'after rep: /= 0$/the register set by the debugger counts' 'in handler: /inc +%dx/int is stepped into' \
    'back: /ljmp/iret is stepped out of' 'segment: /= 0x100$/a segment' 'written: /mov +0x8010,%ax/a watchpoint stops after the write' \
    'was read: /sti/and after the read' 'interrupts masked: /= 1$/sti is one step without interrupts' \
    'stored: /= 0x89abcdef/32-bit store'; do
    key=${check%%/*} rest=${check#*/}
    pattern=${rest%/*} text=${rest##*/}
    grep -aA3 -e "^$key" "$work/gdb" | grep -aqE -e "$pattern"
    r=$?
    ok $r "$text"
    [ $r = 0 ] || sed 's/^/# gdb: /' "$work/gdb"
done
says '^\$[0-9]+ = 0x6c2b' "with its offset"
says '^\$[0-9]+ = 0x1000$' "and base"
says '\[ LME LMA \]' "EFER by name in 64-bit mode"
# Connected anew, the layout is that of the mode: 64-bit.
debug 60 <<C
show architecture
x/i \$pc
tbreak *$(at loop64)
continue
p/x \$rax
p/x \$r15
p \$xmm5.v2_int64[0] == \$rax
p \$st0
watch *(long *)0x8030
continue
p *(long *)0x8030
continue
p *(long *)0x8030
delete
watch *(long *)0x8038
continue
echo locked: \n
p *(long *)0x8038
delete
set var \$rax = 77
set var \$xmm5.v2_int64[1] = 5
stepi
p \$rax
p \$xmm5.v2_int64[1]
set var \$pc = $(at code64)
stepi
p/x \$rax
monitor gdb physical on
x/xh 0x7dfe
monitor gdb physical off
set var \$cr0 = (long)0
C
says 'currently "?i386:x86-64' "connected again in 64-bit mode the architecture is x86-64"
says '= 0x123456789abcdef0$' "64-bit registers"
says '= 3\.14159265358979' "the x87 stack"
says '^\$[0-9]+ = 1$' "xmm"
says '^New value = 2$' "a watchpoint in 64-bit code, twice"
says '^locked: ' "and on a locked instruction"
says '^\$[0-9]+ = 77$' "rax is set"
says '^\$[0-9]+ = 5$' "half of xmm5 is set"
says 'Could not write register "cr0"' "what cannot be set is refused"
says '0x7dfe:.*0xaa55' "physical memory"
kill -0 "$pid"
ok $? "and the emulator is still there"
finish
