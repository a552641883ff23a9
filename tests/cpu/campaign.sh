#!/bin/sh
# The prover's long campaign: CASES cases shared by JOBS processes, in the build folder. Each keeps where it stands in
# prover/state.N and tells of its progress in prover/log.N; a campaign that was broken off goes on from there. At the
# end the sums are printed, and the exit status tells whether anything differed.
set -u
cases=$1 jobs=$2
mkdir -p prover
stop() {
    kill $pids 2>/dev/null
    exit 1
}
pids=
trap stop INT TERM
n=0
while [ "$n" -lt "$jobs" ]; do
    nice -n 5 tests/cpu/prover_test -r 1000 -n "$cases" -s "${SEED:-1}" -p "$n/$jobs" -S "prover/state.$n" >>"prover/log.$n" 2>&1 &
    pids="$pids $!"
    n=$((n + 1))
done
status=0
for p in $pids; do
    wait "$p" || status=1
done
cat prover/state.*
awk '{ for (i = 5; i < NF; i += 2) sum[$i] += $(i + 1) }
     END { printf "%d cases, %d with a fault, %d in sequences, %d skipped, %d differ\n", sum["cases"], sum["faults"],
                  sum["sequences"], sum["skipped"], sum["differences"] }' prover/state.*
exit $status
