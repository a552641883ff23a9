"""The human monitor's commands and its line editor. Prints TAP."""
import json
import os
import pty
import re
import select
import socket
import subprocess
import sys
import tempfile
import time

dragoman = sys.argv[1].split()
count = failed = 0
work = tempfile.mkdtemp(prefix="dragoman-hmp.")
path = work + "/qmp"
args = ["-m", "64", "-smp", "2", "-accel", os.environ.get("ACCEL", "tcg"), "-display", "none"]


def ok(good, name, note=""):
    global count, failed
    count += 1
    failed += not good
    print("%s %d - %s" % ("ok" if good else "not ok", count, name))
    if not good:
        print("# " + repr(note)[:400])
    sys.stdout.flush()


proc = subprocess.Popen(dragoman + args + ["-S", "-serial", "null", "-monitor", "unix:%s/hmp,server=on,wait=off" % work,
                                           "-qmp", "unix:%s,server=on,wait=off" % path], stdin=subprocess.DEVNULL)
for _ in range(200):
    if os.path.exists(path):
        break
    time.sleep(0.05)
sock = socket.socket(socket.AF_UNIX)
sock.settimeout(20)
sock.connect(path)
stream = sock.makefile("rb")
stream.readline()


def qmp(name, arguments=None):
    msg = {"execute": name}
    if arguments:
        msg["arguments"] = arguments
    sock.sendall(json.dumps(msg).encode())
    while True:
        r = json.loads(stream.readline())
        if "event" not in r:
            return r


def hmp(line):
    return qmp("human-monitor-command", {"command-line": line})["return"]


qmp("qmp_capabilities")
for line, pattern in (
        ("info status", r"^VM status: paused"), ("info version", r"^dragoman \d"), ("info cpus", r"^\* CPU #0: .*\n  CPU #1"),
        ("info registers", r"RIP=000000000000fff0(.|\n)*CS +=f000 .* CS16 DPL=0"), ("info registers -a", r"CPU #1"), ("info mem", "PG disabled"),
        ("info tlb", "PG disabled"), ("info mtree", r"000fffff rom pc.bios"), ("info pci", r"8086:1237"),
        ("info qtree", r"i8042"), ("info pic", r"pic\[0\]"), ("info lapic", r"base 0xfee00900"),
        ("info irq", r"CPU #1"), ("info block", "ide1-cd0: .not inserted."), ("info blockstats", "^ide1-cd0: rd_bytes=0 "),
        ("info network", "network|virtio|e1000|no network devices"), ("info jit", r"look-ups"), ("info roms", r"pc.bios"),
        ("info", r"info registers(.|\n)*info roms"), ("help", r"pmemsave +val size filename"), ("help cpu", r"^cpu N"),
        ("help nothing", "no command 'nothing'"),
        ("x/2i $pc", r"0xfffffff0:  (ea.* ljmp|e9.* jmp).*\n0x"), ("xp/4xb 0xffff0", r"00000000000ffff0: 0xea( 0x..){3}"),
        ("x/1xg 0xfffffff0", r": 0x[0-9a-f]{16}"), ("x/3d 0", r": 0 0 0"), ("x/c 0", r"'\\x00'"), ("x/s 0", r'""'),
        ("xp/8xb 0x123456789abc", "Cannot access memory"), ("x/0x 0", "count must be"), ("x/q 0", "are known"),
        ("x", "a number"), ("x/99999999999999999999x 0", "count must be"),
        ("print 1 + 2 * 3", r"^0x7\n"), ("p (0xff & ~0xf) / 16 % 16", r"^0xf\n"), ("p/d -(5 ^ 1)", r"^-4\n"),
        ("p $cs_base + $rip", r"^0xfffffff0"), ("p $eax", "0"), ("p 1 2", "left over"), ("p (1", r"'\)' is missing"),
        ("p 1 / 0", "division by zero"), ("p $zax", "no register"), ("p " + "(" * 300, "too deeply"),
        ("p " + "-" * 300 + "1", "too deeply"), ("gva2gpa 0xfffff", r"gpa: 0xfffff"), ("gva2gpa", "a number"),
        ("cpu 1", r"^$"), ("cpu 2", "0 to 1"), ("cpu x", "0 to 1"), ("memsave 0xffff0 16 %s/m" % work, r"^$"),
        ("pmemsave 0xf0000 0x10000 '%s/p q'" % work, r"^$"), ("pmemsave 0 16", "'filename' is missing"),
        ("pmemsave 0 16 /nonexistent/x", "Could not open"), ("pmemsave 0 16 a b", "left over"),
        ("pmemsave 0 zz a", "no symbol 'zz'"), ("pmemsave 0 , a", "expected"), ("sendkey ctrl-alt-delete", r"^$"), ("sendkey a", r"^$"), ("sendkey", "KEY"),
        ("sendkey ctrl-", r"^$"), ("sendkey bogus", "unknown key"), ("sendkey spce", "did you mean 'spc'"), ("nmi", r"^$"),
        ("log", "guest_errors"), ("log int,bogus", "bogus"), ("log none", r"^$"), ("system_wakeup", "Unable to wake up"),
        ("inof", "did you mean 'info'"), ("info statsu", "did you mean 'status'"), ("systemreset", "did you mean 'system_reset'"),
        ("\t  ", r"^$"), ("x" * 5000, "unknown command"), ("x/" + "1" * 5000, "are known|count"), ("cont", r"^$"),
        ("info status", "running"), ("stop", r"^$"), ("info status", "paused"), ("c", r"^$"), ("system_reset", r"^$"),
        ("info status", "running"), ("system_powerdown", r"^$"),
        ("step", r"\A0x[0-9a-f]{8}:  .*\n\Z"), ("info status", "paused"), ("step 3", r"\A(0x[0-9a-f]{8}:  .*\n){3}\Z"),
        ("step 0", "from 1 to"), ("step 1x", "from 1 to"), ("cont", r"^$"), ("info status", "running"),
        ("x /2i $pc", r"\A(0x[0-9a-f]{8}:  .*\n){2}\Z"), ("p start_kernel", "no symbol 'start_kernel'.*-symbols"),
        ("info registers x", "-a or nothing"),
        ("info registers", r"CR0=.*\[ .*\](.|\n)*DR7=(.|\n)*MXCSR=00001f80(.|\n)*XMM07"), ("info cpus", r"pc=0x"),
        ("screendump", "screendump FILE"), ("gpa2hva 0", "pmemsave"), ("savevm x", "no snapshots")):
    out = hmp(line)
    ok(re.search(pattern, out), line[:60], out)
