# Single steps through what is hard to step through: the places where they end, by label.
import atexit
import os
import re
import shlex
import subprocess
import sys

from rsp import Client, finish, is_, ok, until

dragoman = shlex.split(sys.argv[1])
kernel, work, symbols = sys.argv[2:5]
sym = {}
for line in open(symbols):
    addr, _, name = line.split()
    sym[name] = int(addr, 16)
label = {v: k for k, v in sym.items() if "." not in k}
path = work + "/t.sock"
guest = None
atexit.register(lambda: guest and guest.poll() is None and guest.kill())


def start():
    global guest, c
    if guest:
        guest.kill()
        guest.wait()
    guest = subprocess.Popen([*dragoman, "-m", "32", "-nodefaults", "-display", "none", "-S", "-accel",
                              os.environ.get("ACCEL", "tcg"), "-kernel", kernel, "-gdb", "unix:%s,arch=x86-64" % path],
                             stdin=subprocess.DEVNULL)
    until(10, lambda: (Client(path).close(), True)[1])
    c = Client(path)
    c.start()


def reg(n):
    return int.from_bytes(bytes.fromhex(c.ask("p%x" % n)), "little")


def at():
    pc = reg(16)
    return label.get(pc, hex(pc))


def steps(n):
    places = []
    for _ in range(n):
        stop = c.ask("vCont;s")
        assert stop.startswith("T05"), stop
        places.append(at())
    return places


def go(name):
    c.ask("Z0,%x,1" % sym[name])
    stop = c.ask("vCont;c")
    c.ask("z0,%x,1" % sym[name])
    assert "swbreak" in stop and at() == name, (stop, at())


def through(name, want, what):
    """From label `name` on, steps must end at the labels of `want`."""
    go(name)
    is_(" ".join(steps(len(want.split()))), want, what)


# What a step of each case passes, and where it must end. Interrupts are held off, though the timer's is pending.
start()
go("far_jump")
is_(steps(1), ["code64"], "a far jump into 64-bit mode is a step")
through("l_loop", "l_loop l_loop s_rep", "a jump to itself is a step each time")
is_(reg(2), 0, "(rcx 0)")
through("l_rep", "l_rep l_rep s_repe", "rep movsb: one element a step")
through("l_repe", "l_repe s_ss", "repe cmpsb: until two differ")
is_(reg(2), 1, "(rcx 1)")
is_(steps(4), ["l_ss", "l_ss2", "l_ss3", "s_int3"], "mov ss is a step, the instruction behind it another")
is_(steps(4), ["on_int3", "x_int3", "l_int3", "s_pf"], "int3, its handler, iret")
is_(steps(1), ["on_pf"], "a page fault is a step")
go("x_pf")
is_(steps(2), ["s_pf", "l_pf"], "and so is the way back, before the access is made again")
through("l_popf", "l_tf on_db x_db l_tf2 s_sti", "the guest's own trap flag: a trap belongs to its instruction")
is_(steps(4), ["l_sti", "l_sti2", "l_cli", "s_iret"], "sti with an interrupt pending: held off")
go("l_iretq")
is_(steps(3), ["user", "u_sys", "on_syscall"], "iret to the user, syscall")
is_(steps(2), ["x_ret", "u_ret"], "sysret")
is_(steps(3), ["u_int", "on_int40", "u_int2"], "int 0x40 from the user")
is_(steps(1), ["on_pf"], "a page fault of the user")
go("x_pf")
is_(steps(3), ["u_int2", "u_pf", "u_gp"], "(back)")
is_(steps(2), ["on_gp", "the_end"], "a general protection fault")

# The same with interrupts taken while stepping.
start()
go("s_sti")
ok("taken" in c.monitor("gdb step-interrupts on"), "step-interrupts on")
is_(steps(3), ["l_sti", "l_sti2", "on_timer"], "the instruction after sti is run first, then the interrupt is a step")
go("x_timer")
is_(steps(1), ["l_sti2"], "and its iret is one")
c.monitor("gdb step-interrupts off")

# Range steps: over a loop without a stop, into what leaves the range.
start()
go("s_loop")


def range_step(first, last):
    stop = c.ask("vCont;r%x,%x:p1.1" % (sym[first], sym[last]))
    assert stop.startswith("T05"), stop
    return at()


is_(range_step("s_loop", "s_rep"), "s_rep", "a range step over a loop")
is_(range_step("s_rep", "s_repe"), "s_repe", "and over rep movsb")
go("s_int3")
is_(range_step("s_int3", "s_pf"), "on_int3", "one that leaves its range by an exception ends there")

# Watchpoints: after exactly the access, also when the processor itself makes it.
start()
go("s_rep")
c.ask("Z2,%x,1" % (sym["target"] + 1))
stop = c.ask("vCont;c")
ok("watch:%x;" % (sym["target"] + 1) in stop and at() == "l_rep" and reg(2) == 1, "a write by the second of three elements")
c.ask("z2,%x,1" % (sym["target"] + 1))
c.ask("Z3,%x,2" % (sym["source"] + 1))
stop = c.ask("vCont;c")
ok("rwatch:%x;" % (sym["source"] + 2) in stop and at() == "s_repe" and reg(2) == 0, "a read by the third")
c.ask("z3,%x,2" % (sym["source"] + 1))
go("s_int3")
rsp = reg(7)
c.ask("Z2,%x,8" % (rsp - 40))
stop = c.ask("vCont;c")
ok("watch:" in stop and at() == "on_int3", "the frame that an exception pushes: stopped at its handler")
c.ask("z2,%x,8" % (rsp - 40))
go("u_sys")
c.ask("Z4,%x,8" % (sym["user_top"] - 8))
go("u_int")
c.ask("Z1,%x,1" % sym["on_int40"])
stop = c.ask("vCont;c")
ok("hwbreak" in stop and at() == "on_int40", "a watchpoint on the user's stack is not hit by the kernel's")

# Exceptions that stop, at the instruction, before they are delivered.
start()
ok("#PF" in c.monitor("gdb catch #pf,3,gp") and "catch #BP #GP #PF triple" in c.monitor("gdb"), "gdb catch")
ok("cannot be caught" in c.monitor("gdb catch db"), "not #DB")


def catch(want):
    told = ""
    c.send("vCont;C0b")
    stop = c.packet()[1].decode()
    while stop.startswith("O"):
        told += bytes.fromhex(stop[1:]).decode()
        stop = c.packet()[1].decode()
    is_((stop[:3], at()), want, "caught: " + told.strip())
    return told


ok("exception #BP" in catch(("T05", "s_int3")), "told what it is")
is_(steps(1), ["on_int3"], "a step delivers it")
ok("#PF, error 0000, cr2 0x3fe00010" in catch(("T0b", "s_pf")), "with error code and address")
catch(("T0b", "u_int2"))
catch(("T0b", "u_gp"))
is_(c.ask("X%x,2:" % sym["on_gp"] + "\x0f\x0b"), "OK", "#UD where #GP is handled")
c.monitor("gdb catch ud")
catch(("T04", "on_gp"))
finish()
