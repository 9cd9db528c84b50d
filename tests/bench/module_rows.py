# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""The kernel module's rows: what it, fanotify and clamonacc add to an open, a
read and a spawn, in virtual machines with Debian's kernels.

A machine has one processor, and its time is made of the instructions that it
executes, so that nothing else on the host shows. vm/rounds measures, in turn
and round by round; here its figures become ratios to the bare one of the same
round."""

import json
import os
import re
import statistics
import subprocess
import sys
import tarfile

from bed import REPO, clamd_conf, database
from figures import at_most, judge, ratios, spread

sys.path.insert(0, str(REPO / "tests/vm"))

import kernels  # noqa: E402
import khm  # noqa: E402
import qemu  # noqa: E402
from suite import EICAR  # noqa: E402
from vm import VM  # noqa: E402

# Two nanoseconds an instruction; time that nobody uses is left out.
ICOUNT = ["-icount", "shift=1,sleep=off"]
# To clear memory is an instruction a byte here, and one alone on a processor:
# the buffer of a path's name would make half of an open on some kernels.
APPEND = "init_on_alloc=0"
ROUNDS = REPO / "build/tests/bench/vm/rounds"
OURS = "ftrace"  # what HookMethod = auto takes
STATES = ["bare", "idle", "ftrace", "fsnotify", "fanotify"]
CLAM_ROUNDS = 3  # they take long
COLUMNS = {"idle": "loaded, idle", "ftrace": "ours, ftrace",
           "fsnotify": "ours, fsnotify", "fanotify": "fanotify",
           "clamonacc": "clamonacc"}
# What each is, and its target by kernel ("" all).
LOADS = {
    "known": ("open and close of a known clean file",
              {"6.1": 1.05, "new": 1.10}),
    "read": ("1 MiB read in 4 KiB reads, known", {"": 1.05}),
    "spawn": ("spawn of a known program", {"": 1.1}),
    "first": ("first open of a small file, allowed at once, remembered", {}),
    "asked": ("the same, not remembered", {}),
}

RUN = """
cp rounds splxmod.ko /tmp && cd /tmp || exit 9
./rounds splxmod.ko {rounds} {states}
"""
RUN_CLAM = """
mkdir -p /clam && mount -t tmpfs clam /clam && tar -C / -xf clam.tar || exit 9
cp rounds /tmp && cd /clamd || exit 9
export LD_LIBRARY_PATH=/clamd/lib
ended() {{ cat clamd.out clamd.log onacc.out onacc.log; exit 8; }}
./clamd -c clamd.conf >clamd.out 2>&1 & clamd=$!
until [ -S clamd.sock ]; do
	kill -0 $clamd || ended
	sleep 0.5
done
./clamonacc -c clamd.conf --fdpass --foreground --log=/clamd/onacc.log \
	>onacc.out 2>&1 & onacc=$!
cp bad /clam/bad
while cat /clam/bad >/dev/null 2>&1; do
	kill -0 $onacc || ended
	sleep 0.5
