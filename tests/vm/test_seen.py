# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""What the module sees, by both methods: each open once, the closes of what
was written, and new file systems. (Every kind of open: test_module.py.)"""

import pytest

import khm

pytestmark = pytest.mark.seconds(600)
METHODS = ["ftrace", "fsnotify"]


@pytest.fixture
def bed(vm):
    khm.put(vm)
    return vm


@pytest.mark.smoke
@pytest.mark.parametrize("method", METHODS)
def test_each_open_is_asked_about_once(bed, method):
    out = khm.check(bed, f"""
        rm -rf /wait/*
        serve {method} oec only /wait || fail serve
        cp /bin/busybox /wait/true
        printf '#!/wait/true sh\\necho run\\n' >/wait/script
        chmod +x /wait/script
        sleep 0.5
        : >/tmp/serve.log
        echo new >/wait/new
        cat /wait/new
        until_status closes_waiting 0 # or this close and the next are one question
        echo more >>/wait/new
        /wait/true
        mkdir -p /wait/l /wait/u /wait/w /tmp/o; echo lower >/wait/l/f
        mount -t overlay o -o lowerdir=/wait/l,upperdir=/wait/u,workdir=/wait/w \
            /tmp/o || fail overlay
        sleep 0.5
        stop || fail disarm
        grep /wait/ /tmp/serve.log | cut -d' ' -f1,2
        umount /tmp/o
    """).out
    said = [line for line in out.splitlines()
            if line.startswith(("open ", "exec ", "close "))]
    assert said.count("close /wait/new") == 2, out
    assert said.count("open /wait/new") == 2, out
    assert said.count("exec /wait/true") == 1, out
    assert said.count("open /wait/true") == 0, out


@pytest.mark.smoke
@pytest.mark.parametrize("method", METHODS)
def test_an_overlays_open_is_asked_about_once(bed, method):
    out = khm.check(bed, f"""
        mkdir -p /wait/l /wait/u /wait/w /tmp/o
        echo lower >/wait/l/f
        mount -t overlay o -o lowerdir=/wait/l,upperdir=/wait/u,workdir=/wait/w \
            /tmp/o || fail overlay
        serve {method} oec || fail serve
        : >/tmp/serve.log
        cat /tmp/o/f
        sleep 0.5
        stop || fail disarm
        grep -c '^open.*/f ' /tmp/serve.log
        umount /tmp/o
    """).out
    assert out.splitlines()[-1] == "1", out


@pytest.mark.parametrize("classes, kinds", [
    ("o", {"open"}), ("e", {"exec"}), ("c", {"close"}),
    ("oe", {"open", "exec"})])
@pytest.mark.parametrize("method", METHODS)
def test_only_the_classes_that_are_wanted(bed, method, classes, kinds):
    out = khm.check(bed, f"""
        serve {method} {classes} only /wait || fail serve
        cp /bin/busybox /wait/true
        cat /wait/true >/dev/null
        /wait/true
        sleep 0.5
        stop || fail disarm
        grep /wait/ /tmp/serve.log | cut -d' ' -f1
    """).out
    said = {w for w in out.split() if w in ("open", "exec", "close")}
    assert said == kinds, out


@pytest.mark.smoke
def test_fsnotify_sees_a_new_file_system_before_its_first_open(bed):
    khm.check(bed, """
        serve fsnotify oec || fail serve
        before=$(status marked)
        mkdir -p /tmp/n
        for i in $(seq 30); do
            mount -t tmpfs none /tmp/n
            echo DENY >/tmp/n/f
            cat /tmp/n/f 2>/dev/null && fail "not seen: $i"
            umount /tmp/n || fail umount
        done
        sleep 1.5
        [ $(status marked) = $before ] || fail "$(status marked) left"
        stop || fail disarm
    """)


@pytest.mark.smoke
def test_in_other_mount_namespaces_within_a_second_or_when_told(bed):
    khm.check(bed, """
        serve fsnotify oec || fail serve
        mkdir -p /tmp/n
        cat >/tmp/inside <<'END'
mount -t tmpfs none /tmp/n && echo DENY >/tmp/n/f || exit 2
$1
cat /tmp/n/f
END
        unshare -m sh /tmp/inside 'sleep 1.5' && fail 'later: not seen'
        unshare -m sh /tmp/inside "$C again" && fail 'told: not seen'
        stop || fail disarm
    """)


def test_fsnotify_lets_file_systems_come_and_go(bed):
    khm.check(bed, """
        serve fsnotify oe || fail serve
        mkdir -p /tmp/n
        for i in $(seq 200); do
            mount -t tmpfs none /tmp/n; echo $i >/tmp/n/f
            [ $((i % 10)) = 0 ] && $C again >/dev/null
            umount /tmp/n || fail umount
        done
        stop || fail disarm
    """, seconds=200)


@pytest.mark.smoke
@pytest.mark.parametrize("method", METHODS)
def test_who_waits_does_not_hold_up_other_listeners(bed, method):
    khm.check(bed, f"""
        serve {method} o readers 1 delay 15000 timeout 60000 only /wait ||
            fail serve
        echo 1 >/wait/f1
        $C open /wait/f1 & waiting=$!
        until_status pending 1
        took=$($C inotify /tmp)
        [ "$took" -lt 5000 ] || fail "the end of another group took $took ms"
        [ $(status pending) = 1 ] || fail 'nobody waited'
        wait $waiting || fail 'not let through'
        stop || fail disarm
    """)
