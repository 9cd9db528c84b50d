# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""The network monitor at work, in network namespaces of its own: HAProxy with
a health check in front of a real web server, clients on the other side. What
is done to the monitor meanwhile, no client fails, none waits but the few that
were held at that instant, and the check never goes down."""

import os
import shutil
import signal
import sys
import time

import pytest

from netns import (BACK, CLIENT4, CLIENT6, FRONT, SERVER4, SERVER6, Bed, HERE,
                   PLAIN, sum_of)
from netweb import pattern
from suite import PATIENCE, Suite, kill_all, wait_for

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("ip"),
    reason="needs root and iproute2")

COUNT, RATE = 300, 50
# A first packet is sent anew after a second; where the machine is slow, what
# takes longer than that waited for one.
SOON = 0.5 if PATIENCE == 1 else 0.95
RESENT = 2.5 * PATIENCE
# What may be held while the rule has not run out yet: 300 ms, and half a
# second until entity steps in, at 50 clients with two connections each.
FEW = 60


class Net:
    def __init__(self, bed, suite):
        self.bed, self.suite = bed, suite
        suite.inside = bed.inside("server")

    def status(self):
        return self.suite.json("network", "status")

    def wait_active(self, seconds=15):
        wait_for(lambda: self.status()["active"], seconds)

    def pid(self, part):
        return wait_for(lambda: self.suite.pid_of(part), 5)

    def kill(self, part, sig):
        os.kill(self.pid(part), sig)

    def settle(self):
        """Until the counts have taken in what was."""
        time.sleep(1.5)
        return self.status()

    def take_over(self, change):
        """change(), and until a judge with it has taken over."""
        before = self.status()["loaded"]
        change()
        wait_for(lambda: self.status()["loaded"] != before, 10)
        wait_for(lambda: list(self.suite.titles().values())
                 .count("splxnetmon: judge") == 1, 5)

    def rules(self, text):
        (self.suite.root / "etc/splx/network.conf").write_text(text)
        self.take_over(lambda: self.suite.ctl("config", "reload"))

    def connect(self, ns, host, port, seconds=3):
        """How a connection from there ends: ok, refused, timeout."""
        script = ("import socket, sys\n"
                  "try:\n"
                  "    s = socket.create_connection((sys.argv[1], "
                  "int(sys.argv[2])), float(sys.argv[3]))\n"
                  "    print('ok')\n"
                  "except TimeoutError:\n"
                  "    print('timeout')\n"
                  "except OSError as e:\n"
                  "    print(type(e).__name__)\n")
        r = self.bed.run(ns, sys.executable, "-c", script, host, port, seconds)
        return r.stdout.strip()


@pytest.fixture(scope="module")
def bed():
    if not shutil.which("haproxy"):
        pytest.skip("needs haproxy")
    with Bed() as b:
        yield b


@pytest.fixture(scope="module")
def running(bed):
    with Suite(life=600, NetworkMonitor="yes", NetworkLoopback="yes") as s:
        net = Net(bed, s)
        s.start()
        net.wait_active()
        yield net


@pytest.fixture
def net(running):
    """It runs, judges, and has its own settings and no rules again."""
    running.wait_active()
    yield running
    for pid in running.suite.processes():
        os.kill(pid, signal.SIGCONT)
    running.wait_active()
    running.suite.write_conf()
    running.rules("")


@pytest.fixture
def quiet():
    """A bed of the test's own, with the web server alone."""
    with Bed(haproxy=False) as b:
        yield b


def down(bed):
    c = bed.check()
    return c["status"], int(c["chkdown"])


def unharmed(result, few=0, count=COUNT):
    """Nobody failed; nobody waited but these few, and they not long."""
    waits = result.pop("waits")
    assert result == {"200": count}
    late = [w for w in waits if w > SOON]
    assert len(late) <= few, late
    assert not late or late[-1] < RESENT


