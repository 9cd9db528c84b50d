# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""splxctl against the running suite."""

import csv
import io
import json
import os
import pathlib
import pty
import select
import shutil
import signal
import subprocess
import tarfile
import time

import pytest

from suite import (EICAR, INTERCEPTOR, MARKER, SCAN_USER, opens, read_terminal,
                   wait_for)


def test_status_and_health_of_a_well_suite(shared):
    out = shared.ctl("status", check=False).stdout
    assert "Protected" in out or "Partially protected" in out
    h = shared.health()
    assert h["overall"] in ("Protected", "Partially protected")
    assert h["operational"] in ("Functional", "Degraded")
    assert h["antimalwareStatus"] == 0
    for part in ("generalStatus", "kernelStatus", "patternStatus",
                 "networkStatus", "consoleStatus"):
        assert isinstance(h[part], int)
    assert shared.ctl("health", "--field", "interceptor",
                      check=False).stdout.strip() == INTERCEPTOR


def test_scan_finds_and_exits_by_result(shared):
    tree = shared.root / "tree"
    (tree / "sub").mkdir(parents=True)
    for i in range(50):
        (tree / f"f{i}").write_bytes(b"fine %d" % i)
    r = shared.ctl("scan", tree, check=False)
    assert r.returncode == 0, r.stdout + r.stderr
    bad = tree / "sub/bad.com"
    bad.write_bytes(EICAR)
    r = shared.ctl("scan", tree, check=False)
    assert r.returncode == 1
    assert str(bad) in r.stdout and "EICAR" in r.stdout.upper()
    assert bad.exists()  # the default of a manual scan leaves it
    r = shared.ctl("scan", tree / "missing", check=False)
    assert r.returncode == 2


def test_scan_in_the_protected_place_is_not_denied_by_ourselves(shared):
    bad = shared.infected("scan-me.com")
    r = shared.ctl("scan", shared.dir / "scan-me.com", check=False)
    assert r.returncode == 1 and str(bad) in r.stdout


def test_scan_acts_when_told_to(shared):
    bad = shared.root / "take-me.com"
    bad.write_bytes(EICAR)
    r = shared.ctl("scan", bad, "--action=quarantine", check=False)
    assert r.returncode == 1
    wait_for(lambda: not bad.exists(), 10)
    item = wait_for(lambda: [
        i for i in shared.json("quarantine", "list")["items"]
        if i["path"] == str(bad)], 10)
    assert item[0]["source"] == "manual"


def test_scan_follows_exclusions_unless_told_not_to(shared):
    d = shared.root / "excluded-tree"
    d.mkdir()
    (d / "bad.com").write_bytes(EICAR)
    shared.ctl("exclusion", "add", "directory", d)
    try:
        assert shared.ctl("scan", d, check=False).returncode == 0
        assert shared.ctl("scan", d, "--no-exclusions",
                          check=False).returncode == 1
    finally:
        shared.ctl("exclusion", "remove", "directory", d)


def test_scan_wants_either_paths_or_what_is_in_use(shared):
    r = shared.ctl("scan", "--in-use", "/tmp", check=False)
    assert r.returncode == 2
    assert shared.ctl("scan", check=False).returncode == 2


def test_scan_prints_json_lines(shared):
    d = shared.root / "json-tree"
    d.mkdir()
    (d / "bad.com").write_bytes(EICAR)
    (d / "good").write_bytes(b"good")
    r = shared.ctl("scan", d, "--output", "json", check=False)
    rows = [json.loads(line) for line in r.stdout.splitlines()]
    assert any(str(d / "bad.com") in str(x) for x in rows)
    assert r.returncode == 1


