# The SDL2 window under Xvfb has the guest's pixels, and takes keys.
. "$SRC/tests/ui/lib.sh"
need Xvfb openbox xdotool import nasm
"$DRAGOMAN" -display help | grep -q sdl || skip_all "built without SDL2"
exec_python sdl
