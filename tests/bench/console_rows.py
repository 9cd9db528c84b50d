# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""What the web console costs: scanning while it is asked very much, and very
many events."""

import contextlib
import statistics
import time

from bed import Sampler, fresh_files, memory_kib, opens, settle, warm
from console import Console, settings
from console_load import HealthChecks, held
from console_many import begin_export, fill
from figures import at_most
from suite import Suite

HELD = 500
RATE = 2000
EVENTS = 1000000
FILES = 1000


@contextlib.contextmanager
def console(**more):
    with Suite(life=7000, FirstAction="deny", RealtimeScan="6",
               VerdictTimeout="60s", EventMaxCount="2000000",
               **settings(**more)) as s:
        s.start()
        s.stop()
        fill(s.root / "var/lib/splx/splx.db", EVENTS)
        s.start()
        c = Console(s).start()
        try:
            yield c
        finally:
            c.stop()


def p99_ms(s, name):
    fresh_files(s.dir / name, FILES)
    settle()
    return opens("first", s.dir / name, FILES)["p99_ns"] / 1e6


def asked_much(b, c):
    s, idle, busy, rate, full = c.suite, [], [], [], []
    pid = [c.serving()]
    alone = memory_kib(pid) / 1024
    for _ in range(b.rounds):
        warm(s.dir)
        idle.append(p99_ms(s, "idle"))
        with held(c, HELD):
            with HealthChecks(c, RATE) as checks:
                busy.append(p99_ms(s, "busy"))
                full.append(memory_kib(pid) / 1024)
                time.sleep(2)
        if checks.failed:
            raise AssertionError(f"{checks.failed} were not answered")
        rate.append(checks.answered / checks.took)
    b.row(f"p99 of a first open while the console is asked for /healthz {RATE} "
          f"times a second, {HELD} connections held (bare: idle)", "ms",
          "≤ 2 × idle", at_most(2), bare=idle, ours=busy)
    b.row("answers of it meanwhile", "1/s", f"≥ {RATE * 0.95:.0f}",
          lambda o, p: o >= RATE * 0.95, ours=rate)
    b.row("memory of the console meanwhile (bare: before the first one asks)",
          "MiB", "–", None, bare=[alone] * len(full), ours=full)


def page_ms(v, before):
    took = []
    for _ in range(5):
        start = time.perf_counter()
        assert v.get(f"/logs?kind=system&before={before}").status == 200
        took.append((time.perf_counter() - start) * 1000)
    return statistics.median(took)


def many_events(b, c):
    v, pid = c.admin(), [c.serving()]
    first, middle, took, less, peak = [], [], [], [], []
    for _ in range(max(1, b.rounds // 3)):
        first.append(page_ms(v, EVENTS))
        middle.append(page_ms(v, EVENTS // 2))
        less.append(memory_kib(pid) / 1024)
        start = time.perf_counter()
        with Sampler(lambda: memory_kib(pid)) as sampler:
            conn, answer = begin_export(c, v)
            while answer.read(1 << 20):
                pass
            conn.close()
        took.append(time.perf_counter() - start)
        peak.append(sampler.peak / 1024)
    b.row(f"a page of the log amid {EVENTS} events (bare: the first page)",
          "ms", "≤ 1.5 × bare", at_most(1.5), bare=first, ours=middle)
    b.row("all of them as JSON lines over TLS", "s", "–", None, ours=took)
    b.row("memory of the console meanwhile (bare: before)", "MiB",
          "≤ 2 × bare", at_most(2), bare=less, ours=peak)


def measure(b):
    with console() as c:
        asked_much(b, c)
        many_events(b, c)
