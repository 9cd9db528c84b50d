# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""make bench: bare, ours and clamd+clamonacc, round by round in one run.

Every figure is the median of the rounds. What counts is the ratio of a
round's figure to the bare one of the same round, so that a machine that gets
slower meanwhile does not show; judge() says when a target is met. Writes
build/bench/table.md and results.json, and with --publish puts the table between
the marker lines of a document. The kernel module's rows are measured last, in
virtual machines (module_rows.py), into module.md.

Ours runs with RealtimeScan=6 (open and exec) in the rows about time, so that
a file that was just written is still unknown when it is opened; each measured
pass has new files. VerdictTimeout is long, so that nothing is let through
unseen. Nothing else is set otherwise than by default.
"""

import argparse
import contextlib
import json
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import module_rows  # noqa: E402 (its folder has the next one)
import console_rows  # noqa: E402
import update_rows  # noqa: E402
from cache import Unavailable  # noqa: E402
from bed import (REPO, Clam, Sampler, answered, cpu_seconds,  # noqa: E402
                 database, fresh_files, memory_kib, opens, run_ns, scandesc,
                 settle, tmpfs, warm)
from figures import at_most, judge, publish, ratio_cell  # noqa: E402
from suite import EICAR, Suite, wait_for  # noqa: E402

OUT = REPO / "build/bench"
COLUMNS = ["bare", "ours", "clamonacc"]


class Bench:
    def __init__(self, rounds):
        self.rounds = rounds
        self.rows = []
        self.raw = {}
        self.loads = []

    def load(self):
        self.loads.append(round(os.getloadavg()[0], 1))

    def row(self, name, unit, target, met, **figures):
        """figures: column -> list, one value a round. met: takes the ratios
        ours/bare (ours itself where there is no bare) and ours/clamonacc
        (None without such a column); None: there is no target."""
        self.load()
        self.rows.append(name)
        self.raw[name] = judge(unit, target, met, figures, self.loads[-1])
        row = self.raw[name]
        print(f"{name}: {row['median']} {unit}, ours/bare {row['ours/bare']}, "
              f"target {target}: {row['met']}; load {row['load']}",
              flush=True)

    def table(self):
        return render(self.rounds, self.loads, self.raw)


def render(rounds, loads, raw):
    lines = ["| | unit | bare | ours | clamonacc | ours / bare | "
             "ours / clamonacc | target | met |", "|---|" + "---|" * 8]
    for name, row in raw.items():
        cells = [f"{row['median'][c]:.4g}" if c in row["median"] else "–"
                 for c in COLUMNS]
        cells += [ratio_cell(row["ours/bare"]),
                  ratio_cell(row["ours/clamonacc"])]
        lines.append(f"| {name} | {row['unit']} | " + " | ".join(cells)
                     + f" | {row['target']} | {row['met']} |")
    return (f"{rounds} rounds; {os.cpu_count()} CPUs, Linux "
            f"{os.uname().release.split('-')[0]}; load average meanwhile "
            f"{min(loads)} to {max(loads)}. Ratios: the median of the rounds' "
            "own (the least to the most).\n\n" + "\n".join(lines) + "\n")


def turns(b, figures, passes, n):
    """Each round the passes in turns, in small pieces."""
    for _ in range(b.rounds):
        got = {k: [] for k in passes}
        for _ in range(n):
            for k, one in passes.items():
                got[k].append(one())
        for k, v in got.items():
            figures[k].append(statistics.median(v))


def columns():
    return {"bare": [], "ours": [], "clamonacc": []}


def known_clean(b, ours, clam, bare):
    figures = columns()
    dirs = {"bare": (bare, 20000), "ours": (ours, 20000),
            "clamonacc": (clam, 50)}
    for d, _ in dirs.values():
        (d / "known").write_bytes(b"known clean text\n" * 240)
        (d / "known").chmod(0o644)
    settle()
    for d, _ in dirs.values():
        opens("known", d / "known", 20)
    turns(b, figures, {k: lambda d=d, n=n:
                       opens("known", d / "known", n)["p50_ns"] / 1000
                       for k, (d, n) in dirs.items()}, 5)
    b.row("open of a known clean file", "µs", "≤ 1.4 × bare", at_most(1.4),
          **figures)


def reads(b, ours, clam, bare):
    figures = columns()
    dirs = {"bare": (bare, 50), "ours": (ours, 50), "clamonacc": (clam, 1)}
    for d, _ in dirs.values():
        (d / "mib").write_bytes(os.urandom(1 << 20))
        (d / "mib").chmod(0o644)
    settle()
    for d, _ in dirs.values():
        opens("read", d / "mib", 3)
    turns(b, figures, {k: lambda d=d, n=n:
                       opens("read", d / "mib", n)["p50_ns"] / 1000
                       for k, (d, n) in dirs.items()}, 5)
    b.row("1 MiB read in 4 KiB reads, known", "µs", "≤ 1.05 × bare",
          at_most(1.05), **figures)


def spawns(b, ours, clam, bare):
    figures = columns()
    dirs = {"bare": (bare, 60), "ours": (ours, 60), "clamonacc": (clam, 10)}
    for d, _ in dirs.values():
        shutil.copy("/bin/true", d / "true")
        (d / "true").chmod(0o755)
    settle()
    for d, _ in dirs.values():
        opens("spawn", d / "true", 5)
    turns(b, figures, {k: lambda d=d, n=n:
                       opens("spawn", d / "true", n)["p50_ns"] / 1000
                       for k, (d, n) in dirs.items()}, 7)
    b.row("spawn of a known program", "µs", "≤ 1.1 × bare", at_most(1.1),
          **figures)


def first_opens(s, where, n, procs=1, cpu=None):
    """Opens that are certainly scans."""
    def scans():
        return s.counters()["scans"]
    before = scans()
    got = opens("first", where, n, procs, cpu=cpu)
    wait_for(lambda: scans() >= before + n, 5)
    return got


def first_open(b, s, clam, bare, db, floor, cpu=None):
    """cpu: opener and workers (and the bare engine) on one CPU alone."""
    n, few = 1000, 150
    figures = columns()
    kernel = []
    scratch = bare / "scratch"
    scratch.mkdir(exist_ok=True)
    for _ in range(b.rounds):
        for pid in s.workers("front"):
            os.sched_setaffinity(pid, {cpu} if cpu is not None
                                 else range(os.cpu_count()))
        warm(s.dir)
        for d, k in ((s.dir, n), (clam, few), (bare, n), (floor, n)):
            fresh_files(d / "first", k)
        settle()
        figures["bare"].append(scandesc(db, scratch, bare / "first", n,
                                        cpu=cpu)["p50_ns"] / 1000)
        figures["ours"].append(first_opens(s, s.dir / "first", n,
                                           cpu=cpu)["p50_ns"] / 1000)
        if cpu is None:
            kernel.append(opens("first", floor / "first", n)["p50_ns"] / 1000)
            figures["clamonacc"].append(
                opens("first", clam / "first", few)["p50_ns"] / 1000)
    for pid in s.workers("front"):
        os.sched_setaffinity(pid, range(os.cpu_count()))
    if cpu is not None:
        b.row("the same, opener and scanner on one CPU", "µs",
              "≤ 1.3 × bare", at_most(1.3), **figures)
        return
    b.row("first open of a small file (bare: cl_scandesc in one process)",
          "µs", "≤ 1.3 × bare, ≤ 0.3 × clamonacc", at_most(1.3, 0.3),
          **figures)
    b.row("for comparison: allowed at once by a program that looks at "
          "nothing (bare: ours)", "µs", "–", None,
          ours=kernel, bare=figures["ours"])


def four_openers(b, s, clam, bare, db):
    """Throughput of four against one; bare: the engine in four processes,
    which says what this machine has to give while it is measured."""
    n, few = 2000, 200
    figures = columns()
    used = {1: [], 4: []}
    scratch = bare / "scratch"

    def ours_cpu():
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return (run_ns(s.processes()) / 1e3
                + (children.ru_utime + children.ru_stime) * 1e6)
    for _ in range(b.rounds):
        warm(s.dir)
        took = {}
        for procs in (1, 4):
            for d, k in ((s.dir, n), (clam, few), (bare, n)):
                fresh_files(d / "first", k)
            settle()
            took["bare", procs] = scandesc(db, scratch, bare / "first", n,
                                           procs)["total_ns"]
            before = ours_cpu()
            took["ours", procs] = first_opens(s, s.dir / "first", n,
                                              procs)["total_ns"]
            used[procs].append((ours_cpu() - before) / n)
            took["clamonacc", procs] = opens("first", clam / "first", few,
                                             procs)["total_ns"]
        for k in figures:
            figures[k].append(took[k, 1] / took[k, 4])
    b.row("4 openers: throughput against one (bare: cl_scandesc in 4 "
          "processes)", "×", "–", None, **figures)
    b.row("that throughput, ours alone", "×", "≥ 1.8",
          lambda o, p: o >= 1.8, ours=figures["ours"])
    b.row("CPU time of an open, opener and suite, with 4 openers (bare: with "
          "one)", "µs", "≤ 1.11 (1.8 × on 2 idle CPUs)", at_most(1.11),
          bare=used[1], ours=used[4])


def under_load(b, s):
    """p99 of small first opens while three large files are scanned, which go
    on for longer than the measurement."""
    n = 1000
    idle, busy = [], []
    for r in range(b.rounds):
        warm(s.dir)
        heavy = []
        for d in ("idle", "light"):
            fresh_files(s.dir / d, n)
        for i in range(3):
            p = s.dir / f"heavy-{i}"
            with open(p, "wb") as f:
                for _ in range(40):
                    f.write(os.urandom(1 << 20))
            heavy.append(p)
        settle()
        idle.append(first_opens(s, s.dir / "idle", n)["p99_ns"] / 1e6)
        load = [subprocess.Popen(["head", "-c1", str(p)],
                                 stdout=subprocess.DEVNULL) for p in heavy]
        time.sleep(0.1)
        busy.append(first_opens(s, s.dir / "light", n)["p99_ns"] / 1e6)
        still = sum(p.poll() is None for p in load)
        for p in load:
            p.wait()
        for p in heavy:
            p.unlink()
        if not still:
            raise AssertionError("the large files were done too early")
    b.row("p99 of a first open while 3 large files are scanned (bare: idle)",
          "ms", "≤ 2 × idle", at_most(2), bare=idle, ours=busy)


def memory_and_reload(b, signatures):
    """With a set of a real size, and as it is installed (RealtimeScan 7)."""
    with contextlib.ExitStack() as stack:
        db = stack.enter_context(database(signatures))
        engine = scandesc(db, "/tmp", "/tmp", 0)["rss_kib"] / 1024
        s = stack.enter_context(Suite(life=900, FirstAction="deny",
                                      PatternDirectory=[str(db)]))
        s.start(wait=False)
        s.wait_ready(180)
        warm(s.dir)

        def ours():
            return [p for p, t in s.titles().items() if "vsapiapp" in t]
        pids = ours()
        b.row(f"memory of {len(pids)} vsapiapp processes (bare: one engine, "
              f"{signatures} signatures)", "MiB", "≤ 1.1 engines",
              at_most(1.1), bare=[engine], ours=[memory_kib(pids) / 1024])
        reload(b, s, engine, ours)


def reload(b, s, engine, ours):
    bad = s.dir / "bad"
    bad.write_bytes(EICAR)
    old = s.pid_of("generation")
    tries = missed = 0
    freed = None
    with Sampler(lambda: memory_kib(ours()), 0.05) as sampler:
        start = time.monotonic()
        job = threading.Thread(target=s.ctl, args=("pattern", "reload"),
                               kwargs={"seconds": 180, "check": False})
        job.start()
        while time.monotonic() - start < 180:
            tries += 1
            try:
                bad.read_bytes()
                missed += 1
            except PermissionError:
                pass
            if tries % 50 == 0 and not os.path.exists(f"/proc/{old}"):
                freed = time.monotonic() - start
                break
            time.sleep(0.001)
        job.join()
    b.row("reload: peak memory (bare: one engine)", "MiB", "≤ 2.1 engines",
          at_most(2.1), bare=[engine], ours=[sampler.peak / 1024])
    b.row(f"reload: infected opens let through, of {tries}", "", "0",
          lambda o, p: o == 0, ours=[missed])
    b.row("reload: from the order until the old engine is gone", "s", "≤ 60",
          lambda o, p: 0 <= o <= 60, ours=[freed or -1])


def on_demand(b, s, clam, tree):
    cold, cold_peer, known, known_peer, cpu, cpu_peer = ([] for _ in range(6))
    for _ in range(max(1, b.rounds // 3)):
        clam.forget()
        took, used = clam.clamdscan(tree)
        cold_peer.append(took)
        cpu_peer.append(used)
        known_peer.append(clam.clamdscan(tree)[0])
        for args, out in (("--all", cold), (None, None), (None, known)):
            before = cpu_seconds(s.processes())
            start = time.monotonic()
            said = s.ctl("scan", *([args] if args else []), tree, check=False,
                         seconds=3000).stdout
            if out is not None:
                out.append(time.monotonic() - start)
            if ("Known clean" in said) != (args is None):
                raise AssertionError(said)
            if out is cold:
                cpu.append(cpu_seconds(s.processes()) - before)
    peer = "clamdscan --multiscan --fdpass"
    b.row(f"scan of {tree} (bare: {peer}, its cache empty)", "s",
          "≤ 0.95 × bare", at_most(0.95), bare=cold_peer, ours=cold)
    b.row("CPU time of that scan (bare: clamd)", "s", "–", None,
          bare=cpu_peer, ours=cpu)
    b.row("the same again, files known (bare: the first one)", "s",
          "≤ 0.5 × bare", at_most(0.5), bare=cold_peer, ours=known)
    b.row("the same again (bare: clamdscan again)", "s", "–", None,
          bare=known_peer, ours=known)


def measure(b, args):
    with contextlib.ExitStack() as stack:
        db = stack.enter_context(database(args.signatures))
        bare = stack.enter_context(tmpfs("bare-bench"))
        floor = stack.enter_context(answered(
            stack.enter_context(tmpfs("floor-bench"))))
        s = stack.enter_context(Suite(
            life=7000, FirstAction="deny", RealtimeScan="6",
            VerdictTimeout="60s",
            PatternDirectory=[str(db)]))
        s.start()
        clam = stack.enter_context(Clam(db))
        b.load()
        parts = {
            "known": lambda: known_clean(b, s.dir, clam.dir, bare),
            "read": lambda: reads(b, s.dir, clam.dir, bare),
            "spawn": lambda: spawns(b, s.dir, clam.dir, bare),
            "first": lambda: (
                first_open(b, s, clam.dir, bare, db, floor),
                first_open(b, s, clam.dir, bare, db, floor, cpu=0)),
            "four": lambda: four_openers(b, s, clam.dir, bare, db),
            "load": lambda: under_load(b, s),
            "scan": lambda: on_demand(b, s, clam, args.tree),
        }
        for name, part in parts.items():
            if not args.only or name in args.only:
                part()
    if not args.only or "update" in args.only:
        with database(args.signatures) as db:
            update_rows.after_update(b, db, args.minute)
    if not args.only or "console" in args.only:
        console_rows.measure(b)
    if not args.only or "memory" in args.only:
        memory_and_reload(b, args.large)


def in_virtual_machines(args):
    """The module's rows; returns them for results.json, and the table. What
    is missing for them is told in their place."""
    try:
        raw = module_rows.measure(args.rounds, args.kernels.split(), OUT)
    except Unavailable as e:
        print(f"the kernel module is not measured: {e}", flush=True)
        return {"not measured": str(e)}, None
    return raw, module_rows.render(raw)


def save(raw, only):
    """All figures; those of a part beside what was there of others."""
    path = OUT / "results.json"
    if only and path.exists():
        raw = {**json.loads(path.read_text()), **raw}
    path.write_text(json.dumps(raw, indent=1))


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--rounds", type=int, default=7)
    ap.add_argument("--signatures", type=int, default=100000,
                    help="for the rows about time")
    ap.add_argument("--large", type=int, default=1000000,
                    help="signatures for memory and reload")
    ap.add_argument("--minute", type=float, default=update_rows.MINUTE,
                    help="how long openers are watched after an update")
    ap.add_argument("--tree", default="/usr/bin")
    ap.add_argument("--kernels", default="5.10 6.1 6.12 new",
                    help="for the kernel module, in virtual machines")
    ap.add_argument("--only", action="append",
                    help="known read spawn first four load scan update console "
                    "memory module")
    ap.add_argument("--publish", type=pathlib.Path)
    args = ap.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    b = Bench(args.rounds)
    if set(args.only or [""]) != {"module"}:
        measure(b, args)
        save(b.raw, args.only)
        (OUT / "table.md").write_text(b.table())
        if args.publish and not args.only:
            publish(args.publish, "table", b.table())
        print(f"\n{b.table()}\nwritten to {OUT}/table.md")
    if not args.only or "module" in args.only:
        raw, table = in_virtual_machines(args)
        save({"module": raw}, True)
        if table:
            (OUT / "module.md").write_text(table)
            if args.publish:
                publish(args.publish, "module", table)
            print(f"\n{table}\nwritten to {OUT}/module.md")


if __name__ == "__main__":
    main()
