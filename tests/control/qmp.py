"""A QMP client of the standard library only, and the walk over every command. Prints TAP."""
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time

dragoman, src = sys.argv[1:3]
count = failed = 0


def ok(good, name, note=""):
    global count, failed
    count += 1
    print("%s %d - %s" % ("ok" if good else "not ok", count, name))
    if not good:
        failed += 1
        print("# %s" % (note,))
    sys.stdout.flush()


class Client:
    def __init__(self, path, negotiate=True):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(path)
        self.buf = b""
        self.events = []
        self.greeting = self.read()
        if negotiate:
            self.cmd("qmp_capabilities")

    def read(self):
        while b"\n" not in self.buf:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError
            self.buf += data
        line, self.buf = self.buf.split(b"\n", 1)
        return json.loads(line)

    def answer(self):
        while True:
            msg = self.read()
            if "event" not in msg:
                return msg
            self.events.append(msg)

    def raw(self, data):
        self.sock.sendall(data)
        return self.answer()

    def cmd(self, name, args=None, **more):
        msg = dict({"execute": name}, **more)
        if args is not None:
            msg["arguments"] = args
        return self.raw(json.dumps(msg).encode())

    def event(self, name, seconds=10):
        end = time.time() + seconds
        while time.time() < end:
            for e in self.events:
                if e["event"] == name:
                    self.events.remove(e)
                    return e
            msg = self.read()
            if "event" in msg:
                self.events.append(msg)
        return None


work = tempfile.mkdtemp(prefix="dragoman-qmp.")
path = work + "/qmp"
kernel_args = ["-m", "64", "-name", "walker", "-smp", "2", "-accel", os.environ.get("ACCEL", "tcg"),
               "-serial", "null", "-monitor", "none", "-display", "none"]


def start(*args):
    global proc
    proc = subprocess.Popen(dragoman.split() + kernel_args + ["-qmp", "unix:%s,server=on,wait=off" % path] + list(args),
                            stdin=subprocess.DEVNULL)
    for _ in range(200):
        if os.path.exists(path) or proc.poll() is not None:
            break
        time.sleep(0.05)
    time.sleep(0.05)


start("-S", "-chardev", "ringbuf,id=ring", "-netdev", "user,id=net0", "-device", "virtio-net-pci,netdev=net0,id=nic0",
      "-device", "virtio-balloon-pci,id=balloon0")
c = Client(path, negotiate=False)
v = c.greeting.get("QMP", {})
ok(v.get("version", {}).get("qemu", {}).get("major") == 10 and isinstance(v["version"]["package"], str)
   and v.get("capabilities") == [], "greeting", c.greeting)
r = c.cmd("query-status", id="x")
ok(r.get("error", {}).get("class") == "CommandNotFound" and r.get("id") == "x", "a command before negotiation", r)
r = c.cmd("qmp_capabilities", id={"a": [1, None]})
ok(r == {"return": {}, "id": {"a": [1, None]}}, "qmp_capabilities echoes any id", r)
r = c.cmd("qmp_capabilities")
ok(r.get("error", {}).get("class") == "CommandNotFound", "a second negotiation", r)
r = c.cmd("query-migrate-nothing")
ok(r["error"] == {"class": "CommandNotFound", "desc": "The command query-migrate-nothing has not been found"},
   "unknown command", r)

# ---- messages that are none
for data, what in ((b"[]", "an array"), (b'{"execute":1}', "execute is a number"), (b'{"id":7}', "no execute"),
                   (b'{"execute":"stop","x":1}', "surplus member"), (b'{"execute":"stop","arguments":[]}', "arguments []"),
                   (b"hello\n", "no JSON"), (b'{"execute" "stop"}', "no colon"), (b'{"a":1,"a":2}', "duplicate"),
                   (b'{"execute":"\xff\xfe"}', "bad UTF-8"), (b"{" * 600 + b"\n", "600 levels"),
                   (b"[" * 511 + b"]" * 511, "511 levels"), (b'{"execute":"a\\u0000b"}', "NUL"),
                   (b'{"execute":"' + b"z" * 300000 + b'"}', "a long name"), (b"}\n", "closed only")):
    r = c.raw(data)
    ok("error" in r and r["error"]["class"] in ("GenericError", "CommandNotFound"), "error for " + what, r)
