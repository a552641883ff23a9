#!/usr/bin/python3
"""Guests with compilers of their own: runs work.lua (LuaJIT) and work.js (Node) natively and in a guest under each
emulator, compares what they print, and tells the host's processor time that each workload took.

    run.py [-o FOLDER] [-n RUNS] [-w lua|node] 'EMULATOR COMMAND' ['EMULATOR COMMAND' ...]

The commands get -m, -kernel and so on appended. With two or more, they are run in turn, and the last column is the
last one's time over the first one's (medians). Exits with 1 when an output differs from the native one."""
import argparse
import math
import os
import shutil
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAMS = {"lua": ("luajit", "work.lua"), "node": ("node", "work.js")}


def copy_program(root, program):
    path = shutil.which(program)
    files = [path] + [w for line in subprocess.run(["ldd", path], capture_output=True, text=True).stdout.splitlines()
                      for w in line.split() if w.startswith("/")]
    for f in files:
        to = root + (f if f != path else "/usr/bin/" + program)
        os.makedirs(os.path.dirname(to), exist_ok=True)
        shutil.copy(os.path.realpath(f), to)
    if program == "luajit":
        shutil.copytree("/usr/share/luajit-2.1.0-beta3", root + "/usr/share/luajit-2.1.0-beta3", dirs_exist_ok=True)


def build(out, which):
    extra, guest = out + "/extra", out + "/guest-" + "-".join(which)
    if os.path.exists(guest + "/initrd.img"):
        return guest
    shutil.rmtree(extra, ignore_errors=True)
    os.makedirs(extra)
    with open(extra + "/work", "w") as f:
        for w in which:
            program, script = PROGRAMS[w]
            copy_program(extra, program)
            shutil.copy(os.path.join(HERE, script), extra)
            f.write(f"/usr/bin/{program} /{script}\necho status-{w}=$?\n")
    subprocess.run([os.path.join(HERE, "../../scripts/guest.sh"), guest], check=True, stdout=subprocess.DEVNULL,
                   env=dict(os.environ, GUEST_EXTRA=extra))
    return guest


def native(which):
    lines = []
    for w in which:
        program, script = PROGRAMS[w]
        lines += subprocess.run([program, os.path.join(HERE, script)], check=True, capture_output=True,
                                text=True).stdout.splitlines()
    return dict(line.split(" ", 2)[1:] for line in lines if line.startswith("end "))


def cpu_time(pid):
    total = 0
    for tid in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{tid}/schedstat") as f:
            total += int(f.read().split()[0])
    return total / 1e9


def emulate(command, guest, memory):
    p = subprocess.Popen(command.split() + ["-m", str(memory), "-nographic", "-no-reboot", "-kernel", guest + "/bzImage",
                                            "-initrd", guest + "/initrd.img", "-append",
                                            "console=ttyS0 quiet panic=-1 run=work"],
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    results, times, start, last = {}, {}, 0, []
    try:
        for raw in p.stdout:
            words = raw.decode(errors="replace").strip().split(" ", 2)
            last = (last + [" ".join(words)])[-5:]
            if words[0] == "begin" and len(words) > 1:
                start = cpu_time(p.pid)
            elif words[0] == "end" and len(words) > 2:
                times[words[1]] = cpu_time(p.pid) - start
                results[words[1]] = words[2]
    finally:
        p.kill()
        p.wait()
    return results, times, last


def main():
    a = argparse.ArgumentParser()
    a.add_argument("-o", default="/tmp/guest-jit")
    a.add_argument("-n", type=int, default=1)
    a.add_argument("-w", action="append", choices=list(PROGRAMS))
    a.add_argument("emulator", nargs="+")
    args = a.parse_args()
    which = args.w or list(PROGRAMS)
    want, guest, bad = native(which), build(args.o, which), False
    times = [{name: [] for name in want} for _ in args.emulator]
    for _ in range(args.n):
        for n, command in enumerate(args.emulator):
            got, took, last = emulate(command, guest, 1536 if "node" in which else 256)
            for name, value in want.items():
                if got.get(name) != value:
                    print(f"WRONG: {command}: {name}: {got.get(name)} instead of {value}", *last, sep="\n  ")
                    bad = True
                else:
                    times[n][name].append(took[name])
    ratios = []
    for name in want:
        medians = [statistics.median(t[name]) if t[name] else float("nan") for t in times]
        line = f"{name:18}" + "".join(f" {m:9.2f} s" for m in medians)
        if len(medians) > 1:
            ratios.append(medians[-1] / medians[0])
            line += f"   x{ratios[-1]:.2f}"
        print(line)
    if ratios and not bad:
        print(f"{'geometric mean':18}   x{math.exp(sum(map(math.log, ratios)) / len(ratios)):.2f}")
    return bad


sys.exit(main())
