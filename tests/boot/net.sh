# For 56-user-net.t and 57-e1000.t: a server on the host's loopback, a DHCP script for the guest, and traffic both
# ways. Sourced after lib.sh.
$DRAGOMAN -nic user -m 1 -kernel /nonexistent 2>&1 </dev/null | grep -q 'not in this build' && skip_all "built without libslirp"
mkdir "$work/extra" "$work/www"
cat >"$work/extra/dhcp" <<'D'
#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr add "$ip/24" dev "$interface"
ip route add default via "$router"
echo "lease $ip dns $dns"
D
chmod +x "$work/extra/dhcp"
port=$((20000 + $$ % 20000)) servers=
# Also when the test itself is killed: a shell that waits for a program runs its trap only afterwards, so a watcher
# outside looks whether the test is still there.
end_net() {
    [ -z "$servers" ] || kill $servers 2>/dev/null
    stop_guest
    rm -rf "$work"
}
trap end_net EXIT
trap 'exit 1' HUP INT TERM
# start_server COMMAND ARGUMENTS: in the background, for as long as this test lives; sets server.
start_server() {
    "$@" &
    server=$!
    servers="$servers $server"
    (
        trap '' HUP INT TERM
        while kill -0 $$ 2>/dev/null && kill -0 "$server" 2>/dev/null; do sleep 1; done
        kill "$server" 2>/dev/null
    ) >/dev/null 2>&1 </dev/null &
}

# serve BYTES: $work/www/big, at 10.0.2.2:$port for the guest
serve() {
    head -c "$1" /dev/urandom >"$work/www/big"
    start_server busybox httpd -f -p "127.0.0.1:$port" -h "$work/www"
}
# fetch TEXT: the guest gets that file
fetch() {
    send "wget -q -O - http://10.0.2.2:$port/big | sha256sum; echo wget=\$?\\n"
    wait_for 300 'wget=0'
    grep -aq "$(sha256sum <"$work/www/big" | cut -d' ' -f1)" "$work/console"
    ok $? "$1"
}
# fetch_from_guest MEGABYTES: the guest sends random data
fetch_from_guest() {
    bytes=$(($1 * 1048576))
    mkfifo "$work/open" # nc ends when its input does
    start_server sh -c 'exec sleep "$1" >"$0"' "$work/open" $((600 * slow))
    hold=$server
    start_server sh -c 'exec busybox nc -l -p "$0" <"$1" >"$2"' $((port + 2)) "$work/open" "$work/out"
    nc=$server
    send "dd if=/dev/urandom of=/out bs=64k count=$(($1 * 16)) 2>/dev/null; sha256sum /out; nc 10.0.2.2 $((port + 2)) </out; echo out=\$?\\n"
    wait_for 300 'out=0'
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        [ "$(wc -c <"$work/out")" -lt "$bytes" ] || break
        sleep 0.5
    done
    kill $nc $hold 2>/dev/null
    grep -aq "$(sha256sum <"$work/out" | cut -d' ' -f1)" "$work/console" && [ "$(wc -c <"$work/out")" = "$bytes" ]
    ok $? "$1 MB go out unchanged"
}
