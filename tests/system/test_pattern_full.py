# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""Updates of patterns where the disk is full: in each step that writes. Which
one it is follows from how much is free, so all amounts are tried."""

import os
import subprocess

import pytest

from suite import wait_for
from test_pattern import Maker, finds, ndb, parts, update

PAGE = 4096


def text(version):
    return f"This is what version {version} finds"


class Disk:
    """A small file system for the patterns of a suite."""

    def __init__(self, s):
        self.s = s
        self.dir = s.root / "var/lib/splx/patterns"
        self.dir.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o",
                        "size=1M,nr_inodes=300,mode=755", "none",
                        str(self.dir)], check=True)
        self.hog = self.dir / "hog"

    def close(self):
        subprocess.run(["umount", "-l", str(self.dir)], check=True)

    def fill(self, pages=None, inodes=None):
        """So much stays free of the one or the other."""
        self.hog.mkdir()
        if pages is not None:
            with open(self.hog / "file", "wb") as f:
                free = os.statvfs(self.dir).f_bfree - pages
                os.posix_fallocate(f.fileno(), 0, free * PAGE)
        for i in range(os.statvfs(self.dir).f_ffree - inodes
                       if inodes is not None else 0):
            (self.hog / str(i)).touch()

    def empty(self):
        subprocess.run(["rm", "-rf", str(self.hog)], check=True)

    def half_written(self):
        names = [*self.dir.iterdir(), *(self.dir / "sets").iterdir()]
        return [str(p) for p in names
                if p.name.startswith(".") or p.name.endswith(".new")
                or ".json." in p.name]


@pytest.fixture
def disk(make_suite):
    s = make_suite(FirstAction="deny", life=600, PatternKeep="2")
    d = Disk(s)
    yield d
    s.stop()
    d.close()


@pytest.fixture
def office(disk):
    disk.s.start()
    return Maker(disk.s).trusted()


def codes(s):
    return {i["code"]: i["text"] for i in s.health()["health_issues"]}


def serves(s, version, other):
    assert parts(s)[next(p for p in parts(s))]["version"] == version
    return finds(s, text(version)) and not finds(s, text(other))


def fails(disk, r, old):
    """The old ones serve, it is told why, and nothing is left of it."""
    s = disk.s
    assert r.returncode == 2, r.stdout + r.stderr
    assert "stay as they are" in r.stderr and "No space left" in r.stderr
    assert disk.half_written() == []
    s.ctl("pattern", "verify")
    assert serves(s, old, old + 1)
    assert "No space left" in codes(s)[20034]


@pytest.mark.seconds(400)
@pytest.mark.parametrize("what", ["pages", "inodes"])
def test_on_a_full_disk_the_old_ones_stay_in_every_step(disk, office, serve,
                                                        what):
    s = disk.s
    server = serve(office.make(1, ndb(text(1))))
    update(s, server.url)
    version, went_well, why = 1, 0, ""
    for free in range(60):
        office.make(version + 1, ndb(text(version + 1)))
        disk.fill(**{what: free})
        r = update(s, server.url, check=False)
        if r.returncode:
            fails(disk, r, version)
            why += r.stderr
            went_well = 0
        else:
            # all of it: also what must not come back
            version += 1
            assert not r.stderr and serves(s, version, version - 1)
            assert 20034 not in codes(s) and disk.half_written() == []
            went_well += 1
        disk.empty()
        if not went_well and free % 5 == 4:
            update(s, server.url)
            version += 1
            assert serves(s, version, version - 1)
            assert 20034 not in codes(s) and disk.half_written() == []
        if went_well == 2:
            break
    assert went_well == 2
    # where it failed, one after the other
    for place in ("/incoming/", "/sets/.new-", "/set.json"):
        assert place in why, why
    old = s.root / "old"
    os.rename(office.dir, old)
    office.make(version - 1, ndb(text(version - 1)))
    r = update(s, server.url, check=False)
    assert r.returncode == 2 and f"older than {version}" in r.stderr


@pytest.mark.parametrize("full", [{"pages": 0}, {"inodes": 0}])
def test_on_a_full_disk_a_rollback_works_and_lasts(disk, office, full):
    """Bad patterns can be what filled it."""
    s = disk.s
    for version in (1, 2):
        update(s, office.make(version, ndb(text(version))))
    disk.fill(**full)
    s.ctl("pattern", "rollback")
    assert serves(s, 1, 2) and disk.half_written() == []
    # nor is anything left for a second time: nothing by halves
    r = s.ctl("pattern", "rollback", "2", check=False)
    assert r.returncode in (0, 2)
    assert r.returncode == 0 or "No space left" in r.stderr
    s.ctl("pattern", "verify")
    disk.empty()
    if r.returncode == 0:
        s.ctl("pattern", "rollback")
    assert serves(s, 1, 2)
    r = update(s, office.dir, check=False)
    assert r.returncode == 2 and "taken back" in r.stderr
    update(s, office.make(3, ndb(text(3))))
    wait_for(lambda: 20034 not in codes(s))
    assert serves(s, 3, 2)