ok(c.cmd("query-status").get("return") == {"status": "prelaunch", "running": False},
   "and the connection lives on")
c.sock.sendall(b'{"execute":"query-name","id":1}{"execute":"query-kvm","id":2}')
ok(c.answer() == {"return": {"name": "walker"}, "id": 1} and c.answer()["id"] == 2, "two messages in one packet")
for byte in b'{"execute": "query-uuid"}':
    c.sock.sendall(bytes([byte]))
ok("UUID" in c.answer()["return"], "a message byte by byte")

# ---- the schema
schema = c.cmd("query-qmp-schema")["return"]
types = {e["name"]: e for e in schema if e["meta-type"] not in ("command", "event")}
commands = {e["name"]: e for e in schema if e["meta-type"] == "command"}
listed = [e["name"] for e in c.cmd("query-commands")["return"]]
ok(sorted(commands) == sorted(listed), "query-commands and the schema name the same")
ok(sorted(e["name"] for e in schema if e["meta-type"] == "event")
   == sorted(e["name"] for e in c.cmd("query-events")["return"]), "so do query-events and the schema")
ok(len(types) == len([e for e in schema if e["meta-type"] not in ("command", "event")]), "no type twice")


def conforms(value, name, where=""):
    t = types.get(name)
    if t is None:
        return "%s: type %s is not in the schema" % (where, name)
    if t["meta-type"] == "builtin":
        want = {"string": str, "int": int, "number": (int, float), "boolean": bool, "value": object}[t["json-type"]]
        if t["json-type"] == "value" or (isinstance(value, want) and (isinstance(value, bool) == (want is bool))):
            return None
        return "%s: %r is no %s" % (where, value, name)
    if t["meta-type"] == "enum":
        return None if value in t["values"] else "%s: %r not in %s" % (where, value, name)
    if t["meta-type"] == "array":
        if not isinstance(value, list):
            return "%s: no array" % where
        return next((e for e in (conforms(x, t["element-type"], where + "[]") for x in value) if e), None)
    if not isinstance(value, dict):
        return "%s: no object" % where
    members = {m["name"]: m for m in t["members"]}
    for k in value:
        if k not in members:
            return "%s.%s is not in %s" % (where, k, name)
    for k, m in members.items():
        if k in value:
            e = conforms(value[k], m["type"], where + "." + k)
            if e:
                return e
        elif "default" not in m:
            return "%s.%s is missing" % (where, k)
    return None


# ---- every command: right, missing, wrong-typed and surplus arguments
saved = work + "/saved"
right = {"human-monitor-command": {"command-line": "info version"}, "memsave": {"val": 0xfff0, "size": 16, "filename": saved},
         "pmemsave": {"val": 0xffff0000, "size": 65536, "filename": saved}, "qom-list": {"path": "/machine/unattached/device[0]"},
         "netdev_add": {"type": "user", "id": "net1", "restrict": True, "dnssearch": [{"str": "a.example"}]},
         "netdev_del": {"id": "net1"}, "set_link": {"name": "nic0", "up": True}, "ringbuf-write": {"device": "ring", "data": "abc"},
         "ringbuf-read": {"device": "ring", "size": 2}, "balloon": {"value": 32 << 20}, "watchdog-set-action": {"action": "none"},
         "qom-set": {"path": "/machine/peripheral/balloon0", "property": "guest-stats-polling-interval", "value": 5},
         "qom-get": {"path": "/machine/unattached/device[0]", "property": "type"}}
