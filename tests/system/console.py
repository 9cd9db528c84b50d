# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""A web console beside a suite, and who visits it."""

import contextlib
import html
import http.client
import re
import socket
import ssl
import subprocess
import urllib.parse

from console_client import CONSOLE_USER
from suite import REPO, wait_for

PASSWORD = "a password of my own"
SESSION = "__Host-splx"


def free_ports(n):
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    ports = [s.getsockname()[1] for s in held]
    for s in held:
        s.close()
    return ports


def settings(**more):
    https, http_ = free_ports(2)
    return {"ConsoleEnabled": "yes", "ConsoleUser": str(CONSOLE_USER),
            "ConsoleAddress": ["127.0.0.1"], "ConsoleHttpsPort": str(https),
            "ConsoleHttpPort": str(http_), **more}


def routes():
    """(method, path, access) of every row of the table."""
    text = (REPO / "httpd/routes.def").read_text()
    rows = re.findall(r'^ROUTE\((\w+), "([^"]+)", (\w+),', text, re.M)
    text = (REPO / "httpd/actions.def").read_text()
    return rows + [("POST", path, access) for path, access in
                   re.findall(r'^ACTION\("([^"]+)", "[^"]+", (\w+),', text,
                              re.M)]


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()
        self.text = self.body.decode("utf-8", "replace")
        self.location = response.headers.get("Location")

    @property
    def words(self):
        """What somebody reads there."""
        return html.unescape(re.sub(r"<[^>]*>", " ", self.text))

    def csrf(self):
        return re.search(r'name="csrf" value="([^"]*)"', self.text)[1]


class Visitor:
    """A browser without a script: cookies, forms, no redirects of its own."""

    def __init__(self, console, language="en"):
        self.console = console
        self.cookies = {}
        self.language = language
        self.conn = None
        self.used = False

    def ask(self, method, path, body=None, headers=None, timeout=60):
        if self.conn is None:
            self.conn = http.client.HTTPSConnection(
                "127.0.0.1", self.console.port, timeout=timeout,
                context=self.console.tls())
        send = {"Accept-Language": self.language, **(headers or {})}
        if self.cookies:
            send["Cookie"] = "; ".join(f"{k}={v}" for k, v in
                                       self.cookies.items())
        if isinstance(body, dict):
            body = urllib.parse.urlencode(body)
            send.setdefault("Content-Type",
                            "application/x-www-form-urlencoded")
        was_there, self.used = self.used, True
        try:
            self.conn.request(method, path, body, send)
            answer = Answer(self.conn.getresponse())
        except (http.client.HTTPException, OSError):
            self.close()
            if method == "GET" and was_there:
                # as browsers do: it was closed while nothing was asked
                return self.ask(method, path, body, headers, timeout)
            raise
        for line in answer.headers.get_all("Set-Cookie") or []:
            name, value = line.split(";")[0].split("=", 1)
            self.cookies[name] = value
            if "Max-Age=0" in line:
                del self.cookies[name]
        if answer.headers.get("Connection", "").lower() == "close":
            self.close()
        return answer

    def close(self):
        if self.conn:
            self.conn.close()
        self.conn = None
        self.used = False

    def get(self, path, **kw):
        return self.ask("GET", path, **kw)

    def post(self, path, fields=None, on="/", **kw):
        """A form of the page `on`, with its token."""
        fields = dict(fields or {})
        if "csrf" not in fields and SESSION in self.cookies:
            fields["csrf"] = self.get(on).csrf()
        return self.ask("POST", path, fields, **kw)

    def login(self, user, password):
        return self.ask("POST", "/login", {"user": user,
                                           "password": password})

    @property
    def session(self):
        return self.cookies.get(SESSION)


class Console:
    """splxhttpd of a suite's stage."""

    def __init__(self, suite):
        self.suite = suite
        self.port = int(suite.settings["ConsoleHttpsPort"])
        self.http_port = int(suite.settings["ConsoleHttpPort"])
        self.process = None
        self.log = open(suite.root / "splxhttpd.out", "ab")

    def start(self):
        self.process = subprocess.Popen(
            [str(self.suite.root / "usr/lib/splx/splxhttpd"), "-R",
             str(self.suite.root), "-f"], stdin=subprocess.DEVNULL,
            stdout=self.log, stderr=self.log)
        wait_for(self.answers, 30, 0.1)
        return self

    def answers(self):
        if self.process and self.process.poll() is not None:
            raise AssertionError("splxhttpd ended: " + self.output())
        with contextlib.suppress(OSError, http.client.HTTPException):
            return Visitor(self).get("/healthz").status in (200, 503)

    def output(self):
        return (self.suite.root / "splxhttpd.out").read_text(
            errors="replace")

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)
        self.log.close()

    def tls(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context

    def connect(self, timeout=60):
        """A bare connection over TLS."""
        s = socket.create_connection(("127.0.0.1", self.port), timeout)
        return self.tls().wrap_socket(s, server_hostname="localhost")

    def serving(self):
        """The pid of the process that serves."""
        return next(iter(
            p for p, t in self.suite.titles().items()
            if "splxhttpd: serving" in t), None)

    def visitor(self, user=None, password=PASSWORD, **kw):
        v = Visitor(self, **kw)
        if user:
            got = v.login(user, password)
            assert got.status == 303, got.words
        return v

    def admin(self):
        """The first account, with a password of its own; logged in."""
        secret = self.suite.json("console", "setup")["secret"]
        v = self.visitor("admin", secret)
        return self.own_password(v)

    def own_password(self, v):
        got = v.post("/password", {"new": PASSWORD, "again": PASSWORD},
                     on="/password")
        assert got.status == 303, got.words
        return v

    def user(self, name, role):
        """Another account, logged in, with a password of its own."""
        secret = self.suite.json("user", "add", name,
                                 f"--role={role}")["secret"]
        return self.own_password(self.visitor(name, secret))
