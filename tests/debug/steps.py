# For GDB's Python: steps N instructions and writes a line for each place: linear pc, registers, flags, selectors.
# Repeated instructions that stay where they are count once, as in the execution log.
import gdb
import os

# Whatever the layout is, these are in it; 64-bit ones have other names.
wide = "x86-64" in gdb.execute("show architecture", to_string=True)
frame_regs = [("r" if wide else "e") + r for r in "ax cx dx bx sp bp si di".split()]
frame_regs += "eflags es cs ss ds fs gs".split()
n = int(os.environ["STEPS"])
with open(os.environ["STEPS_FILE"], "w") as out:
    last = None
    while n:
        frame = gdb.selected_frame()
        pc = int(frame.pc())
        if pc != last:
            values = [int(frame.read_register(r)) & 0xffffffffffffffff for r in frame_regs]
            if not wide:
                values = [v & 0xffffffff for v in values]
            out.write("%x %s\n" % (pc, " ".join("%x" % v for v in values)))
            n -= 1
        last = pc
        gdb.execute("stepi", to_string=True)
