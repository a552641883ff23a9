# Shared by the tests with GDB: a guest that a debugger can reach, and sessions with it.
# Sourced after tests/boot/lib.sh.
SRC=$(cd "$SRC" && pwd)
gdb=${GDB:-gdb}
command -v "$gdb" >/dev/null || skip_all "gdb is not installed"
socket=

# start_debug ARGUMENTS: like start_guest, with the stub on the Unix socket $socket.
start_debug() {
    socket=$work/gdb.sock
    rm -f "$socket"
    arch=${ARCH:+,arch=$ARCH}
    start_guest -gdb "unix:$socket$arch" "$@"
    n=50
    while [ "$n" -gt 0 ] && [ ! -S "$socket" ]; do
        sleep 0.1
        n=$((n - 1))
    done
}
# debug SECONDS: runs GDB with the commands on standard input, connected; output in $work/gdb.
debug() {
    {
        printf 'set pagination off\nset confirm off\nset width 0\nset style enabled off\n'
        printf 'target remote %s\n' "$socket"
        cat
    } >"$work/gdb.cmd"
    timeout -k 2 "$1" "$gdb" -nx -batch -x "$work/gdb.cmd" >"$work/gdb" 2>&1 </dev/null
}
# says PATTERN TEXT: GDB's last output has the (extended) regular expression.
says() {
    if grep -aqE -e "$1" "$work/gdb"; then
        ok 0 "$2"
    else
        sed 's/^/# gdb: /' "$work/gdb" | tail -n 25
        ok 1 "$2"
    fi
}
need_nasm() {
    command -v nasm >/dev/null || skip_all "nasm is not installed"
}
fail_all() {
    ok 1 "$1"
    finish
}
# assemble FILE: a 32-bit ELF kernel of an assembler source, in $work/kernel.elf, its labels in $work/symbols.
assemble() {
    nasm -f elf32 -o "$work/kernel.o" "$SRC/tests/debug/$1" &&
        ld -m elf_i386 -Ttext=0x100000 -e _start -o "$work/kernel.elf" "$work/kernel.o" || fail_all "$1 is assembled"
    nm "$work/kernel.elf" >"$work/symbols"
}
# python SCRIPT ARGUMENTS, without leaving compiled files beside the script.
python() {
    command -v python3 >/dev/null || skip_all "python3 is not installed"
    PYTHONDONTWRITEBYTECODE=1 python3 "$@"
}
# build_kernel [FILE]: the small kernel of kernel.c or FILE, in $work/kernel.elf, its symbols in $work/symbols.
build_kernel() {
    gcc -m32 -march=i686 -mno-sse -ffreestanding -fno-pic -no-pie -O1 -g -fno-stack-protector -fcf-protection=none \
        -nostdlib -Wl,-Ttext=0x100000 -Wl,--build-id=none -o "$work/kernel.elf" "$SRC/tests/debug/${1:-kernel.c}" \
        2>"$work/gcc" || skip_all "the compiler makes no 32-bit code"
    nm "$work/kernel.elf" >"$work/symbols"
}
