# A GRUB rescue CD booted by SeaBIOS: its prompt, and from there a Linux kernel on the CD.
. "$SRC/tests/boot/lib.sh"
command -v grub-mkrescue >/dev/null && command -v xorriso >/dev/null || skip_all "grub-mkrescue is not installed"
need_guest
mkdir -p "$work/cd/boot/grub"
cp "$guest/bzImage" "$guest/initrd.img" "$work/cd/boot/"
cat >"$work/cd/boot/grub/grub.cfg" <<'G'
serial --unit=0 --speed=115200
terminal_input serial
terminal_output serial
G
grub-mkrescue -o "$work/cd.iso" "$work/cd" >/dev/null 2>&1
ok $? "grub-mkrescue makes the CD"
start_guest -m 256 -no-reboot -cdrom "$work/cd.iso" -boot d
wait_for 120 'grub>'
ok $? "SeaBIOS boots the CD to GRUB's prompt"
send 'linux /boot/bzImage console=ttyS0 quiet\r'
sleep $((5 * slow))
send 'initrd /boot/initrd.img\r'
sleep $((3 * slow))
send 'boot\r'
wait_for 300 'is up after'
ok $? "GRUB starts Linux from the CD"
send 'poweroff\n'
wait_end 60
ok $? "poweroff ends with status 0"
finish
