"""A desktop in a Debian guest: the pointer moves absolutely, typed text appears, an idle desktop costs little, and viewers that
stall or die do not matter. Arguments: the folder of desktop.sh, an adapter (std, virtio), a desktop (x, weston).
SHOTS=FOLDER keeps pictures."""
import os
import re
import sys
import tempfile
import time
from statistics import median

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../ui"))
import rfb
from guest import Guest, done, free_display, ok, ppm_pixel, ppm_size, until

folder, vga, desktop = sys.argv[1:4]
BACK = (0x20, 0x40, 0x60)
ESCAPE = 0xff1b
LINES = 20000
SECONDS = int(os.environ.get("DESKTOP_SECONDS", "900"))
shots = os.environ.get("SHOTS")
name = f"-vga {vga}, {desktop}"
work = tempfile.TemporaryDirectory(prefix="dragoman-desktop.")
console = os.path.join(work.name, "serial")


def serial():
    try:
        with open(console, errors="replace") as f:
            return f.read()
    except OSError:
        return ""


def said(pattern, seconds):
    """The match of a line on the serial port, waited for so long."""
    until(seconds, lambda: re.search(pattern, serial(), re.M), 0.5)
    return re.search(pattern, serial(), re.M)


def keep(what):
    if shots:
        os.makedirs(shots, exist_ok=True)
        with open(f"{shots}/{desktop}-{vga}-{what}.png", "wb") as f:
            f.write(g.dump("png"))


def changed(a, b, near=None):
    """The box of the pixels that differ between two dumps of one size: x0, y0, x1, y1 (inclusive), or None. With near, only
    those at most 64 pixels from that place."""
    width, height = ppm_size(a)
    a, b = a.split(b"\n", 3)[3], b.split(b"\n", 3)[3]
    box = None
    for y in range(height):
        if near and abs(y - near[1]) > 64:
            continue
        at = 3 * width * y
        if a[at:at + 3 * width] == b[at:at + 3 * width]:
            continue
        for x in range(width):
            if near and abs(x - near[0]) > 64:
                continue
            if a[at + 3 * x:at + 3 * x + 3] != b[at + 3 * x:at + 3 * x + 3]:
                box = [x, y, x, y] if not box else [min(box[0], x), box[1], max(box[2], x), y]
    return box


def settled(seconds=30, pause=1.0):
    """A dump that stays the same for a while."""
    end = time.time() + seconds
    last = g.dump()
    while time.time() < end:
        time.sleep(pause)
        now = g.dump()
        if now == last:
            return now
        last = now
    return last


def dark(dump, box):
    """How many pixels of a box are darker than middle grey."""
    return sum(sum(ppm_pixel(dump, x, y)) < 384 for y in range(box[1], box[3]) for x in range(box[0], box[2]))


def type_line(text):
    for c in text + "\n":
        v.type(c)
        time.sleep(0.02)


def count_seconds(mark):
    """How long the guest takes for drawing a fixed number of lines in its terminal."""
    type_line(f"s=$(date +%s%N); seq {LINES}; e=$(date +%s%N); clear; echo {mark}=$(((e-s)/1000000)) >/dev/ttyS0")
    m = said(rf"^{mark}=(\d+)", 120)
    return int(m.group(1)) / 1000 if m else None


display = free_display()
g = Guest("-vga", vga, "-vnc", f":{display}", "-device", "virtio-tablet-pci", "-kernel", f"{folder}/vmlinuz", "-initrd",
          f"{folder}/initrd.img", "-append", f"root=/dev/vda rw console=ttyS0 quiet desktop={desktop}", "-drive",
          f"file={folder}/root.img,format=raw,if=virtio,snapshot=on", "-nic", "none", boot_sector=False, memory="768",
          serial=f"file:{console}")
v = rfb.Vnc(5900 + display)
begin = time.time()
ok(said(r"^desktop: ready", SECONDS), f"{name}: the terminal is up after {time.time() - begin:.0f} s")
if desktop == "x":  # the window comes when the window manager takes it
    ok(until(120, lambda: ppm_size(g.dump()) == (1280, 800) and ppm_pixel(g.dump(), 400, 250) == (255, 255, 255), 1),
       f"{name}: its window is on the screen")
