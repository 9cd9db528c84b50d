# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""The first support case on a machine that boots and shuts down: a rival that
starts after us, and both remedies."""

import re

import pytest

import installed
import khm
from conftest import machine
from test_service import ABC, LIB, SETTINGS

pytestmark = pytest.mark.seconds(1800)

OTHER = r"""
printf '%s\n' '#!/bin/sh' '### BEGIN INIT INFO' '# Provides: other' \
	'# Required-Start: $local_fs' '# Required-Stop: $local_fs' \
	'# Default-Start: 2 3 4 5' '# Default-Stop: 0 1 6' \
	'# Short-Description: of another package' '### END INIT INFO' \
	>/etc/init.d/other
chmod 755 /etc/init.d/other
"""


@pytest.fixture(scope="module")
def own(series):
    """A machine with a disk of its own, in runlevel 3; the rival's header
    says that it comes after us."""
    vm = machine(series, "root", keep=True, runlevel=3)
    khm.put(vm, "tests/vm/rivals")
    installed.put(vm)
    vm.check(SETTINGS + ABC + """
        where=/usr/lib/splx/modules/$(uname -r)
        mkdir -p $where && cp splxmod.ko $where || exit 9
        sed -i '/Required-Start/s/local_fs/local_fs splx/' /etc/init.d/abc
        update-rc.d abc defaults || exit 8
        sync""", 300)
    vm.shutdown()
    yield vm
    vm.close()


def order_of(vm):
    """Names in the order of their start links."""
    return [re.sub(r"^S\d\d", "", n)
            for n in vm.check("ls /etc/rc3.d").out.split()
            if n.startswith("S")]


def test_the_case_from_the_first_boot_to_the_last(own):
    # the machine boots, and the rival comes after us
    own.check(LIB + """
        runlevel | grep -qx 'N 3' || fail "$(runlevel)"
        ls /etc/rc3.d/S??splx /etc/rc0.d/K??splx /etc/rc6.d/K??splx ||
            fail links
        # a clean end, before all that still runs is told to end: what has
        # no need of the other runs beside it, whatever the numbers say
        grep -q '^sendsigs:.*\\bsplx\\b' /etc/init.d/.depend.stop ||
            fail "beside sendsigs: $(cat /etc/init.d/.depend.stop)"
        service splx status || fail 'not started at boot'
        [ -d /sys/module/rv_inline ] || fail 'no rival'
        bad /root/bad
        protects
        [ ! /run/splx/entity.pid -nt /run/crond.pid ] || fail 'cron came first'
        """, 300)
    names = order_of(own)
    assert names.index("splx") < names.index("abc")
    # remedy 1
    own.check(LIB + """
        splxctl order check 3; [ $? = 1 ] || fail 'a conflict goes unseen'
        splxctl conflicts | grep -q abc || fail conflicts
        service splx stop && fail 'a stop that went well'
        service abc stop || fail rival
        splxctl module unload || fail unload
        service splx start || fail start
        service splx stop || fail 'remedy 1'
        service splx start || fail start""", 400)
    # remedy 2, and another package's links do not undo it
    own.check(LIB + OTHER + """
        sed -i '/Required-Start/s/ splx//' /etc/init.d/abc
        splxctl order apply 3 --after=abc || fail apply
        update-rc.d other defaults || fail other
        splxctl order check 3 || fail check
        # who came first holds the place of the first method
        splxctl config set HookMethod auto || fail config
        sync""", 200)
    names = order_of(own)
    assert names.index("abc") < names.index("splx")
    # down, where nobody unloads anything, and up again
    own.check("service splx status && cat /run/splx/entity.pid", 60)
    said = re.sub(r"\x1b\[[0-9;]*[A-Za-z]|\0", " ", own.shutdown())
    down = said[said.index("Shutting down Splx"):]
    assert re.search(r"Shutting down entity:\s+\[ +OK +\]", down), down
    assert "FAILED" not in down and "Unloading" not in down, down
    own.check(LIB + """
        runlevel | grep -qx 'N 3' || fail "$(runlevel)"
        service splx status || fail 'not started at boot'
        [ -d /sys/module/rv_inline ] || fail 'no rival'
        protects
        service splx stop || fail 'remedy 2'
        [ ! -d /sys/module/splxmod ] || fail 'still there'
        service splx start || fail start""", 400)
    # who restarts himself: only remedy 1
    own.check(LIB + r"""
        printf '\n[abc]\nProduct = "A rival"\nRestartsItself = "often"\n' \
            >>/etc/splx/conflicts.conf
        splxctl conflicts >said
        cat said
        grep -q 'Remedy 1' said && ! grep -q 'Remedy 2' said || fail remedies
        splxctl order apply 3 --after=abc >said 2>&1
        [ $? != 0 ] || fail 'he who restarts himself is put in an order'
        cat said""", 200)
