# A guest with a compiler of its own: LuaJIT writes code, runs it, throws it away. What it prints must be what it
# prints natively; tests/guest-jit/run.py measures the same, and Node.
. "$SRC/tests/boot/lib.sh"
command -v luajit >/dev/null || skip_all "package luajit is not installed"
mkdir -p "$work/extra/usr/bin"
cp "$(command -v luajit)" "$work/extra/usr/bin/"
for f in $(ldd "$(command -v luajit)" | grep -o '/[^ ]*') /usr/share/luajit-2*; do
    mkdir -p "$work/extra$(dirname "$f")"
    cp -rL "$f" "$work/extra$f"
done
cp "$SRC/tests/guest-jit/work.lua" "$work/extra/"
echo '/usr/bin/luajit /work.lua; echo lua=$?' >"$work/extra/work"
luajit "$SRC/tests/guest-jit/work.lua" >"$work/want"
guest_with "$work/extra"
start_guest -m 256 -no-reboot -kernel "$work/guest/bzImage" -initrd "$work/guest/initrd.img" -append 'console=ttyS0 quiet run=work'
wait_for 300 'lua=0'
ok $? "LuaJIT ends with status 0"
grep -a '^end lua-' "$work/console" | tr -d '\r' >"$work/got"
grep '^end lua-' "$work/want" | cmp -s - "$work/got"
ok $? "and prints what it prints natively"
wait_end 60
ok $? "the guest powers off"
finish