refused = {"system_wakeup", "qmp_capabilities"}
wrong = {"string": [1, True, None, [], {}], "int": ["1", True, 1.5, None, []], "boolean": [1, "on"], "number": ["1"]}
for name in sorted(listed):
    entry = commands[name]
    members = types[entry["arg-type"]]["members"]
    notes = []
    if name not in ("quit",):
        r = c.cmd(name, right.get(name))
        if name in refused:
            if "error" not in r:
                notes.append(("right", r))
        else:
            notes += [x for x in [conforms(r["return"], entry["ret-type"], name)] if x] if "return" in r else [r]
    for m in members:
        args = dict(right.get(name, {}))
        if "default" not in m:
            del args[m["name"]]
            r = c.cmd(name, args)
            if m["name"] not in r.get("error", {}).get("desc", ""):
                notes.append(("missing " + m["name"], r))
        t = types[m["type"]]
        for bad in wrong.get(t.get("json-type"), []) if t["meta-type"] == "builtin" else [3, {}, [3]]:
            r = c.cmd(name, dict(right.get(name, {}), **{m["name"]: bad}))
            if r.get("error", {}).get("class") not in ("GenericError", "CommandNotFound"):
                notes.append(("wrong %s=%r" % (m["name"], bad), r))
    r = c.cmd(name, dict(right.get(name, {}), surplus=1))
    if name == "netdev_add": # its members are those of -netdev: others are refused there
        ok("unknown property 'surplus'" in r.get("error", {}).get("desc", ""), "netdev_add: a surplus argument", r)
    elif name != "qmp_capabilities" and r.get("error", {}).get("desc") != "Parameter 'surplus' is unexpected":
        notes.append(("surplus", r))
    ok(not notes, "%s: right, missing, wrong, surplus arguments" % name, notes)
ok(os.path.getsize(saved) == 65536 and open(saved, "rb").read()[-16] == 0xea, "pmemsave wrote the BIOS (a far jump at its end)",
   (os.path.getsize(saved), open(saved, "rb").read()[-16:]))
for args, what in (({"val": 0, "size": 16, "filename": "/nonexistent/x"}, "a file that cannot be made"),
                   ({"val": -16, "size": 32, "filename": saved}, "beyond the end"),
                   ({"val": 1 << 45, "size": 16, "filename": saved}, "nothing there"),
                   ({"val": 0, "size": -1, "filename": saved}, "a negative size")):
    ok("error" in c.cmd("pmemsave", args), "pmemsave: " + what)
ok("error" in c.cmd("memsave", {"val": 0, "size": 1, "filename": saved, "cpu-index": 9}), "memsave of processor 9")
ok(c.cmd("qom-list", {"path": "/nowhere"})["error"]["class"] == "DeviceNotFound", "qom-list of nothing")
tree = c.cmd("qom-list", {"path": "/machine/unattached"})["return"]
bad = []
for e in tree:
    if e["type"].startswith("child<"):
        p = "/machine/unattached/" + e["name"]
        for m in c.cmd("qom-list", {"path": p}).get("return", [{"name": "?"}]):
            if "return" not in c.cmd("qom-get", {"path": p, "property": m["name"]}):
                bad.append((p, m))
ok(len(tree) > 10 and not bad, "qom-get of every property of %d objects" % len(tree), bad)

# ---- events
c.cmd("cont")
c.cmd("stop")
c.events.clear()
ok(c.cmd("cont") == {"return": {}} and c.event("RESUME"), "cont, RESUME")
ok(c.cmd("query-status")["return"] == {"status": "running", "running": True}, "running")
ok(c.cmd("stop") == {"return": {}}, "stop")
e = c.event("STOP")
ok(e and set(e) == {"event", "timestamp"} and abs(e["timestamp"]["seconds"] - time.time()) < 60
   and 0 <= e["timestamp"]["microseconds"] < 1000000, "STOP with a timestamp", e)
ok(c.cmd("query-status")["return"] == {"status": "paused", "running": False}, "paused when stop has answered")
c.cmd("cont")
other = Client(path)
c.cmd("system_reset")
e = c.event("RESET")
ok(e and e["data"] == {"guest": False, "reason": "host-qmp-system-reset"}, "RESET", e)
ok(other.event("RESET") is not None, "a second client sees it too")
c.cmd("system_powerdown")
ok(c.event("POWERDOWN") is not None, "POWERDOWN")

