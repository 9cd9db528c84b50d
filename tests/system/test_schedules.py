# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""Scheduled scans: set, in the crontab, run, gone on with, missed, reported."""

import ctypes
import os
import pathlib
import signal
import subprocess
import time

import pytest

from suite import EICAR, denied, wait_for
from test_scans import begin, ended, job, jobs, live_job, tree


@pytest.fixture(scope="module")
def sched(shared_suite):
    (shared_suite.root / "etc/cron.d").mkdir(exist_ok=True)
    shared_suite.ctl("config", "set", "ScanDelay", "0ms")
    return shared_suite


def run(suite, *args):
    return suite.ctl("scan", "run", *args, check=False, seconds=300)


def run_in_background(suite, name, *args):
    return subprocess.Popen(
        [str(suite.root / "bin/splxctl"), "scan", "run", name, *args],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT)


def crontab(suite):
    return (suite.root / "etc/cron.d/splx").read_text()


def last(suite, name):
    return [j for j in jobs(suite) if j["name"] == name][0]


def test_a_schedule_is_set_shown_in_the_crontab_and_removed(sched):
    conf = sched.root / "etc/splx/scans.conf"
    before = conf.read_text()
    sched.ctl("schedule", "set", "nightly", "When=30 1 * * 1-5",
              f"Paths={sched.root}", "MaxTime=6h")
    assert conf.read_text().startswith(before)
    assert "\n30 1 * * 1-5 root [ -x /usr/sbin/splxctl ] && " \
        "/usr/sbin/splxctl scan run nightly --cron\n" in crontab(sched)
    out = sched.ctl("schedule", "show", "nightly").stdout
    assert "MaxTime = 21600s" in out and "When = 30 1 * * 1-5" in out
    out = sched.ctl("schedule", "list").stdout
    assert "nightly" in out and "weekly" in out  # the sample's, which is off
    assert "run weekly" not in crontab(sched)
    sched.ctl("schedule", "set", "nightly", "When=off")
    assert "nightly" not in crontab(sched)
    sched.ctl("schedule", "remove", "nightly")
    assert conf.read_text().strip() == before.strip()
    r = sched.ctl("schedule", "show", "nightly", check=False)
    assert r.returncode == 2 and "no schedule nightly" in r.stderr


def test_what_makes_no_sense_is_refused_and_changes_nothing(sched):
    conf = sched.root / "etc/splx/scans.conf"
    before = conf.read_text()
    for args, said in ((["x", "When=noon", "Paths=/"], "five fields"),
                       (["x", "Paths=a"], "full paths"),
                       (["x", "When=daily"], "has no Paths"),
                       (["x;y", "Paths=/"], "a name is"),
                       (["x", "Pats=/"], "did you mean Paths"),
                       (["x", "Paths"], "Key=value")):
        r = sched.ctl("schedule", "set", *args, check=False)
        assert r.returncode == 2 and said in r.stderr, r.stderr
    assert conf.read_text() == before


def test_a_bad_entry_voids_itself_and_health_says_so(sched):
    conf = sched.root / "etc/splx/scans.conf"
    before = conf.read_text()
    conf.write_text(before + "\n[good]\nWhen = daily\nPaths = /\n"
                    "[bad]\nWhen = daily\nPats = /\n")
    sched.ctl("config", "reload")
    assert "run good" in crontab(sched) and "run bad" not in crontab(sched)
    issue = [i for i in sched.health()["health_issues"]
             if i["name"] == "scheduleEntry"]
    assert issue and "did you mean Paths" in issue[0]["text"]
    r = sched.ctl("schedule", "list")
    assert "did you mean Paths" in r.stderr and "good" in r.stdout
    assert run(sched, "bad").returncode == 2
    conf.write_text(before)
    sched.ctl("config", "reload")
    assert not [i for i in sched.health()["health_issues"]
                if i["name"] == "scheduleEntry"]


