# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""The network monitor on Debian's kernels, which have the packet filter's own
expression for queues: what hangs on the kernel, by the system's test of it."""

import pytest

import installed

pytestmark = pytest.mark.seconds(1200)


def test_the_network_monitor(system):
    installed.put(system)
    r = installed.run_tests(
        system, "tests/system/test_network.py", "-k", "any_kernel")
    assert "1 passed" in r.out, r.out
