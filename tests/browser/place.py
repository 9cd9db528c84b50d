# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""A suite with a console, an account of each role, and something to show."""

import html
import http.client
import re
import ssl

from browser import Browser, fingerprint
from console import PASSWORD, Console, routes, settings
from suite import EICAR, MARKER, REPO, Suite, opens, wait_for

# role -> account
USERS = {"admin": "admin", "operator": "otto", "viewer": "vera"}
ROLES = tuple(USERS)
RANK = {"ALL": 0, "SESSION": 0, "VIEWER": 1, "OPERATOR": 2, "ADMIN": 3}
PICTURES = REPO / "build/screenshots"
# Longer than any screen is wide, without a place to break it, and hostile.
NAME = "q" * 150 + "<b>'\"&\u202e.com"


class Place:
    def __init__(self):
        self.suite = Suite(life=1500, **settings())
        self.console = None
        self.visitors = {}
        self.known = {}  # role -> its pages

    def __enter__(self):
        try:
            self.suite.start()
            self.console = Console(self.suite).start()
            admin = self.console.admin()
            self.visitors = {"admin": admin}
            for role in ROLES[1:]:
                self.visitors[role] = self.console.user(USERS[role],
                                                         role)
            self.fill()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc):
        if self.console:
            self.console.stop()
        self.suite.close()

    @property
    def origin(self):
        return f"https://127.0.0.1:{self.console.port}"

    def browser(self, trusted=True, **kw):
        with self.console.connect() as s:
            der = s.getpeercert(binary_form=True)
        pem = ssl.DER_cert_to_PEM_cert(der).encode()
        return Browser(self.origin, fingerprint(pem) if trusted else None,
                       **kw)

    def fill(self):
        """What makes lists longer than none."""
        for name, data in (("invoice.com", EICAR), (NAME, EICAR),
                           ("a folder/report.bin", MARKER)):
            path = self.suite.dir / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
            opens(path)
        for k in range(20):
            opens(self.suite.clean(f"clean-{k}.txt"))
        wait_for(lambda: len(self.suite.events()) >= 3)
        self.suite.ctl("exclusion", "add", "directory",
                       self.suite.dir / "database")
        self.suite.ctl("schedule", "set", "nightly", "When=daily",
                       f"Paths={self.suite.dir}")
        self.suite.ctl("scan", self.suite.dir, check=False)
        self.suite.ctl("notify", "set", "office", "Type=syslog",
                       "Server=127.0.0.1", check=False)

    def login(self, browser, role):
        browser.login(USERS[role], PASSWORD)
        assert browser.path == "/", browser.text()

    # -- which pages there are

    def answer(self, role, path):
        """(status, type) of what is there; its body is not waited for."""
        v = self.visitors[role]
        conn = http.client.HTTPSConnection("127.0.0.1", self.console.port,
                                           timeout=20,
                                           context=self.console.tls())
        cookies = "; ".join(f"{k}={c}" for k, c in v.cookies.items())
        conn.request("GET", path, headers={"Cookie": cookies})
        got = conn.getresponse()
        status, type_ = got.status, got.headers.get("Content-Type", "")
        conn.close()
        return status, type_

    def pages(self, role):
        """(path, status) of every page of the table. One that needs to know
        which thing it is to show has that from a page that leads to it; where
        none does it is a page that says there is no such thing."""
        if role in self.known:
            return self.known[role]
        found = self.known[role] = []
        led = self.led(role)
        for method, path, access in routes():
            if method != "GET" or access == "TOKEN" or path == "/static/":
                continue
            status, type_ = self.answer(role, path)
            more = next((p for p in led if p.startswith(
                path if path.endswith("/") else path + "?")), None)
            if status in (400, 404) and more:
                path = more
                status, type_ = self.answer(role, path)
            if not type_.startswith("text/html"):
                continue
            if RANK[role.upper()] < RANK[access]:
                assert status == 403, (role, path, status)
            else:
                assert status in (200, 400, 404), (role, path, status)
            found.append((path, status))
        assert any(status == 200 for _, status in found)
        return found

    def led(self, role):
        """Wherever the pages of the table lead to."""
        paths = []
        for method, path, access in routes():
            if method == "GET" and RANK.get(access, 9) <= RANK[role.upper()] \
                    and self.answer(role, path)[1].startswith("text/html"):
                # it was silent for long, maybe: then it is closed
                self.visitors[role].close()
                text = self.visitors[role].get(path).text
                paths += map(html.unescape,
                             re.findall(r'href="(/[^"#]+)"', text))
        return paths
