# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""Another build of the kernel module than the one that is loaded: a service
that is upgraded takes it into use, and where the former one stays that is told
and protection stays too."""

import re
import shutil

import pytest

import installed
import khm
from test_service import ABC, LIB, SETTINGS
from vm import REPO, WORK

pytestmark = pytest.mark.seconds(900)

MORE = LIB + r"""
where=/usr/lib/splx/modules/$(uname -r)
is_loaded() {
	[ "$(status version)" = $1 ] || fail "$(status version) is loaded"
}
# Health is right a moment after the start.
says() {
	for _ in $(seq 60); do
		[ "$(splxctl health --field $1)" = "$2" ] && return
		sleep 0.5
	done
	fail "$1 is $(splxctl health --field $1), not $2"
}
told() { splxctl health | grep -q "$1" || fail "health does not say: $1"; }
line() { grep -q "$1: *\[ *$2 *\]" said || { cat said; fail "not $1 [$2]"; }; }
upgrade() {
	make -C %s -o all install >said 2>&1 || { cat said; fail install; }
}
""" % installed.SOURCES


def variant(vm, name, **defines):
    """The module built with other constants, as NAME.ko."""
    source = WORK / f"khm-{name}"
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(REPO / "khm", source)
    for define, value in defines.items():
        changed = 0
        for path in source.rglob("*.h"):
            text, n = re.subn(rf"(?m)^(#define {define}) .*$", rf"\1 {value}",
                              path.read_text())
            changed += n
            path.write_text(text)
        assert changed == 1, define
    vm.put(vm.kernel_module(source), f"{name}.ko")


@pytest.fixture
def bed(system):
    khm.put(system, "tests/vm/rivals")
    variant(system, "next", SPLXMOD_VERSION='"99.1"')
    variant(system, "foreign", SPLXMOD_VERSION='"0.9"', SPLXMOD_ABI="2")
    installed.put(system)
    system.check(SETTINGS + ABC + MORE + """
        mkdir -p $where && cp splxmod.ko $where || exit 9
        service splx start || fail start
        bad /root/bad
        protects
        is_loaded 1.0
        says kernelStatus 0""", 400)
    yield system
    system.run("service abc stop; service splx stop; rm -f stop", 200)


def test_an_upgrade_takes_the_new_module_into_use(bed):
    bed.check(MORE + """
        cp next.ko $where/splxmod.ko
        # before the restart the former one serves, and that is told
        says kernelStatus 20078
        told 'version 1.0 of the kernel module is loaded, 99.1 is installed'
        splxctl module status >said
        grep -q '^Version *1.0$' said && grep -q '^Installed.*99.1' said || {
            cat said; fail 'module status'; }
        splxctl module load 2>err || fail load
        grep -q 'it is in use: service splx restart' err || fail "$(cat err)"
        is_loaded 1.0
        denied /root/bad || fail 'not protected'
        splxctl config set ScanTimeout 2m || fail 'config set'
        (while [ ! -e stop ]; do
            if denied /root/bad; then echo held; else echo passed; fi
        done) >opens & opener=$!
        upgrade
        line 'Unloading splx kernel module' OK
        line 'Loading splx kernel module' OK
        protects
        touch stop; wait $opener
        # protection is away once, for the restart
        [ "$(uniq opens | tr '\\n' ' ')" = 'held passed held ' ] || {
            uniq -c opens; fail 'more than the restart'; }
        is_loaded 99.1
        says interceptor khm
        says kernelStatus 0
        [ "$(splxctl config get ScanTimeout)" = 2m ] || fail 'settings lost'
        splxctl module status | grep Installed && fail 'still another one'
        true""", 600)


def test_where_a_rival_keeps_the_former_module_it_serves_on_and_is_told(bed):
    bed.check(MORE + """
        service abc start || fail rival
        protects
        cp next.ko $where/splxmod.ko
        upgrade
        line 'Unloading splx kernel module' FAILED
        line 'Loading splx kernel module' WARNING
        grep 'version 1.0 of the kernel module is loaded, 99.1 is' said |
            grep -q rv_inline || { cat said; fail 'start names no rival'; }
        protects
        is_loaded 1.0
        says interceptor khm
        says kernelStatus 20078
        says operational Functional
        told 'version 1.0 .* 99.1 is installed; the former one serves'
        # when the rival is gone the next restart takes the new one
        service abc stop || fail 'rival stop'
        service splx restart >said 2>&1 || { cat said; fail restart; }
        line 'Loading splx kernel module' OK
        protects
        is_loaded 99.1
        says kernelStatus 0""", 600)


def test_one_that_nobody_uses_gives_way_at_the_next_start(bed):
    bed.check(MORE + """
        # armed, and nobody there any more to let go of it
        ours() { for p in /proc/[0-9]*; do
            case $(readlink $p/exe) in /usr/lib/splx/*)
                echo ${p#/proc/} ;; esac; done; }
        while [ -n "$(ours)" ]; do
            kill -STOP $(ours) 2>/dev/null; kill -KILL $(ours) 2>/dev/null
        done
        [ "$(status state)" != idle ] || fail idle
        cp next.ko $where/splxmod.ko
        service splx start >said 2>&1 || { cat said; fail start; }
        line 'Loading splx kernel module' OK
        protects
        is_loaded 99.1
        # of another interface, too
        service splx stop || fail stop
        insmod ./foreign.ko || fail insmod
        is_loaded 0.9
        service splx start >said 2>&1 || { cat said; fail start; }
        line 'Loading splx kernel module' OK
        protects
        is_loaded 99.1
        says kernelStatus 0""", 600)


def test_one_of_another_interface_that_stays_leaves_fanotify(bed):
    bed.check(MORE + """
        service splx stop || fail stop
        insmod ./foreign.ko || fail insmod
        sleep 900 8<>/dev/splxmod & holder=$!
        service splx start >said 2>&1 || { cat said; fail start; }
        line 'Loading splx kernel module' WARNING
        grep -q 'speaks interface 2, this suite 1' said || {
            cat said; fail 'start does not say why'; }
        says interceptor fanotify
        says kernelStatus 20078
        told 'speaks interface 2, this suite 1'
        told 'version 0.9 of the kernel module is loaded, 1.0 is installed'
        for _ in $(seq 60); do denied /root/bad && break; sleep 0.5; done
        denied /root/bad || fail 'fanotify does not hold it'
        # it is no reader that could be taken for one of ours
        [ "$(status readers)" = 0 ] || fail readers
        kill $holder; wait $holder
        service splx restart >said 2>&1 || { cat said; fail restart; }
        line 'Loading splx kernel module' OK
        protects
        is_loaded 1.0
        says interceptor khm
        says kernelStatus 0""", 600)
