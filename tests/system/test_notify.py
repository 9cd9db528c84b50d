# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""Who is told of events, by real receivers: rsyslog, a web server, a mail
server, snmptrapd."""

import base64
import hashlib
import hmac
import itertools
import json
import os
import re
import shutil
import socket
import subprocess
import time

import pytest

from receivers import Hook, Mail, Rsyslog, Traps, certificate, free_port
from suite import EICAR, REPO, opens, wait_for


_numbers = itertools.count()


@pytest.fixture(scope="module")
def certs(tmp_path_factory):
    d = tmp_path_factory.mktemp("certs")
    for p in (d, *d.parents[:3]):
        p.chmod(0o755)
    return certificate(d)


@pytest.fixture
def hook(certs):
    h = Hook(*certs)
    yield h
    h.stop()


@pytest.fixture(scope="module")
def rsyslog(certs, tmp_path_factory):
    d = tmp_path_factory.mktemp("rsyslog")
    d.chmod(0o755)
    r = Rsyslog(d, *certs)
    yield r
    r.stop()


@pytest.fixture
def channel(shared, certs):
    """Makes channels that are gone after the test."""
    made = []

    def make(name, *settings, suite=shared, **files):
        args = []
        for key, value in files.items():
            f = suite.root / f"secret-{key}"
            f.write_text(value + "\n")
            args.append(f"--{key}={f}")
        suite.ctl("notify", "set", name, *settings, *args)
        made.append((suite, name))
        return name

    yield make
    for suite, name in made:
        if suite.entity:
            suite.ctl("notify", "remove", name, check=False)


def webhook(channel, hook, *settings, name="hook", **kw):
    settings = ["Collect=0", *settings]
    return channel(name, "Type=webhook", f"Server={hook.url}",
                   f"CA={hook.crt}", *settings, **kw)


def find_one(suite, name=None):
    """Has a virus found; the path."""
    p = suite.infected(name or f"bad{next(_numbers)}.com")
    opens(p)
    return str(p)


def state(suite, name):
    return [c for c in suite.json("notify", "list")["channels"]
            if c["name"] == name][0]


def issues(suite, name):
    return [i for i in suite.health()["health_issues"] if i["name"] == name]


# ---- webhooks

def test_a_finding_reaches_a_webhook_with_a_signature(shared, channel, hook):
    webhook(channel, hook, "Kinds=virus", key="the key, with # and \" in it")
    path = find_one(shared)
    wait_for(lambda: hook.events(), 20)
    headers, body = hook.got[0]
    e = json.loads(body)["events"][0]
    assert (e["kind"], e["path"]) == ("virus", path)
    assert e["virus"] and re.match(r"\d{4}-\d\d-\d\dT[\d:.]+Z$", e["time"])
    t, v1 = re.match(r"t=(\d+),v1=([0-9a-f]{64})$",
                     headers["X-Splx-Signature"]).groups()
    assert abs(int(t) - time.time()) < 60
    assert v1 == hmac.new(b"the key, with # and \" in it",
                          t.encode() + b"." + body,
                          hashlib.sha256).hexdigest()
    wait_for(lambda: state(shared, "hook")["sent"] >= 1)
    assert state(shared, "hook")["state"] == "idle"


def test_only_what_was_asked_for_is_told(shared, channel, hook):
    webhook(channel, hook, "Kinds=audit", "Severity=low")
    find_one(shared)
    shared.ctl("config", "set", "VerdictTimeout", "none", check=False)
    wait_for(lambda: hook.events(), 20)
    time.sleep(1.5)
    assert {e["kind"] for e in hook.events()} == {"audit"}
    assert {e["severity"] for e in hook.events()} == {"low"}


def test_what_waits_while_the_server_is_away_survives_a_restart(
        make_suite, channel, certs):
    s = make_suite(FirstAction="deny").start()
    h = Hook(*certs)
    try:
        webhook(channel, h, "Kinds=virus", suite=s)
        h.stop()
        paths = [find_one(s, f"away{i}.com") for i in range(3)]
        wait_for(lambda: state(s, "hook")["state"] == "failing"
                 and state(s, "hook")["waiting"] >= 3
                 and set(paths) <= {e["path"] for e in s.events()}, 20)
        assert "refused" in state(s, "hook")["error"] \
            or "connect" in state(s, "hook")["error"]
        os.kill(s.pid_of("core"), 9)
        wait_for(lambda: s.ctl("status", check=False).returncode < 2
                 and state(s, "hook")["waiting"] >= 3, 30)
        queue = s.json("notify", "queue", "hook")
        # The probe of the start may be among them.
        assert {e["path"] for e in queue["events"]} >= set(paths)
        h.start()
        wait_for(lambda: {e["path"] for e in h.events()} >= set(paths), 60)
        time.sleep(3)
        ids = [e["id"] for e in h.events()]
        assert len(set(ids)) == len(ids)  # each once
        assert state(s, "hook")["sent"] == len(ids)
    finally:
        h.stop()


def test_a_stalled_server_costs_nobody_anything(shared, channel):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen(16)
        channel("stalled", "Type=webhook", "Kinds=virus", "Collect=0",
                f"Server=http://127.0.0.1:{s.getsockname()[1]}/")
        find_one(shared)
        wait_for(lambda: state(shared, "stalled")["state"] == "sending", 20)
        for i in range(5):
            begin = time.monotonic()
            shared.ctl("status", check=False)
            find_one(shared, f"during{i}.com")
            assert time.monotonic() - begin < 5


def test_a_certificate_that_is_not_known_is_refused(shared, channel, hook):
    channel("hook", "Type=webhook", f"Server={hook.url}", "Collect=0")
    r = shared.ctl("notify", "test", "hook", check=False)
    assert r.returncode == 2 and "self-signed certificate" in r.stderr
    assert "CA" in r.stderr and hook.asked == 0
    shared.ctl("notify", "set", "hook", f"CA={hook.crt}")
    assert "200 ok" in shared.ctl("notify", "test", "hook").stdout
    assert hook.bodies()[0]["test"]["message"]


def test_a_certificate_of_another_name_is_refused(
        shared, channel, tmp_path_factory):
    d = tmp_path_factory.mktemp("other")
    d.chmod(0o755)
    h = Hook(*certificate(d, "other", "DNS:other.example"))
    try:
        webhook(channel, h)
        r = shared.ctl("notify", "test", "hook", check=False)
        assert r.returncode == 2 and h.asked == 0, r.stdout
    finally:
        h.stop()


def test_what_the_server_refuses_does_not_hold_up_the_rest(
        shared, channel, hook):
    webhook(channel, hook, "Kinds=virus", "Digest=0")
    hook.status, hook.reply = 400, "no such field"
    find_one(shared)
    wait_for(lambda: state(shared, "hook")["failures"] >= 1, 20)
    assert "400 no such field" in state(shared, "hook")["error"]
    wait_for(lambda: state(shared, "hook")["dropped"], 40, 1)
    assert issues(shared, "notifyDropped")
    hook.status = 200
    shared.ctl("notify", "test", "hook")
    path = find_one(shared, "after.com")
    wait_for(lambda: path in [e["path"] for e in hook.events()], 30)


def test_a_flood_becomes_a_digest_that_counts_all(shared, channel, hook):
    webhook(channel, hook, "Kinds=virus", "Digest=5", "Collect=3s")
    for i in range(40):
        find_one(shared, f"flood{i}.com")
    wait_for(lambda: state(shared, "hook")["state"] == "idle"
             and state(shared, "hook")["sent"] >= 40, 40)
    digests = [b["digest"] for b in hook.bodies() if "digest" in b]
    told = sum(d["count"] for d in digests) + len(hook.events())
    assert digests and told == state(shared, "hook")["sent"]
    assert len(hook.got) < 8
    d = digests[0]
    assert d["counts"][0]["kind"] == "virus"
    assert 0 < len(d["events"]) <= 20


def test_a_rate_holds_and_what_is_over_it_is_told_together(
        shared, channel, hook):
    webhook(channel, hook, "Kinds=virus", "Rate=2", "Digest=1")
    find_one(shared)
    wait_for(lambda: len(hook.got) == 2 or not find_one(shared), 20, 1.5)
    for i in range(3):
        find_one(shared, f"over{i}.com")
    wait_for(lambda: state(shared, "hook")["waiting"] >= 3, 20)
    time.sleep(3)
    assert len(hook.got) == 2
    assert shared.json("notify", "drop", "hook")["dropped"] >= 3
    assert state(shared, "hook")["waiting"] == 0


# ---- syslog

def told(rsyslog, path):
    return [m for m in rsyslog.messages() if path in json.dumps(m)]


@pytest.mark.parametrize("protocol", ["udp", "tcp", "tls", "local"])
@pytest.mark.parametrize("form", ["rfc5424", "cef"])
def test_a_finding_reaches_rsyslog(shared, channel, rsyslog, certs, protocol,
                                   form):
    server = (str(rsyslog.socket) if protocol == "local"
              else f"127.0.0.1:{getattr(rsyslog, protocol)}")
    channel("log", "Type=syslog", f"Server={server}", f"Protocol={protocol}",
            f"CA={certs[0]}", f"Format={form}", "Facility=local3",
            "Kinds=virus", "Collect=0")
    path = find_one(shared, f"{protocol}-{form}.com")
    (m,) = wait_for(lambda: told(rsyslog, path), 20)
    assert m["app"] == "splx"
    assert int(m["pri"]) // 8 == 19 and int(m["pri"]) % 8 in (2, 4)
    if protocol != "local":
        assert (m["version"], m["id"]) == ("1", "virus")
        assert m["host"] == re.sub("[^!-~]", "_", socket.gethostname())
    if form == "cef":
        head = m["message"].strip().split("|")
        assert head[:3] == ["CEF:0", "splx", "splx"] and len(head) == 8
        assert f"filePath={path}" in head[7]
    elif protocol != "local":
        assert m["data"].startswith("[splx@32473 ")
        assert f'path="{path}"' in m["data"]
    else:
        assert path in m["message"]


def test_no_log_goes_to_whom_nobody_can_verify(shared, channel, rsyslog):
    before = len(rsyslog.messages())
    channel("log", "Type=syslog", f"Server=127.0.0.1:{rsyslog.tls}",
            "Protocol=tls", "Kinds=virus")
    r = shared.ctl("notify", "test", "log", check=False)
    assert r.returncode == 2 and "certificate" in r.stderr
    # Nor TLS to who does not speak it.
    shared.ctl("notify", "set", "log", f"Server=127.0.0.1:{rsyslog.tcp}")
    assert shared.ctl("notify", "test", "log", check=False).returncode == 2
    time.sleep(1)
    assert not [m for m in rsyslog.messages()[before:]
                if "This is a test" in m["message"]]


def test_a_log_that_was_away_gets_all_in_order_also_over_a_stop(
        make_suite, channel, certs, tmp_path_factory):
    d = tmp_path_factory.mktemp("away")
    d.chmod(0o755)
    r = Rsyslog(d, *certs)
    r.stop()
    s = make_suite(FirstAction="deny").start()
    try:
        channel("log", "Type=syslog", f"Server=127.0.0.1:{r.tcp}",
                "Protocol=tcp", "Kinds=audit", "Severity=info", "Collect=0",
                suite=s)
        for i in range(120):
            s.ctl("exclusion", "add", "extension", f"a{i}", check=False)
            if i == 60:
                s.stop()
                s.start()
        wait_for(lambda: state(s, "log")["waiting"] >= 100, 30)
        r.start()
        s.ctl("notify", "test", "log")

        def numbers():
            return [int(re.search(r' id="(\d+)"', m["data"]).group(1))
                    for m in r.messages() if m["id"] == "audit"]

        wait_for(lambda: len(numbers()) >= 119, 60)
        wait_for(lambda: state(s, "log")["state"] == "idle", 30)
        assert numbers() == sorted(set(numbers()))
        assert state(s, "log")["dropped"] == 0
        asked = [e for e in s.events("audit")
                 if e["verb"] == "exclusion.add"]
        assert {e["id"] for e in asked} <= set(numbers())
    finally:
        r.stop()


def test_hostile_names_break_out_of_nothing(shared, channel, rsyslog, hook):
    """Of newlines, directions, quotes, invalid UTF-8 in names."""
    channel("log", "Type=syslog", f"Server=127.0.0.1:{rsyslog.tcp}",
            "Protocol=tcp", "Kinds=virus", "Collect=0")
    webhook(channel, hook, "Kinds=virus")
    name = ('n\n<0>1 - - evil - - -\r\nTo: x@y" ]\\|= \u202egpj\u2028 '
            '\u0085é').encode() + b"\xff\x1b[2J.com"
    p = os.fsencode(shared.dir) + b"/" + name
    with open(p, "wb") as f:
        f.write(EICAR)
    opens(p)
    e = wait_for(lambda: [e for e in hook.events() if "evil" in e["path"]],
                 20)[0]
    m = wait_for(lambda: told(rsyslog, "evil"), 20)[0]
    for text in (e["path"], m["message"], m["data"]):
        assert not re.search("[\x00-\x1f\x7f-\x9f\u202e\u2028]", text), text
    assert r"\x0a" in m["message"] and r"\xe2\x80\xae" in m["message"]
    assert "é" in m["message"] and r"\xff" in m["message"]
    assert r'y\" \]' in m["data"]
    time.sleep(1)
    lines = told(rsyslog, "evil")
    assert {(m["app"], m["id"]) for m in lines} == {("splx", "virus")}
    assert len(lines) <= len([e for e in shared.events()
                              if "evil" in e["path"]])


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
def test_a_receiver_that_is_away_is_noticed_and_waited_for(
        shared, channel, protocol):
    port = free_port(socket.SOCK_DGRAM if protocol == "udp"
                     else socket.SOCK_STREAM)
    channel("log", "Type=syslog", f"Server=127.0.0.1:{port}",
            f"Protocol={protocol}", "Kinds=virus", "Collect=0")
    find_one(shared)
    wait_for(lambda: state(shared, "log")["failures"] >= 1, 20)
    assert "refused" in state(shared, "log")["error"].lower() \
        or "connect" in state(shared, "log")["error"]
    assert state(shared, "log")["waiting"] >= 1
    assert shared.ctl("notify", "test", "log", check=False).returncode == 2


# ---- settings and secrets

def test_secrets_are_shown_nowhere(shared, channel, hook):
    secret = "Geheim-4711"
    webhook(channel, hook, key=secret)
    channel("mail", "Type=smtp", "Server=127.0.0.1:1", "To=a@example.org",
            "User=u", password=secret)
    conf = shared.root / "etc/splx/notify.conf"
    assert conf.stat().st_mode & 0o777 == 0o600
    assert secret in conf.read_text()
    out = "".join(shared.ctl("notify", *a).stdout for a in (
        ["show", "hook"], ["show", "mail"], ["list"],
        ["list", "--output", "json"], ["show", "mail", "--output", "json"]))
    assert "Key = set" in out and "Password = set" in out
    # On a command line it is refused, and the audit log does not have it.
    r = shared.ctl("notify", "set", "hook", f"Key={secret}", check=False)
    assert r.returncode == 2 and "--key=FILE" in r.stderr
    r = shared.ctl("notify", "set", "hook", f"Pasword={secret}", check=False)
    assert r.returncode == 2
    audit = shared.events("audit")
    assert [e for e in audit if e["verb"] == "notify.set"]
    for text in (out, r.stderr, json.dumps(audit), shared.output()):
        assert secret not in text
    shared.ctl("notify", "set", "hook", "Key=")
    assert secret not in conf.read_text().split("[mail]")[0]


def test_a_file_that_is_made_anew_is_for_root_alone(shared):
    conf = shared.root / "etc/splx/notify.conf"
    before = conf.read_text()
    conf.unlink()
    shared.ctl("notify", "set", "new", "Type=syslog", "Protocol=local")
    assert conf.stat().st_mode & 0o777 == 0o600
    assert conf.read_text() == "[new]\nType = syslog\nProtocol = local\n"
    shared.ctl("notify", "remove", "new")
    conf.write_text(before)


def test_what_makes_no_sense_is_refused_and_changes_nothing(shared):
    conf = shared.root / "etc/splx/notify.conf"
    before = conf.read_text()
    for args, said in (
            (["x", "Type=fax", "Server=a"], "smtp, snmp, syslog or webhook"),
            (["x", "Type=syslog"], "has no Server"),
            (["x", "Type=syslog", "Server=a b"], "without blanks"),
            (["x", "Type=smtp", "Server=a"], "has no To"),
            (["x", "Type=smtp", "Server=a", "To=a@b\nBcc: c@d"], "control"),
            (["x", "Type=smtp", "Server=a", "To=<a@b>"], "addresses"),
            (["x", "Type=webhook", "Server=ftp://a/"], "https://HOST"),
            (["x", "Typ=smtp"], "did you mean Type"),
            (["x;y", "Type=smtp"], "a name is"),
            (["x"], "SETTING is wanted"),
            (["x", "Type=syslog", "Server=a", "Codes=1"], "status codes"),
            (["x", "Type=syslog", "Server=a", "Protocol=tsl"], "udp, tcp")):
        r = shared.ctl("notify", "set", *args, check=False)
        assert r.returncode == 2 and said in r.stderr, (args, r.stderr)
    assert conf.read_text() == before


def test_a_bad_entry_voids_itself_and_health_says_so(shared, channel, hook):
    webhook(channel, hook)
    conf = shared.root / "etc/splx/notify.conf"
    before = conf.read_text()
    conf.write_text(before + "[bad]\nType = syslog\nServr = x\n")
    issue = wait_for(lambda: issues(shared, "notifyEntry"), 10)
    assert "did you mean Server" in issue[0]["text"]
    r = shared.ctl("notify", "list")
    assert "did you mean Server" in r.stderr and "hook" in r.stdout
    conf.write_text(before)
    wait_for(lambda: not issues(shared, "notifyEntry"), 10)


def test_a_file_with_secrets_that_others_can_read_is_told(
        shared, channel, hook):
    webhook(channel, hook, key="k")
    conf = shared.root / "etc/splx/notify.conf"
    conf.chmod(0o644)
    issue = wait_for(lambda: issues(shared, "notifyEntry"), 10)
    assert "chmod 600" in issue[0]["text"]
    conf.chmod(0o600)
    wait_for(lambda: not issues(shared, "notifyEntry"), 10)


def test_a_channel_that_fails_for_long_is_an_issue_until_it_works(
        shared, channel, hook):
    webhook(channel, hook, "Kinds=virus")
    hook.status = 503
    find_one(shared)
    issue = wait_for(lambda: issues(shared, "notifyFailed"), 120, 1)
    assert "503" in issue[0]["text"] and issue[0]["code"] == 20047
    hook.status = 200
    shared.ctl("notify", "test", "hook")
    wait_for(lambda: not issues(shared, "notifyFailed"), 20)


def test_who_sends_has_no_rights(shared, channel):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen(16)
        channel("stalled", "Type=webhook", "Kinds=virus", "Collect=0",
                f"Server=http://127.0.0.1:{s.getsockname()[1]}/",
                key="S3cret")
        find_one(shared)
        pid = wait_for(lambda: [p for p, t in shared.titles().items()
                                if "splxnotify" in t], 20)[0]
        status = open(f"/proc/{pid}/status").read()
        assert re.search(r"^Uid:(\s+61184){4}$", status, re.M)
        assert re.search(r"^CapEff:\s+0+$", status, re.M)
        assert re.search(r"^NoNewPrivs:\s+1$", status, re.M)
        for name in ("cmdline", "environ"):
            assert b"S3cret" not in open(f"/proc/{pid}/{name}", "rb").read()
        fds = [os.readlink(f"/proc/{pid}/fd/{f}")
               for f in os.listdir(f"/proc/{pid}/fd")]
        assert not [f for f in fds if str(shared.root) in f]


# ---- mail

@pytest.fixture
def mail(certs):
    running = []

    def start(kind, **kw):
        running.append(Mail(kind, *certs, **kw))
        return running[-1]

    yield start
    for m in running:
        m.stop()


def mail_channel(channel, mail, certs, kind, *settings, **kw):
    return channel("mail", "Type=smtp", f"Server=127.0.0.1:{mail.port}",
                   f"Protocol={kind}", f"CA={certs[0]}", "Collect=0",
                   "To=root@example.org, second@example.org",
                   "From=splx@example.net", "Kinds=virus", *settings, **kw)


@pytest.mark.parametrize("kind", ["plain", "starttls", "tls"])
def test_a_finding_reaches_people_by_mail(shared, channel, mail, certs, kind):
    login = {"user": "us er".replace(" ", ""), "password": "pass: wörd"}
    m = mail(kind, **login) if kind != "plain" else mail(kind)
    mail_channel(channel, m, certs, kind,
                 *(["User=user"] if kind != "plain" else []),
                 **({"password": login["password"]} if kind != "plain"
                    else {}))
    path = find_one(shared)
    wait_for(lambda: m.got, 30)
    sender, to, content = m.got[0]
    assert sender == "splx@example.net"
    assert to == ["root@example.org", "second@example.org"]
    (got, *_) = m.mails()
    assert path in got["Subject"] and "[splx]" in got["Subject"]
    assert got["Auto-Submitted"] == "auto-generated" and got["Message-ID"]
    assert abs(got["Date"].datetime.timestamp() - time.time()) < 60
    assert f"path: {path}" in got.get_content()
    assert max(map(len, content.split(b"\r\n"))) <= 78 + len(path)
    assert "4711" in shared.ctl("notify", "test", "mail").stdout


def test_a_wrong_password_is_told(shared, channel, mail, certs):
    m = mail("starttls", user="user", password="right")
    mail_channel(channel, m, certs, "starttls", "User=user", password="wrong")
    r = shared.ctl("notify", "test", "mail", check=False)
    assert r.returncode == 2 and "User or Password is wrong" in r.stderr
    assert "wrong" not in r.stderr.replace("is wrong", "")
    assert not m.got


def test_no_mail_goes_to_whom_nobody_can_verify(shared, channel, mail, certs):
    m = mail("starttls")
    mail_channel(channel, m, certs, "starttls", "CA=")
    r = shared.ctl("notify", "test", "mail", check=False)
    assert r.returncode == 2 and "certificate" in r.stderr
    # Nor does it go in the clear where TLS was asked for.
    plain = mail("plain")
    shared.ctl("notify", "set", "mail", f"Server=127.0.0.1:{plain.port}")
    r = shared.ctl("notify", "test", "mail", check=False)
    assert r.returncode == 2 and "STARTTLS" in r.stderr
    assert not m.got and not plain.got
    r = shared.ctl("notify", "set", "mail", "Protocol=plain", "User=u",
                   check=False)
    assert r.returncode == 2


def test_hostile_names_make_no_headers_and_no_lines(
        shared, channel, mail, certs):
    m = mail("plain")
    mail_channel(channel, m, certs, "plain")
    name = ("x\r\nBcc: evil@example.com\r\n\r\n.\r\nMAIL FROM:<a> \u202etxt "
            "日本" + "é" * 60).encode() + b"\xfe.com"
    p = os.fsencode(shared.dir) + b"/" + name
    with open(p, "wb") as f:
        f.write(EICAR)
    opens(p)
    wait_for(lambda: m.got, 30)
    (got, *_) = m.mails()
    assert m.got[0][1] == ["root@example.org", "second@example.org"]
    assert got["Bcc"] is None and not got.defects
    assert r"\x0d\x0aBcc: evil@" in got["Subject"] and "日本" in got["Subject"]
    body = got.get_content()
    assert r"\x0aBcc: evil@" in body and r"\xfe" in body
    assert "\u202e" not in body + got["Subject"]
    assert "path: " in body and "\n." not in body


def test_a_refused_mail_is_tried_again_and_many_become_a_digest(
        shared, channel, mail, certs):
    m = mail("plain")
    m.refuse = "451 4.3.0 later, please"
    mail_channel(channel, m, certs, "plain")
    for i in range(8):
        find_one(shared)
    wait_for(lambda: "later, please" in (state(shared, "mail")["error"] or "")
             and state(shared, "mail")["waiting"] > 5, 30)
    m.refuse = None
    wait_for(lambda: state(shared, "mail")["state"] == "idle"
             and m.got, 60)
    digest = [x for x in m.mails() if " events: virus" in x["Subject"]]
    assert digest and "the worst first" in digest[0].get_content() \
        or "events from" in digest[0].get_content()
    assert len(m.got) <= 5


def test_a_mail_server_that_stalls_or_was_away_gets_it_later(
        shared, channel, mail, certs):
    m = mail("plain")
    port = m.port
    mail_channel(channel, m, certs, "plain", "Digest=0")
    m.stop()
    with socket.socket() as s:
        # It takes the connection and says nothing.
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", port))
        s.listen(8)
        path = find_one(shared)
        wait_for(lambda: state(shared, "mail")["failures"] >= 1, 60)
        assert "in time" in state(shared, "mail")["error"]
    again = mail("plain", port=port)
    shared.ctl("notify", "test", "mail")
    wait_for(lambda: [x for x in again.mails() if path in x["Subject"]], 60)
    assert state(shared, "mail")["dropped"] == 0


def test_a_mail_that_is_refused_for_itself_is_dropped(
        shared, channel, mail, certs):
    m = mail("plain")
    m.refuse = "554 5.6.0 no such thing here"
    mail_channel(channel, m, certs, "plain", "Digest=0")
    find_one(shared)
    wait_for(lambda: state(shared, "mail")["dropped"], 40, 1)
    assert "554" in state(shared, "mail")["error"]


def test_addresses_that_are_refused_cost_no_event(
        shared, channel, mail, certs):
    m = mail("plain")
    m.unwanted = {"root@example.org", "second@example.org"}
    mail_channel(channel, m, certs, "plain", "Digest=0")
    find_one(shared)
    wait_for(lambda: state(shared, "mail")["failures"] >= 3, 40, 1)
    assert "550" in state(shared, "mail")["error"]
    assert state(shared, "mail")["dropped"] == 0
    # One that is wanted is enough.
    m.unwanted = {"second@example.org"}
    shared.ctl("notify", "test", "mail")
    wait_for(lambda: len(m.got) >= 2, 30)
    assert {tuple(to) for _, to, _ in m.got} == {("root@example.org",)}


def test_a_sender_that_is_killed_costs_no_event(shared, channel, hook):
    hook.delay = 5
    webhook(channel, hook, "Kinds=virus")
    find_one(shared)
    pid = wait_for(lambda: [p for p, t in shared.titles().items()
                            if "splxnotify" in t], 20)[0]
    os.kill(pid, 9)
    wait_for(lambda: "without an answer"
             in (state(shared, "hook")["error"] or ""), 20)
    hook.delay = 0
    wait_for(lambda: state(shared, "hook")["state"] == "idle"
             and hook.events(), 60)


def test_what_happens_while_it_is_off_is_not_told_later(
        shared, channel, hook):
    webhook(channel, hook, "Kinds=virus", "Enabled=no")
    silent = find_one(shared)
    wait_for(lambda: silent in {e["path"] for e in shared.events()})
    time.sleep(2)
    assert state(shared, "hook")["state"] == "off"
    shared.ctl("notify", "set", "hook", "Enabled=yes")
    path = find_one(shared)
    wait_for(lambda: path in {e["path"] for e in hook.events()}, 20)
    assert not [e for e in hook.events() if e["path"] == silent
                and "more time" not in e["message"]]


def test_a_bearer_token_and_a_users_password_reach_a_webhook(
        shared, channel, hook):
    webhook(channel, hook, "Kinds=virus", password="t0ken.with-all_of~it")
    shared.ctl("notify", "test", "hook")
    assert hook.got[-1][0]["Authorization"] == "Bearer t0ken.with-all_of~it"
    shared.ctl("notify", "set", "hook", "User=me")
    shared.ctl("notify", "test", "hook")
    assert base64.b64decode(hook.got[-1][0]["Authorization"].split()[1]) \
        == b"me:t0ken.with-all_of~it"


# ---- traps

BASE = ".1.3.6.1.4.1.8072.9999.9999.7533"


@pytest.fixture(scope="module")
def traps(tmp_path_factory):
    t = Traps(tmp_path_factory.mktemp("traps"))
    yield t
    t.stop()


def trap_channel(channel, traps, *settings, **kw):
    return channel("trap", "Type=snmp", f"Server=127.0.0.1:{traps.port}",
                   "Kinds=virus", "Collect=0", *settings, **kw)


@pytest.mark.parametrize("version", ["v2c", "v3"])
def test_a_finding_becomes_a_trap(shared, channel, traps, version):
    secrets = ({"password": traps.PASSWORD, "key": traps.KEY}
               if version == "v3" else {})
    trap_channel(channel, traps, f"Protocol={version}",
                 *(["User=splx"] if secrets else []), **secrets)
    path = find_one(shared)
    wait_for(lambda: path in traps.text(), 20)
    text = [line for line in traps.text().splitlines() if path in line][0]
    assert f".1.3.6.1.6.3.1.1.4.1.0 = {BASE}.0.1" in text
    assert f'{BASE}.1.3.0 = "virus"' in text
    assert f'{BASE}.1.7.0 = "{path}"' in text
    assert re.search(re.escape(BASE) + r"\.1\.4\.0 = [23]\b", text)
    assert re.search(re.escape(BASE) + r'\.1\.2\.0 = "\d{4}-', text)
    assert re.search(r"\.1\.3\.6\.1\.2\.1\.1\.3\.0 = \d+:", text)


def test_a_trap_of_a_wrong_password_is_not_believed(shared, channel, traps):
    trap_channel(channel, traps, "Protocol=v3", "User=splx",
                 password="not this one", key=traps.KEY)
    before = traps.text()
    shared.ctl("notify", "test", "trap")
    shared.ctl("notify", "set", "trap", "Protocol=v2c", "User=", "Password=",
               "Key=")
    shared.ctl("notify", "test", "trap")
    wait_for(lambda: traps.text() != before, 20)
    assert traps.text()[len(before):].count(f"{BASE}.0.8") == 1


def test_a_long_and_hostile_name_fits_in_a_trap(shared, channel, traps):
    trap_channel(channel, traps)
    d = os.fsencode(shared.dir) + b"/" + b"d" * 200
    os.makedirs(d, exist_ok=True)
    p = d + "/hostile\n\u202e".encode() + "é".encode() * 100 + b"\xff"
    with open(p, "wb") as f:
        f.write(EICAR)
    opens(p)
    wait_for(lambda: "hostile" in traps.text(), 20)
    line = [x for x in traps.text().splitlines() if "hostile" in x][0]
    assert r"\x0a" in line.replace("\\\\", "\\")


# Of what Debian cannot have (RFC 2578 to 2580) as much as names need;
# net-snmp knows the macros by itself.
STAND_INS = {
    "SNMPv2-SMI": "enterprises OBJECT IDENTIFIER ::= "
                  "{ iso org(3) dod(6) internet(1) private(4) 1 }",
    "SNMPv2-TC": "", "SNMPv2-CONF": "",
}


def test_net_snmp_reads_the_mib(tmp_path):
    for name, text in STAND_INS.items():
        (tmp_path / name).write_text(
            f"{name} DEFINITIONS ::= BEGIN\n{text}\nEND\n")
    shutil.copy(REPO / "etc/SPLX-MIB.txt", tmp_path)

    def translate(*args):
        r = subprocess.run(
            ["snmptranslate", "-M", str(tmp_path), "-m", "SPLX-MIB", *args],
            capture_output=True, text=True, check=True,
            env={**os.environ, "SNMPCONFPATH": str(tmp_path)})
        assert "rror" not in r.stderr and "nknown" not in r.stderr, r.stderr
        return r.stdout.strip()

    assert translate("-On", "SPLX-MIB::splxFinding") == BASE + ".0.1"
    assert translate(BASE + ".1.7.0") == "SPLX-MIB::splxPath.0"
    detail = translate("-Td", "SPLX-MIB::splxEventSeverity")
    assert "high(3)" in detail
    assert "splxHost" in translate("-Td", "SPLX-MIB::splxDigest")


def test_the_mib_names_what_is_sent():
    text = (REPO / "etc/SPLX-MIB.txt").read_text()
    code = (REPO / "splxcore/notify/snmp.c").read_text()
    objects = dict(re.findall(
        r"^(\w+) OBJECT-TYPE.*?::= \{ splxObjects (\d+) \}", text,
        re.S | re.M))
    sent = set(re.findall(r'SNMP_BASE "\.1\.(\d+)\.0"', code))
    assert sent == set(objects.values())
    names = re.findall(r"^(\w+) NOTIFICATION-TYPE.*?splxNotifications (\d+)",
                       text, re.S | re.M)
    assert [n for _, n in names] == [
        n for n in re.findall(r'SNMP_BASE "\.0\.(\d+)"', code)]
