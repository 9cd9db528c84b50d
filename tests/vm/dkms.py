# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""Machines with DKMS and the headers of two kernels. What the compiler says is
known there beforehand: under emulation the module takes eight minutes. ccache
keeps it, which DKMS fills here, on this machine's own processor, in a copy of
that disk: the same compiler, paths and headers. In the machine DKMS does all of
it again, and gets from ccache what the compiler answered to the very same
words; what is not there is compiled."""

import pathlib
import shutil
import tempfile

import root
from cache import digest, made, run
from kernels import LEAVE_OUT, SERIES
from packages import Apt

DRIVERS = [p for p in LEAVE_OUT if "/kernel/" in p]

# Debian's kernels ask for ccache by a variable (their .kernelvariables).
SETUP = """
export DEBIAN_KERNEL_USE_CCACHE=1 CCACHE_DIR=/var/cache/ccache \
    CCACHE_SLOPPINESS=locale,file_stat_matches
"""

# No service starts there; it is the host's kernel that runs.
INSIDE = """
set -e
disk=$1 job=$2 work=$3
mount -t tmpfs none "$work"
cd "$work"
mkdir ro up wd root
mount -o loop,ro "$disk" ro
mount -t overlay -o lowerdir=ro,upperdir=up,workdir=wd none root
mount -t proc proc root/proc
mount --bind /dev root/dev
mkdir root/job
mount --bind "$job" root/job
printf '#!/bin/sh\\nexit 101\\n' >root/usr/sbin/policy-rc.d
chmod 755 root/usr/sbin/policy-rc.d
exec chroot root env -i \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive INITRD=No \
    sh -c 'cd /job && exec sh ./run.sh 2>&1'
"""


def inside(image, script, files, out=None):
    """Runs a script in a copy of the disk, in a folder with the files; what it
    says. Of the files that it leaves there `out` names one, to be kept."""
    with tempfile.TemporaryDirectory() as job, \
            tempfile.TemporaryDirectory() as work:
        for f in files:
            copy = shutil.copytree if f.is_dir() else shutil.copy2
            copy(f, pathlib.Path(job) / f.name)
        (pathlib.Path(job) / "run.sh").write_text(SETUP + script)
        said = run("nice", "unshare", "-m", "-p", "-f", "--kill-child", "sh",
                   "-c", INSIDE, "sh", image, job, work)
        if out:
            shutil.move(pathlib.Path(job) / out.name, out)
        return said


def disk(first, second):
    """The image of a machine with the kernel `first`, its headers and DKMS.
    Of the kernel `second` only what its headers need in common is there, the
    many small files: installing these takes long in the machine."""
    short = second.version.removesuffix("-amd64")
    return root.get([
        "dkms", "ccache", "tiny-initramfs",
        f"linux-image-{first.version}", f"linux-headers-{first.version}",
        f"linux-headers-{short}-common", f"linux-kbuild-{short}"], DRIVERS)


def packages(kernel):
    """The files of its packages, image and headers, but for drivers that no
    machine of ours has. Not compressed, as the machine is slow."""
    files = Apt(*SERIES[kernel.series][0]).download(
        [f"linux-{p}-{kernel.version}" for p in ("image", "headers")])

    def make(folder):
        folder.mkdir()
        for deb in files:
            tree = folder / "tree"
            run("dpkg-deb", "-R", deb, tree)
            for pattern in DRIVERS:
                for path in tree.glob("lib/modules/" + pattern):
                    run("rm", "-rf", path)
            run("dpkg-deb", "-Znone", "-b", tree, folder / deb.name)
            run("rm", "-rf", tree)

    key = digest(*DRIVERS, *(f.name for f in files))
    return sorted(made("debs", f"plain-{key}", make).iterdir())


ANSWERS = """
set -e
dpkg -i ./*.deb
cp -r src/* /usr/src
for source in src/splxmod-*; do
    version=${source##*/splxmod-}
    dkms add -m splxmod -v $version
    for build in /lib/modules/*/build; do
        kernel=${build%/build} kernel=${kernel##*/}
        dkms build -m splxmod -v $version -k $kernel ||
            { cat /var/lib/dkms/splxmod/$version/build/make.log; exit 1; }
    done
done
"""


def answers(image, debs, sources):
    """A tar of what the compiler answers when DKMS builds what lies in the
    folder `sources` (src/splxmod-VERSION each) for the two kernels: the disk's
    and that of the packages."""
    key = digest(SETUP, INSIDE, ANSWERS, image.name, *(d.name for d in debs),
                 *(part for f in sorted(sources.rglob("*")) if f.is_file()
                   for part in (str(f.relative_to(sources)), f)))

    def make(path):
        inside(image, f"{ANSWERS}\ntar -C /var/cache -cf {path.name} ccache",
               [*debs, sources], path)

    return made("ccache", f"{key}.tar", make)
