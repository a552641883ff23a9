import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from guest import DRAGOMAN, Guest, done, keep, ok, ppm_size, until
from x11 import Xvfb, contains

x = Xvfb()
manager = x.spawn("openbox")
g = Guest("-display", "sdl", "-name", "windowed", env=x.env)
ok(g.has("ready>"), "the guest is there")
window = x.window("windowed - Dragoman")
ok(window is not None, "the window has the machine's name")
x.run("xdotool", "windowfocus", window)
ok(until(20, lambda: contains(x.picture(), g.dump()) is not None), "the window has the guest's pixels")
x.type("Typed in the window, (shifted)")
ok(g.has("Typed in the window, (shifted)", 20), "what is typed there arrives")
keep("sdl-text", x.picture())
x.key("F2")
ok(until(20, lambda: ppm_size(g.dump()) == (640, 480)), "a function key switches to graphics")
ok(until(20, lambda: contains(x.picture(), g.dump()) is not None), "the window follows")
keep("sdl-graphics", x.picture())
x.key("F3")
ok(g.has("ready>", 10), "and back")
g.qmp("stop")
ok(x.window("windowed - Dragoman .Paused.") is not None, "the title says that the machine is paused")
g.qmp("cont")
x.key("ctrl+alt+f")
time.sleep(2)
ok(until(10, lambda: x.picture(window).split(b"\n")[1].split()[0] == b"1280"), "Ctrl-Alt-F: full screen")
x.key("ctrl+alt+f")
time.sleep(1)
x.run("xdotool", "windowsize", window, "1000", "700")
ok(until(10, lambda: x.picture(window).split(b"\n")[1] == b"1000 700"), "the window can be resized")
before, start = g.cpu(), time.time()
time.sleep(5)
used = (g.cpu() - before) / (time.time() - start) * 100
ok(used < 10, f"idle it takes {used:.1f} % of a processor (drawn in software)")
ok(g.close() == 0, "the program ends")
manager.terminate()
x.close()

# A display that nobody can open: no window that nobody sees.
env = {k: v for k, v in os.environ.items() if k not in ("WAYLAND_DISPLAY", "SDL_VIDEODRIVER")} | {"DISPLAY": ":987"}
g = Guest(env=env)
ok("no window (SDL: no X or Wayland display" in g.output() and "VNC server running on 127.0.0.1:" in g.output(),
   "without a display that can be opened VNC is served")
g.close()
r = subprocess.run([*DRAGOMAN, "-S", "-display", "sdl"], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
ok(r.returncode and "-display sdl: SDL: no X or Wayland display can be opened (DISPLAY=:987)" in r.stderr, "-display sdl is an error then")
done()