# ---- clients that die in mid-message
rng = random.Random(7)
for i in range(10):
    s = socket.socket(socket.AF_UNIX)
    s.connect(path)
    text = b'{"execute": "human-monitor-command", "arguments": {"command-line": "info registers"}}'
    s.sendall(text * i + text[:rng.randrange(1, len(text))])
    s.close()
ok(c.cmd("query-status")["return"]["running"] is True, "10 clients die in mid-message, the machine runs")
greedy = socket.socket(socket.AF_UNIX)
greedy.connect(path)
greedy.settimeout(5)
greedy.sendall(b'{"execute":"qmp_capabilities"}')
try:
    for i in range(300):
        greedy.sendall(b'{"execute":"query-qmp-schema"}' * 4)
except OSError:
    pass
ok(c.cmd("query-status")["return"]["running"] is True, "a client that does not read its answers holds nobody up")
greedy.close()
r = c.cmd("human-monitor-command", {"command-line": "no_such_thing"})
ok("unknown command" in r.get("return", ""), "human-monitor-command of an unknown line is text, not an error", r)
ok(c.cmd("quit") == {"return": {}}, "quit")
e = c.event("SHUTDOWN")
ok(e and e["data"] == {"guest": False, "reason": "host-qmp-quit"}, "SHUTDOWN", e)
ok(proc.wait(20) == 0, "status 0")
ok(not os.path.exists(path), "the socket's file is gone")

# ---- SIGTERM, other transports
start()
c = Client(path)
proc.terminate()
e = c.event("SHUTDOWN")
ok(e and e["data"]["reason"] == "host-signal", "SHUTDOWN on SIGTERM", e)
proc.wait(20)

p = subprocess.run(dragoman.split() + kernel_args + ["-S", "-qmp", "stdio"], timeout=60, stdout=subprocess.PIPE,
                   input=b'{"execute":"qmp_capabilities"}\n{"execute":"query-kvm","id":1}\n{"execute":"quit"}\n')
lines = [json.loads(x) for x in p.stdout.splitlines()]
ok(p.returncode == 0 and {"return": {"enabled": False, "present": False}, "id": 1} in lines, "commands by a pipe", lines)

lst = socket.socket(socket.AF_UNIX)
lst.bind(path)
lst.listen(1)
proc = subprocess.Popen(dragoman.split() + kernel_args + ["-S", "-chardev", "socket,id=mon0,fd=%d,server=on,wait=off"
                        % lst.fileno(), "-mon", "chardev=mon0,id=monitor,mode=control"], pass_fds=[lst.fileno()],
                        stdin=subprocess.DEVNULL)
c = Client(path)
ok([x["label"] for x in c.cmd("query-chardev")["return"]][:1] == ["mon0"], "-mon on an inherited socket")
c.sock.close()
c = Client(path)
ok(c.cmd("query-status")["return"]["status"] == "prelaunch", "and again after the first client left")
c.cmd("quit")
proc.wait(20)
for args, word in ((["-qmp", "unix:/nonexistent/x,server=on"], "/nonexistent/x"), (["-qmp", "tcp:x"], "tcp:x"),
                   (["-qmp", "bogus"], "bogus"), (["-mon", "chardev=none"], "none"), (["-qmp", "fd:77"], "77"),
                   (["-chardev", "socket,id=a,path=/x,server=perhaps"], "perhaps")):
    p = subprocess.run(dragoman.split() + kernel_args + args, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=20)
    ok(p.returncode == 1 and word.encode() in p.stderr and p.stderr.count(b"\n") == 1, "refused: " + " ".join(args),
       p.stderr)

doc = subprocess.run(dragoman.split() + ["-qmp", "help"], stdout=subprocess.PIPE, timeout=20).stdout
ok(doc == open(src + "/docs/qmp.md", "rb").read(), "docs/qmp.md is what the table says (dragoman -qmp help)")
subprocess.run(["rm", "-rf", work])
print("1..%d" % count)
sys.exit(failed != 0)
