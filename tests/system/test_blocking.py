# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""An infected file in the protected place cannot be opened, however it is
tried and whoever tries; clean files work."""

import contextlib
import ctypes
import errno
import fcntl
import gzip
import io
import mmap
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import zipfile

import pytest

from suite import (EICAR, INTERCEPTOR, MARKER, SCAN_USER, denied, opens,
                   wait_for)

TESTFILES = pathlib.Path("/usr/share/clamav-testfiles")


def run_as(uid, *argv, **kw):
    def drop():
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    return subprocess.run(argv, preexec_fn=drop, capture_output=True, **kw)


@pytest.mark.parametrize("flags", [
    os.O_RDONLY, os.O_RDWR, os.O_WRONLY, os.O_WRONLY | os.O_TRUNC,
    os.O_WRONLY | os.O_APPEND, os.O_RDONLY | os.O_NONBLOCK,
    os.O_RDONLY | os.O_DIRECT, os.O_CREAT | os.O_RDWR,
])
def test_open_of_an_infected_file_is_refused_with_any_flags(shared, flags):
    bad = shared.infected(f"flags-{flags:x}.com")
    assert denied(bad, flags)
    # and it is not truncated by the try
    assert bad.stat().st_size == len(EICAR)


def test_an_unprivileged_user_is_refused_too(shared):
    bad = shared.infected("user.com")
    bad.chmod(0o644)
    r = run_as(SCAN_USER + 5, "cat", str(bad))
    assert r.returncode != 0 and EICAR not in r.stdout
    assert b"Operation not permitted" in r.stderr


def test_clean_files_open_read_and_run(shared):
    c = shared.clean("fine.txt")
    assert c.read_bytes() == b"nothing bad in here\n"
    script = shared.clean("run.sh", b"#!/bin/sh\necho ran\n")
    script.chmod(0o755)
    assert subprocess.check_output([str(script)]) == b"ran\n"
    binary = shared.dir / "true"
    shutil.copy("/bin/true", binary)
    assert subprocess.run([str(binary)]).returncode == 0


def test_executing_an_infected_file_is_refused(shared):
    bad = shared.dir / "prog"
    shutil.copy("/bin/true", bad)
    with open(bad, "ab") as f:
        f.write(MARKER)
    bad.chmod(0o755)
    with pytest.raises(PermissionError):
        subprocess.run([str(bad)])
    # by the dynamic loader as well, which opens it as data
    r = subprocess.run(["/lib64/ld-linux-x86-64.so.2", str(bad)],
                       capture_output=True)
    assert r.returncode != 0


def test_an_infected_script_does_not_run(shared):
    bad = shared.clean("bad.sh", b"#!/bin/sh\necho ran\n# " + MARKER)
    bad.chmod(0o755)
    with pytest.raises(PermissionError):
        subprocess.run([str(bad)])
    r = subprocess.run(["sh", str(bad)], capture_output=True)
    assert r.returncode != 0 and b"ran" not in r.stdout


def test_an_infected_library_is_not_mapped(shared):
    lib = shared.dir / "libbad.so"
    src = next(pathlib.Path("/lib/x86_64-linux-gnu").glob("libz.so.1*"))
    shutil.copy(src, lib)
    with open(lib, "ab") as f:
        f.write(MARKER)
    with pytest.raises(OSError):
        ctypes.CDLL(str(lib))


def test_copying_moving_and_linking_do_not_get_at_the_content(shared):
    bad = shared.infected("copyme.com")
    out = shared.root / "outside.com"
    r = subprocess.run(["cp", str(bad), str(out)], capture_output=True)
    assert r.returncode != 0
    assert not out.exists() or EICAR not in out.read_bytes()
    moved = shared.dir / "moved.com"
    bad.rename(moved)
    assert denied(moved)
    hard = shared.dir / "hard.com"
    os.link(moved, hard)
    assert denied(hard)
    soft = shared.dir / "soft.com"
    soft.symlink_to(moved)
    assert denied(soft)


def test_reopening_by_proc_and_by_handle_is_refused(shared):
    bad = shared.infected("handle.com")
    fd = os.open(bad, os.O_PATH)
    try:
        assert denied(f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)
    # deleted but still reachable
    fd = os.open(bad, os.O_PATH)
    bad.unlink()
    try:
        assert denied(f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)


def test_a_very_long_path_is_no_way_around(shared):
    at = os.open(shared.dir, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(40):
        os.mkdir("d" * 200, dir_fd=at)
        deeper = os.open("d" * 200, os.O_RDONLY | os.O_DIRECTORY, dir_fd=at)
        os.close(at)
        at = deeper
    fd = os.open("bad.com", os.O_CREAT | os.O_WRONLY, 0o644, dir_fd=at)
    os.write(fd, EICAR)
    os.close(fd)
    with pytest.raises(PermissionError):
        os.open("bad.com", os.O_RDONLY, dir_fd=at)
    os.close(at)


def test_a_written_file_is_found_when_it_is_closed(shared):
    before = len(shared.events())
    bad = shared.infected("written.com")
    ev = wait_for(lambda: [e for e in shared.events()
                           if e["path"] == str(bad)], 10)
    assert ev[0]["source"] == "close"
    assert len(shared.events()) > before


@pytest.mark.parametrize("offset", [0, 1, 4095, 4096, 65536, 1000003])
def test_the_marker_is_found_at_any_offset(shared, offset):
    data = os.urandom(offset) + MARKER + os.urandom(100)
    bad = shared.clean(f"at-{offset}", data)
    assert denied(bad)


def _zip(data):
    b = io.BytesIO()
    with zipfile.ZipFile(b, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("inside.com", data)
    return b.getvalue()


def _tar(data):
    b = io.BytesIO()
    with tarfile.open(fileobj=b, mode="w:gz") as t:
        info = tarfile.TarInfo("inside.com")
        info.size = len(data)
        t.addfile(info, io.BytesIO(data))
    return b.getvalue()


@pytest.mark.parametrize("name,wrap", [
    ("zip", _zip), ("tar.gz", _tar), ("gz", gzip.compress),
    ("zip-in-zip", lambda d: _zip(_zip(d))),
])
def test_archives_with_an_infected_member_are_refused(shared, name, wrap):
    assert denied(shared.clean(f"in.{name}", wrap(EICAR)))
    assert opens(shared.clean(f"ok.{name}", wrap(b"fine" * 100))) == 0


def test_a_cleaned_file_opens_again_and_an_infected_one_does_not_stay(shared):
    """A verdict holds for the content, not for the name."""
    p = shared.clean("turns.txt")
    for _ in range(5):
        assert opens(p) == 0
        new = shared.dir / "turns.new"
        new.write_bytes(EICAR)
        new.rename(p)
        assert denied(p)
        p.unlink()
        shared.clean("turns.txt")


def test_a_known_clean_file_that_is_rewritten_is_scanned_again(shared):
    """200 rounds of: known clean, overwritten in place, must be refused;
    the file is closed and opened at once, in the same clock tick."""
    p = shared.dir / "race.txt"
    stale = 0
    for i in range(200):
        p.unlink(missing_ok=True)
        p.write_bytes(b"c" * len(EICAR))
        assert opens(p) == 0
        assert opens(p) == 0
        fd = os.open(p, os.O_WRONLY)
        os.write(fd, EICAR)
        os.close(fd)
        if not denied(p):
            stale += 1
    assert stale == 0


def _write_through_mapping(path, data):
    fd = os.open(path, os.O_RDWR)
    with mmap.mmap(fd, 0) as m:
        os.close(fd)
        m[:len(data)] = data


@pytest.mark.parametrize("given_away", [False, True])
def test_a_mapping_hides_nothing_once_it_is_let_go(shared, given_away):
    """The kernel's ignore mark on a file of root's outlives both a change of
    its owner and what is written through a mapping."""
    p = shared.clean(f"mapped-{given_away}.txt", b"x" * 4096)
    time.sleep(0.1)
    marks = shared.counters()["marked"]
    assert opens(p) == 0
    if INTERCEPTOR == "fanotify":
        wait_for(lambda: shared.counters()["marked"] > marks, 5)
    if given_away:
        os.chown(p, 12345, 12345)
    _write_through_mapping(p, MARKER)
    wait_for(lambda: [e for e in shared.events() if e["path"] == str(p)], 10)
    wait_for(lambda: denied(p), 5)


def test_an_open_writer_keeps_a_file_from_being_trusted(shared):
    """While somebody can write it, each open is looked at anew."""
    p = shared.clean("writer.txt", b"x" * 4096)
    os.utime(p)
    time.sleep(0.05)
    w = os.open(p, os.O_RDWR)
    try:
        assert opens(p) == 0
        os.pwrite(w, MARKER + b" " * (4096 - len(MARKER)), 0)
        assert denied(p)
    finally:
        os.close(w)


def test_a_shared_mapping_keeps_a_file_from_being_trusted(shared):
    p = shared.clean("mapped.txt", b"x" * 4096)
    p.chmod(0o666)
    time.sleep(0.05)
    for _ in range(3):
        assert opens(p) == 0
    fd = os.open(p, os.O_RDWR)
    m = mmap.mmap(fd, 4096)
    os.close(fd)
    try:
        m[0:4096] = MARKER + b" " * (4096 - len(MARKER))
        assert denied(p)
    finally:
        m.close()


@pytest.mark.skipif(not TESTFILES.is_dir(),
                    reason="Debian's clamav-testfiles are not installed")
@pytest.mark.seconds(280)
def test_every_file_of_clamav_testfiles_is_refused(make_suite):
    s = make_suite(life=400, FirstAction="deny", OnOversize="deny",
                   VerdictTimeout="60s")
    # the one program that all of them wrap, by its digest
    exe = next(p for p in TESTFILES.rglob("clam.exe"))
    line = subprocess.check_output(["sigtool", "--md5", str(exe)])
    own = s.root / "clam.hdb"
    own.write_bytes(line)
    s.ctl("pattern", "update", f"--from={own}")  # while it is stopped
    s.start()
    files = sorted(p for p in TESTFILES.rglob("*") if p.is_file())
    assert len(files) >= 40
    passed = []
    for f in files:
        copy = s.dir / f.name
        shutil.copy(f, copy)
        if not denied(copy):
            passed.append(f.name)
    assert passed == []


def test_a_thousand_openers_at_once_are_all_answered_rightly(shared):
    """Many processes, clean and infected files mixed: none hangs, none is
    answered with another's verdict."""
    for i in range(20):
        shared.clean(f"mix/clean-{i}", b"fine %d\n" % i)
        shared.infected(f"mix/bad-{i}")
    code = (
        "import os,sys\n"
        "d=sys.argv[1]\n"
        "wrong=0\n"
        "for r in range(6):\n"
        "  for i in range(20):\n"
        "    try: os.close(os.open(f'{d}/clean-{i}',0))\n"
        "    except OSError: wrong+=1\n"
        "    try:\n"
        "      os.close(os.open(f'{d}/bad-{i}',0)); wrong+=1\n"
        "    except PermissionError: pass\n"
        "sys.exit(min(wrong,100))\n")
    procs = [subprocess.Popen([sys.executable, "-c", code,
                               str(shared.dir / "mix")]) for _ in range(8)]
    assert [p.wait(60) for p in procs] == [0] * 8


