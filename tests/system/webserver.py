# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""A web server that can be told to misbehave."""

import functools
import http.server


class Server(http.server.ThreadingHTTPServer):
    """Serves a directory; `misbehave(handler)` may answer instead."""
    daemon_threads = True

    def __init__(self, directory, misbehave=None):
        self.misbehave = misbehave or (lambda h: False)
        self.asked = []
        super().__init__(("127.0.0.1", 0), functools.partial(
            Handler, directory=str(directory)))
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.asked.append((self.path, self.headers.get("Range")))
        if not self.server.misbehave(self):
            super().do_GET()

    def handle(self):
        try:
            super().handle()
        except OSError:
            pass
