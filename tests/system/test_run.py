# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""`make run`: what a first-time user sees, and that nothing of it stays."""

import os
import pty
import select
import signal
import subprocess
import time

import pytest

from suite import (BUILD, EICAR, REPO, Suite, denied, kill_all, opens,
                   pid_stat, wait_for)


class Run:
    """tests/build/run.sh on a terminal of its own."""

    def __init__(self, root, protect=""):
        self.root = root
        self.out = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            # ignored where the tests run in the background of a script
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.chdir(REPO)
            os.execv("/bin/sh", ["sh", "tests/build/run.sh", str(root),
                                 str(protect)])

    def read_until(self, text, seconds=60):
        end = time.monotonic() + seconds
        while text not in self.out:
            left = end - time.monotonic()
            assert left > 0, f"no {text!r} in:\n{self.out}"
            if not select.select([self.fd], [], [], left)[0]:
                continue
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                data = b""
            if not data:
                break
            self.out += data.decode(errors="replace")
        assert text in self.out, self.out

    def ctrl_c(self):
        os.write(self.fd, b"\x03")
        self.read_until("splx: ended")
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.fixture
def bed():
    """A stage that nothing runs in yet, and a tmpfs."""
    with Suite() as s:
        s.conf_file.unlink()
        yield s


def mounted(path):
    with open("/proc/self/mountinfo") as f:
        return any(line.split()[4] == str(path) for line in f)


def test_a_mount_point_is_protected_and_ctrl_c_ends_all(bed):
    r = Run(bed.root, bed.dir)
    r.read_until("splx: ready")
    r.read_until("Ctrl-C ends it")
    assert str(bed.dir) in r.out
    bad = bed.infected("bad.com")
    assert denied(bad) or not bad.exists()
    assert opens(bed.clean("fine.txt")) == 0
    assert bed.ctl("status", check=False).returncode < 2
    assert r.ctrl_c() == 0
    assert bed.processes() == []
    assert mounted(bed.dir)  # it was not ours
    assert opens(bed.infected("after.com")) == 0


def test_another_directory_becomes_a_mount_of_its_own(bed):
    """So nothing beside it is held, and the mount goes with us."""
    where, beside = bed.dir / "here", bed.dir / "beside"
    where.mkdir()
    beside.mkdir()
    r = Run(bed.root, where)
    r.read_until("splx: ready")
    assert mounted(where)
    (where / "bad.com").write_bytes(EICAR)
    assert denied(where / "bad.com") or not (where / "bad.com").exists()
    (beside / "bad.com").write_bytes(EICAR)
    assert opens(beside / "bad.com") == 0
    assert r.ctrl_c() == 0
    assert not mounted(where)
    assert bed.processes() == []


def test_the_lines_to_try_work_as_printed(bed):
    r = Run(bed.root, bed.dir)
    r.read_until("Ctrl-C ends it")
    lines = r.out.replace("\r", "").split("Try, in another terminal:\n")[1]
    lines = [x.split("   #")[0].strip() for x in lines.splitlines()[:6]]
    assert lines[0].startswith("printf")

    def run(line):
        return subprocess.run(["sh", "-c", line], capture_output=True,
                              timeout=60)
    assert run(lines[0]).returncode == 0
    assert run(lines[1]).returncode != 0  # refused
    assert b"rotect" in run(lines[2]).stdout
    # who opened it was answered first
    wait_for(lambda: b"EICAR" in run(lines[3]).stdout)
    wait_for(lambda: b"EICAR" in run(lines[4]).stdout)
    assert run(lines[5]).returncode in (0, 1)
    assert r.ctrl_c() == 0


def test_a_killed_run_can_be_run_again(bed):
    r = Run(bed.root, bed.dir)
    r.read_until("splx: ready")
    os.kill(r.pid, signal.SIGKILL)
    os.waitpid(r.pid, 0)
    kill_all(bed.processes)
    r = Run(bed.root, bed.dir)
    r.read_until("splx: ready")
    assert r.ctrl_c() == 0


@pytest.mark.parametrize("protect,says", [
    ("/", "installed service"), ("/no/such/directory", "no such directory")])
def test_what_cannot_be_protected_is_one_clear_line(bed, protect, says):
    r = subprocess.run(["sh", "tests/build/run.sh", str(bed.root), protect],
                       cwd=REPO, stdin=subprocess.DEVNULL,
                       capture_output=True, timeout=30)
    assert r.returncode == 2
    assert says in r.stderr.decode()
    assert len(r.stderr.decode().splitlines()) == 1


def test_a_second_run_in_the_same_stage_is_refused_and_harms_nothing(bed):
    r = Run(bed.root, bed.dir)
    r.read_until("splx: ready")
    again = subprocess.run(["sh", "tests/build/run.sh", str(bed.root),
                            str(bed.dir)], cwd=REPO, capture_output=True,
                           stdin=subprocess.DEVNULL, timeout=60)
    assert again.returncode != 0
    assert pid_stat(r.pid)
    bad = bed.infected("still.com")
    assert denied(bad) or not bad.exists()
    assert r.ctrl_c() == 0


def test_the_stage_touches_nothing_outside(bed):
    assert BUILD
    r = subprocess.run(["find", "/etc/init.d/splx", "/etc/splx",
                        "/var/lib/splx", "/run/splx", "-newer",
                        str(bed.root / "bin/splxctl")],
                       capture_output=True)
    assert r.stdout == b""
