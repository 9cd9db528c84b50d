# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""Two network namespaces of a test's own, client and server, with a pair of
veth between them; HAProxy in front of a real web server, in the second. What
is made here is gone when the bed is closed; nothing else of the machine's
network is touched."""

import contextlib
import hashlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile

from suite import PATIENCE, wait_for

HERE = pathlib.Path(__file__).resolve().parent
SERVER4, CLIENT4 = "10.77.0.1", "10.77.0.2"
SERVER6, CLIENT6 = "fd77::1", "fd77::2"
FRONT, BACK = 8080, 9090
PLAIN = 8081  # answered by HAProxy itself

HAPROXY = """
global
    stats socket {dir}/stats.sock mode 600 level admin
    maxconn 4000
defaults
    mode http
    timeout connect 5s
    timeout client 20s
    timeout server 20s
frontend front
    bind {server4}:{front}
    bind [{server6}]:{front}
    default_backend back
frontend plain
    bind {server4}:{plain}
    http-request return status 200
backend back
    option httpchk GET /health
    http-reuse never
    server one 127.0.0.1:{back} check inter 500ms fall 3 rise 1
"""


def run(*args, **kw):
    return subprocess.run([str(a) for a in args], check=True,
                          stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=30, **kw)


class Bed:
    """`with Bed() as bed:`; bed.server and bed.client are its namespaces."""

    def __init__(self, haproxy=True):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="splx-net-"))
        self.server = f"{self.dir.name}-s"
        self.client = f"{self.dir.name}-c"
        self.processes = []
        self.want_haproxy = haproxy

    def __enter__(self):
        try:
            self._lay()
            self.start("server", sys.executable, HERE / "netweb.py", BACK)
            if self.want_haproxy:
                self._start_haproxy()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exc):
        self.close()

    def _lay(self):
        for ns in (self.server, self.client):
            run("ip", "netns", "add", ns)
            run("ip", "-n", ns, "link", "set", "lo", "up")
        run("ip", "-n", self.server, "link", "add", "v0", "type", "veth",
            "peer", "name", "v0", "netns", self.client)
        for ns, four, six in ((self.server, SERVER4, SERVER6),
                              (self.client, CLIENT4, CLIENT6)):
            run("ip", "-n", ns, "addr", "add", four + "/24", "dev", "v0")
            run("ip", "-n", ns, "addr", "add", six + "/64", "dev", "v0",
                "nodad")
            run("ip", "-n", ns, "link", "set", "v0", "up")

    def _start_haproxy(self):
        conf = self.dir / "haproxy.cfg"
        conf.write_text(HAPROXY.format(
            dir=self.dir, server4=SERVER4, server6=SERVER6, front=FRONT,
            back=BACK, plain=PLAIN))
        self.start("server", "haproxy", "-db", "-f", conf)
        wait_for(lambda: self.check()["status"] == "UP")

    def inside(self, ns):
        """The words before a command that is to run in there."""
        name = {"server": self.server, "client": self.client}[ns]
        return ["nsenter", f"--net=/run/netns/{name}"]

    def start(self, ns, *args):
        p = subprocess.Popen(
            [*self.inside(ns), *map(str, args)], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.processes.append(p)
        return p

    def run(self, ns, *args, seconds=60):
        return subprocess.run(
            [*self.inside(ns), *map(str, args)], stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=seconds * PATIENCE)

    def load(self, count, rate, port=FRONT):
        """Clients of ours: how many of each outcome, and how long each
        waited: {"200": n, "timeout": n, "waits": [s, …]}"""
        return self.begin_load(count, rate, port).result()

    def begin_load(self, count, rate, port=FRONT):
        """The same beside what else is done; .result() waits for it."""
        p = subprocess.Popen(
            [*self.inside("client"), sys.executable, str(HERE / "netload.py"),
             SERVER4, str(port), str(count), str(rate), "8"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self.processes.append(p)

        def result():
            out, _ = p.communicate(timeout=90 * PATIENCE)
            return json.loads(out)
        p.result = result
        return p

    def check(self):
        """HAProxy's own word on its health check: status, chkfail (single
        ones), chkdown (times it was called down)."""
        with contextlib.suppress(OSError), \
                socket.socket(socket.AF_UNIX) as s:
            s.settimeout(5)
            s.connect(f"{self.dir}/stats.sock")
            s.sendall(b"show stat\n")
            text = b""
            while data := s.recv(65536):
                text += data
            lines = text.decode().lstrip("# ").strip().split("\n")
            keys = lines[0].split(",")
            for line in lines[1:]:
                row = dict(zip(keys, line.split(",")))
                if row["svname"] == "one":
                    return row
        return {"status": "no answer"}

    def queue(self):
        """What the kernel says of packet queues in the server's namespace."""
        r = self.run("server", "cat",
                     "/proc/self/net/netfilter/nfnetlink_queue")
        return [list(map(int, line.split()))
                for line in r.stdout.strip().split("\n") if line]

    def tables(self):
        return self.run("server", "nft", "list", "ruleset").stdout

    def close(self):
        for p in self.processes:
            with contextlib.suppress(OSError):
                p.send_signal(signal.SIGCONT)
                p.kill()
            with contextlib.suppress(Exception):
                p.wait(10)
        for ns in (self.server, self.client):
            subprocess.run(["ip", "netns", "del", ns], check=False,
                           stdin=subprocess.DEVNULL, capture_output=True)
        for f in self.dir.iterdir():
            f.unlink()
        self.dir.rmdir()


def sum_of(data):
    return hashlib.sha256(data).hexdigest()
