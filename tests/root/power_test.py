"""Write load that ends with the guest's power-off or with kill -9 of the emulator, behind each controller in turn."""
import base64
import hashlib
import os
import random
import re
import subprocess
import sys
import tempfile
import time

from machine import CONTROLLERS, SRC, Machine, base_image, check_file_system, done, img, ok, take

RUNS = int(os.environ.get("RUNS", "4"))  # of each kind
seed = int(os.environ.get("SEED", "0")) or random.randrange(1, 1 << 31)
rng = random.Random(seed)
FULL = bool(os.environ.get("FULL"))
base = base_image()
folder = tempfile.mkdtemp(prefix="root-power.", dir=os.path.dirname(base))
kinds = os.environ.get("KINDS", "poweroff kill").split()
only = os.environ.get("CONTROLLERS", " ".join(CONTROLLERS)).split()
print(f"# seed {seed}, {RUNS} runs of each kind")
with open(os.path.join(SRC, "tests/root/load.sh"), "rb") as f:
    LOAD = base64.encodebytes(f.read()).decode()
totals = {"synced": 0, "files": 0, "leaks": 0, "lazy": 0, "replays": 0}


def start(over, name, options):
    """A guest with a shell. FULL=1: SeaBIOS, GRUB, systemd, a login; otherwise the kernel is loaded and starts the shell."""
    if FULL:
        m = Machine(over, name, options)
        return m, m.login()
    where = os.path.dirname(base)
    m = Machine(over, name, options, "-kernel", f"{where}/vmlinuz", "-initrd", f"{where}/initrd.img", "-append",
                "root=LABEL=root rw console=ttyS0 quiet panic=1 init=/bin/bash")
    return m, m.shell()


def start_load(m):
    status, _ = m.run(f"base64 -d >/root/load.sh <<'E'\n{LOAD}E")
    m.send("sh /root/load.sh & true\n")
    return status == 0 and m.wait(60, "load runs")


def promised(console):
    """For each file the number and the sum that were last told of; and how many were."""
    told = re.findall(rb"^S (\S+) (\d+) ([0-9a-f]{64})\r?$", console, re.M)
    return {name.decode(): (int(n), value.decode()) for name, n, value in told}, len(told)


