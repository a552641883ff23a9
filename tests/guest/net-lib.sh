# For net-long.sh and throughput.sh: a guest with iperf3, fio and dropbear, and servers on the host's loopback.
# Sourced with SRC set.
. "$SRC/tests/boot/lib.sh"
for program in iperf3 fio dropbear busybox zcat cpio; do
    command -v $program >/dev/null || skip_all "$program is not installed"
done
extra=$work/extra port=$((20000 + $$ % 20000)) servers=
mkdir -p "$extra/bin" "$extra/usr/bin" "$extra/lib/x86_64-linux-gnu" "$extra/lib64" "$extra/etc/dropbear" "$extra/root/.ssh" "$work/www"
trap '[ -z "$servers" ] || kill $servers 2>/dev/null; stop_guest; rm -rf "$work"' EXIT

for program in iperf3 fio dropbear; do
    path=$(command -v $program)
    cp "$path" "$extra/usr/bin/"
    for lib in $(ldd "$path" | sed -n 's/.*=> \(\/[^ ]*\).*/\1/p'); do
        cp -L "$lib" "$extra/lib/x86_64-linux-gnu/"
    done
done
cp -L /lib64/ld-linux-x86-64.so.2 "$extra/lib64/"
cp -L /lib/x86_64-linux-gnu/libnss_files.so.2 "$extra/lib/x86_64-linux-gnu/" 2>/dev/null || true
echo 'root::0:0:root:/root:/bin/sh' >"$extra/etc/passwd"
echo 'root:x:0:' >"$extra/etc/group"
echo /bin/sh >"$extra/etc/shells"
cat >"$extra/dhcp" <<'D'
#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr add "$ip/24" dev "$interface"
ip route add default via "$router"
echo "lease $ip dns $dns"
D
chmod +x "$extra/dhcp"

serve_files() { # BYTES: /big, and 200 small files
    head -c "$1" /dev/urandom >"$work/www/big"
    for i in $(seq 200); do
        head -c $((i * 97)) /dev/urandom >"$work/www/small$i"
    done
    (cd "$work/www" && cat $(seq -f small%g 200) | sha256sum | cut -d' ' -f1) >"$work/small.sum"
    busybox httpd -f -p "127.0.0.1:$port" -h "$work/www" &
    servers="$servers $!"
}
serve_iperf() {
    iperf3 -s -B 127.0.0.1 -p $((port + 1)) >"$work/iperf.log" 2>&1 &
    servers="$servers $!"
}
# The last iperf3 JSON on the console: Mbit/s that arrived.
iperf_result() {
    tr -d '\r' <"$work/console" | sed -n "/^begin $1/,/^end $1/p" | sed '1d;$d' |
        python3 -c 'import json,sys; print(round(json.load(sys.stdin)["end"]["sum_received"]["bits_per_second"] / 1e6))'
}
