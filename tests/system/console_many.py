# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""Very many events, and who has them exported."""

import contextlib
import http.client
import sqlite3
import time

from console import SESSION


def fill(path, n):
    """n events of the kind system, a second apart, behind those there are."""
    db = sqlite3.connect(path, isolation_level=None)
    with contextlib.closing(db):
        last = db.execute("SELECT max(id) FROM event").fetchone()[0] or 0
        now = time.time_ns() - n * 10**9
        db.execute("BEGIN")
        db.execute(
            "WITH RECURSIVE k(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM k "
            "WHERE i<?) INSERT INTO event(id,time,kind,severity,message) "
            "SELECT ?+i, ?+i*1000000000, 'system', 0, 'made up, number '||i||' of "
            "many, and as long as such lines are' FROM k", (n, last, now))
        db.execute("COMMIT")
    return last


def begin_export(console, admin, what="format=jsonl"):
    """The connection and the answer, whose body was not read yet."""
    conn = http.client.HTTPSConnection("127.0.0.1", console.port, timeout=60,
                                       context=console.tls())
    conn.request("GET", "/logs/export?" + what,
                 headers={"Cookie": f"{SESSION}={admin.session}"})
    return conn, conn.getresponse()
