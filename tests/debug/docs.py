# Replays the sessions of docs/debugging.md: what stands behind "$ dragoman" is run, what stands behind "(gdb)"
# is given to GDB, and the lines in between must come in that order ("..." stands for anything).
import os
import re
import shlex
import subprocess
import sys
import time

from rsp import finish, ok

dragoman = shlex.split(sys.argv[1])
page, gdb, work = sys.argv[2:5]
os.chdir(work)
sections = re.split(r"^## ", open(page).read(), flags=re.M)[1:]
accel = os.environ.get("ACCEL", "tcg")


def matches(line, pattern):
    return re.fullmatch(".*?".join(re.escape(p) for p in pattern.split("...")), line) is not None


class Session:
    def __init__(self):
        self.guest = None
        self.steps = []  # [gdb command, [lines that must follow]]
        self.gdb = []    # arguments

    def start(self, command):
        words = shlex.split(command.rstrip("& "))[1:]
        if os.path.exists("gdb.sock"):
            os.unlink("gdb.sock")
        for i, w in enumerate(words):
            words[i] = re.sub(r"tcp::1234", "unix:gdb.sock", w)
        if "-s" in words:
            words[words.index("-s")] = "-gdb"
            words.insert(words.index("-gdb") + 1, "unix:gdb.sock")
        self.guest = subprocess.Popen([*dragoman, "-accel", accel, "-nodefaults", "-display", "none", "-snapshot", *words],
                                      stdin=subprocess.DEVNULL)
        for _ in range(100):
            if os.path.exists("gdb.sock"):
                break
            time.sleep(0.05)

    def end(self, title):
        with open("script", "w") as f:
            f.write("set pagination off\nset confirm off\nset width 0\nset style enabled off\n")
            for n, (command, _) in enumerate(self.steps):
                command = command.replace("target remote :1234", "target remote gdb.sock")
                f.write("echo \\n@%d\\n\n%s\n" % (n, command))
            f.write("echo \\n@%d\\n\n" % len(self.steps))
        try:
            r = subprocess.run([gdb, "-nx", "-q", "-batch", *self.gdb, "-x", "script"], stdin=subprocess.DEVNULL, timeout=60,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            out = r.stdout.decode(errors="replace")
        except subprocess.TimeoutExpired as e:
            out = (e.stdout or b"").decode(errors="replace")
        answers = dict(re.findall(r"^@(\d+)\n(.*?)(?=^@\d+\n|\Z)", out, flags=re.M | re.S))
        for n, (command, want) in enumerate(self.steps):
            lines = [line.rstrip().replace(work + "/", "") for line in answers.get(str(n), "").splitlines()]
            rest, good = list(lines), str(n + 1) in answers
            for pattern in want:
                while rest and not matches(rest[0], pattern):
                    rest.pop(0)
                if not rest:
                    good = False
                    print("# missing: " + pattern)
                    break
                rest.pop(0)
            if not good:
                for line in lines:
                    print("# gdb: " + line)
            ok(good, "%s: (gdb) %s" % (title, command))
        self.guest.kill()
        self.guest.wait()


for section in sections:
    title = section.splitlines()[0]
    session = None
    for line in re.findall(r"^    (.*)$", section, flags=re.M):
        if line.startswith("$ dragoman "):
            if session:
                session.end(title)
            session = Session()
            session.start(line[2:])
        elif session and line.startswith("$ gdb "):
            session.gdb = shlex.split(line)[2:]
            session.gdb = [w.replace(":1234", "gdb.sock") for w in session.gdb]
        elif session and line.startswith("(gdb) "):
            session.steps.append((line[6:], []))
        elif session and session.steps:
            session.steps[-1][1].append(line.rstrip())
    if session:
        session.end(title)
finish()
