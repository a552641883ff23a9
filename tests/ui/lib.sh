# Shared by the tests of user interfaces; DRAGOMAN is the program, SRC the source folder.
: "${DRAGOMAN:=./dragoman}" "${SRC:=../}"
installer=/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64
export DRAGOMAN SRC installer
skip_all() {
    echo "1..0 # SKIP $1"
    exit 0
}
need() {
    for c; do
        command -v "$c" >/dev/null || skip_all "$c is not installed"
    done
}
exec_python() {
    exec python3 "$SRC/tests/ui/$1_test.py"
}
