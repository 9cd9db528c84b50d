#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""Debian kernels to test on, each with what builds a module for it.

kernels.py get SERIES...          prints the folder of each, got when missing
kernels.py module SERIES SRC OUT  builds the kernel module in the folder SRC
                                  for it, in the folder OUT
SERIES: 5.10, 6.1, 6.12, new (the newest of testing and unstable), kasan"""

import os
import pathlib
import re
import shutil
import subprocess
import sys

from cache import CACHE, Unavailable, locked, made, remove, run, say
from packages import Apt

# Where each comes from, the pattern of its image's package.
SERIES = {
    "5.10": (("bullseye-security",), r"linux-image-5\.10\.0-[0-9]+-amd64"),
    "6.1": (("bookworm", "bookworm-security"),
            r"linux-image-6\.1\.0-[0-9]+-amd64"),
    "6.12": (("bookworm", "bookworm-security"),
             r"linux-image-6\.12\.[0-9]+\+deb12-amd64"),
    "new": (("sid", "forky"),
            r"linux-image-[0-9.]+\+deb[0-9+]+-amd64"),
}
PARTS = r"linux-(image|binary|modules|base|headers|kbuild)-[0-9]"
# Drivers that no virtual machine of ours has.
LEAVE_OUT = [f"*/kernel/{d}/*" for d in (
    "sound", "drivers/gpu", "drivers/media", "drivers/infiniband",
    "drivers/net/ethernet", "drivers/net/wireless", "drivers/iio",
    "drivers/staging", "drivers/usb", "drivers/scsi", "drivers/hwmon",
    "drivers/input", "drivers/bluetooth", "drivers/platform")] + [
    "./usr/share/doc/*", "./usr/share/bug/*", "./usr/share/lintian/*"]


class Kernel:
    """A folder with vmlinuz, modules/ (what is /lib/modules/VERSION on a
    machine) and build/ (what a module is built against), or chroot/ where
    the tools of build/ need a newer C library than the machine has."""

    def __init__(self, series, folder):
        self.series = series
        self.dir = folder
        self.version = (folder / "version").read_text().strip()
        self.number = tuple(int(n) for n in self.version.split(".")[:2])
        self.image = folder / "vmlinuz"
        self.modules = folder / "modules"
        self.chroot = folder / "chroot"
        self.build = folder / "build"

    def module(self, source, out, *variables):
        """Builds the module in the folder source, outside of it, at out: by
        its build.sh, else by its Kbuild. Only what changed is built again.
        Returns what make said."""
        source, out = pathlib.Path(source).resolve(), pathlib.Path(out)
        out.mkdir(parents=True, exist_ok=True)
        out = out.resolve()
        if not self.chroot.exists():
            return _make(_module_words(source, source, self.build, out,
                                       variables))
        inside = """
            set -e
            mount --bind "$2" "$1/srv"
            mount --bind "$3" "$1/mnt"
            mount -t proc proc "$1/proc"
            cd "$1"
            shift 3
            exec chroot . /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin \
                HOME=/root TMPDIR=/tmp "$@" """
        return _make(["unshare", "-m", "sh", "-c", inside, "sh", self.chroot,
                      source, out, *_module_words(
                          source, "/srv",
                          f"/usr/src/linux-headers-{self.version}", "/mnt",
                          variables)])


def _module_words(source, here, build, out, variables):
    if (source / "build.sh").exists():
        return ["sh", f"{here}/build.sh", build, out, "-s", *variables]
    return ["sh", "-ec", """
        from=$1 build=$2 out=$3
        shift 3
        cp -RuT --preserve=timestamps "$from" "$out"
        exec make -s -C "$build" M="$out" "$@" modules""", "sh", here, build,
            out, *variables]


def _make(command):
    done = subprocess.run([str(c) for c in command], text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    if done.returncode:
        raise RuntimeError(f"the module does not build:\n{done.stdout}")
    return done.stdout


def _arrange(root, version):
    """One layout for all: vmlinuz, modules, build; paths rewritten."""
    (root / "version").write_text(version + "\n")
    if not (root / "lib").exists():
        (root / "lib").symlink_to("usr/lib")
    modules = root / "lib/modules" / version
    run("depmod", "-b", root, version)
    (root / "modules").symlink_to(f"lib/modules/{version}")
    for image in (root / "boot" / f"vmlinuz-{version}", modules / "vmlinuz"):
        if image.exists():
            (root / "vmlinuz").symlink_to(image.relative_to(root))
            break
    else:
        raise Unavailable(f"no kernel image in the packages of {version}")
    for link in ("build", "source"):
        (modules / link).unlink(missing_ok=True)


def _rewrite_headers(root, version, final):
    """Their makefiles name /usr/src, and a compiler of their own suite."""
    headers = root / "usr/src" / f"linux-headers-{version}"
    if not headers.exists():
        return
    (root / "build").symlink_to(f"usr/src/linux-headers-{version}")
    places = [headers, *root.glob("usr/src/linux-headers-*-common")]
    for name in ("Makefile", ".kernelvariables"):
        for f in [p / name for p in places if (p / name).is_file()]:
            text = f.read_text()
            text = re.sub(r"(?<![\w.])/usr/(src|lib)/linux-",
                          rf"{final}/usr/\1/linux-", text)
            found = re.search(r"\bgcc-\d+", text)
            if found and not shutil.which(found.group()):
                text = text.replace(found.group(), "gcc")
            f.write_text(text)
    for link in [p for p in (*headers.iterdir(), *headers.parent.iterdir())
                 if p.is_symlink()]:
        target = os.readlink(link)
        if target.startswith("/usr/"):
            link.unlink()
            link.symlink_to(f"{final}{target}")


def _builds_here(root, version):
    """Whether the tools of the headers run with this machine's C library,
    and its compiler is not older than the kernel's."""
    for tool in root.glob("usr/lib/linux-kbuild-*/scripts/mod/modpost"):
        done = subprocess.run([tool], stdin=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True)
        if "GLIBC_" in done.stderr:
            return False
    settings = root / "usr/src" / f"linux-headers-{version}/.kernelvariables"
    wanted = re.search(r"\bgcc-(\d+)", settings.read_text())
    return not wanted \
        or int(wanted.group(1)) <= int(run("gcc", "-dumpversion").split(".")[0])


