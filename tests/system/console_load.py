# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""Many who ask the web console at once."""

import contextlib
import re
import threading
import time

HEALTHZ = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


def rss_kib(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1])


def healthy(s):
    """One health check over a connection: was it answered with 200?"""
    s.sendall(HEALTHZ)
    got = b""
    while not got.endswith(b"}\n"):
        data = s.recv(65536)
        assert data, got
        got += data
    return got.startswith(b"HTTP/1.1 200")


@contextlib.contextmanager
def held(console, n):
    """So many connections, each of which has been answered once."""
    some = [console.connect() for _ in range(n)]
    try:
        for s in some:
            assert healthy(s)
        yield some
    finally:
        for s in some:
            s.close()


class HealthChecks:
    """While it is entered, /healthz is asked for `rate` times a second, or as
    fast as it goes; `answered` and `failed` count."""

    def __init__(self, console, rate=None, threads=4):
        self.pause = threads / rate if rate else 0
        self.over = threading.Event()
        self.counts = [0] * threads
        self.failed = 0
        self.some = [console.connect() for _ in range(threads)]
        self.threads = [threading.Thread(target=self.ask, args=(k,))
                        for k in range(threads)]

    @property
    def answered(self):
        return sum(self.counts)

    def ask(self, k):
        due = time.monotonic()
        while not self.over.is_set():
            try:
                if healthy(self.some[k]):
                    self.counts[k] += 1
                else:
                    self.failed += 1
            except (AssertionError, OSError):
                self.failed += 1
                return
            due = max(due + self.pause, time.monotonic() - 1)
            time.sleep(max(0, due - time.monotonic()))

    def __enter__(self):
        self.began = time.monotonic()
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for t in self.threads:
            t.join()
        self.took = time.monotonic() - self.began
        for s in self.some:
            s.close()
