"""The installed Debian with each network card and user networking, against servers on the host's loopback: apt-get update and
install (signed lists of the whole distribution, real packages), 200 MB by wget, iperf3 both ways, ssh by a forwarded port."""
import hashlib
import json
import os
import random
import socket
import subprocess
import tempfile
import time

from machine import SLOW, Machine, base_image, done, img, ok, take
from servers import Files, Iperf

CARDS = os.environ.get("CARDS", "virtio-net-pci e1000 rtl8139").split()
PACKAGES = os.environ.get("PACKAGES", "git python3-minimal nginx-light")
BYTES = int(os.environ.get("BYTES", "200000000"))
base = base_image()
folder = tempfile.mkdtemp(prefix="root-network.", dir=os.path.dirname(base))
big = random.Random(1).randbytes(BYTES)
digest = hashlib.sha256(big).hexdigest()
files = Files(os.path.join(os.path.dirname(base), "mirror"), big)
iperf = Iperf()
key = os.path.join(folder, "key")
subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
with open(key + ".pub") as f:
    public = f.read().strip()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def timed(m, command, seconds):
    """m.run, and how long it took."""
    start = time.time()
    status, text = m.run(command, seconds)
    return status, text, time.time() - start


def failed(m, text):
    for row in text.split("\n")[-12:]:
        print("#", row[:160])
    m.show(3)


def traffic(m, card, ssh_port):
    status, text = m.run("for i in $(seq 60); do ip -4 -br addr | grep '10\\.0\\.2\\.15' && break; sleep 1; done", 90)
    ok(status == 0 and "10.0.2.15" in text, f"{card}: systemd-networkd has its address by DHCP ({' '.join(text.split())})")

    m.run(f"rm -f /etc/apt/sources.list.d/*; echo 'deb http://10.0.2.2:{files.port}/debian bookworm main' >/etc/apt/sources.list")
    sent = files.sent
    status, text, took = timed(m, "apt-get update 2>&1", 600)
    lists = files.sent - sent
    if not ok(status == 0 and "\nW:" not in text and "\nE:" not in text and lists > 5_000_000,
              f"{card}: apt-get update, {lists / 1e6:.1f} MB in {took:.0f} s"):
        failed(m, text)
    sent = files.sent
    status, text, took = timed(m, f"DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends {PACKAGES} 2>&1", 900)
    if not ok(status == 0 and files.sent > sent,
              f"{card}: apt-get install {PACKAGES}, {(files.sent - sent) / 1e6:.1f} MB in {took:.0f} s"):
        failed(m, text)
    # Documentation that dpkg puts there anew is wanted; the image's own has been thinned out.
    status, text = m.run(f"dpkg -V {PACKAGES}; dpkg --audit; git --version && python3 -c 'print(6*7)' && systemctl is-active nginx", 60)
    if not ok(status == 0 and "git version" in text and "42" in text and text.endswith("active"),
              f"{card}: the packages are whole, and work"):
        failed(m, text)

    status, text, took = timed(m, f"wget -q -O - http://10.0.2.2:{files.port}/big | sha256sum", 400)
    if not ok(status == 0 and digest in text, f"{card}: {BYTES // 1000000} MB by wget in {took:.1f} s"):
        failed(m, text)
    for way in ("", "-R"):
        status, text = m.run(f"iperf3 -c 10.0.2.2 -p {iperf.port} -t 5 -J {way}", 60)
        try:
            rate = json.loads(text)["end"]["sum_received"]["bits_per_second"] / 1e6
        except (ValueError, KeyError):
            rate = 0
        ok(status == 0 and rate > 10, f"{card}: iperf3 {'in' if way else 'out'}, {rate:.0f} Mbit/s")

    m.run(f"mkdir -p /root/.ssh; chmod 700 /root/.ssh; echo '{public}' >/root/.ssh/authorized_keys")
    ssh = ["ssh", "-p", str(ssh_port), "-i", key, "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o",
           "LogLevel=ERROR", "-o", "ConnectTimeout=120", "root@127.0.0.1"]
    part = big[:BYTES // 10]
    start = time.time()
    r = subprocess.run(ssh + ["cat >/tmp/part; sha256sum </tmp/part; cat /tmp/part"], input=part, capture_output=True,
                       timeout=300 * SLOW)
    head, _, back = r.stdout.partition(b"\n")
    if not ok(r.returncode == 0 and hashlib.sha256(part).hexdigest().encode() in head and back == part,
              f"{card}: {len(part) // 1000000} MB there and back by ssh through the forwarded port in {time.time() - start:.1f} s"):
        print("#", r.returncode, head[:100], len(back), r.stderr[-200:])
    status, text = m.run("dmesg -l emerg,alert,crit,err | grep -v 'RETBleed\\|Spectre\\|nested\\|regulatory\\|firmware_class'")
    ok(text == "", f"{card}: no errors in the kernel's log {text[:200]}")


for card in CARDS:
    over, ssh_port = take(folder, "over.qcow2"), free_port()
    status, text = img("create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", over)
    ok(status == 0, f"{card}: an overlay {text}")
    m = Machine(over, "virtio-blk", "", "-netdev", f"user,id=n,hostfwd=tcp:127.0.0.1:{ssh_port}-:22", "-device",
                f"{card},netdev=n")
    if ok(m.login(), f"{card}: Debian comes to its login"):
        traffic(m, card, ssh_port)
        m.send("poweroff\n")
        ok(m.end() == 0, f"{card}: poweroff ends with status 0")
    else:
        m.show(40)
    m.tidy()
    ok(img("check", over)[0] == 0, f"{card}: img check finds nothing")
    os.unlink(over)
iperf.stop()
done()
