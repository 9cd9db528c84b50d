# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""The scripts on a system in the manner of Red Hat: its folders, links with
numbers, an rc that goes by /var/lock/subsys, its settings of the look."""

import re

import pytest

from suite import EICAR, without_module
from test_install import machine, plain, processes, refused, settings

assert machine  # the fixture

# /etc/init.d and the rest are links into /etc/rc.d; nothing makes links for
# others there, and rc starts and stops what its links say.
LAY = r"""
set -e
rm -rf /etc/init.d /etc/rc[0-6S].d /etc/insserv* /etc/init.d
rm -f /usr/sbin/update-rc.d /usr/lib/insserv/insserv /usr/sbin/insserv
mkdir -p /etc/rc.d/init.d /var/lock/subsys /etc/sysconfig
ln -s rc.d/init.d /etc/init.d
for n in 0 1 2 3 4 5 6; do
	mkdir /etc/rc.d/rc$n.d
	ln -s rc.d/rc$n.d /etc/rc$n.d
done
cat >/etc/rc.d/init.d/functions <<'END'
# What a script of such a system may expect to find.
. /etc/sysconfig/init
success() { echo_mark OK; }
failure() { echo_mark FAILED; return 1; }
echo_mark() { printf '[%s]\r' "$1"; }
action() { text=$1; shift; printf '%s ' "$text"; "$@" && success || failure; echo; }
daemon() { "$@"; }
killproc() { kill "$(cat /var/run/$1.pid)"; }
status() { kill -0 "$(cat /var/run/$1.pid)"; }
END
cat >/etc/rc.d/rc <<'END'
#!/bin/sh
# rc LEVEL: what was started and is not wanted there ends, the rest begins.
RUNLEVEL=$1 PREVLEVEL=${2:-N}
export RUNLEVEL PREVLEVEL
started() { [ -e /var/lock/subsys/${1##*/[SK][0-9][0-9]} ]; }
for s in /etc/rc$1.d/K*; do
	[ ! -x $s ] || ! started $s || $s stop
done
for s in /etc/rc$1.d/S*; do
	[ ! -x $s ] || started $s || $s start
done
END
chmod 755 /etc/rc.d/rc
cat >/etc/sysconfig/init <<'END'
BOOTUP=color
RES_COL=70
END
"""


@pytest.fixture
def redhat(machine):
    machine.check(LAY)
    machine.make("install")
    settings(machine)
    return machine


def links(m, level):
    return m.check(f"ls /etc/rc{level}.d").split()


def test_its_rc_starts_and_stops_the_service(redhat):
    m = redhat
    assert links(m, 3) == ["S01splx"] and links(m, 0) == ["K99splx"]
    out = m.check("env -i /etc/rc.d/rc 3")
    assert plain(without_module(out)).endswith(
        "Splx for Linux core started. [ OK ]\n"
        "Starting splxhttpd:\n"
        "Starting splxhttpd: [ OK ]\n"
        "Splx for Linux httpd started. [ OK ]\n")
    m.check("test -e /var/lock/subsys/splx")
    m.write("/srv/protected/bad.com", EICAR)
    assert refused(m)
    assert m.check("env -i /etc/rc.d/rc 5 3") == ""  # it runs already
    assert m.run("/etc/init.d/splx status")[0] == 0
    out = m.check("env -i /etc/rc.d/rc 6 5")
    assert "FAILED" not in out and "Shutting down entity: [" in plain(out)
    assert m.run("test -e /var/lock/subsys/splx")[0] != 0
    assert processes(m) == {}


def test_conditional_words_go_by_what_runs(redhat):
    m = redhat
    assert m.check("/etc/init.d/splx condrestart") == ""
    assert processes(m) == {}
    m.check("/etc/init.d/splx start")
    before = set(processes(m))
    m.check("/etc/init.d/splx condrestart")
    assert processes(m) and not before & set(processes(m))
    m.check("test -e /var/lock/subsys/splx")


def test_its_look_is_kept(redhat):
    m = redhat
    tty = "TERM=linux script -qec '/etc/init.d/splx %s' /dev/null"
    out = m.check(tty % "start")
    assert "Starting entity:\x1b[70G[\x1b[1;32m  OK  \x1b[0;39m]" in out
    m.check("echo BOOTUP=serial >>/etc/sysconfig/init")
    out = m.check(tty % "stop")
    assert "\x1b" not in out
    assert re.search(r"Shutting down entity: \[  OK  \]", out)


def test_uninstalled_it_leaves_no_link(redhat):
    m = redhat
    m.check("/etc/init.d/splx start")
    m.make("uninstall")
    assert processes(m) == {}
    assert m.check("ls /etc/rc.d/rc?.d /etc/rc.d/init.d | grep splx; :") == ""
