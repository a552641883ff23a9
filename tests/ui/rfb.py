"""A small VNC client for tests (RFC 6143): raw encoding, desktop size, QEMU's extended keys, VNC passwords,
plain sockets, Unix sockets and websockets."""
import base64
import os
import select
import socket
import struct
import subprocess
import time

ENC_RAW, ENC_DESKTOP_SIZE, ENC_EXT_KEY = 0, -223, -258


def des(password, challenge):
    """DES as VNC does it: each byte of the password with its bits reversed."""
    key = bytes(int(f"{b:08b}"[::-1], 2) for b in password.encode()[:8].ljust(8, b"\0"))
    return subprocess.run(["openssl", "enc", "-des-ecb", "-K", key.hex(), "-nopad", "-provider", "legacy",
                           "-provider", "default"], input=challenge, capture_output=True, check=True).stdout


class Vnc:
    def __init__(self, port=None, path=None, password=None, websocket=False, timeout=20):
        if path:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(timeout)
            self.sock.connect(path)
        else:
            self.sock = socket.create_connection(("127.0.0.1", port), timeout)
        self.websocket, self.buf, self.ext_keys = websocket, b"", False
        self.width = self.height = 0
        self.pixels = bytearray()
        if websocket:
            self._upgrade()
        self._handshake(password)

    # ---- bytes ----
    def _upgrade(self):
        key = base64.b64encode(os.urandom(16)).decode()
        self.sock.sendall((f"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                           f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: binary\r\n"
                           f"Sec-WebSocket-Version: 13\r\nOrigin: http://127.0.0.1\r\n\r\n").encode())
        head = b""
        while b"\r\n\r\n" not in head:
            more = self.sock.recv(1)
            if not more:
                raise EOFError("closed in the websocket handshake")
            head += more
        if b" 101 " not in head:
            raise OSError(head.decode())

    def send(self, data):
        if self.websocket:
            mask = os.urandom(4)
            n = len(data)
            head = bytes([0x82]) + (bytes([0x80 | n]) if n < 126 else struct.pack(">BH", 0xfe, n))
            data = head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data))
        self.sock.sendall(data)

    def _raw(self, n):
        out = b""
        while len(out) < n:
            more = self.sock.recv(n - len(out))
            if not more:
                raise EOFError("the server closed the connection")
            out += more
        return out

    def recv(self, n):
        if not self.websocket:
            return self._raw(n)
        while len(self.buf) < n:
            op, length = self._raw(2)
            length &= 0x7f
            if length == 126:
                length = struct.unpack(">H", self._raw(2))[0]
            elif length == 127:
                length = struct.unpack(">Q", self._raw(8))[0]
            data = self._raw(length)
            if op & 15 == 8:
                raise EOFError("the server closed the websocket")
            self.buf += data
        out, self.buf = self.buf[:n], self.buf[n:]
        return out

    # ---- protocol ----
    def _handshake(self, password):
        version = self.recv(12)
        if not version.startswith(b"RFB 003."):
            raise OSError(version)
        self.send(b"RFB 003.008\n")
        types = self.recv(self.recv(1)[0])
        want = 1 if password is None else 2
        if want not in types:
            raise OSError(f"security types {list(types)}")
        self.send(bytes([want]))
        if want == 2:
            self.send(des(password, self.recv(16)))
        if struct.unpack(">I", self.recv(4))[0]:
            raise PermissionError(self.recv(struct.unpack(">I", self.recv(4))[0]).decode())
        self.send(b"\1")
        self.width, self.height = struct.unpack(">HH", self.recv(4))
        self.recv(16)
        self.name = self.recv(struct.unpack(">I", self.recv(4))[0]).decode()
        self._resize(self.width, self.height)
        # 32 bits, little endian, red at 16
        self.send(struct.pack(">B3xBBBBHHHBBB3x", 0, 32, 24, 0, 1, 255, 255, 255, 16, 8, 0))
        encodings = [ENC_RAW, ENC_DESKTOP_SIZE, ENC_EXT_KEY]
        self.send(struct.pack(f">BxH{len(encodings)}i", 2, len(encodings), *encodings))

    def _resize(self, width, height):
        self.width, self.height = width, height
        self.pixels = bytearray(4 * width * height)

    def ask(self, incremental=True):
        self.send(struct.pack(">BBHHHH", 3, incremental, 0, 0, self.width, self.height))

    def message(self):
        kind = self.recv(1)[0]
        if kind == 0:
            for _ in range(struct.unpack(">xH", self.recv(3))[0]):
                x, y, w, h, enc = struct.unpack(">HHHHi", self.recv(12))
                if enc == ENC_DESKTOP_SIZE:
                    self._resize(w, h)
                elif enc == ENC_EXT_KEY:
                    self.ext_keys = True
                elif enc == ENC_RAW:
                    data = self.recv(4 * w * h)
                    for row in range(h):
                        at = 4 * ((y + row) * self.width + x)
                        self.pixels[at:at + 4 * w] = data[4 * w * row:4 * w * (row + 1)]
                else:
                    raise OSError(f"encoding {enc}")
        elif kind == 3:
            self.recv(struct.unpack(">3xI", self.recv(7))[0])
        elif kind != 2:
            raise OSError(f"message {kind}")
        return kind

    def screen(self, seconds=1.0):
        """Takes updates for so long; the pixels are in self.pixels afterwards."""
        end = time.time() + seconds
        self.ask(False)
        while True:
            left = end - time.time()
            if left <= 0 or (not self.buf and not select.select([self.sock], [], [], left)[0]):
                return
            if self.message() == 0:
                self.ask()

    def pixel(self, x, y):
        at = 4 * (y * self.width + x)
        b, g, r = self.pixels[at:at + 3]
        return r, g, b

    def ppm(self):
        p = self.pixels
        rgb = bytearray(3 * self.width * self.height)
        rgb[0::3], rgb[1::3], rgb[2::3] = p[2::4], p[1::4], p[0::4]
        return b"P6\n%d %d\n255\n" % (self.width, self.height) + bytes(rgb)

    # ---- input ----
    def keysym(self, sym, down):
        self.send(struct.pack(">BBxxI", 4, down, sym))

    def ext_key(self, number, down, sym=0):
        self.send(struct.pack(">BBHII", 255, 0, down, sym, number))

    def press(self, sym):
        self.keysym(sym, 1)
        self.keysym(sym, 0)

    def type(self, text):
        for c in text:
            self.press(0xff0d if c == "\n" else ord(c))

    def pointer(self, x, y, buttons=0):
        self.send(struct.pack(">BBHH", 5, buttons, x, y))

    def close(self):
        self.sock.close()
