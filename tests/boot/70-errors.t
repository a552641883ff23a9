# Bad input: one clear line on the standard error that names the option and the value, status 1.
. "$SRC/tests/boot/lib.sh"
need_guest
: >"$work/empty"
head -c 3000 "$guest/bzImage" >"$work/cut"
head -c 100000 /dev/urandom >"$work/random"
bad() { # words that must be in the message (separated by |), arguments
    words=$1
    shift
    timeout $((20 * slow)) $DRAGOMAN -nographic "$@" </dev/null >/dev/null 2>"$work/err"
    status=$?
    good=1
    if [ $status = 1 ] && [ "$(wc -l <"$work/err")" = 1 ]; then good=0; fi
    old=$IFS IFS='|'
    for w in $words; do grep -qF -- "$w" "$work/err" || good=1; done
    IFS=$old
    ok $good "$* (status $status): $(head -n1 "$work/err" | cut -c1-120)"
}
for f in empty cut random missing; do
    bad "-kernel|$f" -kernel "$work/$f"
    [ $f = random ] || [ $f = cut ] || bad "-initrd|$f" -kernel "$guest/bzImage" -initrd "$work/$f"
    bad "-bios|$f" -bios "$work/$f"
done
bad "-drive|empty" -drive "file=$work/empty,format=raw"
bad "-drive|missing" -drive "file=$work/missing"
bad "-drive|flavour" -drive "file=$work/random,flavour=x"
bad "-m|0" -m 0
bad "-m|1T" -m 1T
bad "-m|many" -m many
bad "-smp|0" -smp 0
bad "-smp|5,cores=2" -smp 5,cores=2
bad "--frobnicate" --frobnicate
bad "-kernal|-kernel" -kernal x
bad "-device|isa-debug-exti|isa-debug-exit" -device isa-debug-exti
bad "-device|iobas|iobase" -device isa-debug-exit,iobas=1
bad "-machine|toaster" -machine toaster
bad "-cpu|z80" -cpu z80
bad "-accel|warp" -accel warp
bad "-serial|nowhere" -serial nowhere
bad "-drive|if=scsj" -drive "file=$work/random,if=scsj"
bad "-device|virtio-blk-pci|drive" -device virtio-blk-pci
bad "-device|virtio-blk-pic|virtio-blk-pci" -device virtio-blk-pic
bad "-device|queue-size|3" -drive "file=$work/random,if=none,format=raw,id=d" -device virtio-blk-pci,drive=d,queue-size=3
bad "-device|nothing|-netdev" -device virtio-net-pci,netdev=nothing
bad "-device|pci.7" -device virtio-rng-pci,bus=pci.7
bad "-device|addr=99" -device virtio-rng-pci,addr=99
bad "-device|virtserialport|virtio-serial-pci" -device virtserialport
bad "-netdev|tapp" -netdev tapp,id=n
bad "-netdev|id=" -netdev user
bad "-netdev|hostfwt|hostfwd" -netdev user,id=n,hostfwt=x
if ! $DRAGOMAN -nic user -m 1 -kernel /nonexistent 2>&1 </dev/null | grep -q 'not in this build'; then
    bad "-netdev|hostfwd=tcp:22" -netdev user,id=n,hostfwd=tcp:22
    bad "-netdev|net=10.0.2.0/99" -netdev user,id=n,net=10.0.2.0/99
    bad "-nic|e1001|e1000" -nic user,model=e1001
    bad "-nic|mac=1:2" -nic user,mac=1:2
fi
bad "-initrd" -initrd "$guest/initrd.img"
bad "-display|sld|did you mean 'sdl'" -display sld
bad "-display|vnc=:0" -display vnc
bad "-vga|stf|did you mean 'std'" -vga stf
bad "-vnc|foo|HOST:DISPLAY" -vnc foo
bad "-vnc|pasword" -vnc :0,pasword=on
bad "-vnc|-object secret|'x'" -vnc :0,password-secret=x
bad "-object|sekret" -object sekret,id=a
bad "VGA|vgamem_mb=3" -vga none -device VGA,vgamem_mb=3
bad "xers|did you mean 'xres'" -device virtio-gpu-pci,xers=3
finish