def _fetch(apt, image, version, root):
    headers = f"linux-headers-{version}"
    final = CACHE / "kernels" / version
    apt.unpack(apt.closure([image, headers], PARTS), root, LEAVE_OUT)
    _arrange(root, version)
    if _builds_here(root, version):
        _rewrite_headers(root, version, final)
    else:
        remove(root / "usr/src")
        apt.bootstrap("essential", [headers, "make"], root / "chroot")


def get(series):
    """The kernel of a series, the newest that the archive has; without net
    the newest that is there."""
    if series == "kasan":
        import kasan
        return kasan.get()
    if series not in SERIES:
        raise Unavailable(f"no kernel series {series!r}; there are "
                          f"{' '.join(SERIES)} kasan")
    suites, pattern = SERIES[series]
    apt = Apt(*suites)
    link = CACHE / "kernels" / f"series-{series}"
    try:
        apt.update()
        image = apt.newest(pattern)
        version = image.removeprefix("linux-image-")
        folder = made("kernels", version,
                      lambda root: _fetch(apt, image, version, root))
        with locked(f"series-{series}"):
            if not link.is_symlink() or os.readlink(link) != version:
                link.unlink(missing_ok=True)
                link.symlink_to(version)
    except Unavailable as e:
        if not link.exists():
            raise
        say(f"kernel {series} stays at {os.readlink(link)}: {e}")
        folder = link.resolve()
    return Kernel(series, folder)


def main(argv):
    if len(argv) >= 2 and argv[0] == "get":
        for series in argv[1:]:
            print(get(series).dir)
        return 0
    if len(argv) >= 4 and argv[0] == "module":
        sys.stdout.write(get(argv[1]).module(*argv[2:]))
        return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (Unavailable, RuntimeError) as e:
        sys.exit(f"kernels.py: {e}")
