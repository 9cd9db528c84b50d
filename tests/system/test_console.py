# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""The web console, and what somebody gets who attacks it."""

import contextlib
import json
import os
import re
import select
import signal
import socket
import ssl
import struct
import subprocess
import time

import pytest

from console import PASSWORD, SESSION, Console, Visitor, routes, settings
from console_client import CONSOLE_USER
from console_load import HEALTHZ, HealthChecks, healthy, held, rss_kib
from suite import EICAR, Suite, denied, opens, wait_for


@pytest.fixture(scope="module")
def console():
    with Suite(life=900, **settings()) as s:
        s.start()
        c = Console(s).start()
        try:
            yield c
        finally:
            c.stop()


@pytest.fixture(scope="module")
def admin(console):
    return console.admin()


@pytest.fixture
def make_console(make_suite):
    made = []

    def make(**more):
        s = make_suite(**settings(**more)).start()
        made.append(Console(s).start())
        return made[-1]

    yield make
    for c in made:
        c.stop()


# ---- who may come in

def test_nothing_is_shown_without_a_session(console):
    v = Visitor(console)
    assert len(routes()) > 5
    for method, path, access in routes():
        got = v.ask(method, path + ("x" if path.endswith("/") and path != "/"
                                    else ""), {} if method == "POST" else None)
        if access == "ALL":
            assert got.status < 500, (path, got.status)
        elif method == "GET" and access != "TOKEN":
            assert got.status == 303, path
            assert got.location.startswith("/login"), path
        else:
            assert got.status == 401, path
        assert console.suite.root.name not in got.text, path


def test_the_first_login_leads_to_a_password_and_nowhere_else(make_console):
    c = make_console()
    secret = c.suite.json("console", "setup")["secret"]
    v = Visitor(c)
    assert "console setup" in v.get("/login").text
    assert v.login("admin", "wrong").status == 401
    assert v.login("admin", secret).location == "/password"
    first = v.session
    for method, path, access in routes():
        if access not in ("ALL", "SESSION", "TOKEN") and method == "GET":
            got = v.get(path)
            assert (got.status, got.location) == (303, "/password"), path
    for new, again in (("short", "short"), (PASSWORD, PASSWORD + "x")):
        got = v.post("/password", {"new": new, "again": again},
                     on="/password")
        assert got.status == 422
        assert 'role="alert"' in got.text
    c.own_password(v)
    assert v.session != first
    assert v.get("/").status == 200
    stolen = Visitor(c)
    stolen.cookies[SESSION] = first
    assert stolen.get("/").location.startswith("/login")
    # good once
    assert Visitor(c).login("admin", secret).status == 401
    assert "console setup" not in Visitor(c).get("/login").text


def test_a_login_never_goes_on_with_a_session_that_was_there(console, admin):
    v = Visitor(console)
    planted = "A" * 43
    v.cookies[SESSION] = planted
    assert v.login("admin", PASSWORD).status == 303
    first = v.session
    assert first != planted and len(first) >= 43
    v.login("admin", PASSWORD)
    assert v.session not in (first, planted)


def test_the_session_cookie_is_for_this_host_and_no_script(console, admin):
    v = Visitor(console)
    got = v.login("admin", PASSWORD)
    line = got.headers["Set-Cookie"]
    assert line.startswith("__Host-splx=")
    parts = {p.strip().lower() for p in line.split(";")[1:]}
    assert {"secure", "httponly", "samesite=strict", "path=/"} <= parts
    assert not any(p.startswith("domain") for p in parts)


def test_logging_out_ends_the_session(console, admin):
    v = console.visitor("admin")
    old = v.session
    assert v.post("/logout").location == "/login?note=out"
    assert v.session is None
    v.cookies[SESSION] = old
    assert v.get("/").location.startswith("/login")


def test_what_entity_takes_away_is_gone_with_the_next_request(console, admin):
    v = console.user("shortlived", "viewer")
    assert v.get("/").status == 200
    console.suite.ctl("user", "set", "shortlived", "--disabled=yes")
    assert v.get("/").location.startswith("/login")
    assert v.session is None


