"""Boots the installed Debian from each controller to a login on the serial line and on the screen."""
import os
import tempfile
import time

from machine import (CONTROLLERS, Machine, PASSWORD, SLOW, base_image, check_file_system, done, img, learn, ok, read_screen,
                     take, type_keys)

base = base_image()
folder = tempfile.mkdtemp(prefix="root-boot.", dir=os.path.dirname(base))
only = os.environ.get("CONTROLLERS", " ".join(CONTROLLERS)).split()
for n, name in enumerate(only):
    over = take(folder, "over.qcow2")
    # Both adapters' screens: the standard VGA's, and virtio's.
    vga = os.environ.get("VGA", "std")
    status, text = img("create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", over)
    ok(status == 0, f"{name}: an overlay {text}")
    m = Machine(over, name, ",discard=unmap" if n % 2 else "", "-vga", vga)
    if not ok(m.login(), f"{name}: SeaBIOS, GRUB and Linux come to a login on the serial line, which is used"):
        m.show(40)
        m.tidy()
        continue
    print(f"# {name}: login after {m.booted:.0f} s")
    time.sleep(2 * SLOW)
    picture = m.dump()
    with open(os.path.join(folder, f"{name}.png"), "wb") as f:
        f.write(m.dump("png"))
    # The keys go to the login on the screen.
    type_keys(m, "root\n")
    time.sleep(5 * SLOW)
    type_keys(m, PASSWORD + "\n")
    time.sleep(5 * SLOW)
    type_keys(m, "tty >/dev/ttyS0\n")
    if not ok(m.wait(60, r"^/dev/tty1\r?$"), f"{name}: root logs in on the screen by the keyboard"):
        m.show()
    glyphs = learn(m)
    ok(len(glyphs) > 90, f"{name}: the screen's characters can be told apart ({len(glyphs)})")
    text = read_screen(picture, glyphs)
    if not ok("dragoman login:" in text, f"{name}: the picture showed the login"):
        for row in text.split("\n"):
            print("#", row)

    status, text = m.run("findmnt -n -o SOURCE /")
    ok(status == 0 and text == f"/dev/{m.disk}1", f"{name}: the root is /dev/{m.disk}1 ({text})")
    status, text = m.run(f"readlink -f /sys/block/{m.disk}/device/; lsmod | grep -w ^{m.driver}")
    ok(status == 0, f"{name}: behind the driver {m.driver}")
    status, text = m.run("systemctl is-system-running --wait || systemctl --failed --no-legend", 120)
    ok(text.startswith("running"), f"{name}: every service is up ({text})")
    status, text = m.run("dmesg -l emerg,alert,crit,err | grep -v 'RETBleed\\|Spectre\\|nested\\|regulatory\\|firmware_class'")
    ok(text == "", f"{name}: no errors in the kernel's log")
    for row in text.split("\n") if text else []:
        print("#", row)
    status, text = m.run("cd /usr/sbin && sha256sum * >/root/sums 2>/dev/null; sync; echo 3 >/proc/sys/vm/drop_caches;"
                         "sha256sum --quiet -c /root/sums", 240)
    ok(status == 0, f"{name}: files read twice are the same {text[:200]}")
    status, text = m.run("head -c 10000000 /dev/urandom >/root/new; sha256sum /root/new; sync;"
                         "echo 3 >/proc/sys/vm/drop_caches; sha256sum /root/new; fstrim / 2>/dev/null; sha256sum /root/new", 120)
    sums = {row.split()[0] for row in text.split("\n")}
    ok(status == 0 and len(sums) == 1, f"{name}: what is written is read back")
    if n == 0:
        # The system's own installation of its boot loader, in the place of the one that make-root.sh put there.
        status, text = m.run(f"grub-install /dev/{m.disk} && update-grub", 400)
        ok(status == 0 and "No error reported" in text, f"{name}: grub-install and update-grub work in the guest")
    m.send("poweroff\n")
    status = m.end()
    if not ok(status == 0, f"{name}: poweroff ends with status 0 ({status})"):
        m.show()
    m.tidy()
    if n == 0:
        m = Machine(over, name)
        ok(m.login() and m.run("grep -q root=UUID /proc/cmdline")[0] == 0, f"{name}: and it boots from that")
        m.send("poweroff\n")
        ok(m.end() == 0, f"{name}: and is switched off")
        m.tidy()
    ours, theirs = img("check", over), img("check", over, tool="qemu-img")
    ok(ours[0] == 0 and theirs[0] == 0, f"{name}: img check and qemu-img check find nothing ({ours[0]}, {theirs[0]})")
    raw = take(folder, "flat.raw")
    status, text = img("convert", "-O", "raw", over, raw, tool="qemu-img" if n % 2 else None)
    journal, clean, text = check_file_system(raw)
    if not ok(status == 0 and clean == 0, f"{name}: the file system is clean"):
        print("#", text.replace("\n", "\n# "))
    os.unlink(raw)
    os.unlink(over)
print(f"# the pictures are in {folder}")
done()
