# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""What an attacker, or bad luck, tries: verdicts that went stale, file
systems that are swapped, memory that lies, clients that misbehave."""

import contextlib
import mmap
import os
import pathlib
import shutil
import signal
import subprocess
import time

import pytest

from suite import MARKER, denied, mount, opens, pid_stat, umount, wait_for

BIG = 64 << 20  # takes the engine the better part of a second


def big_file(suite, name):
    """A large file that its closing has been examined for."""
    p = suite.dir / name
    p.write_bytes(os.urandom(1 << 20) * (BIG >> 20))
    p.chmod(0o666)
    time.sleep(2.5)
    return p


def writable_page(path, size):
    """A mapping whose first pages can be written without the kernel noticing
    it any more: the change time was moved when it was written first."""
    fd = os.open(path, os.O_RDWR)
    m = mmap.mmap(fd, size)
    os.close(fd)
    m[0:1] = b"x"
    m[4096:4097] = b"x"
    time.sleep(0.2)
    return m


def begin_scan(path, then=None):
    """A process that opens the file; returns while it is being scanned."""
    pid = os.fork()
    if pid == 0:
        if then:
            then()
        opens(path)
        os._exit(0)
    time.sleep(0.35)
    assert os.waitpid(pid, os.WNOHANG)[0] == 0, "the scan is over already"
    return pid


# ---- verdicts

def test_a_scan_under_way_does_not_speak_for_what_was_written_behind_it(
        shared):
    p = big_file(shared, "behind.bin")
    m = writable_page(p, BIG)
    first = begin_scan(p)
    m[0:len(MARKER)] = MARKER
    try:
        assert denied(p)
    finally:
        os.waitpid(first, 0)
        m.close()
        p.unlink()


def test_a_writer_who_left_during_the_scan_leaves_no_clean_verdict(shared):
    p = big_file(shared, "left.bin")
    m = writable_page(p, BIG)
    first = begin_scan(p, m.close)
    m[0:len(MARKER)] = MARKER
    m.close()
    os.waitpid(first, 0)
    assert denied(p)
    p.unlink()


# ---- file systems

def test_a_file_system_in_the_place_of_another_is_protected_at_once(
        make_suite):
    """Unmounted and mounted anew it has the same number, place and id."""
    s = make_suite(FirstAction="deny")
    s.start()
    master = s.pid_of("master")

    def line():
        text = pathlib.Path("/proc/self/mountinfo").read_text()
        return [x for x in text.splitlines() if f" {s.dir} " in x]

    for _ in range(3):
        before = line()
        os.kill(master, signal.SIGSTOP)  # so that it sees but the outcome
        wait_for(lambda: pid_stat(master)[0] == "T", step=0.001)
        for _ in range(50):
            umount(s.dir)
            mount("splx-test", s.dir, "tmpfs", 0, "size=262144k,mode=1777")
            if line() == before:
                break
        os.kill(master, signal.SIGCONT)
        time.sleep(1)
        assert denied(s.infected("bad.com"))


@pytest.mark.skipif(not shutil.which("mkfs.ext4") or os.geteuid() != 0,
                    reason="needs a loop device and mkfs.ext4")
def test_what_was_known_of_a_disk_is_forgotten_when_it_is_mounted_again(
        make_suite):
    """It may have been changed elsewhere, with all its times as before."""
    s = make_suite(FirstAction="deny")
    image, place = s.root / "disk.img", s.root / "disk"
    place.mkdir()
    image.write_bytes(b"")
    os.truncate(image, 16 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-I", "256", image], check=True)
    r = subprocess.run(["losetup", "-f", "--show", image],
                       capture_output=True, text=True)
    if r.returncode:
        pytest.skip("no loop device: " + r.stderr)
    disk = r.stdout.strip()
    s.write_conf(Include=[s.dir, place], IgnoreMarks="off")
    data = b"innocent " + b"x" * 5000
    p = place / "file"
    try:
        s.start()
        mount(disk, place, "ext4")
        time.sleep(1)
        p.write_bytes(data)
        time.sleep(0.1)
        for _ in range(3):
            assert opens(p) == 0
            time.sleep(0.1)
        assert s.counters()["allowedKnown"] > 0
        subprocess.run(["umount", place], check=True)
        at = image.read_bytes().find(data)
        with open(image, "r+b") as f:
            f.seek(at)
            f.write(MARKER)
        subprocess.run(["blockdev", "--flushbufs", disk], check=True)
        mount(disk, place, "ext4")
        time.sleep(1)
        assert denied(p)
    finally:
        subprocess.run(["umount", place], capture_output=True)
        subprocess.run(["losetup", "-d", disk])