def test_only_pages_of_ours_are_gone_to_after_a_login(console, admin):
    for evil in ("https://evil.example/", "//evil.example", "/\\evil.example",
                 "/static/x", "/login", "/nowhere", "javascript:alert(1)",
                 "/\r\nSet-Cookie: a=b"):
        v = Visitor(console)
        got = v.ask("POST", "/login", {"user": "admin", "password": PASSWORD,
                                       "next": evil})
        assert got.status in (303, 400), evil
        if got.status == 303:
            assert got.location == "/", evil
        assert "a" not in v.cookies


def test_forged_forms_do_nothing(console, admin):
    v = console.visitor("admin")
    good = v.get("/").csrf()
    other = console.visitor("admin").get("/").csrf()
    assert good != other
    for csrf in ("", "x", other, good[:-1], good + "x"):
        assert v.post("/logout", {"csrf": csrf}).status == 403
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"},
                    {"Origin": f"http://127.0.0.1:{console.port}"},
                    {"Sec-Fetch-Site": "cross-site"},
                    {"Sec-Fetch-Site": "same-site"}):
        assert v.post("/logout", {"csrf": good},
                      headers=headers).status == 403, headers
        got = Visitor(console).ask("POST", "/login",
                                   {"user": "admin", "password": PASSWORD},
                                   headers=headers)
        assert got.status == 403
    assert v.get("/").status == 200
    origin = {"Origin": f"https://127.0.0.1:{console.port}"}
    assert v.post("/logout", {"csrf": good}, headers=origin).status == 303


def test_wrong_passwords_lock_for_a_while(make_console):
    c = make_console()
    c.admin()
    v = Visitor(c)
    for _ in range(6):
        assert v.login("nobody", "wrong password").status == 401
    got = v.login("nobody", "wrong password")
    assert got.status == 429 and int(got.headers["Retry-After"]) >= 1
    assert v.get("/login").status == 200


# ---- what goes over the wire

def test_every_answer_says_what_a_browser_may_do(console, admin):
    v = console.visitor("admin")
    for path in ("/", "/login", "/nowhere", "/static/console.css",
                 "/healthz", "/static/nothing"):
        got = v.get(path)
        policy = got.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert got.headers["X-Content-Type-Options"] == "nosniff"
        if "html" in got.headers.get("Content-Type", ""):
            assert got.headers["Cache-Control"] == "no-store"
            assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle="
                                 r"|\son\w+=|javascript:", got.text)
            # nothing is fetched from anywhere else
            assert not re.search(r"(?:src|href|action)=\"(?!/|#)", got.text)


def test_tls_is_of_today(console):
    for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        context = console.tls()
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = version
        s = socket.create_connection(("127.0.0.1", console.port), 20)
        with pytest.raises((ssl.SSLError, OSError)):
            context.wrap_socket(s)
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = console.tls()
        context.minimum_version = context.maximum_version = version
        s = socket.create_connection(("127.0.0.1", console.port), 20)
        with context.wrap_socket(s) as t:
            assert t.cipher()[2] >= 128


