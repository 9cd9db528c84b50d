# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""The programs that the module is tested with, seen to tell right from wrong:
without anybody who refuses every case opens, and under fanotify those are
refused that fanotify can see."""

import pytest

from vm import PROGRAMS

# Always allowed: no access to data, or nothing in the file yet.
HARMLESS = {"path", "create"}
# What fanotify does not see: memory files, and mounts made afterwards.
UNSEEN = {"memfd", "fexecve", "new_mount", "detached"}
# In older kernels neither what overlayfs opens below, for itself.
UNSEEN_BEFORE_6_8 = {"overlay", "overlay_exec"}


def cases(text):
    """{case: rest of its line}"""
    return dict(line.split(" ", 1) for line in text.splitlines())


SETUP = f"""
mkdir /tmp/h && cd /tmp/h && cp {PROGRAMS}/hook {PROGRAMS}/deny . || exit 9
./hook make . || exit 9
"""


@pytest.mark.smoke
@pytest.mark.fresh
def test_every_kind_of_open_succeeds_where_nobody_refuses(vm):
    got = cases(vm.check(SETUP + "./hook run bad").out)
    names = vm.check("/tmp/h/hook list").out.split()
    assert set(got) == set(names) and len(names) >= 20
    assert {n: r for n, r in got.items()
            if r.split()[:2] != ["0", "ok"]} == {}
    assert got["truncate"] == "0 ok emptied"


@pytest.mark.smoke
@pytest.mark.fresh
def test_fanotify_refuses_what_it_sees(vm, kernel):
    unseen = UNSEEN | (UNSEEN_BEFORE_6_8 if kernel.number < (6, 8) else set())
    got = cases(vm.check(SETUP + """
        : >ready
        ./deny "$(./hook mark)" /tmp >ready &
        until grep -q ready ready; do sleep 0.2; done
        ./hook run good >good.out
        ./hook run bad
        kill $!""").out)
    allowed = {n for n, r in got.items() if r.startswith("0 ")}
    refused = {n for n, r in got.items() if r.startswith("1 EPERM")}
    assert allowed == HARMLESS | unseen
    assert allowed | refused == set(got)
    assert got["truncate"] == "1 EPERM kept"
    good = cases(vm.check("cat /tmp/h/good.out").out)
    assert {n for n, r in good.items() if not r.startswith("0 ok")} == set()
