# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""Scans as jobs: listed, paused, gone on with, cancelled; what happens when
anything that takes part in one dies meanwhile."""

import contextlib
import os
import pathlib
import signal
import subprocess
import time

import pytest

from suite import EICAR, pid_stat, wait_for


def tree(suite, name, files=120, size=30 << 20, where=None):
    """Files that take a while, and that differ: known ones would be quick.
    They are holes, which cost no space."""
    d = pathlib.Path(where or suite.root) / name
    for i in range(files):
        sub = d / f"d{i % 7}"
        sub.mkdir(parents=True, exist_ok=True)
        with open(sub / f"f{i}", "wb") as f:
            f.write(os.urandom(64))
            f.truncate(size)
    return d


def begin(suite, *args):
    """splxctl scan in the background of the test."""
    return subprocess.Popen(
        [str(suite.root / "bin/splxctl"), "scan", *map(str, args)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT)


def jobs(suite, *args):
    return suite.json("scan", "list", *args)["jobs"]


def job(suite, number):
    return suite.json("scan", "show", number)["job"]


def live_job(suite, path, files=1):
    """The job that scans path, once it has come some way."""
    def found():
        return [j for j in jobs(suite, "--live")
                if str(path) in j["paths"] and j["files"] >= files]
    return wait_for(found, 20)[0]


def settled(suite, number):
    """How many files a paused one has come to, when what was under way is
    done."""
    def same():
        before = job(suite, number)["files"]
        time.sleep(2.5)
        return before if job(suite, number)["files"] == before else None
    return wait_for(same, 60)


def ended(suite, number, seconds=60):
    wait_for(lambda: job(suite, number)["state"] not in ("running", "paused"),
             seconds)
    return job(suite, number)


def test_a_scan_is_a_job_that_is_kept(shared):
    d = shared.root / "kept"
    d.mkdir()
    (d / "good").write_bytes(b"good")
    (d / "bad.com").write_bytes(EICAR)
    p = begin(shared, d)
    assert p.wait(60) == 1
    j = jobs(shared)[0]
    assert j["paths"] == [str(d)] and j["state"] == "done"
    assert (j["files"], j["infected"], j["source"]) == (2, 1, "manual")
    shown = wait_for(lambda: shared.json("scan", "show", j["id"])
                     if shared.json("scan", "show", j["id"])["findings"]
                     else None)
    assert [f["path"] for f in shown["findings"]] == [str(d / "bad.com")]
    assert shown["findings"][0]["job"] == j["id"]
    out = shared.ctl("scan", "show", j["id"]).stdout
    assert str(d / "bad.com") in out and "done" in out
    assert str(d) in shared.ctl("scan", "list").stdout
    states = [e["state"] for e in shared.events("scan")
              if e["job"] == j["id"]]
    assert states == ["done", "begun"]


def test_two_at_once_are_paused_gone_on_with_and_cancelled(shared):
    a = tree(shared, "two-a")
    b = tree(shared, "two-b")
    pa, pb = begin(shared, a), begin(shared, b)
    ja, jb = live_job(shared, a), live_job(shared, b)
    shared.ctl("scan", "pause", ja["id"])
    wait_for(lambda: job(shared, ja["id"])["state"] == "paused", 5)
    at = settled(shared, ja["id"])
    begun = time.monotonic()
    shared.ctl("scan", "cancel", jb["id"])
    assert pb.wait(60) == 2
    assert time.monotonic() - begun < 30
    assert b"nterrupted" in pb.stdout.read()
    cancelled = job(shared, jb["id"])
    assert cancelled["state"] == "cancelled" and cancelled["files"] < 120
    assert pa.poll() is None and job(shared, ja["id"])["files"] == at
    shared.ctl("scan", "resume", ja["id"])
    assert pa.wait(120) == 0
    done = job(shared, ja["id"])
    assert (done["state"], done["files"]) == ("done", 120)


def test_a_cancelled_or_finished_one_takes_no_orders(shared):
    d = shared.root / "over"
    d.mkdir()
    assert begin(shared, d).wait(60) == 0
    over = jobs(shared)[0]["id"]
    for order in ("pause", "resume", "cancel"):
        r = shared.ctl("scan", order, over, check=False)
        assert r.returncode == 2 and "is done" in r.stderr
    r = shared.ctl("scan", "show", 999999, check=False)
    assert r.returncode == 2 and "999999" in r.stderr
    assert shared.ctl("scan", "pause", "x", check=False).returncode == 2


def test_a_killed_one_is_interrupted_and_goes_on_where_it_stopped(shared):
    d = tree(shared, "killed")
    (d / "d0/bad.com").write_bytes(EICAR)
    p = begin(shared, d)
    j = live_job(shared, d, 20)
    os.kill(j["pid"], signal.SIGKILL)
    p.wait(10)
    wait_for(lambda: job(shared, j["id"])["state"] == "interrupted", 5)
    before = job(shared, j["id"])
    assert before["resumable"] and before["current"].startswith(str(d))
    p = begin(shared, "--job", j["id"])
    assert p.wait(120) == (0 if before["infected"] else 1), p.stdout.read()
    after = job(shared, j["id"])
    assert after["state"] == "done" and after["runs"] == 2
    # What was under way, and what came since it was told last, comes twice.
    assert 121 <= after["files"] < 121 + before["files"]
    assert after["infected"] == 1
    r = shared.ctl("scan", "--job", j["id"], check=False)
    assert r.returncode == 2 and "is done" in r.stderr


def test_core_is_killed_and_the_scan_goes_on_as_the_same_job(suite):
    d = tree(suite, "core", where=suite.dir, files=150)
    suite.infected("core/d0/bad.com")
    p = begin(suite, d)
    j = live_job(suite, d)
    core = suite.pid_of("core")
    os.kill(core, signal.SIGKILL)
    wait_for(lambda: suite.pid_of("core") not in (None, core), 20)
    wait_for(lambda: suite.ctl("scan", "list", check=False).returncode == 0, 20)
    assert p.wait(120) == 1, p.stdout.read()
    done = ended(suite, j["id"])
    assert (done["state"], done["files"]) == ("done", 151)
    assert (done["infected"], done["errors"], done["runs"]) == (1, 0, 1)


def test_vsapiapp_is_killed_and_the_scan_goes_on(suite):
    d = tree(suite, "scanner", files=150)
    (d / "d6/bad.com").write_bytes(EICAR)
    p = begin(suite, d)
    j = live_job(suite, d)
    for pid in [suite.pid_of("master"), suite.pid_of("generation"),
                *suite.workers("back"), *suite.workers("front")]:
        if pid:
            # The new master may have been quicker.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    rc = p.wait(200)
    out = p.stdout.read()
    assert rc == 1, out
    done = ended(suite, j["id"])
    assert done["state"] == "done" and done["infected"] == 1
    assert done["files"] >= 151


def test_a_scan_without_entity_is_no_job_and_goes_on(suite):
    d = tree(suite, "alone", files=10)
    core = suite.pid_of("core")
    os.kill(core, signal.SIGSTOP)
    try:
        r = suite.ctl("--timeout", "1s", "scan", d, check=False)
    finally:
        os.kill(core, signal.SIGCONT)
    assert r.returncode == 0 and "could not be registered" in r.stderr


def start(suite, *args):
    return suite.json("scan", "start", *args)["id"]


def test_entity_runs_a_scan_in_the_background(shared):
    d = tree(shared, "back")
    (d / "d0/bad.com").write_bytes(EICAR)
    number = start(shared, d)
    j = live_job(shared, d)
    assert j["id"] == number and j["background"] and j["pid"]
    wait_for(lambda: job(shared, number)["all_files"] == 121, 20)
    shared.ctl("scan", "pause", number)
    settled(shared, number)
    shared.ctl("scan", "resume", number)
    done = ended(shared, number)
    assert (done["state"], done["files"], done["infected"]) == ("done", 121, 1)
    wait_for(lambda: shared.json("scan", "show", number)["findings"])
    # Nobody is left of it, not even as a zombie.
    wait_for(lambda: pid_stat(j["pid"]) is None, 10)


def test_one_in_the_background_is_killed_resumed_and_cancelled(shared):
    d = tree(shared, "back-killed")
    number = start(shared, d)
    os.kill(live_job(shared, d, 5)["pid"], signal.SIGKILL)
    wait_for(lambda: job(shared, number)["state"] == "interrupted", 5)
    shared.ctl("scan", "resume", number)
    live_job(shared, d, 10)
    shared.ctl("scan", "cancel", number)
    j = ended(shared, number)
    assert (j["state"], j["runs"], j["resumable"]) == ("cancelled", 2, False)
    assert shared.ctl("scan", "resume", number, check=False).returncode == 2


def test_one_that_has_nothing_to_scan_says_so(shared):
    number = start(shared, shared.root / "nowhere")
    j = ended(shared, number)
    assert (j["state"], j["files"], j["errors"]) == ("done", 0, 1)
    assert shared.ctl("scan", "start", check=False).returncode == 2


def test_the_background_ends_with_the_suite_and_may_go_on(make_suite):
    s = make_suite(FirstAction="deny").start()
    d = tree(s, "ends")
    number = start(s, d)
    pid = live_job(s, d, 5)["pid"]
    s.stop()
    # It is told to; by itself it would look for the service for 10 s.
    wait_for(lambda: pid_stat(pid) is None, 5)
    s.start()
    j = job(s, number)
    assert j["state"] == "interrupted" and j["files"] >= 5
    s.ctl("scan", "resume", number)
    j = ended(s, number)
    assert j["state"] == "done" and j["files"] >= 120


def test_an_operator_has_no_files_changed_that_he_may_not_read(make_suite):
    s = make_suite(FirstAction="deny", OperatorUsers=["nobody"]).start()
    secret = s.root / "secret"
    secret.mkdir(mode=0o700)
    (secret / "bad.com").write_bytes(EICAR)

    def as_nobody(*args):
        return subprocess.run(
            [str(s.root / "usr/sbin/splxctl"), "-R", str(s.root), *args],
            user=65534, group=65534, capture_output=True, timeout=60)
    r = as_nobody("scan", "start", "--action=delete", str(secret))
    assert r.returncode == 2 and b"role admin" in r.stderr
    r = as_nobody("scan", "start", str(secret))
    assert r.returncode == 0, r.stderr
    j = ended(s, jobs(s)[0]["id"])
    assert (j["uid"], j["infected"], j["action"]) == (65534, 1, "deny")
    assert (secret / "bad.com").exists()
    # Somebody else's, in his own process, reads nothing for him.
    d = tree(s, "roots")
    p = begin(s, d, "--action=delete")
    os.kill(live_job(s, d, 5)["pid"], signal.SIGKILL)
    p.wait(10)
    number = str(jobs(s)[0]["id"])
    wait_for(lambda: job(s, number)["state"] == "interrupted", 5)
    r = as_nobody("scan", "--job=" + number)
    assert r.returncode == 2 and b"not yours" in r.stderr
    r = as_nobody("scan", "resume", number)
    assert r.returncode == 2 and b"role admin" in r.stderr


# A scanning client of an operator's own making: it says what the service
# answers to its HELLO and to a file, of that source.
CLIENT = """
import os, socket, struct, sys
REQUEST, REPLY = "<IIQIIIIQ4096s", "<IIQIIQQ256s"
c = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
c.settimeout(20)
c.connect(sys.argv[1])
fd = os.open(sys.argv[2], os.O_RDONLY)
for kind in (0, 1):
    c.sendmsg([struct.pack(REQUEST, 2, kind, kind, 0, int(sys.argv[3]), 4, 4,
                           0, b"/x")],
              [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                struct.pack("i", fd))] if kind else [])
    got = struct.unpack(REPLY, c.recv(4096)[:struct.calcsize(REPLY)])
    print(got[3], got[7].split(b"\\0")[0].decode())
