# TigerVNC's viewer under Xvfb shows the guest and types into it.
. "$SRC/tests/ui/lib.sh"
need Xvfb xtigervncviewer xdotool import nasm
exec_python tigervnc
