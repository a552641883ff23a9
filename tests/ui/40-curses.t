# The text screen in a terminal.
. "$SRC/tests/ui/lib.sh"
need nasm
"$DRAGOMAN" -display help | grep -q curses || skip_all "built without ncursesw"
exec_python curses
