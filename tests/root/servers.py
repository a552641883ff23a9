"""Servers on the host's loopback: a Debian mirror that passes on what the real one has, a large file, iperf3."""
import http.server
import os
import random
import subprocess
import threading
import urllib.error
import urllib.request

MIRROR = os.environ.get("MIRROR", "http://deb.debian.org/debian")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # apt keeps its connection

    def log_message(self, *args):
        pass

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.server.asked += 1
        if self.path == "/big":
            self.answer(200, self.server.big)
        elif self.path.startswith("/debian/") and ".." not in self.path:
            self.answer(*self.server.fetch(self.path[len("/debian/"):]))
        else:
            self.answer(404, b"")


class Files(http.server.ThreadingHTTPServer):
    """http://127.0.0.1:PORT/debian/ is the mirror, /big the bytes given. What cannot change is kept in the folder."""
    daemon_threads = True

    def __init__(self, folder, big):
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder, self.big, self.asked, self.sent = folder, big, 0, 0
        self.port = self.server_address[1]
        os.makedirs(folder, exist_ok=True)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def fetch(self, path):
        keep = os.path.join(self.folder, path.replace("/", "_"))
        if os.path.exists(keep):
            with open(keep, "rb") as f:
                body = f.read()
        else:
            try:
                with urllib.request.urlopen(f"{MIRROR}/{path}", timeout=60) as answer:
                    body = answer.read()
            except urllib.error.HTTPError as e:
                return e.code, b""
            except OSError:
                return 502, b""
            if "/by-hash/" in path or path.startswith("pool/"):
                with open(f"{keep}.{threading.get_ident()}", "wb") as f:
                    f.write(body)
                os.rename(f.name, keep)
        self.sent += len(body)
        return 200, body


class Iperf:
    """An iperf3 server."""

    def __init__(self):
        self.port = random.randrange(20000, 60000)
        self.proc = subprocess.Popen(["iperf3", "-s", "-B", "127.0.0.1", "-p", str(self.port)], stdout=subprocess.DEVNULL,
                                     stderr=subprocess.DEVNULL)

    def stop(self):
        self.proc.kill()
        self.proc.wait()