def test_many_openers_of_one_unknown_file_cause_one_scan(make_suite):
    # opens alone: no scan of what was written is under way beside them
    s = make_suite(FirstAction="deny", RealtimeScan="2").start()
    big = s.dir / "one-scan.bin"
    big.write_bytes(os.urandom(8 << 20))
    time.sleep(1)  # just changed it would be scanned for each
    before = s.counters()["scans"]
    procs = [subprocess.Popen(["cat", str(big)], stdout=subprocess.DEVNULL)
             for _ in range(12)]
    assert all(p.wait(60) == 0 for p in procs)
    wait_for(lambda: s.counters()["scans"] > before, 10)
    time.sleep(1)  # counted behind the answer
    assert s.counters()["scans"] - before == 1


def test_special_files_hang_nobody(shared):
    fifo = shared.dir / "fifo"
    os.mkfifo(fifo)
    fd = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    os.close(fd)
    r = subprocess.run(["timeout", "1", "cat", str(fifo)])
    assert r.returncode == 124  # waits for a writer, as without us
    dev = shared.dir / "null"
    os.mknod(dev, 0o666 | 0o020000, os.makedev(1, 3))
    assert opens(dev, os.O_RDWR) == 0
    assert opens(shared.clean("after-fifo.txt")) == 0


def test_a_write_lease_hangs_nobody(shared):
    signal.signal(signal.SIGIO, signal.SIG_IGN)  # the lease is asked back
    p = shared.clean("leased.txt")
    fd = os.open(p, os.O_RDWR)

    def leased():
        with contextlib.suppress(BlockingIOError):  # still being scanned
            return fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK) == 0
    wait_for(leased)
    try:
        start = time.monotonic()
        r = subprocess.Popen(["timeout", "20", "cat", str(p)],
                             stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
        time.sleep(0.3)
        assert opens(shared.clean("not-leased.txt")) == 0
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        r.wait(30)
        assert time.monotonic() - start < 10
    finally:
        os.close(fd)
    assert opens(p) == 0


def test_access_times_stay_as_they_are(shared):
    p = shared.clean("atime.txt")
    os.utime(p, (1000, 1000))
    fd = os.open(p, os.O_RDONLY)
    os.close(fd)
    assert os.stat(p).st_atime == 1000


def test_errno_is_eperm_and_nothing_else(shared):
    bad = shared.infected("errno.com")
    assert opens(bad) == errno.EPERM
    assert opens(shared.dir / "missing") == errno.ENOENT
