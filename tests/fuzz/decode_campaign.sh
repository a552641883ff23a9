#!/bin/sh
# The decoder's long campaign: STRINGS strings shared by JOBS libFuzzer processes, in the build folder's campaign/. Each
# process has a seed, a corpus and a log, numbered on from those that are there: a campaign that was broken off goes on,
# and what its logs told last counts. At the end the sums are printed; the exit status tells whether anything was found.
set -u
strings=$1 jobs=$2
cd campaign || exit 1

logs() { # all, in the order of their numbers
    find . -name 'log.*' | sort -t. -k3n
}

sums() {
    for log in $(logs); do
        grep -a ' strings in ' "$log" | tail -n 1
    done | awk '{ strings += $1; insns += $6; both += $8; listed += $13; differ += $16; seconds += $4 }
        END { printf "%.0f strings: %.0f instructions, %.0f decoded by Capstone too, %.0f listed exceptions, %d differences\n",
                     strings, insns, both, listed, differ }'
}

pids=
stop() {
    kill $pids 2>/dev/null
    exit 1
}
trap stop INT TERM
have=$(sums | sed 's/ .*//')
runs=$(((strings - have) / jobs / 4096 + 1)) # an input is expanded to so many strings
n=$(logs | wc -l)
status=0
if [ "$have" -lt "$strings" ]; then
    for job in $(seq "$n" $((n + jobs - 1))); do
        mkdir -p "corpus.$job"
        ASAN_OPTIONS=detect_leaks=0 nice -n 19 ./decode_fuzz -runs=$runs -seed=$((7000 + job)) -max_len=1024 -len_control=20 \
            -print_pcs=0 -report_slow_units=86400 -timeout=86400 -artifact_prefix="found.$job." "corpus.$job" >"log.$job" 2>&1 &
        pids="$pids $!"
    done
    for p in $pids; do
        wait "$p" || status=1
    done
fi
ls found.* 2>/dev/null && status=1
sums
exit $status
