# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""The kernel module as the interceptor: taken, left with the true reason,
taken again, without an instant in which an infected file passes. In a virtual
machine of tests/vm alone: SPLX_INTERCEPTOR=khm, SPLX_MODULE its .ko, and the
rivals' beside it."""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import threading
import time

import pytest

from suite import (EICAR, INTERCEPTOR, MARKER, PATIENCE, Suite, denied,
                   kill_all, mount, opens, seconds, umount, wait_for)
from test_service import Service

MODULE = pathlib.Path(os.environ.get("SPLX_MODULE", "/nonexistent"))
pytestmark = [pytest.mark.skipif(INTERCEPTOR != "khm",
                                 reason="it needs the kernel module"),
              pytest.mark.seconds(300)]
# In a machine that is emulated, beside others: what is late is no gap.
SLOW = {"VerdictTimeout": "60s", "BreakerTimeouts": "100"}
LOADED = pathlib.Path("/sys/module/splxmod")


def sh(*words, check=True):
    r = subprocess.run(words, stdin=subprocess.DEVNULL, text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert not check or r.returncode == 0, f"{words}: {r.stdout}"
    return r


@pytest.fixture
def unloaded():
    """Without the module, and with it again."""
    sh("rmmod", "splxmod")
    yield
    if not LOADED.exists():
        sh("insmod", MODULE)


def install(suite, ko=MODULE, change=lambda data: data):
    """Puts a module where the suite looks for its own."""
    home = suite.root / "usr/lib/splx/modules" / os.uname().release
    home.mkdir(parents=True, exist_ok=True)
    (home / "splxmod.ko").write_bytes(change(ko.read_bytes()))


def reasons(suite):
    return {r["code"]: r["text"] for r in suite.health()["reasons"]}


def served_by(suite, name, seconds=30):
    with contextlib.suppress(AssertionError):
        wait_for(lambda: suite.health().get("interceptor") == name, seconds)
    h = suite.health()
    assert h["interceptor"] == name, "; ".join(
        i["text"] for i in h["health_issues"])
    return h


class Prober:
    """Opens an infected file all the time; counts when it passes."""

    def __init__(self, path):
        self.path = path
        self.tries = self.passed = 0
        self.longest = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        while not self._stop.is_set():
            start = time.monotonic()
            self.passed += opens(self.path) == 0
            self.tries += 1
            self.longest = max(self.longest, time.monotonic() - start)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self._stop.set()
        self._thread.join(60)


def module_status():
    text = pathlib.Path("/proc/splx/status").read_text()
    return dict(line.split(" ", 1) for line in text.splitlines())


# -- it serves, and says so


@pytest.fixture(scope="class")
def one():
    """One suite for a class: two would be in each other's way, for there is
    one module."""
    with Suite(life=1500, FirstAction="deny", **SLOW) as s:
        yield s.start()


class TestOne:
    def test_health_names_the_module_and_its_method(self, one):
        h = one.health()
        assert (h["interceptor"], h["kernelStatus"]) == ("khm", 0)
        assert h["hook"]["method"] == "ftrace" and h["hook"]["unseen"] == ""
        assert h["overall"] == "Protected" or h["patternStatus"]
        assert "khm by ftrace" in one.ctl("status", check=False).stdout
        rows = {r["point"]: r for r in h["coverage"]}
        assert rows[str(one.dir)]["covered"]
        m = one.json("module", "status")
        assert m["loaded"] and m["status"]["state"] == "armed"
        assert m["status"]["readers"] >= 4
        one.ctl("module", "rivals")

    def test_what_is_known_is_not_asked_again(self, one):
        p = one.clean("known.txt", b"fine\n")
        time.sleep(0.1)
        assert opens(p) == 0
        time.sleep(0.2)
        before = module_status()
        for _ in range(20):
            assert opens(p) == 0
        after = module_status()
        assert after["asked"] == before["asked"], (before, after)
        wait_for(lambda: one.counters()["moduleKnown"] >= 20, 5)

    @pytest.mark.parametrize("what", ["patterns", "settings", "mounts"])
    def test_a_reload_leaves_no_gap(self, one, what, tmp_path):
        with Prober(one.infected(f"{what}.com")) as p:
            for i in range(4):
                if what == "patterns":
                    one.ctl("pattern", "reload", seconds=120)
                elif what == "settings":
                    one.ctl("config", "set", "MaxFileSize", f"{100 + i}M")
                else:
                    mount("t", tmp_path, "tmpfs", 0, "size=1M")
                    time.sleep(0.5)
                    umount(tmp_path)
        assert p.tries > 20 / PATIENCE and p.passed == 0
        assert one.health()["interceptor"] == "khm"

    def test_rungs_and_methods_change_without_a_gap(self, one):
        with Prober(one.infected("rungs.com")) as p:
            for key, value, name, method in [
                    ("Interceptor", "fanotify", "fanotify", None),
                    ("Interceptor", "auto", "khm", "ftrace"),
                    ("HookMethod", "fsnotify", "khm", "fsnotify"),
                    ("HookMethod", "auto", "khm", "fsnotify"),
                    ("HookMethod", "ftrace", "khm", "ftrace")]:
                one.ctl("config", "set", key, value, seconds=120)
                served_by(one, name)
                wait_for(lambda: (one.health()["hook"] or {}).get("method")
                         == method, 10)
        assert p.tries > 20 / PATIENCE and p.passed == 0

    def test_mounts_meanwhile_keep_no_rung_from_being_taken(self, one,
                                                            tmp_path):
        """With each the settings in force are gone by once more, while those
        to come are on their way."""
        enough = threading.Event()

        def mounts():
            while not enough.is_set():
                mount("t", tmp_path, "tmpfs", 0, "size=1M")
                time.sleep(0.1)
                umount(tmp_path)
                time.sleep(0.1)
        thread = threading.Thread(target=mounts)
        thread.start()
        try:
            for _ in range(4):
                one.ctl("config", "set", "Interceptor", "fanotify",
                        seconds=120)
                served_by(one, "fanotify")
                one.ctl("config", "set", "Interceptor", "khm", seconds=120)
                served_by(one, "khm", 5)
        finally:
            enough.set()
            thread.join()

    def test_fanotify_has_no_marks_while_the_module_serves(self, one):
        one.ctl("config", "set", "Interceptor", "fanotify")
        served_by(one, "fanotify")
        one.ctl("config", "set", "Interceptor", "khm")
        served_by(one, "khm")
        info = pathlib.Path(
            f"/proc/{one.pid_of('master')}/fdinfo/4").read_text()
        assert "fanotify flags" in info
        assert not re.search("^fanotify (sdev|mnt_id|ino):", info, re.M)


def test_a_restart_knows_the_clean_files(make_suite, tmp_path):
    """On a disk: what is in memory could have been written through a mapping
    without a trace."""
    s = make_suite(FirstAction="deny", Include=[str(tmp_path)])
    s.dir = tmp_path
    s.start()
    p = s.clean("kept.txt", b"x" * 100)
    time.sleep(3)
    assert opens(p) == 0
    s.stop()
    s.start()
    assert re.search(r"kernel module knows files=\d", s.output())
    wait_for(lambda: int(module_status()["cached"]) > 0, 10)


# -- exclusions and limits


def test_an_excluded_directory_is_no_question(make_suite):
    s = make_suite(FirstAction="deny")
    (s.dir / "db").mkdir()
    s.write_conf(ExcludeDirectory=[str(s.dir / "db")])
    s.start()
    p = s.infected("db/bad.com")
    before = int(module_status()["asked"])
    assert opens(p) == 0
    assert int(module_status()["asked"]) == before
    assert denied(s.infected("bad.com"))


def test_an_excluded_program_is_no_question(make_suite):
    s = make_suite(FirstAction="deny", ExcludeExecutable=["/usr/bin/head"])
    s.start()
    p = s.infected("bad.com")
    assert sh("/usr/bin/head", "-c", "1", p, check=False).returncode == 0
    assert sh("/usr/bin/tail", "-c", "1", p, check=False).returncode != 0


def test_include_of_a_directory_asks_about_it_alone(make_suite):
    s = make_suite(FirstAction="deny")
    (s.dir / "in").mkdir()
    s.write_conf(Include=[str(s.dir / "in")])
    probe, s.dir = s.dir, s.dir / "in"
    s.start()
    assert denied(s.infected("bad.com"))
    out = probe / "bad.com"
    before = int(module_status()["asked"])
    out.write_bytes(EICAR)
    assert opens(out) == 0
    assert int(module_status()["asked"]) == before
    # what takes its place is protected, and so is what is mounted in it
    s.dir.rename(probe / "was")
    s.dir.mkdir()
    assert denied(s.infected("bad.com"))
    (s.dir / "more").mkdir()
    assert opens(out) == 0
    sh("mount", "--bind", probe / "was", s.dir / "more")
    try:
        wait_for(lambda: denied(s.dir / "more" / "bad.com"), 10)
    finally:
        umount(s.dir / "more")


def test_what_is_not_mounted_holds_nothing_else(make_suite):
    """An Include that names nothing now must not mean everything."""
    s = make_suite(FirstAction="deny")
    s.start()
    other = s.root / "other.com"
    other.write_bytes(EICAR)
    umount(s.dir)
    wait_for(lambda: not any(r["covered"] for r in s.health()["coverage"]))
    assert opens(other) == 0


# -- those who die


@pytest.fixture
def patient(make_suite):
    return make_suite(FirstAction="deny", **SLOW).start()


@pytest.mark.parametrize("part", ["master", "supervisor", "generation",
                                  "core"])
def test_a_killed_part_leaves_no_gap(patient, part):
    """Workers do not need it to live."""
    suite = patient
    old = suite.pid_of(part)
    with Prober(suite.infected("bad.com")) as p:
        os.kill(old, signal.SIGKILL)
        wait_for(lambda: suite.pid_of(part) not in (None, old), 30)
        time.sleep(3)
    assert p.tries > 20 / PATIENCE and p.passed == 0 and p.longest < 20
    served_by(suite, "khm")


def test_when_all_workers_are_killed_new_ones_answer(patient):
    suite = patient
    with Prober(suite.infected("bad.com")) as p:
        for pid in suite.workers("front"):
            os.kill(pid, signal.SIGKILL)
        time.sleep(5)
    assert p.passed == 0 and p.longest < 20


def test_stopped_workers_hold_nobody_for_long(make_suite):
    s = make_suite(FirstAction="deny", VerdictTimeout=seconds(1),
                   BreakerTimeouts="1", BreakerRetry="30s", Workers="2",
                   WorkersMax="2")
    s.start()
    pids = s.workers("front") + s.workers("back")
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        p = s.clean("waits.txt", b"fine\n")
        start = time.monotonic()
        assert opens(p) == 0
        assert 0.5 < time.monotonic() - start < 3 * PATIENCE
        p = s.clean("waits no more.txt", b"fine\n")
        start = time.monotonic()
        assert opens(p) == 0
        assert time.monotonic() - start < 0.7 * PATIENCE  # the breaker is open
        wait_for(lambda: 20012 in [i["code"] for i in
                                   s.health()["health_issues"]], 5)
        assert s.counters()["policyTimeout"] >= 1
    finally:
        for pid in pids:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGCONT)
    bad = s.infected("bad.com")
    wait_for(lambda: denied(bad), 60)


