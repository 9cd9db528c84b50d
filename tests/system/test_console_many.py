# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""The web console with very many events: pages, exports, memory."""

import http.client
import json
import os
import re
import signal
import time

import pytest

from console import Console, Visitor, settings
from console_load import rss_kib
from console_many import begin_export, fill
from suite import Suite, wait_for

EVENTS = 300000


@pytest.fixture(scope="module")
def console():
    with Suite(life=900, **settings()) as s:
        s.start()
        s.stop()
        fill(s.root / "var/lib/splx/splx.db", EVENTS)
        s.start()
        c = Console(s).start()
        try:
            yield c
        finally:
            c.stop()


@pytest.fixture(scope="module")
def admin(console):
    return console.admin()


@pytest.mark.seconds(300)
def test_all_events_go_out_in_the_memory_of_a_page(console, admin):
    pid = console.serving()
    before = peak = rss_kib(pid)
    conn, answer = begin_export(console, admin)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    n = last = 0
    for line in answer:
        at = json.loads(line)["id"]
        assert at > last
        n, last = n + 1, at
        if n % 10000 == 0:
            peak = max(peak, rss_kib(pid))
    conn.close()
    assert n >= EVENTS
    assert peak < before + 8 * 1024
    conn, answer = begin_export(console, admin, "kind=system&format=csv")
    rows = answer.read().decode().splitlines()
    conn.close()
    assert rows[0].startswith("id,time") and len(rows) > EVENTS
    assert sum(r.startswith("id,time") for r in rows) == 1
    assert len({r.split(",")[0] for r in rows}) == len(rows)


def test_who_reads_an_export_slowly_costs_a_page(console, admin):
    pid, core = console.serving(), console.suite.pid_of("core")
    before = rss_kib(pid), rss_kib(core)
    some = [begin_export(console, admin) for _ in range(12)]
    for _, answer in some:
        assert answer.status == 200 and answer.readline()
    time.sleep(3)
    assert admin.get("/logs").status == 200
    assert rss_kib(pid) < before[0] + 32 * 1024
    assert rss_kib(core) < before[1] + 32 * 1024
    over = [begin_export(console, admin) for _ in range(8)]
    assert {a.status for _, a in over} == {200, 503}
    for conn, answer in some + over:
        answer.close()
        conn.close()
    conn, answer = wait_for(lambda: (got := begin_export(console, admin))[1]
                            .status == 200 and got)
    answer.close()
    conn.close()


def test_an_export_that_breaks_off_does_not_look_whole(console, admin):
    s = console.suite
    conn, answer = begin_export(console, admin)
    assert answer.readline()
    core = s.pid_of("core")
    os.kill(core, signal.SIGKILL)
    with pytest.raises((http.client.HTTPException, OSError)):
        while answer.read(1 << 20):
            pass
    conn.close()
    wait_for(lambda: s.pid_of("core") not in (None, core), 30)
    wait_for(lambda: admin.get("/logs").status == 200, 30)


def test_pages_lead_through_all_of_them(console, admin):
    def ids(page):
        return [int(i) for i in re.findall(r"number (\d+) of", page.words)]
    first = ids(admin.get("/logs?kind=system"))
    assert first[0] == EVENTS and first == sorted(first, reverse=True)
    for before in (EVENTS, EVENTS // 2, 150):
        got = ids(admin.get(f"/logs?kind=system&before={before}"))
        assert 0 < len(got) <= 100 and max(got) < before
    got = admin.get(f"/logs?text=number+{EVENTS // 3}+of")
    assert ids(got) == [EVENTS // 3]


def test_the_programming_interface_exports_all_of_them_too(console):
    token = console.suite.json("token", "add", "many", "--role=viewer",
                               "--expires=1h")["token"]
    v = Visitor(console)
    head = {"Authorization": "Bearer " + token}
    got = v.get("/api/v1/events/export?format=jsonl", headers=head)
    assert got.status == 200 and len(got.text.splitlines()) >= EVENTS
    got = v.get("/api/v1/events/export?format=jsonl&after=1000&limit=700",
                headers=head)
    rows = [json.loads(line) for line in got.text.splitlines()]
    assert len(rows) == 700 and rows[0]["id"] == 1001
    for bad in ("format=xml", "limit=0", "limit=x", "after=-1", "since=soon"):
        got = v.get("/api/v1/events/export?" + bad, headers=head)
        assert got.status == 422, (bad, got.status)
