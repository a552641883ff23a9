# noVNC in headless Chromium shows the guest and types into it.
. "$SRC/tests/ui/lib.sh"
need chromium nasm
[ -f /usr/share/novnc/core/rfb.js ] || skip_all "noVNC is not installed"
exec_python novnc
