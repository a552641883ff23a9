# The human monitor: every command by QMP's human-monitor-command, bad lines, and the editor on a terminal.
: "${DRAGOMAN:=./dragoman}" "${SRC:=../}"
command -v python3 >/dev/null || {
    echo "1..0 # SKIP there is no python3"
    exit 0
}
exec timeout 300 python3 "$SRC/tests/control/hmp.py" "$DRAGOMAN"
