# What -smp asks for is what the guest finds: CPUID, the kernel's view, MADT, SMBIOS, MP table (topology.c), and lscpu.
# TOPOLOGIES=all tries more of them.
. "$SRC/tests/boot/lib.sh"
case $accel in *verify*) skip_all "verify=on has one processor" ;; esac
mkdir "$work/extra"
gcc -O2 -static -o "$work/extra/topology" "$SRC/tests/boot/topology.c" || skip_all "topology.c does not build here"
lscpu=$(command -v lscpu) && for f in $lscpu $(ldd "$lscpu" | grep -o '/[^ ]*'); do
    mkdir -p "$work/extra$(dirname "$f")"
    cp -L "$f" "$work/extra$f"
done
cat >"$work/extra/lscpu.sh" <<S
${lscpu:-false} | awk -F: '/^ *Socket.s/ {s = \$2} /^ *Core.s/ {c = \$2} /^ *Thread.s/ {t = \$2}
    END {print "lscpu:", s + 0, c + 0, t + 0}'
S
guest_with "$work/extra"
try() { # model, sockets, cores, threads, what -smp is given (default: all of it)
    model=$1 s=$2 c=$3 t=$4
    smp=${5:-$((s * c * t)),sockets=$s,cores=$c,threads=$t}
    start_guest -m 256 -cpu "$model" -smp "$smp" -no-reboot -kernel "$work/guest/bzImage" \
        -initrd "$work/guest/initrd.img" -append "console=ttyS0 quiet panic=-1"
    wait_for 120 'is up after'
    sleep 1
    send "/topology $s $c $t; echo topology=\$?\n"
    wait_for 60 'topology=[0-9]' && grep -aq 'topology=0' "$work/console"
    status=$?
    ok $status "-cpu $model -smp $smp: $s sockets of $c cores of $t threads"
    grep -a '^topology: ' "$work/console" | tr -d '\r' | sed 's/^/# /' | head -n 12
    if [ -n "$lscpu" ]; then
        send 'sh /lscpu.sh\n'
        wait_for 60 'lscpu: [0-9]+ [0-9]+ [0-9]+'
        grep -aq "lscpu: $s $c $t" "$work/console"
        ok $? "lscpu agrees"
    fi
    send 'poweroff\n'
    wait_end 60
    ok $? "poweroff"
}
try max 2 3 2
try EPYC 2 3 2
if [ "${TOPOLOGIES:-}" = all ]; then
    try max 1 1 1 1
    try max 1 4 1 4 # cores rather than sockets
    try max 1 8 1 cores=8
    try max 1 5 3
    try max 3 1 2
    try Nehalem 2 2 2
    try Haswell 2 3 1
    try Skylake-Client 1 4 2
    try qemu64 2 3 1
    try phenom 2 3 1
    try EPYC 3 5 1
    try EPYC 1 4 2
fi
refuse() { # what must be said, -smp
    message=$(timeout 60 $DRAGOMAN -accel "$accel" -display none -smp "$2" 2>&1 </dev/null)
    [ $? = 1 ] && echo "$message" | grep -q "$1"
    ok $? "-smp $2: $message"
}
refuse 'no hot plug' 2,maxcpus=4
refuse 'are not 5 processors' 5,sockets=2,cores=2
refuse 'APIC id' 195,sockets=65,cores=3,threads=1
refuse 'number from 1' 0
finish