ok(os.path.getsize(work + "/m") == 16 and os.path.getsize(work + "/p q") == 65536, "the files have their sizes")
ok(qmp("human-monitor-command", {"command-line": "info lapic", "cpu-index": 1})["return"].count("id 0x1"), "cpu-index")

# ---- on a socket, twice
for i in range(2):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(10)
    s.connect(work + "/hmp")
    s.sendall(b"info version\r")
    got = b""
    while b"\r\ndragoman " not in got:
        got += s.recv(4096)
    ok(b"(dragoman) " in got, "a client of the monitor's socket")
    s.close()
qmp("quit")
ok(proc.wait(20) == 0, "quit")

# ---- on a terminal
master, slave = pty.openpty()
proc = subprocess.Popen(dragoman + args + ["-S", "-serial", "null", "-monitor", "stdio"], stdin=slave, stdout=slave, stderr=slave)


def typed(keys, until, seconds=10):
    os.write(master, keys)
    got, end = b"", time.time() + seconds
    while time.time() < end and not re.search(until, got):
        if select.select([master], [], [], 0.2)[0]:
            got += os.read(master, 4096)
    return re.search(until, got), got


for keys, until, what in (
        (b"", rb"\(dragoman\) $", "prompt"),
        (b"inf\t ver\t\r", rb"dragoman \d", "completion of words"), (b"info \t\t", rb"registers  mem", "a list of possibilities"),
        (b"\x15", rb"\(dragoman\) ", "Ctrl-U"), (b"p 1\x1b[D2\r", rb"0x15", "arrow left and insert"),
        (b"\x1b[A\x1b[C3\r", rb"0xd5", "history"), (b"p 77\x7f\r", rb"0x7\r", "backspace"),
        (b"p 5x\x1b[D\x1b[3~\r", rb"0x5\r", "delete"), (b" 9\x01p\x05 + 1\r", rb"0xa\r", "Ctrl-A, Ctrl-E"),
        (b"p 3 junk\x17\r", rb"0x3\r", "Ctrl-W"), (b"quit\r", rb"quit", "quit")):
    good, got = typed(keys, until)
    ok(good, "on a terminal: " + what, got)
ok(proc.wait(20) == 0, "and it ends")

# ---- sharing the terminal with the serial port
proc = subprocess.Popen(dragoman + args[:-2] + ["-nographic"], stdin=slave, stdout=slave, stderr=slave)
good, got = typed(b"", b"(?s)SeaBIOS", 30)
ok(good, "-nographic: the serial port is on the terminal", got)
good, got = typed(b"\x01c", rb"\(dragoman\) ")
ok(good, "Ctrl-A c: the monitor", got)
for keys, until, what in ((b"info status\r", rb"VM status: running", "takes commands"),
                          (b"\x1b[A\r", rb"info status[\r\n]+VM status: running", "has a history"),
                          (b"log gue\x15inf\tstat\t\r", rb"VM status: running", "completion, Ctrl-U"),
                          (b"\x01\x01p 3\x1b[D\x1b[D\x1b[D\x1b[H\r", rb"0x3\r", "Ctrl-A twice is one")):
    good, got = typed(keys, until)
    ok(good, "Ctrl-A c: " + what, got)
typed(b"\x01c", b"\r\n")
good, got = typed(b"x", b"dragoman", 1)
ok(not good, "Ctrl-A c again: what is typed is not the monitor's", got)
typed(b"\x01c", rb"\(dragoman\) ")
typed(b"quit\r", b"quit")
ok(proc.wait(20) == 0, "quit there")
subprocess.run(["rm", "-rf", work])
print("1..%d" % count)
sys.exit(failed != 0)
