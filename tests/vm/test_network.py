# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""The network monitor on Debian's kernels, which have the packet filter's own
expression for queues: what hangs on the kernel, by the system's test of it."""

import pytest

import installed
from test_service import SETTINGS

pytestmark = pytest.mark.seconds(1200)


@pytest.mark.fresh
def test_off_it_has_the_kernel_load_nothing(system):
    """A machine without a packet filter is not given one for nothing."""
    installed.put(system)
    system.check(SETTINGS + """
        modprobe -n nf_tables || { echo 'it has none to load'; exit 9; }
        service splx start && service splx stop || exit 8
        ! grep -E '^(nf_tables|nfnetlink)' /proc/modules
    """, seconds=300)


def test_the_network_monitor(system):
    installed.put(system)
    r = installed.run_tests(
        system, "tests/system/test_network.py", "-k", "any_kernel")
    assert "1 passed" in r.out, r.out