def test_a_run_does_what_the_schedule_says(sched):
    d = sched.root / "does"
    (d / "out/deep").mkdir(parents=True)
    (d / "out/deep/bad.com").write_bytes(EICAR)
    (d / "bad.com").write_bytes(EICAR)
    sched.ctl("schedule", "set", "does", f"Paths={d}", f"Exclude={d}/out",
              "FirstAction=delete", "Priority=low")
    r = run(sched, "does")
    assert r.returncode == 1 and f"{d}/bad.com" in r.stdout
    wait_for(lambda: not (d / "bad.com").exists(), 10)
    assert (d / "out/deep/bad.com").exists()
    j = last(sched, "does")
    assert (j["state"], j["source"], j["infected"]) == ("done", "scheduled", 1)
    found = wait_for(lambda: sched.json("scan", "show", j["id"])["findings"])
    assert found[0]["source"] == "scheduled"
    # By cron nothing is said when all is well.
    r = run(sched, "does", "--cron")
    assert (r.returncode, r.stdout, r.stderr) == (0, "", "")
    assert run(sched, "nothing").returncode == 2


def test_runs_of_one_schedule_never_overlap(sched):
    d = tree(sched, "overlap")
    sched.ctl("schedule", "set", "overlap", f"Paths={d}")
    p = run_in_background(sched, "overlap")
    j = live_job(sched, d)
    r = run(sched, "overlap")
    assert r.returncode == 2 and f"runs, as job {j['id']}" in r.stderr
    r = run(sched, "overlap", "--cron")
    assert (r.returncode, r.stdout, r.stderr) == (0, "", "")
    assert sched.ctl("scan", "start", "--schedule=overlap",
                     check=False).returncode == 2
    sched.ctl("scan", "cancel", j["id"])
    assert p.wait(60) == 2
    # What was cancelled is not gone on with.
    number = sched.json("scan", "start", "--schedule=overlap")["id"]
    assert number != j["id"]
    sched.ctl("scan", "cancel", number)
    assert ended(sched, number)["state"] == "cancelled"


def test_after_maxtime_the_next_run_goes_on_until_all_is_done(sched):
    d = tree(sched, "maxtime", files=100)
    (d / "d3/bad.com").write_bytes(EICAR)
    time.sleep(4)  # what has just changed is scanned again
    sched.ctl("schedule", "set", "maxtime", f"Paths={d}", "MaxTime=2s")
    numbers = set()
    for n in range(60):
        r = run(sched, "maxtime", "--cron")
        j = last(sched, "maxtime")
        numbers.add(j["id"])
        if j["state"] == "done":
            break
        assert (j["state"], j["reason"]) == ("interrupted",
                                             "MaxTime is over"), r.stderr
    assert j["state"] == "done" and j["runs"] == n + 1 > 1
    assert len(numbers) == 1 and j["infected"] >= 1
    # Each run may look once more at the file it stopped at.
    assert 101 <= j["files"] <= 101 + n
    # With Resume = no each begins anew.
    sched.ctl("schedule", "set", "maxtime", "Resume=no", "All=yes",
              "MaxTime=1s")
    run(sched, "maxtime", "--cron")
    first = last(sched, "maxtime")
    assert first["state"] == "interrupted"
    run(sched, "maxtime", "--cron")
    second = last(sched, "maxtime")
    assert second["id"] != first["id"] and second["runs"] == 1


def test_killed_again_and_again_no_file_is_left_out(make_suite):
    s = make_suite(FirstAction="deny", ScanDelay="0ms").start()
    d = tree(s, "all", files=150, size=12 << 20)
    for i, f in enumerate(sorted(d.rglob("f*"))):
        if i % 5 == 0:
            f.write_bytes(EICAR + b"\n" * (i % 7))
    bad = {str(f) for i, f in enumerate(sorted(d.rglob("f*"))) if i % 5 == 0}
    s.ctl("schedule", "set", "all", f"Paths={d}", "All=yes")
    time.sleep(4)
    for n in range(12):
        p = run_in_background(s, "all")
        live = wait_for(lambda: jobs(s, "--live")
                        or p.poll() is not None, 20)
        time.sleep(0.3 + 0.2 * n)
        if p.poll() is not None:
            break
        os.kill(live[0]["pid"], signal.SIGKILL)
        p.wait(10)
        wait_for(lambda: not jobs(s, "--live"), 10)
    if p.poll() != 1:
        assert run(s, "all").returncode in (0, 1)
    j = last(s, "all")
    assert j["state"] == "done" and j["runs"] > 2 and j["files"] >= 150
    found = wait_for(lambda: (lambda got: got if got == bad else None)(
        {f["path"] for f in s.json("scan", "show", j["id"])["findings"]}), 20)
    assert found == bad


