#!/bin/sh
# Debian's programs in a guest give what they give natively: the same files in a chroot here, and below a CD-ROM's
# file system there. Also /proc/cpuinfo and ld.so's own view of the processor. `make check-guest`; needs root (chroot)
# and Debian packages (tree.sh, guest.sh); GUEST_DIR keeps what is made. A run takes some minutes.
. "$SRC/tests/boot/lib.sh"
dir=${GUEST_DIR:-$PWD/guest-proof}

SRC=$SRC sh "$SRC/tests/guest/tree.sh" "$dir" || skip_all "no Debian packages"
[ -f "$dir/bzImage" ] && [ -f "$dir/initrd.img" ] || {
    mkdir -p "$dir/extra"
    cat >"$dir/extra/proof" <<'RUN'
mkdir /cd
mount -t iso9660 -o ro /dev/vda /cd
echo "== cpuinfo"
grep -m1 '^flags' /proc/cpuinfo
grep -m1 '^address sizes' /proc/cpuinfo
mount -t tmpfs tmp /cd/tmp
echo "== ld.so"
chroot /cd /lib64/ld-linux-x86-64.so.2 --help | grep supported
echo "== programs"
chroot /cd sh /work/programs.sh 2>&1
echo "== end"
RUN
    GUEST_EXTRA=$dir/extra sh "$SRC/scripts/guest.sh" "$dir" >/dev/null || skip_all "no guest"
}

native=$dir/native.txt
: >"$native"
mkdir -p "$dir/tree/tmp"
rm -rf "$dir/tree/tmp/"*
chroot "$dir/tree" sh /work/programs.sh >"$native" 2>&1
rm -rf "$dir/tree/tmp/"*
grep -q '^-- end' "$native"
ok $? "the programs run natively: $(wc -l <"$native") lines"

begin=$(date +%s)
start_guest -cpu "${GUEST_CPU:-max}" -m "${GUEST_MEMORY:-512M}" -kernel "$dir/bzImage" -initrd "$dir/initrd.img" \
    -append "console=ttyS0 run=proof quiet no_timer_check panic=-1" -no-reboot \
    -drive "file=$dir/tree.iso,format=raw,if=virtio,readonly=on"
wait_for "${GUEST_SECONDS:-3600}" '^== end'
ok $? "the guest has run them in $(($(date +%s) - begin)) s"
tr -d '\r' <"$work/console" >"$dir/guest.txt"
has=$(sed -n 's/^flags[^:]*: //p' "$dir/guest.txt")
missing=
for f in $promised_flags; do
    case " $has " in
    *" $f "*) ;;
    *) missing="$missing $f" ;;
    esac
done
[ -z "$missing" ]
ok $? "/proc/cpuinfo has every flag promised${missing:+, but:$missing}"
grep -q 'x86-64-v3 (supported' "$dir/guest.txt"
ok $? "ld.so: $(grep 'x86-64-v3' "$dir/guest.txt")"

# Part by part, so that one that differs says which.
part() { sed -n "/^-- $2/,/^-- /p" "$1" | sed '/^-- /d'; }
for p in glibc openssl encoders perl python; do
    part "$native" $p >"$work/a"
    part "$dir/guest.txt" $p >"$work/b"
    cmp -s "$work/a" "$work/b" && [ -s "$work/a" ]
    ok $? "$p: $(wc -l <"$work/a") results, equal to native ones"
    diff "$work/a" "$work/b" | grep '^[<>]' | head -n 20 | sed 's/^/# /'
done
finish
