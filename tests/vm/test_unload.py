# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""The module's way in and out: while armed, under load, with openers that
wait, by force, many times. The bed judges the console: no report of the
kernel's is allowed in any of these."""

import pytest

import khm

pytestmark = pytest.mark.seconds(900)
METHODS = ["ftrace", "fsnotify"]
TIMES = 100
# A cycle takes one to eight seconds, as busy as the host is.
LONG = 120 + 15 * TIMES


@pytest.fixture
def bed(vm):
    khm.put(vm, "tests/vm/rivals")
    return vm


@pytest.mark.smoke
@pytest.mark.parametrize("method", METHODS)
def test_rmmod_is_refused_while_armed(bed, method):
    khm.check(bed, f"""
        serve {method} oec || fail serve
        rmmod splxmod 2>/tmp/err && fail unloaded
        grep -q 'temporarily unavailable' /tmp/err || fail "$(cat /tmp/err)"
        expect denies
        stop || fail disarm
        expect passes
    """)


@pytest.mark.parametrize("method", METHODS)
def test_rmmod_is_refused_while_the_device_is_open(bed, method):
    khm.check(bed, """
        $C hold 30 & holder=$!
        sleep 0.5
        rmmod splxmod 2>/dev/null && fail unloaded
        kill $holder; wait $holder
        true
    """)


@pytest.mark.smoke
@pytest.mark.parametrize("method", METHODS)
def test_disarming_lets_go_who_waits(bed, method):
    khm.check(bed, f"""
        serve {method} o readers 1 delay 60000 timeout 60000 \\
            only /wait || fail serve
        rm -f /wait/f*
        for i in $(seq 16); do
            echo $i >/wait/f$i
            $C open /wait/f$i & waiting="$waiting $!"
        done
        until_status pending 16
        begin=$(cut -d. -f1 /proc/uptime)
        $C disarm || fail disarm
        for p in $waiting; do wait $p || fail 'not let through'; done
        took=$(( $(cut -d. -f1 /proc/uptime) - begin ))
        [ $took -lt 20 ] || fail "it took $took s"
        [ $(status released) -ge 16 ] || fail "$(status released) released"
        kill -9 $server; wait $server
        true
    """)


@pytest.mark.parametrize("method", METHODS)
def test_disarming_fails_closed_when_that_is_the_policy(bed, method):
    khm.check(bed, f"""
        serve {method} o readers 1 delay 60000 timeout 60000 closed \\
            only /wait ||
            fail serve
        rm -f /wait/f*; echo 1 >/wait/f1
        $C open /wait/f1 & waiting=$!
        until_status pending 1
        $C disarm || fail disarm
        wait $waiting; [ $? = 1 ] || fail 'it was let through'
        expect passes
        kill -9 $server; wait $server
        true
    """)


@pytest.mark.smoke
@pytest.mark.parametrize("method", METHODS)
def test_a_killed_reader_harms_nobody(bed, method):
    khm.check(bed, f"""
        serve {method} oec || fail serve
        load
        sleep 2
        kill -9 $server; wait $server
        expect passes
        sleep 1
        serve {method} oec || fail 'taken over again'
        expect denies
        unload
        stop || fail disarm
    """)


@pytest.mark.smoke
@pytest.mark.parametrize("method", METHODS)
def test_it_is_unloaded_under_load(bed, method):
    khm.check(bed, f"""
        load
        for i in 1 2 3; do
            serve {method} oec || fail serve
            sleep 1
            stop || fail disarm
            rmmod splxmod || fail rmmod
            insmod ./splxmod.ko || fail insmod
        done
        unload
    """)


@pytest.mark.seconds(2 * LONG)
@pytest.mark.parametrize("method", METHODS)
def test_arming_and_disarming_many_times_under_load(bed, method):
    khm.check(bed, f"""
        load
        $C cycle {TIMES} {method} oec || fail cycle
        unload
        expect passes
    """, seconds=LONG)


@pytest.mark.seconds(2 * LONG)
def test_loading_and_unloading_many_times_under_load(bed):
    khm.check(bed, f"""
        load
        for i in $(seq {TIMES}); do
            [ $((i % 2)) = 0 ] && method=ftrace || method=fsnotify
            $C arm $method oec >/dev/null || fail "arm $i"
            $C disarm >/dev/null || fail "disarm $i"
            rmmod splxmod || fail "rmmod $i"
            insmod ./splxmod.ko || fail "insmod $i"
        done
        unload
    """, seconds=LONG)


@pytest.mark.smoke
@pytest.mark.fresh
@pytest.mark.parametrize("method", METHODS)
def test_a_forced_rmmod_waits_and_then_succeeds(bed, method):
    """While armed, with questions pending and the device open: it hangs, the
    machine lives, and it ends when the descriptors are closed."""
    khm.check(bed, f"""
        serve {method} oec readers 1 delay 3000 timeout 60000 \\
            only /wait || fail serve
        rm -f /wait/f*; echo 1 >/wait/f1
        $C open /wait/f1 & waiting=$!
        sleep 0.5
        rmmod -f splxmod & remover=$!
        sleep 5
        kill -0 $remover || fail 'it did not wait for the descriptors'
        wait $waiting || fail 'not let through'
        dmesg | grep 'splxmod: cannot be unloaded' || fail 'it does not say why'
        dmesg | grep 'open descriptors of /dev/splxmod' || fail 'nor for whom'
        [ -e /dev/splxmod ] && fail 'the device is still there'
        kill -9 $server; wait $server
        wait $remover || fail 'rmmod'
        lsmod | grep splxmod && fail 'still loaded'
        expect passes
        insmod ./splxmod.ko || fail 'loaded again'
    """)


@pytest.mark.fresh
@pytest.mark.parametrize("rival", ["inline", "fops"])
def test_a_forced_rmmod_waits_for_a_rival(bed, rival):
    khm.check(bed, f"""
        serve ftrace oec || fail serve
        insmod ./rv_{rival}.ko || fail rival
        rmmod -f splxmod & remover=$!
        sleep 1
        kill -9 $server; wait $server
        sleep 4
        kill -0 $remover || fail 'it did not wait for the rival'
        dmesg | grep 'rv_{rival}' || fail 'it does not say for whom'
        expect passes
        rmmod rv_{rival} || fail 'the rival cannot be removed'
        wait $remover || fail rmmod
        lsmod | grep splxmod && fail 'still loaded'
        insmod ./splxmod.ko || fail 'loaded again'
    """)
