#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""kasan.py: builds the kernel for `make check-kasan` when it is not there:
Debian's source of 6.1 with kasan.config. It takes long; the log is told of
at the beginning."""

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


def _build(root):
    log = CACHE / "kasan.log"
    log.write_text("")
    say(f"this takes long; what make says goes to {log}")
    apt = Apt("bookworm", "bookworm-security")
    apt.update()
    apt.unpack([SOURCE], root / "package")
    tree = root / "build"
    tree.mkdir()
    subprocess.run(["tar", "-x", "--strip-components=1", "-C", tree, "-f",
                    next(root.glob("package/usr/src/*.tar.xz"))], check=True)
    subprocess.run(["rm", "-rf", root / "package"], check=True)
    missing = _configure(tree, log)
    if missing:
        say(f"left out by the kernel's own rules: {' '.join(missing)}")
    _make(tree, log, "bzImage", "modules")
    release = (tree / "include/config/kernel.release").read_text().strip()
    modules = root / "modules"
    modules.mkdir()
    for name in ("modules.builtin", "modules.order"):
        (modules / name).write_bytes((tree / name).read_bytes())
    (modules / "modules.dep").touch()
    (modules / "modules.alias").touch()
    (root / "vmlinuz").symlink_to("build/arch/x86/boot/bzImage")
    (root / "version").write_text(release + "\n")
    _thin(tree)


def _thin(tree):
    names = []
    for pattern in LEFT:
        names += ["-o", "-name", pattern]
    subprocess.run(["find", tree, "(", "-path", tree / "scripts", "-o",
                    "-path", tree / "tools", ")", "-prune", "-o", "-type",
                    "f", "(", *names[1:], ")", "-delete"], check=True)


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
