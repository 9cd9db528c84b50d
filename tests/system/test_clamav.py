# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""ClamAV's own databases, from a private mirror: they come, by differences
where that can be, and nothing comes in that ClamAV did not sign as it is."""

import json
import os
import shutil
import signal
import subprocess
import time

import pytest

import clamavfiles
from clamavfiles import cld, database, difference, field, flipped, members
from suite import MARKER, PATIENCE, SCAN_USER, denied, wait_for

# Of test.hdb, from version 3 on: a file with this MD5 is found.
PART = "clamav-test"


@pytest.fixture(scope="module", autouse=True)
def have_files():
    try:
        clamavfiles.files()
    except clamavfiles.Unavailable as e:
        pytest.skip(f"ClamAV's test databases cannot be had: {e}")


class Mirror:
    """A directory with databases, and the server that shows it."""

    def __init__(self, serve, root):
        self.dir = root / f"mirror-{time.monotonic_ns()}"
        self.dir.mkdir()
        self.server = serve(self.dir)
        self.source = f"clamav:{self.server.url}"

    def put(self, name, data):
        (self.dir / name).write_bytes(data)

    def has(self, version, differences=True, name="test"):
        """It is at that version."""
        for f in self.dir.iterdir():
            f.unlink()
        self.put(f"{name}.cvd", database(version))
        for v in range(2, version + 1) if differences else ():
            self.put(f"{name}-{v}.cdiff", difference(v))
        return self

    def asked(self):
        """What was asked for since the last time, but for headers."""
        paths = [p for p, r in self.server.asked if r is None]
        self.server.asked.clear()
        return [p.lstrip("/") for p in paths]


@pytest.fixture
def clean(shared):
    """No database is installed, and none is remembered."""
    if 'ClamavDatabases = {"test"}' not in shared.conf_file.read_text():
        shared.ctl("config", "set", "ClamavDatabases", "test")
    yield shared
    for p in [p for p in parts(shared) if p.startswith("clamav-")]:
        shared.ctl("pattern", "remove", p)
    for key in ("PatternTimeout", "PatternSource", "PatternProxy"):
        if f"\n{key} = " in shared.conf_file.read_text():
            shared.ctl("config", "reset", key)
    where = shared.root / "var/lib/splx/patterns"
    for f in ("state.json", "clamav.json"):
        (where / f).unlink(missing_ok=True)
    subprocess.run(["rm", "-rf", where / "incoming-clamav"], check=True)


@pytest.fixture
def mirror(clean, serve):
    return Mirror(serve, clean.root)


def parts(s):
    return {p["part"]: p for p in s.json("pattern", "list") if p["current"]}


def version(s):
    return parts(s).get(PART, {}).get("version", 0)


def update(s, source, *more, **how):
    how.setdefault("seconds", 60 * PATIENCE)
    return s.ctl("pattern", "update", f"--from={source}", *more, **how)


def refused(s, source, *words):
    before = version(s)
    r = update(s, source, check=False)
    assert r.returncode == 2, r.stdout + r.stderr
    assert "stay as they are" in r.stderr
    for w in words:
        assert w in r.stderr, r.stderr
    assert version(s) == before
    return r.stderr


def issues(s):
    return [i["code"] for i in s.health()["health_issues"]]


def signatures(s):
    return s.json("pattern", "show")["signatures"]


# ---- they come ----

def test_they_come_whole_and_then_by_differences(clean, mirror):
    alone = signatures(clean)
    r = update(clean, mirror.has(3).source)
    assert "serves" in r.stdout and "days old" in r.stderr
    assert mirror.asked() == ["test.cvd"]
    p = parts(clean)[PART]
    assert p["version"] == 3 and p["signed_by"] == "ClamAV"
    assert p["origin"] == mirror.source
    assert p["time"] == 1624408809 * 10**9
    assert signatures(clean) == alone + 7
    assert "up to date" in update(clean, mirror.source).stdout
    assert mirror.asked() == []
    update(clean, mirror.has(5).source)
    assert mirror.asked() == ["test-4.cdiff", "test-5.cdiff"]
    assert version(clean) == 5 and signatures(clean) == alone + 9
    update(clean, mirror.has(6).source)
    assert mirror.asked() == ["test-6.cdiff"]
    assert version(clean) == 6
    r = clean.ctl("pattern", "verify")
    assert "signed by ClamAV" in r.stdout
    assert denied(clean.clean("marker.txt", MARKER))


def test_what_is_fetched_is_never_another_ones(clean, mirror):
    """What is installed is root's; the copies that are fetched are not."""
    update(clean, mirror.has(3).source)
    where = clean.root / "var/lib/splx/patterns"
    (f,) = (where / "current" / PART).glob("test.*")
    assert f.stat().st_uid == 0 and f.stat().st_mode & 0o022 == 0
    incoming = where / "incoming-clamav"
    assert incoming.stat().st_uid == SCAN_USER
    # what somebody puts there leads nowhere, and is no database
    for name in ("test.cvd", "test.cld"):
        (incoming / name).unlink(missing_ok=True)
        (incoming / name).symlink_to(clean.root / "etc/splx/splx.conf")
    update(clean, mirror.has(4).source)
    assert version(clean) == 4
    assert "ClamavDatabases" in (clean.root / "etc/splx/splx.conf").read_text()


