# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""What the benchmark runs on: the loads, the peers, small helpers."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

REPO = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "tests/system"))

from suite import mount, umount, wait_for, EICAR  # noqa: E402

BIN = REPO / "build/tests/bench"


def run_json(*args, cpu=None):
    """A load of ours, on one CPU alone if that is asked for."""
    pin = (lambda: os.sched_setaffinity(0, {cpu})) if cpu is not None else None
    out = subprocess.run([str(BIN / args[0]), *map(str, args[1:])], check=True,
                         capture_output=True, preexec_fn=pin).stdout
    got = json.loads(out)
    if got["errors"]:
        raise AssertionError(f"{args}: {got['errors']} errors")
    return got


def opens(*args, cpu=None):
    return run_json("opens", *args, cpu=cpu)


def scandesc(database, scratch, where, n, procs=1, cpu=None):
    return run_json("scandesc", database, scratch, where, n, procs, cpu=cpu)


def fresh_files(where, n, size=4096):
    """n small text files, each different and never seen before."""
    shutil.rmtree(where, ignore_errors=True)
    where.mkdir(parents=True)
    tag = b"%d" % time.monotonic_ns()
    for i in range(n):
        text = (b"%s line %d of a text file\n" % (tag, i)) * 400
        (where / str(i)).write_bytes(text[:size])
        (where / str(i)).chmod(0o644)


def settle():
    """Longer than a clock tick: what was written can be remembered."""
    time.sleep(0.15)


def memory_kib(pids, field="Pss"):
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for line in open(f"/proc/{pid}/smaps_rollup"):
                if line.startswith(field + ":"):
                    total += int(line.split()[1])
    return total


def cpu_seconds(pids):
    """User and system time that these processes have used so far."""
    ticks = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            rest = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
            ticks += int(rest[11]) + int(rest[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def run_ns(pids):
    """Time on a CPU so far, exactly (the first number of schedstat)."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            total += int(open(f"/proc/{pid}/schedstat").read().split()[0])
    return total


def warm(where):
    """The workers have worked: their pages are their own."""
    fresh_files(where / "warm", 300)
    settle()
    opens("first", where / "warm", 300, 4)
    opens("first", where / "warm", 300)


@contextlib.contextmanager
def tmpfs(name, size="512M"):
    where = pathlib.Path(tempfile.mkdtemp(prefix=name + "-"))
    where.chmod(0o755)
    mount(name, where, "tmpfs", 0, f"size={size},mode=1777")
    try:
        yield where
    finally:
        umount(where)
        shutil.rmtree(where, ignore_errors=True)


@contextlib.contextmanager
def database(signatures):
    """Made-up hash signatures, so many, and EICAR's."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="benchdb-"))
    path.chmod(0o755)
    with open(path / "made.hsb", "w") as f:
        for i in range(signatures):
            f.write(f"{i:064x}:{i % 100000 + 100}:Made.Up-{i}:73\n")
    with open(path / "eicar.ndb", "w") as f:
        f.write("Bench.EICAR:0:0:" + EICAR.hex() + "\n")
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def answered(where):
    """A mount on which every open is asked for and allowed at once."""
    p = subprocess.Popen([str(BIN / "answer"), str(where)],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert p.stdout.readline() == b"ready\n"
        yield where
    finally:
        p.stdin.close()
        p.wait(20)
        p.stdout.close()


class Sampler(threading.Thread):
    """Takes the most that what() ever says while it runs."""

    def __init__(self, what, pause=0.02):
        super().__init__(daemon=True)
        self.what, self.pause = what, pause
        self.peak = 0
        self.over = threading.Event()

    def run(self):
        while not self.over.is_set():
            self.peak = max(self.peak, self.what())
            self.over.wait(self.pause)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()


def clamd_conf(root, patterns, watched):
    """For clamd and clamonacc, as they are compared with us."""
    return (
        f"LocalSocket {root}/clamd.sock\nUser root\nForeground yes\n"
        f"DatabaseDirectory {patterns}\nMaxThreads 4\nSelfCheck 0\n"
        f"TemporaryDirectory {root}\nLogFile {root}/clamd.log\n"
        "MaxFileSize 256M\nMaxScanSize 512M\n"
        f"OnAccessIncludePath {watched}\nOnAccessPrevention yes\n"
        "OnAccessExcludeUname clamav\nOnAccessExcludeRootUID no\n"
        "OnAccessMaxFileSize 5M\nOnAccessMaxThreads 5\n"
        "OnAccessRetryAttempts 0\nOnAccessDenyOnError no\n")


class Clam:
    """clamd, and clamonacc on a tmpfs of its own."""

    def __init__(self, patterns):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="clamon-"))
        self.root.chmod(0o755)
        self.dir = self.root / "watch"
        self.dir.mkdir()
        mount("clam-bench", self.dir, "tmpfs", 0, "size=512M,mode=1777")
        self.conf = self.root / "clamd.conf"
        self.conf.write_text(clamd_conf(self.root, patterns, self.dir))
        self.procs = []

    def _spawn(self, *args):
        self.procs.append(subprocess.Popen(
            [*map(str, args)], stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL))
        return self.procs[-1]

    def _blocks(self):
        bad = self.dir / "bad"
        with contextlib.suppress(OSError):
            bad.write_bytes(EICAR)
        try:
            bad.read_bytes()
            return False
        except PermissionError:
            return True

    def __enter__(self):
        self.clamd = self._spawn("clamd", "-c", self.conf)
        wait_for(lambda: (self.root / "clamd.sock").exists(), 120)
        self._spawn("clamonacc", "-c", self.conf, "--fdpass", "--foreground",
                    f"--log={self.root}/onacc.log")
        wait_for(self._blocks, 60, 0.5)
        return self

    def __exit__(self, *_):
        for p in reversed(self.procs):
            p.terminate()
            try:
                p.wait(20)
            except subprocess.TimeoutExpired:
                p.send_signal(signal.SIGKILL)
                p.wait(20)
        umount(self.dir)
        shutil.rmtree(self.root, ignore_errors=True)

    def forget(self):
        """A new engine: its cache of clean files is empty."""
        log = self.root / "clamd.log"

        def times():
            return log.read_text(errors="replace").count("Database correctly "
                                                         "reloaded")
        before = times()
        subprocess.run(["clamdscan", "-c", str(self.conf), "--reload"],
                       check=True, stdout=subprocess.DEVNULL)
        wait_for(lambda: times() > before, 120)
        time.sleep(0.5)

    def clamdscan(self, path):
        """Seconds, and CPU seconds of clamd, for a scan of a tree."""
        cpu = cpu_seconds([self.clamd.pid])
        start = time.monotonic()
        r = subprocess.run(["clamdscan", "-c", str(self.conf), "--multiscan",
                            "--fdpass", str(path)], capture_output=True)
        took = time.monotonic() - start
        if r.returncode == 2 and b"Infected files: 0" not in r.stdout:
            raise AssertionError(r.stdout[-500:] + r.stderr[-500:])
        return took, cpu_seconds([self.clamd.pid]) - cpu
