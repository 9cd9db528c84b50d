# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""After an update nothing known counts any more: with AfterUpdate=rescan it is
examined again without anybody opening it, with lazy when it is opened."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import threading
import time

import pytest

from suite import PATIENCE, denied, mount, opens, wait_for

pytestmark = pytest.mark.skipif(
    not shutil.which("mkfs.ext4", path="/sbin:/usr/sbin:/bin:/usr/bin"),
    reason="needs mkfs.ext4")
FILES = 300
MANY = 3000  # takes a while
LATER = "What will be found later"


def loop_disk(s, megabytes):
    """A disk that is a file, and how to be rid of it."""
    image = s.root / "disk.img"
    image.write_bytes(b"")
    os.truncate(image, megabytes << 20)
    r = subprocess.run(["losetup", "-f", "--show", image],
                       capture_output=True, text=True)
    if r.returncode:
        pytest.skip("no loop device: " + r.stderr)
    disk = r.stdout.strip()
    return disk, lambda: subprocess.run(["losetup", "-d", disk])


def fixed_disk(s, megabytes):
    """One that nobody can have taken away and changed: in memory."""
    control = pathlib.Path("/sys/class/zram-control")
    try:
        number = (control / "hot_add").read_text().strip()
    except OSError as e:
        pytest.skip(f"no zram: {e}")
    size = pathlib.Path(f"/sys/block/zram{number}/disksize")
    size.write_text(str(megabytes << 20))

    def remove():
        (control / "hot_remove").write_text(number)

    return f"/dev/zram{number}", remove


@pytest.fixture
def make_disk(make_suite):
    """A suite that protects an ext4 of its own, too: files in memory are
    never known."""
    disks = []

    def make(megabytes=64, kind=loop_disk, **settings):
        s = make_suite(**{"IgnoreMarks": "off", "ScanAtStart": "no",
                          **settings})
        place = s.root / "disk"
        place.mkdir()
        disk, remove = kind(s, megabytes)
        disks.append((s, remove, place))
        subprocess.run(["mkfs.ext4", "-q", "-F", disk], check=True)
        mount(disk, place, "ext4")
        s.disk = place
        s.write_conf(Include=[s.dir, place])
        return s.start()

    yield make
    for s, remove, place in disks:
        s.stop()
        subprocess.run(["umount", "-l", place], capture_output=True)
        remove()


def state(s):
    return json.loads((s.root / "run/splx/vsapiapp.json").read_text())


def over(s, generation):
    """What came of it behind that update."""
    st = state(s)
    r = st.get("refresh", {"running": True})
    return st["generation"] == generation and not r["running"] and r


def known_files(s, n=FILES, size=300):
    """That many files that are known clean by now."""
    made = []
    for i in range(n):
        p = s.disk / f"f{i}"
        p.write_bytes(b"innocent %d " % i + b"x" * size)
        made.append(p)
    time.sleep(0.1)
    for p in made:
        assert opens(p) == 0
    wait_for(lambda: opened_known(s, made)[0] == n)
    return made


def update(s, text=LATER):
    """Other patterns serve; returns the generation's number."""
    now = state(s)["generation"]
    f = s.root / f"later-{now}.ndb"
    f.write_text(f"Test.Later{now}:0:*:{text.encode().hex()}\n")
    s.ctl("pattern", "update", f"--from={f}")
    return now + 1


def opened_known(s, files):
    """How many of them are answered as known, and how many scans it took."""
    before = s.counters()
    for p in files:
        assert opens(p) == 0

    def counted():
        after = s.counters()
        return (after["allowedKnown"] - before["allowedKnown"],
                after["scans"] - before["scans"])

    # A worker counts when it has answered: on a busy machine that is later.
    end = time.monotonic() + 2
    while sum(counted()) < len(files) and time.monotonic() < end:
        time.sleep(0.05)
    return counted()


def test_what_was_known_is_known_again_without_anybody_opening_it(make_disk):
    s = make_disk()
    files = known_files(s)
    gen = update(s)
    r = wait_for(lambda: over(s, gen))
    assert r["left"] == 0 and r["clean"] >= len(files)
    assert s.counters()["refreshed"] >= len(files)
    assert s.json("pattern", "show")["refresh"] == r
    assert "not looked at yet" in s.ctl("pattern", "show").stdout
    time.sleep(0.1)  # what a worker still keeps for the master
    assert opened_known(s, files) == (len(files), 0)


def test_lazy_leaves_it_to_who_opens_it(make_disk):
    s = make_disk(AfterUpdate="lazy")
    files = known_files(s, 50)
    update(s)
    time.sleep(2)
    assert s.counters()["refreshed"] == 0 and "refresh" not in state(s)
    assert opened_known(s, files) == (0, len(files))


def test_what_newer_patterns_find_is_acted_upon(make_disk):
    """It was known clean, nobody opens it."""
    s = make_disk(FirstAction="quarantine")
    bad = s.disk / "bad"
    bad.write_bytes(b"yy " + LATER.encode())
    files = known_files(s, 50)
    wait_for(lambda: opened_known(s, [bad])[0])
    update(s)
    event, = wait_for(lambda: [e for e in s.events()
                               if e["path"] == str(bad)])
    assert event["source"] == "refresh" and event["severity"] == "high"
    assert event["action"] == "quarantine"
    wait_for(lambda: not bad.exists())
    assert all(p.exists() for p in files)


