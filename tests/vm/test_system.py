# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""The whole suite on a whole machine, armed on everything, as nowhere else:
here nobody minds if it goes wrong."""

import re

import pytest

import installed

pytestmark = pytest.mark.seconds(1200)

SETTINGS = """
cat >/etc/splx/splx.conf <<'END'
Interceptor = fanotify
FirstAction = deny
LogSyslog = no
VerdictTimeout = 60s
BreakerTimeouts = 100
END
"""
BAD = installed.MARKER + """
denied() { ! cat "$1" >/dev/null 2>&1 && [ -e "$1" ]; }
ours() {
	for p in /proc/[0-9]*; do
		case $(readlink $p/exe) in /usr/lib/splx/*) echo $p ;; esac
	done
}
places="/root /tmp /home /etc /run /dev/shm"
"""


def armed(system):
    """The suite runs and holds everything by fanotify."""
    installed.put(system)
    system.check(SETTINGS + BAD + """
        service splx start || exit 1
        bad /root/probe
        for _ in $(seq 100); do
            denied /root/probe && exit 0
            sleep 1
        done
        splxctl status
        exit 2""", 300)


def test_all_of_the_machine_is_protected(system):
    armed(system)
    out = system.check(BAD + """
        for p in $places; do
            bad $p/infected && echo fine >$p/clean
            denied $p/infected || echo "$p is open"
            [ "$(cat $p/clean)" = fine ] || echo "$p refuses what is clean"
        done
        splxctl status || :""", 200).out
    assert "is open" not in out and "refuses" not in out
    assert re.search(r"fanotify", out)


def test_the_machine_goes_on_working(system):
    armed(system)
    system.check("""
        set -e
        service cron restart
        printf '#include <stdio.h>\nint main(void) { puts("built"); }\n' \
            >/tmp/x.c
        gcc -o /tmp/x /tmp/x.c
        [ "$(/tmp/x)" = built ]
        python3 -c 'import json, sqlite3; print(json.dumps(1))'
        su nobody -s /bin/sh -c 'id -u' | grep -q 65534
        runlevel | grep -qx 'N 2'""", 400)


def test_what_was_clean_is_known_after_a_restart(system):
    armed(system)
    system.check("""
        known() { splxctl statistics --output json |
            sed -n 's/.*"allowedKnown": *\\([0-9]*\\).*/\\1/p' | head -n 1; }
        echo fine >/home/kept && chown nobody /home/kept
        sleep 3
        cat /home/kept
        service splx restart || exit 2
        grep 'known files loaded count=[1-9]' /var/log/splx/splx.log || exit 3
        for _ in $(seq 100); do
            splxctl health --field overall | grep -i protected && break
            sleep 1
        done
        before=$(known)
        cat /home/kept
        sleep 1
        echo "$before, then $(known)"
        [ "$(known)" -gt "$before" ] || exit 4""", 400)


def test_stopped_it_leaves_nothing(system):
    armed(system)
    system.check(BAD + """
        bad /home/later
        denied /home/later || exit 3
        service splx stop || exit 4
        cat /home/later >/dev/null || exit 5
        [ -z "$(ours)" ] || { ours; exit 6; }
        service splx status; [ $? = 3 ] || exit 7""", 200)


def test_a_part_of_the_system_tests_passes_here(system):
    installed.put(system)
    system.run("service splx stop", 100)
    result = installed.run_tests(
        system, "tests/system/test_mounts.py", seconds=900)
    result.check()
    assert re.search(r"^\d+ passed", result.out.splitlines()[-1]), result.out
