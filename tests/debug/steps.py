# For GDB's Python: steps N instructions and writes a line for each place: linear pc and registers.
# Repeated instructions that stay where they are count once, as in the execution log.
import gdb
import os

names = {
    "x86-64": "rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15".split(),
    "i386": "eax ecx edx ebx esp ebp esi edi".split(),
}
frame_regs = names["x86-64" if "x86-64" in gdb.execute("show architecture", to_string=True) else "i386"]
n = int(os.environ["STEPS"])
with open(os.environ["STEPS_FILE"], "w") as out:
    last = None
    while n:
        frame = gdb.selected_frame()
        pc = int(frame.pc())
        if pc != last:
            values = [int(frame.read_register(r)) & 0xffffffffffffffff for r in frame_regs]
            if len(values) == 8:
                values = [v & 0xffffffff for v in values]
            out.write("%x %s\n" % (pc, " ".join("%x" % v for v in values)))
            n -= 1
        last = pc
        gdb.execute("stepi", to_string=True)
