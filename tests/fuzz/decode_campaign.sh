#!/bin/sh
# The decoder's long campaign: STRINGS strings shared by JOBS libFuzzer processes, in the build folder. Each keeps its
# corpus in campaign/corpus.N and what it says in campaign/log.N; SEED=n makes other strings. At the end the sums are
# printed, and the exit status tells whether anything was found.
set -u
strings=$1 jobs=$2 seed=${SEED:-1}
runs=$((strings / jobs / 4096 + 1)) # strings that an input is expanded to
cd campaign || exit 1
pids=
stop() {
    kill $pids 2>/dev/null
    exit 1
}
trap stop INT TERM
n=0
rm -f log.*
while [ "$n" -lt "$jobs" ]; do
    mkdir -p "corpus.$n"
    ASAN_OPTIONS=detect_leaks=0 nice -n 19 ./decode_fuzz -runs="$runs" -seed=$((seed * 1000 + n)) -max_len=1024 \
        -print_pcs=0 -artifact_prefix="found.$n." "corpus.$n" >"log.$n" 2>&1 &
    pids="$pids $!"
    n=$((n + 1))
done
status=0
for p in $pids; do
    wait "$p" || status=1
done
[ $status = 0 ] || tail -n 30 log.*
for log in log.*; do
    grep ' strings in ' "$log" | tail -n 1
done | awk '{ print; strings += $1; insns += $6; both += $8; listed += $13; differ += $16 }
    END { printf "%.0f strings: %.0f instructions, %.0f decoded by Capstone too, %.0f listed exceptions, %d differences\n",
                 strings, insns, both, listed, differ }'
exit $status
