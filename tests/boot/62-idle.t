# A guest that waits at its shell prompt: how much of a host core and of memory it takes, with a user network that
# waits for a connection.
. "$SRC/tests/boot/lib.sh"
case $accel in *verify*) skip_all "code that is run twice takes more" ;; esac
need_guest
nic="-netdev user,id=n,hostfwd=tcp:127.0.0.1:$((20000 + $$ % 20000))-:22" # without a card
# shellcheck disable=SC2086
$DRAGOMAN $nic -m 1 -kernel /nonexistent 2>&1 </dev/null | grep -q 'not in this build' && nic=
# shellcheck disable=SC2086
start_guest -m 256 -no-reboot -kernel "$guest/bzImage" -initrd "$guest/initrd.img" -append "console=ttyS0 quiet" $nic
wait_for 300 'is up after'
ok $? "a shell"
sleep 5
real=$(pgrep -P "$pid" 2>/dev/null | head -n 1) # behind an emulator or a wrapper it is the child
[ -n "$real" ] || real=$pid
ticks() { # of user and system time
    sed 's/.*) //' "/proc/$real/stat" | awk '{print $12 + $13}'
}
a=$(ticks)
sleep 20
b=$(ticks)
percent=$(awk -v t="$((b - a))" -v hz="$(getconf CLK_TCK)" 'BEGIN {printf "%.2f", t / hz / 20 * 100}')
awk -v p="$percent" 'BEGIN {exit !(p < 3)}'
ok $? "idle: $percent % of a core over 20 s (limit 3)"
# All but the guest's RAM, which is the mapping of its size. The code cache is mapped twice, to be written and to be
# executed: Rss counts what is present in both views twice, Pss once.
use=$(awk '/^[0-9a-f]+-[0-9a-f]+ / {named = NF > 5} /^Size:/ {ram = !named && $2 >= 256 * 1024}
    /^Rss:/ && !ram {rss += $2} /^Pss:/ && !ram {pss += $2} /^Rss:/ && ram {guest += $2}
    END {printf "%d %d %d", pss / 1024, rss / 1024, guest / 1024}' "/proc/$real/smaps")
# shellcheck disable=SC2086
set -- $use
[ "$2" -lt 150 ] && [ "$1" -le "$2" ] && [ "$3" -gt 32 ]
ok $? "memory beside the guest's RAM: RSS $2 MiB (limit 150), PSS $1; RAM in use: $3"
send 'poweroff\n'
wait_end 60
ok $? "poweroff"
finish