"""
MANUAL, IN_USE, REFRESH, INFECTED, ERROR = 4, 6, 7, 1, 5


def test_an_operators_scan_ends_nobody(make_suite):
    """By its source it is decided what is done to who uses the file: an
    operator may not say that his scan is one of what is in use."""
    s = make_suite(FirstAction="deny", OperatorUsers=["nobody"]).start()
    bad = s.root / "bad.com"
    bad.write_bytes(EICAR)
    user = subprocess.Popen(["tail", "-f", bad], stdout=subprocess.DEVNULL)

    def client(source, uid):
        r = subprocess.run(
            ["/usr/bin/python3", "-c", CLIENT,
             str(s.root / "run/splx/scan.sock"), str(bad), str(source)],
            user=uid, group=uid, extra_groups=[], capture_output=True,
            timeout=60, text=True)
        assert r.returncode == 0, r.stderr
        return [x.split(" ", 1) for x in r.stdout.splitlines()]
    try:
        for source, why in ((IN_USE, "root alone"), (REFRESH, "own")):
            for verdict, text in client(source, 65534):
                assert int(verdict) == ERROR and why in text
        assert int(client(MANUAL, 65534)[1][0]) == INFECTED
        wait_for(lambda: [e for e in s.events() if e["path"] == str(bad)])
        assert {e["source"] for e in s.events()
                if e["path"] == str(bad)} == {"manual"}
        assert user.poll() is None
        r = subprocess.run(
            [str(s.root / "usr/sbin/splxctl"), "-R", str(s.root), "scan",
             "--in-use"], user=65534, group=65534, capture_output=True,
            timeout=60)
        assert r.returncode == 2 and b"only root" in r.stderr
        # It is root's to have done.
        assert int(client(IN_USE, 0)[1][0]) == INFECTED
        assert user.wait(20) == -signal.SIGKILL
    finally:
        user.kill()
        user.wait()