def disturb(net, what, few=0):
    """While clients come 50 a second, does what() after a second."""
    before = down(net.bed)
    load = net.bed.begin_load(COUNT, RATE)
    time.sleep(1)
    what()
    unharmed(load.result(), few)
    assert down(net.bed) == before == ("UP", before[1])


def judges_again(net, port=PLAIN):
    """It does: the next connection is judged."""
    net.wait_active()
    before = net.status()["judged"]
    assert net.connect("client", SERVER4, port) == "ok"
    wait_for(lambda: net.status()["judged"] > before, 5)
    assert net.suite.health()["networkStatus"] == 0


def test_every_connection_is_judged_and_told(net):
    net.settle()
    before = net.status()
    disturb(net, lambda: None)
    after = net.settle()
    assert after["judged"] - before["judged"] >= 2 * COUNT
    # each SYN is one that was judged, neither more nor less
    assert after["uninspected"] == before["uninspected"]
    assert after["seen"] == after["judged"] + after["uninspected"]
    assert after["unreported"] == 0
    got = net.suite.json("network", "connections")["connections"]
    inward = [c for c in got if c["direction"] == "in"]
    assert inward and inward[0]["program"] == "/usr/sbin/haproxy"
    assert inward[0]["address"] == CLIENT4
    outward = [c for c in got if c["direction"] == "out"]
    assert outward and outward[0]["address"] == "127.0.0.1"


@pytest.mark.parametrize("state", ["paused", "killed"])
def test_a_judge_that_is(net, state):
    sig = signal.SIGSTOP if state == "paused" else signal.SIGKILL
    before = net.status()
    judge = net.pid("judge")
    disturb(net, lambda: os.kill(judge, sig))
    if state == "paused":
        after = net.status()
        assert after["stalls"] > before["stalls"]
        assert after["released"] > before["released"]
        assert not after["active"]
        assert net.suite.health()["networkStatus"] == 20093
        os.kill(judge, signal.SIGCONT)
        after = net.settle()
        # what nobody looked at is said, and nothing else
        passed = after["uninspected"] - before["uninspected"]
        assert COUNT < passed <= 2 * COUNT + 40
        assert after["seen"] == after["judged"] + after["uninspected"]
    else:
        assert net.status()["restarts"] == before["restarts"] + 1
        assert net.pid("judge") != judge
    judges_again(net)


@pytest.mark.parametrize("state", ["paused", "killed"])
def test_a_monitor_that_is(net, state):
    sig = signal.SIGSTOP if state == "paused" else signal.SIGKILL
    monitor = net.pid("monitor")
    queue = [q[0] for q in net.bed.queue()]
    disturb(net, lambda: os.kill(monitor, sig), few=1)
    assert net.pid("monitor") != monitor  # one that stands still is ended
    # the next one does not wait for the number that the old judge still has
    assert [q[0] for q in net.bed.queue()] != queue
    judges_again(net)


def test_both_paused(net):
    pids = [net.pid("monitor"), net.pid("judge")]

    def stop():
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
    disturb(net, stop, few=FEW)
    judges_again(net)
    assert net.suite.pid_of("judge") not in pids


def test_both_killed(net):
    pids = [net.pid("monitor"), net.pid("judge")]

    def end():
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
    disturb(net, end, few=FEW)
    judges_again(net)


def test_who_watches_both_is_paused_too(net):
    """Nobody of ours is left to do anything: the kernel's clock takes the
    rule out, and what comes then passes."""
    pids = [net.pid(p) for p in ("supervisor", "monitor", "judge")]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(1)
        r = net.bed.load(50, RATE)
        unharmed(r, count=50)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    judges_again(net)


@pytest.mark.parametrize("key, value", [
    ("NetworkBuffer", "8192"), ("NetworkQueueLength", "4"),
    ("NetworkQueueLength", "8192")])
def test_a_paused_judge_with(net, key, value):
    net.take_over(lambda: net.suite.ctl("config", "set", key, value))
    judge = net.pid("judge")
    disturb(net, lambda: os.kill(judge, signal.SIGSTOP))
    os.kill(judge, signal.SIGCONT)
    judges_again(net)


