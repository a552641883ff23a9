"""Debian's installer from its first dialog to the partitioning of a disk: keys over VNC, the dialogs read off screen dumps.
Arguments: the port of installer_mirror.py, an adapter (std, virtio) and more words for the kernel's command line. SHOTS=FOLDER
keeps a picture of each dialog."""
import os
import re
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../ui"))
import ocr
import rfb
from guest import Guest, done, free_display, ok, ppm_pixel, ppm_size, until

BLUE = (0, 0, 170)
HOME, END, BACKSPACE = "\uff50", "\uff57", "\uff08"  # their keysyms
DEBUG = os.environ.get("SHOTS")
SECONDS = int(os.environ.get("INSTALLER_SECONDS", "1800"))
images = os.environ["installer"]
port, vga, words = int(sys.argv[1]), sys.argv[2], " ".join(sys.argv[3:])
MIRROR = f"10.0.2.2:{port}"

# What a dialog says -> what is typed. The first that fits; each ends with the key that leaves the dialog.
ANSWERS = [
    ("Select a language", "\n"),
    ("Select your location", "\n"),
    ("Configure the keyboard", "\n"),
    ("Please enter the hostname for this system", "\n"),
    ("Domain name:", "\n"),
    ("Debian archive mirror country", HOME + "\n"),  # "enter information manually"
    ("Debian archive mirror hostname:", END + 20 * BACKSPACE + MIRROR + "\n"),
    ("Debian archive mirror directory:", "\n"),
    ("HTTP proxy information", "\n"),
    ("Partitioning method", "\n"),
]
# Dialogs that must have been there, in this order.
WANTED = ["Select a language", "Select your location", "Configure the keyboard", "Please enter the hostname for this system",
          "Debian archive mirror country", "Debian archive mirror hostname:", "HTTP proxy information",
          "Partitioning method"]
GOAL = "Select disk to partition"
FAILED = re.compile(r"failed|not supported|No kernel modules|Bad archive|does not seem")

ocr.learn_kernel(f"{images}/linux")
display = free_display()
seen, shots, reason, typed = [], 0, "time is over", False
disk = tempfile.NamedTemporaryFile(prefix="dragoman-installer.")
disk.truncate(4 << 30)
g = Guest("-vga", vga, "-vnc", f":{display}", "-kernel", f"{images}/linux", "-initrd", f"{images}/initrd.gz", "-append",
          f"fb=false quiet debian-installer/allow_unauthenticated=true {words}", "-nic", "user,model=virtio",
          "-drive", f"file={disk.name},format=raw,if=virtio", boot_sector=False,
          memory="1G")
v = rfb.Vnc(5900 + display)
begin = time.time()


def text():
    return "\n".join(ocr.read(g.dump()))


def shot():
    global shots
    shots += 1
    if DEBUG:
        os.makedirs(DEBUG, exist_ok=True)
        with open(f"{DEBUG}/{vga}-{shots:02}.png", "wb") as f:
            f.write(g.dump("png"))


def drive():
    global reason, typed
    before = ""
    while time.time() < begin + SECONDS:
        time.sleep(1)
        t = text()
        if GOAL in t:
            shot()
            reason = ""
            return t
        if "[!" in t and FAILED.search(t):
            shot()
            reason = "a dialog says that something failed"
            return t
        answer = next((a for a in ANSWERS if a[0] in t), None)
        # The same dialog again, while the installer works on what was typed?
        if not answer or t == before or t != text():
            continue
        shot()
        seen.append(answer[0])
        print(f"# {time.time() - begin:4.0f} s: {answer[0]}", flush=True)
        for c in answer[1]:
            if c == "\n" and MIRROR in answer[1]:
                typed = until(30, lambda: MIRROR in text(), 0.5)
                shot()
            v.type(c)
            time.sleep(0.1)
        # Until the dialog has gone, not only shows what was typed.
        end = time.time() + 60
        while answer[0] in (before := text()) and time.time() < end:
            time.sleep(0.5)
        before = "" if answer[0] not in before else before
    return text()


last = drive()
if reason:
    print("# " + reason + "; the screen:\n" + "\n".join("# " + line for line in last.split("\n") if line))
order = [s for n, s in enumerate(seen) if s in WANTED and s not in seen[:n]]
for n, want in enumerate(WANTED):
    ok(n < len(order) and order[n] == want, f"-vga {vga}: dialog {want!r}")
ok(typed, f"-vga {vga}: what is typed appears in its field")
ok(not reason and "Virtual disk 1 (vda) - 4.3 GB" in last,
   f"-vga {vga}: the disk to partition can be chosen, {time.time() - begin:.0f} s after the start")
dump = g.dump()
size = ppm_size(dump)
ok(size == ((720, 400) if "nomodeset" in words else (1280, 800)), f"-vga {vga}: on {size[0]}x{size[1]}")
ok(ppm_pixel(dump, 2, size[1] - 40) == BLUE, f"-vga {vga}: the installer's blue is around the dialog")
v.screen(1)
ok(v.ppm() == g.dump(), f"-vga {vga}: VNC and the screen dump agree")
before, start = g.cpu(), time.time()
v.screen(10)
used = (g.cpu() - before) / (time.time() - start) * 100
ok(used < 5, f"-vga {vga}: with the viewer, {used:.1f} % of a processor while the dialog waits")
v.close()
ok(g.close() == 0, f"-vga {vga}: the program ends")
done()
