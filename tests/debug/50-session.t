# The stub's packets one by one, sessions that end in every way, and nonsense.
. "$SRC/tests/boot/lib.sh"
. "$SRC/tests/debug/lib.sh"
build_kernel
python "$SRC/tests/debug/session.py" "$DRAGOMAN" "$work/kernel.elf" "$work" "$work/symbols"