def test_a_flood_harms_nobody(net):
    """20,000 connections, and beside them clients as ever."""
    before, down_before = net.status(), down(net.bed)
    flood = net.bed.begin_load(20000, 1200, port=PLAIN)
    load = net.bed.begin_load(COUNT, 25)
    unharmed(load.result())
    r = flood.result()
    r.pop("waits")
    assert r == {"200": 20000}
    assert down(net.bed) == down_before
    after = net.settle()
    assert after["seen"] - before["seen"] >= 20000 + 2 * COUNT
    assert after["seen"] == after["judged"] + after["uninspected"]
    assert after["judged"] - before["judged"] > 10000
    judges_again(net)


RULES = """
[four-in]
Action = {action}
Direction = in
Port = 7001
Address = {client4}
[six-in]
Action = {action}
Direction = in
Port = 7001
Address = {client6}/128
[four-out]
Action = {action}
Direction = out
Port = 7002
Address = {client4}
[six-out]
Action = {action}
Direction = out
Port = 7002
Address = fd77::/64
"""


@pytest.fixture
def listeners(net):
    """7001 and 7003 at the server, 7002 and 7003 at the client."""
    own = [net.bed.start(ns, sys.executable, HERE / "netweb.py", port)
           for ns, port in (("server", 7001), ("server", 7003),
                            ("client", 7002), ("client", 7003))]
    for ns, host, port in (("client", SERVER4, 7001),
                           ("client", SERVER4, 7003),
                           ("server", CLIENT4, 7002),
                           ("server", CLIENT4, 7003)):
        wait_for(lambda: net.connect(ns, host, port) == "ok", 10)
    yield
    for p in own:
        p.kill()
        p.wait()


@pytest.mark.parametrize("action, ends", [
    ("reset", "ConnectionRefusedError"), ("drop", "timeout")])
def test_what_a_rule_prevents(net, listeners, action, ends):
    before = net.status()
    net.rules(RULES.format(action=action, client4=CLIENT4, client6=CLIENT6))
    for ns, host, port in (("client", SERVER4, 7001),
                           ("client", SERVER6, 7001),
                           ("server", CLIENT4, 7002),
                           ("server", CLIENT6, 7002)):
        assert net.connect(ns, host, port, 1.5) == ends
    # other ports, other directions, the same ports elsewhere
    for ns, host, port in (("client", SERVER4, 7003), ("client", SERVER6, 7003),
                           ("server", CLIENT4, 7003), ("server", CLIENT6, 7003),
                           ("server", "127.0.0.1", 7001)):
        assert net.connect(ns, host, port) == "ok"
    key = "reset" if action == "reset" else "dropped"
    wait_for(lambda: net.status()[key] >= before[key] + 4, 5)
    events = wait_for(lambda: [
        e for e in net.suite.events("network")
        if e["rule"] == "six-in" and e["verdict"] == action], 10)
    assert events[0]["address"] == CLIENT6


def test_what_passes_is_not_touched(net, listeners):
    """Transfers of some megabytes, both ways, while all is judged and rules
    prevent others."""
    net.rules(RULES.format(action="drop", client4=CLIENT4, client6=CLIENT6))
    size = 8 << 20
    want = sum_of(pattern(size))
    for host in (SERVER4, f"[{SERVER6}]"):
        r = net.bed.run("client", "curl", "-sf", "--max-time", "30",
                        f"http://{host}:7003/bytes/{size}", "-o",
                        net.bed.dir / "got")
        assert r.returncode == 0
        assert sum_of((net.bed.dir / "got").read_bytes()) == want
        (net.bed.dir / "sent").write_bytes(pattern(size))
        r = net.bed.run("client", "curl", "-sf", "--max-time", "30",
                        "--data-binary", f"@{net.bed.dir}/sent",
                        "-H", "Expect:", f"http://{host}:7003/")
        assert r.stdout == want


