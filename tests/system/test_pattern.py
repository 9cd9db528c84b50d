# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""New patterns: by hand, as signed bundles from a directory or a server; what
must not come in does not, and whatever fails the old ones serve on."""

import errno
import json
import os
import select
import shutil
import signal
import subprocess
import threading
import time

import pytest

from suite import MARKER, PATIENCE, denied, opens, wait_for

TEXT = "Something that is found"


def ndb(text, name="Test.Found"):
    return f"{name}:0:*:{text.encode().hex()}\n"


class Maker:
    """Who makes bundles: a key, and a directory that is served."""

    def __init__(self, s, name="office"):
        self.s, self.name = s, name
        self.dir = s.root / f"bundle-{name}"
        self.key = s.root / f"{name}.key"
        s.ctl("pattern", "key", self.key)

    def trusted(self):
        keys = self.s.root / "etc/splx/keys"
        keys.mkdir(exist_ok=True)
        shutil.copy(f"{self.key}.pem", keys / f"{self.name}.pem")
        return self

    def make(self, version, *texts, **more):
        files = []
        for i, text in enumerate(texts):
            p = self.s.root / f"{self.name}-{i}.ndb"
            p.write_text(text)
            files.append(p)
        words = [f"--{k}={v}" for k, v in more.items()]
        self.s.ctl("pattern", "bundle", self.dir, *files,
                   f"--name={self.name}", f"--key={self.key}",
                   f"--version={version}", *words)
        return self.dir


@pytest.fixture
def office(shared):
    """A trusted maker; nothing of it is left."""
    maker = Maker(shared, f"office-{time.monotonic_ns()}").trusted()
    yield maker
    shared.ctl("pattern", "remove", maker.name, check=False)
    shutil.rmtree(shared.root / "etc/splx/keys")


def update(s, source, **how):
    return s.ctl("pattern", "update", f"--from={source}", **how)


def refused(s, source, *words):
    """With the reason; and health tells."""
    r = update(s, source, check=False)
    assert r.returncode == 2, r.stdout + r.stderr
    assert "stay as they are" in r.stderr
    for w in words:
        assert w in r.stderr, r.stderr
    return r.stderr


def parts(s):
    return {p["part"]: p for p in s.json("pattern", "list") if p["current"]}


def finds(s, text):
    """A new file with that text is refused."""
    p = s.clean(f"probe-{time.monotonic_ns()}.txt", f"xx {text} xx".encode())
    return denied(p)


def test_a_bundle_of_a_directory_serves_and_is_updated(shared, office):
    assert not finds(shared, TEXT)
    r = update(shared, office.make(1, ndb(TEXT)))
    assert "serves" in r.stdout and "files of the system pass" in r.stdout
    assert finds(shared, TEXT)
    part = parts(shared)[office.name]
    assert part["version"] == 1 and part["files"] == 1
    assert part["signed_by"] and part["origin"] == str(office.dir)
    assert "up to date" in update(shared, office.dir).stdout
    update(shared, office.make(2, ndb("Something else")))
    assert not finds(shared, TEXT) and finds(shared, "Something else")
    assert shared.ctl("pattern", "verify").stdout.count("what they were") == 1
    assert finds(shared, MARKER.decode())


def test_verify_names_a_signer_who_is_trusted_no_more(shared, office):
    update(shared, office.make(1, ndb(TEXT)))
    keys = shared.root / "etc/splx/keys"
    keys.rename(f"{keys}.away")
    r = shared.ctl("pattern", "verify", check=False)
    assert r.returncode == 1 and "no key is trusted" in r.stderr
    (shared.root / "etc/splx/keys.away").rename(keys)
    Maker(shared, f"other-{time.monotonic_ns()}").trusted()
    (keys / f"{office.name}.pem").unlink()
    r = shared.ctl("pattern", "verify", check=False)
    assert r.returncode == 1 and "not trusted" in r.stderr
    assert finds(shared, TEXT)


def test_check_tells_and_takes_nothing(shared, office):
    d = office.make(1, ndb(TEXT))
    r = shared.ctl("pattern", "check", f"--from={d}", check=False)
    assert r.returncode == 1 and "newer" in r.stdout
    assert not finds(shared, TEXT)
    update(shared, d)
    assert shared.ctl("pattern", "check", f"--from={d}").returncode == 0


def test_a_file_by_hand_is_added_and_taken_out(shared):
    f = shared.root / "own.ndb"
    f.write_text(ndb(TEXT))
    update(shared, f)
    assert finds(shared, TEXT)
    second = shared.root / "second.ndb"
    second.write_text(ndb("Another one"))
    update(shared, second)
    assert finds(shared, TEXT) and finds(shared, "Another one")
    assert parts(shared)["local"]["files"] == 2
    shared.ctl("pattern", "remove", "local")
    assert not finds(shared, TEXT)


def test_what_is_laid_among_the_sets_is_told_and_not_loaded(shared):
    """As it lies there nobody tried it; an update from there does."""
    where = shared.root / "var/lib/splx/patterns"
    laid = [where / "first.ndb", where / "second.ndb", where / "third.ndb"]

    def told():
        return [i["text"] + i["action"] for i in
                shared.health()["health_issues"] if i["code"] == 20037]

    for f, text in zip(laid, (TEXT, "Another one", None)):
        f.write_text(ndb(text) if text else "rubbish\n")
    shared.ctl("pattern", "reload")
    assert not finds(shared, TEXT)
    text = wait_for(told)[0]
    assert str(laid[0]) in text and "2 more" in text
    assert "pattern update --from=" in text
    # one that is none: none of them
    refused(shared, where, "third.ndb")
    assert not finds(shared, TEXT) and all(f.exists() for f in laid)
    laid.pop().unlink()
    r = update(shared, where)
    assert "first.ndb" in r.stdout and "serves" in r.stdout
    assert finds(shared, TEXT) and finds(shared, "Another one")
    assert parts(shared)["local"]["files"] == 2
    assert not any(f.exists() for f in laid)
    wait_for(lambda: not told())
    # the same once more: it is there
    laid[1].write_text(ndb("Another one"))
    assert "up to date" in update(shared, where).stdout
    assert not laid[1].exists()
    # what is taken from there alone is what lies there
    laid[1].symlink_to(shared.root / "own.ndb")
    (shared.root / "own.ndb").write_text(ndb("By a link"))
    refused(shared, where, "is a link")
    laid[1].unlink()
    assert "no pattern files" in update(shared, where).stdout
    shared.ctl("pattern", "remove", "local")
    assert not finds(shared, TEXT)


def test_what_is_no_pattern_file_is_not_passed_over(shared, office):
    f = shared.root / "notes.txt"
    f.write_text("nothing to load\n")
    refused(shared, f, "notes.txt", "no pattern file")
    f = shared.root / "a name.ndb"
    f.write_text(ndb(TEXT))
    refused(shared, f, "letters, digits")
    refused(shared, shared.root / "nowhere.ndb", "No such file")
    refused(shared, shared.root, "manifest.json")


def test_what_nobody_trusted_made_does_not_come_in(shared, office):
    stranger = Maker(shared, f"stranger-{time.monotonic_ns()}")
    refused(shared, stranger.make(1, ndb(TEXT)), "not trusted")
    d = office.make(1, ndb(TEXT))
    m = d / "manifest.json"
    m.write_text(m.read_text().replace('"version": 1', '"version": 9'))
    refused(shared, d, "changed")
    d = office.make(1, ndb(TEXT))
    (d / "manifest.sig").unlink()
    refused(shared, d, "manifest.sig")
    d = office.make(1, ndb(TEXT))
    f = d / f"{office.name}-0.ndb"
    f.write_text(f.read_text().replace("0", "1", 1))
    refused(shared, d, "not what its manifest says")
    f.unlink()
    refused(shared, d, f.name, "No such file")
    f.symlink_to("/etc/passwd")
    refused(shared, d, f.name)
    assert not finds(shared, TEXT) and office.name not in parts(shared)


def test_old_ones_do_not_come_back(shared, office):
    old = shared.root / f"{office.name}-old"
    shutil.copytree(office.make(1, ndb("old")), old)
    update(shared, office.make(2, ndb(TEXT)))
    refused(shared, old, "older than 2")
    expired = office.make(3, ndb("x"), valid="1s")
    time.sleep(2)
    refused(shared, expired, "was good until")
    refused(shared, office.make(2, ndb("another content")),
            "raise the version")
    assert finds(shared, TEXT)


def test_what_is_broken_or_wrong_is_tried_first(shared, office):
    before = shared.json("pattern", "show")["generation"]
    refused(shared, office.make(1, "rubbish\n"), "trial", "Malformed")
    # every ELF file: what this machine runs on
    refused(shared, office.make(2, "Test.Wrong:0:0:7f454c46\n"), "trial",
            "of this machine", "Test.Wrong")
    assert shared.json("pattern", "show")["generation"] == before
    assert opens(shared.clean("still.txt")) == 0
    assert finds(shared, MARKER.decode())
    codes = [i["code"] for i in shared.health()["health_issues"]]
    assert 20034 in codes
    update(shared, office.make(3, ndb(TEXT)))
    codes = [i["code"] for i in shared.health()["health_issues"]]
    assert 20034 not in codes


def test_rollback_goes_back_and_holds_until_a_newer_one_comes(shared, office):
    update(shared, office.make(1, ndb("First one")))
    bad = office.make(2, ndb(TEXT))
    update(shared, bad)
    shared.ctl("pattern", "rollback")
    assert finds(shared, "First one") and not finds(shared, TEXT)
    refused(shared, bad, "taken back")
    update(shared, office.make(3, ndb("Third one")))
    assert finds(shared, "Third one")
    r = shared.ctl("pattern", "rollback", "99999", check=False)
    assert r.returncode == 2 and "pattern list" in r.stderr


def test_without_the_service_it_is_loaded_at_the_next_start(make_suite):
    s = make_suite(FirstAction="deny")
    s.start()
    s.stop()
    f = s.root / "own.ndb"
    f.write_text(ndb(TEXT))
    assert "next start" in update(s, f).stdout
    s.start()
    assert finds(s, TEXT)


def test_two_updates_at_once_come_one_after_the_other(shared):
    words = [str(shared.root / "bin/splxctl"), "pattern", "update"]
    files = []
    for i in range(3):
        f = shared.root / f"at-once-{i}.ndb"
        f.write_text(ndb(f"At once {i}"))
        files.append(f)
    runs = [subprocess.Popen([*words, f"--from={f}"], text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            for f in files]
    said = [p.communicate(timeout=60) for p in runs]
    done = [i for i, p in enumerate(runs) if p.returncode == 0]
    assert done
    for i, p in enumerate(runs):
        assert p.returncode == 0 or "under way" in said[i][1], said[i]
        assert finds(shared, f"At once {i}") == (i in done)
    shared.ctl("pattern", "remove", "local")


# ---- servers ----

def test_a_bundle_of_a_server_serves(shared, office, serve):
    server = serve(office.make(1, ndb(TEXT)))
    update(shared, server.url + "/")
    assert finds(shared, TEXT)
    # what is there is not fetched again
    server.asked.clear()
    assert "up to date" in update(shared, server.url).stdout
    assert len(server.asked) == 2
    office.make(2, ndb(TEXT), ndb("And more"))
    server.asked.clear()
    update(shared, server.url)
    assert len(server.asked) == 3
    assert finds(shared, TEXT) and finds(shared, "And more")
    assert parts(shared)[office.name]["origin"] == server.url


def data(handler):
    return handler.path.endswith(".ndb")


def promise(handler, length):
    """So many bytes are to come."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(length))
    handler.end_headers()


