# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""The suites that a test starts; a test that hangs ends by the alarm, they by
their own watchdog."""

import contextlib
import os
import sys
import threading

import pytest

sys.path.insert(0, os.path.dirname(__file__))

import contain  # noqa: E402
from suite import INTERCEPTOR, Suite  # noqa: E402
from webserver import Server  # noqa: E402


def pytest_cmdline_main(config):
    """With the module the machine is a virtual one, and its pids are the
    kernel's."""
    if os.geteuid() == 0 and INTERCEPTOR != "khm" \
            and not config.option.collectonly:
        with contextlib.suppress(OSError):  # not allowed: some are skipped
            contain.enter()


def alone():
    """There is one kernel module in a machine, for one suite at a time."""
    if INTERCEPTOR == "khm":
        for s in Suite.living:
            s.stop()


@pytest.fixture
def suite():
    """A running suite that denies and leaves files where they are."""
    alone()
    with Suite(FirstAction="deny") as s:
        yield s.start()


@pytest.fixture
def make_suite():
    """Suites with settings of the test's own; not started."""
    alone()
    made = []

    def make(**settings):
        s = Suite(**settings)
        made.append(s)
        return s

    yield make
    for s in made:
        s.close()


@pytest.fixture(scope="module")
def shared_suite():
    with Suite(life=900, FirstAction="deny") as s:
        yield s.start()


@pytest.fixture
def shared(shared_suite):
    """One running suite for the tests of a module that do it no harm."""
    if not shared_suite.entity:
        shared_suite.start()
    return shared_suite


@pytest.fixture
def serve():
    running = []

    def start(directory, misbehave=None):
        server = Server(directory, misbehave)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        running.append(server)
        return server

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failure shows what the suites said and which processes they had."""
    report = (yield).get_result()
    if report.failed:
        for s in Suite.living:
            report.sections.append((f"{s.root}", "\n".join(
                [s.output()[-8000:], *(f"{p} {t}" for p, t in
                                       s.titles().items())])))
