# Writes under load that end with a power-off or a kill -9: what was synced is there, and the file system and the image are good.
command -v python3 >/dev/null || {
    echo "1..0 # SKIP python3 is not installed"
    exit 0
}
exec python3 "${SRC:-..}/tests/root/power_test.py"