def cut_off(handler):
    if not data(handler):
        return False
    promise(handler, 100000)
    handler.wfile.write(b"x" * 10)
    handler.close_connection = True
    return True


def stall(handler):
    if not data(handler):
        return False
    promise(handler, 1000)
    time.sleep(30)
    return True


def flood(handler):
    """Sends without an end, and says nothing of the length."""
    if not data(handler):
        return False
    handler.send_response(200)
    handler.end_headers()
    handler.close_connection = True
    for _ in range(100000):
        handler.wfile.write(b"x" * 65536)
    return True


def lead_to(handler, place):
    handler.send_response(302)
    handler.send_header("Location", place)
    handler.send_header("Content-Length", "0")
    handler.end_headers()
    return True


def circle(handler):
    return lead_to(handler, handler.path)


def elsewhere(handler):
    """To what is no web server."""
    return lead_to(handler, "file:///etc/passwd")


def garbage(handler):
    handler.wfile.write(os.urandom(4096))
    handler.close_connection = True
    return True


def missing(handler):
    if data(handler):
        handler.send_error(404)
    return data(handler)


def other(handler):
    """As long, and something else."""
    if not data(handler):
        return False
    size = os.path.getsize(handler.translate_path(handler.path))
    promise(handler, size)
    handler.wfile.write(b"x" * size)
    return True


