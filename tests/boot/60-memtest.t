# memtest86+ 6, booted like a Linux kernel, running its tests.
. "$SRC/tests/boot/lib.sh"
image=/boot/memtest86+x64.bin
[ -f $image ] || skip_all "package memtest86+ is not installed"
start_guest -m 64 -kernel $image -append 'console=ttyS0,115200'
wait_for 120 'Memtest86\+'
ok $? "memtest86+ starts"
wait_for 400 'Test *#?[1-9]|\[Moving inversions|Pass:'
ok $? "and runs its tests"
finish