def test_all_killed_at_once_lets_everything_pass(suite):
    """A machine that nobody can log in to helps nobody."""
    p = suite.infected("bad.com")
    kill_all(suite.processes)
    assert opens(p) == 0
    suite.start()
    assert denied(p)


def test_a_stop_disarms(suite):
    p = suite.infected("bad.com")
    assert denied(p)
    suite.ctl("service", "stop", "vsapiapp", seconds=60)
    assert module_status()["state"] == "idle"
    assert opens(p) == 0
    suite.ctl("service", "start", "vsapiapp", seconds=120)
    assert denied(p)
    assert suite.health()["interceptor"] == "khm"


# -- the ladder


def test_without_the_module_fanotify_serves_and_says_why(make_suite, unloaded):
    s = make_suite(FirstAction="deny", Interceptor="auto")
    s.start()
    assert s.health()["interceptor"] == "fanotify"
    assert "no module is built" in reasons(s)[20021]
    assert s.health()["kernelStatus"] == 20021
    assert s.ctl("module", "status", check=False).returncode == 1


def test_a_module_that_is_loaded_later_is_taken(make_suite, unloaded):
    s = make_suite(FirstAction="deny", Interceptor="auto", **SLOW)
    install(s)
    s.start()
    assert 20074 in reasons(s)
    with Prober(s.infected("bad.com")) as p:
        s.ctl("module", "load", seconds=120)
        served_by(s, "khm")
        # in use it cannot be unloaded
        r = s.ctl("module", "unload", check=False)
        assert r.returncode == 2 and "vsapiapp uses the module" in r.stderr
        s.ctl("config", "set", "Interceptor", "fanotify")
        served_by(s, "fanotify")
        s.ctl("module", "unload", seconds=60)
        assert not LOADED.exists()
    assert p.tries > 20 / PATIENCE and p.passed == 0


