# The speed that is left with breakpoints and watchpoints that are not hit.
. "$SRC/tests/boot/lib.sh"
. "$SRC/tests/debug/lib.sh"
build_kernel cost.c
command -v python3 >/dev/null || skip_all "python3 is not installed"
PYTHONDONTWRITEBYTECODE=1 python3 "$SRC/tests/debug/cost.py" "$DRAGOMAN" "$work/kernel.elf" "$work" "$work/symbols"
