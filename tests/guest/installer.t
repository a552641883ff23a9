# Debian's installer to its partitioning step, on the VGA's text mode and on virtio-gpu; `make check-installer`, some minutes.
# It loads its components through user networking from installer_mirror.py, which takes them from Debian's mirror.
. "$SRC/tests/ui/lib.sh"
[ -f "$installer/linux" ] || skip_all "package debian-installer-12-netboot-amd64 is not installed"
dir=${INSTALLER_DIR:-$PWD/installer} port=$((20000 + $$ % 20000))
mkdir -p "$dir"
python3 "$SRC/tests/guest/installer_mirror.py" "$dir/mirror" $port "$installer/linux" >"$dir/log" 2>&1 &
mirror=$!
trap 'kill $mirror' EXIT
n=0
until grep -q ready "$dir/log"; do
    n=$((n + 1))
    kill -0 $mirror 2>/dev/null && [ $n -lt 300 ] || {
        echo "not ok 1 - a mirror of udebs: $(tail -n 1 "$dir/log")"
        echo "1..1"
        exit 1
    }
    sleep 1
done
runs=${INSTALLER_RUNS:-std:nomodeset virtio:}
run_all() {
    for run in $runs; do
        # shellcheck disable=SC2086
        python3 "$SRC/tests/guest/installer_test.py" $port "${run%%:*}" ${run#*:} 2>&1
    done
}
# shellcheck disable=SC2086
run_all | one_plan $runs