def test_a_module_for_another_kernel_is_named_as_such(make_suite, unloaded):
    s = make_suite(FirstAction="deny", Interceptor="auto")
    # (with versions of symbols the release itself is not compared)
    magic = b"vermagic=" + os.uname().release.encode()
    install(s, change=lambda data: data.replace(magic + b" SMP ",
                                                magic + b" ONE "))
    r = s.ctl("module", "load", check=False)
    assert r.returncode == 1 and re.search('it was built for ".* ONE ',
                                           r.stderr)
    s.start()
    assert " ONE " in reasons(s)[20071]
    assert s.health()["interceptor"] == "fanotify"
    assert denied(s.infected("bad.com"))


def test_a_file_that_is_no_module_is_named_as_such(make_suite, unloaded):
    s = make_suite(FirstAction="deny", Interceptor="auto")
    install(s, change=lambda data: b"no module at all")
    s.ctl("module", "load", check=False)
    s.start()
    assert "was not built for this kernel" in reasons(s)[20071]


@pytest.fixture
def rival():
    ko = MODULE.with_name("rv_ftrace.ko")
    if not ko.exists():
        pytest.skip("rv_ftrace.ko is not there")
    sh("insmod", ko, "modify=1")
    yield "rv_ftrace"
    sh("rmmod", "rv_ftrace", check=False)