def test_broken_rules_leave_the_old_ones(net, listeners):
    net.rules(RULES.format(action="reset", client4=CLIENT4, client6=CLIENT6))
    f = net.suite.root / "etc/splx/network.conf"
    f.write_text("[bad]\nAction = nonsense\n")
    net.suite.ctl("config", "reload", check=False)
    broken = wait_for(lambda: net.status()["broken"], 10)
    assert "network.conf:2" in broken
    assert net.suite.health()["networkStatus"] == 20094
    assert net.connect("client", SERVER4, 7001) == "ConnectionRefusedError"
    assert net.connect("client", SERVER4, 7003) == "ok"


def test_a_ruleset_that_somebody_flushes_comes_back(net):
    before = net.status()["put_back"]
    net.bed.run("server", "nft", "add", "table", "inet", "other")
    assert net.bed.run("server", "nft", "flush", "ruleset").returncode == 0
    wait_for(lambda: "table inet splx" in net.bed.tables(), 2)
    wait_for(lambda: net.status()["put_back"] == before + 1, 3)
    judges_again(net)


def test_others_rules_are_left_alone(net):
    net.bed.run("server", "nft", "add", "table", "inet", "other")
    net.bed.run("server", "nft", "add", "chain", "inet", "other", "c",
                "{ type filter hook input priority 0; }")
    before = net.bed.run("server", "nft", "list", "table", "inet",
                         "other").stdout
    net.suite.ctl("config", "set", "NetworkMonitor", "no")
    wait_for(lambda: "table inet splx" not in net.bed.tables(), 5)
    assert net.bed.queue() == []
    net.suite.ctl("config", "set", "NetworkMonitor", "yes")
    net.wait_active()
    after = net.bed.run("server", "nft", "list", "table", "inet",
                        "other").stdout
    assert before == after
    net.bed.run("server", "nft", "delete", "table", "inet", "other")


def test_a_queue_that_another_has_is_told(net):
    """Both of its numbers taken: connections pass, and health says why."""
    net.suite.ctl("config", "set", "NetworkMonitor", "no")
    wait_for(lambda: net.bed.queue() == [], 5)
    holders = [net.bed.start("server", sys.executable, HERE / "netqueue.py", n)
               for n in (1494, 1495)]
    wait_for(lambda: len(net.bed.queue()) == 2, 5)
    net.suite.ctl("config", "set", "NetworkMonitor", "yes")
    wait_for(lambda: net.suite.health()["networkStatus"] == 20092, 10)
    assert net.connect("client", SERVER4, FRONT) == "ok"
    for p in holders:
        p.kill()
    judges_again_soon(net)


def judges_again_soon(net):
    wait_for(lambda: net.status()["active"], 20)
    judges_again(net)


# Each of these has a suite of its own.

def test_on_any_kernel(quiet):
    """All that hangs on the kernel, a few clients at a time (tests/vm)."""
    with Suite(NetworkMonitor="yes", NetworkLoopback="yes") as s:
        net = Net(quiet, s)
        s.start()
        net.wait_active(30)
        wait_for(lambda: net.connect("client", SERVER4, BACK) == "ok", 10)
        before = net.settle()
        unharmed(quiet.load(40, 10, port=BACK), count=40)
        after = net.settle()
        assert after["judged"] - before["judged"] == 40
        assert after["uninspected"] == before["uninspected"]
        judge = net.pid("judge")
        load = quiet.begin_load(40, 10, port=BACK)
        os.kill(judge, signal.SIGSTOP)
        unharmed(load.result(), count=40)
        assert net.settle()["uninspected"] - after["uninspected"] == 40
        os.kill(judge, signal.SIGCONT)
        judges_again(net, BACK)
        pids = [net.pid("monitor"), net.pid("judge")]
        load = quiet.begin_load(40, 10, port=BACK)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        unharmed(load.result(), few=15, count=40)
        judges_again(net, BACK)
        other = quiet.start("client", sys.executable, HERE / "netweb.py", 7002)
        wait_for(lambda: net.connect("server", CLIENT6, 7002) == "ok", 10)
        net.rules(f"[in]\nAction = reset\nDirection = in\nPort = {BACK}\n"
                  "[out]\nAction = reset\nDirection = out\nPort = 7002\n")
        for ns, host, port in (("client", SERVER4, BACK),
                               ("client", SERVER6, BACK),
                               ("server", CLIENT4, 7002),
                               ("server", CLIENT6, 7002)):
            assert net.connect(ns, host, port) == "ConnectionRefusedError"
        other.kill()
        s.stop()
        assert quiet.queue() == []
        assert net.connect("client", SERVER4, BACK) == "ok"


