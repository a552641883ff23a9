#!/bin/sh
# Runs fuzz targets one after the other, in the folder that `make fuzz` made:
#   cd build/fuzz-build && ../../tests/fuzz/run.sh SECONDS [TARGET...]
# A target is the name of a file here without _fuzz.c; all of them when none is named. What the runs
# have found worth keeping goes to corpus/TARGET, the log to corpus/TARGET.log, a finding to
# corpus/TARGET.crash-*. Prints a line for each: the inputs that ran, and what they covered.
here=$(cd "$(dirname "$0")" && pwd)
seconds=$1
shift
if [ -z "$seconds" ] || [ ! -d tests/fuzz ]; then
    echo "usage, in the folder of the fuzz build: run.sh SECONDS [TARGET...]" >&2
    exit 2
fi
[ $# -gt 0 ] || set -- $(cd "$here" && ls *_fuzz.c | sed 's/_fuzz\.c//')
failed=0
for t; do
    mkdir -p "corpus/$t"
    chmod 777 corpus "corpus/$t" # qmp_fuzz gives up its rights
    dict=
    [ ! -f "$here/$t.dict" ] || dict=-dict=$here/$t.dict
    # The limit of one input is generous: the machine may be busy with other things.
    nice -n 19 "tests/fuzz/${t}_fuzz" -max_total_time="$seconds" -timeout=60 -rss_limit_mb=3000 \
        -max_len="${MAX_LEN:-2048}" -print_final_stats=1 -reduce_inputs=1 $dict \
        -artifact_prefix="$PWD/corpus/$t." "$PWD/corpus/$t" >"corpus/$t.log" 2>&1
    status=$?
    awk -v name="$t" -v status=$status '
        /^stat::number_of_executed_units/ { runs = $2 }
        /^stat::slowest_unit_time_sec/ { slow = $2 }
        /^stat::peak_rss_mb/ { rss = $2 }
        /cov: / { for (i = 1; i < NF; i++) if ($i == "cov:") cov = $(i + 1) }
        /^Done/ { time = $5 }
        END {
            printf "%-12s %9d inputs in %4d s, %5d edges, slowest %d s, %d MB: %s\n",
                name, runs, time, cov, slow, rss, status ? "FINDING" : "no finding"
        }' "corpus/$t.log"
    [ $status = 0 ] || failed=1
done
exit $failed
