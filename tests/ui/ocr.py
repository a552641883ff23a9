"""Reads the text of a screen dump: cells of 8x16 or 9x16 pixels in the PC's own font, as the VGA's text modes and Linux's
framebuffer console show it. The glyphs come from the VGA BIOS that the emulator uses; Linux's own, in which a dozen letters
differ, from the kernel (learn_kernel)."""
import lzma
import os

ROMS = ("/usr/share/seabios/vgabios-stdvga.bin", "/usr/share/qemu/vgabios-stdvga.bin")
LETTER_A = bytes.fromhex("000010386cc6c6fec6c6c6c600000000")


def _font():
    for path in ROMS:
        if os.path.exists(path):
            with open(path, "rb") as f:
                rom = f.read()
            if rom.find(LETTER_A) >= 65 * 16:
                return _font_in(rom)
    raise OSError("no VGA BIOS with a font: package seabios")


def _font_in(data):
    start = data.find(LETTER_A) - 65 * 16
    return {data[start + 16 * c:start + 16 * c + 16]: chr(c) for c in range(126, 31, -1)}


_glyphs = None


def learn_kernel(path):
    """Takes the console font of a bzImage (packed by xz) as well."""
    global _glyphs
    with open(path, "rb") as f:
        data = f.read()
    kernel = lzma.LZMADecompressor().decompress(data[data.index(b"\xfd7zXZ\0"):])
    if kernel.find(LETTER_A) < 65 * 16:
        raise OSError(f"{path}: a kernel without a console font")
    _glyphs = _font_in(kernel) | _font()


def read(ppm):
    """Lines of text; what is no letter of ASCII is a blank."""
    global _glyphs
    _glyphs = _glyphs or _font()
    _, size, _, body = ppm.split(b"\n", 3)
    width, height = (int(n) for n in size.split())
    cell = 9 if width == 720 else 8
    seen, lines = {}, []
    for y in range(0, height - 15, 16):
        rows = [body[3 * width * (y + n):3 * width * (y + n + 1)] for n in range(16)]
        line = []
        for x in range(0, width - cell + 1, cell):
            block = b"".join(row[3 * x:3 * x + 24] for row in rows)
            if block not in seen:
                seen[block] = _letter(block)
            line.append(seen[block])
        lines.append("".join(line).rstrip())
    return lines


def _letter(block):
    back, bits = block[:3], bytearray(16)
    for n in range(128):
        if block[3 * n:3 * n + 3] != back:
            bits[n >> 3] |= 0x80 >> (n & 7)
    for b in (bytes(bits), bytes(255 - v for v in bits)):
        if b in _glyphs and (any(b) or not any(bits)):
            return _glyphs[b]
    return " "


if __name__ == "__main__":
    import sys
    with open(sys.argv[1], "rb") as f:
        print("\n".join(read(f.read())))