def test_a_rival_in_the_place_is_named_and_the_ladder_goes_on(
        make_suite, rival):
    s = make_suite(FirstAction="deny", HookMethod="ftrace",
                   Interceptor="auto", **SLOW)
    s.start()
    h = s.health()
    assert h["interceptor"] == "fanotify" and h["kernelStatus"] == 20072
    assert rival in reasons(s)[20072]
    assert rival in s.ctl("module", "rivals").stdout
    p = s.infected("bad.com")
    assert denied(p)
    # it leaves: the next change takes the module
    with Prober(p) as prober:
        sh("rmmod", rival)
        s.ctl("config", "reload", seconds=120)
        served_by(s, "khm")
    assert prober.passed == 0


def test_left_the_choice_the_module_listens_otherwise(make_suite, rival):
    s = make_suite(FirstAction="deny")
    s.start()
    h = s.health()
    assert h["interceptor"] == "khm" and h["hook"]["method"] == "fsnotify"
    assert h["kernelStatus"] == 20075 and h["hook"]["unseen"]
    issue = next(i for i in h["health_issues"] if i["code"] == 20075)
    assert "not by ftrace" in issue["text"]
    assert denied(s.infected("bad.com"))


def test_a_stop_with_a_rival_on_top_fails_and_the_next_start_goes_on(
        make_suite):
    """A service that was started after us holds on to our hook: the module
    stays, lets all pass, and the next start takes it over again."""
    ko = MODULE.with_name("rv_inline.ko")
    if not ko.exists():
        pytest.skip("rv_inline.ko is not there")
    s = make_suite(FirstAction="deny")
    service = Service(s)
    p = s.infected("bad.com")
    try:
        assert service("start", seconds=200) == 0, service.out
        assert denied(p)
        sh("insmod", ko)
        assert service("stop", seconds=200) == 1
        lines = re.sub(" +", " ", service.out).splitlines()
        for line in ("Shutting down vsapiapp: [ OK ]",
                     "Unloading splx kernel module: [FAILED]",
                     "Shutting down entity: [ OK ]"):
            assert line in lines, service.out
        assert "rv_inline" in service.out
        assert "splxcore stopped with errors." in service.out
        assert module_status()["state"] == "passive"
        assert opens(p) == 0
        assert service("start", seconds=200) == 0, service.out
        assert denied(p)
        assert s.health()["interceptor"] == "khm"
        sh("rmmod", "rv_inline")
        assert service("stop", seconds=200) == 0, service.out
        assert "Unloading splx kernel module: [ OK ]" in \
            re.sub(" +", " ", service.out)
        assert not LOADED.exists()
    finally:
        sh("rmmod", "rv_inline", check=False)
        service("stop", seconds=200)
        if not LOADED.exists():
            sh("insmod", MODULE)


def test_at_the_machines_end_the_module_stays_and_that_is_no_error(make_suite):
    s = make_suite(FirstAction="deny")
    service = Service(s)
    assert service("start", seconds=200) == 0, service.out
    assert service("stop", env=["RUNLEVEL=0"], seconds=200) == 0, service.out
    assert "Unloading" not in service.out
    assert LOADED.exists() and module_status()["state"] == "idle"


