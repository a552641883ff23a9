"""noVNC in headless Chromium, by the DevTools protocol: what the canvas has, and keys through the page."""
import base64
import functools
import http.server
import json
import os
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from guest import Guest, done, free_display, keep, ok, ppm_size, until


class DevTools:
    """One page; websocket frames by hand."""

    def __init__(self, url):
        host, port, path = re.match(r"ws://([^:/]+):(\d+)(/.*)", url).groups()
        self.sock = socket.create_connection((host, int(port)), 60)
        key = base64.b64encode(os.urandom(16)).decode()
        self.sock.sendall((f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                           f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n").encode())
        head = b""
        while b"\r\n\r\n" not in head:
            head += self.sock.recv(1)
        self.n = 0

    def _recv(self, n):
        out = b""
        while len(out) < n:
            out += self.sock.recv(n - len(out))
        return out

    def call(self, method, **params):
        self.n += 1
        data = json.dumps({"id": self.n, "method": method, "params": params}).encode()
        mask = os.urandom(4)
        head = bytes([0x81]) + (bytes([0x80 | len(data)]) if len(data) < 126 else struct.pack(">BH", 0xfe, len(data)))
        self.sock.sendall(head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data)))
        while True:
            text = b""
            while True:
                first, length = self._recv(2)
                length = struct.unpack(">H", self._recv(2))[0] if length == 126 else \
                    struct.unpack(">Q", self._recv(8))[0] if length == 127 else length
                text += self._recv(length)
                if first & 0x80:
                    break
            answer = json.loads(text)
            if answer.get("id") == self.n:
                return answer.get("result", answer)

    def js(self, text):
        r = self.call("Runtime.evaluate", expression=text, returnByValue=True)
        return r.get("result", {}).get("value")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


display = free_display()
ws = 5300 + display
g = Guest("-vnc", f":{display},websocket={ws}", "-device", "virtio-tablet-pci")
ok(g.has("ready>"), "the guest is there")
web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory="/usr/share/novnc"))
threading.Thread(target=web.serve_forever, daemon=True).start()
profile = tempfile.TemporaryDirectory(prefix="dragoman-chromium.", ignore_cleanup_errors=True)
page = f"http://127.0.0.1:{web.server_port}/vnc.html?host=127.0.0.1&port={ws}&path=&autoconnect=1&resize=off"
chromium = subprocess.Popen(["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1200,800",
                             f"--user-data-dir={profile.name}", "--remote-debugging-port=0", "--remote-allow-origins=*",
                             page], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
port_file = os.path.join(profile.name, "DevToolsActivePort")
ok(until(90, lambda: os.path.exists(port_file) and os.path.getsize(port_file) > 3), "Chromium runs")
with open(port_file) as f:
    port = f.readline().strip()


def pages():
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/json") as r:
        return [p for p in json.load(r) if p["type"] == "page" and "vnc.html" in p["url"]]


until(60, lambda: bool(pages()))
d = DevTools(pages()[0]["webSocketDebuggerUrl"])
canvas = "document.querySelector('#noVNC_container canvas, #noVNC_screen canvas, canvas')"
ok(until(60, lambda: d.js(f"{canvas} && {canvas}.width") == 720), "noVNC is connected: its canvas is 720 wide")


def same():
    """The canvas's pixels against the screen dump."""
    data = d.js(f"(()=>{{const c={canvas};const p=c.getContext('2d').getImageData(0,0,c.width,c.height).data;"
                "let s='';for(let i=0;i<p.length;i+=4)s+=String.fromCharCode(p[i],p[i+1],p[i+2]);return btoa(s);})()")
    dump = g.dump()
    return bool(data) and base64.b64decode(data) == dump.split(b"\n", 3)[3]


ok(until(30, same, 0.3), "the canvas has the guest's pixels")
d.js(f"{canvas}.focus()")
for c in "noVNC types":
    code = "Space" if c == " " else "Key" + c.upper()
    shift = c.isupper()
    if shift:
        d.call("Input.dispatchKeyEvent", type="rawKeyDown", key="Shift", code="ShiftLeft", windowsVirtualKeyCode=16)
    for kind in ("keyDown", "keyUp"):
        d.call("Input.dispatchKeyEvent", type=kind, key=c, code=code, text=c if kind == "keyDown" else "",
               windowsVirtualKeyCode=ord(c.upper()), modifiers=8 if shift else 0)
    if shift:
        d.call("Input.dispatchKeyEvent", type="keyUp", key="Shift", code="ShiftLeft", windowsVirtualKeyCode=16)
ok(g.has("noVNC types", 20), "what is typed in the page arrives")
ok(until(30, same, 0.3), "and is seen")
keep("novnc", base64.b64decode(d.call("Page.captureScreenshot")["data"]))
g.qmp("send-key", keys=[{"type": "qcode", "data": "f2"}])
ok(until(30, lambda: ppm_size(g.dump()) == (640, 480) and d.js(f"{canvas}.width") == 640 and same(), 0.3),
   "the canvas follows a new size")
chromium.terminate()
chromium.wait()
ok(until(20, lambda: not g.qmp("query-vnc")["clients"]), "when it ends it is forgotten")
ok(g.close() == 0, "the program ends")
done()
