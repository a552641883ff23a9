# The sessions of docs/debugging.md are replayed word by word. That with Debian's kernel has addresses which
# each version of it changes: 40-linux.t replays it.
. "$SRC/tests/boot/lib.sh"
. "$SRC/tests/debug/lib.sh"
need_nasm
sources=$SRC/tests/debug
(
    cd "$work" || exit 1
    build_kernel driver.c
    mv kernel.elf driver.elf
    build_kernel
    nasm -f bin -o boot.img "$sources/bootsector.asm" && truncate -s 64K boot.img &&
        nasm -f elf32 -g -o triple.o "$sources/triple.asm" && ld -m elf_i386 -Ttext=0x7c00 -e _start -o triple.elf triple.o &&
        objcopy -O binary triple.elf triple.img && cp boot.img disk.img
) || fail_all "the guests are built"
# Without Debian's kernel.
awk '/^## /{skip = /Debian/} !skip' "$SRC/docs/debugging.md" >"$work/page.md"
python "$sources/docs.py" "$DRAGOMAN" "$work/page.md" "$gdb" "$work"