def test_a_missed_run_is_made_up_for_and_only_then(make_suite):
    s = make_suite(FirstAction="deny", ScanDelay="0ms")
    for name in ("made-up", "skipped", "fresh"):
        (s.root / name).mkdir()
    conf = s.root / "etc/splx/scans.conf"
    conf.write_text("".join(
        f"[{name}]\nWhen = 0 0 * * *\nPaths = {s.root}/{name}\n"
        f"Missed = {missed}\n" for name, missed in
        (("made-up", "run"), ("skipped", "skip"))))
    old = time.time() - 3 * 86400
    os.utime(conf, (old, old))
    s.start()
    wait_for(lambda: [j for j in jobs(s) if j["name"] == "made-up"
                      and j["state"] == "done"], 60)
    assert [j["name"] for j in jobs(s)] == ["made-up"]


def test_by_cron_a_stopped_suite_is_no_trouble(make_suite):
    s = make_suite(FirstAction="deny", ScanDelay="0ms").start()
    s.ctl("schedule", "set", "x", f"Paths={s.dir}")
    s.stop()
    r = run(s, "x", "--cron")
    assert (r.returncode, r.stdout, r.stderr) == (0, "", "")
    r = run(s, "x")
    assert r.returncode == 2 and r.stderr


def reports(d):
    return sorted(d.glob("*.txt"))


def test_a_run_leaves_a_report_in_a_directory_and_old_ones_go(sched):
    d = sched.root / "reported"
    d.mkdir()
    (d / "bad.com").write_bytes(EICAR)
    out = sched.root / "var/reports"
    sched.ctl("schedule", "set", "rep", f"Paths={d}", f"Report={out}")
    r = run(sched, "rep", "--cron")
    assert (r.returncode, r.stdout, r.stderr) == (1, "", "")
    assert len(reports(out)) == 1
    text = reports(out)[0].read_text()
    assert "scan rep done, 1 infected" in text and str(d / "bad.com") in text
    assert reports(out)[0].stat().st_mode & 0o777 == 0o640
    for i in range(70):
        (out / f"rep-20200101-0000{i:02}.txt").write_text("old")
    (out / "other-20200101-000000.txt").write_text("not ours")
    (out / "rep-notes.txt").write_text("not ours")
    time.sleep(1)
    run(sched, "rep", "--cron")
    assert len(list(out.glob("rep-2*.txt"))) == 60
    assert (out / "other-20200101-000000.txt").exists()
    assert (out / "rep-notes.txt").exists()
    assert not (out / "rep-20200101-000000.txt").exists()


def test_a_report_goes_by_mail_and_it_is_told_when_it_cannot(sched):
    d = sched.root / "mailed"
    d.mkdir()
    (d / "bad.com").write_bytes(EICAR)
    sched.ctl("schedule", "set", "post", f"Paths={d}",
              "Report=mail:root@example.org")
    r = run(sched, "post", "--cron")
    assert "there is no" in r.stderr and "sendmail" in r.stderr
    issue = wait_for(lambda: [i for i in sched.health()["health_issues"]
                              if i["name"] == "reportFailed"])
    assert "sendmail" in issue[0]["text"]
    fake = sched.root / "usr/sbin/sendmail"
    sent = sched.root / "sent"
    fake.write_text(f"#!/bin/sh\n{{ echo \"$@\"; cat; }} >{sent}\n")
    fake.chmod(0o755)
    r = run(sched, "post", "--cron")
    assert (r.returncode, r.stderr) == (1, "")
    text = sent.read_text()
    assert text.startswith("-i -t\nTo: root@example.org\nSubject: splx on ")
    head, body = text.split("\n\n", 1)
    assert "scan post done, 1 infected" in head
    assert str(d / "bad.com") in body
    wait_for(lambda: not [i for i in sched.health()["health_issues"]
                          if i["name"] == "reportFailed"])
    fake.write_text("#!/bin/sh\nexit 75\n")
    r = run(sched, "post")
    assert "status 75" in r.stderr
    fake.unlink()


