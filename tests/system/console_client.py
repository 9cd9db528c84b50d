# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""Raw requests to entity's socket, as the web console's process sends them."""

import json
import os
import socket

CONSOLE_USER = 61185
OTHER_USER = 61186


class Refused(Exception):
    """An error answer."""

    def __init__(self, error):
        super().__init__(f"{error['code']}: {error['message']}")
        self.code = error["code"]
        self.message = error["message"]
        self.data = error.get("data") or {}


def socket_as(path, uid):
    """A connection to a unix socket that another user has made: credentials
    are those of who connects, whoever holds the descriptor later."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            s = socket.socket(socket.AF_UNIX)
            s.connect(str(path))
            socket.send_fds(theirs, [b"x"], [s.fileno()])
        finally:
            os._exit(0)
    theirs.close()
    os.waitpid(pid, 0)
    _, fds, _, _ = socket.recv_fds(ours, 1, 1)
    ours.close()
    assert fds, f"no connection as {uid}"
    return socket.socket(fileno=fds[0])


class Client:
    """One connection; `as_` and `from_` go with each request."""

    def __init__(self, suite, uid=CONSOLE_USER):
        self.sock = socket_as(suite.root / "run/splx/entity.sock", uid)
        self.sock.settimeout(60)
        self.buf = b""
        self.id = 0

    def send(self, verb, args=None, as_=None, from_="192.0.2.7", **more):
        self.id += 1
        request = {"id": self.id, "verb": verb, "args": args or {}, **more}
        if as_ is not None:
            request["as"] = ({"session": as_} if isinstance(as_, str)
                             else as_)
        if from_ is not None:
            request["from"] = from_
        self.sock.sendall(json.dumps(request).encode() + b"\n")
        return self.id

    def line(self):
        while b"\n" not in self.buf:
            data = self.sock.recv(1 << 16)
            if not data:
                raise ConnectionError("entity closed the connection")
            self.buf += data
        line, self.buf = self.buf.split(b"\n", 1)
        return json.loads(line)

    def answer(self):
        got = self.line()
        while got["ok"] and got.get("more"):
            got = self.line()
        if not got["ok"]:
            raise Refused(got["error"])
        return got.get("data")

    def call(self, verb, args=None, **kw):
        self.send(verb, args, **kw)
        return self.answer()

    def login(self, user, password, from_="192.0.2.7"):
        return self.call("console.login",
                         {"user": user, "password": password,
                          "agent": "test"}, from_=from_)

    def close(self):
        self.sock.close()
