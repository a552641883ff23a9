# The VGA's screen: screen dumps, VNC, keys.
: "${DRAGOMAN:=./dragoman}" "${SRC:=../}"
command -v nasm >/dev/null && command -v python3 >/dev/null && command -v openssl >/dev/null || {
    echo "1..0 # SKIP nasm, python3 or openssl is not installed"
    exit 0
}
export DRAGOMAN SRC
exec python3 "$SRC/tests/ui/screen.py"
