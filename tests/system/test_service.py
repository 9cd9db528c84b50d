# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""The init scripts: their output, their exit codes, their manners."""

import fcntl
import os
import pty
import re
import signal
import subprocess
import time

import pytest

import contain
from suite import (INTERCEPTOR, PATIENCE, denied, kill_all, opens, pid_stat,
                   read_terminal, wait_for, without_module)
from test_async import found, infect, using
from test_faults import Openers

assert using  # the fixture


class Service:
    """The scripts as `service` runs them: no environment, cwd /."""

    def __init__(self, suite):
        self.s = suite

    def __call__(self, *args, name="splx", shell=("sh",), env=None,
                 seconds=100):
        r = subprocess.run(
            ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
             f"SPLX_ROOT={self.s.root}", *(env or []), *shell,
             str(self.s.root / "etc/init.d" / name), *args],
            cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=seconds)
        self.out = r.stdout.decode()
        return r.returncode


@pytest.fixture
def service(make_suite):
    s = make_suite(FirstAction="deny")
    sv = Service(s)
    yield sv
    sv("stop")


def all_ended(service):
    """Also the start's scan of what runs, which is no part of the service and
    ends by itself when that is gone."""
    wait_for(lambda: service.s.processes() == [], 5)


def test_start_prints_its_steps_blocks_and_returns_0(service):
    assert service("start") == 0
    assert re.sub(" +", " ", without_module(service.out)) == (
        "Starting Splx for Linux:\n"
        "Checking configuration file: [ OK ]\n"
        "Starting splxcore:\n"
        "Starting entity: [ OK ]\n"
        "Starting vsapiapp: [ OK ]\n"
        "Splx for Linux core started. [ OK ]\n")
    # at once, not a moment later
    assert denied(service.s.infected("bad.com"))


def test_stop_prints_its_steps_and_leaves_nothing_behind(service):
    assert service("start") == 0
    bad = service.s.infected("bad.com")
    assert service("stop") == 0
    assert re.sub(" +", " ", without_module(service.out)) == (
        "Shutting down Splx for Linux:\n"
        "Shutting down splxcore:\n"
        "Shutting down vsapiapp: [ OK ]\n"
        "Shutting down entity: [ OK ]\n"
        "Splx for Linux core stopped normally. [ OK ]\n")
    all_ended(service)
    assert opens(bad) == 0
    left = {p.name for p in (service.s.root / "run/splx").iterdir()}
    assert not {"entity.pid", "entity.sock", "control.sock",
                "scan.sock", "scan-low.sock"} & left


@pytest.mark.parametrize("limit", ["256:", "256:256"])
def test_few_open_files_are_no_obstacle_or_named_as_one(service, limit):
    """The soft limit is raised by anybody, the hard one by a root that may
    (CAP_SYS_RESOURCE)."""
    rc = service("start", env=["prlimit", "--nofile=" + limit])
    caps = int(re.search(r"CapEff:\s*(\w+)",
                         open("/proc/self/status").read())[1], 16)
    if limit == "256:" or caps >> 24 & 1:
        assert rc == 0
        assert denied(service.s.infected("bad.com"))
    else:
        assert rc == 1
        assert "only 256 open files are allowed" in service.out


def test_status_has_the_codes_of_the_lsb(service):
    assert service("status") == 3
    assert service("start") == 0
    assert service("status") == 0
    assert re.search(r"^Protection: +(Protected|Partially)", service.out, re.M)
    assert re.search(r"^Operation: +Functional$", service.out, re.M)
    assert re.search(rf"^Interceptor: +{INTERCEPTOR}", service.out, re.M)
    for part, pid in (("supervisor", "supervisor"), ("entity", "core"),
                      ("vsapiapp", "master")):
        assert re.search(rf"^{part} +{service.s.pid_of(pid)} +running",
                         service.out, re.M), service.out
    kill_all(service.s.processes)
    assert service("status") == 1
    assert service("start") == 0  # a stale pid file is no obstacle
    assert service("status") == 0
    assert service("stop") == 0
    assert service("status") == 3


def kill_three(s):
    """All who could start another anew, in the same instant; returns who is
    left: workers, who have no right to."""
    three = [s.pid_of(p) for p in ("supervisor", "core", "master")]
    assert all(three)
    for sig in (signal.SIGSTOP, signal.SIGKILL):
        for pid in three:
            os.kill(pid, sig)
    wait_for(lambda: not set(three) & set(s.processes()), 5)
    wait_for(lambda: s.pid_of("generation") is None, 5)
    assert s.workers()
    return set(s.processes())