def test_a_module_that_is_taken_out_by_force_leaves_fanotify(make_suite):
    """rmmod -f waits for those who hold the device: they let go."""
    s = make_suite(FirstAction="deny", Interceptor="auto")
    s.start()
    assert s.health()["interceptor"] == "khm"
    p = s.infected("bad.com")
    r = subprocess.Popen(["rmmod", "-f", "splxmod"],
                         stdin=subprocess.DEVNULL)
    try:
        served_by(s, "fanotify", 60)
        assert denied(p)
    finally:
        s.stop()
        r.wait(60)
        if not LOADED.exists():
            sh("insmod", MODULE)


# -- armed on everything


@pytest.fixture(scope="class")
def whole():
    """Everything that is mounted is protected."""
    with Suite(life=1500, FirstAction="deny", Include=[], **SLOW) as s:
        yield s.start()


class TestWhole:
    def test_a_new_mount_is_seen_at_once(self, whole, tmp_path):
        for i in range(10):
            mount("t", tmp_path, "tmpfs", 0, "size=1M")
            try:
                p = tmp_path / "bad.com"
                p.write_bytes(MARKER)
                assert denied(p), i
            finally:
                umount(tmp_path)

    def test_a_memory_file_is_not_executed(self, whole):
        fd = os.memfd_create("bad")
        os.write(fd, b"#!/bin/sh\n# " + MARKER + b"\n")
        os.lseek(fd, 0, 0)
        assert denied(f"/proc/self/fd/{fd}")
        os.close(fd)

    def test_a_program_is_built_with_everything_armed(self, whole, tmp_path):
        for i in range(12):
            (tmp_path / f"part{i}.c").write_text(
                "#include <stdio.h>\n#include <stdlib.h>\n"
                f"int part{i}(int n) {{ return n + {i}; }}\n")
        (tmp_path / "main.c").write_text(
            "#include <stdio.h>\n"
            + "".join(f"int part{i}(int);\n" for i in range(12))
            + "int main(void) { int n = 0;\n"
            + "".join(f"n = part{i}(n);\n" for i in range(12))
            + 'printf("%d\\n", n); return 0; }\n')
        (tmp_path / "Makefile").write_text(
            "OBJS = main.o " + " ".join(f"part{i}.o" for i in range(12))
            + "\nprog: $(OBJS)\n\tgcc -o $@ $(OBJS)\n"
            + "%.o: %.c\n\tgcc -O1 -c -o $@ $<\n")
        sh("make", "-s", "-j2", "-C", tmp_path)
        assert sh(tmp_path / "prog").stdout == "66\n"
        assert module_status()["state"] == "armed"
        assert int(module_status()["policy_denied"]) == 0

    def test_a_package_is_installed_with_everything_armed(self, whole,
                                                          tmp_path):
        root = tmp_path / "pkg"
        (root / "DEBIAN").mkdir(parents=True)
        (root / "usr/lib/splxtry").mkdir(parents=True)
        (root / "DEBIAN/control").write_text(
            "Package: splxtry\nVersion: 1\nArchitecture: all\n"
            "Maintainer: nobody <nobody@localhost>\nDescription: a try\n")
        (root / "DEBIAN/postinst").write_text(
            "#!/bin/sh\n/usr/lib/splxtry/run\n")
        (root / "DEBIAN/postinst").chmod(0o755)
        for i in range(50):
            (root / f"usr/lib/splxtry/f{i}").write_bytes(os.urandom(5000))
        (root / "usr/lib/splxtry/run").write_text(
            "#!/bin/sh\necho run >/usr/lib/splxtry/ran\n")
        (root / "usr/lib/splxtry/run").chmod(0o755)
        deb = tmp_path / "splxtry.deb"
        sh("dpkg-deb", "-b", root, deb)
        try:
            sh("apt-get", "-y", "-qq", "install", deb)
            assert pathlib.Path("/usr/lib/splxtry/ran").exists()
        finally:
            sh("dpkg", "-P", "splxtry", check=False)
            shutil.rmtree("/usr/lib/splxtry", ignore_errors=True)

    def test_a_scan_on_demand_goes_past_the_module(self, whole, tmp_path):
        p = tmp_path / "bad.com"
        p.write_bytes(EICAR)
        assert denied(p)
        r = whole.ctl("scan", p, check=False)
        assert r.returncode == 1 and "EICAR" in r.stdout.upper()
