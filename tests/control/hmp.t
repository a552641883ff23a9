# The human monitor: every command by QMP's human-monitor-command, bad lines, and the editor on a terminal.
: "${DRAGOMAN:=./dragoman}" "${SRC:=../}"
case ${ACCEL:-} in *verify*)
    echo "1..0 # SKIP two processors are used here, verify=on has one"
    exit 0 ;;
esac
command -v python3 >/dev/null || {
    echo "1..0 # SKIP there is no python3"
    exit 0
}
exec timeout $((300 * ${SLOW:-1})) python3 "$SRC/tests/control/hmp.py" "$DRAGOMAN"
