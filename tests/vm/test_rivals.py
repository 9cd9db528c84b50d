# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""Others who hook where the module does, or point into it: loaded before it
is armed and after. Whatever they do, a denied file stays denied as long as we
say that we are armed, and nothing is taken out that they hold on to."""

import pytest

import khm

pytestmark = pytest.mark.seconds(600)

# How a rival is loaded and removed, and its line in /proc/splx/rivals.
RIVALS = {
    "ftrace": ("insmod ./rv_ftrace.ko", "rmmod rv_ftrace",
               "ftrace rv_ftrace rival_saw"),
    "ipmodify": ("insmod ./rv_ftrace.ko modify=1", "rmmod rv_ftrace",
                 "ftrace-ipmodify rv_ftrace rival_saw"),
    "kprobe": ("insmod ./rv_kprobe.ko", "rmmod rv_kprobe",
               "kprobe rv_kprobe rival_pre"),
    "kretprobe": ("insmod ./rv_kprobe.ko ret=1", "rmmod rv_kprobe",
                  "kprobe rv_kprobe rival_return"),
    "kprobe-post": ("insmod ./rv_kprobe.ko post=1", "rmmod rv_kprobe",
                    "kprobe rv_kprobe rival_pre"),
    "livepatch": (
        "insmod ./rv_livepatch.ko",
        "echo 0 >/sys/kernel/livepatch/rv_livepatch/enabled;"
        " for _ in $(seq 100); do rmmod rv_livepatch 2>/dev/null && break;"
        " sleep 0.2; done; ! lsmod | grep -q rv_livepatch",
        "livepatch rv_livepatch klp_ftrace_handler"),
    "inline": ("insmod ./rv_inline.ko", "rmmod rv_inline",
               "inline-patch rv_inline rival_thunk"),
    "fops": ("insmod ./rv_fops.ko", "rmmod rv_fops",
             "file-operations rv_fops"),
    "syscall": ("insmod ./rv_syscall.ko", "rmmod rv_syscall",
                "syscall-table rv_syscall rival_openat"),
}
SAFE = ["ftrace", "kprobe", "kretprobe", "syscall"]
ALONE = ["ipmodify", "livepatch"]  # they or we


@pytest.fixture
def bed(vm):
    khm.put(vm, "tests/vm/rivals")
    return vm


def script(rival, text):
    load, remove, line = RIVALS[rival]
    return text.replace("LOAD", load).replace("REMOVE", remove) \
        .replace("LINE", line)


@pytest.mark.parametrize("rival", SAFE)
def test_who_does_no_harm_may_come_first(bed, rival):
    khm.check(bed, script(rival, """
        LOAD || fail rival
        rivals | grep -qx 'LINE safe' || fail "unseen: $(rivals)"
        serve ftrace oec || fail serve
        expect denies
        rivals | grep -qx 'LINE safe' || fail "unseen: $(rivals)"
        stop || fail disarm
        expect passes
        REMOVE || fail remove
        [ -z "$(rivals)" ] || fail "still there: $(rivals)"
    """))


@pytest.mark.parametrize("rival", SAFE)
def test_who_does_no_harm_may_come_after_and_stay(bed, rival):
    khm.check(bed, script(rival, """
        serve ftrace oec || fail serve
        LOAD || fail rival
        expect denies
        rivals | grep -qx 'LINE safe' || fail "unseen: $(rivals)"
        stop || fail disarm
        expect passes
        serve ftrace oec || fail again
        REMOVE || fail remove
        expect denies
        stop || fail disarm
    """))


@pytest.mark.smoke
@pytest.mark.parametrize("rival", ALONE + ["kprobe-post", "inline"])
def test_where_the_site_is_taken_it_is_named_and_fsnotify_serves(bed, rival):
    khm.check(bed, script(rival, """
        LOAD || fail rival
        for _ in $(seq 50); do
            rivals | grep -qx 'LINE blocks-arm' && break; sleep 0.1
        done
        refused 'LINE blocks-arm' $C arm ftrace oec
        [ $(status state) = 0 ] || fail 'not idle'
        serve auto oec || fail serve
        grep -qx 'LINE blocks-arm' /tmp/serve.log || fail 'no reason'
        [ $(status method) = 2 ] || fail 'not fsnotify'
        expect denies
        stop || fail disarm
        { REMOVE; } || fail remove
        serve auto oec || fail 'again'
        [ $(status method) = 1 ] || fail 'not ftrace'
        expect denies
        stop || fail disarm
    """))


@pytest.mark.parametrize("rival", ALONE)
def test_who_needs_the_site_alone_is_refused_by_ftrace(bed, rival):
    khm.check(bed, script(rival, """
        serve ftrace oec || fail serve
        LOAD && fail 'two change where it goes on'
        expect denies
        stop || fail disarm
        expect passes
    """))


def test_a_post_handler_does_not_get_in_between(bed):
    """Refused; 7.2 takes it and never calls it."""
    khm.check(bed, """
        serve ftrace oec || fail serve
        insmod ./rv_kprobe.ko post=1
        expect denies
        stop || fail disarm
        expect passes
        ! lsmod | grep -q rv_kprobe || rmmod rv_kprobe || fail remove
    """)


@pytest.mark.smoke
@pytest.mark.parametrize("rival", ["inline", "fops"])
def test_who_holds_on_to_us_keeps_us_loaded(bed, rival):
    khm.check(bed, script(rival, """
        serve ftrace oec || fail serve
        LOAD || fail rival
        expect denies
        rivals | grep -q 'LINE.* blocks-unload$' || fail "unseen: $(rivals)"
        refused 'LINE.*blocks-unload' $C disarm
        [ $(status state) = 1 ] || fail 'not armed'
        expect denies
        rmmod splxmod 2>/dev/null && fail 'it was unloaded'
        refused 'LINE.*blocks-unload' $C disarm passive
        [ $(status state) = 2 ] || fail 'not passive'
        expect passes
        rmmod splxmod 2>/dev/null && fail 'it was unloaded'
        $C arm ftrace oec >/dev/null || fail 'not taken over again'
        expect denies
        stop && fail 'it says that it is disarmed'
        expect passes
        REMOVE || fail remove
        $C disarm || fail disarm
        [ $(status state) = 0 ] || fail 'not idle'
        expect passes
    """))


def test_a_pointer_holds_us_back_with_fsnotify_too(bed):
    khm.check(bed, script("fops", """
        serve fsnotify oec || fail serve
        LOAD || fail rival
        refused 'LINE.*blocks-unload' $C disarm
        expect denies
        REMOVE || fail remove
        stop || fail disarm
    """))


def test_an_inline_patch_does_not_hold_back_fsnotify(bed):
    khm.check(bed, script("inline", """
        serve fsnotify oec || fail serve
        LOAD || fail rival
        expect denies
        stop || fail disarm
        REMOVE || fail remove
    """))
