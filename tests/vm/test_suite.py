# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""The system tests of tests/system with the kernel module as the interceptor,
inside the whole Debian of a virtual machine, and those of the module alone."""

import pytest

import installed
import khm

# What has nothing to do with the interceptor runs on the machine itself.
FILES = ["test_khm", "test_blocking", "test_policy", "test_faults",
         "test_mounts", "test_mapped", "test_quarantine", "test_attack",
         "test_refresh"]

# The sources are unpacked there: file by file from the host they are slow.
RUN = f"""
here=$PWD
[ -d {installed.SOURCES} ] || {{
	mkdir -p {installed.SOURCES} &&
	tar -C {installed.SOURCES} --no-same-owner -xf splx.tar
}} || exit 9
[ -d /sys/module/splxmod ] || insmod ./splxmod.ko || exit 9
cd {installed.SOURCES}
SPLX_BUILD=build SPLX_INTERCEPTOR=khm SPLX_MODULE=$here/splxmod.ko \
	SPLX_PATIENCE=4 \
	PYTHONDONTWRITEBYTECODE=1 python3 -m pytest -q --tb=short \
	-p no:cacheprovider WHAT || exit
cat /proc/splx/status
rmmod splxmod
"""


def run(system, what, seconds):
    khm.put(system, "tests/vm/rivals")
    system.put(installed.archive())
    return system.check(RUN.replace("WHAT", what), seconds=seconds)


@pytest.mark.seconds(2400)
@pytest.mark.parametrize("name", FILES)
def test_the_system_tests_hold_with_the_module(system, name):
    run(system, f"tests/system/{name}.py", 2000)


@pytest.mark.smoke
@pytest.mark.seconds(900)
def test_the_suite_blocks_by_the_module(system):
    run(system, "tests/system/test_khm.py -k 'TestOne or TestWhole'", 800)


@pytest.mark.fresh
@pytest.mark.seconds(900)
@pytest.mark.parametrize("how, code, words", [
    ("echo 1 >/proc/sys/kernel/modules_disabled", 20020, "modules_disabled"),
    ("echo integrity >/sys/kernel/security/lockdown", 20070, "locked down"),
])
def test_a_kernel_that_takes_no_module_is_named_as_such(
        system, how, code, words):
    """Neither can be undone before the next boot."""
    khm.put(system)
    system.put(installed.archive())
    system.check(f"""
mount -t securityfs securityfs /sys/kernel/security 2>/dev/null
{how} || exit 9
mkdir -p /tmp/stage /tmp/src && tar -C /tmp/src -xf splx.tar || exit 9
(cd /tmp/src && sh tests/build/stage.sh /tmp/stage build) || exit 9
lib=/tmp/stage/usr/lib/splx/modules/$(uname -r) && mkdir -p $lib &&
cp splxmod.ko $lib && . /tmp/stage/usr/lib/splx/functions || exit 8
printf 'ScanUser = "61184"\\nLogSyslog = no\\nInclude = {{"/srv"}}\\n' \
	>/tmp/stage/etc/splx/splx.conf
mount -t tmpfs t /srv
export SPLX_ROOT=/tmp/stage
sh /tmp/stage/etc/init.d/splxcore start >said 2>&1 || {{ cat said; exit 7; }}
cat said
grep -q '{words}' said || exit 6
/tmp/stage/bin/splxctl health --output json >health
grep -q '"interceptor": "fanotify"' health && grep -q {code} health &&
	grep -q '{words}' health || {{ cat health; exit 5; }}
sh /tmp/stage/etc/init.d/splxcore stop || exit 4
umount /srv
""", seconds=400)
    system.stop()