def test_what_runs_comes_first_and_is_ended(make_disk):
    """The last that was used, but for one that runs."""
    s = make_disk(FirstAction="deny")
    prog = s.disk / "prog"
    shutil.copy("/bin/sleep", prog)
    with open(prog, "ab") as f:
        f.write(LATER.encode())
    time.sleep(0.1)
    run = subprocess.Popen([prog, "600"])
    wait_for(lambda: opened_known(s, [prog])[0])
    known_files(s, 50)
    update(s)
    assert run.wait(30 * PATIENCE) == -signal.SIGKILL
    event = wait_for(lambda: [e for e in s.events()
                              if e["path"] == str(prog)])[-1]
    assert event["source"] == "refresh"


def test_renamed_replaced_and_deleted_files(make_disk):
    """By its handle a file is found whatever it is called; what has another
    content now, or another file of that name, is nothing that was known."""
    s = make_disk(FirstAction="quarantine")
    files = known_files(s, 40)
    bad = s.disk / "bad"
    bad.write_bytes(b"yy " + LATER.encode())
    wait_for(lambda: opened_known(s, [bad])[0])
    bad.rename(s.disk / "moved")
    for p in files[:10]:
        p.unlink()
    for p in files[10:20]:
        new = s.disk / "new"
        new.write_bytes(b"another one")
        new.rename(p)
    for p in files[20:30]:
        os.rename(p, f"{p}.moved")
    gen = update(s)
    r = wait_for(lambda: over(s, gen))
    assert r["left"] == 0 and r["found"] == 1
    wait_for(lambda: not (s.disk / "moved").exists())
    time.sleep(0.1)
    moved = [f"{p}.moved" for p in files[20:30]]
    assert opened_known(s, moved + files[30:]) == (20, 0)
    assert opened_known(s, files[10:20])[0] < 10


def slow_file(s, megabytes):
    """One that is known clean and takes a while, the last that was used."""
    p = s.disk / "slow"
    time.sleep(1.1)  # the time of use is one of seconds
    p.write_bytes(os.urandom(1 << 20) * megabytes)
    time.sleep(0.1)
    wait_for(lambda: opened_known(s, [p])[0])


def hold(s, text=LATER, megabytes=20, workers=False):
    """An update whose refresh stands still in the midst of it, at its first
    file, and with `workers` the back workers, too, one of them in a scan: the
    generation's number, and the pid."""
    slow_file(s, megabytes)
    master = s.pid_of("master")
    children = pathlib.Path(f"/proc/{master}/task/{master}/children")

    def caught():
        for pid in children.read_text().split():
            if ": refresh" in s.titles().get(int(pid), ""):
                time.sleep(0.1 if workers else 0)
                os.kill(int(pid), signal.SIGSTOP)
                for p in s.workers("back") if workers else []:
                    os.kill(p, signal.SIGSTOP)
                return int(pid)
        return None

    gen = []
    other = threading.Thread(target=lambda: gen.append(update(s, text)))
    other.start()
    pid = wait_for(caught, 30, step=0.001)
    other.join()
    wait_for(lambda: state(s)["refresh"].get("total"))
    r = state(s)["refresh"]
    assert r["running"] and r["left"] > 100
    return gen[0], pid


def test_openers_do_not_wait_for_it(make_disk):
    """Only back workers are taken for it: though all of them stand still, one
    in the midst of a scan, an open is answered at once."""
    s = make_disk(megabytes=256)
    files = known_files(s, MANY)
    _, pid = hold(s, megabytes=150, workers=True)
    os.kill(pid, signal.SIGCONT)
    left = state(s)["refresh"]["left"]
    time.sleep(1.5)
    assert state(s)["refresh"]["left"] == left
    for p in files[-20:]:
        began = time.monotonic()
        assert opens(p) == 0
        assert time.monotonic() - began < 0.5 * PATIENCE
    for p in s.workers("back"):
        os.kill(p, signal.SIGCONT)


def test_a_stop_does_not_wait_for_it(make_disk):
    s = make_disk()
    known_files(s, MANY)
    hold(s)
    began = time.monotonic()
    assert s.stop() == 0
    assert time.monotonic() - began < 5 * PATIENCE
    assert not s.processes()


def test_the_next_update_begins_anew(make_disk):
    """What the first one left is left to the second, and nothing is known by
    the first one's word."""
    s = make_disk()
    files = known_files(s, MANY)
    hold(s)
    gen = update(s, text="Something else")
    r = wait_for(lambda: over(s, gen))
    assert r["left"] == 0 and r["clean"] >= len(files)
    time.sleep(0.1)
    assert opened_known(s, files) == (len(files), 0)
    assert "vsapiapp: refresh" not in s.titles().values()


