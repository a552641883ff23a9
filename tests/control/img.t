# dragoman img beside qemu-img: the same output, the same exit codes, each reads what the other wrote.
: "${DRAGOMAN:=./dragoman}" "${SRC:=../}"
. "$SRC/tests/boot/lib.sh"
command -v qemu-img >/dev/null || skip_all "qemu-img is not installed"
case $DRAGOMAN in /*) ;; ./*) DRAGOMAN=$PWD/$DRAGOMAN ;; esac
img() { $DRAGOMAN img "$@"; }
cd "$work" || exit 1
export TZ=UTC

same() { # text, arguments of both
    text=$1
    shift
    qemu-img "$@" >want 2>/dev/null
    a=$?
    img "$@" >got 2>err
    b=$?
    [ $a = $b ] && cmp -s want got
    ok $? "$text: $* (status $a, $b)"
    cmp -s want got || diff want got | head -n 6 | sed 's/^/# /'
}

# An image with something in it: data, zeroes, a snapshot, a backing file.
head -c 3000000 /dev/urandom >data.raw
truncate -s 8M data.raw
printf end | dd of=data.raw bs=1 seek=8000000 conv=notrunc status=none
qemu-img convert -f raw -O qcow2 data.raw base.qcow2
qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 top.qcow2 9M
qemu-img snapshot -c first top.qcow2
qemu-img convert -c -f raw -O qcow2 data.raw small.qcow2
qemu-img convert -f raw -O qcow2 -o cluster_size=4k data.raw many.qcow2
for i in data.raw base.qcow2 top.qcow2 small.qcow2 many.qcow2; do
    same "info" info "$i"
    same "check" check "$i"
done
same "the chain" info --backing-chain top.qcow2
same "snapshots" snapshot -l top.qcow2
same "the same" compare data.raw base.qcow2
same "another size" compare data.raw top.qcow2
same "strict" compare -s data.raw top.qcow2
cp data.raw other.raw
printf x | dd of=other.raw bs=1 seek=4000000 conv=notrunc status=none
same "different" compare -f raw -F raw data.raw other.raw
same "not there" compare nothing data.raw
same "not there" info nothing
same "not there" check nothing
same "shrinking without --shrink" resize -f raw other.raw 1M
same "create" create -f qcow2 new.qcow2 1G
same "create" create -f qcow2 -o cluster_size=4k,compat=0.10 new.qcow2 1G
same "create" create -f qcow2 -b base.qcow2 -F qcow2 new.qcow2
same "create" create -f raw new.raw 1M
same "no size" create -f qcow2 new.qcow2

for i in data.raw base.qcow2 top.qcow2 small.qcow2 many.qcow2; do
    qemu-img info --output=json "$i" >want
    img info --output=json "$i" >got
    python3 -c 'import json, sys
a, b = (json.load(open(f)) for f in ("want", "got"))
sys.exit(a != b and (print("#", a, b) or 1))'
    ok $? "info --output=json $i holds the same"
    qemu-img check --output=json "$i" >want 2>/dev/null
    img check --output=json "$i" >got 2>/dev/null
    [ ! -s want ] || python3 -c 'import json, sys
a, b = (json.load(open(f)) for f in ("want", "got"))
sys.exit(a != b and (print("#", a, b) or 1))'
    ok $? "check --output=json $i"
done
img convert -c -O qcow2 -o compression_type=zstd top.qcow2 ours.qcow2 && qemu-img check -q ours.qcow2 && qemu-img compare -q top.qcow2 ours.qcow2
ok $? "convert with zstd"
img convert -O raw ours.qcow2 ours.raw && qemu-img compare -q -f qcow2 -F raw ours.qcow2 ours.raw
ok $? "convert to raw"
img convert -p -O raw ours.qcow2 ours.raw | tr '\r' '\n' | grep -q '^    (100.00/100%)$'
ok $? "convert -p"
img resize -q ours.qcow2 +3M && [ "$(qemu-img info --output=json ours.qcow2 | grep -c '"virtual-size": 12582912')" = 1 ] && qemu-img check -q ours.qcow2
ok $? "resize +3M"
img resize -q --shrink ours.qcow2 2M && qemu-img check -q ours.qcow2
ok $? "resize --shrink"
img snapshot -c second top.qcow2 && img snapshot -d first top.qcow2 && qemu-img check -q top.qcow2 &&
    [ "$(qemu-img snapshot -l top.qcow2 | grep -c second)" = 1 ]
ok $? "snapshot -c and -d"
img snapshot -a nothing top.qcow2 2>err
[ $? = 1 ] && grep -q nothing err
ok $? "a snapshot that is not there"
# A leak and an error, made by hand: the refcounts of the third and the fourth cluster.
qemu-img create -q -f qcow2 hurt.qcow2 64M
printf '\0\2' | dd of=hurt.qcow2 bs=1 seek=$((0x20000 + 4)) conv=notrunc status=none
img check -q hurt.qcow2
[ $? = 3 ]
ok $? "check finds a leak: status 3"
printf '\0\0' | dd of=hurt.qcow2 bs=1 seek=$((0x20000 + 6)) conv=notrunc status=none
img check -q hurt.qcow2
[ $? = 2 ]
ok $? "and an error: status 2"
img check -r leaks hurt.qcow2 >/dev/null
[ $? = 2 ]
ok $? "-r leaks leaves the error"
img check -r all hurt.qcow2 >/dev/null && qemu-img check -q hurt.qcow2
ok $? "-r all repairs both"
img check -q data.raw 2>/dev/null
[ $? = 63 ]
ok $? "a raw image has no check: status 63"
for words in "" "frob" "create" "convert x" "resize x" "info" "create -f vmdk x 1M" "create x 1Q" "create -f qcow2 -o cluster_size=1000 x 1M" \
    "create -f qcow2 -o colour=red x 1M" "convert -O qcow2 nothing x"; do
    # shellcheck disable=SC2086
    img $words >/dev/null 2>err
    [ $? = 1 ] && [ "$(wc -l <err)" = 1 ]
    ok $? "img $words: $(head -n 1 err | cut -c1-100)"
done
finish
