# Shared by the boot tests: TAP output, guests, and a console that can be waited for.
# DRAGOMAN is the command, SRC the source folder; the current folder is the build's.
: "${DRAGOMAN:=./dragoman}" "${SRC:=../}"
# ACCEL=interp and ACCEL=tcg,verify=on run the same tests with other executors, and give them more time.
accel=${ACCEL:-tcg} slow=1
case $accel in *verify*) slow=8 ;; interp) slow=3 ;; esac
slow=$((slow * ${SLOW:-1})) # SLOW=4 gives four times the time, on a host with much else to do
guest=$PWD/guest
work=$(mktemp -d "${TMPDIR:-/tmp}/dragoman-boot.XXXXXX")
trap 'stop_guest; rm -rf "$work"' EXIT
tests=0 failed=0 pid=

# What /proc/cpuinfo has with -cpu max, the default.
promised_flags="fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 ss syscall nx
    pdpe1gb rdtscp lm constant_tsc pni pclmulqdq ssse3 fma cx16 pcid sse4_1 sse4_2 x2apic movbe popcnt tsc_deadline_timer
    aes xsave avx f16c rdrand lahf_lm abm 3dnowprefetch fsgsbase tsc_adjust bmi1 avx2 smep bmi2 erms invpcid rdseed adx
    smap clflushopt clwb sha_ni xsaveopt xsavec xgetbv1 xsaves umip pku ospke gfni vaes vpclmulqdq rdpid fsrm la57 monitor"
ok() { # status text
    tests=$((tests + 1))
    if [ "$1" = 0 ]; then
        echo "ok $tests - $2"
    else
        failed=$((failed + 1))
        echo "not ok $tests - $2"
        [ ! -f "$work/console" ] || tail -n 15 "$work/console" | tr -d '\r' | sed 's/^/# /' | cut -c1-160
    fi
}
finish() {
    echo "1..$tests"
    [ "$failed" = 0 ]
    exit
}
skip_all() {
    echo "1..0 # SKIP $1"
    exit 0
}

# start_guest ARGUMENTS: the serial console goes to $work/console, what send writes comes in.
start_guest() {
    stop_guest
    rm -f "$work/in" "$work/console"
    mkfifo "$work/in"
    # shellcheck disable=SC2086
    $DRAGOMAN -accel "$accel" -nographic "$@" <"$work/in" >"$work/console" 2>&1 &
    pid=$!
    exec 9>"$work/in"
}
stop_guest() {
    [ -n "$pid" ] || return 0
    exec 9>&-
    kill "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
    pid=
}
send() {
    printf '%b' "$1" >&9
}
# wait_for SECONDS PATTERN: until the console has shown the (extended) regular expression.
wait_for() {
    n=$(($1 * 5 * slow))
    while [ "$n" -gt 0 ]; do
        grep -aqE "$2" "$work/console" 2>/dev/null && return 0
        kill -0 "$pid" 2>/dev/null || {
            grep -aqE "$2" "$work/console"
            return
        }
        sleep 0.2
        n=$((n - 1))
    done
    return 1
}
# wait_end SECONDS: the emulator's exit status; 124 when it does not end.
wait_end() {
    n=$(($1 * 5 * slow))
    while [ "$n" -gt 0 ] && kill -0 "$pid" 2>/dev/null; do
        sleep 0.2
        n=$((n - 1))
    done
    [ "$n" -gt 0 ] || return 124
    wait "$pid"
    status=$?
    pid=
    exec 9>&-
    return $status
}
need_guest() {
    "$SRC/scripts/guest.sh" "$guest" >/dev/null || skip_all "the guest could not be made"
}
# guest_with FOLDER: a guest of this test's own in $work/guest, with the folder's files in its RAM disk.
guest_with() {
    need_guest
    mkdir -p "$work/guest"
    cp -r "$guest/bzImage" "$guest/modules" "$work/guest/"
    GUEST_EXTRA=$1 "$SRC/scripts/guest.sh" "$work/guest" >/dev/null || skip_all "the guest could not be made"
}