def test_plain_http_only_leads_to_https(console):
    def plain(text):
        s = socket.create_connection(("127.0.0.1", console.http_port), 20)
        s.sendall(text)
        got = b""
        while data := s.recv(65536):
            got += data
        return got.decode()
    got = plain(b"GET /quarantine?x=1 HTTP/1.1\r\nHost: a.example:81\r\n\r\n")
    assert got.startswith("HTTP/1.1 308")
    assert f"\nLocation: https://a.example:{console.port}/\r" in got
    assert "Set-Cookie" not in got
    for host in (b"evil.example/path", b"a b", b"x@y", b"\"><script>"):
        got = plain(b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")
        assert got.startswith("HTTP/1.1 400"), got
        assert "script" not in got


def raw(console, request, seconds=20):
    """All that comes back for these bytes."""
    s = console.connect(seconds)
    got = b""
    with contextlib.suppress(OSError):
        s.sendall(request)
    with contextlib.suppress(OSError):
        while data := s.recv(65536):
            got += data
            if b"\r\n\r\n" in got and b"Connection: close" not in got:
                break
    s.close()
    return got


HOST = b"Host: localhost\r\n"
SMUGGLED = HEALTHZ


@pytest.mark.parametrize("request_", [
    b"POST /login HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    b"POST /login HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
    b"0\r\n\r\n" + SMUGGLED,
    b"POST /login HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n"
    b"Content-Length: 0\r\n\r\n" + SMUGGLED,
    b"POST /login HTTP/1.1\r\n" + HOST + b"Content-Length: +5\r\n\r\nabcde"
    + SMUGGLED,
    b"POST /login HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n"
    + SMUGGLED,
    b"POST /login HTTP/1.1\r\n" + HOST + b"Content-Length: 0x5\r\n\r\n"
    + SMUGGLED,
    b"GET / HTTP/1.1\r\n" + HOST + b"Host: evil.example\r\n\r\n" + SMUGGLED,
    b"GET / HTTP/1.1\r\n\r\n" + SMUGGLED,
    b"GET / HTTP/1.1\r\n" + HOST + b"Content-Length: 999999999999\r\n\r\n"
    + SMUGGLED,
    b"BREW / HTTP/1.1\r\n" + HOST + b"\r\n" + SMUGGLED,
    b"PUT / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\n\r\nabc" + SMUGGLED,
    b"POST /login HTTP/1.1\r\n" + HOST + b"Content-Length : 5\r\n\r\nabcde"
    + SMUGGLED,
    b"POST /login HTTP/1.1\r\n" + HOST + b"Content-Length: 5,5\r\n\r\nabcde"
    + SMUGGLED,
    b"POST /login HTTP/1.1\r\n" + HOST + b"Content-Length: 5 6\r\n\r\nabcde"
    + SMUGGLED,
    b"POST /login HTTP/1.1\r\n" + HOST + b"Content-Length: 99999999999999999999"
    b"\r\n\r\nabcde" + SMUGGLED,
    b"POST /login HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: xchunked\r\n"
    b"Content-Length: 5\r\n\r\n0\r\n\r\n" + SMUGGLED,
    b"POST /login HTTP/1.1\r\n" + HOST + b"Transfer-Encoding:\tchunked\r\n"
    b"Content-Length: 5\r\n\r\n0\r\n\r\n" + SMUGGLED,
    b"POST /login HTTP/1.1\r\n" + HOST + b"X: a\r\n Transfer-Encoding: chunked"
    b"\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcde" + SMUGGLED,
    b"GET /login HTTP/1.1\r\n" + HOST + b"Content-Length: 50\r\n"
    b"Expect: 100-continue\r\nTransfer-Encoding: identity\r\n\r\n" + SMUGGLED,
    b"GET / HTTP/1.1\r\n" + HOST + b"X: a\0b\r\nHost: x\r\n\r\n" + SMUGGLED,
])
def test_what_two_might_read_differently_is_refused(console, request_):
    got = raw(console, request_)
    assert re.match(rb"HTTP/1\.[01] 4\d\d", got), got
    # (libmicrohttpd sends the head of some refusals twice)
    assert set(re.findall(rb"HTTP/1\.1 (\d)", got)) == {b"4"}, got
    assert b"overall" not in got
    assert console.answers()


@pytest.mark.parametrize("path", [
    "/static/../../../../etc/passwd", "/static/%2e%2e/%2e%2e/etc/passwd",
    "/static/..%2f..%2fetc%2fpasswd", "/static/%252e%252e/etc/passwd",
    "/static//etc/passwd", "//etc/passwd", "/etc/passwd", "/static/",
    "/static/console.css%00.png", "/static/%c0%ae%c0%ae/", "/../", "/.",
    "/static/console.css/", "/login/", "/LOGIN", "/%",
    "/" + "a" * 2000,
])
def test_no_path_leads_out_of_the_table(console, path):
    got = raw(console, b"GET " + path.encode() + b" HTTP/1.1\r\n" + HOST
              + b"\r\n")
    assert re.match(rb"HTTP/1\.1 4\d\d", got), got[:200]
    assert b"root:" not in got


def test_huge_heads_and_bodies_are_answered_and_bounded(console):
    got = raw(console, b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n" + HOST
              + b"\r\n")
    assert got == b"" or re.match(rb"HTTP/1\.1 4\d\d", got)
    got = raw(console, b"GET / HTTP/1.1\r\n" + HOST
              + b"".join(b"X-%d: %s\r\n" % (i, b"y" * 500)
                         for i in range(1000)) + b"\r\n")
    assert got == b"" or re.match(rb"HTTP/1\.1 4\d\d", got)
    v = Visitor(console)
    got = raw(console, b"POST /login HTTP/1.1\r\n" + HOST
              + b"Content-Length: 10000000\r\n\r\n" + b"x" * 100000)
    assert got == b"" or got.startswith(b"HTTP/1.1 413"), got[:100]
    assert v.ask("POST", "/login", "user=" + "x" * 8000).status == 400
    assert v.ask("POST", "/login", {f"f{i}": "" for i in range(1500)}).status \
        in (400, 413)
    for body, type_ in ((b"\xff\xfe", "application/x-www-form-urlencoded"),
                        (b"user=%ff", "application/x-www-form-urlencoded"),
                        (b"{}", "application/json"),
                        (b"--x\r\n", "multipart/form-data; boundary=x")):
        assert v.ask("POST", "/login", body,
                     {"Content-Type": type_}).status == 400
    assert console.answers()


# ---- many, and slow ones

@pytest.mark.seconds(300)
def test_500_connections_are_held_and_the_next_one_is_served(console):
    pid = console.serving()
    before = rss_kib(pid)
    held = []
    for k in range(500):
        held.append(console.connect())
        if k % 5 == 0:  # they go on, now and then
            for s in held[::50]:
                assert healthy(s)
    began = time.monotonic()
    v = Visitor(console)
    assert v.get("/login").status == 200
    assert time.monotonic() - began < 3
    assert all(healthy(s) for s in held[-100::10])
    assert rss_kib(pid) < before + 80 * 1024
    for s in held:
        s.close()
    assert console.serving() == pid


def test_who_asks_for_nothing_makes_room(make_console):
    c = make_console(ConsoleMaxConnections="20")
    held = [socket.create_connection(("127.0.0.1", c.port), 20)
            for _ in range(60)]
    began = time.monotonic()
    assert Visitor(c).get("/healthz").status == 200
    assert time.monotonic() - began < 5
    for s in held:
        s.close()


@pytest.mark.seconds(150)
def test_slow_clients_are_put_out_whatever_they_trickle(console):
    slow = []
    for k in range(30):
        s = console.connect()
        s.sendall((b"GET / HTTP/1.1\r\n", b"POST /login HTTP/1.1\r\n" + HOST
                   + b"Content-Length: 500\r\n\r\n")[k % 2])
        slow.append(s)
    handshake = socket.create_connection(("127.0.0.1", console.port), 20)
    began = time.monotonic()
    heads = slow[::2]
    ended = set()
    while len(ended) < len(heads) and time.monotonic() - began < 50:
        for s in heads:
            try:
                s.sendall(b"x")
            except OSError:
                ended.add(s)
        assert Visitor(console).get("/healthz").status == 200
        time.sleep(1)
    assert len(ended) == len(heads), "a byte now and then keeps them"
    assert time.monotonic() - began > 10
    handshake.settimeout(10)
    assert handshake.recv(1) == b""
    for s in slow:
        s.close()


def test_thousands_of_health_checks_cost_little(console):
    pid = console.serving()
    before = rss_kib(pid)
    v = Visitor(console)
    v.get("/healthz")
    for _ in range(2000):
        assert v.get("/healthz").status == 200
    assert rss_kib(pid) < before + 8 * 1024


@pytest.mark.seconds(300)
def test_scanning_goes_on_whatever_the_console_is_asked(console):
    """500 connections held, and health checks as fast as they are answered."""
    s, pid = console.suite, console.serving()
    before, counters = rss_kib(pid), s.counters()
    workers = s.workers("front")
    with held(console, 500) as some, HealthChecks(console) as checks:
        for k in range(60):
            bad = s.dir / f"load-{k}.com"
            bad.write_bytes(EICAR)
            assert denied(bad) or not bad.exists()
            clean = s.dir / f"load-{k}.txt"
            clean.write_text(f"clean {k}\n")
            assert opens(clean) == 0
        wait_for(lambda: checks.answered >= 2000, 120)
        assert rss_kib(pid) < before + 80 * 1024
        assert all(healthy(c) for c in some[::10])
    assert checks.failed == 0
    now = s.counters()
    assert now["findings"] - counters["findings"] >= 60
    assert [k for k in now if k.startswith("policy")
            and now[k] != counters[k]] == []
    assert s.workers("front") == workers and console.serving() == pid


def test_thousands_that_come_at_once_are_served_or_closed(make_console):
    """More than there are places, and none of them says goodbye."""
    c = make_console(ConsoleMaxConnections="100")
    pid = c.serving()
    before = rss_kib(pid)
    served = closed = 0
    for _ in range(20):
        some = []
        for _ in range(100):
            s = socket.create_connection(("127.0.0.1", c.port), 20)
            some.append(s)
        for k in range(0, 100, 20):
            try:
                some[k] = c.tls().wrap_socket(some[k],
                                              server_hostname="localhost")
                served += healthy(some[k])
            except (AssertionError, OSError):
                closed += 1
        for s in some:
            if s.fileno() >= 0:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack("ii", 1, 0))
            s.close()
    assert served + closed == 100 and served > 0
    assert Visitor(c).get("/healthz").status == 200
    assert rss_kib(pid) < before + 20 * 1024
    assert len(os.listdir(f"/proc/{pid}/fd")) < 250
    assert c.serving() == pid