def low_worker(suite):
    got = suite.workers("low")
    return got[0] if got else None


IDLE_CLASS = 3 << 13  # ioprio_get(2)
IOPRIO_GET = {"x86_64": 252, "aarch64": 31}[os.uname().machine]


def disk_priority(pid):
    return ctypes.CDLL(None).syscall(IOPRIO_GET, 1, pid)


def autogroup(pid):
    """The nice value of its session; None where the kernel has none."""
    try:
        text = pathlib.Path(f"/proc/{pid}/autogroup").read_text()
    except FileNotFoundError:
        return None
    return int(text.split()[-1])


def test_at_low_priority_one_file_is_under_way_at_a_time(sched):
    d = tree(sched, "low", files=60)
    sched.ctl("schedule", "set", "low", f"Paths={d}", "Priority=low")
    p = run_in_background(sched, "low")
    j = live_job(sched, d)
    assert os.getpriority(os.PRIO_PROCESS, j["pid"]) == 19
    sched.ctl("scan", "pause", j["id"])
    wait_for(lambda: job(sched, j["id"])["state"] == "paused", 5)
    at = job(sched, j["id"])["files"]
    time.sleep(4)
    assert job(sched, j["id"])["files"] - at <= 1
    sched.ctl("scan", "cancel", j["id"])
    assert p.wait(60) == 2


def test_at_low_priority_a_worker_of_its_own_scans_and_it_alone(sched):
    """It has what others leave of CPU and disks, and nobody else does."""
    d = tree(sched, "own", files=200)
    sched.ctl("schedule", "set", "own", f"Paths={d}", "Priority=low")
    before = autogroup(sched.pid_of("master"))
    wait_for(lambda: not low_worker(sched), 30)
    p = run_in_background(sched, "own")
    j = live_job(sched, d)
    low = low_worker(sched)
    assert os.sched_getscheduler(low) == os.SCHED_IDLE
    assert disk_priority(low) == IDLE_CLASS
    assert os.getsid(low) == low and autogroup(low) in (19, None)
    for pid in sched.workers("front") + sched.workers("back"):
        assert os.sched_getscheduler(pid) == os.SCHED_OTHER
        assert os.getpriority(os.PRIO_PROCESS, pid) < 19
        assert disk_priority(pid) != IDLE_CLASS
        assert autogroup(pid) == before
    # While it stands still, everybody else is served.
    os.kill(low, signal.SIGSTOP)
    try:
        at = job(sched, j["id"])["files"]
        bad = sched.infected("seen.com")
        assert denied(bad)
        other = sched.root / "other"
        other.mkdir()
        (other / "bad.com").write_bytes(EICAR)
        assert begin(sched, other).wait(60) == 1
        time.sleep(2)
        assert job(sched, j["id"])["files"] <= at + 2
    finally:
        os.kill(low, signal.SIGCONT)
    # When it dies the one file is an error, and the scan goes on.
    os.kill(low, signal.SIGKILL)
    wait_for(lambda: low_worker(sched) not in (None, low), 20)
    again = low_worker(sched)
    wait_for(lambda: os.sched_getscheduler(again) == os.SCHED_IDLE)
    # (On a busy machine it has next to nothing: that is its place.)
    at = job(sched, j["id"])["files"]
    wait_for(lambda: job(sched, j["id"])["files"] > at + 1, 120)
    assert job(sched, j["id"])["errors"] <= 1
    sched.ctl("scan", "cancel", j["id"])
    assert p.wait(60) == 2
    # And when nobody needs it, it goes.
    wait_for(lambda: not low_worker(sched), 30)
