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
bad "-drive|id=1a|letter" -drive "file=$work/random,format=raw,if=none,id=1a"
bad "-device|id=a/b|letter" -device virtio-rng-pci,id=a/b
bad "-chardev|id=|missing" -chardev null,id=
bad "-chardev|id=#0|letter" -chardev null,id=#0
bad "-netdev|id=-n|letter" -netdev hubport,hubid=0,id=-n
bad "-nic|id=9|letter" -nic hubport,hubid=0,id=9
bad "-object|id=7|letter" -object rng-random,id=7
bad "-mon|id=7|letter" -chardev null,id=c -mon chardev=c,id=7
bad "-blockdev|1a" -blockdev "driver=raw,node-name=1a,file.driver=file,file.filename=$work/random"
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
bad "-vnc|tls-creds|no TLS|SSH" -vnc :0,tls-creds=t
bad "-vnc|sasl|password=on" -vnc :0,sasl=on
bad "tls-creds-x509|no TLS" -object tls-creds-x509,id=t,dir=/
bad "usb-tablet|no USB|virtio-tablet-pci" -device usb-tablet
bad "-usbdevice|no USB" -usbdevice tablet
bad "-spice|-vnc" -spice port=1
bad "-full-screen|-display sdl,full-screen=on" -full-screen
bad "VGA|vgamem_mb=3" -vga none -device VGA,vgamem_mb=3
bad "xers|did you mean 'xres'" -device virtio-gpu-pci,xers=3
bad "-hda|missing" -hda "$work/missing"
bad "-fda|missing" -fda "$work/missing"
bad "-drive|raww|qcow2" -drive "file=$work/random,format=raww"
bad "-drive|cache=writebak|writeback" -drive "file=$work/random,format=raw,cache=writebak"
bad "-drive|werror=stopp|enospc" -drive "file=$work/random,format=raw,werror=stopp"
bad "-drive|it is not in qcow2 format" -drive "file=$work/random,format=qcow2"
bad "-drive|media=cdrm|cdrom" -drive "file=$work/random,format=raw,media=cdrm"
bad "-drive|aio=fast|io_uring" -drive "file=$work/random,format=raw,aio=fast"
bad "-drive|index=9" -drive "file=$work/random,format=raw,index=9"
bad "-blockdev|filenam|filename" -blockdev "driver=raw,node-name=a,file.driver=file,file.filenam=$work/random"
bad "-blockdev|not JSON" -blockdev '{"driver":"raw",'
bad "-device|drive=nope|-drive" -device ide-hd,drive=nope
bad "-device|mac=zz" -device e1000,mac=zz
bad "-device|free-page-reporting|on or off" -device virtio-balloon-pci,free-page-reporting=maybe
bad "-device|isa-parallel|0 to 2" -device isa-parallel,index=7
bad "-chardev|sockt|socket" -chardev sockt,id=a
bad "-chardev|path=" -chardev file,id=a
bad "-chardev|size=1000" -chardev ringbuf,id=a,size=1000
bad "-serial|chardev:xx" -serial chardev:xx
bad "-mon|qq" -mon chardev=qq
bad "-mon|mod'|mode" -mon chardev=qq,mod=control
bad "-netdev|listen=" -netdev socket,id=a
bad "-netdev|ifname=" -netdev tap,id=a,ifname=dragtoolongname123456789
bad "-object|netdev=zz" -object filter-dump,id=f,netdev=zz,file=/tmp/x
bad "-object|filenam|filename" -object rng-random,id=r,filenam=/dev/x
bad "-rtc|base=yesterday" -rtc base=yesterday
bad "-boot|odrer|order" -boot odrer=c
bad "-smp|core'|cores" -smp 4,core=2
bad "-m|slts|slots" -m 128,slts=2
bad "-cpu|foo|fpu" -cpu max,+foo
bad "-machine|acpj|acpi" -machine pc,acpj=on
bad "-accel|thread=many|multi" -accel tcg,thread=many
bad "-accel|tb-siz|tb-size" -accel tcg,tb-siz=1
bad "-action|panic=expolde|pause" -action panic=expolde
bad "-display|full-scren|full-screen" -display curses,full-scren=on
bad "-global|foo" -global foo
bad "-global|e1000.mca|mac" -global e1000.mca=1
bad "-name|proces|process" -name a,proces=b
bad "-d|foo" -d foo
bad "-gdb|abc" -gdb tcp:abc
bad "foo.img|-hda" foo.img
finish
