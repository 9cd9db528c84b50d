# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""What an attacker, or bad luck, tries: verdicts that went stale, file
systems that are swapped, memory that lies, clients that misbehave."""

import contextlib
import json
import mmap
import os
import pathlib
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

import pytest

from suite import (INTERCEPTOR, MARKER, denied, mount, opens, pid_stat, umount,
                   wait_for)

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

@pytest.fixture
def unhurried(make_suite):
    """Where a large file is scanned before its openers' time is over, on a
    slow machine too."""
    return make_suite(FirstAction="deny", VerdictTimeout="60s").start()


def test_a_scan_under_way_does_not_speak_for_what_was_written_behind_it(
        unhurried):
    p = big_file(unhurried, "behind.bin")
    m = writable_page(p, BIG)
    first = begin_scan(p)
    m[0:len(MARKER)] = MARKER
    try:
        assert denied(p)
    finally:
        os.waitpid(first, 0)
        m.close()
        p.unlink()


def test_a_writer_who_left_during_the_scan_leaves_no_clean_verdict(unhurried):
    p = big_file(unhurried, "left.bin")
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
        wait_for(lambda: subprocess.run(["umount", place],
                                        capture_output=True).returncode == 0)
        at = image.read_bytes().find(data)
        with open(image, "r+b") as f:
            f.seek(at)
            f.write(MARKER)
        subprocess.run(["blockdev", "--flushbufs", disk], check=True)
        mount(disk, place, "ext4")
        time.sleep(1)
        assert denied(p)
    finally:
        # whoever still looks at a file of it does not keep it
        subprocess.run(["umount", "-l", place], capture_output=True)
        subprocess.run(["losetup", "-d", disk])


# ---- processes

def opened_within(path, seconds):
    """errno of an open in a process of its own; None when it hangs."""
    pid = os.fork()
    if pid == 0:
        os._exit(opens(path))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.WEXITSTATUS(status)
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


def test_with_all_stopped_but_core_opens_are_bounded(make_suite):
    s = make_suite(FirstAction="deny", VerdictTimeout="1s")
    s.start()
    bad = s.infected("bad.com")
    stopped = [p for p, t in s.titles().items()
               if "vsapiapp" in t] + [s.pid_of("supervisor")]
    for p in stopped:
        os.kill(p, signal.SIGSTOP)
    try:
        assert opened_within(bad, 8) is not None, "an open hangs"
    finally:
        for p in stopped:
            with contextlib.suppress(OSError):
                os.kill(p, signal.SIGCONT)
    wait_for(lambda: denied(bad), 30)
    if INTERCEPTOR == "fanotify":  # the module needs no guard
        assert "the supervisor is continued" in json.dumps(
            s.events("system"))


def test_a_worker_can_write_little_of_the_scoreboard(shared):
    """Its own slot, and what the workers share; the rest is mapped through a
    descriptor that was never open for writing."""
    shares = set()
    for pid in shared.workers("front") + shared.workers("back"):
        parts = []
        for line in open(f"/proc/{pid}/maps"):
            if "splx-scoreboard" in line:
                where, perms, offset = line.split()[:3]
                start, end = (int(x, 16) for x in where.split("-"))
                parts.append((int(offset, 16), end - start, perms))
        parts.sort()
        assert parts[0][0] == 0 and parts[0][2] == "r--s", parts
        writable = [p for p in parts if p[2] != "r--s"]
        assert {p[2] for p in writable} == {"rw-s"}
        total = sum(p[1] for p in parts)
        assert sum(p[1] for p in writable) < total / 5, parts
        shares.add(tuple(p[0] for p in writable))
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                assert "splx-scoreboard" not in os.readlink(
                    f"/proc/{pid}/fd/{fd}")
    assert len(shares) >= 3  # each another slot


def scoreboard(suite):
    """The memory that all share; a worker can write a part of it."""
    pid = suite.pid_of("supervisor")
    fd = os.open(f"/proc/{pid}/fd/3", os.O_RDWR)
    m = mmap.mmap(fd, os.fstat(fd).st_size)
    os.close(fd)
    return m


def process_place(memory, pid):
    """Where the scoreboard holds this process: pid, then start time."""
    want = struct.pack("<iiQ", pid, 0, pid_stat(pid)[2])
    at = bytes(memory[0:4096]).find(want)
    assert at > 0
    return at


def test_a_forged_master_gets_no_signal(make_suite):
    """Should somebody be able to write its pid: the signals for a reload end
    whoever does not expect them, and core sends them as root."""
    s = make_suite(FirstAction="deny")
    s.start()
    victim = subprocess.Popen(["sleep", "100"])
    m = scoreboard(s)
    try:
        at = process_place(m, s.pid_of("master"))
        was = m[at:at + 16]
        m[at:at + 16] = struct.pack("<iiQ", victim.pid, 0,
                                    pid_stat(victim.pid)[2])
        s.ctl("pattern", "reload", check=False)
        s.ctl("config", "set", "MaxFiles", "9000", check=False)
        m[at:at + 16] = was
        assert victim.poll() is None
    finally:
        m.close()
        victim.kill()
        victim.wait()


@pytest.mark.parametrize("seed", [1, 2])
def test_garbage_in_the_scoreboard_ends_none_of_the_root_processes(
        make_suite, seed):
    s = make_suite(FirstAction="deny", VerdictTimeout="1s")
    s.start()
    bad = s.infected("bad.com")
    m = scoreboard(s)
    roots = {p: pid_stat(s.pid_of(p)) for p in
             ("supervisor", "core", "master")}
    pids = {p: s.pid_of(p) for p in roots}
    dice = random.Random(seed)
    end = time.monotonic() + 6
    try:
        while time.monotonic() < end:
            for _ in range(20):
                top = 4096 if dice.random() < 0.5 else len(m) - 8
                at = dice.randrange(8, top) & ~7
                m[at:at + 8] = struct.pack("<Q", dice.choice(
                    [dice.getrandbits(64), 0, 2**64 - 1, 1, 2, 48, 63]))
            assert opened_within(bad, 8) is not None, "an open hangs"
        for part, pid in pids.items():
            now = pid_stat(pid)
            assert now and now[2] == roots[part][2], part + " ended"
    finally:
        m.close()


def of_the_suite(suite):
    """Descriptors of each root process, processes, namespaces."""
    out = {p: len(os.listdir(f"/proc/{suite.pid_of(p)}/fd"))
           for p in ("supervisor", "core", "master", "generation")}
    pids = suite.processes()
    out["processes"] = len(pids)
    spaces = set()
    for p in pids:
        with contextlib.suppress(OSError):
            spaces.add(os.readlink(f"/proc/{p}/ns/mnt"))
    out["namespaces"] = len(spaces)
    return out


def test_twenty_reloads_leak_nothing_and_miss_nothing(make_suite):
    s = make_suite(FirstAction="deny")
    s.start()
    time.sleep(1)
    before = of_the_suite(s)
    bad = s.infected("bad.com")
    stop = threading.Event()
    wrong = []

    def use():
        n = 0
        while not stop.is_set():
            n += 1
            good = s.clean(f"good-{n % 50}", b"%d" % n)
            if opens(good):
                wrong.append("refused")
            if opens(bad) == 0:
                wrong.append("let through")
            time.sleep(0.005)

    user = threading.Thread(target=use)
    user.start()
    try:
        for i in range(10):
            s.ctl("pattern", "reload")
            s.ctl("config", "set", "MaxFiles", 5000 + i)
    finally:
        stop.set()
        user.join(20)
    assert wrong == []

    def settled():
        now = of_the_suite(s)
        return all(now[k] <= before[k] + (2 if k != "namespaces" else 0)
                   for k in before)
    wait_for(settled, 30, 0.5)
    # every question has exactly one way out; those whom the module lets join
    # one are none of the workers'
    c = s.counters()
    asked, ways = c["questions"], ["allowed", "denied", "policy"]
    if INTERCEPTOR == "fanotify":
        ways.append("coalesced")
    else:
        asked = c["moduleQuestions"]
    assert asked == sum(n for k, n in c.items() if k.startswith(tuple(ways)))


# ---- clients

def connect(path):
    c = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    c.settimeout(5)
    c.connect(str(path))
    return c


REQUEST = "<IIQIIIIQ4096s"  # common/scanjob.h
HELLO = struct.pack(REQUEST, 2, 0, 0, 0, 4, 6, 6, 0, b"")


def test_twenty_clients_that_read_nothing_leave_room_for_another(shared):
    """Each asks more than it takes answers for."""
    f = shared.clean("asked.txt")
    fd = os.open(f, os.O_RDONLY)
    clients = [connect(shared.root / "run/splx/scan.sock")
               for _ in range(20)]
    try:
        for c in clients:
            c.send(HELLO)
            c.settimeout(0.02)
            with contextlib.suppress(OSError):
                for i in range(400):
                    ask = struct.pack(REQUEST, 2, 1, i + 1, 1, 4, 6, 6, 0,
                                      b"/x")
                    c.sendmsg([ask], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                                       struct.pack("i", fd))])
        shared.infected("found.com")
        r = shared.ctl("scan", shared.dir / "found.com", check=False,
                       seconds=20)
        assert "1 infected" in r.stdout or r.returncode == 1, r.stderr
    finally:
        os.close(fd)
        for c in clients:
            c.close()
    assert denied(shared.dir / "found.com")


def test_who_may_not_scan_keeps_nobody_from_scanning(shared):
    code = ("import os, socket, sys, time\n"
            "os.setgroups([]); os.setresgid(54321, 54321, 54321)\n"
            "os.setresuid(54321, 54321, 54321)\n"
            "end = time.monotonic() + 6; all = []\n"
            "while time.monotonic() < end:\n"
            "    c = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
            "    c.setblocking(False)\n"
            "    try: c.connect(sys.argv[1]); all.append(c)\n"
            "    except OSError: time.sleep(0.001)\n"
            "    if len(all) > 600: del all[:300]\n")
    flood = subprocess.Popen([sys.executable, "-c", code,
                              str(shared.root / "run/splx/scan.sock")])
    try:
        time.sleep(1)
        f = shared.clean("scan-me.txt")
        for _ in range(5):
            assert shared.ctl("scan", f, check=False).returncode == 0
    finally:
        flood.kill()
        flood.wait()
