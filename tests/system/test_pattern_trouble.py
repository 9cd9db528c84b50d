# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""Updates of patterns in trouble: whoever is killed, servers that have what
nobody should take, clocks that are wrong."""

import os
import pathlib
import shutil
import signal
import subprocess
import time

import pytest

from suite import MARKER, PATIENCE, pid_stat, wait_for
from test_pattern import (TEXT, Maker, data, finds, lead_to, ndb, office,
                          parts, promise, refused, update)

assert office  # a fixture


# ---- kill -9 ----

def children(pid):
    return [int(p.name) for p in pathlib.Path("/proc").glob("[0-9]*")
            if (pid_stat(p.name) or (0, 0))[1] == pid]


def titled(s, word):
    return sorted(p for p, t in s.titles().items() if word in t)


def generations(s):
    return {p for p, t in s.titles().items() if "vsapiapp: generation" in t}


def is_over(pid):
    return (pid_stat(pid) or "Z")[0] == "Z"


def victim(s, who, step, updater, served):
    """The process, as soon as the update is at that step; `served` are the
    generations of before."""
    new = generations(s) - served
    if not {"fetch": lambda: children(updater),
            "trial": lambda: titled(s, "vsapiapp: trial"),
            "load": lambda: new,
            "after": lambda: new and is_over(updater)}[step]():
        return None
    return {"fetcher": lambda: children(updater)[0],
            "trial": lambda: titled(s, "vsapiapp: trial")[-1],
            "updater": lambda: updater,
            "new": lambda: max(new),
            "old": lambda: max(served)}.get(who, lambda: s.pid_of(who))()


@pytest.mark.parametrize("step, who", [
    ("fetch", "fetcher"), ("fetch", "updater"),
    ("trial", "trial"), ("trial", "updater"), ("trial", "core"),
    ("trial", "master"),
    ("load", "new"), ("load", "old"), ("load", "updater"), ("load", "core"),
    ("load", "master"), ("load", "supervisor"),
    ("after", "new"), ("after", "core"), ("after", "master")])
def test_whoever_is_killed_one_whole_set_stays(shared, office, serve, step,
                                               who):
    update(shared, office.make(1, ndb("First one")))
    # long enough for loading to be seen
    much = "".join(ndb(f"Padding {i}", f"Test.P{i}") for i in range(40000))
    server = serve(office.make(2, ndb(TEXT) + much),
                   lambda h: data(h) and step == "fetch" and time.sleep(3))
    served = generations(shared)
    p = subprocess.Popen([str(shared.root / "usr/sbin/splxctl"), "-R",
                          str(shared.root), "pattern", "update",
                          f"--from={server.url}"], stdout=subprocess.DEVNULL,
                         stderr=subprocess.PIPE, text=True)
    try:
        wait_for(lambda: step != "fetch" or data_was_asked_for(server))
        pid = wait_for(lambda: victim(shared, who, step, p.pid, served), 30,
                       0.001)
        mine = children(p.pid)
        if who == "updater":  # by itself none of them would end
            for child in mine:
                os.kill(child, signal.SIGSTOP)
        os.kill(pid, signal.SIGKILL)
        err = p.communicate(timeout=60 * PATIENCE)[1]
        wait_for(lambda: all(is_over(child) for child in mine))
    finally:
        p.kill()
    shared.ctl("pattern", "verify")
    version = parts(shared)[office.name]["version"]
    if step in ("fetch", "trial") and who in ("fetcher", "trial", "updater"):
        assert version == 1 and p.returncode == (
            -signal.SIGKILL if who == "updater" else 2)
    if p.returncode >= 0:
        assert version == (2 if p.returncode == 0 else 1), err
    assert p.returncode != 2 or "stay as they are" in err
    wait_for(lambda: finds(shared, MARKER.decode()), 30)
    # what is current is what serves
    wait_for(lambda: finds(shared, TEXT) == (version == 2)
             and finds(shared, "First one") == (version == 1), 30)
    office.make(3, ndb("Third one"))
    server.misbehave = lambda h: False
    update(shared, server.url)
    assert finds(shared, "Third one") and not finds(shared, TEXT)


def data_was_asked_for(server):
    return any(p.endswith(".ndb") for p, _ in server.asked)


# ---- what servers have ----

def test_a_server_with_what_nobody_should_take(shared, office, serve):
    place = shared.root / f"served-{office.name}"

    def show(directory):
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(directory, place)

    show(office.make(2, ndb(TEXT)))
    server = serve(place)
    old = shared.root / f"{office.name}-old"
    shutil.copytree(office.make(1, ndb("The old one")), old)
    update(shared, server.url)
    show(old)
    refused(shared, server.url, "older than 2")
    stranger = Maker(shared, f"stranger-{time.monotonic_ns()}")
    show(stranger.make(9, ndb("Of a stranger")))
    refused(shared, server.url, "not trusted")
    show(office.make(3, ndb("Short of breath"), valid="1s"))
    time.sleep(2)
    refused(shared, server.url, "was good until")
    show(office.make(4, ndb("The good one")))
    f = place / f"{office.name}-0.ndb"
    f.write_text(f.read_text().replace("0", "1", 1))
    refused(shared, server.url, "not what its manifest says")
    f = place / "manifest.json"
    f.write_text(f.read_text().replace('"version": 4', '"version": 5'))
    refused(shared, server.url, "changed")
    assert parts(shared)[office.name]["version"] == 2
    assert finds(shared, TEXT)


@pytest.mark.parametrize("name", ["manifest.json", "manifest.sig", ".ndb"])
def test_ten_gigabytes_are_not_taken(shared, office, serve, name):
    sent = []

    def much(handler):
        if not handler.path.endswith(name):
            return False
        promise(handler, 10 << 30)
        handler.close_connection = True
        for _ in range(10 << 14):
            handler.wfile.write(b" " * 65536)
            sent.append(65536)
        return True

    server = serve(office.make(1, ndb(TEXT)), much)
    refused(shared, server.url, "more than")
    assert sum(sent) < 64 << 20
    where = shared.root / "var/lib/splx/patterns/incoming"
    assert sum(f.stat().st_size for f in where.iterdir()) < 4 << 20
    server.misbehave = lambda h: False
    update(shared, server.url)
    assert finds(shared, TEXT)


def test_from_one_server_to_another_and_back_it_is_not_followed(
        shared, office, serve):
    other = serve(office.make(1, ndb(TEXT)))
    server = serve(office.dir, lambda h: lead_to(h, f"{other.url}{h.path}"))
    other.misbehave = lambda h: lead_to(h, f"{server.url}{h.path}")
    refused(shared, server.url, "redirect")
    assert len(server.asked) + len(other.asked) < 10


# ---- clocks ----

CLOCK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static time_t off(void) { return atol(getenv("CLOCK_OFF")); }
int clock_gettime(clockid_t id, struct timespec *ts)
{
	int (*next)(clockid_t, struct timespec *) =
		dlsym(RTLD_NEXT, "clock_gettime");
	int rc = next(id, ts);

	if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)
		ts->tv_sec += off();
	return rc;
}
time_t time(time_t *t)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	if (t)
		*t = ts.tv_sec;
	return ts.tv_sec;
}
"""
HOUR, YEAR = 3600, 365 * 86400


