# Debian's installer on the VGA screen and on virtio-gpu, driven by keys over VNC.
. "$SRC/tests/ui/lib.sh"
[ -f "$installer/linux" ] || skip_all "package debian-installer-12-netboot-amd64 is not installed"
exec_python installer
