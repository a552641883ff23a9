# A moving test pattern as YUV4MPEG, 176x144: gradients, a bouncing block and noise of a fixed seed.
import sys

frames = int(sys.argv[1])
w, h, seed = 176, 144, 1
out = sys.stdout.buffer
out.write(b"YUV4MPEG2 W%d H%d F25:1 Ip A1:1 C420\n" % (w, h))
for n in range(frames):
    rows = []
    for y in range(h):
        row = bytearray((x + y + 3 * n) & 255 for x in range(w))
        for x in range(0, w, 5):
            seed = (seed * 1103515245 + 12345) & 0x7FFFFFFF
            row[x] = (row[x] + (seed >> 20 & 15)) & 255
        if n * 3 % 100 <= y < n * 3 % 100 + 30:
            row[n * 5 % 140:n * 5 % 140 + 30] = bytes(235 if (x ^ y) & 4 else 16 for x in range(30))
        rows.append(bytes(row))
    out.write(b"FRAME\n" + b"".join(rows))
    for plane in range(2):
        out.write(bytes((128 + (x * (plane + 1) - y + n) % 64) & 255 for y in range(h // 2) for x in range(w // 2)))
