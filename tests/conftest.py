# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""Every test gets an end: one that hangs is ended by the alarm. On a slow
machine (a virtual one) SPLX_PATIENCE says how many times as long it may take."""

import os
import signal

import pytest


@pytest.fixture
def usual_seconds():
    """Seconds for a test that does not ask for others: seconds(n)."""
    return 150


@pytest.fixture(autouse=True)
def alarm(request, usual_seconds):
    marker = request.node.get_closest_marker("seconds")
    patience = float(os.environ.get("SPLX_PATIENCE", 1))
    seconds = marker.args[0] if marker else usual_seconds
    seconds = int(seconds * patience)

    def ring(*_):
        raise TimeoutError(f"the test took longer than {seconds} s")

    signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    yield
    signal.alarm(0)


def pytest_configure(config):
    config.addinivalue_line("markers", "seconds(n): the test's own limit")
