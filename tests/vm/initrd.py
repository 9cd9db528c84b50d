# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""The first file system of a virtual machine: busybox, our scripts, and the
kernel's modules that tests ask for."""

import lzma
import pathlib
import shutil
import stat
import subprocess

from cache import Unavailable, digest, made

HERE = pathlib.Path(__file__).parent
# Loaded at once: how the machine reaches its disk and the host.
AT_ONCE = ["virtio_pci", "virtio_blk", "9pnet_virtio", "9p"]
# For whoever mounts or asks.
PRESENT = ["ext4", "crc32c_generic", "crc32c_intel", "overlay", "loop", "fuse", "squashfs", "tun", "dummy"]


class Archive:
    """A cpio archive of the kind that the kernel unpacks (newc)."""

    def __init__(self):
        self.parts = []
        self.folders = set()

    def _entry(self, name, mode, data=b""):
        ino = len(self.parts) + 1
        raw = name.encode() + b"\0"
        head = "070701" + "".join(f"{n:08x}" for n in (
            ino, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(raw), 0))
        for block in (head.encode() + raw, data):
            self.parts.append(block + b"\0" * (-len(block) % 4))

    def folder(self, name):
        parent = str(pathlib.PurePosixPath(name).parent)
        if name in (".", "") or name in self.folders:
            return
        self.folder(parent)
        self.folders.add(name)
        self._entry(name, stat.S_IFDIR | 0o755)

    def add(self, name, data, mode=0o755):
        self.folder(str(pathlib.PurePosixPath(name).parent))
        self._entry(name, stat.S_IFREG | mode, data)

    def write(self, path):
        self._entry("TRAILER!!!", 0)
        path.write_bytes(b"".join(self.parts))


class Modules:
    """The modules of a kernel by name, with what they need before them."""

    def __init__(self, kernel):
        self.dir = kernel.modules
        self.needs = {}
        self.builtin = set()
        dep = self.dir / "modules.dep"
        for line in dep.read_text().splitlines() if dep.exists() else []:
            path, _, needs = line.partition(":")
            self.needs[path] = needs.split()
        self.by_name = {self.name(p): p for p in self.needs}
        builtin = self.dir / "modules.builtin"
        if builtin.exists():
            self.builtin = {self.name(p)
                            for p in builtin.read_text().split()}

    @staticmethod
    def name(path):
        return pathlib.PurePosixPath(path).name.split(".ko")[0] \
            .replace("-", "_")

    def order(self, names):
        """Paths in the order in which they can be loaded."""
        done = []

        def visit(path):
            for need in self.needs[path]:
                visit(need)
            if path not in done:
                done.append(path)

        for name in names:
            if name in self.by_name:
                visit(self.by_name[name])
        return done

    def aliases(self, paths):
        """modules.alias of these alone."""
        names = {self.name(p) for p in paths}
        lines = (self.dir / "modules.alias").read_text().splitlines()
        return "".join(f"{line}\n" for line in lines
                       if line.split()[-1].replace("-", "_")
                       in names).encode()

    def data(self, path):
        raw = (self.dir / path).read_bytes()
        if path.endswith(".xz"):
            return lzma.decompress(raw)
        if path.endswith(".zst"):
            return subprocess.run(["zstd", "-dc"], input=raw, check=True,
                                  stdout=subprocess.PIPE).stdout
        return raw


def _busybox():
    path = shutil.which("busybox")
    if not path:
        raise Unavailable("busybox-static is not installed")
    return pathlib.Path(path)


def get(kernel):
    """The archive for a kernel."""
    files = {"init": HERE / "init.sh", "agent.sh": HERE / "agent.sh"}
    key = digest(*files.values(), pathlib.Path(__file__), _busybox(),
                 kernel.version)

    def make(path):
        archive = Archive()
        for name, f in files.items():
            archive.add(name, f.read_bytes())
        archive.add("bin/busybox", _busybox().read_bytes())
        modules = Modules(kernel)
        home = f"lib/modules/{kernel.version}"
        at_once = modules.order(AT_ONCE)
        plain = {}
        for p in modules.order(AT_ONCE + PRESENT):
            plain[p] = p.removesuffix(".xz").removesuffix(".zst")
            archive.add(f"{home}/{plain[p]}", modules.data(p), 0o644)
        archive.add(f"{home}/modules.dep", "".join(
            f"{new}: {' '.join(plain[n] for n in modules.needs[p])}\n"
            for p, new in plain.items()).encode(), 0o644)
        archive.add(f"{home}/modules.alias", modules.aliases(plain), 0o644)
        archive.add("modules", "".join(f"/{home}/{plain[p]}\n"
                                       for p in at_once).encode(), 0o644)
        archive.write(path)

    return made("initrd", f"{kernel.version}-{key}.cpio", make)
