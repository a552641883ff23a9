"""An X server without a screen, for tests of windows."""
import os
import subprocess
import tempfile
import time


class Xvfb:
    def __init__(self, size="1280x1024"):
        r, w = os.pipe()
        self.proc = subprocess.Popen(["Xvfb", "-displayfd", str(w), "-screen", "0", size + "x24", "-nolisten", "tcp"],
                                     pass_fds=[w], stderr=subprocess.DEVNULL)
        os.close(w)
        with os.fdopen(r) as f:
            self.name = ":" + f.readline().strip()
        self.env = dict(os.environ, DISPLAY=self.name)
        self.env.pop("WAYLAND_DISPLAY", None)

    def run(self, *cmd, **kw):
        return subprocess.run(cmd, env=self.env, capture_output=True, timeout=60, **kw)

    def spawn(self, *cmd):
        return subprocess.Popen(cmd, env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def window(self, title, seconds=30):
        """The id of a window with this title."""
        for _ in range(seconds * 2):
            out = self.run("xdotool", "search", "--onlyvisible", "--name", title).stdout.split()
            if out:
                return out[-1].decode()
            time.sleep(0.5)
        return None

    def picture(self, window="root"):
        """PPM of a window."""
        with tempfile.NamedTemporaryFile(suffix=".ppm") as f:
            self.run("import", "-window", window, "-depth", "8", f.name)
            with open(f.name, "rb") as g:
                return g.read()

    def type(self, text):
        self.run("xdotool", "type", "--delay", "60", text)

    def key(self, *names):
        self.run("xdotool", "key", "--delay", "60", *names)

    def close(self):
        self.proc.terminate()
        self.proc.wait()


def contains(big, small, strip=0):
    """Where the small PPM (without its outer strip pixels) lies in the big one, None: nowhere."""
    def parse(data):
        magic, size, rest = data.split(b"\n", 2)
        while size.startswith(b"#"):
            size, rest = rest.split(b"\n", 1)
        depth, body = rest.split(b"\n", 1)
        w, h = (int(n) for n in size.split())
        return w, h, body
    bw, bh, bp = parse(big)
    sw, sh, sp = parse(small)
    rows = [sp[3 * (y * sw + strip):3 * ((y + 1) * sw - strip)] for y in range(strip, sh - strip)]
    # A row that is not all alike finds the place fast.
    key = next((i for i, r in enumerate(rows) if r.count(r[:3]) < len(r) // 4), 0)
    at = -1
    while True:
        at = bp.find(rows[key], at + 1)
        if at < 0:
            return None
        if at % 3:
            continue
        x, y = at // 3 % bw, at // 3 // bw - key
        if x + sw - 2 * strip > bw or y < 0 or y + len(rows) > bh:
            continue
        if all(bp[3 * ((y + i) * bw + x):3 * ((y + i) * bw + x) + len(r)] == r for i, r in enumerate(rows)):
            return x, y
