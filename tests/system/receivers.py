# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""Who is told of events: a web server with TLS, rsyslog, a mail server,
snmptrapd."""

import contextlib
import email
import email.policy
import http.server
import json
import os
import pathlib
import re
import socket
import ssl
import subprocess
import threading
import time

from suite import wait_for


def certificate(where, name="server", names="IP:127.0.0.1,DNS:localhost"):
    """A self-signed one: (certificate, key)."""
    crt, key = where / f"{name}.crt", where / f"{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
         f"/CN={name}", "-addext", f"subjectAltName={names}", "-keyout",
         str(key), "-out", str(crt)],
        check=True, capture_output=True)
    crt.chmod(0o644)
    return crt, key


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        hook = self.server.hook
        hook.asked += 1
        time.sleep(hook.delay)
        if 200 <= hook.status < 300:
            hook.got.append((dict(self.headers), body))
        reply = hook.reply.encode()
        self.send_response(hook.status)
        for name, value in hook.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def handle(self):
        with contextlib.suppress(OSError):
            super().handle()


class Hook:
    """A web server that is told of events by POST, with TLS where it has a
    certificate."""

    def __init__(self, crt=None, key=None, port=0):
        self.got, self.asked = [], 0
        self.status, self.reply, self.headers, self.delay = 200, "ok", {}, 0
        self.crt, self.key, self.port = crt, key, port
        self.server = None
        self.start()

    def start(self):
        self.server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", self.port), _Handler)
        self.server.hook = self
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        if self.crt:
            ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            ctx.load_cert_chain(self.crt, self.key)
            self.server.socket = ctx.wrap_socket(
                self.server.socket, server_side=True,
                do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever,
                         daemon=True).start()

    def stop(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
        self.server = None

    @property
    def url(self):
        return f"http{'s' if self.crt else ''}://127.0.0.1:{self.port}/in"

    def bodies(self):
        return [json.loads(body) for _, body in list(self.got)]

    def events(self):
        return [e for b in self.bodies() for e in b.get("events", ())]


class Rsyslog:
    """A process of its own: udp, tcp, and tls on ports of its own, and a
    socket; each message becomes a line of JSON."""

    def __init__(self, where, crt, key):
        self.dir = pathlib.Path(where)
        self.udp = free_port(socket.SOCK_DGRAM)
        self.tcp, self.tls = free_port(), free_port()
        self.socket = self.dir / "log.socket"
        self.out = self.dir / "messages"
        self.process = None
        (self.dir / "rsyslog.conf").write_text(f"""
global(workDirectory="{self.dir}" maxMessageSize="16k"
       parser.escapeControlCharactersOnReceive="off"
       defaultNetstreamDriver="ossl"
       defaultNetstreamDriverCAFile="{crt}"
       defaultNetstreamDriverCertFile="{crt}"
       defaultNetstreamDriverKeyFile="{key}")
module(load="imudp")
module(load="imtcp" streamDriver.name="ossl" streamDriver.mode="1"
       streamDriver.authMode="anon")
