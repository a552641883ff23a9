# The installed Debian behind each controller: SeaBIOS, GRUB, the kernel, logins on the serial line and on the screen.
command -v python3 >/dev/null || {
    echo "1..0 # SKIP python3 is not installed"
    exit 0
}
exec python3 "${SRC:-..}/tests/root/boot_test.py"
