# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""Bad input and bad circumstances: one clear line, nothing lost, protection
stays."""

import contextlib
import json
import os
import socket
import subprocess
import time

import pytest

from suite import MARKER, denied, mount, opens, umount, wait_for


def connect(path, kind=socket.SOCK_STREAM):
    s = socket.socket(socket.AF_UNIX, kind)
    s.settimeout(10)
    s.connect(str(path))
    return s


@pytest.mark.parametrize("line", [
    b"{}\n", b"[]\n", b"{\"id\":1}\n", b"nonsense\n",
    b"{\"id\":1,\"verb\":\"no.such\"}\n",
    b"{\"id\":1,\"verb\":\"events.list\",\"args\":{\"limit\":[]}}\n",
    b"{\"id\":1,\"verb\":\"events.list\",\"args\":{\"what\":\"x\"}}\n",
    b"{\"id\":1,\"verb\":\"quarantine.show\",\"args\":{}}\n",
    b"\xff\xfe\x00\x01\n", pytest.param(b"[" * 5000 + b"\n", id="deep"),
])
def test_nonsense_on_the_verb_socket_gets_an_error_not_a_crash(shared, line):
    with connect(shared.root / "run/splx/entity.sock") as s:
        s.sendall(line)
        answer = s.makefile("rb").readline()
        got = json.loads(answer)
        assert got["ok"] is False and got["error"]["message"]
        s.sendall(b'{"id":2,"verb":"status"}\n')
        assert json.loads(s.makefile("rb").readline())["ok"] is True


def test_a_line_without_end_is_cut_off(shared):
    with connect(shared.root / "run/splx/entity.sock") as s:
        with pytest.raises(OSError):
            for _ in range(400):
                s.sendall(b"x" * 8192)
            while s.recv(65536):
                pass
            raise OSError("closed")
    assert shared.ctl("status", check=False).returncode < 2


def test_nonsense_on_the_scan_and_control_sockets(shared):
    for name in ("scan.sock", "scan-low.sock", "control.sock"):
        for data in (b"", b"x", os.urandom(100), b"\0" * 9000):
            with connect(shared.root / f"run/splx/{name}",
                         socket.SOCK_SEQPACKET) as s:
                try:
                    s.send(data)
                    s.settimeout(1)
                    s.recv(9000)
                except OSError:
                    pass
    assert denied(shared.infected("after-nonsense.com"))
    assert shared.ctl("scan", shared.clean("x.txt"),
                      check=False).returncode == 0


def test_the_control_socket_is_roots_alone(shared):
    st = (shared.root / "run/splx/control.sock").stat()
    assert st.st_mode & 0o077 == 0


def test_a_full_disk_under_the_store_leaves_protection_at_work(make_suite):
    s = make_suite(FirstAction="deny")
    s.mount_tmpfs(s.root / "var/lib/splx", "4M")
    (s.root / "var/lib/splx/patterns").mkdir()
    s.start()
    hog = s.root / "var/lib/splx/hog"
    with contextlib.suppress(OSError), open(hog, "wb") as f:
        while True:
            f.write(b"x" * 65536)
            f.flush()
    for i in range(50):
        assert denied(s.infected(f"full-{i}.com", MARKER + b"%d" % i))
    assert opens(s.clean("fine.txt")) == 0
    wait_for(lambda: any("store" in str(i).lower()
                         for i in s.health()["health_issues"]), 20)
    hog.unlink()

    def kept():
        name = f"after-{time.monotonic_ns()}.com"
        s.infected(name, MARKER + name.encode())
        time.sleep(0.5)
        return any(e["path"].endswith(name) for e in s.events())
    wait_for(kept, 30, 1)
    wait_for(lambda: not any("store" in str(i).lower()
                             for i in s.health()["health_issues"]), 30, 1)


def test_an_unwritable_store_at_start_is_told_and_scanning_works(make_suite):
    s = make_suite(FirstAction="deny")
    (s.root / "var/lib/splx/splx.db").mkdir()
    s.start()
    assert denied(s.infected("bad.com"))
    assert any("store" in str(i).lower() for i in
               s.health()["health_issues"])


def test_a_broken_pattern_file_at_start_is_told(make_suite):
    s = make_suite(FirstAction="deny")
    own = s.root / "own"
    own.mkdir()
    (own / "broken.ndb").write_text("rubbish\n")
    s.write_conf(PatternDirectory=[own])
    s.start(wait=False)
    wait_for(lambda: "broken.ndb" in s.output()
             or "broken.ndb" in s.ctl("status", check=False).stdout, 30, 0.5)


def test_a_wrong_settings_file_keeps_the_running_settings(suite):
    bad = suite.infected("bad.com")
    good = suite.conf_file.read_text()
    for text in ("OnError = perhaps\n", "Include = {\n", "= 5\n",
                 "VerdictTimeout = 99999h\n", "\x00\x01\x02\n",
                 "Workers = -1\n", "Include = {\"relative\"}\n"):
        suite.conf_file.write_text(good + text)
        r = suite.ctl("config", "reload", check=False)
        assert r.returncode != 0, text
        assert "splx.conf" in r.stderr, text
        assert denied(bad)
    suite.conf_file.write_text(good)
    suite.ctl("config", "reload")
    assert not any("config" in str(i).lower() and "broken" in str(i).lower()
                   for i in suite.health()["health_issues"])


def test_a_dead_socket_is_replaced_at_start(make_suite):
    s = make_suite(FirstAction="deny")
    for name in ("entity.sock", "control.sock", "scan.sock",
                 "scan-low.sock"):
        dead = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        dead.bind(str(s.root / f"run/splx/{name}"))
        dead.close()
    (s.root / "run/splx/entity.pid").write_text("999999\n")
    s.start()
    assert denied(s.infected("bad.com"))


def test_too_long_a_stage_path_is_one_clear_line(tmp_path):
    from suite import REPO
    r = subprocess.run(["sh", "tests/build/stage.sh",
                        str(tmp_path / ("x" * 90)), "build"],
                       cwd=REPO, capture_output=True)
    assert r.returncode != 0
    assert b"too long" in r.stderr and len(r.stderr.splitlines()) == 1


def test_names_that_fight_the_terminal_are_shown_harmless(shared):
    odd = shared.infected("evil\x1b[31m\nname\t.com")
    wait_for(lambda: [e for e in shared.events() if "evil" in e["path"]], 10)
    out = shared.ctl("events", "list", "--kind=virus").stdout
    assert "\x1b" not in out
    assert denied(odd)
    assert "\x1b" not in (shared.root
                          / "var/log/splx/splx.log").read_text()