done
/tmp/rounds - {rounds} bare clamonacc
status=$?
kill $onacc $clamd
wait $onacc $clamd
exit $status
"""


def lines_of(text):
    """{(load, state): [figure of each round]}"""
    got = {}
    for line in text.splitlines():
        if line.startswith("{"):
            one = json.loads(line)
            got.setdefault((one["load"], one["state"]), []).append(one["p50"])
    return got


def clam_archive(folder):
    """clamd and clamonacc of this machine with the libraries they need, and a
    database; None when they are not installed."""
    programs = [f"/usr/sbin/{n}" for n in ("clamd", "clamonacc")]
    if not all(map(os.path.exists, programs)):
        return None
    text = subprocess.run(["ldd", *programs], check=True, text=True,
                          stdout=subprocess.PIPE).stdout
    libraries = set(re.findall(r"(/\S+) \(0x", text))
    (folder / "clamd.conf").write_text(
        clamd_conf("/clamd", "/clamd/patterns", "/clam"))
    (folder / "bad").write_bytes(EICAR)
    path = folder / "clam.tar"
    with database(1000) as db, tarfile.open(path, "w", dereference=True) as tar:
        for p in (*programs, folder / "clamd.conf", folder / "bad"):
            tar.add(p, f"clamd/{os.path.basename(p)}")
        for p in libraries:
            tar.add(p, p if p.startswith("/lib64/")
                    else f"clamd/lib/{os.path.basename(p)}")
        tar.add(db, "clamd/patterns")
    return path


def measure_kernel(kernel, rounds, archive):
    """{(load, state): figures}, and those beside clamonacc. Its machine is
    switched off when the kernel had nothing to complain of."""
    vm = VM(kernel, frozen=False, memory=1024, append=APPEND)
    vm.machine.cpus = 1
    vm.machine.extra = ICOUNT
    try:
        khm.put(vm)
        vm.put(ROUNDS)
        got = lines_of(vm.check(RUN.format(
            rounds=rounds, states=" ".join(STATES)), seconds=3000).out)
        beside = {}
        if archive:
            vm.put(archive)
            beside = lines_of(vm.check(RUN_CLAM.format(
                rounds=min(rounds, CLAM_ROUNDS)), seconds=3000).out)
        vm.close()
    finally:
        vm.kill()
    return got, beside


def row(series, load, got, beside):
    """As judge() gives it, and the ratios of all states."""
    name, targets = LOADS[load]
    target = targets.get(series, targets.get(""))
    bare = got[load, "bare"]
    r = judge("instructions", f"≤ {target} × bare" if target else "–",
              target and at_most(target),
              {"bare": bare, "ours": got[load, OURS]}, None)
    r["figures"] = {s: got[load, s] for s in STATES}
    r["ratios"] = {s: spread(ratios(got[load, s], bare))
                   for s in STATES if s != "bare"}
    peer = beside.get((load, "clamonacc"))
    if peer:
        r["figures"]["clamonacc"] = peer
        r["figures"]["bare beside clamonacc"] = beside[load, "bare"]
        r["ratios"]["clamonacc"] = spread(ratios(peer, beside[load, "bare"]))
    print(f"{name}, {series}: {statistics.median(bare):.0f} instructions; "
          + ", ".join(f"{k} {v[0]:.3f}" for k, v in r["ratios"].items())
          + f"; target {r['target']}: {r['met']}", flush=True)
    return r


def measure(rounds, series, folder):
    """{"rounds": …, "kernels": {version: {load: row}}}. Unavailable when
    there is nothing to measure it with."""
    said = qemu.version()
    found = {s: kernels.get(s) for s in series}
    archive = clam_archive(folder)
    if not archive:
        print("clamonacc is not installed: it is left out", flush=True)
    out = {}
    for s, kernel in found.items():
        got, beside = measure_kernel(kernel, rounds, archive)
        out[kernel.version] = {load: row(s, load, got, beside)
                               for load in LOADS}
    return {"rounds": rounds, "qemu": said, "kernels": out}


# ---- the table ----

def ratio(r):
    if not r:
        return "–"
    digits = 3 if r[0] < 3 else 2 if r[0] < 30 else 0
    middle, low, high = (f"{x:.{digits}f}" for x in r)
    return middle if low == high else f"{middle} ({low} to {high})"


def short_version(version):
    return re.match(r"\d+\.\d+", version).group()


def render(raw):
    """The table; a row for each load and kernel."""
    head = ["", "kernel", "bare, instructions",
            *(f"{c} / bare" for c in COLUMNS.values()), "target", "met"]
    table = [head, ["---"] * len(head)]
    for load, (name, _) in LOADS.items():
        for version, rows in raw["kernels"].items():
            r = rows[load]
            table.append([
                name, short_version(version), f"{r['median']['bare']:.0f}",
                *(ratio(r["ratios"].get(c)) for c in COLUMNS), r["target"],
                r["met"]])
            name = ""
    versions = ", ".join(raw["kernels"])
    return (f"{raw['rounds']} rounds; Linux {versions}. Ratios of "
            "instructions: the median of the rounds' own (the least to the "
            "most, where they differ).\n\n"
            + "".join(f"| {' | '.join(cells)} |\n" for cells in table))
