# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""make bench: bare, ours and clamd+clamonacc, round by round in one run.

Every figure is the median of ROUNDS rounds; what counts is the ratio of a
round's figure to the bare one of the same round, so that a machine that gets
slower meanwhile does not show. Writes build/bench/table.md and results.json.
"""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

REPO = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "tests/system"))

from suite import Suite, mount, umount, wait_for, EICAR  # noqa: E402

OPENS = REPO / "build/tests/bench/opens"
SCANDESC = REPO / "build/tests/bench/scandesc"
OUT = REPO / "build/bench"


def opens(*args):
    out = subprocess.run([str(OPENS), *map(str, args)], check=True,
                         capture_output=True).stdout
    return json.loads(out)


def small_files(where, n, size=4096, tag=b""):
    """n small text files, each different, settled for over a clock tick."""
    shutil.rmtree(where, ignore_errors=True)
    where.mkdir(parents=True)
    for i in range(n):
        text = (b"%s line %d of a text file\n" % (tag, i)) * 400
        (where / str(i)).write_bytes(text[:size])
        (where / str(i)).chmod(0o644)


def rss_kib(pids, field="Pss"):
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for line in open(f"/proc/{pid}/smaps_rollup"):
                if line.startswith(field + ":"):
                    total += int(line.split()[1])
    return total


def make_database(path, signatures):
    """A hash database of that many made-up signatures, and EICAR's."""
    with open(path / "made.hsb", "w") as f:
        for i in range(signatures):
            f.write(f"{i:064x}:{i % 100000 + 100}:Made.Up-{i}:73\n")
    with open(path / "eicar.ndb", "w") as f:
        f.write("Bench.EICAR:0:0:" + EICAR.hex() + "\n")


class Clam:
    """clamd and clamonacc on a tmpfs of their own, as PEERS were measured."""

    def __init__(self, database):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="clamon-"))
        self.root.chmod(0o755)
        self.dir = self.root / "watch"
        self.dir.mkdir()
        mount("clam-bench", self.dir, "tmpfs", 0, "size=512M,mode=1777")
        self.conf = self.root / "clamd.conf"
        self.conf.write_text(
            f"LocalSocket {self.root}/clamd.sock\nUser root\nForeground yes\n"
            f"DatabaseDirectory {database}\nMaxThreads 4\nSelfCheck 0\n"
            f"TemporaryDirectory {self.root}\nLogFile {self.root}/clamd.log\n"
            f"OnAccessIncludePath {self.dir}\nOnAccessPrevention yes\n"
            "OnAccessExcludeUname clamav\nOnAccessExcludeRootUID no\n"
            "OnAccessMaxFileSize 5M\nOnAccessMaxThreads 5\n"
            "OnAccessRetryAttempts 0\nOnAccessDenyOnError no\n")
        self.procs = []

    def __enter__(self):
        self.procs.append(subprocess.Popen(
            ["clamd", "-c", str(self.conf)], stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL))
        wait_for(lambda: (self.root / "clamd.sock").exists(), 120)
        self.procs.append(subprocess.Popen(
            ["clamonacc", "-c", str(self.conf), "--fdpass", "--foreground",
             f"--log={self.root}/onacc.log"], stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL))
        bad = self.dir / "bad"

        def blocks():
            with contextlib.suppress(OSError):
                bad.write_bytes(EICAR)
            try:
                bad.read_bytes()
                return False
            except PermissionError:
                return True
        wait_for(blocks, 60, 0.5)
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

    def clamdscan(self, path):
        start = time.monotonic()
        subprocess.run(["clamdscan", "-c", str(self.conf), "--multiscan",
                        "--fdpass", "--quiet", str(path)])
        return time.monotonic() - start


class Bench:
    def __init__(self, rounds):
        self.rounds = rounds
        self.rows = []
        self.raw = {}

    def row(self, name, unit, target, **figures):
        """figures: column -> list, one value a round."""
        med = {k: statistics.median(v) for k, v in figures.items() if v}
        ratios = {k: statistics.median([a / b for a, b in
                                        zip(v, figures["bare"])])
                  for k, v in figures.items() if k != "bare" and v
                  and figures.get("bare")}
        self.rows.append((name, unit, target, med, ratios))
        self.raw[name] = figures
        print(f"{name}: " + ", ".join(
            f"{k} {m:.4g} {unit}" + (f" ({ratios[k]:.2f} x)"
                                     if k in ratios else "")
            for k, m in med.items()), flush=True)

    def table(self):
        cols = ["bare", "ours", "clamonacc"]
        lines = ["| | unit | bare | ours | clamonacc | ours / bare | "
                 "clamonacc / bare | target |", "|---|---|" + "---|" * 6]
        for name, unit, target, med, ratios in self.rows:
            cells = [f"{med[c]:.4g}" if c in med else "–" for c in cols]
            rs = [f"{ratios[c]:.2f}" if c in ratios else "–"
                  for c in cols[1:]]
            lines.append(f"| {name} | {unit} | " + " | ".join(cells + rs)
                         + f" | {target} |")
        return "\n".join(lines) + "\n"