@pytest.fixture(scope="module")
def clock(tmp_path_factory):
    """An environment in which it is another time."""
    where = tmp_path_factory.mktemp("clock")
    (where / "clock.c").write_text(CLOCK)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", where / "clock.so",
                    where / "clock.c"], check=True)
    where.chmod(0o755)
    return lambda seconds: dict(os.environ, CLOCK_OFF=str(seconds),
                                LD_PRELOAD=str(where / "clock.so"))


def update_at(s, env, source):
    return subprocess.run([s.root / "bin/splxctl", "pattern", "update",
                           f"--from={source}"], env=env, capture_output=True,
                          text=True, timeout=60 * PATIENCE)


@pytest.mark.parametrize("off", [-YEAR, -HOUR, HOUR, YEAR])
def test_where_the_clock_is_wrong(shared, office, clock, off):
    """What is past its time by it is told, with the time; else patterns come,
    and what counts as older is their versions' matter, not the clock's."""
    old = shared.root / f"{office.name}-old"
    shutil.copytree(office.make(1, ndb("The old one"), valid="30d"), old)
    d = office.make(2, ndb(TEXT), valid="30d")
    r = update_at(shared, clock(off), d)
    if off == YEAR:
        assert r.returncode == 2 and "was good until" in r.stderr
        assert "clock" in r.stderr
        assert office.name not in parts(shared)
    else:
        assert r.returncode == 0, r.stderr
        assert ("clock right" in r.stderr) == (off == -YEAR)
        assert finds(shared, TEXT)
    # right again
    update(shared, d)
    assert finds(shared, TEXT)
    # no clock brings the old ones back
    r = update_at(shared, clock(off), old)
    assert r.returncode == 2 and finds(shared, TEXT)
    assert ("was good until" if off == YEAR else "older than 2") in r.stderr
    shared.ctl("pattern", "verify")
    assert 20035 not in [i["code"] for i in
                         shared.health()["health_issues"]]