time.sleep(5)
first = settled()
keep("1-up")
size = ppm_size(first)
ok(size == (1280, 800), f"{name}: on {size[0]}x{size[1]}")
w, h = size
ok(all(ppm_pixel(first, x, y) == BACK for x, y in ((w - 300, h - 60), (w - 40, h // 2 + 100))), f"{name}: the background is there")
v.screen(1)
v.pointer(w - 10, h - 10)
v.screen(1)

# The pointer: where it is told to be, from anywhere, without way.
for place in ((1000, 650), (w - 200, 300), (700, 720)):
    v.pointer(w - 10, h - 10)
    time.sleep(1.5)
    before = settled()
    v.pointer(*place)
    time.sleep(1.5)
    after = settled()
    box = changed(before, after, place)
    if vga == "std" or desktop == "weston":  # Weston without OpenGL draws it itself, too
        good = box and box[0] <= place[0] <= box[2] and box[1] <= place[1] <= box[3] and box[2] - box[0] <= 48
        ok(good, f"{name}: the guest draws its pointer at {place}: {box}")
    else:
        # A plane of its own, which is not in the dump; the viewer sees the guest's shape at the place.
        v.screen(1)
        box = changed(after, v.ppm(), place)
        ok(box and box[0] <= place[0] <= box[2] and box[1] <= place[1] <= box[3] and box[2] - box[0] <= 48,
           f"{name}: the guest's pointer is at {place}: {box}")

if desktop == "x":
    # The window manager's menu opens where the guest believes the pointer to be.
    for place in ((900, 150), (800, 600)):
        before = settled()
        v.pointer(*place)
        v.pointer(*place, 4)
        time.sleep(0.1)
        v.pointer(*place)
        time.sleep(2)
        after = settled()
        keep(f"2-menu-{place[0]}")
        box = changed(before, after)
        near = changed(before, after, place)
        ok(box and near and box[2] - box[0] >= 60 and abs(near[0] - place[0]) <= 12 and abs(near[1] - place[1]) <= 12,
           f"{name}: the menu opens at {place}: {box}")
        v.press(ESCAPE)
        time.sleep(1)
    v.pointer(400, 250)
    v.pointer(400, 250, 1)
    v.pointer(400, 250)
    time.sleep(1)
    v.pointer(w - 10, h - 10)  # xterm hides it while one types
    time.sleep(1)

# Typed text: on the screen, and in the guest's shell.
before = settled()
for c in "echo Desktop 17 MMMM":
    v.type(c)
    time.sleep(0.02)
time.sleep(2)
after = settled()
keep("3-typed")
box = changed(before, after)
ok(box and 100 < box[2] - box[0] < 400 and box[3] - box[1] < 40, f"{name}: the typed letters appear in one line: {box}")
if box and desktop == "x":
    # Twenty letters of 9 pixels, the last four the same.
    line = [bytes(after.split(b"\n", 3)[3][3 * (w * y + box[0] - 9):3 * (w * y + box[2] + 10)]) for y in range(box[1], box[3] + 1)]
    ok(abs(box[2] - box[0] - 20 * 9) <= 12, f"{name}: as wide as twenty letters")
    cells = [[row[3 * (9 * n):3 * (9 * n) + 27] for row in line] for n in range(len(line[0]) // 27)]
    ok(any(cells[n] == cells[n + 1] == cells[n + 2] == cells[n + 3] and len(set(cells[n])) > 1 for n in range(len(cells) - 3)),
       f"{name}: MMMM are four equal letters")
type_line("")
type_line("echo typed-$((6*7)) | tee /root/typed >/dev/ttyS0")
ok(said(r"^typed-42", 30), f"{name}: the guest's shell got the line")
type_line("clear")

# An idle desktop with a viewer.
settled()
v.screen(3)
used = []
for _ in range(3):
    before, start = g.cpu(), time.time()
    v.screen(10)
    used.append((g.cpu() - before) / (time.time() - start) * 100)
ok(min(used) < 5, f"{name}: with a viewer, the idle desktop takes {', '.join(f'{u:.1f}' for u in used)} % of a processor")

# Viewers that stall and die, in the middle of updates. The medians count, of times taken in turn: the host's load changes,
# and with much of it takes some more turns. (xterm draws far less when the X server gets no time: single times say nothing.)
alone, beside = [], []
for n in range(8):
    alone.append(count_seconds(f"alone{n}"))
    stalled = [rfb.Vnc(5900 + display) for _ in range(2)]
    for s in stalled:
        for _ in range(20):
            s.ask(False)
    beside.append(count_seconds(f"beside{n}"))
    for s in stalled:
        s.sock.setsockopt(rfb.socket.SOL_SOCKET, rfb.socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        s.close()
    if not alone[-1] or not beside[-1] or n > 1 and median(beside) < 1.5 * median(alone):
        break
ok(all(alone) and all(beside) and median(beside) < 1.5 * median(alone),
   f"{name}: {LINES} lines take {alone} s, and {beside} s beside stalled viewers")
type_line("echo alive-$((40+2)) >/dev/ttyS0")
ok(said(r"^alive-42", 30), f"{name}: viewers that die do no harm")
v.screen(2)
ok(v.pixel(w - 300, h - 60) == BACK, f"{name}: and the living one still sees the desktop")

type_line("systemctl poweroff")
ok(until(120, lambda: g.proc.poll() is not None, 1) and g.proc.returncode == 0, f"{name}: poweroff ends the program")
g.close()
done()
