#!/usr/bin/python3
"""How much faster vectors, AES and x87 are than under another emulator: `make check-isa-speed QEMU='...'`.

    isa_speed.py [-o FOLDER] [-n ROUNDS] 'EMULATOR COMMAND' 'OTHER EMULATOR COMMAND'

A guest runs isa_work.c (built here) and Debian's openssl. Each command gets -m, -kernel and so on appended; they are
run in turn. What counts is the host's processor time between the lines that the guest prints before and after a
workload (for openssl, which works for three seconds whatever comes out, bytes for each such second), so that others
on the machine disturb little; the best of the rounds counts. Prints TAP, and fails when a result differs from the
native one or a ratio is below its limit."""
import argparse
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
LIMITS = {"matrix-tiles": 15, "matrix-plain": 15, "aes-256-ctr": 5, "x87": 5, "x87-filter": 5}
FACTOR = 20
SPEED = "openssl speed -evp aes-256-ctr -seconds 3 -bytes 16384"


def copy_program(root, path):
    files = [path] + [w for line in subprocess.run(["ldd", path], capture_output=True, text=True).stdout.splitlines()
                      for w in line.split() if w.startswith("/")]
    for f in files:
        os.makedirs(os.path.dirname(root + f), exist_ok=True)
        shutil.copy(os.path.realpath(f), root + f)


def build(out):
    extra, guest = out + "/extra", out + "/guest"
    program = out + "/isa_work"
    os.makedirs(extra, exist_ok=True)
    subprocess.run([os.environ.get("CC", "gcc"), "-O2", "-mavx2", "-mfma", "-fno-math-errno", "-static", "-o", program,
                    HERE + "/isa_work.c"], check=True)
    shutil.copy(program, extra + "/isa_work")
    copy_program(extra, shutil.which("openssl"))
    with open(extra + "/work", "w") as f:
        f.write(f"/isa_work {FACTOR}\nexport PATH=/bin:/usr/bin\nmkdir -p /usr/lib/ssl; : >/usr/lib/ssl/openssl.cnf\n"
                f"{SPEED.replace('-seconds 3', '-seconds 1')} >/dev/null 2>&1\n"
                f"echo begin aes-256-ctr\n{SPEED} 2>&1 | grep Doing\necho end aes-256-ctr =\n")
    if os.path.exists(guest + "/initrd.img"):
        os.remove(guest + "/initrd.img")
    subprocess.run(["sh", HERE + "/../../scripts/guest.sh", guest], check=True, stdout=subprocess.DEVNULL,
                   env=dict(os.environ, GUEST_EXTRA=extra))
    return guest, program


def native(program):
    out = subprocess.run([program, str(FACTOR)], check=True, capture_output=True, text=True).stdout
    return dict(line.split()[1:] for line in out.splitlines() if line.startswith("end "))


def cpu_time(pid):
    total = 0
    for tid in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{tid}/schedstat") as f:
            total += int(f.read().split()[0])
    return total / 1e9


def emulate(command, guest):
    """Results by workload, and seconds of the host's processor (for openssl: for each GiB)."""
    p = subprocess.Popen(command.split() + ["-m", "256", "-nographic", "-no-reboot", "-kernel", guest + "/bzImage", "-initrd",
                                            guest + "/initrd.img", "-append", "console=ttyS0 quiet panic=-1 run=work"],
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    results, times, start, size = {}, {}, 0, 0
    try:
        for raw in p.stdout:
            line = raw.decode(errors="replace")
            words = line.split()
            doing = re.search(r"on (\d+) size blocks: (\d+) ", line)
            if doing:
                size = int(doing[1]) * int(doing[2]) / 2**30
            elif words[:1] == ["begin"]:
                start, size = cpu_time(p.pid), 0
            elif words[:1] == ["end"] and len(words) == 3:
                results[words[1]] = words[2]
                times[words[1]] = (cpu_time(p.pid) - start) / (size or 1)
                if words[1] == "aes-256-ctr":
                    if not size:
                        del results[words[1]]
                    break
    finally:
        p.kill()
        p.wait()
    return results, times


def main():
    a = argparse.ArgumentParser()
    a.add_argument("-o", default="/tmp/isa-speed")
    a.add_argument("-n", type=int, default=2)
    a.add_argument("emulator", nargs=2)
    args = a.parse_args()
    guest, program = build(args.o)
    want = native(program)
    want["aes-256-ctr"] = "="
    best, wrong = [{}, {}], {}
    for _ in range(args.n):
        for n, command in enumerate(args.emulator):
            results, times = emulate(command, guest)
            for name in LIMITS:
                if results.get(name) != want[name]:
                    wrong[name] = f"{command}: {results.get(name)} instead of {want[name]}"
                else:
                    best[n][name] = min(times[name], best[n].get(name, times[name]))
    for n, (name, limit) in enumerate(LIMITS.items()):
        ours, theirs = best[0].get(name), best[1].get(name)
        ratio = theirs / ours if ours and theirs else 0
        print(f"{'ok' if ratio >= limit and name not in wrong else 'not ok'} {n + 1} - {name}: "
              f"{ours or 0:.3f} s beside {theirs or 0:.3f} s, x{ratio:.1f} (at least {limit})")
        if name in wrong:
            print("# WRONG:", wrong[name])
    print(f"1..{len(LIMITS)}")
    return any(best[1].get(name, 0) < limit * best[0].get(name, 1) for name, limit in LIMITS.items()) or bool(wrong)


sys.exit(main())