@pytest.mark.parametrize("how, words", [
    (cut_off, []), (stall, ["nothing"]), (flood, ["more than"]),
    (circle, ["redirect"]), (elsewhere, []), (garbage, []),
    (missing, ["404"]), (other, ["not what its manifest says"]),
], ids=lambda x: x.__name__ if callable(x) else "")
def test_a_server_that_fails_costs_nothing(shared, office, serve, how, words):
    shared.ctl("config", "set", "PatternTimeout", "2s")
    try:
        server = serve(office.make(1, ndb(TEXT)), how)
        begin = time.monotonic()
        refused(shared, server.url, *words)
        assert time.monotonic() - begin < 30
        assert office.name not in parts(shared)
        assert finds(shared, MARKER.decode())
        # and the next time it works
        server.misbehave = lambda h: False
        update(shared, server.url)
        assert finds(shared, TEXT)
    finally:
        shared.ctl("config", "reset", "PatternTimeout")


def test_what_was_cut_off_is_gone_on_with(shared, office, serve):
    big = ndb(TEXT) + "".join(ndb(f"Padding {i}", f"Test.P{i}")
                              for i in range(20000))

    def half(handler):
        if not data(handler):
            return False
        body = big.encode()
        asked = handler.headers.get("Range")
        begin = int(asked.split("=")[1].rstrip("-")) if asked else 0
        handler.send_response(206 if asked else 200)
        if asked:
            handler.send_header(
                "Content-Range", f"bytes {begin}-{len(body) - 1}/{len(body)}")
        handler.send_header("Content-Length", str(len(body) - begin))
        handler.end_headers()
        # the first time only a part of it
        handler.wfile.write(body[begin:] if asked else body[:500000])
        handler.close_connection = True
        return True

    server = serve(office.make(1, big), half)
    refused(shared, server.url)
    update(shared, server.url)
    assert finds(shared, TEXT)
    asked = [r for p, r in server.asked if p.endswith(".ndb")]
    assert asked == [None, "bytes=500000-"]