def test_an_interrupted_scan_gives_a_true_summary(shared):
    d = shared.root / "long-tree"
    d.mkdir()
    for i in range(100):
        (d / f"r{i}").write_bytes(os.urandom(3000000))
    p = subprocess.Popen([str(shared.root / "bin/splxctl"), "scan", str(d)],
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    time.sleep(1.0)
    p.send_signal(signal.SIGINT)
    out = p.communicate(timeout=30)[0].decode()
    assert p.returncode == 2
    assert "interrupted" in out.lower()


def test_scan_shows_progress_on_a_terminal_and_only_there(shared):
    d = shared.root / "progress-tree"
    d.mkdir()
    for i in range(200):
        (d / f"r{i}").write_bytes(os.urandom(100000))
    r = shared.ctl("scan", d, "--all", check=False)
    assert "\r" not in r.stdout + r.stderr
    pid, fd = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm"
        os.execv(str(shared.root / "bin/splxctl"),
                 ["splxctl", "scan", "--all", str(d)])
    out = read_terminal(fd, 60)
    os.waitpid(pid, 0)
    assert b"/s" in out and b"\r" in out


@pytest.mark.seconds(280)
def test_scan_of_very_many_files_needs_constant_memory(shared):
    d = shared.dir / "many"
    for i in range(60):
        (d / f"{i}").mkdir(parents=True)
        for j in range(500):
            (d / f"{i}/{j}").touch()
    r = subprocess.run(
        ["/usr/bin/env", "python3", "-c",
         "import resource,subprocess,sys\n"
         "r=subprocess.run(sys.argv[1:])\n"
         "print('RSS',resource.getrusage(resource.RUSAGE_CHILDREN)"
         ".ru_maxrss)\nsys.exit(r.returncode)",
         str(shared.root / "bin/splxctl"), "scan", str(d)],
        capture_output=True, timeout=200)
    assert r.returncode == 0, r.stdout + r.stderr
    rss = int(r.stdout.split(b"RSS")[1])
    assert rss < 40000, f"{rss} KiB"
    shutil.rmtree(d)


def test_events_list_filter_follow_and_export(shared):
    p = subprocess.Popen([str(shared.root / "bin/splxctl"), "events",
                          "follow", "--kind=virus", "-o", "json"],
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    time.sleep(1)
    bad = shared.infected("followed,\"odd\".com")
    try:
        ready, _, _ = select.select([p.stdout], [], [], 15)
        assert ready
        assert "followed" in p.stdout.readline().decode()
    finally:
        p.terminate()
        p.wait(10)
    got = shared.json("events", "list", "--kind=virus", "--text=followed")
    assert all("followed" in e["path"] for e in got["events"])
    out = shared.ctl("events", "export", "--kind=virus",
                     "--format=csv").stdout
    rows = list(csv.DictReader(io.StringIO(out)))
    assert any(r["path"] == str(bad) for r in rows)
    out = shared.ctl("events", "export", "--kind=virus",
                     "--format=jsonl").stdout
    assert any(json.loads(line)["path"] == str(bad)
               for line in out.splitlines())


def test_config_show_get_set_check(shared, tmp_path):
    assert shared.ctl("config", "get", "ScanTimeout").stdout.strip() == "1m" \
        or "60" in shared.ctl("config", "get", "ScanTimeout").stdout
    r = shared.ctl("config", "set", "ScanTimeout", "soon", check=False)
    assert r.returncode == 2 and "ScanTimeout" in r.stderr
    r = shared.ctl("config", "set", "ScanTimeuot", "5s", check=False)
    assert r.returncode == 2 and "ScanTimeout" in r.stderr
    shared.ctl("config", "set", "ScanTimeout", "50s")
    assert "ScanTimeout" in shared.conf_file.read_text()
    shared.ctl("config", "reset", "ScanTimeout")
    f = tmp_path / "x.conf"
    f.write_text("Workers = 2\nOnError = maybe\n")
    r = shared.ctl("config", "check", f, check=False)
    assert r.returncode != 0 and ":2:" in r.stderr + r.stdout


def test_new_defaults_come_and_own_changes_stay(make_suite):
    s = make_suite()
    sample = s.ctl("config", "sample").stdout
    former = s.root / "former"
    former.write_text(sample.replace("\nVerdictTimeout = 5s\n",
                                     "\nVerdictTimeout = 9s\n"))
    s.conf_file.write_text(
        "# mine\n" + former.read_text().replace("\nScanTimeout = 1m\n",
                                               "\nScanTimeout = 2m\n"))
    out = s.ctl("config", "merge", former).stdout
    assert out == "VerdictTimeout: 5s, before 9s\n"
    assert s.conf_file.read_text() == "# mine\n" + sample.replace(
        "\nScanTimeout = 1m\n", "\nScanTimeout = 2m\n")
    assert s.ctl("config", "merge", former).stdout == ""
    s.conf_file.write_text("Broken = yes\n")
    r = s.ctl("config", "merge", former, check=False)
    assert r.returncode == 2 and "stay as they are" in r.stderr
    assert s.conf_file.read_text() == "Broken = yes\n"


def test_changes_are_audited_and_viewers_change_nothing(shared):
    shared.ctl("config", "set", "ViewerUsers", str(SCAN_USER + 9))
    shared.ctl("config", "set", "ScanTimeout", "40s")
    shared.ctl("config", "reset", "ScanTimeout")
    audit = shared.events("audit")
    assert any("ScanTimeout" in str(e) for e in audit)

    def drop():
        os.setgroups([])
        os.setresgid(SCAN_USER + 9, SCAN_USER + 9, SCAN_USER + 9)
        os.setresuid(SCAN_USER + 9, SCAN_USER + 9, SCAN_USER + 9)

    def as_viewer(*args):
        return subprocess.run([str(shared.root / "bin/splxctl"), *args],
                              preexec_fn=drop, capture_output=True)
    assert b"rotected" in as_viewer("status").stdout
    r = as_viewer("config", "set", "Interceptor", "off")
    assert r.returncode != 0 and b"admin" in r.stderr.lower()
    assert shared.health()["interceptor"] == INTERCEPTOR
    r = as_viewer("quarantine", "delete", "1")
    assert r.returncode != 0


def test_statistics_name_programs_files_and_waits(shared):
    for i in range(30):
        opens(shared.clean(f"stat-{i}.txt", b"x%d" % i))
    got = wait_for(lambda: (lambda g: g if g["top_files"] else None)(
        shared.json("statistics")), 10)
    assert got["counters"]["questions"] > 0
    assert got["wait"]["p50_ns"] > 0
    assert got["top_processes"]


def test_pattern_show(shared):
    out = shared.json("pattern", "show")
    assert out["signatures"] >= 2
    assert out["patterns"]


def test_diagnose_writes_a_bundle_without_secrets(shared):
    f = shared.root / "diag.tar.gz"
    shared.infected("diag.com", MARKER)
    shared.ctl("diagnose", f)
    assert oct(f.stat().st_mode & 0o777) == "0o600"
    with tarfile.open(f) as t:
        names = t.getnames()
        assert any("status" in n or "health" in n for n in names)
        key = (shared.root / "var/lib/splx/quarantine.key")
        secret = key.read_bytes() if key.exists() else None
        for m in t.getmembers():
            if not m.isfile():
                continue
            data = t.extractfile(m).read()
            assert MARKER not in data
            assert secret is None or secret not in data
            assert "quarantine/" not in m.name or m.size == 0


def test_help_and_completion_come_from_the_verb_table(shared):
    out = shared.ctl("help").stdout
    for noun in ("status", "scan", "quarantine", "events", "config"):
        assert noun in out
    r = shared.ctl("quarantin", "list", check=False)
    assert r.returncode == 2 and "quarantine" in r.stderr
    script = shared.ctl("completion", "bash").stdout
    assert subprocess.run(["bash", "-n"], input=script.encode()).returncode \
        == 0


def test_splxctl_says_what_to_do_when_the_service_is_down(make_suite):
    s = make_suite()
    start = time.monotonic()
    r = s.ctl("status", check=False)
    assert time.monotonic() - start < 15
    assert r.returncode != 0
    assert "start" in r.stdout + r.stderr
    r = s.ctl("quarantine", "list", check=False)
    assert r.returncode == 3 and r.stderr.strip()
