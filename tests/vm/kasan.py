#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""kasan.py: builds the kernel for `make check-kasan` when it is not there:
Debian's source of 6.1 with kasan.config. It takes long; the log is told of
at the beginning."""

import fnmatch
import os
import pathlib
import re
import subprocess
import sys

from cache import CACHE, Unavailable, digest, made, say
from packages import Apt

CONFIG = pathlib.Path(__file__).with_name("kasan.config")
SOURCE = "linux-source-6.1"
# Of what was built a module needs no more than the tools and headers.
LEFT = ("*.o", "*.a", "*.ko", "*.dwo", ".*.cmd")


def _make(tree, log, *words):
    with open(log, "a") as out:
        done = subprocess.run(
            ["nice", "-n", "19", "make", f"-j{os.cpu_count()}", *words],
            cwd=tree, stdin=subprocess.DEVNULL, stdout=out,
            stderr=subprocess.STDOUT)
    if done.returncode:
        raise Unavailable(f"make {' '.join(words)} failed: see {log}")


def _configure(tree, log):
    """All that kasan.config asks for must be there after."""
    _make(tree, log, "allnoconfig", f"KCONFIG_ALLCONFIG={CONFIG}")
    have = (tree / ".config").read_text().splitlines()
    return [line for line in CONFIG.read_text().splitlines()
            if line.startswith("CONFIG_") and line not in have]


def _unpack(place):
    """Debian's source of the kernel, once."""
    tree = place / "build"
    if (place / "unpacked").exists():
        return tree
    subprocess.run(["rm", "-rf", place], check=True)
    tree.mkdir(parents=True)
    apt = Apt("bookworm", "bookworm-security")
    apt.update()
    apt.unpack([SOURCE], place / "package")
    subprocess.run(["tar", "-x", "--strip-components=1", "-C", tree, "-f",
                    next(place.glob("package/usr/src/*.tar.xz"))], check=True)
    subprocess.run(["rm", "-rf", place / "package"], check=True)
    (place / "unpacked").touch()
    return tree


def _build(root):
    """In a place that stays when something fails, and is gone on with."""
    log = CACHE / "kasan.log"
    log.write_text("")
    say(f"this takes long; what make says goes to {log}")
    place = CACHE / "kasan" / root.name.split(".")[1]
    tree = _unpack(place)
    missing = _configure(tree, log)
    if missing:
        say(f"left out by the kernel's own rules: {' '.join(missing)}")
    _make(tree, log, "bzImage", "modules")
    release = (tree / "include/config/kernel.release").read_text().strip()
    _thin(tree)
    modules = root / "modules"
    modules.mkdir(parents=True)
    for name in ("modules.builtin", "modules.order"):
        (modules / name).write_bytes((tree / name).read_bytes())
    (modules / "modules.dep").touch()
    (modules / "modules.alias").touch()
    (root / "vmlinuz").symlink_to("build/arch/x86/boot/bzImage")
    (root / "version").write_text(release + "\n")
    tree.rename(root / "build")
    subprocess.run(["rm", "-rf", place], check=True)


def _thin(tree):
    """All that was built but the tools."""
    for folder, below, names in os.walk(tree):
        if folder == str(tree):
            below[:] = [d for d in below if d not in ("scripts", "tools")]
        for name in names:
            if any(fnmatch.fnmatch(name, p) for p in LEFT):
                os.unlink(os.path.join(folder, name))


def get():
    from kernels import Kernel
    settings = re.sub(r"(?m)^#.*\n", "", CONFIG.read_text())
    return Kernel("kasan", made("kernels", f"kasan-{digest(settings)}",
                                _build))


if __name__ == "__main__":
    try:
        print(get().dir)
    except Unavailable as e:
        sys.exit(f"kasan.py: {e}")