def test_a_server_that_is_not_there_is_named(shared):
    refused(shared, "http://127.0.0.1:9", "127.0.0.1")


def test_sources_are_those_of_the_settings(shared, office, serve):
    r = shared.ctl("pattern", "update", check=False)
    assert r.returncode == 2 and "PatternSource" in r.stderr
    server = serve(office.make(1, ndb(TEXT)))
    shared.ctl("config", "set", "PatternSource", server.url)
    try:
        shared.ctl("pattern", "update")
        assert finds(shared, TEXT)
    finally:
        shared.ctl("config", "reset", "PatternSource")


def test_the_state_that_is_told_names_the_parts(shared, office):
    update(shared, office.make(1, ndb(TEXT)))
    files = [p["file"] for p in shared.json("pattern", "show")["patterns"]]
    assert any(office.name in f for f in files)
    told = json.loads((shared.root / "var/lib/splx/patterns/last.json")
                      .read_text())
    assert told["ok"] is True
    wait_for(lambda: any("signatures" in e["message"]
                         for e in shared.events("update")))


def test_a_bundle_past_its_time_serves_on_and_is_told(shared, office):
    update(shared, office.make(1, ndb(TEXT), valid="3s"))
    time.sleep(4)
    wait_for(lambda: 20035 in [i["code"] for i in
                               shared.health()["health_issues"]], 5)
    assert finds(shared, TEXT)
    # as old as its maker says
    age = time.time() - shared.json("pattern", "show")["pattern_time"]
    assert -5 < age < 60


def test_a_trial_has_limits(shared, office):
    """What it may not have it does not take, and is not called good."""
    big = "".join(ndb(f"Padding {i}", f"Test.P{i}") for i in range(60000))
    update(shared, office.make(1, big))
    sets = shared.root / "var/lib/splx/patterns/current"
    trial = [str(shared.root / "usr/lib/splx/vsapiapp"), "-R",
             str(shared.root), "-t", str(sets.resolve())]
    good = subprocess.run(trial, capture_output=True, text=True, timeout=60)
    told = json.loads(good.stdout)
    assert told["ok"] is True and told["signatures"] > 60000
    assert told["files"] > 5
    small = subprocess.run([*trial, "-m", str(6 << 20)], timeout=60,
                           capture_output=True, text=True)
    assert small.returncode != 0
    assert '"ok":true' not in small.stdout


