# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""Asynchronous mode: nobody waits; what is used is examined after the fact,
who uses it is ended as AsyncEndProcesses says, and the event tells all."""

import contextlib
import ctypes.util
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import pytest

import contain
from suite import MARKER, opens, pid_stat, wait_for

pytestmark = pytest.mark.skipif(
    not contain.entered, reason="only where no process but the test's is seen")

WRITTEN, OPENED, EXECUTED = "1", "2", "4"  # RealtimeScan


@pytest.fixture
def using():
    """Starts what uses a file; nothing of it is left."""
    started = []

    def start(*words, **how):
        p = subprocess.Popen([str(w) for w in words],
                             stdout=subprocess.DEVNULL, **how)
        started.append(p)
        return p

    yield start
    for p in started:
        with contextlib.suppress(OSError):
            p.kill()
        p.wait()


@pytest.fixture
def watching(make_suite):
    """A suite in async mode that watches for some kinds of use alone; what
    prepare(suite) does nobody watches."""
    def make(classes, prepare=lambda s: None, **settings):
        s = make_suite(Interceptor="async", RealtimeScan=classes, **settings)
        prepare(s)
        s.start(wait=False)
        s.wait_armed("async")
        return s
    return make


def infect(source, target):
    shutil.copy(source, target)
    with open(target, "ab") as f:
        f.write(MARKER)
    target.chmod(0o755)
    return target


def found(s, path, seconds=15):
    """The event of the file."""
    return wait_for(lambda: [e for e in s.events()
                             if e["path"] == str(path)], seconds)[0]


def assert_told(event, use):
    assert event["severity"] == "high"
    assert event["source"] == "async"
    assert event["result"] == f"allowed: asynchronous, {use}"
    assert 0 <= event["exposure_ms"] < 60000
    assert "ms before the verdict" in event["detail"]


def test_what_runs_is_ended_and_put_into_quarantine(watching, using):
    s = watching(EXECUTED)
    prog = infect("/bin/sleep", s.dir / "prog")
    bystander = using("/bin/sleep", "60")
    runs = using(prog, "60")
    assert runs.wait(15) == -signal.SIGKILL
    event = found(s, prog)
    assert_told(event, "executed")
    assert event["action"] == "quarantine" and not prog.exists()
    assert f"1 process ended: prog ({runs.pid})" in event["detail"]
    assert bystander.poll() is None


def test_who_has_it_open_is_ended(watching, using):
    s = watching(OPENED, lambda s: s.infected("bad.com"))
    bad = s.dir / "bad.com"
    # not opened by ourselves: we would be ended too
    holds = using("sh", "-c", f"exec 3<{bad}; sleep 60 & wait")
    assert holds.wait(15) == -signal.SIGKILL
    event = found(s, bad)
    assert_told(event, "opened")
    assert f"sh ({holds.pid})" in event["detail"]
    assert not bad.exists()
    assert not [p for p in pathlib.Path("/proc").glob("[0-9]*/stat")
                if pid_stat(p.parent.name)
                and pid_stat(p.parent.name)[1] == holds.pid]


LOAD = "import ctypes, sys, time; ctypes.CDLL(sys.argv[1]); time.sleep(60)"


def test_who_has_it_mapped_to_run_runs_it(watching, using):
    name = ctypes.util.find_library("z")
    libs = [p for d in ("/lib/x86_64-linux-gnu", "/usr/lib64", "/lib64")
            for p in [pathlib.Path(d) / name] if p.exists()] if name else []
    if not libs:
        pytest.skip("no libz on this machine to load")
    s = watching(OPENED, lambda s: infect(libs[0], s.dir / "lib.so"),
                 AsyncEndProcesses="running")
    lib = s.dir / "lib.so"
    runs = using(sys.executable, "-c", LOAD, lib)
    assert runs.wait(15) == -signal.SIGKILL
    event = found(s, lib)
    assert_told(event, "opened")
    assert f"({runs.pid})" in event["detail"]


def test_running_leaves_who_only_holds_it(watching, using):
    s = watching(OPENED, lambda s: s.infected("bad.com"),
                 AsyncEndProcesses="running")
    bad = s.dir / "bad.com"
    holds = using("tail", "-f", bad, stderr=subprocess.DEVNULL)
    event = found(s, bad)
    assert_told(event, "opened")
    wait_for(lambda: not bad.exists())
    assert holds.poll() is None


def test_no_ends_nobody(watching, using):
    s = watching(EXECUTED, AsyncEndProcesses="no")
    prog = infect("/bin/sleep", s.dir / "prog")
    runs = using(prog, "60")
    event = found(s, prog)
    assert_told(event, "executed")
    assert not prog.exists()
    assert runs.poll() is None
    assert "left alone by AsyncEndProcesses" in event["detail"]
    assert f"prog ({runs.pid})" in event["detail"]


def test_the_whole_mode_is_partial_protection_and_says_so(watching):
    s = watching("7")
    bad = s.dir / "bad.com"
    # whoever still writes it when it is found is ended
    subprocess.run(["sh", "-c", f"printf %s {MARKER.decode()} >{bad}"])
    event = found(s, bad)
    assert event["severity"] == "high"
    wait_for(lambda: not bad.exists())
    h = s.health()
    assert h["overall"] == "Partially protected"
    assert h["antimalwareStatus"] == 20024


def test_what_was_written_is_found_when_it_is_closed(watching):
    s = watching(WRITTEN)
    bad = s.infected("bad.com")
    assert_told(found(s, bad), "written")
    wait_for(lambda: not bad.exists())


def test_nobody_waits_even_when_the_scanner_stands_still(watching):
    s = watching("7")
    clean = s.clean()
    pids = s.workers("back") + s.workers("front") + [s.pid_of("master")]
    for p in pids:
        os.kill(p, signal.SIGSTOP)
    try:
        begin = time.monotonic()
        for _ in range(20):
            assert opens(clean) == 0
        assert time.monotonic() - begin < 1
    finally:
        for p in pids:
            os.kill(p, signal.SIGCONT)


def test_what_is_denied_stays_and_its_runner_is_ended(watching, using):
    s = watching(EXECUTED, FirstAction="deny")
    prog = infect("/bin/sleep", s.dir / "prog")
    runs = using(prog, "60")
    assert runs.wait(15) == -signal.SIGKILL
    event = found(s, prog)
    assert "left where it is" in event["message"]
    assert prog.exists()


@pytest.fixture
def ran_before(make_suite, using):
    """(suite, program, process): it began before the suite did."""
    def make(**settings):
        s = make_suite(**settings)
        program = infect("/bin/sleep", s.dir / "runs")
        runs = using(program, "60")
        s.start()
        return s, program, runs
    return make


def scan_in_use(s):
    r = s.ctl("scan", "--in-use", check=False)
    assert r.returncode == 1, r.stdout + r.stderr
    assert " 1 files," in r.stdout  # Include leaves out all else
    return r.stdout


def test_what_ran_before_is_ended_when_it_is_found(ran_before):
    s, program, runs = ran_before(FirstAction="quarantine")
    scan_in_use(s)
    assert runs.wait(15) == -signal.SIGKILL
    event = found(s, program)
    assert event["severity"] == "high" and event["source"] == "in-use"
    assert event["result"].startswith("found running")
    assert event["action"] == "quarantine" and not program.exists()
    assert f"1 process ended: runs ({runs.pid})" in event["detail"]


def test_what_ran_before_is_found_where_no_name_leads(ran_before):
    s, program, runs = ran_before(FirstAction="deny")
    program.unlink()
    assert [line for line in scan_in_use(s).splitlines()
            if f"{program} (deleted)" in line]
    assert runs.wait(15) == -signal.SIGKILL
    assert "left where it is" in found(s, f"{program} (deleted)")["message"]


def test_what_ran_before_is_only_told_where_that_is_asked(ran_before):
    s, program, runs = ran_before(FirstAction="quarantine")
    r = s.ctl("scan", "--in-use", "--action=none", check=False)
    assert r.returncode == 1, r.stdout + r.stderr
    event = found(s, program)
    assert event["severity"] == "high" and event["action"] == "none"
    assert program.exists() and runs.poll() is None
