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
# one_plan RUNS...: makes one TAP plan of the output of so many tests; one that ends without its plan has failed.
one_plan() {
    awk -v runs=$# '/^ok /{sub(/^ok [0-9]+/, "ok " ++n); print; fflush(); next}
        /^not ok /{sub(/^not ok [0-9]+/, "not ok " ++n); failed = 1; print; fflush(); next}
        /^1\.\./{ended++; next}
        {sub(/^# /, ""); print "# " $0; fflush()}
        END {
            if (ended != runs) {print "not ok " ++n " - all runs came to their end"; failed = 1}
            print "1.." n
            exit failed
        }'
}
