# What the translator tells: listings, single steps, statistics, lockstep with the interpreter, files for perf.
. "$SRC/tests/boot/lib.sh"
command -v nasm >/dev/null || skip_all "nasm is not installed"

# A boot sector that counts to 2000 in a function, and ends with status 3.
cat >"$work/boot.asm" <<'ASM'
        org 0x7c00
        bits 16
start:  xor ax, ax
        mov ss, ax
        mov sp, 0x7000
        mov cx, 2000
again:  call count
        dec cx
        jnz again
        mov [0x600], bx
        mov al, 1
        out 0xf4, al
        hlt
count:  inc bx
        push bx
        pop dx
        ret
        times 510-($-$$) db 0
        dw 0xaa55
ASM
nasm -f bin -o "$work/disk" "$work/boot.asm" || skip_all "nasm failed"
head -c 65536 /dev/zero >>"$work/disk"
run() { # accelerator, arguments
    with=$1
    shift
    rm -f "$work/log"
    timeout $((120 * ${SLOW:-1})) $DRAGOMAN -accel "$with" -m 16 -display none -serial null -monitor none \
        -device isa-debug-exit,iobase=0xf4 -drive "file=$work/disk,format=raw" -snapshot -D "$work/log" "$@" \
        </dev/null >"$work/console" 2>&1
}
has() {
    grep -qE "$1" "$work/log"
    ok $? "$2"
}
host=$(uname -m)

run "${accel%%,*}" -d in_asm,op,op_opt,out_asm -dfilter 0x7c00..0x7dff
ok $([ $? = 3 ]; echo $?) "the boot sector runs"
has '^0x00007c02:.*mov +ss, ax' "in_asm: the guest's code by Capstone"
has '^OP: pc 0x7c' "op"
has '^OP after optimization: pc 0x7c' "op_opt"
has '^OUT: [0-9]+ bytes' "out_asm"
if [ "$host" = x86_64 ] && [ "${accel%%,*}" = tcg ]; then
    has '^  0x[0-9a-f]+:  (mov|lea|add|jmp)' "out_asm: the host's code by Capstone"
fi
! grep -E '^IN:' "$work/log" | grep -qv 'linear 0x7[cd]'
ok $? "-dfilter keeps all else out"
for option in -singlestep -one-insn-per-tb; do
    run "${accel%%,*}" "$option" -d in_asm,exec -dfilter 0x7c00..0x7dff
    ok $([ $? = 3 ]; echo $?) "$option: the boot sector runs"
    n=$(grep -c '^Trace' "$work/log")
    [ "$n" -gt 14000 ]
    ok $? "$option: each instruction is a block of its own ($n executions)"
    ! grep '^Trace' "$work/log" | grep -qv 'insns 1$'
    ok $? "$option: and none has two"
done
run "${accel%%,*}" -d stats
for line in 'blocks: .* made' 'translation: .* us' 'dispatcher entries: .* jump cache' 'look-ups: .* missed' \
    'links:' 'TLB: .* slow accesses, .* fills, .* flushes' 'executed by:' 'zones recycled:'; do
    has "^$line" "stats: $line"
done

run "${accel%%,*},tb-size=4" -d stats
has '^code cache: .* of 4096 KiB' "tb-size=4 gives 4 MiB"
run "${accel%%,*}" -d stats
has '^code cache: .* of 262144 KiB' "256 MiB are the default"
for size in 0 x 512K 2G -1 ''; do
    run "${accel%%,*},tb-size=$size"
    [ $? = 1 ] && grep -q "tb-size=$size is not a size from 1M to 1G" "$work/console"
    ok $? "tb-size=$size is refused"
done

run interp,verify=on
[ $? = 1 ] && grep -q "verify=on compares a code generator with the interpreter" "$work/console"
ok $? "verify=on needs a code generator"
run interp -perfmap
[ $? = 1 ] && grep -q "perf's files name generated code" "$work/console"
ok $? "so does -perfmap"
[ "$host" = x86_64 ] || finish

run tcg,verify=on -d stats
ok $([ $? = 3 ]; echo $?) "verify=on: SeaBIOS and the boot sector run in lockstep"
has '^verified: +[0-9]{4,} blocks' "... and the blocks are counted"
run tcg,verify=on -smp 2
[ $? = 1 ] && grep -q "verify=on .* needs -smp 1" "$work/console"
ok $? "verify=on with two processors is refused"

# perf's files: their form, and that perf finds the names by them.
printf '0000000000007c00 T start\n0000000000007c0a t again\n0000000000007c20 t count\n' >"$work/map"
cd "$work" || exit
DRAGOMAN=${DRAGOMAN# } # make check-boot puts what runs a cross build before it
case $DRAGOMAN in /*) ;; *) DRAGOMAN=$OLDPWD/$DRAGOMAN ;; esac
$DRAGOMAN -m 16 -display none -serial null -monitor none -device isa-debug-exit,iobase=0xf4 -perfmap -jitdump \
    -drive "file=$work/disk,format=raw" -snapshot -symbols "$work/map" </dev/null >"$work/console" 2>&1 &
pid=$!
name=$pid
wait $pid
ok $([ $? = 3 ]; echo $?) "with -perfmap and -jitdump"
pid=
map=/tmp/perf-$name.map
grep -qE '^[0-9a-f]+ [0-9a-f]+ guest:(start|again|count)(\+0x[0-9a-f]+)?$' "$map"
ok $? "-perfmap: lines of start, size and a guest symbol"
! grep -qvE '^[0-9a-f]+ [0-9a-f]+ [^ ]+$' "$map"
ok $? "-perfmap: all lines have three words"
rm -f "$map"
[ "$(od -An -tx4 -N16 "jit-$name.dump" | tr -s ' ')" = " 4a695444 00000001 00000028 0000003e" ]
ok $? "-jitdump: magic, version, header's size, machine"
python3 - "jit-$name.dump" <<'P'
import struct, sys
d = open(sys.argv[1], 'rb').read()
at, names, last = 40, [], None
while at < len(d):
    kind, size, when = struct.unpack_from('<IIQ', d, at)
    assert size >= 16 and at + size <= len(d)
    if kind == 0:
        pid, tid, vma, addr, length, index = struct.unpack_from('<IIQQQQ', d, at + 16)
        name = d[at + 56:d.index(0, at + 56)].decode()
        assert 56 + len(name) + 1 + length == size and vma == addr and index == len(names)
        names.append(name)
    last, at = kind, at + size
assert last == 3 and any(n.startswith('guest:start') for n in names)
P
ok $? "-jitdump: records follow each other to the end"
if command -v perf >/dev/null && perf record -e cpu-clock -o probe true >/dev/null 2>&1; then
    timeout $((120 * ${SLOW:-1})) perf record -k mono -e cpu-clock -F 5000 -o data $DRAGOMAN -m 16 -display none -serial null \
        -monitor none -perfmap -device isa-debug-exit,iobase=0xf4 -drive "file=$work/disk,format=raw" -snapshot \
        </dev/null >/dev/null 2>&1
    perf report -i data --stdio --sort sym 2>/dev/null | grep -q 'guest:0x'
    ok $? "perf report names the guest's addresses"
    perf report -i data --stdio --sort pid 2>/dev/null | sed -n 's/.* \([0-9][0-9]*\):dragoman.*/\1/p' | while read -r p; do
        rm -f "/tmp/perf-$p.map"
    done
else
    echo "# perf does not run here"
fi
finish
