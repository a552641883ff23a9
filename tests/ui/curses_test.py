import fcntl
import os
import pty
import struct
import sys
import termios
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from guest import Guest, done, ok, until

master, slave = pty.openpty()
fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
seen = bytearray()


def reader():
    while True:
        try:
            seen.extend(os.read(master, 4096))
        except OSError:
            return


threading.Thread(target=reader, daemon=True).start()
g = Guest("-display", "curses", env=dict(os.environ, TERM="xterm-256color", LC_ALL="C.UTF-8"), stdio=slave)
ok(until(30, lambda: b"ready>" in seen), "the terminal shows the guest's text")
os.write(master, b"typed Here\r")
ok(g.has("typed Here", 10), "what is typed arrives")
fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 26, 90, 0, 0))
ok(until(10, lambda: b"typed Here" in seen), "and is seen: a terminal of another size is drawn anew")
os.write(master, b"\x01x")
ok(until(10, lambda: g.proc.poll() is not None), "Ctrl-A x ends the program")
g.close()
done()
