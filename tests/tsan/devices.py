"""devices.py WORK SECONDS: runs the guest of 20-devices.t and disturbs it from all sides at once."""
import functools
import http.server
import os
import random
import subprocess
import sys
import threading
import time

SRC = os.environ["SRC"]
sys.path[:0] = [os.path.join(SRC, "tests/ui"), os.path.join(SRC, "tests/debug")]
from guest import Guest, free_display, until  # noqa: E402
from rfb import Vnc  # noqa: E402
from rsp import Client, Closed  # noqa: E402

work, seconds = sys.argv[1], int(sys.argv[2])


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=work + "/www"))
threading.Thread(target=server.serve_forever, daemon=True).start()
port, display = server.server_address[1], free_display()
g = Guest("-smp", "2", "-vnc", f":{display}", "-serial", f"file:{work}/console", "-kernel", work + "/guest/bzImage",
          "-initrd", work + "/guest/initrd.img", "-append", f"console=ttyS1 panic=-1 run=stress.sh port={port} seconds={seconds}",
          "-gdb", f"unix:{work}/gdb",
          "-drive", f"file={work}/a.qcow2,format=qcow2,if=virtio", "-device", "ahci,id=ahci0",
          "-drive", f"file={work}/b.img,format=raw,if=none,id=hd", "-device", "ide-hd,bus=ahci0.0,drive=hd",
          "-netdev", "user,id=n2", "-device", "virtio-net-pci,netdev=n2",
          "-netdev", "user,id=n3,net=10.0.3.0/24", "-device", "e1000,netdev=n3", boot_sector=False, memory="256")
done = threading.Event()
counts = {"viewers": 0, "updates": 0, "dumps": 0, "queries": 0, "pauses": 0, "debugger's stops": 0}
trouble = []


def viewer(n):
    rng = random.Random(n)
    while not done.is_set():
        try:
            v = Vnc(5900 + display)
            counts["viewers"] += 1
            for _ in range(rng.randrange(1, 5)):
                v.screen(rng.random())
                v.press(0x61)
                v.pointer(rng.randrange(640), rng.randrange(400), rng.randrange(2))
                counts["updates"] += 1
            v.ask(False)  # and away, whatever the server is sending
            v.close()
        except (OSError, EOFError):  # slow under ThreadSanitizer; that the server died shows elsewhere
            time.sleep(0.2)
        except Exception as e:
            trouble.append(f"viewer: {e!r}")
            return
        time.sleep(rng.random() / 2)


def monitor():
    rng = random.Random(99)
    hmp = ("info jit", "info registers -a", "info network", "info mtree", "info block", "info pic", "info vnc", "info status",
           "info chardev", "info qtree", "x /8i $pc", "log cpu_reset,trace:i8259*", "log none")
    qmp = ("query-status", "query-cpus-fast", "query-block", "query-blockstats", "query-vnc", "query-chardev", "query-pci")
    while not done.is_set():
        try:
            what = rng.randrange(12)
            if what == 0:
                g.qmp("screendump", filename=f"{work}/dump.ppm")
                counts["dumps"] += 1
            elif what == 1:
                g.qmp("stop")
                time.sleep(0.05)
                g.qmp("cont")
                counts["pauses"] += 1
            elif what < 6:
                g.qmp("human-monitor-command", command_line=rng.choice(hmp))
            else:
                g.qmp(rng.choice(qmp))
            counts["queries"] += 1
        except Exception as e:
            try:
                g.proc.wait(60)  # the guest may just have ended: the socket goes before the process
            except subprocess.TimeoutExpired:
                trouble.append(f"monitor: {e!r}")
            return
        time.sleep(0.05)


def debugger():
    """Comes, looks, steps, sets a breakpoint and a watchpoint, lets the guest run and stops it again, goes."""
    rng = random.Random(7)
    while not done.is_set():
        try:
            c = Client(work + "/gdb")
            c.start()
            c.ask("Hg%x" % rng.randrange(1, 5))
            regs = bytes.fromhex(c.ask("g"))
            sp, pc = (int.from_bytes(regs[8 * n:8 * n + 8], "little") for n in (7, 16))
            c.ask("m%x,40" % pc)
            for _ in range(rng.randrange(3)):
                c.ask("vCont;s")
            for command in ("Z1,%x,1" % pc, "Z2,%x,8" % sp):
                c.ask(command)
            c.send("vCont;c")
            time.sleep(rng.random() / 10)
            c.raw(b"\3")
            if c.packet()[1].startswith(b"T"):
                counts["debugger's stops"] += 1
            c.ask("D")
            c.close()
        except (OSError, ValueError, AssertionError, Closed):  # the monitor's stop and cont come in between
            pass
        time.sleep(1 + rng.random())


threads = [threading.Thread(target=viewer, args=(n,)) for n in range(3)]
threads += [threading.Thread(target=monitor), threading.Thread(target=debugger)]
def is_up():
    with open(work + "/console", "rb") as f:
        return b" is up after" in f.read() or g.proc.poll() is not None


limit = time.monotonic() + (600 + 20 * seconds) * int(os.environ.get("SLOW", "1"))
until(600 * int(os.environ.get("SLOW", "1")), is_up)  # booting goes on for long when it is stopped again and again
for t in threads:
    t.start()
while time.monotonic() < limit and g.proc.poll() is None and not trouble:
    time.sleep(0.5)
ended = g.proc.poll()
done.set()
for t in threads:
    t.join(30)
if ended is None:
    g.proc.kill()
print("#", ", ".join(f"{n} {what}" for what, n in counts.items()))
for line in trouble + g.output().splitlines()[-5:]:
    print("#", line)
sys.exit(0 if ended in (0, 66) and not trouble and all(counts.values()) else 1)