def test_what_is_mounted_elsewhere_costs_no_verdict(make_disk):
    """Of what was mounted nothing is known any more; of the rest it is, also
    while it is being examined."""
    s = make_disk()
    files = known_files(s)
    places = [s.dir / f"other-{i}" for i in range(4)]
    for p in places:
        p.mkdir()
    over_now = threading.Event()

    def mounts():
        while not over_now.is_set():
            for p in places:
                mount("none", p, "tmpfs")
                time.sleep(0.02)
            for p in places:
                subprocess.run(["umount", p], check=True)

    other = threading.Thread(target=mounts)
    other.start()
    try:
        for i in range(3):
            gen = update(s, text=f"Something else {i}")
            r = wait_for(lambda: over(s, gen), 30)
            assert r["left"] == 0 and r["clean"] >= len(files)
            time.sleep(0.1)
            assert opened_known(s, files) == (len(files), 0)
    finally:
        over_now.set()
        other.join()


def test_killed_it_is_told_and_tried_again(make_disk):
    s = make_disk()
    files = known_files(s, MANY)
    gen, pid = hold(s)
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: "are not examined now" in s.output())
    wait_for(lambda: over(s, gen), 60)
    time.sleep(0.1)
    assert opened_known(s, files) == (len(files), 0)


def test_after_a_restart_a_disk_that_was_elsewhere_is_asked_about(make_disk):
    """A disk that is a file may have come back changed: what was known of it,
    and what waited to be examined again, is dropped, and it is no leave to
    open anything."""
    s = make_disk(FirstAction="deny")
    bad = s.disk / "bad"
    bad.write_bytes(b"yy " + LATER.encode())
    time.sleep(0.1)
    wait_for(lambda: opened_known(s, [bad])[0])
    files = known_files(s, MANY)
    hold(s)
    assert s.stop() == 0
    assert (s.root / "var/lib/splx/verdicts").stat().st_size > MANY * 50
    s.start()
    # What stands there first is of the one that was stopped.
    wait_for(lambda: (over(s, state(s)["generation"]) or {})
             .get("total") == 0)
    assert state(s)["refresh"]["clean"] == 0
    assert denied(bad)
    assert opened_known(s, files[:50]) == (0, 50)


def test_after_a_restart_what_was_left_is_gone_on_with(make_disk):
    s = make_disk(kind=fixed_disk, FirstAction="deny")
    bad = s.disk / "bad"
    bad.write_bytes(b"yy " + LATER.encode())
    time.sleep(0.1)
    wait_for(lambda: opened_known(s, [bad])[0])
    files = known_files(s, MANY)
    hold(s)
    assert s.stop() == 0
    s.start()
    r = wait_for(lambda: over(s, 1), 60)
    assert r["total"] > MANY - 100 and r["left"] == 0
    time.sleep(0.1)
    assert opened_known(s, files) == (len(files), 0)
    event = wait_for(lambda: [e for e in s.events()
                              if e["path"] == str(bad)])[-1]
    assert event["source"] == "refresh" and denied(bad)


def test_killed_all_at_once_in_the_midst_of_it_nothing_passes(make_disk):
    s = make_disk(FirstAction="deny")
    bad = s.disk / "bad"
    bad.write_bytes(b"yy " + LATER.encode())
    time.sleep(0.1)
    wait_for(lambda: opened_known(s, [bad])[0])
    known_files(s, MANY)
    hold(s)
    master = s.pid_of("master")
    for pid in [master, s.pid_of("generation"), *s.workers("front"),
                *s.workers("back")]:
        # one may have gone with another already
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_for(lambda: s.pid_of("master") not in (None, master), 20)
    s.wait_ready()
    assert denied(bad)
    assert "vsapiapp: refresh" not in s.titles().values()


def test_an_excluded_file_is_left_alone(make_disk):
    s = make_disk(FirstAction="quarantine")
    bad = s.disk / "sub" / "bad"
    bad.parent.mkdir()
    bad.write_bytes(b"yy " + LATER.encode())
    files = known_files(s, 20)
    wait_for(lambda: opened_known(s, [bad])[0])
    gen = update(s, text="Something else")
    wait_for(lambda: over(s, gen))
    s.ctl("config", "set", "ExcludeDirectory", bad.parent)
    gen = update(s)
    wait_for(lambda: over(s, gen))
    time.sleep(0.1)
    assert opened_known(s, files) == (len(files), 0)
    assert bad.exists()
    assert not [e for e in s.events() if e["path"] == str(bad)]


def test_where_nothing_is_known_nothing_is_done(make_disk):
    s = make_disk(KnownClean="off")
    update(s)
    time.sleep(1)
    assert s.counters()["refreshed"] == 0


def test_nothing_passes_by_the_word_of_former_patterns(make_disk):
    """While what was known waits for its turn, its opening is a question."""
    s = make_disk(FirstAction="deny")
    bad = s.disk / "bad"
    bad.write_bytes(b"yy " + LATER.encode())
    time.sleep(0.1)
    wait_for(lambda: opened_known(s, [bad])[0])
    known_files(s, MANY)  # used later, so examined earlier
    hold(s)
    assert denied(bad)
