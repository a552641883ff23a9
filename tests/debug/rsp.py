# A client of GDB's remote protocol, for what GDB itself does not let one say.
import select
import socket
import time


class Closed(Exception):
    pass


class Client:
    def __init__(self, path):
        if isinstance(path, tuple):
            self.sock = socket.create_connection(path, timeout=10)
        else:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.connect(path)
        self.buf = b""
        self.noack = False

    def close(self):
        self.sock.close()

    def raw(self, data):
        self.sock.sendall(data)

    def byte(self, timeout):
        if not self.buf:
            if not select.select([self.sock], [], [], timeout)[0]:
                raise TimeoutError
            self.buf = self.sock.recv(65536)
            if not self.buf:
                raise Closed
        c, self.buf = self.buf[:1], self.buf[1:]
        return c

    def send(self, data):
        if isinstance(data, str):
            data = data.encode()
        for c in b"}", b"$", b"#", b"*":
            data = data.replace(c, b"}" + bytes([c[0] ^ 0x20]))
        self.raw(b"$" + data + b"#%02x" % (sum(data) & 255))

    # The next packet, as (start character, bytes); run lengths and escapes undone.
    def packet(self, timeout=10):
        while True:
            c = self.byte(timeout)
            if c in b"$%":
                break
        start = c
        raw = b""
        while True:
            c = self.byte(timeout)
            if c == b"#":
                break
            raw += c
        want = int(self.byte(timeout) + self.byte(timeout), 16)
        assert want == sum(raw) & 255, "bad checksum"
        if not self.noack and start == b"$":
            self.raw(b"+")
        out = bytearray()
        i = 0
        while i < len(raw):
            if raw[i] == 0x7D:
                out.append(raw[i + 1] ^ 0x20)
                i += 2
            elif raw[i] == 0x2A:
                out += bytes([out[-1]]) * (raw[i + 1] - 29)
                i += 2
            else:
                out.append(raw[i])
                i += 1
        return start.decode(), bytes(out)

    def ask(self, data, timeout=10):
        self.send(data)
        while True:
            start, text = self.packet(timeout)
            if start == "$":
                return text.decode("latin-1")

    def monitor(self, line):
        self.send("qRcmd," + line.encode().hex())
        out = ""
        while True:
            text = self.packet()[1].decode()
            if text.startswith("O") and text != "OK":
                out += bytes.fromhex(text[1:]).decode()
            else:
                return out if text == "OK" else text

    def start(self):
        self.ask("qSupported:multiprocess+;swbreak+;hwbreak+;xmlRegisters=i386")
        assert self.ask("QStartNoAckMode") == "OK"
        self.noack = True
        return self.ask("?")

    def mem(self, addr, n):
        return bytes.fromhex(self.ask("m%x,%x" % (addr, n)))

    def word(self, addr):
        return int.from_bytes(self.mem(addr, 4), "little")


count = 0
failed = 0


def ok(good, text):
    global count, failed
    count += 1
    failed += not good
    print("%s %d - %s" % ("ok" if good else "not ok", count, text), flush=True)


def is_(got, want, text):
    ok(got == want, text)
    if got != want:
        print("# got %r, want %r" % (got, want), flush=True)


def finish():
    print("1..%d" % count, flush=True)
    raise SystemExit(failed != 0)


def until(seconds, fn):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if fn():
                return True
        except (OSError, Closed):
            pass
        time.sleep(0.05)
    return False
