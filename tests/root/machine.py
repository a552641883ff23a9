"""The installed Debian of make-root.sh in a guest: its serial console, its screen, and the images afterwards."""
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time

SRC = os.environ.get("SRC", "..")
sys.path.insert(0, os.path.join(SRC, "tests/ui"))
from guest import DRAGOMAN, Guest, done, ok  # noqa: E402,F401

os.environ["PATH"] += ":/sbin:/usr/sbin"
ACCEL = os.environ.get("ACCEL", "tcg")
SLOW = (8 if "verify" in ACCEL else 4 if ACCEL == "interp" else 1) * int(os.environ.get("PATIENCE", "1"))
PASSWORD = "dragoman"
PROMPT = "root@dragoman:"

# Each with the guest's name of the disk, and the driver that must be behind it.
CONTROLLERS = {
    "virtio-blk": ("vda", "virtio_blk", ["-device", "virtio-blk-pci,drive=d"]),
    "virtio-scsi": ("sda", "virtio_scsi", ["-device", "virtio-scsi-pci,id=s", "-device", "scsi-hd,bus=s.0,drive=d"]),
    "ahci": ("sda", "ahci", ["-device", "ahci,id=a", "-device", "ide-hd,bus=a.0,drive=d"]),
    "ide": ("sda", "ata_piix", ["-device", "ide-hd,bus=ide.0,drive=d"]),
}


def base_image():
    """Makes the image, or finds it made."""
    folder = os.path.abspath(os.environ.get("ROOT_DIR", "root"))
    made = subprocess.run(["sh", os.path.join(SRC, "tests/root/make-root.sh"), folder], stdout=sys.stderr,
                          env=dict(os.environ, DRAGOMAN=" ".join(DRAGOMAN)))
    if made.returncode:
        sys.exit("the Debian root could not be made")
    return os.path.join(folder, "debian.qcow2")


def img(*args, tool=None):
    """Our img, or qemu-img with tool="qemu-img": exit status and output."""
    r = subprocess.run((DRAGOMAN + ["img"] if not tool else [tool]) + list(args), stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True, errors="replace")
    return r.returncode, r.stdout


class Machine(Guest):
    """A guest that boots from an image behind a controller."""

    def __init__(self, image, controller, drive="", *more, memory="512"):
        self.disk, self.driver, devices = CONTROLLERS[controller]
        self.sockets = tempfile.TemporaryDirectory(prefix="dragoman-root.")
        path = os.path.join(self.sockets.name, "serial")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen(1)
        listener.settimeout(60)
        self.console, self.mark = b"", 0
        self.ready = threading.Condition()
        self.started = time.time()
        super().__init__("-accel", ACCEL, "-display", "none", "-drive", f"file={image},if=none,id=d,format=qcow2{drive}",
                         *devices, *more, boot_sector=False, memory=memory, serial=f"unix:{path}")
        self.line, _ = listener.accept()
        listener.close()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        while True:
            try:
                got = self.line.recv(65536)
            except OSError:
                got = b""
            with self.ready:
                self.console += got
                self.ready.notify_all()
            if not got:
                return

    def send(self, text):
        self.line.sendall(text.encode())

    def wait(self, seconds, pattern):
        """Until the serial line has shown the regular expression after the last match; the match or None."""
        end = time.time() + seconds * SLOW
        with self.ready:
            while True:
                m = re.search(pattern.encode(), self.console[self.mark:], re.M)
                if m:
                    self.mark += m.end()
                    return m
                left = end - time.time()
                if left <= 0 or self.proc.poll() is not None:
                    return None
                self.ready.wait(min(left, 1))

    def show(self, lines=15):
        """The console's end as a comment, after something failed."""
        text = self.console[-4000:].decode("latin1").replace("\r", "")
        for row in text.split("\n")[-lines:]:
            print("#", row[:160])
        for row in self.output().split("\n")[:5]:
            print("# log:", row[:160])

    def login(self, seconds=240):
        """Waits for the prompt on the serial line and logs in."""
        if not self.wait(seconds, r"dragoman login: "):
            return False
        self.booted = time.time() - self.started
        self.send("root\n")
        if not self.wait(60, r"Password: "):
            return False
        self.send(PASSWORD + "\n")
        if not self.wait(60, re.escape(PROMPT)):
            return False
        # A shell that adds nothing to what the commands print.
        self.send("stty -echo; dmesg -n 1; exec sh\n")
        self.send("PS1= PS2=\n")
        return self.run("cd /")[0] == 0

    def shell(self, seconds=240):
        """Waits for the shell that the kernel has started as its init=."""
        self.send("\n")
        if not self.wait(seconds, r"root@\(none\):/# |bash-\S+# "):
            return False
        self.booted = time.time() - self.started
        self.send("stty -echo; exec sh\n")
        self.send("PS1= PS2=\n")
        return self.run("mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t tmpfs tmp /tmp; mount -o remount,rw /;"
                        "mountpoint -q /dev || mount -t devtmpfs dev /dev")[0] == 0

    def run(self, command, seconds=60):
        """A command over the serial line: exit status and output; None when it did not end."""
        self.send(f"{{ {command}\n}}; echo '<''<'$?'>>'\n")
        m = self.wait(seconds, r"((?s:.*?))<<(\d+)>>\r?$")
        if not m:
            return None, ""
        text = m.group(1).decode("latin1").replace("\r", "")
        return int(m.group(2)), text.strip()

    def end(self, seconds=120):
        """The exit status after the guest switched itself off; 124 when it does not end."""
        try:
            return self.proc.wait(seconds * SLOW)
        except subprocess.TimeoutExpired:
            return 124

    def kill(self):
        self.proc.kill()
        self.proc.wait()

    def tidy(self):
        if self.proc.poll() is None:
            self.kill()
        self.line.close()
        self.sock.close()
        self.dir.cleanup()
        self.sockets.cleanup()


