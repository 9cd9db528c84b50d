# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""The life of the installed service with the kernel module: a stop that a
rival spoils, and what becomes of it."""

import re
import shutil

import pytest

import installed
import khm

pytestmark = pytest.mark.seconds(900)

# A service that loads a module which holds on to ours, as those of the first
# support case do.
ABC = r"""
cat >/etc/init.d/abc <<'END'
#!/bin/sh
### BEGIN INIT INFO
# Provides:          abc
# Required-Start:    $local_fs
# Required-Stop:     $local_fs
# Default-Start:     2 3 4 5
# Default-Stop:      0 1 6
# Short-Description: a rival
### END INIT INFO
case $1 in
start) [ -d /sys/module/rv_inline ] || insmod /root/rv_inline.ko ;;
stop) [ ! -d /sys/module/rv_inline ] || rmmod rv_inline ;;
esac
END
chmod 755 /etc/init.d/abc
cp rv_inline.ko /root/rv_inline.ko
"""

LIB = installed.MARKER + r"""
fail() { echo "FAILED: $*"; splxctl status; tail -n 30 /var/log/splx/splx.log
	cat /proc/splx/rivals; exit 1; }
status() { sed -n "s/^$1 //p" /proc/splx/status; }
denied() { ! cat "$1" >/dev/null 2>&1; }
protects() {
	for _ in $(seq 60); do
		[ "$(status state)" = armed ] && denied /root/bad && return
		sleep 1
	done
	fail "it does not protect"
}
"""

SETTINGS = """
cat >/etc/splx/splx.conf <<'END'
FirstAction = deny
LogSyslog = no
HookMethod = ftrace
VerdictTimeout = 60s
BreakerTimeouts = 100
ScanAtStart = no
END
"""

# The first support case's, under our name; blanks do not count.
SPOILT = """\
Shutting down Splx for Linux:
Shutting down splxcore:
Shutting down vsapiapp: [ OK ]
Unloading splx kernel module: [FAILED]
Shutting down entity: [ OK ]
splxcore stopped with errors. WHY
[FAILED]
Shutting down splxhttpd:
Shutting down splxhttpd: [ OK ]
Splx for Linux httpd stopped normally. [ OK ]
"""


@pytest.fixture
def bed(system):
    khm.put(system, "tests/vm/rivals")
    installed.put(system)
    system.check(SETTINGS + ABC + LIB + """
        where=/usr/lib/splx/modules/$(uname -r)
        mkdir -p $where && cp splxmod.ko $where || exit 9
        service splx start || fail start
        bad /root/bad
        protects""", 400)
    yield system
    system.run("service abc stop; service splx stop", 200)


def plain(text):
    return re.sub(r"\n\s+", "\n", re.sub(" +", " ", text))


def test_a_rival_spoils_the_stop_and_no_harm_is_done(bed):
    out = bed.check(LIB + """
        service abc start || fail rival
        protects
        for _ in $(seq 60); do
            splxctl health --field conflicting_applications >said
            grep -q abc said && grep -q blocks-unload said && break
            sleep 1
        done
        grep -q rv_inline said || { cat said; fail 'health names no rival'; }
        service splx stop >said 2>err; [ $? = 1 ] || fail "status $?"
        sed 's/^/> /' said; sed 's/^/! /' err
        # opens run free at once
        time=$(date +%s%N)
        for _ in 1 2 3 4 5 6 7 8; do cat /root/bad >/dev/null || fail held; done
        [ $((($(date +%s%N) - time) / 1000000)) -lt 4000 ] || fail slow
        [ "$(status state)" = passive ] || fail 'not passive'
        service splx status >said; [ $? = 3 ] || fail "status says $?"
        grep -q 'Unload pending' said && grep -q rv_inline said || {
            cat said; fail 'it does not say so'; }
        splxctl health --field operational | grep -qx 'Unload pending' ||
            fail health
        # the very same module is armed again
        loads() { dmesg | grep -c 'splxmod: version'; }
        before=$(loads)
        [ $before -gt 0 ] || fail 'the kernel tells of no loading'
        service splx start >said 2>&1 || { cat said; fail start; }
        protects
        [ "$(loads)" = $before ] || fail 'loaded anew'
        # when the rival is gone a stop is clean
        service abc stop || fail 'rival stop'
        service splx stop >said 2>&1 || { cat said; fail stop; }
        grep -q 'Unloading splx kernel module: *\\[  OK  \\]' said || {
            cat said; fail 'not unloaded'; }
        [ ! -d /sys/module/splxmod ] || fail 'still there'""", 400).out
    said = "".join(line[2:] + "\n" for line in out.splitlines()
                   if line.startswith("> "))
    why = re.search(r"with errors\. (.*)", said)[1]
    assert plain(said) == SPOILT.replace("WHY", why)
    assert "rv_inline" in why and "splxctl conflicts" in why
    assert "service abc stop" in why
    warning = [line for line in out.splitlines() if line.startswith("! ")]
    assert any("rv_inline" in w for w in warning), "no warning before"


def test_module_unload_finishes_what_a_stop_could_not(bed):
    bed.check(LIB + """
        service abc start || fail rival
        service splx stop && fail 'a stop that went well'
        splxctl module unload && fail 'the rival still holds it'
        [ -d /sys/module/splxmod ] || fail 'gone'
        service abc stop || fail 'rival stop'
        splxctl module unload || fail unload
        [ ! -d /sys/module/splxmod ] || fail 'still there'
        service splx status; [ $? = 3 ] || fail status
        splxctl health --field operational | grep -qx Stopped || fail health
        """, 300)


@pytest.mark.parametrize("level", [0, 6])
def test_at_the_machines_end_the_module_stays_and_that_is_no_error(bed, level):
    out = bed.check(LIB + f"""
        time=$(date +%s)
        env -i RUNLEVEL={level} PREVLEVEL=2 /etc/init.d/splx stop >said 2>&1 ||
            {{ cat said; fail stop; }}
        [ $(($(date +%s) - time)) -lt 30 ] || fail slow
        cat said
        [ -d /sys/module/splxmod ] || fail 'unloaded'
        cat /root/bad >/dev/null || fail 'it still blocks'
        service splx start || fail start
        protects""", 300).out
    assert "FAILED" not in out and "Unloading" not in out


def test_two_actions_at_once_come_one_after_the_other(bed):
    bed.check(LIB + """
        service splx stop >stop.out 2>&1 & stop=$!
        sleep 0.3
        service splx start >start.out 2>&1 || { cat start.out; fail start; }
        wait $stop || { cat stop.out; fail stop; }
        protects
        service splx restart >1.out 2>&1 & one=$!
        service splx restart >2.out 2>&1 & two=$!
        wait $one || { cat 1.out; fail first; }
        wait $two || { cat 2.out; fail second; }
        protects
        service splx start >start.out 2>&1 & start=$!
        sleep 0.3
        service splx stop >stop.out 2>&1 || { cat stop.out; fail stop; }
        wait $start
        service splx status; [ $? = 3 ] || fail 'it runs'
        service splx start || fail 'start'""", 500)


def test_the_scripts_work_in_any_posix_shell(bed):
    """Also those that a script calls: they find it as sh."""
    bed.put(shutil.which("busybox"))
    bed.check(LIB + """
        cp busybox /root
        sh=/usr/local/bin/sh
        trap 'rm -f $sh' EXIT
        for shell in /bin/dash /root/busybox /bin/bash; do
            ln -sf $shell $sh
            [ "$($sh -c 'readlink /proc/$$/exe; :')" = \
                $(readlink -f $shell) ] || fail "no $shell"
            $sh /etc/init.d/splx stop || fail "$shell stop"
            $sh /etc/init.d/splx status; [ $? = 3 ] || fail "$shell status"
            $sh /etc/init.d/splx start || fail "$shell start"
            $sh /etc/init.d/splx status || fail "$shell status"
            protects
        done""", 500)


def test_uninstalled_under_a_rival_it_says_what_is_left(bed):
    out = bed.check(LIB + f"""
        service abc start || fail rival
        make -C {installed.SOURCES} uninstall 2>&1 || fail uninstall
        cat /root/bad >/dev/null || fail 'it still blocks'
        [ -d /sys/module/splxmod ] || fail 'no module'
        [ ! -e /usr/sbin/splxctl ] || fail 'not removed'
        service abc stop""", 300).out
    assert "goes with the next boot" in out
    assert "rv_inline" in out
