# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""Each process is killed and stopped in turn while files are opened: nobody
hangs, health tells, protection returns."""

import contextlib
import os
import signal
import threading
import time

import pytest

from suite import (INTERCEPTOR, PATIENCE, denied, opens, pid_stat, seconds,
                   wait_for)

PARTS = ["supervisor", "core", "master", "generation", "worker"]


class Openers:
    """Threads that open a clean and an infected file all the time and note
    the longest wait and every wrong answer."""

    def __init__(self, suite, n=3):
        self.suite = suite
        self.stop = threading.Event()
        self.longest = 0.0
        self.let_through = 0
        self.refused_clean = 0
        self.opens = 0
        self.threads = [threading.Thread(target=self._run, args=(i,))
                        for i in range(n)]

    def _run(self, i):
        n = 0
        while not self.stop.is_set():
            n += 1
            good = self.suite.dir / f"good-{i}-{n % 50}"
            with open(good, "wb") as f:
                f.write(b"%d fine\n" % n)
            start = time.monotonic()
            if opens(good):
                self.refused_clean += 1
            if opens(self.suite.dir / "bad.com") == 0:
                self.let_through += 1
            self.longest = max(self.longest, time.monotonic() - start)
            self.opens += 2

    def __enter__(self):
        self.suite.infected("bad.com")
        for t in self.threads:
            t.start()
        time.sleep(0.5)
        return self

    def __exit__(self, *exc):
        self.stop.set()
        for t in self.threads:
            t.join(30)
            assert not t.is_alive(), "an opener hangs"


def victim(suite, part):
    if part == "worker":
        return (suite.workers() or [None])[0]
    return suite.pid_of(part)


@pytest.mark.parametrize("part", PARTS)
def test_kill_9_hangs_nobody_and_protection_returns(suite, part):
    pid = victim(suite, part)
    assert pid
    with Openers(suite) as o:
        os.kill(pid, signal.SIGKILL)
        time.sleep(3)
        bad = suite.dir / "bad.com"
        wait_for(lambda: all(denied(bad) for _ in range(20)), 20)
        wait_for(lambda: victim(suite, part) not in (None, pid), 20)
    assert o.opens > 50
    assert o.longest < 6.5 * PATIENCE, "a wait beyond VerdictTimeout"
    assert o.refused_clean == 0
    wait_for(lambda: suite.health()["overall"] == "Protected"
             or suite.health().get("health_issues"), 20)
    told = [e for e in suite.events("system")]
    assert told, "the store says nothing of it"


@pytest.mark.parametrize("part", ["supervisor", "core", "generation"])
def test_kill_9_of_what_is_not_on_the_verdict_path_lets_nothing_through(
        suite, part):
    pid = victim(suite, part)
    with Openers(suite) as o:
        os.kill(pid, signal.SIGKILL)
        time.sleep(4)
    assert o.let_through == 0
    assert o.longest < 3.5 * PATIENCE


def test_kill_9_of_the_master_leaves_the_workers_at_work(suite):
    pid = victim(suite, "master")
    with Openers(suite) as o:
        os.kill(pid, signal.SIGKILL)
        time.sleep(4)
    assert o.let_through == 0
    assert suite.pid_of("master") not in (None, pid)


@pytest.mark.seconds(200)
@pytest.mark.parametrize("part", PARTS)
def test_a_stopped_process_is_bounded_and_told(suite, part):
    pid = victim(suite, part)
    with Openers(suite) as o:
        os.kill(pid, signal.SIGSTOP)
        try:
            time.sleep(5)
        finally:
            st = pid_stat(pid)
            if part == "core":
                status = suite.ctl("status", check=False, seconds=30)
                assert status.returncode != 0
            elif part in ("supervisor", "master"):
                health = suite.health()
                assert health["health_issues"], "nothing is told"
            if st:
                os.kill(pid, signal.SIGCONT)
        time.sleep(2)
    assert o.longest < 7.5 * PATIENCE
    assert o.refused_clean == 0
    wait_for(lambda: all(denied(suite.dir / "bad.com")
                         for _ in range(20)), 20)


@contextlib.contextmanager
def stopped_vsapiapp(suite):
    """All its processes, those too that are just being started."""
    stopped = set()
    try:
        while more := {p for p, t in suite.titles().items()
                       if "vsapiapp" in t} - stopped:
            for p in more:
                os.kill(p, signal.SIGSTOP)
            stopped |= more
        yield
    finally:
        for p in stopped:
            os.kill(p, signal.SIGCONT)


def test_all_of_vsapiapp_stopped_is_answered_by_policy(make_suite):
    s = make_suite(FirstAction="deny", VerdictTimeout=seconds(1),
                   OnTimeout="allow", BreakerRetry=seconds(10))
    s.start()
    bad = s.infected("bad.com")
    with stopped_vsapiapp(s):
        start = time.monotonic()
        assert opens(bad) == 0  # the policy: allow
        assert time.monotonic() - start < 2.5 * PATIENCE
        for _ in range(4):
            opens(bad)
        # the breaker: nobody waits any more
        start = time.monotonic()
        opens(bad)
        assert time.monotonic() - start < 0.5 * PATIENCE
        assert s.health()["overall"] == "Unprotected"
    wait_for(lambda: denied(bad), 20)
    wait_for(lambda: s.health()["overall"] != "Unprotected", 20)


def test_all_of_vsapiapp_stopped_denies_where_the_policy_says_so(make_suite):
    s = make_suite(FirstAction="deny", VerdictTimeout=seconds(1),
                   OnTimeout="deny", OnError="deny")
    s.start()
    clean = s.clean("clean.txt")
    # while somebody can write it nobody may know it to be clean
    with open(clean, "r+b"):
        with stopped_vsapiapp(s):
            assert denied(clean)
        wait_for(lambda: opens(clean) == 0, 20)


def test_everything_killed_at_once_lets_openers_go(make_suite):
    s = make_suite(FirstAction="deny")
    s.start()
    with Openers(s) as o:
        for p in s.processes():
            os.kill(p, signal.SIGKILL)
        time.sleep(2)
    assert o.longest < 4 * PATIENCE


@pytest.mark.seconds(200)
def test_the_suite_comes_back_from_ten_rounds_of_kills(suite):
    bad = suite.infected("bad.com")
    for round_ in range(10):
        part = PARTS[round_ % len(PARTS)]
        # whole again before the next: three dead at once do not come back
        wait_for(lambda: all(victim(suite, p) for p in PARTS[:4]), 60)
        pid = wait_for(lambda: victim(suite, part), 20)
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: victim(suite, part) not in (None, pid), 60)
        wait_for(lambda: denied(bad), 20)
    wait_for(lambda: all(denied(bad) for _ in range(50)), 20)


def test_the_signals_of_a_terminal_end_no_worker(suite):
    """Ctrl-C goes to the whole process group; the order is the master's."""
    before = set(suite.workers()) | {suite.pid_of("generation")}
    for pid in before:
        os.kill(pid, signal.SIGINT)
        os.kill(pid, signal.SIGHUP)
    time.sleep(1)
    assert before <= set(suite.titles())


