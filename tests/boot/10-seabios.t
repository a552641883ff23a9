# SeaBIOS by itself, the monitor, and the ways to end.
. "$SRC/tests/boot/lib.sh"
start_guest -m 64 -nodefaults -serial mon:stdio
wait_for 60 'SeaBIOS \(version'
ok $? "SeaBIOS shows its banner on the serial console"
wait_for 60 'No bootable device'
ok $? "and finds nothing to boot"
send '\001c'
wait_for 10 'Dragoman monitor'
ok $? "Ctrl-A c opens the monitor"
send 'info registers\r'
wait_for 10 'RIP='
ok $? "which shows registers"
send 'info pci\r'
wait_for 10 '8086:1237'
ok $? "and PCI devices"
send '\001x'
wait_end 10
ok $? "Ctrl-A x ends with status 0"
start_guest -m 64
wait_for 60 'SeaBIOS'
kill -TERM $pid
wait_end 10
ok $? "SIGTERM ends with status 0"
start_guest -m 64K -nodefaults -serial mon:stdio
sleep 1
send '\001c'
wait_for 10 'Dragoman monitor'
send 'info mtree\r'
wait_for 10 '0000000000000000-000000000000ffff ram'
ok $? "a machine with 64 KiB of memory runs"
finish
