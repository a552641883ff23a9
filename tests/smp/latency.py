"""latency.py IN CONSOLE N: how long a shell takes to answer an echo, N times, in milliseconds: median and worst."""
import os
import statistics
import sys
import time

into, console, n = os.open(sys.argv[1], os.O_WRONLY), sys.argv[2], int(sys.argv[3])
took = []
for i in range(n):
    start, at = time.monotonic(), os.path.getsize(console)
    os.write(into, b"echo answer$((%d+1))z\n" % (1000 + i))
    want = b"answer%dz" % (1001 + i)
    while True:
        with open(console, "rb") as f:
            f.seek(at)
            if want in f.read():
                break
        if time.monotonic() - start > 60:
            sys.exit("no answer within 60 s")
        time.sleep(0.002)
    took.append((time.monotonic() - start) * 1000)
    time.sleep(0.1)
print("%.0f %.0f" % (statistics.median(took), max(took)))