def test_a_body_that_trickles_is_not_waited_for(console):
    slow = []
    for _ in range(20):
        s = console.connect()
        s.sendall(b"POST /login HTTP/1.1\r\n" + HOST
                  + b"Content-Type: application/x-www-form-urlencoded\r\n"
                  b"Content-Length: 5000\r\n\r\nuser=")
        slow.append(s)
    open_, until = set(slow), time.monotonic() + 90
    while open_ and time.monotonic() < until:
        for s in list(open_):
            try:
                s.sendall(b"x")
            except OSError:
                open_.discard(s)
        assert Visitor(console).get("/healthz").status == 200
        time.sleep(1)
    assert not open_, "a byte of a body now and then keeps them"


def test_who_does_not_read_costs_little(console, admin):
    """Pages are asked for one after another, and no answer is taken."""
    pid = console.serving()
    before = rss_kib(pid)
    some = []
    for _ in range(40):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.connect(("127.0.0.1", console.port))
        s.settimeout(20)
        s = console.tls().wrap_socket(s, server_hostname="localhost")
        s.settimeout(0.05)
        ask = (b"GET /statistics HTTP/1.1\r\n" + HOST + b"Cookie: "
               + f"{SESSION}={admin.session}".encode() + b"\r\n\r\n")
        with contextlib.suppress(OSError):
            for _ in range(50):
                s.sendall(ask)
        some.append(s)
    assert admin.get("/").status == 200
    assert rss_kib(pid) < before + 40 * 1024
    for s in some:
        s.close()