def known_clean(b, ours, clam, bare):
    figures = {"bare": [], "ours": [], "clamonacc": []}
    for d in (ours, clam, bare):
        (d / "known").write_bytes(b"known clean text\n" * 240)
        (d / "known").chmod(0o644)
    time.sleep(1)
    for d in (ours, clam, bare):
        opens("known", d / "known", 20)
    for _ in range(b.rounds):
        for col, d, n in (("bare", bare, 100000), ("ours", ours, 100000),
                          ("clamonacc", clam, 1000)):
            figures[col].append(
                opens("known", d / "known", n)["p50_ns"] / 1000)
    b.row("open of a known clean file", "µs", "≤ 1.4 × bare", **figures)


def first_open(b, ours, clam, bare, database):
    n = 2000
    figures = {"bare": [], "ours": [], "clamonacc": []}
    four = {"bare": [], "ours": [], "clamonacc": []}
    scratch = bare / "scratch"
    scratch.mkdir(exist_ok=True)
    for r in range(b.rounds):
        for d in (ours, clam, bare):
            small_files(d / "first", n if d != clam else 500,
                        tag=b"%d" % time.monotonic_ns())
        time.sleep(2)
        # written and closed: let close-after-write scans end, then forget
        settle(ours / "first", n)
        out = subprocess.run([str(SCANDESC), str(database), str(scratch),
                              str(bare / "first"), str(n)], check=True,
                             capture_output=True).stdout
        figures["bare"].append(json.loads(out)["p50_ns"] / 1000)
        figures["ours"].append(opens("first", ours / "first", n)["p50_ns"]
                               / 1000)
        figures["clamonacc"].append(
            opens("first", clam / "first", 500)["p50_ns"] / 1000)
        for col, d, k in (("ours", ours, n), ("clamonacc", clam, 500)):
            settle(d / "first", k)
            one = opens("first", d / "first", k, 1)["total_ns"]
            settle(d / "first", k)
            par = opens("first", d / "first", k, 4)["total_ns"]
            four[col].append(one / par)
        four["bare"].append(1)
    b.row("first open of a small file (bare: cl_scandesc)", "µs",
          "≤ 1.3 × bare, ≤ 0.3 × clamonacc", **figures)
    b.row("the same with 4 openers: throughput against one", "×",
          "≥ 1.8", **four)


def settle(where, n):
    """Makes n files unknown again: a new ctime, older than a clock tick."""
    for i in range(n):
        os.utime(where / str(i), (i + 1, time.time()))
    time.sleep(0.1)


def under_load(b, ours, clam, bare):
    """p99 of small first opens while two large files are scanned."""
    idle, busy = [], []
    for r in range(b.rounds):
        small_files(ours / "light", 500, tag=b"%d" % time.monotonic_ns())
        time.sleep(1)
        settle(ours / "light", 500)
        idle.append(opens("first", ours / "light", 500)["p99_ns"] / 1e6)
        settle(ours / "light", 500)
        heavy = []
        for i in range(3):
            p = ours / f"heavy-{i}"
            p.write_bytes(os.urandom(40 << 20))
            heavy.append(p)
        time.sleep(8)
        for p in heavy:
            os.utime(p)
        time.sleep(0.1)
        load = [subprocess.Popen(["cat", str(p)], stdout=subprocess.DEVNULL)
                for p in heavy]
        time.sleep(0.2)
        busy.append(opens("first", ours / "light", 500)["p99_ns"] / 1e6)
        for p in load:
            p.wait()
        for p in heavy:
            p.unlink()
    b.row("p99 of a small first open while large files are scanned "
          "(bare: the same, idle)", "ms", "≤ 2 × idle", bare=idle, ours=busy)


def reads(b, ours, clam, bare):
    figures = {"bare": [], "ours": [], "clamonacc": []}
    for d in (ours, clam, bare):
        (d / "mib").write_bytes(os.urandom(1 << 20))
        (d / "mib").chmod(0o644)
    time.sleep(1)
    for d in (ours, clam, bare):
        opens("read", d / "mib", 3)
    for _ in range(b.rounds):
        for col, d, n in (("bare", bare, 200), ("ours", ours, 200),
                          ("clamonacc", clam, 3)):
            figures[col].append(opens("read", d / "mib", n)["p50_ns"] / 1000)
    b.row("1 MiB read in 4 KiB reads", "µs", "≤ 1.05 × bare", **figures)