class Memory:
    """What the kernel says of free memory; little, and more when there is no
    engine in it, if that is so."""

    def __init__(self, s, gives):
        self.s, self.gives = s, gives
        self.gap = []  # what an open came to meanwhile
        self.files = [s.clean(f"gap-{i}.txt") for i in range(9)]
        self.file = s.root / "meminfo"
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        # it ends before the engine does
        self._worker = os.pidfd_open(max(s.workers("front")))

    def _say(self, mib):
        self.file.write_text(f"MemAvailable: {mib << 10} kB\n")

    def _run(self):
        gone = []
        while not gone and not self._over.is_set():
            gone = select.select([self._worker], [], [], 0.05)[0]
        if gone and self.gives:
            self._say(4096)
        while not self._over.wait(0.05):
            if self.files and not self.s.pid_of("generation"):
                begin = time.monotonic()
                self.gap.append((opens(self.files.pop()),
                                 time.monotonic() - begin))

    def __enter__(self):
        self._say(12)
        subprocess.run(["mount", "--bind", self.file, "/proc/meminfo"],
                       check=True)
        self._thread.start()
        return self

    def __exit__(self, *why):
        self._over.set()
        self._thread.join()
        os.close(self._worker)
        subprocess.run(["umount", "/proc/meminfo"], check=True)


@pytest.fixture
def small(make_suite):
    """A suite, and patterns that do not fit beside those that serve."""
    s = make_suite(FirstAction="deny", OnError="deny").start()
    f = s.root / "big.ndb"
    f.write_text("".join(ndb(f"Padding {i}", f"Test.P{i}")
                         for i in range(60000)))
    return s, f


def test_without_memory_for_two_engines_the_old_one_stays(small):
    s, big = small
    with Memory(s, gives=True) as m:
        refused(s, big, "no memory for two engines", "LowMemoryUpdate")
        assert not m.gap
    assert 20034 in [i["code"] for i in s.health()["health_issues"]]
    assert finds(s, MARKER.decode()) and not finds(s, "Padding 77 ")


def test_where_memory_is_short_one_engine_serves_at_a_time(small):
    s, big = small
    s.ctl("config", "set", "LowMemoryUpdate", "unload")
    with Memory(s, gives=True) as m:
        r = update(s, big, seconds=120)
    assert "unloaded until there is another" in r.stdout
    assert finds(s, "Padding 77 ") and finds(s, MARKER.decode())
    # meanwhile OnError decided, and nobody hung
    assert m.gap and {e for e, _ in m.gap} <= {0, errno.EPERM}
    assert errno.EPERM in {e for e, _ in m.gap}
    assert max(t for _, t in m.gap) < 10 * PATIENCE
    wait_for(lambda: 20018 not in [i["code"] for i in
                                   s.health()["health_issues"]], 10)


def test_when_that_comes_to_nothing_the_old_one_serves_again(small):
    s, big = small
    first = big.with_name("first.ndb")
    first.write_text(ndb("First one"))
    update(s, first)
    s.ctl("config", "set", "LowMemoryUpdate", "unload")
    with Memory(s, gives=False) as m:
        refused(s, big, "allocate memory")
        assert m.gap
    assert finds(s, "First one") and not finds(s, "Padding 77 ")