def cells(ppm, width=8, height=16):
    """The picture as rows of character cells: each a string of 0 and 1, by brightness."""
    _, size, _, body = ppm.split(b"\n", 3)
    w, h = (int(n) for n in size.split())
    bright = body[1::3].translate(bytes(n > 100 for n in range(256)))
    if (w, h) == (720, 400):
        width = 9
    rows = []
    for y in range(0, h - height + 1, height):
        rows.append([b"".join(bright[(y + k) * w + x:(y + k) * w + x + 8] for k in range(height))
                     for x in range(0, w - width + 1, width)])
    return rows


def learn(machine):
    """What the characters look like on this screen: the guest writes them all to a cleared terminal."""
    chars = "".join(chr(c) for c in range(33, 127))
    machine.run("printf '\\033[2J\\033[H\\033[?25l\\033[9;0]" + "".join("\\%03o" % ord(c) for c in chars[:64]) + "\\n"
                + "".join("\\%03o" % ord(c) for c in chars[64:]) + "\\n' >/dev/tty1")
    time.sleep(2 * SLOW)
    rows = cells(machine.dump())
    glyphs = {cell: c for row, part in ((0, chars[:64]), (1, chars[64:])) for cell, c in zip(rows[row], part)}
    machine.run("printf '\\033[?25h' >/dev/tty1")
    return glyphs


def read_screen(ppm, glyphs):
    """The text on the screen."""
    return "\n".join("".join(glyphs.get(cell, " ") for cell in row).rstrip() for row in cells(ppm)).rstrip()


def type_keys(machine, text):
    names = {"\n": "ret", " ": "spc", "/": "slash", "-": "minus", ".": "dot", ";": "semicolon", "=": "equal"}
    for c in text:
        name = names.get(c, c.lower())
        if c in ">?":
            name = {">": "shift-dot", "?": "shift-slash"}[c]
        elif c.isupper():
            name = "shift-" + name
        machine.hmp("sendkey " + name)
        time.sleep(0.15 * SLOW)


def check_file_system(raw):
    """e2fsck of the first partition: the journal first, then whether it is clean. Exit status of both, output."""
    where = f"{raw}?offset={1 << 20}"
    first = subprocess.run(["e2fsck", "-E", "journal_only", "-p", where], stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True)
    second = subprocess.run(["e2fsck", "-f", "-n", where], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return first.returncode, second.returncode, first.stdout + second.stdout


def take(folder, name):
    """A fresh path in the folder."""
    path = os.path.join(folder, name)
    if os.path.exists(path):
        os.unlink(path)
    return path
