# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""Quarantine end to end: what is taken away is sealed, described, and comes
back exactly as it was; a kill at any instant neither loses nor doubles it."""

import os
import signal
import time

import pytest

from suite import EICAR, MARKER, denied, opens, wait_for


@pytest.fixture
def q(make_suite):
    return make_suite(FirstAction="quarantine").start()


def items(s):
    """Without the bed's own probe, which may have been taken too."""
    got = s.json("quarantine", "list", "--limit=1000")["items"]
    return [i for i in got if "/.probe-" not in i["path"]]


def taken(s, path):
    return wait_for(lambda: [i for i in items(s) if i["path"] == str(path)],
                    15)[0]


def test_an_infected_file_is_taken_sealed_and_listed(q):
    bad = q.infected("take.com")
    item = taken(q, bad)
    assert not bad.exists()
    assert "EICAR" in item["virus"].upper()
    assert item["size"] == len(EICAR)
    store = q.root / "var/lib/splx/quarantine"
    assert oct(store.stat().st_mode & 0o777) == "0o700"
    sealed = [p for p in store.iterdir() if p.is_file()]
    assert sealed and all(EICAR not in p.read_bytes() for p in sealed)
    shown = q.json("quarantine", "show", item["id"])
    assert shown["sha256"] and shown["path"] == str(bad)


def test_restore_gives_back_content_owner_mode_times_and_xattrs(q):
    q.ctl("config", "set", "FirstAction", "deny")
    bad = q.infected("attrs.com")
    os.chown(bad, 1234, 4321)
    os.chmod(bad, 0o640)
    os.setxattr(bad, "trusted.splx-test", b"kept")
    os.utime(bad, ns=(10**18, 10**18 + 123456789))
    q.ctl("config", "set", "FirstAction", "quarantine")
    assert opens(bad) != 0
    item = taken(q, bad)
    q.ctl("quarantine", "restore", item["id"])
    st = bad.stat()
    assert (st.st_uid, st.st_gid, st.st_mode & 0o7777) == (1234, 4321, 0o640)
    assert st.st_mtime_ns == 10**18 + 123456789
    assert os.getxattr(bad, "trusted.splx-test") == b"kept"
    # it passes from now on, and is not taken again
    assert opens(bad) == 0
    assert bad.read_bytes() == EICAR
    time.sleep(1)
    assert bad.exists() and bad.read_bytes() == EICAR
    assert not [i for i in items(q) if i["path"] == str(bad)]


def test_a_restored_file_that_is_changed_is_judged_anew(q):
    bad = q.infected("again.com")
    q.ctl("quarantine", "restore", taken(q, bad)["id"])
    assert opens(bad) == 0
    with open(bad, "wb") as f:
        f.write(MARKER)
    wait_for(lambda: denied(bad) or not bad.exists(), 10)


def test_restore_does_not_overwrite_and_can_go_elsewhere(q):
    bad = q.infected("there.com")
    item = taken(q, bad)
    q.clean("there.com", b"somebody else's\n")
    r = q.ctl("quarantine", "restore", item["id"], check=False)
    assert r.returncode != 0 and "exist" in (r.stdout + r.stderr)
    assert bad.read_bytes() == b"somebody else's\n"
    other = q.root / "elsewhere.com"
    q.ctl("quarantine", "restore", item["id"], f"--to={other}")
    assert other.read_bytes() == EICAR


def test_delete_and_purge(q):
    a, b = q.infected("a.com"), q.infected("b.com")
    ia, ib = taken(q, a), taken(q, b)
    q.ctl("quarantine", "delete", ia["id"])
    left = [i["id"] for i in items(q)]
    assert ib["id"] in left and ia["id"] not in left
    assert q.ctl("quarantine", "show", ia["id"], check=False).returncode != 0
    time.sleep(1.1)
    q.ctl("quarantine", "purge", "--age=1s")
    assert items(q) == []
    left = [p for p in (q.root / "var/lib/splx/quarantine").iterdir()
            if p.is_file()]
    assert len(left) <= 1  # the probe's, if any


@pytest.mark.seconds(200)
def test_kill_9_of_core_while_files_are_taken_loses_and_doubles_none(q):
    """Forty files, core killed again and again: at the end each file is in
    quarantine once, or still at its place and denied."""
    names = [q.dir / f"storm-{i}.com" for i in range(40)]
    for i, p in enumerate(names):
        p.write_bytes(MARKER + b"%d" % i)
        if i % 8 == 4:
            old = wait_for(lambda: q.pid_of("core"), 60)
            os.kill(old, signal.SIGKILL)
            wait_for(lambda: q.pid_of("core") not in (None, old), 60)
    wait_for(lambda: q.ctl("status", check=False).returncode < 2, 30)
    # whatever was missed is taken when it is opened
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and any(p.exists() for p in names):
        for p in names:
            if p.exists():
                assert denied(p) or not p.exists()
        time.sleep(0.3)
    paths = [i["path"] for i in items(q)]
    for p in names:
        assert (p.exists() and denied(p)) or paths.count(str(p)) == 1, p
    assert len(paths) == len(set(paths))
    hidden = [n for n in os.listdir(q.dir) if n.startswith(".splx")]
    assert hidden == []


def test_a_hard_link_that_stays_is_denied_and_told(q):
    q.ctl("config", "set", "FirstAction", "deny")
    bad = q.infected("linked.com")
    other = q.dir / "other-name.com"
    os.link(bad, other)
    q.ctl("config", "set", "FirstAction", "quarantine")
    assert opens(bad) != 0
    taken(q, bad)
    assert other.exists()
    assert opens(other) != 0
    assert any("link" in (e["detail"] or "") for e in q.events())


def test_findings_made_while_core_is_dead_are_not_lost(q):
    core = q.pid_of("core")
    os.kill(core, signal.SIGSTOP)
    bads = [q.infected(f"meanwhile-{i}.com", MARKER + b"%d" % i)
            for i in range(30)]
    for b in bads:
        assert denied(b)
    os.kill(core, signal.SIGKILL)
    paths = {str(b) for b in bads}
    wait_for(lambda: paths <= {e["path"] for e in q.events()}
             if q.ctl("status", check=False).returncode < 2 else False, 30,
             0.5)
    wait_for(lambda: not any(b.exists() for b in bads), 30)


def test_a_loop_of_opens_pushes_no_other_finding_out(make_suite):
    """With core stopped the socket and the workers fill up; one file that is
    opened thousands of times counts as one."""
    q = make_suite(FirstAction="deny").start()
    core = q.pid_of("core")
    first = q.infected("first.com", MARKER + b"first")
    os.kill(core, signal.SIGSTOP)
    try:
        # core is ended when it stands still for half a minute
        end = time.monotonic() + 15
        for i in range(5000):
            assert denied(first)
            if time.monotonic() > end:
                break
        others = [q.infected(f"other-{i}.com", MARKER + b"%d" % i)
                  for i in range(20)]
        assert all(denied(p) for p in others)
    finally:
        os.kill(core, signal.SIGCONT)
    wait_for(lambda: {str(p) for p in others} <=
             {e["path"] for e in q.events()}, 30, 0.5)
    assert q.counters()["findingsLost"] == 0
