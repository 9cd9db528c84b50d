# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""The disk of a virtual machine with a whole Debian: SysV init, the suite's
libraries, Python for its tests, a compiler. Made of packages alone."""

import pathlib
import shutil

from cache import digest, made, run
from packages import Apt

PACKAGES = """
    sysvinit-core sysv-rc insserv startpar initscripts init-system-helpers
    cron logrotate kmod procps psmisc iproute2 iptables
    libclamav12 libmicrohttpd12 libssl3 libpcre2-8-0 zlib1g libevent-2.1-7
    libevent-pthreads-2.1-7 libconfuse2 libjansson4 libsqlite3-0 libcurl4
    libseccomp2 libmnl0 libnetfilter-queue1
    python3 python3-pytest clamav clamav-testfiles e2fsprogs xfsprogs
    btrfs-progs fuse3 strace bzip2 xz-utils zip unzip file
    gcc make libc6-dev stress-ng
""".split()
SIZE = "4G"  # a sparse file; about 1 GB of it is used

# No terminal is there to log in at; the agent comes with the initrd.
SETUP = r"""
set -e
cd "$1"
sed -i '/getty/d' etc/inittab
echo 'bed:2345:once:/sbin/bed-agent' >>etc/inittab
echo bed >etc/hostname
echo '127.0.0.1 localhost bed' >etc/hosts
echo '/dev/vda / ext4 rw,relatime 0 0' >etc/fstab
passwd --root "$PWD" -d root >/dev/null
# The host tells the time, and there is no net to get patterns from.
for s in hwclock.sh clamav-freshclam; do
	chroot . update-rc.d -f "$s" remove >/dev/null
done
rm -rf var/lib/apt/lists/* var/cache/apt/* usr/share/doc/* usr/share/man/* \
	usr/share/locale/*
"""


def get(more=(), leave_out=()):
    """The image, an ext4 file system; read-only for its users. more: further
    packages, without those of their files that match leave_out."""
    apt = Apt("bookworm", "bookworm-updates", "bookworm-security")
    key = digest(pathlib.Path(__file__), *more, *leave_out)

    def make(path):
        tree = path.with_name(path.name + ".tree")
        try:
            apt.bootstrap("minbase", [*PACKAGES, *more], tree,
                          *(f"--dpkgopt=path-exclude={p}" for p in leave_out))
            run("sh", "-c", SETUP, "sh", tree)
            run("mke2fs", "-q", "-t", "ext4", "-m", "0", "-L", "bed", "-O",
                "^has_journal", "-E", "lazy_itable_init=1", "-d", tree, path,
                SIZE)
        finally:
            shutil.rmtree(tree, ignore_errors=True)

    return made("root", f"{key}.ext4", make)
