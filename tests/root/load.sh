# The write load inside the guest: fio with fsync, and files that are written, synced, renamed and told of on the serial line:
# "S name number sum" when all is on the disk. A file begins with its number and the sum of the rest.
mkdir -p /load && cd /load || exit
fio --name=sync --directory=/load --rw=randwrite --bs=4k --size=24m --fsync=4 --time_based --runtime=1000 >/dev/null 2>&1 &
fio --name=deep --directory=/load --rw=randrw --bs=16k --size=48m --direct=1 --ioengine=libaio --iodepth=16 --fdatasync=32 \
    --time_based --runtime=1000 >/dev/null 2>&1 &
while sleep 5; do fstrim /; done 2>/dev/null &
worker() {
    mkdir -p "$1"
    n=0
    while true; do
        f=$1/$((n % 12))
        head -c $((1 + n * 7919 % 400000)) /dev/urandom >"$1/data" || exit
        sum=$(sha256sum <"$1/data")
        sum=${sum%% *}
        { echo "$n $sum" && cat "$1/data"; } >"$f.new" || exit
        sync "$f.new" || exit
        mv "$f.new" "$f"
        sync "$1" || exit
        echo "S $f $n $sum"
        n=$((n + 1))
    done
}
worker a &
worker b &
worker c &
echo "load runs"
wait