def test_a_start_after_all_three_were_killed_ends_what_they_left(service):
    assert service("start") == 0
    bad = service.s.dir / "bad.com"
    with Openers(service.s) as o:
        left = kill_three(service.s)
        assert denied(bad)  # for a while they work on
        assert service("status") == 1
        assert service("start") == 0
        assert service("status") == 0
        assert not left & set(service.s.processes())
        assert all(denied(bad) for _ in range(20))
    assert o.longest < 6.5
    assert o.refused_clean == 0
    assert service("stop") == 0
    all_ended(service)


@pytest.mark.seconds(200)
def test_what_is_left_of_all_three_holds_nobody_and_ends_in_a_minute(service):
    assert service("start") == 0
    bad = service.s.dir / "bad.com"
    with Openers(service.s) as o:
        kill_three(service.s)
        assert denied(bad)
        wait_for(lambda: not service.s.processes(), 80, 0.5)
    assert o.longest < 6.5
    assert o.refused_clean == 0
    assert opens(bad) == 0  # nobody is there to be asked
    assert service("status") == 1
    assert service("start") == 0
    assert denied(bad)


def test_start_when_running_and_stop_when_stopped_are_no_errors(service):
    assert service("stop") == 0
    assert service("start") == 0
    before = service.s.pid_of("supervisor")
    assert service("start") == 0
    assert service.s.pid_of("supervisor") == before


def test_conditional_restarts(service):
    assert service("condrestart") == 0
    assert service("try-restart") == 0
    assert service.s.processes() == []
    assert service("start") == 0
    before = service.s.pid_of("supervisor")
    assert service("condrestart") == 0
    assert service.s.pid_of("supervisor") not in (None, before)
    assert denied(service.s.infected("bad.com"))


def test_reload_takes_settings_over_and_refuses_broken_ones(service):
    assert service("start") == 0
    bad = service.s.infected("bad.xyz")
    assert denied(bad)
    service.s.write_conf(ExcludeExtension=["xyz"])
    assert service("reload") == 0
    assert opens(bad) == 0
    with open(service.s.conf_file, "a") as f:
        f.write('VerdictTimeout = "soon"\n')
    assert service("force-reload") != 0
    assert "VerdictTimeout" in service.out
    assert opens(bad) == 0  # the running settings stay
    assert denied(service.s.infected("bad.com"))


def test_reload_of_a_stopped_service_is_7_and_a_wrong_word_2(service):
    assert service("reload") == 7
    assert service("gibberish") == 2
    assert service() == 2


def test_broken_settings_at_start(service):
    s = service.s
    good = s.conf_file.read_text()
    s.conf_file.write_text(good + "NoSuchKey = 5\n")
    assert service("start") == 6  # nothing to fall back to
    assert "NoSuchKey" in service.out and "splx.conf:" in service.out
    assert s.processes() == []
    s.conf_file.write_text(good)
    assert service("start") == 0
    assert service("stop") == 0
    s.conf_file.write_text(good + "NoSuchKey = 5\n")
    assert service("start") == 0  # the last good ones
    assert "[WARNING]" in service.out
    assert denied(s.infected("bad.com"))
    assert any("NoSuchKey" in str(i) for i in s.health()["health_issues"])


def test_the_scripts_work_under_other_shells(service):
    said = {}
    for shell in (["dash"], ["bash"], ["bash", "--posix"], ["busybox", "sh"]):
        # it calls the core's by sh, whichever that is
        for name in ("splxcore", "splx"):
            for word, code in (("start", 0), ("status", 0), ("stop", 0),
                               ("status", 3)):
                assert service(word, name=name, shell=shell) == code, \
                    (shell, name, word, service.out)
                if code or word != "status":
                    said.setdefault((name, word, code), service.out)
                    assert service.out == said[name, word, code], shell
    assert "Starting entity: [  OK  ]" in said["splxcore", "start", 0]


def test_a_missing_program_is_code_5(service):
    (service.s.root / "usr/lib/splx/vsapiapp").unlink()
    assert service("start") == 5


def test_a_missing_scan_user_is_one_clear_line(make_suite):
    s = make_suite(FirstAction="deny", ScanUser="no-such-user-here")
    sv = Service(s)
    assert sv("start") != 0
    assert "no-such-user-here" in sv.out
    sv("stop")


def test_a_second_instance_is_refused_with_one_line(service):
    assert service("start") == 0
    r = subprocess.run([str(service.s.root / "usr/lib/splx/entity"), "-R",
                        str(service.s.root), "-f"],
                       stdin=subprocess.DEVNULL, capture_output=True,
                       timeout=20)
    assert r.returncode != 0
    text = (r.stdout + r.stderr).decode().strip()
    assert len(text.splitlines()) == 1
    assert str(service.s.pid_of("supervisor")) in text
    assert denied(service.s.infected("bad.com"))


