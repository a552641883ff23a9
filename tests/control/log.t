# Logs: categories, trace points, filters, symbols, and bad arguments.
. "$SRC/tests/boot/lib.sh"
command -v nasm >/dev/null || skip_all "nasm is not installed"

# A boot sector that calls int 0x40, divides by zero, makes a far jump, writes a port, and ends.
cat >"$work/boot.asm" <<'ASM'
        org 0x7c00
        bits 16
start:  xor ax, ax
        mov ds, ax
        mov word [0x40*4], handler
        mov word [0x40*4+2], ax
        mov word [0], divide
        mov word [2], ax
        int 0x40
try:    xor cx, cx
        div cx
after:  jmp 0:beyond
beyond: mov al, 0x5a
        out 0x80, al
        mov al, 0
        out 0xf4, al
        hlt
handler: iret
divide: mov bp, sp
        mov word [bp], after
        iret
        times 510-($-$$) db 0
        dw 0xaa55
ASM
nasm -f bin -o "$work/disk" "$work/boot.asm" || skip_all "nasm failed"
head -c 65536 /dev/zero >>"$work/disk"
run() {
    timeout $((60 * ${SLOW:-1})) $DRAGOMAN -accel "$accel" -m 16 -display none -serial null -monitor none \
        -device isa-debug-exit,iobase=0xf4 -drive "file=$work/disk,format=raw" -snapshot -D "$work/log" "$@" \
        </dev/null >/dev/null 2>"$work/err"
}
has() {
    grep -qE "$1" "$work/log"
    ok $? "$2"
}
cat >"$work/map" <<'MAP'
0000000000007c00 T start
0000000000007c18 t try
0000000000007c1c t after
MAP
run -d int,io,pcall -symbols "$work/map"
ok $([ $? = 1 ]; echo $?) "the boot sector ran"
has 'software interrupt 40 .* at 0000:0*7c18 cpl 0 cr2 .*<try>' "int: vector, CS:RIP, CPL, CR2, symbol"
has 'exception 00 #DE .* at 0000:0*7c1a .*<try\+0x2>' "int: an exception by name"
has 'cpu0: out 0080\.1 = 5a' "io"
ok "$(grep -c 'out 0080.*5a' "$work/log" | sed 's/^1$/0/')" "io: one line an access"
has 'far jump to 0000:7c21' "pcall"
run -d in_asm -dfilter 0x7c00..0x7dff
has 'linear 0x7c00' "in_asm with -dfilter: the boot sector"
n=$(grep linear "$work/log" | grep -cv 'linear 0x7[cd]')
ok $([ "$n" = 0 ]; echo $?) "and nothing else ($n)"
run -d exec,op,cpu,mmu,guest_errors,unimp,in_asm,out_asm,op_opt -dfilter 0x7c00+0x10,0x7d00-0x10
n=$(grep -c '^Trace' "$work/log")
ok $([ "$n" -ge 1 ] && [ "$n" -le 8 ]; echo $?) "exec with -dfilter START+SIZE ($n lines)"
run -d 'trace:ide_*'
has '^ide_command disk command' "trace:PATTERN"
run -d trace:pci_config_write,int
has '^pci_config_write .* offset' "trace with others"
ok "$(grep -c ide_command "$work/log")" "and no other trace point"
if command -v gcc >/dev/null && gcc -m32 -c -x c /dev/null -o /dev/null 2>/dev/null; then
    printf '.code32\n.globl entry\nentry: .long 0\n.globl after_entry\nafter_entry: .long 0\n' >"$work/e.s"
    gcc -m32 -c "$work/e.s" -o "$work/e.o" && ld -m elf_i386 -Ttext=0x7c00 -e entry -o "$work/e.elf" "$work/e.o"
    run -d int -symbols "$work/e.elf"
    has '<after_entry\+0x14>' "symbols of an ELF file"
    head -c 300 "$work/e.elf" >"$work/cut.elf"
fi
# A 64-bit kernel with exceptions, system calls and mistakes; the symbols are the ELF file's own.
nasm -f elf32 -o "$work/k.o" "$SRC/tests/debug/stepping.asm" && ld -m elf_i386 -Ttext=0x100000 -e _start -o "$work/k.elf" "$work/k.o"
kernel() {
    rm -f "$work/log"
    run -kernel "$work/k.elf" "$@"
}
kernel -d int,mmu,guest_errors,unimp,pcall
has 'cpu0: exception 0e #PF error 0004 at 002b:0*[0-9a-f]+ cpl 3 cr2 0*3fe01000 .*<u_int2>' "int: a page fault of the user, with all"
has 'exception 0d #GP error 0000 at 002b:.* cpl 3 .*<u_gp>' "and what it may not do"
has 'interrupt 20 .* at 0008:.*<l_sti2>' "an interrupt from outside"
has 'software interrupt 40 .* at 002b:.*<u_int2>' "a software interrupt: where it returns to"
has 'cpu0: page fault at 0*3fe00010 error 00 cr3 10[0-9a-f]000' "mmu"
has 'i8042: unknown command 0x12' "guest_errors"
has 'io: read of port 0x1234: nothing there' "unimp"
has 'far jump to 0008:[0-9a-f]*, next 0010:[0-9a-f]* cpl 0' "pcall: a far jump"
kernel -singlestep -d exec,cpu,in_asm,op,op_opt,out_asm,stats -dfilter "0x$(nm "$work/k.elf" | awk '$3 == "l_rep" {print $1}')+1"
has '^Trace 0: pc 0x10[0-9a-f]{4} ' "exec"
has 'rcx=0*1 |rcx=0*3 ' "cpu: registers"
has 'rip=0*10[0-9a-f]{4} rflags=0*[0-9a-f]+ cpl=0' "with flags and privilege level"
has 'cs=0008:0+ ss=0010:0+ ' "and segments"
has 'rep movsb' "in_asm"
has '^OP.*: pc 0x10' "op"
has '^OUT: ' "out_asm"
has 'blocks: ' "stats"
bad() { # word, arguments
    word=$1
    shift
    run "$@"
    if [ $? = 1 ] && [ "$(wc -l <"$work/err")" = 1 ] && grep -qF -- "$word" "$work/err"; then s=0; else s=1; fi
    ok $s "refused: $*: $(head -c 120 "$work/err")"
}
bad 'trace:id_*' -d 'trace:id_*'
bad "did you mean 'ide_command'" -d trace:ide_comand
bad "did you mean 'in_asm'" -d in_asn
bad 'none of' -dfilter 0x1000
bad 'not a number' -dfilter 0x1000..y
bad 'is empty' -dfilter 0x1000..0xfff
bad 'missing' -symbols "$work/missing"
bad 'line 1' -symbols "$work/disk"
: >"$work/empty"
bad 'empty' -symbols "$work/empty"
[ ! -f "$work/cut.elf" ] || bad 'no symbols' -symbols "$work/cut.elf"
$DRAGOMAN -d trace:help | grep -q '^ide_command'
ok $? "-d trace:help"
finish
