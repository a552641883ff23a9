# A desktop in a Debian guest on the standard VGA and on virtio-gpu; `make check-desktop`, some minutes. Needs root and Debian's
# mirror (desktop.sh); DESKTOP_DIR keeps what is made.
. "$SRC/tests/ui/lib.sh"
dir=${DESKTOP_DIR:-$PWD/desktop}
if ! sh "$SRC/tests/guest/desktop.sh" "$dir"; then
    echo "not ok 1 - the guest is made"
    echo "1..1"
    exit 1
fi
runs=${DESKTOP_RUNS:-std:x virtio:x virtio:weston}
run_all() {
    for run in $runs; do
        python3 "$SRC/tests/guest/desktop_test.py" "$dir" "${run%%:*}" "${run#*:}" 2>&1
    done
}
# shellcheck disable=SC2086
run_all | one_plan $runs
