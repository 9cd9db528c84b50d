# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""What openers pay after an update of patterns, which voids all that was known
clean: by AfterUpdate. A tree on an ext4 of its own is opened at a steady pace,
at random, before an update and in the minute after it."""

import contextlib
import json
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import tempfile
import threading
import time

from bed import fresh_files, opens, settle
from figures import at_most
from suite import Suite, mount, umount, wait_for

FILES = 4000
PACE = 0.002  # seconds between two opens
MINUTE = 60


@contextlib.contextmanager
def disk(megabytes=128):
    """An ext4: nothing in memory is ever known clean."""
    root = pathlib.Path(tempfile.mkdtemp(prefix="disk-bench-"))
    root.chmod(0o755)
    image, where = root / "image", root / "disk"
    where.mkdir()
    with open(image, "wb") as f:
        f.truncate(megabytes << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
    loop = subprocess.run(["losetup", "-f", "--show", image], check=True,
                          capture_output=True, text=True).stdout.strip()
    try:
        mount(loop, where, "ext4")
        yield where
    finally:
        umount(where)
        subprocess.run(["losetup", "-d", loop])
        shutil.rmtree(root, ignore_errors=True)


class Opener(threading.Thread):
    """Opens at a steady pace; `seen`: (when, how long), in seconds."""

    def __init__(self, where):
        super().__init__(daemon=True)
        self.paths = [str(where / str(i)) for i in range(FILES)]
        self.random = random.Random(1)
        self.seen = []
        self.over = False

    def run(self):
        while not self.over:
            path = self.random.choice(self.paths)
            start = time.perf_counter()
            os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
            end = time.perf_counter()
            self.seen.append((start, end - start))
            time.sleep(PACE)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over = True
        self.join()

    def p99(self, since, until):
        took = [d for t, d in self.seen if since <= t < until]
        return statistics.quantiles(took, n=100)[98] * 1e6


def generation(s):
    path = s.root / "run/splx/vsapiapp.json"
    return json.loads(path.read_text())["generation"]


def one_round(s, where, more, seconds):
    """The p99 before an update and after it, in µs."""
    fresh_files(where / "tree", FILES)
    settle()
    for _ in range(2):
        opens("first", where / "tree", FILES, 1)
    with Opener(where / "tree") as opener:
        time.sleep(seconds / 4)
        now = generation(s)
        # only other patterns void what is known
        with open(more / "more.ndb", "a") as f:
            f.write(f"Bench.More-{time.monotonic_ns()}:0:*:"
                    + os.urandom(16).hex() + "\n")
        before = time.perf_counter()
        order = threading.Thread(target=s.ctl, args=("pattern", "reload"),
                                 kwargs={"seconds": 180})
        order.start()
        wait_for(lambda: generation(s) > now, 180, 0.005)
        switch = time.perf_counter() - 0.02
        order.join()
        time.sleep(seconds)
        return (opener.p99(before - seconds / 4, before),
                opener.p99(switch, switch + seconds))


def after_update(b, db, seconds=MINUTE):
    for mode, target, met in (("lazy", "–", None),
                              ("rescan", "≤ 2 × before", at_most(2))):
        before, after = [], []
        with contextlib.ExitStack() as stack:
            where = stack.enter_context(disk())
            more = pathlib.Path(stack.enter_context(
                tempfile.TemporaryDirectory(prefix="benchmore-")))
            more.chmod(0o755)
            s = stack.enter_context(Suite(
                life=7000, FirstAction="deny", RealtimeScan="6",
                VerdictTimeout="60s", ScanAtStart="no", AfterUpdate=mode,
                PatternDirectory=[str(db), str(more)]))
            s.write_conf(Include=[s.dir, where])
            s.start(wait=False)
            s.wait_ready(180)
            for _ in range(max(1, b.rounds // 3)):
                got = one_round(s, where, more, seconds)
                before.append(got[0])
                after.append(got[1])
        b.row(f"p99 of opens in the minute after an update, {mode} (bare: "
              f"before it), {FILES} known files", "µs", target, met,
              bare=before, ours=after)
