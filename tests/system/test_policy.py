# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""Every way out follows its setting, is counted, and changes at run time
without a gap in protection."""

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
import zipfile

import pytest

from suite import EICAR, INTERCEPTOR, MARKER, denied, opens, wait_for


def test_oversize_files_follow_OnOversize(make_suite):
    s = make_suite(FirstAction="deny", MaxFileSize="64K", OnOversize="deny")
    s.start()
    big = s.clean("big.bin", b"x" * 70000)
    assert denied(big)
    wait_for(lambda: s.counters()["policyOversize"] >= 1)
    s.ctl("config", "set", "OnOversize", "allow")
    assert opens(big) == 0
    assert opens(s.clean("small.bin", b"x" * 60000)) == 0


def test_encrypted_archives_follow_OnEncrypted(make_suite):
    if not shutil.which("zip"):
        pytest.skip("no zip(1) on this machine to make an encrypted archive")
    s = make_suite(FirstAction="deny", OnEncrypted="deny")
    s.start()
    src = s.root / "plain.txt"
    src.write_bytes(b"hello\n" * 100)
    subprocess.run(["zip", "-q", "-j", "-P", "secret", str(s.dir / "e.zip"),
                    str(src)], check=True)
    assert denied(s.dir / "e.zip")
    wait_for(lambda: s.counters()["policyEncrypted"] >= 1)
    s.ctl("config", "set", "OnEncrypted", "allow")
    assert opens(s.dir / "e.zip") == 0


def test_archives_beyond_the_limits_are_not_called_clean(make_suite):
    s = make_suite(FirstAction="deny", MaxFiles="5", MaxRecursion="3",
                   OnOversize="deny")
    s.start()
    many = s.root / "many.zip"
    with zipfile.ZipFile(many, "w") as z:
        for i in range(50):
            z.writestr(f"m{i}", b"fine %d" % i)
        z.writestr("last", EICAR)
    shutil.copy(many, s.dir / "many.zip")
    assert denied(s.dir / "many.zip")
    deep = EICAR
    for i in range(8):
        p = s.root / "deep.zip"
        with zipfile.ZipFile(p, "w") as z:
            z.writestr(f"d{i}.zip" if i else "x.com", deep)
        deep = p.read_bytes()
    (s.dir / "deep.zip").write_bytes(deep)
    assert denied(s.dir / "deep.zip")


EXCLUSIONS = [
    ("directory", "{d}/excluded", "excluded/deep/bad.com", "excluded2/b.com"),
    ("file", "{d}/one.com", "one.com", "one.com.x"),
    ("extension", "foo", "a.FOO", "a.foob"),
    ("pattern", "{d}/w*/x?.com", "wild/x1.com", "wild/y/x1.com"),
    ("regex", "/re-[0-9]+[.]com$", "re-42.com", "re-x.com"),
]


@pytest.mark.parametrize("kind,value,out,still", EXCLUSIONS,
                         ids=[e[0] for e in EXCLUSIONS])
def test_exclusions_of_paths_take_hold_and_end_at_once(shared, kind, value,
                                                       out, still):
    value = value.format(d=shared.dir)
    a, b = shared.infected(out), shared.infected(still)
    assert denied(a) and denied(b)
    shared.ctl("exclusion", "add", kind, value)
    try:
        assert opens(a) == 0
        assert denied(b)
    finally:
        shared.ctl("exclusion", "remove", kind, value)
    assert denied(a) and denied(b)


def test_an_excluded_program_is_known_by_its_file_not_its_name(shared):
    bad = shared.infected("prog-excl.com")
    tool = shared.root / "tool"
    shutil.copy("/bin/cat", tool)
    other = shared.root / "other/tool"
    other.parent.mkdir(exist_ok=True)
    shutil.copy("/bin/cat", other)
    shared.ctl("exclusion", "add", "executable", tool)
    try:
        assert subprocess.run([str(tool), str(bad)],
                              capture_output=True).returncode == 0
        assert subprocess.run([str(other), str(bad)],
                              capture_output=True).returncode != 0
    finally:
        shared.ctl("exclusion", "remove", "executable", tool)
    assert subprocess.run([str(tool), str(bad)],
                          capture_output=True).returncode != 0


def test_one_bad_entry_voids_only_itself_and_is_reported(make_suite):
    s = make_suite(FirstAction="deny",
                   ExcludeRegex=["(unclosed", "/ok-[0-9]$"])
    s.start()
    assert opens(s.infected("ok-1")) == 0
    assert denied(s.infected("nok"))
    h = s.health()
    assert any("(unclosed" in str(i) for i in h["health_issues"])
    assert "(unclosed" in str(s.json("exclusion", "list"))


@pytest.mark.parametrize("order", [("ok-1", "bad.com"), ("bad.com", "ok-1")])
def test_what_one_name_excludes_another_does_not_let_through(make_suite, order):
    """Two that ask about one file at once, by two names of it: what is allowed
    for one name is not for the other. (A refusal the kernel module gives to
    both; who asks again by the excluded name gets in.)"""
    s = make_suite(FirstAction="deny", ExcludeRegex=["/ok-[0-9]$"],
                   VerdictTimeout="60s", WorkersMax="2", Workers="2")
    s.start()
    os.link(s.infected("ok-1"), s.dir / "bad.com")
    pids = s.workers("front")
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        readers = {}
        for name in order:
            readers[name] = subprocess.Popen(
                ["cat", str(s.dir / name)], stdout=subprocess.PIPE,
                stderr=subprocess.PIPE)
            time.sleep(0.5)  # it waits before the next one comes
        assert all(r.poll() is None for r in readers.values())
    finally:
        for pid in pids:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGCONT)
    said = {name: r.communicate(timeout=60)[0] for name, r in readers.items()}
    assert said["bad.com"] == b"" and readers["bad.com"].returncode != 0
    if INTERCEPTOR == "khm" and order[0] == "bad.com":
        assert (s.dir / "ok-1").read_bytes() == EICAR
    else:
        assert said["ok-1"] == EICAR


def test_an_exclusion_beats_include(make_suite):
    s = make_suite(FirstAction="deny")
    s.write_conf(ExcludeDirectory=[str(s.dir / "sub")])
    s.start()
    assert opens(s.infected("sub/bad.com")) == 0
    assert denied(s.infected("bad.com"))


def test_the_classes_of_RealtimeScan(make_suite):
    s = make_suite(FirstAction="deny", RealtimeScan="4")  # running alone
    s.start(wait=False)
    bad = s.dir / "prog"
    shutil.copy("/bin/true", bad)
    with open(bad, "ab") as f:
        f.write(MARKER)
    bad.chmod(0o755)

    def refused():
        try:
            subprocess.run([str(bad)])
            return False
        except PermissionError:
            return True
    wait_for(refused, 20, 0.2)
    assert opens(bad) == 0  # reading is another class
    s.ctl("config", "set", "RealtimeScan", "6")
    wait_for(lambda: denied(bad), 10)
    s.ctl("config", "set", "RealtimeScan", "1")  # incoming alone
    wait_for(lambda: opens(bad) == 0, 10)
    n = len(s.events())
    s.infected("incoming.com")
    wait_for(lambda: len(s.events()) > n, 10)


def test_settings_change_without_an_unprotected_instant(suite):
    bad = suite.infected("bad.com")
    stop = threading.Event()
    through = []

    def opener():
        while not stop.is_set():
            if opens(bad) == 0:
                through.append(time.monotonic())

    threads = [threading.Thread(target=opener) for _ in range(2)]
    for t in threads:
        t.start()
    for i in range(5):
        suite.ctl("config", "set", "MaxRecursion", str(10 + i))
        suite.ctl("exclusion", "add", "extension", f"x{i}")
    suite.ctl("pattern", "reload", seconds=60)
    time.sleep(1)
    stop.set()
    for t in threads:
        t.join(20)
    assert through == []


def test_pattern_reload_takes_new_patterns_and_keeps_old_on_error(suite):
    new = suite.clean("new-threat.txt", b"a brand new threat, really\n")
    assert opens(new) == 0
    db = suite.root / "own/new.ndb"
    db.parent.mkdir()
    suite.ctl("config", "set", "PatternDirectory", db.parent)
    db.write_text("Test.New:0:*:" + b"brand new threat".hex() + "\n")
    suite.ctl("pattern", "reload")
    assert denied(new)
    db.write_text("this is not a signature\n")
    r = suite.ctl("pattern", "reload", check=False)
    assert r.returncode != 0 and "new.ndb" in r.stderr + r.stdout
    assert denied(new)
    assert denied(suite.infected("still.com"))
    assert any("new.ndb" in str(i) for i in suite.health()["health_issues"])
    db.unlink()
    suite.ctl("pattern", "reload")
    assert opens(new) == 0


def test_interceptor_modes_are_switched_at_run_time(suite):
    bad = suite.infected("bad.com")
    assert denied(bad)
    suite.ctl("config", "set", "Interceptor", "off")
    wait_for(lambda: opens(bad) == 0, 10)
    assert suite.health()["overall"] == "Unprotected"
    suite.ctl("config", "set", "Interceptor", "auto")
    wait_for(lambda: denied(bad), 10)
    assert suite.health()["interceptor"] == INTERCEPTOR
    # where khm is not to be had the ladder falls down with a reason
    suite.ctl("config", "set", "Interceptor", "khm", check=False)
    wait_for(lambda: denied(bad), 10)


@pytest.mark.parametrize("action,check", [
    ("quarantine", lambda p: not p.exists()),
    ("delete", lambda p: not p.exists()),
    ("rename", lambda p: not p.exists()
     and any(q.name.startswith(p.name) for q in p.parent.iterdir())),
    ("deny", lambda p: p.exists() and denied(p)),
    ("pass", lambda p: p.exists() and opens(p) == 0),
])
def test_first_actions(make_suite, action, check):
    s = make_suite(FirstAction=action)
    s.start(wait=action != "pass")
    if action == "pass":
        s.wait_armed()
    bad = s.infected("act.com")
    wait_for(lambda: [e for e in s.events() if e["path"] == str(bad)], 15)
    wait_for(lambda: check(bad), 10)


def test_clean_falls_to_the_second_action_and_says_why(make_suite):
    s = make_suite(FirstAction="clean", SecondAction="quarantine")
    s.start()
    bad = s.infected("cleanme.com")
    wait_for(lambda: not bad.exists(), 10)
    ev = wait_for(lambda: [e for e in s.events() if e["path"] == str(bad)
                           and e["action"] == "quarantine"], 10)[0]
    assert ev["detail"]
    assert ev["action"] == "quarantine"


def test_an_action_that_fails_leaves_the_file_denied_and_told(make_suite):
    """On a file system that was made read-only nothing can be moved."""
    s = make_suite(FirstAction="quarantine", SecondAction="delete")
    s.start()
    s.ctl("config", "set", "FirstAction", "deny")
    at = s.mount_tmpfs(s.dir / "ro", "4M")
    bad = s.infected("ro/bad.com", MARKER + b"1")
    wait_for(lambda: denied(bad), 5)
    wait_for(lambda: subprocess.run(
        ["mount", "-o", "remount,ro", str(at)],
        capture_output=True).returncode == 0, 5)
    s.ctl("config", "set", "FirstAction", "quarantine")
    assert denied(bad)
    # those of before have no such detail, nor those told together
    ev = wait_for(lambda: [e for e in s.events() if e["path"] == str(bad)
                           and "read-only" in e["detail"].lower()], 10)[0]
    assert ev["action"] == "deny"
    assert denied(bad)
    assert str(bad) not in [i["path"] for i in
                            s.json("quarantine", "list")["items"]]
