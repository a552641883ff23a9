"""Runs dragoman for the screen tests, with a QMP connection; and TAP output."""
import json
import os
import shlex
import socket
import struct
import subprocess
import sys
import tempfile
import time
import zlib

DRAGOMAN = shlex.split(os.environ.get("DRAGOMAN", "./dragoman"))
SRC = os.environ.get("SRC", "..")
_count = _failed = 0


def ok(condition, text):
    global _count, _failed
    _count += 1
    _failed += not condition
    print(f"{'ok' if condition else 'not ok'} {_count} - {text}", flush=True)
    return condition


def done():
    print(f"1..{_count}", flush=True)
    sys.exit(_failed != 0)


def until(seconds, condition, step=0.1):
    end = time.time() + seconds
    while time.time() < end:
        if condition():
            return True
        time.sleep(step)
    return bool(condition())


def free_display():
    """A VNC display number whose port nobody has."""
    for n in range(50, 500):
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", 5900 + n))
                return n
            except OSError:
                continue
    raise OSError("no free port")


def png(ppm):
    (width, height), body = ppm_size(ppm), ppm.split(b"\n", 3)[3]
    raw = b"".join(b"\0" + body[3 * width * y:3 * width * (y + 1)] for y in range(height))
    parts = ((b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(raw)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
                                         for kind, data in parts)


def keep(what, picture):
    """SHOTS=FOLDER keeps the pictures (PPM or PNG) that a test takes, as PNG files, for looking at them."""
    folder = os.environ.get("SHOTS")
    if folder:
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, what + ".png"), "wb") as f:
            f.write(png(picture) if picture.startswith(b"P6") else picture)


class Guest:
    def __init__(self, *args, boot_sector=True, memory="64", env=None, stdio=None,
                 serial="null"):
        self.dir = tempfile.TemporaryDirectory(prefix="dragoman-ui.")
        path = os.path.join(self.dir.name, "qmp")
        self.log = open(os.path.join(self.dir.name, "log"), "w+")
        cmd = DRAGOMAN + ["-accel", os.environ.get("ACCEL", "tcg"), "-m", memory, "-no-reboot", "-qmp", f"unix:{path},server=on,wait=off",
                          "-serial", serial, *args]
        if boot_sector:
            image = os.path.join(self.dir.name, "disk")
            subprocess.run(["nasm", "-f", "bin", "-o", image, os.path.join(SRC, "tests/ui/screen.asm")], check=True)
            with open(image, "ab") as f:
                f.truncate(1 << 20)
            cmd += ["-drive", f"file={image},format=raw"]
        self.proc = subprocess.Popen(cmd, stdin=stdio or subprocess.DEVNULL, stdout=stdio or self.log,
                                     stderr=self.log if not stdio else subprocess.DEVNULL, env=env)
        self.events = []
        for _ in range(200):
            try:
                self.sock = socket.socket(socket.AF_UNIX)
                self.sock.connect(path)
                break
            except OSError:
                time.sleep(0.1)
                if self.proc.poll() is not None:
                    break
        else:
            raise OSError("no QMP")
        if self.proc.poll() is not None:
            raise OSError(self.output())
        self.sock.settimeout(60)
        self.file = self.sock.makefile("r")  # for reading only: a write would drop what has been read ahead
        json.loads(self.file.readline())
        self.qmp("qmp_capabilities")

    def output(self):
        self.log.flush()
        with open(self.log.name) as f:
            return f.read()

    def qmp(self, command, **arguments):
        msg = {"execute": command}
        if arguments:
            msg["arguments"] = {k.replace("_", "-"): v for k, v in arguments.items()}
        self.sock.sendall(json.dumps(msg).encode() + b"\n")
        while True:
            answer = json.loads(self.file.readline())
            if "event" in answer:
                self.events.append(answer["event"])
            elif "error" in answer:
                raise RuntimeError(answer["error"]["desc"])
            else:
                return answer["return"]

    def hmp(self, line):
        return self.qmp("human-monitor-command", command_line=line)

    def text(self):
        """The characters of VGA text memory."""
        path = os.path.join(self.dir.name, "text")
        self.qmp("pmemsave", val=0xb8000, size=4000, filename=path)
        with open(path, "rb") as f:
            cells = f.read()[::2]
        return "\n".join(cells[n:n + 80].decode("cp437").rstrip() for n in range(0, 2000, 80)).rstrip()

    def has(self, text, seconds=60):
        return until(seconds, lambda: text in self.text())

    def dump(self, fmt="ppm"):
        path = os.path.join(self.dir.name, "dump." + fmt)
        self.qmp("screendump", filename=path, format=fmt)
        with open(path, "rb") as f:
            return f.read()

    def cpu(self):
        """Seconds of processor time so far."""
        with open(f"/proc/{self.proc.pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self):
        self.proc.terminate()
        try:
            status = self.proc.wait(20)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            status = 124
        self.sock.close()
        self.dir.cleanup()
        return status


def png_to_ppm(data):
    """Of our own PNG files: RGB, 8 bits, filters none and up."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, packed = 8, b""
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + size]
        assert zlib.crc32(kind + body) == struct.unpack(">I", data[at + 8 + size:at + 12 + size])[0]
        if kind == b"IHDR":
            width, height = struct.unpack(">II", body[:8])
        elif kind == b"IDAT":
            packed += body
        at += 12 + size
    raw, line, out = zlib.decompress(packed), bytes(3 * width), []
    for y in range(height):
        row = raw[y * (3 * width + 1):(y + 1) * (3 * width + 1)]
        line = bytes((a + b) & 255 for a, b in zip(row[1:], line)) if row[0] == 2 else row[1:]
        out.append(line)
    return b"P6\n%d %d\n255\n" % (width, height) + b"".join(out)


def ppm_pixel(data, x, y):
    _, size, _, body = data.split(b"\n", 3)
    at = 3 * (y * int(size.split()[0]) + x)
    return tuple(body[at:at + 3])


def ppm_size(data):
    return tuple(int(n) for n in data.split(b"\n", 2)[1].split())