def test_check_asks_for_versions_alone(clean, mirror):
    r = clean.ctl("pattern", "check", f"--from={mirror.has(3).source}",
                  check=False)
    assert r.returncode == 1 and "newer" in r.stdout
    assert version(clean) == 0 and mirror.asked() == []
    update(clean, mirror.source)
    r = clean.ctl("pattern", "check", f"--from={mirror.source}")
    assert r.returncode == 0


@pytest.mark.parametrize("behind", [1, 2])
def test_without_differences_the_whole_comes(clean, mirror, behind):
    update(clean, mirror.has(3).source)
    mirror.asked()
    update(clean, mirror.has(3 + behind, differences=False).source)
    assert version(clean) == 3 + behind
    assert mirror.asked()[-1] == "test.cvd"


@pytest.mark.parametrize("damage", [
    lambda d: flipped(d, 30), lambda d: flipped(d, len(d) // 2),
    lambda d: flipped(d, len(d) - 20), lambda d: d[:100], lambda d: b"",
    lambda d: os.urandom(500), lambda d: d.rpartition(b":")[0],
], ids=["head", "body", "signature", "short", "empty", "garbage", "unsigned"])
def test_a_difference_that_is_not_signed_as_it_is_is_not_used(
        clean, mirror, damage):
    update(clean, mirror.has(3).source)
    mirror.has(4).put("test-4.cdiff", damage(difference(4)))
    mirror.asked()
    update(clean, mirror.source)
    assert mirror.asked() == ["test-4.cdiff", "test.cvd"]
    assert version(clean) == 4
    assert list((clean.root / "var/lib/splx/patterns/current" / PART).glob(
        "*.cvd"))


def test_a_mirror_may_have_them_with_the_differences_put_in(clean, mirror):
    data = database(5)
    mirror.put("test.cld", cld(data, members(data), packed=True))
    update(clean, mirror.source)
    assert version(clean) == 5
    assert "test.cvd" not in mirror.asked()


def test_those_that_are_not_listed_go(clean, mirror):
    update(clean, mirror.has(3).source)
    # as if another had been in the list once
    now = (clean.root / "var/lib/splx/patterns/current").resolve()
    shutil.copytree(now / PART, now / "clamav-old")
    for f in (now / "clamav-old/manifest.json", now / "set.json"):
        o = json.loads(f.read_text())
        if "parts" in o:
            o["parts"].append(dict(o["parts"][0], name="clamav-old"))
        else:
            o["name"] = "clamav-old"
        f.write_text(json.dumps(o))
    assert {PART, "clamav-old"} <= set(parts(clean))
    # while one cannot be had they stay
    clean.ctl("config", "set", "ClamavDatabases", "other")
    refused(clean, mirror.source, "other", "404")
    assert {PART, "clamav-old"} <= set(parts(clean))
    clean.ctl("config", "set", "ClamavDatabases", "test")
    r = update(clean, mirror.source)
    assert "clamav-old is not in ClamavDatabases" in r.stdout
    assert PART in parts(clean) and "clamav-old" not in parts(clean)
    clean.ctl("config", "set", "ClamavDatabases", "../test")
    refused(clean, mirror.source, "ClamavDatabases", "no name")


def test_what_can_be_had_comes_though_another_cannot(clean, mirror):
    clean.ctl("config", "set", "ClamavDatabases",
              '{"other", "test"}')
    r = update(clean, mirror.has(3).source, check=False)
    assert r.returncode == 2 and "other" in r.stderr and "404" in r.stderr
    assert version(clean) == 3
    assert 20034 in issues(clean)


def test_the_source_of_the_settings_and_a_proxy(clean, mirror):
    """The proxy alone knows the mirror."""
    def proxy(handler):
        place = "http://mirror.example/clam/"
        assert handler.path.startswith(place), handler.path
        handler.path = handler.path[len(place) - 1:]
        return False

    mirror.has(3).server.misbehave = proxy
    clean.ctl("config", "set", "PatternSource",
              "clamav:http://mirror.example/clam/")
    clean.ctl("config", "set", "PatternProxy", mirror.server.url)
    clean.ctl("pattern", "update")
    assert version(clean) == 3
    clean.ctl("config", "set", "PatternProxy", "none")
    r = clean.ctl("pattern", "update", check=False)
    assert r.returncode == 2 and "mirror.example" in r.stderr


def test_a_source_is_named_rightly(clean):
    refused(clean, "clamav:ftp://mirror.example", "clamav:https://")
    refused(clean, "clamav:", "clamav:https://")


# ---- what ClamAV did not sign as it is does not come in ----

def header(n):
    return lambda d: flipped(d, field(d, n))


BAD = {
    "version": header(2), "signatures": header(3), "level": header(4),
    "md5": header(5), "signature": lambda d: flipped(d, field(d, 6) + 5),
    "seconds": header(8), "begin": lambda d: flipped(d, 520),
    "middle": lambda d: flipped(d, len(d) // 2),
    "end": lambda d: flipped(d, len(d) - 1),
    "short": lambda d: d[:-100], "longer": lambda d: d + b"x",
    "head alone": lambda d: d[:512], "garbage": lambda d: os.urandom(9000),
}


@pytest.mark.parametrize("how", BAD)
def test_a_changed_database_does_not_come_in(clean, mirror, how):
    mirror.put("test.cvd", BAD[how](database(5)))
    refused(clean, mirror.source, "test")
    assert not scanner(clean, "test.cvd", BAD[how](database(5)))["ok"]


def scanner(s, name, data):
    """What the check that root believes says of a file."""
    where = s.root / "var/lib/splx/patterns/probe"
    where.mkdir(exist_ok=True)
    (where / name).write_bytes(data)
    r = subprocess.run([s.root / "usr/lib/splx/vsapiapp", "-R", s.root, "-c",
                        where / name], capture_output=True, text=True,
                       timeout=60)
    (where / name).unlink()
    said = json.loads(r.stdout)
    assert said["ok"] == (r.returncode == 0)
    return said


def others(data):
    """Content with each file's but the list's changed."""
    return [(n, d.replace(b"0", b"1", 1) if n.endswith("db") else d)
            for n, d in members(data)]


def without(data, *ends):
    return [(n, d) for n, d in members(data) if not n.endswith(ends)]


def emptied(data):
    return [(n, b"" if n.endswith("db") else d) for n, d in members(data)]


def info(change):
    return lambda d: cld(d, [(n, change(c) if n == "test.info" else c)
                             for n, c in members(d)])


CLD = {
    "changed": (lambda d: cld(d, others(d)), "sign"),
    "without some": (lambda d: cld(d, without(d, ".hdb", ".ndb")), "missing"),
    "without all": (lambda d: cld(d, members(d)[:2]), "missing"),
    "emptied": (lambda d: cld(d, emptied(d)), ""),
    "one twice": (lambda d: cld(d, [*members(d), members(d)[-1]]), "twice"),
    "one more": (lambda d: cld(d, [*members(d), ("evil.ndb", b"E:0:*:41\n")]),
                 "sign"),
    "two lists": (lambda d: cld(d, [*members(d), ("x.info", b"x")]), "list"),
    "no list": (lambda d: cld(d, without(d, ".info")), "sign"),
    "list not signed": (info(lambda c: c.partition(b"DSIG")[0]), "sign"),
    "list signed wrongly": (info(lambda c: flipped(c, c.find(b"DSIG:") + 9)),
                            "sign"),
    "list changed": (info(lambda c: c.replace(b"test.hdb", b"test.hdc")),
                     "sign"),
    "list with lines behind": (info(lambda c: c + b"evil.ndb:1:00\n"), None),
    "older content": (lambda d: cld(d, members(database(4))), "sign"),
    "cut off": (lambda d: cld(d, members(d))[:-6000], ""),
}


@pytest.mark.parametrize("how", CLD)
def test_a_cld_is_whole_and_signed_or_none(clean, mirror, how):
    make, word = CLD[how]
    said = scanner(clean, "test.cld", make(database(5)))
    if word is None:  # not under the signature, and nobody reads it
        assert said["ok"] and said["version"] == 5
        return
    assert not said["ok"] and word in said["why"]
    mirror.put("test.cld", make(database(5)))
    refused(clean, mirror.source, "test")


def test_what_is_not_changed_is_good(clean):
    for v in range(1, 7):
        said = scanner(clean, "test.cvd", database(v))
        assert said["ok"] and said["version"] == v
    # one that was published, in 2010
    said = scanner(clean, "bytecode.cvd", clamavfiles.published())
    assert said["ok"] and said["version"] == 19
    for packed in (False, True):
        said = scanner(clean, "test.cld", cld(
            database(5), members(database(5)), packed))
        assert said["ok"] and said["signatures"] == 13


def test_a_database_is_the_one_that_it_is_called(clean, mirror):
    """A good one under another's name, which is in no signature but in the
    name of its list."""
    assert "another database" in scanner(clean, "daily.cvd",
                                         database(5))["why"]
    clean.ctl("config", "set", "ClamavDatabases", "daily")
    refused(clean, mirror.has(3, differences=False, name="daily").source,
            "daily", "another database")
    assert "clamav-daily" not in parts(clean)


def test_an_unsigned_one_does_not_come_in_as_a_signed_one(clean, mirror):
    where = clean.root / "unsigned"
    where.mkdir(exist_ok=True)
    (where / "test.hdb").write_text("44d88612fea8a8f36de82e1278abb02f:68:E\n")
    (where / "COPYING").write_text("As you like.\n")  # it wants one
    subprocess.run(
        ["sigtool", "--build=test.cud", "--unsigned",
         "--cvd-version=7", "--max-bad-sigs=10"], cwd=where, check=True,
        stdin=subprocess.DEVNULL, capture_output=True,
        env=dict(os.environ, SIGNDUSER="splx"))
    data = (where / "test.cud").read_bytes()
    assert data.startswith(b"ClamAV-VDB:")
    for name in ("test.cvd", "test.cld"):
        assert not scanner(clean, name, data)["ok"]
        mirror.put(name, data)
        refused(clean, mirror.source, "test")
        (mirror.dir / name).unlink()


# ---- old ones ----

def test_a_stale_mirror_is_told(clean, mirror):
    update(clean, mirror.has(5).source)
    refused(clean, mirror.has(4).source, "version 4", "5 is installed")
    assert 20034 in issues(clean)
    update(clean, mirror.has(5).source)
    assert 20034 not in issues(clean)
    # taken out it is no reason for older ones either
    clean.ctl("pattern", "remove", PART)
    refused(clean, mirror.has(4).source, "older than 5")


def test_what_was_taken_back_stays_away_until_a_newer_one_comes(
        clean, mirror):
    update(clean, mirror.has(3).source)
    update(clean, mirror.has(5).source)
    clean.ctl("pattern", "rollback")
    assert version(clean) == 3
    mirror.asked()
    refused(clean, mirror.source, "taken back", "newer than 5")
    refused(clean, mirror.has(4).source, "taken back")
    assert mirror.asked() == []
    update(clean, mirror.has(6).source)
    assert version(clean) == 6


# ---- servers that fail ----

def whole(handler):
    """The database itself is asked for, not its header."""
    return handler.path.endswith(".cvd") and not handler.headers.get("Range")


def answer(status, **headers):
    def how(handler):
        handler.send_response(status)
        for k, v in headers.items():
            handler.send_header(k.replace("_", "-"), v)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return True
    return how


def body(handler, length):
    handler.send_response(200)
    handler.send_header("Content-Length", str(length))
    handler.end_headers()
    handler.close_connection = True


def cut_off(handler):
    body(handler, 9000)
    handler.wfile.write(b"x" * 1000)
    return True


def stall(handler):
    body(handler, 9000)
    handler.wfile.flush()
    time.sleep(40)
    return True


def trickle(handler):
    """Never quite nothing."""
    body(handler, 9000)
    for _ in range(600):
        handler.wfile.write(b"xxxxx")
        handler.wfile.flush()
        time.sleep(0.2)
    return True


def garbage(handler):
    handler.wfile.write(os.urandom(4096))
    handler.close_connection = True
    return True


def circle(handler):
    return answer(302, Location=handler.path)(handler)


def empty(handler):
    return answer(200)(handler)


@pytest.mark.parametrize("when", ["the header", "the whole"])
@pytest.mark.parametrize("how", [cut_off, stall, trickle, garbage, circle,
                                 empty, answer(404), answer(500)],
                         ids=lambda f: f.__name__)
def test_a_mirror_that_fails_costs_nothing(clean, mirror, how, when):
    clean.ctl("config", "set", "PatternTimeout", "1s")
    mirror.has(5)
    mirror.server.misbehave = lambda h: (
        when == "the header" or whole(h)) and how(h)
    begin = time.monotonic()
    refused(clean, mirror.source)
    assert time.monotonic() - begin < 30 * PATIENCE
    assert 20034 in issues(clean)


def test_after_a_failure_it_works_again(clean, mirror):
    update(clean, mirror.has(2).source)
    mirror.has(5).server.misbehave = lambda h: "diff" in h.path and stall(h)
    clean.ctl("config", "set", "PatternTimeout", "2s")
    r = update(clean, mirror.source, check=False)
    assert r.returncode == 2 or version(clean) == 5
    mirror.server.misbehave = lambda h: False
    update(clean, mirror.source)
    assert version(clean) == 5 and 20034 not in issues(clean)


def test_a_mirror_that_is_not_there_is_named(clean):
    refused(clean, "clamav:http://127.0.0.1:9", "127.0.0.1", "connect")


@pytest.mark.parametrize("status, when", [(403, "the header"),
                                          (429, "the header"),
                                          (403, "the whole"),
                                          (429, "the whole")])
def test_a_server_that_refuses_is_left_alone(clean, mirror, status, when):
    mirror.has(3).server.misbehave = lambda h: (
        when == "the header" or whole(h)) and answer(
            status, Retry_After="5000")(h)
    clean.ctl("config", "set", "PatternSource", mirror.source)
    r = clean.ctl("pattern", "update", check=False)
    assert r.returncode == 2 and "refused" in r.stderr
    state = json.loads((clean.root / "var/lib/splx/patterns/clamav.json")
                       .read_text())
    wait = state["not_before"] - time.time()
    # the library does not read it of a 403
    assert 4900 < wait < 5100 or status == 403 and 86000 < wait < 86500
    assert time.strftime("%Y-%m-%d", time.gmtime(
        state["not_before"])) in r.stderr
    assert 20034 in issues(clean)
    mirror.server.misbehave = lambda h: False
    mirror.server.asked.clear()
    r = clean.ctl("pattern", "update", check=False)
    assert r.returncode == 2 and "not asked again before" in r.stderr
    assert not mirror.server.asked
    # by hand a private one may be asked
    r = clean.ctl("pattern", "check", f"--from={mirror.source}", check=False)
    assert r.returncode == 1


# ---- at once, killed, full ----

def test_two_updates_at_once(clean, mirror):
    mirror.has(3).server.misbehave = lambda h: whole(h) and time.sleep(2)
    words = [str(clean.root / "bin/splxctl"), "pattern", "update",
             f"--from={mirror.source}"]
    runs = [subprocess.Popen(words, text=True, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE) for _ in range(3)]
    said = [p.communicate(timeout=60) for p in runs]
    assert sorted(p.returncode for p in runs)[0] == 0
    for p, (_, err) in zip(runs, said):
        assert p.returncode == 0 or "under way" in err
    assert version(clean) == 3


def leftovers(s):
    """Processes that fetch."""
    return [t for t in s.titles().values() if "splxfresh" in t]


@pytest.mark.parametrize("who", ["all", "splxctl", "splxfresh"])
def test_killed_in_the_middle_the_next_run_is_whole(clean, mirror, who):
    update(clean, mirror.has(2).source)
    mirror.has(5, differences=False)
    mirror.server.misbehave = lambda h: whole(h) and time.sleep(20)
    mirror.asked()
    p = subprocess.Popen([str(clean.root / "usr/sbin/splxctl"), "-R",
                          str(clean.root), "pattern", "update",
                          f"--from={mirror.source}"], start_new_session=True,
                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    wait_for(lambda: "/test.cvd" in [a for a, r in mirror.server.asked
                                     if r is None])
    if who == "all":
        os.killpg(p.pid, signal.SIGKILL)
    elif who == "splxctl":
        p.kill()
    else:
        (child,) = [n for n, t in clean.titles().items() if "splxfresh" in t]
        os.kill(child, signal.SIGKILL)
    _, err = p.communicate(timeout=20)
    if who == "splxfresh":
        assert p.returncode == 2 and b"signal 9" in err
    wait_for(lambda: not leftovers(clean))
    assert version(clean) == 2
    clean.ctl("pattern", "verify")
    mirror.server.misbehave = lambda h: False
    update(clean, mirror.source)
    assert version(clean) == 5
    left = clean.root / "var/lib/splx/patterns/incoming-clamav"
    assert {f.name.split(".")[0] for f in left.iterdir()} == {
        "test", "tmp", "freshclam"}
    assert [f.name for f in (left / "tmp").iterdir()] == ["said"]


def test_on_a_full_disk_the_old_ones_stay(make_suite, serve):
    s = make_suite(FirstAction="deny", ClamavDatabases=["test"])
    where = s.root / "var/lib/splx/patterns"
    where.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "none",
                    str(where)], check=True)
    try:
        s.start()
        mirror = Mirror(serve, s.root)
        update(s, mirror.has(3).source)
        filler = where / "filler"
        with pytest.raises(OSError):
            with open(filler, "wb", buffering=0) as f:
                while True:
                    f.write(b"x" * 4096)
        r = update(s, mirror.has(6).source, check=False)
        assert r.returncode == 2, r.stdout
        assert version(s) == 3
        s.ctl("pattern", "verify")
        filler.unlink()
        update(s, mirror.source)
        assert version(s) == 6
    finally:
        s.stop()
        subprocess.run(["umount", "-l", str(where)], check=True)


def test_offline_the_official_ones_are_told_missing(clean):
    """In this bed there is no net: it is said, and all stays."""
    clean.ctl("config", "set", "PatternTimeout", "1s")
    clean.ctl("config", "set", "PatternProxy", "http://127.0.0.1:9")
    r = update(clean, "clamav", check=False, seconds=120)
    assert r.returncode == 2 and "stay as they are" in r.stderr