def wrong_files(raw, files):
    """Reads the files under /load with debugfs; those that are older than they must be, or not what they say."""
    wrong = []
    with tempfile.TemporaryDirectory(dir=folder) as out:
        script = "".join(f"dump /load/{n} {out}/{n.replace('/', '-')}\n" for n in files)
        subprocess.run(["debugfs", "-f", "-", f"{raw}?offset={1 << 20}"], input=script, text=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for name, (number, value) in files.items():
            path = f"{out}/{name.replace('/', '-')}"
            if not os.path.exists(path):
                wrong.append(f"{name} is not there")
                continue
            with open(path, "rb") as f:
                head = f.readline()
                rest = hashlib.sha256(f.read()).hexdigest()
            m = re.fullmatch(rb"(\d+) ([0-9a-f]{64})\n", head)
            if not m or m[2].decode() != rest or int(m[1]) < number or (int(m[1]) == number and rest != value):
                wrong.append(f"{name}: {head[:80]} with the sum {rest}; told of: {number} {value}")
    return wrong


def end(m, kind):
    """Ends the run at a random moment of the load; whether it ended as it should."""
    m.wait(60, r"^S ")
    time.sleep(rng.uniform(0, 20))
    if kind == "kill":
        m.kill()
        return True
    if FULL and rng.random() < 0.5:
        m.qmp("system_powerdown")  # the button
    else:
        # Without systemd: at once, with nothing unmounted.
        m.send("poweroff\n" if FULL else "poweroff -f -f\n")
    return m.end() == 0


def judge(m, over, what, kind, lazy):
    good = True
    # The image: at most leaked clusters after a kill, nothing after a power-off; both programs say the same. With lazy
    # refcounts the kill leaves the dirty bit, and refcounts that are to be made anew.
    ours, theirs = img("check", over), img("check", over, tool="qemu-img")
    dirty = lazy and kind == "kill"
    allowed = (0, 2, 3) if dirty else (0, 3) if kind == "kill" else (0,)
    same = [re.findall(r"\d+ leaked|\d+ errors|.*allocated.*", t) for t in (ours[1], theirs[1])]
    if ours[0] not in allowed or theirs[0] != ours[0] or same[0] != same[1]:
        good = False
        print(f"# img check: {ours[0]} {ours[1][-500:]}\n# qemu-img check: {theirs[0]} {theirs[1][-500:]}".replace("\n", "\n# "))
    totals["leaks"] += ours[0] == 3
    totals["lazy"] += ours[0] == 2
    if ours[0] in (2, 3):
        tool = None if rng.random() < 0.5 else "qemu-img"
        fixed = img("check", "-r", "all" if ours[0] == 2 else "leaks", over, tool=tool)
        again = img("check", over, tool="qemu-img")[0], img("check", over)[0]
        if again != (0, 0):
            good = False
            print(f"# after {tool or 'img'} check -r: {fixed} {again}".replace("\n", "\n# "))
    # The contents, by both programs.
    first, second = (None, "qemu-img") if rng.random() < 0.5 else ("qemu-img", None)
    raw = take(folder, "flat.raw")
    status, text = img("convert", "-O", "raw", over, raw, tool=first)
    compare = img("compare", over, raw, tool=second)
    if status or compare[0]:
        good = False
        print(f"# {first or 'img'} convert: {status} {text}; {second or 'img'} compare: {compare}")
    # The file system: the journal, then clean; what was synced is there.
    journal, clean, text = check_file_system(raw)
    totals["replays"] += "recovering journal" in text
    if clean:
        good = False
        print("# e2fsck:", text.replace("\n", "\n# "))
    files, synced = promised(m.console)
    totals["synced"] += synced
    totals["files"] += len(files)
    wrong = wrong_files(raw, files)
    if wrong or not synced:
        good = False
        print("# synced files:", "\n# ".join(wrong) or "none")
    os.unlink(raw)
    return good, f"{what}: {synced} synced, {len(files)} files, img check {ours[0]}"


for n in range(RUNS):
    name = only[n % len(only)]
    for kind in kinds:
        what = f"run {n + 1} {kind} {name}"
        over = take(folder, "over.qcow2")
        options = rng.choice(("", ",discard=unmap", ",discard=unmap,detect-zeroes=unmap", ",cache=none"))
        create = rng.choice(("", "lazy_refcounts=on", "cluster_size=16k", "extended_l2=on,cluster_size=128k"))
        img("create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", *(["-o", create] if create else []), over)
        m, came = start(over, name, options)
        if not came or not start_load(m):
            ok(False, f"{what}: boots and starts the load")
            m.show(30)
            m.tidy()
            continue
        if not end(m, kind):
            ok(False, f"{what}: ends with status 0")
            m.show(30)
            m.tidy()
            continue
        m.tidy()
        good, text = judge(m, over, what, kind, "lazy" in create)
        if not ok(good, f"{text} ({options} {create})"):
            os.rename(over, os.path.join(folder, f"bad-{n}-{kind}.qcow2"))
            with open(os.path.join(folder, f"bad-{n}-{kind}.console"), "wb") as f:
                f.write(m.console)
            continue
        # Once for each controller the guest itself comes up again from what the kill left.
        if kind == "kill" and n >= RUNS - len(only):
            m = Machine(over, name, options)
            came = m.login()
            status, text = m.run("rm -rf /load && sync && touch /after && systemctl is-system-running --wait", 120)
            ok(came and status == 0 and text == "running", f"{what}: Debian boots again from it ({text})")
            m.send("poweroff\n")
            m.end()
            m.tidy()
        os.unlink(over)
if not os.listdir(folder):
    os.rmdir(folder)
print(f"# {totals['synced']} synced writes to {totals['files']} files checked; {totals['replays']} journals replayed; "
      f"{totals['leaks']} images with leaked clusters, {totals['lazy']} with lazy refcounts to be made anew; seed {seed}")
sys.stdout.flush()
done()