def test_who_is_killed_meanwhile_leaves_no_gap_behind(small):
    s, big = small
    s.ctl("config", "set", "LowMemoryUpdate", "unload")
    log = s.root / "var/log/splx/splx.log"
    with Memory(s, gives=False) as m:
        p = subprocess.Popen([str(s.root / "bin/splxctl"), "pattern", "update",
                              f"--from={big}"], stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
        # held where it waits for the memory: it asks every 200 ms
        wait_for(lambda: "unloaded for an update" in log.read_text(), 30, 0.005)
        p.send_signal(signal.SIGSTOP)
        wait_for(lambda: m.gap, 20)
        time.sleep(1)
        assert not s.pid_of("generation")
        p.kill()
        p.wait()
        wait_for(lambda: s.pid_of("generation"), 20)
    wait_for(lambda: finds(s, MARKER.decode()), 20)
    wait_for(lambda: 20018 not in [i["code"] for i in
                                   s.health()["health_issues"]], 10)


def test_who_is_stopped_meanwhile_leaves_no_gap(small):
    s, big = small
    s.ctl("config", "set", "LowMemoryUpdate", "unload")
    log = s.root / "var/log/splx/splx.log"
    with Memory(s, gives=False) as m:
        p = subprocess.Popen([str(s.root / "bin/splxctl"), "pattern", "update",
                              f"--from={big}"], stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
        wait_for(lambda: "unloaded for an update" in log.read_text(), 30, 0.005)
        p.send_signal(signal.SIGSTOP)
        wait_for(lambda: m.gap, 20)
        wait_for(lambda: s.pid_of("generation"), 40)
        p.kill()
        p.wait()
    wait_for(lambda: finds(s, MARKER.decode()), 20)


def test_an_update_that_is_stopped_is_told(shared, office, serve):
    """Others cannot begin; cron says so, and health."""
    shared.ctl("config", "set", "UpdateDelay", "0")
    server = serve(office.make(1, ndb(TEXT)), lambda h: time.sleep(3) and 0)
    p = subprocess.Popen([str(shared.root / "bin/splxctl"), "pattern",
                          "update", f"--from={server.url}"],
                         stdout=subprocess.PIPE, text=True)
    wait_for(lambda: server.asked)
    r = shared.ctl("pattern", "update", "--cron", "--from=/nowhere")
    assert not r.stderr  # it is at work: no trouble
    p.send_signal(signal.SIGSTOP)

    def told():
        return [i["text"] for i in shared.health()["health_issues"]
                if i["code"] == 20036]

    try:
        text = wait_for(told, 30)[0]
        assert f"process {p.pid}" in text and "stopped" in text
        r = shared.ctl("pattern", "update", "--cron", "--from=/nowhere",
                       check=False)
        assert r.returncode == 2 and f"process {p.pid}" in r.stderr
    finally:
        p.send_signal(signal.SIGCONT)
        shared.ctl("config", "reset", "UpdateDelay")
    assert "serves" in p.communicate(timeout=60)[0] and p.returncode == 0
    assert not told() and finds(shared, TEXT)


def test_a_trial_that_is_stopped_ends_the_update(shared, office):
    p = subprocess.Popen([str(shared.root / "bin/splxctl"), "pattern",
                          "update", f"--from={office.make(1, ndb(TEXT))}"],
                         stdout=subprocess.DEVNULL, text=True,
                         stderr=subprocess.PIPE)

    def trial():
        return [n for n, t in shared.titles().items() if "trial" in t]

    (pid,) = wait_for(trial, 30, 0.001)
    os.kill(pid, signal.SIGSTOP)
    _, err = p.communicate(timeout=60 * PATIENCE)
    assert p.returncode == 2 and "was stopped" in err
    assert not trial() and office.name not in parts(shared)
    update(shared, office.dir)
    assert finds(shared, TEXT)


def test_killed_in_any_step_one_whole_set_stays(shared, office, serve):
    """With all that it started: the one that fetches, the one that tries."""
    update(shared, office.make(1, ndb("First one")))
    server = serve(office.dir)
    words = [str(shared.root / "bin/splxctl"), "pattern", "update",
             f"--from={server.url}"]
    ended = []
    for i, delay in enumerate([0.01, 0.03, 0.06, 0.1, 0.2, 0.5, 1, 2, 4]):
        office.make(2 + i, ndb(TEXT), ndb(f"Step {i}"))
        p = subprocess.Popen(words, start_new_session=True,
                             stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
        time.sleep(delay)
        if p.poll() is None:
            os.killpg(p.pid, signal.SIGKILL)
        ended.append(p.wait())
        shared.ctl("pattern", "verify")
        assert parts(shared)[office.name]["version"] in range(1, 3 + i)
    assert -signal.SIGKILL in ended
    update(shared, office.make(99, ndb("The last one")))
    assert finds(shared, "The last one") and not finds(shared, TEXT)
    sets = shared.root / "var/lib/splx/patterns/sets"
    assert not [p for p in sets.iterdir() if p.name.startswith(".")]
    keep = int(shared.ctl("config", "get", "PatternKeep").stdout)
    assert len(list(sets.iterdir())) <= keep + 1


def test_a_damaged_set_is_told_and_a_former_one_serves(make_suite):
    s = make_suite(FirstAction="deny")
    s.start()
    for text in ("First one", TEXT):
        f = s.root / "own.ndb"
        f.write_text(ndb(text))
        update(s, f)
    s.stop()
    where = s.root / "var/lib/splx/patterns/current/local/own.ndb"
    where.write_text(where.read_text()[:-1] + "x")
    r = s.ctl("pattern", "verify", check=False)
    assert r.returncode == 1 and "own.ndb" in r.stderr
    s.start()
    assert finds(s, "First one") and not finds(s, TEXT)
    told = [i["text"] for i in s.health()["health_issues"]
            if i["code"] == 20032]
    assert told and "set 1 is loaded" in told[0] and "own.ndb" in told[0]
    s.ctl("pattern", "rollback")
    assert 20032 not in [i["code"] for i in s.health()["health_issues"]]


def test_when_nothing_is_sound_what_is_built_in_serves(make_suite):
    """Better than nobody, and it is said why; what is mended is loaded."""
    s = make_suite(FirstAction="deny")
    s.start()
    f = s.root / "own.ndb"
    f.write_text(ndb(TEXT))
    update(s, f)
    s.stop()
    where = s.root / "var/lib/splx/patterns/current/local/own.ndb"
    good = where.read_text()
    where.write_text(good[:-1] + "x")
    s.start()
    wait_for(lambda: denied(s.clean("marker.txt", MARKER)), 20)
    assert opens(s.clean("good.txt")) == 0
    issues = {i["code"]: i["text"] for i in s.health()["health_issues"]}
    assert 20030 in issues
    assert "built-in patterns" in issues[20032]
    assert "own.ndb" in issues[20032]
    # what comes then is taken, and nothing is held against it
    where.write_text(good)
    s.ctl("pattern", "reload")
    assert finds(s, TEXT)
    wait_for(lambda: not {20030, 20032} & {
        i["code"] for i in s.health()["health_issues"]})
    # while something serves that stays, whatever is broken
    where.write_text(good[:-1] + "x")
    r = s.ctl("pattern", "reload", check=False)
    assert r.returncode == 2 and "stay in force" in r.stderr
    assert finds(s, TEXT)


def crontab(s):
    f = s.root / "etc/cron.d/splx"
    return f.read_text() if f.exists() else ""


def test_cron_gets_what_the_settings_say(make_suite, serve):
    s = make_suite(FirstAction="deny", UpdateDelay="0")
    (s.root / "etc/cron.d").mkdir()
    s.start()
    assert "SHELL" in crontab(s) and "update" not in crontab(s)
    maker = Maker(s).trusted()
    server = serve(maker.make(1, ndb(TEXT)))
    s.ctl("config", "set", "PatternSource", server.url)
    s.ctl("config", "set", "UpdateSchedule", "*/30 4 * * sun")
    assert "\n0,30 4 * * 0 root " in crontab(s)
    assert "pattern update --cron" in crontab(s)
    r = s.ctl("config", "set", "UpdateSchedule", "sometimes", check=False)
    assert r.returncode and "five fields" in r.stderr
    assert "\n0,30 4 * * 0 root " in crontab(s)
    # well: not a word; up to date: not a word either
    for _ in range(2):
        r = s.ctl("pattern", "update", "--cron")
        assert r.stdout == "" and r.stderr == ""
    assert finds(s, TEXT)
    server.misbehave = garbage
    r = s.ctl("pattern", "update", "--cron", check=False)
    assert r.returncode == 2 and "stay as they are" in r.stderr
    # stopped the files are updated all the same
    server.misbehave = lambda h: False
    maker.make(2, ndb("Another one"))
    s.stop()
    r = s.ctl("pattern", "update", "--cron")
    assert r.stdout == "" and r.stderr == ""
    s.start()
    assert finds(s, "Another one")


def test_by_cron_not_all_machines_ask_at_once(shared):
    """Each run waits for a while of its own; by hand nobody waits."""
    def took(*words):
        begin = time.monotonic()
        r = shared.ctl("pattern", "update", "--from=/nowhere", *words,
                       check=False)
        assert r.returncode == 2 and "nowhere" in r.stderr
        return time.monotonic() - begin

    shared.ctl("config", "set", "UpdateDelay", "3s")
    try:
        by_hand = took()
        by_cron = [took("--cron") - by_hand for _ in range(6)]
        assert max(by_cron) > 0.9 and min(by_cron) < max(by_cron) - 0.5
        assert max(by_cron) < 3 + 2 * PATIENCE
    finally:
        shared.ctl("config", "reset", "UpdateDelay")