# ---- what is shown

def test_hostile_names_are_only_names(console, admin):
    name = "<script>alert(1)</script>\"'>\n\u202emoc.exe"
    bad = console.suite.dir / name.replace("/", "∕")
    bad.write_bytes(EICAR)
    opens(bad)
    v = console.visitor("admin")
    wait_for(lambda: "alert(1)" in v.get("/").text)
    text = v.get("/").text
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert "\u202e" not in text


def test_both_languages_by_browser_and_by_hand(console, admin):
    v = Visitor(console, language="ja,en;q=0.5")
    got = v.get("/login")
    assert '<html lang="ja"' in got.text and "パスワード" in got.text
    v.ask("POST", "/preferences", {"lang": "en", "back": "/login"})
    assert '<html lang="en"' in v.get("/login").text
    a = console.visitor("admin")
    assert a.post("/preferences", {"lang": "ja", "theme": "dark"}).status \
        == 303
    # the account's, in every browser
    other = console.visitor("admin")
    text = other.get("/").text
    assert '<html lang="ja" data-theme="dark"' in text
    a.post("/preferences", {"lang": "en", "theme": ""})
    assert '<html lang="en">' in other.get("/").text


def test_the_summary_says_what_splxctl_says(console, admin):
    v = console.visitor("admin")
    health = console.suite.health()
    words = v.get("/").words
    assert health["overall"] in words
    for issue in health["health_issues"]:
        assert issue["text"] in words and str(issue["code"]) in words
    got = v.get("/healthz")
    assert json.loads(got.text)["overall"] == health["overall"]


# ---- the processes

