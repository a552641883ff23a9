# The installed Debian behind each network card: apt-get from a mirror, 200 MB by wget, iperf3, ssh, all through user networking.
for program in python3 iperf3 ssh ssh-keygen; do
    command -v $program >/dev/null || {
        echo "1..0 # SKIP $program is not installed"
        exit 0
    }
done
exec python3 "${SRC:-..}/tests/root/network_test.py"
