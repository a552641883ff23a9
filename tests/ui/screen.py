"""The screen through screen dumps and VNC: what is shown, keys of every kind, passwords, several viewers, a
viewer that stalls, and what an idle machine costs."""
import os
import struct
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rfb
from guest import Guest, done, free_display, ok, png_to_ppm, ppm_pixel, ppm_size, until

display = free_display()
unix = f"/tmp/dragoman-ui-{os.getpid()}"
g = Guest("-vnc", f":{display},websocket={5300 + display}", "-snapshot")
ok(g.has("ready>"), "the boot sector is there")
v = rfb.Vnc(5900 + display)


def same(viewer):
    """The text cursor may blink between two looks."""
    viewer.screen(0.2)
    return viewer.ppm() == g.dump()


ok(until(10, lambda: same(v)) and (v.width, v.height) == (720, 400) and b"\xaa" in v.pixels,
   "VNC shows what the screen dump has")
ok(until(10, lambda: png_to_ppm(g.dump("png")) == g.dump()), "PNG has the same pixels as PPM")
ok(v.name == "Dragoman (dragoman)" and v.ext_keys, "the server has a name and extended keys")

v.type("Hello, (VNC)\n")
ok(g.has("Hello, (VNC)", 10), "keysyms type, with shift where it takes one")
for number in (0x2a, 0x1e):
    v.ext_key(number, 1)
for number in (0x1e, 0x2a):
    v.ext_key(number, 0)
ok(g.has("\nA", 10), "extended keys type")
g.qmp("send-key", keys=[{"type": "qcode", "data": "b"}], hold_time=20)
g.qmp("send-key", keys=[{"type": "number", "data": 0x2e}], hold_time=20)
ok(g.has("Abc", 10), "send-key types")
g.hmp("sendkey shift-d 20")
ok(g.has("AbcD", 10), "sendkey types")
for down in (True, False):
    g.qmp("input-send-event", events=[{"type": "key", "data": {"down": down, "key": {"type": "qcode", "data": "e"}}}])
ok(g.has("AbcDe", 10), "input-send-event types")
w = rfb.Vnc(5300 + display, websocket=True)
w.type("f")
ok(g.has("AbcDef", 10), "a viewer by websocket types")
ok(until(10, lambda: same(w)), "and sees the same")
info = g.qmp("query-vnc")
ok(info["enabled"] and len(info["clients"]) == 2 and info["auth"] == "none", "query-vnc knows both viewers")
ok(g.qmp("query-vnc-servers")[0]["server"][1]["websocket"], "query-vnc-servers tells of the websocket")
w.close()
ok(until(10, lambda: len(g.qmp("query-vnc")["clients"]) == 1), "a viewer that goes is forgotten")
def both():  # an answer brings the events before it
    g.qmp("query-status")
    return "VNC_INITIALIZED" in g.events and "VNC_DISCONNECTED" in g.events


ok(until(10, both), "and both were events")

v.ext_key(0x3c, 1)
v.ext_key(0x3c, 0)
ok(until(20, lambda: ppm_size(g.dump()) == (640, 480) and ppm_pixel(g.dump(), 0, 0) == (255, 255, 255)),
   "VBE: 640x480, painted white through the window")
v.screen(0.5)
ok((v.width, v.height) == (640, 480) and v.pixel(0, 0) == (255, 255, 255) and v.pixel(5, 400) == (0, 0, 0),
   "the viewer follows the new size")
v.ext_key(0x3d, 1)
v.ext_key(0x3d, 0)
ok(until(20, lambda: ppm_size(g.dump()) == (720, 400)) and g.has("ready>", 10), "and back to text")

# A viewer that asks and never reads: the guest and the others go on.
stalled = [rfb.Vnc(5900 + display) for _ in range(3)]
for s in stalled:
    for _ in range(2000):
        try:
            s.sock.settimeout(0.05)
            s.ask(False)
        except OSError:
            break
start = time.time()
g.qmp("send-key", keys=[{"type": "qcode", "data": "s"}], hold_time=1)
ok(g.has("ready>s", 5) and time.time() - start < 5, f"with stalled viewers a key takes {time.time() - start:.2f} s")
longest = 0
for _ in range(20):
    start = time.time()
    g.qmp("query-status")
    longest = max(longest, time.time() - start)
ok(longest < 1, f"and the machine answers within {longest * 1000:.0f} ms")
for s in stalled:
    s.close()
ok(until(20, lambda: len(g.qmp("query-vnc")["clients"]) == 1), "they are forgotten")

v.screen(0.5)
before, start = g.cpu(), time.time()
v.screen(3)
used = (g.cpu() - before) / (time.time() - start) * 100
ok(used < 5, f"an idle machine with a viewer takes {used:.1f} % of a processor")
# A viewer that sends one byte and waits holds nobody up.
slow = rfb.socket.create_connection(("127.0.0.1", 5900 + display))
time.sleep(0.02)
slow.sendall(b"R")
time.sleep(0.3)
before, start = g.cpu(), time.time()
v.screen(6)
ok(g.cpu() - before < 1, f"a viewer that says one byte costs {g.cpu() - before:.2f} s of 6")
slow.close()
# Rubbish does no harm.
for junk in (b"GET / HTTP/1.0\r\n\r\n", b"RFB 003.008\n\xff" + bytes(300), os.urandom(500)):
    with rfb.socket.create_connection(("127.0.0.1", 5900 + display)) as s:
        s.sendall(junk)
v.screen(0.5)
ok(g.qmp("query-status")["running"], "rubbish does no harm")
ok(g.close() == 0, "the program ends")

g = Guest("-display", f"vnc=unix:{unix},password=on", boot_sector=False)
try:
    rfb.Vnc(path=unix, password="secret")
    ok(False, "nobody gets in before there is a password")
except PermissionError:
    ok(True, "nobody gets in before there is a password")
g.hmp("change vnc password secret")
try:
    rfb.Vnc(path=unix, password="wrong")
    ok(False, "a wrong password is refused")
except PermissionError:
    ok(True, "a wrong password is refused")
try:
    ok(rfb.Vnc(path=unix, password="secret").width > 0, "the right one is not, by Unix socket")
except PermissionError as e:
    ok(False, f"the right one is not: {e}")
g.qmp("expire_password", protocol="vnc", time="now")
try:
    rfb.Vnc(path=unix, password="secret")
    ok(False, "an expired one is refused")
except PermissionError:
    ok(True, "an expired one is refused")
g.close()
ok(not os.path.exists(unix), "the socket is removed")

g = Guest("-object", "secret,id=pw,data=open", "-vnc", f":{display},password-secret=pw", "-vga", "none",
          boot_sector=False)
ok(rfb.Vnc(5900 + display, password="open").width == 640, "a secret is a password; a machine without a screen is dark")
g.close()
done()
