# What a guest's panic does (-action panic=), the event of it, and serial ports on several kinds of chardev: boot
# sectors that do one thing.
: "${DRAGOMAN:=./dragoman}" "${SRC:=../}"
n=0 failed=0
ok() {
    n=$((n + 1))
    [ "$1" = 0 ] && echo "ok $n - $2" || { failed=1 && echo "not ok $n - $2"; }
}
work=$(mktemp -d "${TMPDIR:-/tmp}/dragoman-actions.XXXXXX")
trap 'rm -rf "$work"' EXIT
sector() { # NAME BYTES (octal escapes)
    printf "$2" >"$work/$1"
    truncate -s 510 "$work/$1"
    printf '\125\252' >>"$work/$1"
    truncate -s 64k "$work/$1"
}
# mov al, 1; mov dx, 505; out dx, al; hlt; jmp
sector panic '\260\001\272\005\005\356\364\353\375'
# mov al, '1'; mov dx, 3f8; out; inc; mov dx, 2f8; out; inc; mov dx, 3e8; out; inc; mov dx, 2e8; out; mov dx, 501; out
sector ports '\260\061\272\370\003\356\376\300\272\370\002\356\376\300\272\350\003\356\376\300\272\350\002\356\272\001\005\356\364'
wait_for_panic() { # FILE
    tries=$((300 * ${SLOW:-1}))
    until grep -q GUEST_PANICKED "$1" || [ $((tries -= 1)) = 0 ]; do sleep 0.1; done
}
run() { timeout $((60 * ${SLOW:-1})) $DRAGOMAN -accel "${ACCEL:-tcg}" -m 16 -nodefaults "$@" </dev/null; }

run -hda "$work/panic" -device pvpanic -action panic=exit-failure
[ $? = 1 ]
ok $? "panic=exit-failure: status 1"
run -hda "$work/panic" -device pvpanic
ok $? "panic=shutdown, the default: status 0"
for action in pause none; do
    cp "$work/panic" "$work/panic.$action"
    : >"$work/qmp.$action"
    { printf '{"execute":"qmp_capabilities"}'; wait_for_panic "$work/qmp.$action"; printf '{"execute":"query-status"}'; sleep 1; printf '{"execute":"quit"}'; sleep 1; } |
        timeout $((60 * ${SLOW:-1})) $DRAGOMAN -accel "${ACCEL:-tcg}" -m 16 -nodefaults -hda "$work/panic.$action" -device pvpanic -action panic=$action -qmp stdio >"$work/qmp.$action" &
done
wait
grep -q '"GUEST_PANICKED".*"pause"' "$work/qmp.pause" && grep -q '"status": *"guest-panicked"' "$work/qmp.pause"
ok $? "panic=pause: the event and the state"
grep -q '"GUEST_PANICKED".*"run"' "$work/qmp.none" && grep -q '"status": *"running"' "$work/qmp.none"
ok $? "panic=none: the event, and it runs on"
mkfifo "$work/fifo.in" "$work/fifo.out"
cat "$work/fifo.out" >"$work/out3" &
reader=$!
exec 8>"$work/fifo.out"
run -hda "$work/ports" -device isa-debug-exit -chardev "ringbuf,id=r,logfile=$work/out1" -serial chardev:r \
    -chardev "file,id=f,path=$work/out2" -serial chardev:f -serial "pipe:$work/fifo" -serial "file:$work/out4"
exec 8>&-
wait $reader
[ "$(tail -c 1 "$work/out1")$(cat "$work/out2" "$work/out3" "$work/out4")" = 1234 ]
ok $? "four serial ports: ring with log, file, pipe, file"
echo "1..$n"
[ $failed = 0 ]