def test_only_root_may_start(service):
    def drop():
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
    r = subprocess.run(["sh", str(service.s.root / "etc/init.d/splx"),
                        "start"], env={"SPLX_ROOT": str(service.s.root),
                                       "PATH": "/usr/bin:/bin"},
                       preexec_fn=drop, capture_output=True, timeout=30)
    assert r.returncode == 4


def test_stop_works_when_entity_is_stopped(service):
    """A frozen supervisor neither hangs the stop for long nor survives."""
    assert service("start") == 0
    pid = service.s.pid_of("core")
    os.kill(pid, signal.SIGSTOP)
    start = time.monotonic()
    service("stop")
    assert time.monotonic() - start < 60
    wait_for(lambda: pid_stat(pid) is None or pid_stat(pid)[0] == "Z", 20)
    all_ended(service)


@pytest.mark.seconds(240)
def test_the_machines_end_waits_for_nothing_of_ours(service):
    """Not for one that hangs, nor for an action that goes on."""
    end = ["RUNLEVEL=6", "PREVLEVEL=2"]
    assert service("start") == 0
    pid = service.s.pid_of("core")
    os.kill(pid, signal.SIGSTOP)
    start = time.monotonic()
    service("stop", env=end)
    assert time.monotonic() - start < 35 * PATIENCE
    all_ended(service)
    assert service("start") == 0
    lock = open(service.s.root / "run/splx.lock", "w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    start = time.monotonic()
    assert service("stop", env=end) == 0
    assert time.monotonic() - start < 15 * PATIENCE
    assert "going on" in service.out
    all_ended(service)


@pytest.mark.skipif(not contain.entered,
                    reason="only where no process but the test's is seen")
@pytest.mark.parametrize("scan", ["yes", "no"])
def test_a_start_examines_what_runs_already(make_suite, using, scan):
    s = make_suite(FirstAction="quarantine", ScanAtStart=scan)
    program = infect("/bin/sleep", s.dir / "runs")
    runs = using(program, "60")
    sv = Service(s)
    assert sv("start") == 0
    if scan == "yes":
        assert runs.wait(30 * PATIENCE) == -signal.SIGKILL
        assert found(s, program)["source"] == "in-use"
    else:
        time.sleep(3)
        assert runs.poll() is None
    assert sv("stop") == 0


def test_concurrent_starts_give_one_service(service):
    procs = [subprocess.Popen(
        ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
         f"SPLX_ROOT={service.s.root}", "sh",
         str(service.s.root / "etc/init.d/splx"), "start"], cwd="/",
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True) for _ in range(3)]
    said = [p.communicate(timeout=100)[0] for p in procs]
    assert [p.returncode for p in procs] == [0, 0, 0], said
    # a child has its parent's title for an instant
    wait_for(lambda: sum("vsapiapp: master" in t for t
                         in service.s.titles().values()) == 1)
    assert denied(service.s.infected("bad.com"))


def on_terminal(service, word, **env):
    """What it says to one who sits at a terminal."""
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir("/")
        os.execve("/bin/sh", ["sh", str(service.s.root / "etc/init.d/splx"),
                              word],
                  {"SPLX_ROOT": str(service.s.root), "TERM": "xterm",
                   "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **env})
    out = read_terminal(fd, 100)
    os.waitpid(pid, 0)
    os.close(fd)
    return out.decode()


def test_on_a_terminal_the_result_stands_at_column_60(service):
    conf = service.s.conf_file
    good = conf.read_text()
    out = on_terminal(service, "start")
    assert "Starting entity:\x1b[60G[\x1b[1;32m  OK  \x1b[0;39m]" in out
    on_terminal(service, "stop")
    conf.write_text(good + "NoSuchKey = 5\n")
    out = on_terminal(service, "start")  # the last good ones serve
    assert "file:\x1b[60G[\x1b[1;33mWARNING\x1b[0;39m]" in out
    on_terminal(service, "stop")
    (service.s.root / "var/lib/splx/last-good.conf").unlink()
    out = on_terminal(service, "start")
    assert "file:\x1b[60G[\x1b[1;31mFAILED\x1b[0;39m]" in out


def test_without_colour_and_on_a_dumb_terminal_it_is_plain(service):
    out = on_terminal(service, "start", NO_COLOR="1")
    assert "Starting entity:\x1b[60G[  OK  ]" in out
    out = on_terminal(service, "stop", TERM="dumb")
    assert "\x1b" not in out
    assert "Shutting down entity: [  OK  ]" in out


def test_the_suite_ends_cleanly_on_a_signal(make_suite):
    s = make_suite(FirstAction="deny").start()
    s.entity.send_signal(signal.SIGTERM)
    assert s.entity.wait(30) == 0
    s.entity = None
    assert s.processes() == []