module(load="imptcp")
module(load="imuxsock" sysSock.use="off")
input(type="imudp" address="127.0.0.1" port="{self.udp}")
input(type="imptcp" address="127.0.0.1" port="{self.tcp}")
input(type="imtcp" address="127.0.0.1" port="{self.tls}")
input(type="imuxsock" socket="{self.socket}")
template(name="line" type="list" option.jsonf="on") {{
  property(outname="pri" name="pri" format="jsonf")
  property(outname="version" name="protocol-version" format="jsonf")
  property(outname="host" name="hostname" format="jsonf")
  property(outname="app" name="app-name" format="jsonf")
  property(outname="id" name="msgid" format="jsonf")
  property(outname="time" name="timereported" dateFormat="rfc3339"
           format="jsonf")
  property(outname="data" name="structured-data" format="jsonf")
  property(outname="input" name="inputname" format="jsonf")
  property(outname="message" name="msg" format="jsonf")
}}
action(type="omfile" file="{self.out}" template="line")
""")
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            ["/usr/sbin/rsyslogd", "-n", "-f", self.dir / "rsyslog.conf",
             "-i", self.dir / "pid"], stdin=subprocess.DEVNULL,
            stdout=open(self.dir / "said", "ab"), stderr=subprocess.STDOUT)
        wait_for(lambda: self.socket.exists() and self._listens(), 20)
        self.socket.chmod(0o666)

    def _listens(self):
        for port in (self.tcp, self.tls):
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", port)):
                    return False
        return True

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(20)
        self.process = None
        with contextlib.suppress(OSError):
            os.unlink(self.socket)

    def messages(self):
        if not self.out.exists():
            return []
        return [json.loads(line) for line in
                self.out.read_text(errors="surrogateescape").splitlines()]


class Mail:
    """A server for mail (aiosmtpd): plain, with STARTTLS, or in TLS from the
    beginning; with a user it wants to know who comes."""

    def __init__(self, kind="plain", crt=None, key=None, user=None,
                 password=None, port=0):
        from aiosmtpd.controller import Controller
        from aiosmtpd.smtp import AuthResult

        self.got, self.refuse, self.unwanted = [], None, set()
        ctx = None
        if crt:
            ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            ctx.load_cert_chain(crt, key)

        def judge(server, session, envelope, mechanism, data):
            right = (data.login, data.password) == (user.encode(),
                                                    password.encode())
            return AuthResult(success=right, handled=False)

        extra = {"hostname": "127.0.0.1", "port": port or free_port()}
        if kind == "tls":
            extra["ssl_context"] = ctx
        if kind == "starttls":
            extra |= {"tls_context": ctx, "require_starttls": True}
        if user:
            extra |= {"authenticator": judge, "auth_required": True,
                      "auth_require_tls": kind == "starttls"}
        self.port = extra["port"]
        self._server = Controller(self, **extra)
        self._server.start()

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address in self.unwanted:
            return "550 5.7.1 not here"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server, session, envelope):
        if self.refuse:
            return self.refuse
        self.got.append((envelope.mail_from, envelope.rcpt_tos,
                         envelope.content))
        return "250 2.0.0 taken as 4711"

    def stop(self):
        if self._server:
            self._server.stop()
        self._server = None

    def mails(self):
        return [email.message_from_bytes(content, policy=email.policy.default)
                for _, _, content in list(self.got)]


class Traps:
    """snmptrapd, a process of its own; knows the community `public`, and the
    user `splx` of this machine's engine."""

    PASSWORD, KEY = "auth-passphrase", "priv-passphrase"

    def __init__(self, where, port=0):
        self.dir = pathlib.Path(where)
        self.port = port or free_port(socket.SOCK_DGRAM)
        host = re.sub("[^!-~]", "_", socket.gethostname()).encode()[:27]
        engine = "0x80001f8804" + host.hex()
        (self.dir / "snmptrapd.conf").write_text(
            f"createUser -e {engine} splx SHA-256 {self.PASSWORD} AES "
            f"{self.KEY}\n"
            "authUser log splx authPriv\nauthCommunity log public\n")
        self.out = self.dir / "traps"
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            ["/usr/sbin/snmptrapd", "-f", "-n", "-C", "-c",
             self.dir / "snmptrapd.conf", "-Lf", self.out, "-On", "-Oa",
             "-OQ", "-p", self.dir / "pid", f"udp:127.0.0.1:{self.port}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=open(self.dir / "said", "ab"),
            env={**os.environ, "SNMP_PERSISTENT_FILE":
                 str(self.dir / "kept"), "MIBS": ""})
        wait_for(lambda: f":{self.port:04X} " in
                 pathlib.Path("/proc/net/udp").read_text(), 20)

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(20)
        self.process = None

    def text(self):
        return (self.out.read_text(errors="replace") if self.out.exists()
                else "")
