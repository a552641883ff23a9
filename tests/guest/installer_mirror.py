"""What Debian's installer loads for partitioning, from a mirror of its own on this host: python3 installer_mirror.py FOLDER PORT
KERNEL (the installer's bzImage, which tells whose modules are wanted).

Kernel modules and partman come from Debian's mirror (MIRROR=URL). Mirrors that keep no udebs of libraries lack the rest; a
package of our own made of Debian's ordinary packages stands in for that: libparted, libdevmapper, and three small scripts.
Nothing is signed: the installer wants debian-installer/allow_unauthenticated=true."""
import gzip
import hashlib
import http.server
import os
import re
import shutil
import subprocess
import sys
import urllib.request

MIRROR = os.environ.get("MIRROR", "http://deb.debian.org/debian")
UDEBS = ["partman-base", "partman-auto", "scsi-modules", "cdrom-core-modules", "ata-modules", "scsi-core-modules", "ext4-modules"]
LIBRARIES = ["libparted2", "libparted-fs-resize0", "libdevmapper1.02.1"]
CONTROL = """Package: disk-parts
Version: 1
Architecture: amd64
Maintainer: none <none@localhost>
Section: debian-installer
Priority: standard
Provides: partman-partitioning, partman-target, partman-utils, partman-basicfilesystems, partman-ext3, harddrive-detection,
 libparted2-udeb, libparted-fs-resize0-udeb, libdevmapper1.02.1-udeb, di-utils-mapdevfs
Description: what partman needs
"""
SCRIPTS = {
    "DEBIAN/postinst": "#!/bin/sh\ndepmod -a\nmodprobe virtio_blk\nmodprobe ext4\nupdate-dev --settle\nexit 0\n",
    "bin/mapdevfs": '#!/bin/sh\necho "$1"\n',
    # Device, bytes, model and label of each disk.
    "bin/parted_devices": """#!/bin/sh
for d in /sys/block/*; do
    [ -e "$d/device" ] && [ "$(cat "$d/size")" -gt 0 ] || continue
    printf '/dev/%s\\t%s\\t%s\\t\\n' "${d##*/}" "$(($(cat "$d/size") * 512))" 'Virtio Block Device'
done
""",
}


def fetch(path):
    with urllib.request.urlopen(f"{MIRROR}/{path}", timeout=60) as r:
        return r.read()


def release_of(kernel):
    """The release of a bzImage: its header has the place of the version's text."""
    with open(kernel, "rb") as f:
        head = f.read(0x10000)
    at = 0x200 + int.from_bytes(head[0x20e:0x210], "little")
    return head[at:head.index(b" ", at)].decode()


def stand_in(folder):
    tree = os.path.join(folder, "tree")
    shutil.rmtree(tree, ignore_errors=True)
    os.makedirs(os.path.join(tree, "DEBIAN"))
    debs = os.path.join(folder, "debs")
    os.makedirs(debs, exist_ok=True)
    subprocess.run(["apt-get", "download", "-qq", *LIBRARIES], cwd=debs, check=True)
    for name in os.listdir(debs):
        subprocess.run(["dpkg-deb", "-x", os.path.join(debs, name), tree], check=True)
    shutil.rmtree(os.path.join(tree, "usr/share"), ignore_errors=True)
    for path, text in {"DEBIAN/control": CONTROL, **SCRIPTS}.items():
        path = os.path.join(tree, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, 0o644 if path.endswith("control") else 0o755)
    out = os.path.join(folder, "disk-parts_1_amd64.udeb")
    subprocess.run(["dpkg-deb", "-Zxz", "--nocheck", "-b", tree, out], check=True, stdout=subprocess.DEVNULL)
    return out


def make(folder, release):
    """The udebs, by name; and the index of them."""
    os.makedirs(folder, exist_ok=True)
    files, index = {}, []
    packages = gzip.decompress(fetch("dists/bookworm/main/debian-installer/binary-amd64/Packages.gz")).decode()
    for stanza in packages.strip().split("\n\n"):
        fields = dict(re.findall(r"^([\w-]+): (.*)$", stanza, re.M))
        name = fields["Package"]
        if name in UDEBS or (name.endswith(f"-{release}-di") and name[:-len(release) - 4] in UDEBS):
            base = os.path.basename(fields["Filename"])
            path = os.path.join(folder, base)
            if not os.path.exists(path):
                data = fetch(fields["Filename"])
                with open(path, "wb") as f:
                    f.write(data)
            files[base] = path
            index.append(re.sub(r"^Filename: .*$", f"Filename: pool/{base}", stanza, flags=re.M))
    path = stand_in(folder)
    with open(path, "rb") as f:
        data = f.read()
    files[os.path.basename(path)] = path
    control = CONTROL.strip().replace(",\n ", ", ")
    index.append(f"{control}\nFilename: pool/{os.path.basename(path)}\nSize: {len(data)}\n"
                 f"MD5sum: {hashlib.md5(data).hexdigest()}\nSHA256: {hashlib.sha256(data).hexdigest()}")
    return files, "\n\n".join(index).encode() + b"\n"


def main():
    folder, port, release = sys.argv[1], int(sys.argv[2]), release_of(sys.argv[3])
    files, packages = make(folder, release)
    packed = gzip.compress(packages)
    name = "main/debian-installer/binary-amd64/Packages.gz"
    head = (f"Origin: Debian\nSuite: oldstable\nCodename: bookworm\nArchitectures: amd64\nComponents: main\nSHA256:\n"
            f" {hashlib.sha256(packed).hexdigest()} {len(packed)} {name}\n").encode()
    texts = {f"dists/{suite}/Release": head for suite in ("bookworm", "oldstable")}
    for suite in ("bookworm", "oldstable"):
        texts[f"dists/{suite}/main/binary-amd64/Release"] = b"Component: main\nArchitecture: amd64\n"
        texts[f"dists/{suite}/{name}"] = packed

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            path = re.sub("/+", "/", self.path).removeprefix("/debian/")
            data = texts.get(path)
            if data is None and path.startswith("pool/") and path[5:] in files:
                with open(files[path[5:]], "rb") as f:
                    data = f.read()
            status = 200 if data is not None else 404
            print(status, self.path, flush=True)
            self.send_response(status)
            self.send_header("Content-Length", str(len(data or b"")))
            self.end_headers()
            self.wfile.write(data or b"")

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    print("ready", flush=True)
    server.serve_forever()


main()
