# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""The second support case on a machine that crashes and boots: two ungraceful
ends within the hour, and it comes up without the kernel module."""

import json
import re

import pytest

import installed
import khm
from conftest import machine
from test_service import LIB, SETTINGS
from vm import PANIC

pytestmark = pytest.mark.seconds(2400)

LOCK = "/etc/splx/km/.load_lock"
MORE = LIB + rf"""
lines() {{ [ ! -e {LOCK} ] || grep -c "^$1 " {LOCK}; }}
# how many lines of each kind stand there, such as "start=1 crash=0"
stands() {{
	for want in "$@"; do
		[ "$(lines ${{want%%=*}} || :)" = ${{want#*=}} ] ||
			[ ! -e {LOCK} -a ${{want#*=}} = 0 ] ||
			{{ cat {LOCK}; fail "not $want"; }}
	done
}}
field() {{ splxctl health --field $1; }}
# Health is right a moment after the start.
says() {{
	for _ in $(seq 60); do
		[ "$(field $1)" = "$2" ] && return
		sleep 0.5
	done
	fail "$1 is $(field $1), not $2"
}}
functional() {{
	protects
	says operational Functional
	says kernelStatus 0
	says antimalwareStatus 0
}}
locked() {{
	says operational 'Kernel Module Locked'
	says overall 'Partially protected'
	[ ! -d /sys/module/splxmod ] || fail 'it is loaded'
}}
"""


@pytest.fixture(scope="module")
def own(series):
    """A machine with a disk of its own, where the service starts at boot. It
    has patterns of its own, so that nothing else is wrong."""
    vm = machine(series, "root", keep=True)
    khm.put(vm)
    installed.put(vm)
    vm.check(SETTINGS + """
        where=/usr/lib/splx/modules/$(uname -r)
        mkdir -p $where && cp splxmod.ko $where || exit 9
        echo 'Test.Lock:0:*:6f6e65206f66206f75722074657374732c207265616c6c79' \
            >own.ndb
        splxctl pattern update --from=own.ndb || exit 7
        service splx start || exit 8
        sync""", 300)
    yield vm
    vm.ahead = 0
    vm.close()


def crash(vm, script):
    """The script, and the end of the machine; what the script said."""
    result = vm.run(MORE + script + """
        echo here it goes
        echo c >/proc/sysrq-trigger
        sleep 60""", 300)
    assert result.status == PANIC, result
    assert "here it goes" in result.out, result
    return result


def codes(out):
    """Of the last line of the log that tells them."""
    lines = re.findall(r"operational=\"([^\"]*)\" codes=(\{.*\})", out)
    return lines[-1][0], json.loads(lines[-1][1])


def test_two_crashes_within_the_hour_lock_the_module_out(own):
    # the first is noticed, and the module is loaded again
    crash(own, "bad /root/bad; functional; stands start=1 crash=0; sync")
    crash(own, """
        functional
        stands start=1 crash=1
        splxctl events list --kind=system |
            grep -q 'went down without a clean end 1 time' || fail 'no event'
        sync""")
    # the second locks it out: at boot, with its reason on the console
    result = own.check(MORE + r"""
        locked
        says kernelStatus 20003
        says antimalwareStatus 20003
        for f in general pattern network console; do says ${f}Status 0; done
        says interceptor async
        stands start=0 crash=2
        splxctl module status >said; [ $? = 1 ] || fail 'status'
        grep -q '^locked: ' said && grep -q 'splxctl module unlock' said ||
            { cat said; fail 'module status does not say it'; }
        splxctl status | grep -q 'splxctl module unlock' || fail status
        # nothing waits, and what is used is found all the same
        sleep 600 </root/bad & user=$!
        wait $user
        [ $? = 137 ] || fail 'who used it was not ended'
        for _ in $(seq 40); do
            splxctl -o json events list --kind=virus >said
            grep -q '"allowed: asynchronous, opened"' said && break
            sleep 0.5
        done
        for word in '"allowed: asynchronous, opened"' '"severity": "high"' \
            'process.* ended: ' '"exposure_ms": [0-9]'; do
            grep -q "$word" said || { head -n 40 said
                fail "no finding with $word"; }
        done
        cat /var/log/splx/splx.log""", 300)
    boot = re.sub(r"\x1b\[[0-9;]*[A-Za-z]|\0", " ", result.console)
    assert re.search(r"Loading splx kernel module:\s+\[ *WARNING *\]", boot), \
        boot[-3000:]
    assert "the load lock holds it back" in boot
    said, numbers = codes(result.out)
    assert said == "Kernel Module Locked"
    assert numbers == {
        "generalStatus": 0, "antimalwareStatus": 20003, "kernelStatus": 20003,
        "patternStatus": 0, "networkStatus": 0, "consoleStatus": 0}
    # a clean boot, and a clock that was set meanwhile, change nothing
    own.check(MORE + "date -s '+9 hours'; sleep 3; locked")
    own.shutdown()
    own.check(MORE + "locked; stands start=0 crash=2", 200)
    # neither does loading it by hand
    own.check(MORE + """
        splxctl module load; [ $? = 1 ] || fail 'it was loaded'
        insmod /usr/lib/splx/modules/$(uname -r)/splxmod.ko || fail insmod
        splxctl config reload || fail reload
        says operational 'Kernel Module Locked'
        [ "$(status state)" != armed ] || fail 'it is armed'
        rmmod splxmod || fail rmmod""", 200)
    # the way out
    own.check(MORE + """
        splxctl module unlock >said || { cat said; fail unlock; }
        grep -q '2 crashes cleared' said && grep -q 'is in use' said ||
            { cat said; fail 'unlock does not say what it did'; }
        functional
        says overall Protected
        stands start=1 crash=0
        splxctl events list --kind=audit | grep -q module.unlock ||
            fail 'no audit event'""", 200)
    # a clean shutdown leaves nothing, and the next boot is as ever
    own.shutdown()
    own.check(MORE + """
        functional
        stands start=1 crash=0
        splxctl events list --kind=system --limit=20 |
            grep -q 'without a clean end [3-9]' && fail 'a crash too many'
        service splx stop || fail stop
        [ ! -e %s ] || fail 'a clean stop leaves an entry'
        service splx start || fail start
        functional""" % LOCK, 300)


def test_an_hour_later_it_is_loaded_again(own):
    crash(own, "functional; sync")
    crash(own, "functional; sync")
    own.check(MORE + "locked; stands crash=2", 200)
    own.shutdown()
    own.ahead = 2 * 3600  # its clock runs on while it is off
    own.check(MORE + "functional; stands start=1 crash=0", 300)
    # rm, as the administrator's own way
    own.ahead = 0
    own.shutdown()
    crash(own, "functional; sync")
    crash(own, "functional; sync")
    own.check(MORE + f"""
        locked
        splxctl health >said
        [ "$(grep -c '^crash ' said)" = 2 ] || {{ cat said; fail health; }}
        service splx stop || fail stop
        rm {LOCK}
        service splx start || fail start
        functional
        stands start=1 crash=0""", 300)


def test_the_settings_and_an_upgrade_have_their_say(own):
    crash(own, "functional; sync")
    own.check(MORE + f"""
        functional
        stands start=1 crash=1
        # what is in use is not judged again
        splxctl config set LoadLockMaxCrashes 1 || fail config
        functional
        service splx restart
        locked
        # held by other means, and by none
        splxctl config set WhenLocked fanotify || fail fanotify
        says interceptor fanotify
        says operational 'Kernel Module Locked'
        says antimalwareStatus 0
        says kernelStatus 20003
        denied /root/bad || fail 'fanotify does not hold it'
        splxctl config set WhenLocked off || fail off
        says overall Unprotected
        says operational 'Kernel Module Locked'
        splxctl config reset WhenLocked || fail reset
        splxctl config set LoadLockMaxCrashes 0 || fail 'config 0'
        # not locked any more, but nobody has loaded it
        says interceptor fanotify
        says operational Functional
        splxctl module status | grep 'load lock' && fail 'an old reason'
        splxctl module load || fail load
        functional
        splxctl config set LoadLockMaxCrashes 1 || fail config
        service splx restart
        locked
        stands crash=1
        # a new version gets another chance
        make -C {installed.SOURCES} -o all install >said 2>&1 || {{
            cat said; fail install; }}
        functional
        stands start=1 crash=0
        splxctl config reset LoadLockMaxCrashes || fail reset""", 400)


def test_a_suite_that_was_killed_is_no_crash_of_the_machine(own):
    own.check(MORE + """
        functional
        ours() { for p in /proc/[0-9]*; do
            case $(readlink $p/exe) in /usr/lib/splx/*)
                echo ${p#/proc/} ;; esac; done; }
        while [ -n "$(ours)" ]; do
            kill -STOP $(ours) 2>/dev/null; kill -KILL $(ours) 2>/dev/null
        done
        stands start=1""", 200)
    own.shutdown()  # its script ends what was left open
    own.check(MORE + "functional; stands start=1 crash=0", 200)
    own.check(MORE + """
        while kill -KILL $(pidof entity vsapiapp) 2>/dev/null; do :; done
        rm -f /run/splx/*.pid
        service splx start || fail start
        functional
        stands start=1 crash=0""", 200)
