# Single steps through repeated instructions, interrupt shadows, exceptions, system calls and back, by label.
. "$SRC/tests/boot/lib.sh"
. "$SRC/tests/debug/lib.sh"
need_nasm
assemble stepping.asm
python "$SRC/tests/debug/stepping.py" "$DRAGOMAN" "$work/kernel.elf" "$work" "$work/symbols"