@pytest.mark.seconds(240)
def test_a_hundred_ends_of_a_worker_cost_no_protection(suite):
    """The others serve meanwhile, and it is told."""
    bad = suite.infected("bad.com")
    before = suite.counters()["workerCrashes"]
    for _ in range(100):
        pid = max(wait_for(lambda: len(suite.workers()) > 1
                           and suite.workers(), 20, 0.01))
        os.kill(pid, signal.SIGKILL)
        assert denied(bad)
        wait_for(lambda: pid not in suite.workers(), 20, 0.01)
    wait_for(lambda: suite.counters()["workerCrashes"] >= before + 100, 10)
    wait_for(lambda: any(e["code"] == 20016
                         for e in suite.events("system")), 10)
    wait_for(lambda: suite.health()["antimalwareStatus"] == 0, 20)


@pytest.mark.seconds(200)
def test_workers_that_end_at_once_are_started_with_growing_pauses(suite):
    """All of them, as soon as they are there, for twenty seconds."""
    bad = suite.infected("bad.com")
    kills, longest, codes = 0, 0, set()
    end = time.monotonic() + 20
    while time.monotonic() < end:
        for pid in suite.workers("front") + suite.workers("back"):
            os.kill(pid, signal.SIGKILL)
            kills += 1
        start = time.monotonic()
        opens(bad)
        longest = max(longest, time.monotonic() - start)
        if kills % 5 == 0:
            codes |= {i["code"] for i in suite.health()["health_issues"]}
    assert longest < 3.5 * PATIENCE  # VerdictTimeout and a little
    assert codes & {20016, 20018}  # few workers, none
    assert kills < 120
    wait_for(lambda: denied(bad), 20)
    wait_for(lambda: suite.health()["antimalwareStatus"] == 0, 20)


def test_events_that_the_kernel_loses_are_counted_and_told(make_suite):
    """Nobody takes what is closed after writing, until its queue is full."""
    if INTERCEPTOR != "fanotify":
        pytest.skip("the queue is fanotify's")
    queue = int(open("/proc/sys/fs/fanotify/max_queued_events").read())
    if queue > 50000:
        pytest.skip(f"the kernel's queue is long: {queue}")
    s = make_suite(FirstAction="deny", RealtimeScan="1")
    s.start(wait=False)
    wait_for(lambda: s.ctl("status", check=False).returncode < 2
             and s.health()["interceptor"] == "fanotify", 30)
    back = s.workers("back")
    for pid in back:
        os.kill(pid, signal.SIGSTOP)
    for i in range(queue + 500):
        os.close(os.open(s.dir / f"f{i}", os.O_WRONLY | os.O_CREAT))
    for pid in back:
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: s.counters()["overflows"] > 0, 30)
    wait_for(lambda: any(i["code"] == 20026
                         for i in s.health()["health_issues"]), 10)
    wait_for(lambda: any(e["code"] == 20026 for e in s.events("system")), 10)
    # and what comes later is seen
    bad = s.infected("later.com")
    wait_for(lambda: [e for e in s.events() if e["path"] == str(bad)], 20)