def spawns(b, ours, clam, bare):
    figures = {"bare": [], "ours": [], "clamonacc": []}
    for d in (ours, clam, bare):
        shutil.copy("/bin/true", d / "true")
        (d / "true").chmod(0o755)
    time.sleep(1)
    for d in (ours, clam, bare):
        opens("spawn", d / "true", 5)
    for _ in range(b.rounds):
        for col, d, n in (("bare", bare, 400), ("ours", ours, 400),
                          ("clamonacc", clam, 100)):
            figures[col].append(
                opens("spawn", d / "true", n)["p50_ns"] / 1000)
    b.row("spawn of a known program", "µs", "≤ 1.1 × bare", **figures)


def memory_and_reload(b, s, bare, database):
    out = subprocess.run([str(SCANDESC), str(database), "/tmp", "/tmp", "0"],
                         check=True, capture_output=True).stdout
    engine = json.loads(out)["rss_kib"]
    # workers that have worked
    small_files(s.dir / "warm", 400)
    opens("first", s.dir / "warm", 400, 4)
    vsapi = [p for p, t in s.titles().items() if "vsapiapp" in t]
    b.row(f"memory of {len(vsapi)} vsapiapp processes (bare: one engine)",
          "MiB", "≤ 1.1 engines", bare=[engine / 1024],
          ours=[rss_kib(vsapi) / 1024])
    bad = s.dir / "bad"
    bad.write_bytes(EICAR)
    peak, missed, tries = 0, 0, 0
    old = s.pid_of("generation")
    s.ctl("pattern", "reload", seconds=120, check=False)
    start = time.monotonic()
    freed = None
    while time.monotonic() - start < 60:
        tries += 1
        try:
            bad.read_bytes()
            missed += 1
        except PermissionError:
            pass
        if tries % 50 == 0:
            vsapi = [p for p, t in s.titles().items() if "vsapiapp" in t]
            peak = max(peak, rss_kib(vsapi))
            if freed is None and old not in vsapi:
                freed = time.monotonic() - start
                break
    b.row("reload: peak memory (bare: one engine)", "MiB", "≤ 2.1 engines",
          bare=[engine / 1024], ours=[peak / 1024])
    b.row(f"reload: infected opens let through, of {tries}", "", "0",
          ours=[missed])
    b.row("reload: until the old engine is gone", "s", "≤ 60",
          ours=[freed or -1])


def on_demand(b, s, clam_proc, tree):
    first, again, peer = [], [], []
    for _ in range(max(1, b.rounds // 2)):
        peer.append(clam_proc.clamdscan(tree))
        start = time.monotonic()
        s.ctl("scan", "--all", tree, check=False, seconds=3000)
        first.append(time.monotonic() - start)
        s.ctl("scan", tree, check=False, seconds=3000)
        start = time.monotonic()
        s.ctl("scan", tree, check=False, seconds=3000)
        again.append(time.monotonic() - start)
    b.row(f"scan of {tree} (bare: clamdscan --multiscan --fdpass)", "s",
          "≤ 0.95", bare=peer, ours=first)
    b.row("the same, files known", "s", "≤ 0.5", bare=peer, ours=again)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--rounds", type=int, default=5)
    ap.add_argument("--signatures", type=int, default=100000)
    ap.add_argument("--tree", default="/usr/bin")
    args = ap.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    b = Bench(args.rounds)
    with contextlib.ExitStack() as stack:
        db = pathlib.Path(tempfile.mkdtemp(prefix="benchdb-"))
        db.chmod(0o755)
        stack.callback(shutil.rmtree, db, ignore_errors=True)
        make_database(db, args.signatures)
        bare = pathlib.Path(tempfile.mkdtemp(prefix="bare-"))
        mount("bare-bench", bare, "tmpfs", 0, "size=512M")
        stack.callback(shutil.rmtree, bare, ignore_errors=True)
        stack.callback(umount, bare)
        s = stack.enter_context(Suite(
            life=5400, FirstAction="deny", PatternDirectory=[str(db)]))
        s.start()
        clam = stack.enter_context(Clam(db))
        known_clean(b, s.dir, clam.dir, bare)
        reads(b, s.dir, clam.dir, bare)
        spawns(b, s.dir, clam.dir, bare)
        first_open(b, s.dir, clam.dir, bare, db)
        under_load(b, s.dir, clam.dir, bare)
        memory_and_reload(b, s, bare, db)
        on_demand(b, s, clam, args.tree)
    (OUT / "results.json").write_text(json.dumps(b.raw, indent=1))
    (OUT / "table.md").write_text(b.table())
    print(f"\n{b.table()}\nwritten to {OUT}/table.md")


if __name__ == "__main__":
    main()
