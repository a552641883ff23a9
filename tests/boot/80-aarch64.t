# The cross build for aarch64 runs the unit tests and boots SeaBIOS under QEMU's user-mode emulation: nothing
# assumes that the host is x86.
. "$SRC/tests/boot/lib.sh"
command -v aarch64-linux-gnu-gcc >/dev/null && command -v qemu-aarch64-static >/dev/null ||
    skip_all "aarch64-linux-gnu-gcc or qemu-aarch64-static is not installed"
[ -f /usr/lib/aarch64-linux-gnu/pkgconfig/glib-2.0.pc ] || skip_all "libglib2.0-dev:arm64 is not installed"
[ -f /usr/lib/aarch64-linux-gnu/pkgconfig/jansson.pc ] || skip_all "libjansson-dev:arm64 is not installed"
[ -f /usr/lib/aarch64-linux-gnu/pkgconfig/zlib.pc ] || skip_all "zlib1g-dev:arm64 is not installed"
case $DRAGOMAN in *qemu-*) skip_all "this is a cross build already" ;; esac
build=$PWD/cross-aarch64
mkdir -p "$build"
(cd "$build" && "$SRC/configure" --host=aarch64-linux-gnu && make -j"$(nproc)" dragoman tests) >"$work/console" 2>&1
ok $? "the cross build"
(cd "$build" && make check-unit) >"$work/console" 2>&1
ok $? "its unit tests: $(tail -n 1 "$work/console")"
DRAGOMAN="qemu-aarch64-static $build/dragoman"
start_guest -m 64 -nodefaults -serial stdio
wait_for 120 'No bootable device'
ok $? "SeaBIOS to 'No bootable device'"
finish