def test_flags_that_the_kernel_lacks_are_done_without(quiet, monkeypatch):
    """Of the queue's flags only one is needed; another one that the kernel
    does not know must not cost the whole configuration."""
    monkeypatch.setenv("SPLX_TEST_NET_FLAGS", "0x40000002")
    with Suite(NetworkMonitor="yes", NetworkLoopback="yes") as s:
        net = Net(quiet, s)
        s.start()
        net.wait_active()
        assert "0x40000000" in s.output() or "0x40000002" in s.output()
        unharmed(quiet.load(50, RATE, port=BACK), count=50)
        judges_again(net, BACK)


def test_an_old_kernel_is_refused_with_the_reason(quiet, monkeypatch):
    monkeypatch.setenv("SPLX_TEST_NET_KERNEL", "4.5.7-old")
    with Suite(NetworkMonitor="yes") as s:
        net = Net(quiet, s)
        s.start()
        wait_for(lambda: s.health()["networkStatus"] == 20090, 10)
        issue = [i for i in s.health()["health_issues"]
                 if i["code"] == 20090][0]
        assert "4.5.7-old" in issue["text"] and "4.6" in issue["text"]
        assert quiet.queue() == [] and "splx" not in quiet.tables()
        assert not net.status()["active"]
        assert net.connect("client", SERVER4, BACK) == "ok"


def test_nothing_stays_when_all_are_killed(quiet):
    """The rule has run out; a start, or splxnetmon -r, removes it."""
    with Suite(NetworkMonitor="yes", NetworkLoopback="yes") as s:
        net = Net(quiet, s)
        s.start()
        net.wait_active()
        kill_all(s.processes)
        assert "table inet splx" in quiet.tables()
        unharmed(quiet.load(25, RATE, port=BACK), count=25)
        r = quiet.run("server", s.root / "usr/lib/splx/splxnetmon", "-R",
                    s.root, "-r")
        assert r.returncode == 0 and not r.stderr
        assert "splx" not in quiet.tables()
        s.start()
        net.wait_active()
        s.stop()
        assert "splx" not in quiet.tables() and quiet.queue() == []


def test_the_service_removes_what_is_left(quiet):
    """By its scripts: a stop takes all out, also where there is nothing to
    stop any more; so does a start that follows a crash."""
    with Suite(NetworkMonitor="yes", NetworkLoopback="yes") as s:
        net = Net(quiet, s)
        script = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                  f"SPLX_ROOT={s.root}", "sh", s.root / "etc/init.d/splxcore"]
        for last in ("stop", "crash and stop", "crash and start"):
            r = quiet.run("server", *script, "start")
            assert r.returncode == 0, r.stdout + r.stderr
            net.wait_active()
            if last != "stop":
                kill_all(s.processes)
                assert "table inet splx" in quiet.tables()
            if last == "crash and start":
                s.write_conf(NetworkMonitor="no")
                assert quiet.run("server", *script, "start").returncode == 0
                assert "splx" not in quiet.tables()
            assert quiet.run("server", *script, "stop").returncode == 0
            assert "splx" not in quiet.tables() and quiet.queue() == []
