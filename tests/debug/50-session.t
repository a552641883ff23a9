# The stub's packets one by one, sessions that end in every way, and nonsense.
. "$SRC/tests/boot/lib.sh"
. "$SRC/tests/debug/lib.sh"
build_kernel
command -v python3 >/dev/null || skip_all "python3 is not installed"
PYTHONDONTWRITEBYTECODE=1 python3 "$SRC/tests/debug/session.py" "$DRAGOMAN" "$work/kernel.elf" "$work" "$work/symbols"