def test_the_process_that_serves_is_jailed(console):
    pid = console.serving()
    with open(f"/proc/{pid}/status") as f:
        status = f.read()
    user = str(CONSOLE_USER)
    assert re.search(rf"^Uid:\s+{user}\s+{user}\s+{user}\s+{user}$", status,
                     re.M)
    assert re.search(r"^Groups:\s*$", status, re.M)
    for sets in ("CapInh", "CapPrm", "CapEff", "CapAmb", "CapBnd"):
        assert re.search(rf"^{sets}:\s+0+$", status, re.M), sets
    assert re.search(r"^Seccomp:\s+2$", status, re.M)
    assert re.search(r"^NoNewPrivs:\s+1$", status, re.M)
    assert os.readlink(f"/proc/{pid}/root") == str(
        console.suite.root / "run/splx")
    assert os.readlink(f"/proc/{pid}/ns/net") != os.readlink(
        "/proc/self/ns/net")
    for fd in os.listdir(f"/proc/{pid}/fd"):
        what = os.readlink(f"/proc/{pid}/fd/{fd}")
        assert re.match(r"(socket|anon_inode|pipe):|/dev/null$"
                        r"|.*splxhttpd\.out$", what), what


def test_one_that_was_killed_comes_back_and_sessions_live_on(make_console):
    c = make_console()
    v = c.admin()
    first = c.serving()
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: c.serving() not in (None, first) and c.answers(), 20)
    v.close()
    assert v.get("/").status == 200
    # and the other way round: none serves without the root part
    second = c.serving()
    c.process.kill()
    c.process.wait()
    wait_for(lambda: not os.path.exists(f"/proc/{second}"), 20)
    wait_for(lambda: c.suite.health()["consoleStatus"] == 20081)
    issue = next(i for i in c.suite.health()["health_issues"]
                 if i["code"] == 20081)
    assert issue["severity"] == "warning"
    c.start()
    assert c.suite.health()["consoleStatus"] == 0
    v.close()
    assert v.get("/").status == 200


@pytest.mark.seconds(120)
def test_one_that_does_not_serve_is_told(make_console):
    c = make_console()
    assert c.suite.health()["consoleStatus"] == 0
    pid = c.serving()
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_for(lambda: c.suite.health()["consoleStatus"] == 20082, 45)
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: c.suite.health()["consoleStatus"] == 0, 20)


def test_without_entity_the_console_says_so(make_console):
    c = make_console()
    v = c.admin()
    c.suite.stop()
    got = v.get("/")
    assert got.status == 503 and "does not answer" in got.words
    assert v.get("/healthz").status == 503
    c.suite.start()
    wait_for(lambda: v.get("/").status == 200, 20)


def fingerprint(console):
    with console.connect() as s:
        return ssl.DER_cert_to_PEM_cert(s.getpeercert(binary_form=True))


def test_another_certificate_serves_without_a_restart(make_console):
    c = make_console()
    v = c.admin()
    before = fingerprint(c)
    root = c.process.pid
    c.suite.ctl("certificate", "renew")
    wait_for(lambda: fingerprint(c) != before, 20)
    assert c.process.pid == root and c.process.poll() is None
    with contextlib.suppress(OSError):
        v.close()
    assert v.get("/").status == 200
    d = c.suite.root / "tls"
    d.mkdir()
    subprocess.run(["openssl", "req", "-x509", "-nodes", "-newkey",
                    "rsa:2048", "-keyout", d / "k", "-out", d / "c", "-days",
                    "3", "-subj", "/CN=a.example"], check=True,
                   capture_output=True)
    c.suite.ctl("certificate", "set", f"--certificate={d}/c", f"--key={d}/k")
    wait_for(lambda: fingerprint(c).split() == (d / "c").read_text().split(),
             20)
    wait_for(lambda: c.suite.health()["consoleStatus"] == 20083, 80)


def test_settings_are_taken_over_while_it_runs(make_console):
    c = make_console()
    v = c.admin()
    old, c.port = c.port, settings()["ConsoleHttpsPort"]
    c.suite.ctl("config", "set", "ConsoleHttpsPort", c.port)
    c.port = int(c.port)
    v.close()
    wait_for(c.answers, 20)
    assert v.get("/").status == 200
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", old), 5)
    c.suite.ctl("config", "set", "ConsoleEnabled", "no")
    assert c.process.wait(20) == 0
    assert not (c.suite.root / "run/splx/splxhttpd.pid").exists()


# ---- the init script

