"""Debian's installer in its text front end, driven by keys over VNC, on both adapters."""
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rfb
from guest import Guest, done, free_display, ok, ppm_pixel, ppm_size, until

BLUE = (0, 0, 170)
RETURN, DOWN = 0xff0d, 0xff54
images = os.environ["installer"]
for vga in ("std", "virtio"):
    display = free_display()
    g = Guest("-vga", vga, "-vnc", f":{display}", "-kernel", f"{images}/linux", "-initrd", f"{images}/initrd.gz",
              "-append", "console=tty0 quiet", boot_sector=False, memory="1G")
    v = rfb.Vnc(5900 + display)
    ok(until(240, lambda: ppm_size(g.dump()) == (1280, 800) and ppm_pixel(g.dump(), 2, 700) == BLUE, 1),
       f"-vga {vga}: the installer's first dialog on 1280x800")
    time.sleep(3)
    before = g.dump()
    v.press(DOWN)
    ok(until(30, lambda: g.dump() != before, 0.5), f"-vga {vga}: the cursor key moves the bar")
    time.sleep(1)
    v.press(RETURN)
    time.sleep(5)
    v.screen(1)
    ok(v.ppm() == g.dump(), f"-vga {vga}: VNC and the screen dump agree")
    first = g.dump()
    v.press(RETURN)
    ok(until(60, lambda: g.dump() != first, 0.5), f"-vga {vga}: and the next dialog comes")
    v.screen(1)
    before, start = g.cpu(), time.time()
    v.screen(5)
    used = (g.cpu() - before) / (time.time() - start) * 100
    print(f"# {used:.1f} % of a processor while the dialog waits")
    v.close()
    ok(g.close() == 0, f"-vga {vga}: the program ends")
done()
