# The speed that is left with breakpoints and watchpoints that are not hit.
. "$SRC/tests/boot/lib.sh"
. "$SRC/tests/debug/lib.sh"
build_kernel cost.c
python "$SRC/tests/debug/cost.py" "$DRAGOMAN" "$work/kernel.elf" "$work" "$work/symbols"
