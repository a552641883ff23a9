import os
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from guest import Guest, done, free_display, keep, ok, until
from x11 import Xvfb, contains

display = free_display()
x = Xvfb()
g = Guest("-vnc", f":{display}", "-device", "virtio-tablet-pci")
g.hmp("info vnc")
ok(g.has("ready>"), "the guest is there")
viewer = x.spawn("xtigervncviewer", "-RemoteResize=0", f"127.0.0.1::{5900 + display}")
window = x.window("Dragoman")
ok(window is not None, "TigerVNC's viewer connects")
x.run("xdotool", "windowfocus", window)
x.run("xdotool", "mousemove", "--window", window, "300", "380", "click", "1")
time.sleep(1)
x.type("Typed in TigerVNC!")
ok(g.has("Typed in TigerVNC!", 20), "what is typed there arrives")
# The text cursor blinks: the picture must agree at some time.
ok(until(20, lambda: contains(x.picture(), g.dump(), 0) is not None), "and its window has the guest's pixels")
keep("tigervnc", x.picture())
before, start = g.cpu(), time.time()
time.sleep(5)
used = (g.cpu() - before) / (time.time() - start) * 100
ok(used < 5, f"idle it takes {used:.1f} % of a processor")
viewer.send_signal(signal.SIGSTOP)
g.qmp("send-key", keys=[{"type": "qcode", "data": "f2"}])
time.sleep(2)
start = time.time()
g.qmp("send-key", keys=[{"type": "qcode", "data": "f3"}], hold_time=1)
ok(g.has("ready>", 10) and time.time() - start < 10, "a stopped viewer does not stop the guest")
viewer.send_signal(signal.SIGCONT)
viewer.terminate()
viewer.wait()
ok(until(10, lambda: not g.qmp("query-vnc")["clients"]), "when it ends it is forgotten")
ok(g.close() == 0, "the program ends")
x.close()
done()
