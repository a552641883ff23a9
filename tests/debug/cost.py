# What breakpoints and watchpoints that are not hit cost a guest that computes: iterations a second of
# the processor's thread, with nothing set and with something set in turn. The best of several rounds
# counts, and time is the thread's own, so that a busy host hardly matters.
import atexit
import os
import shlex
import subprocess
import sys
import time

from rsp import Client, finish, ok, until

dragoman = shlex.split(sys.argv[1])
kernel, work, symbols = sys.argv[2:5]
sym = {line.split()[2]: int(line.split()[0], 16) for line in open(symbols)}
path = work + "/c.sock"
guest = subprocess.Popen([*dragoman, "-m", "64", "-nodefaults", "-display", "none", "-accel", os.environ.get("ACCEL", "tcg"),
                          "-kernel", kernel, "-gdb", "unix:%s,arch=i386" % path], stdin=subprocess.DEVNULL)
atexit.register(guest.kill)
SLICE, ROUNDS, MOST = 0.15, 3, 40  # seconds; rounds at least and at most
until(10, lambda: (Client(path).close(), True)[1])
c = Client(path)
c.start()
# The thread that has used most time is the processor's.
folder = "/proc/%d/task" % guest.pid


def used(tid):
    return int(open("%s/%s/schedstat" % (folder, tid)).read().split()[0])  # nanoseconds


def run(seconds):
    c.send("vCont;c")
    time.sleep(seconds)
    c.raw(b"\x03")
    assert c.packet()[1].startswith(b"T02")


def speed():
    run(0.05)  # what is set changes code that was translated
    n, t = c.word(sym["counter"]), used(thread)
    run(SLICE)
    return (c.word(sym["counter"]) - n) * 1e9 / (used(thread) - t)


run(0.5)
thread = max(os.listdir(folder), key=used)


def all_of(packet, start):
    for at in start:
        assert c.ask(packet % at) == "OK"


near = [sym["cold_near%d" % n] + i for n in range(8) for i in range(125)]
far = [sym["cold_far"] + 64 * i for i in range(1000)]
assert len(near) == 1000
page = [sym["watched_page"]]
cases = [  # what, what to set and where, speed that must remain
    ("1,000 breakpoints on pages of their own", "0,%x,1", far, 0.95),
    ("1,000 breakpoints between hot functions", "0,%x,1", near, 0.95),
    ("a write watchpoint on another page", "2,%x,4", page, 0.90),
    ("an access watchpoint on another page", "4,%x,4", page, 0.90),
]
for what, packet, where, least in cases:
    plain, with_it = [], []
    while len(plain) < ROUNDS or (max(with_it) < least * max(plain) and len(plain) < MOST):
        plain.append(speed())
        all_of("Z" + packet, where)
        with_it.append(speed())
        all_of("z" + packet, where)
    ratio = max(with_it) / max(plain)
    ok(ratio >= least, "%s: %.0f of %.0f iterations a second, %.1f %% (%d rounds)"
       % (what, max(with_it), max(plain), 100 * ratio, len(plain)))
finish()
