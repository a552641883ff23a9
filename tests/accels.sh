#!/bin/sh
# accels.sh BUILD [FILE...]: the boot, control and processor tests once more under the executors that are not the
# default: the interpreter, and both in lockstep. ACCELS, and SLOW (a factor for time limits), from the environment.
# Files: some of tests/boot/*.t, tests/control/*.t and the programs of tests/cpu; all of them without. 80-aarch64 is left
# out, which does not run this build. A line a file goes to BUILD/accels.log, all output to BUILD/accels.out.
set -u
src=$(cd "$(dirname "$0")/.." && pwd)
cd "${1:?usage: accels.sh BUILD [FILE...]}" || exit
shift
[ $# -gt 0 ] || set -- tests/cpu/*_test "$src"/tests/boot/*.t "$src"/tests/control/*.t
export SRC="$src" DRAGOMAN="${DRAGOMAN:-$PWD/dragoman}"
: >accels.log
: >accels.out
bad=0
for accel in ${ACCELS:-interp tcg,verify=on}; do
    export ACCEL=$accel
    for f; do
        case $f in */80-aarch64.t) continue ;; esac
        from=$(date +%s)
        echo "### ACCEL=$accel $f" >>accels.out
        case $f in *.t) run="/bin/sh $f" ;; *) run=$f ;; esac
        $run >accels.one 2>&1
        status=$?
        cat accels.one >>accels.out
        if grep -q '^1\.\.0 # SKIP' accels.one; then
            result="SKIP $(sed -n 's/^1\.\.0 # SKIP //p' accels.one)"
        elif [ $status = 0 ] && ! grep -q '^not ok' accels.one; then
            result="PASS $(grep -c '^ok' accels.one) checks"
        else
            result="FAIL status $status, $(grep -c '^not ok' accels.one) of $(grep -cE '^(not )?ok' accels.one) checks"
            bad=1
        fi
        echo "$accel ${f##*/}: $result, $(($(date +%s) - from)) s" | tee -a accels.log
    done
done
rm -f accels.one
exit $bad