def script(suite, action, name="splxhttpd"):
    r = subprocess.run(
        ["sh", str(suite.root / "etc/init.d" / name), action],
        env={"SPLX_ROOT": str(suite.root), "PATH": os.environ["PATH"]},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90)
    return r.returncode, re.sub(" +", " ", r.stdout), r.stderr


def test_the_init_script_speaks_and_answers_as_it_should(make_suite):
    s = make_suite(**settings()).start()
    assert script(s, "status")[:2] == (3, "splxhttpd is stopped.\n")
    assert script(s, "reload")[0] == 7
    assert script(s, "start")[:2] == (
        0, "Starting splxhttpd:\n"
           "Starting splxhttpd: [ OK ]\n"
           "Splx for Linux httpd started. [ OK ]\n")
    c = Console(s)
    first = wait_for(c.serving)
    assert Visitor(c).get("/login").status == 200
    pid = (s.root / "run/splx/splxhttpd.pid").read_text().strip()
    assert script(s, "status")[:2] == (0, f"splxhttpd is running (pid {pid})."
                                          "\n")
    assert script(s, "start")[:2] == (
        0, f"splxhttpd is running already (pid {pid}).\n")
    assert script(s, "reload")[0] == 0
    wait_for(lambda: c.serving() not in (None, first))
    assert script(s, "stop")[:2] == (
        0, "Shutting down splxhttpd:\n"
           "Shutting down splxhttpd: [ OK ]\n"
           "Splx for Linux httpd stopped normally. [ OK ]\n")
    assert c.serving() is None
    assert script(s, "stop")[:2] == (0, "splxhttpd is not running.\n")
    assert script(s, "bogus")[0] == 2
    script(s, "start")
    os.kill(int((s.root / "run/splx/splxhttpd.pid").read_text()),
            signal.SIGKILL)
    wait_for(lambda: script(s, "status")[0] == 1)
    assert script(s, "restart")[0] == 0
    s.ctl("config", "set", "ConsoleEnabled", "no")
    wait_for(lambda: script(s, "status")[0] == 3, 20)
    code, out, _ = script(s, "start")
    assert code == 0 and "switched off" in out


def test_a_port_that_is_taken_is_told_and_stops_nothing_else(make_suite):
    conf = settings()
    with socket.create_server(("127.0.0.1", int(conf["ConsoleHttpsPort"]))):
        s = make_suite(**conf).start()
        code, out, err = script(s, "start")
        assert code == 1 and "[FAILED]" in out
        assert conf["ConsoleHttpsPort"] in err
        assert s.health()["antimalwareStatus"] == 0


def test_the_whole_service_brings_the_console_up_and_down(make_suite):
    s = make_suite(**settings())
    code, out, _ = script(s, "start", "splx")
    assert code == 0
    assert out.endswith("Starting splxhttpd:\n"
                        "Starting splxhttpd: [ OK ]\n"
                        "Splx for Linux httpd started. [ OK ]\n")
    assert "splxhttpd is running" in script(s, "status", "splx")[1]
    code, out, _ = script(s, "stop", "splx")
    assert code == 0
    assert out.endswith("Splx for Linux core stopped normally. [ OK ]\n"
                        "Shutting down splxhttpd:\n"
                        "Shutting down splxhttpd: [ OK ]\n"
                        "Splx for Linux httpd stopped normally. [ OK ]\n")
    # without it, and without a word of it
    (s.root / "usr/lib/splx/splxhttpd").unlink()
    code, out, err = script(s, "start", "splx")
    assert code == 0 and "httpd" not in out + err
    assert script(s, "stop", "splx")[0] == 0


def test_whoever_started_it_need_not_wait_for_it(make_suite):
    """A package manager reads its scripts' pipe to the end: as a daemon it
    keeps nothing open that it was started with."""
    s = make_suite(**settings()).start()
    ours, its = os.pipe()
    subprocess.run([str(s.root / "usr/lib/splx/splxhttpd"), "-R",
                    str(s.root)], stdin=subprocess.DEVNULL, pass_fds=[its],
                   timeout=60, check=True)
    os.close(its)
    pid = int((s.root / "run/splx/splxhttpd.pid").read_text())
    try:
        ended, _, _ = select.select([ours], [], [], 10)
        assert ended and os.read(ours, 1) == b""
    finally:
        os.close(ours)
        os.kill(pid, signal.SIGTERM)
        wait_for(lambda: not os.path.exists(f"/proc/{pid}"), 30)
