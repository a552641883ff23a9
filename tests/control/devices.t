# -device help and -device NAME,help, docs/devices.md beside them, and errors about devices and networks: one line
# that names the nearest known word.
: "${DRAGOMAN:=./dragoman}" "${SRC:=../}"
n=0 failed=0
ok() {
    n=$((n + 1))
    [ "$1" = 0 ] && echo "ok $n - $2" || { failed=1 && echo "not ok $n - $2"; }
}
$DRAGOMAN -device help=markdown | cmp -s - "$SRC/docs/devices.md"
ok $? "docs/devices.md is what 'make devices-doc' writes"
list=$($DRAGOMAN -device help)
for d in virtio-net-pci virtio-blk-pci virtio-rng-pci virtio-serial-pci e1000 rtl8139; do
    echo "$list" | grep -q "^name \"$d\", bus PCI"
    ok $? "-device help: $d"
done
$DRAGOMAN -device '?' | grep -q '^Network devices:'
ok $? "-device ?: by class"
$DRAGOMAN -device i6300esb,help | grep -q '^i6300esb options:'
ok $? "-device NAME,help"
for d in $($DRAGOMAN -device help | sed -n 's/^name "\([^"]*\)".*/\1/p'); do
    $DRAGOMAN -device "$d,help" >/dev/null || echo "# $d"
done | grep -q .
[ $? = 1 ]
ok $? "-device NAME,help for all"
# refuse PATTERN ARGUMENTS
refuse() {
    pattern=$1
    shift
    out=$($DRAGOMAN -m 1 -nodefaults "$@" 2>&1 </dev/null)
    [ $? = 1 ] && [ "$(echo "$out" | wc -l)" = 1 ] && echo "$out" | grep -qF -- "$pattern"
    ok $? "$*: $out"
}
refuse "did you mean 'rtl8139'" -device rtl8193
refuse "did you mean 'netdev'" -device e1000,netdef=n
refuse "did you mean 'rtl8139'" -nic user,model=rtl8193
refuse "mac=1:2" -device e1000,mac=1:2
refuse "no -netdev with this id" -device rtl8139,netdev=x
refuse "did you mean 'hostfwd'" -netdev user,id=n,hostfw=tcp::1-:2
refuse "did you mean 'socket'" -netdev soket,id=n
refuse "hostfwd=tcp::99999-:2" -netdev user,id=n,hostfwd=tcp::99999-:2
refuse "smb= does not exist" -netdev user,id=n,smb=/tmp
refuse "-nic user" -net nic
refuse "hubid=x" -netdev hubport,id=n,hubid=x
refuse "one of listen=" -netdev socket,id=n
refuse "addr.type=" -netdev stream,id=n
refuse "fd=77" -netdev tap,id=n,fd=77
refuse "br= does not exist" -netdev tap,id=n,br=br0
refuse "did you mean 'logfile'" -chardev null,id=c,logfil=x
refuse "did you mean 'ringbuf'" -chardev rinbuf,id=c
refuse "reconnect is for a client" -chardev socket,id=c,path=/tmp/none,server=on,reconnect=1
refuse "a socket needs one of" -chardev socket,id=c
refuse "did you mean 'filter-dump'" -object filter-dmp,id=f
refuse "netdev=x: there is no" -object filter-dump,id=f,netdev=x,file=/dev/null
refuse "panic=foo is none of pause" -action panic=foo
refuse "base=noon" -rtc base=noon
refuse "clock=x" -rtc clock=x
refuse "only the letters" -boot once=x
refuse "splash-time=x" -boot splash-time=x
refuse "romfile=/dev/null" -device e1000,romfile=/dev/null
refuse "there are 4 ports at most" -serial null -serial null -serial null -serial null -serial null
echo "1..$n"
[ $failed = 0 ]
