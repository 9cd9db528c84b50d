# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""Questions, readers and verdicts of the kernel module, each case of
prog/questions.c and prog/limits.c on a module loaded for it; and the device
under fire."""

import pathlib
import re

import pytest

HERE = pathlib.Path(__file__).parent
CASES = [f"{program} {case}" for program in ("questions", "limits")
         for case in re.findall(r"^\tCASE\((\w+)\),$",
                                (HERE / f"prog/{program}.c").read_text(),
                                re.M)]
SMOKE = {"verdicts_decide", "exec_is_asked", "a_dead_readers_question_goes_on",
         "signals_end_or_do_not", "joining_a_scan", "sleepers_are_let_go",
         "nothing_stale", "a_sleeper_freezes"}

# A module that cannot be unloaded afterwards has lost something.
RUN = """
umount /mnt/asked 2>/dev/null
[ -d /sys/module/splxmod ] || insmod ./splxmod.ko || exit 99
{command}
status=$?
for i in 1 2 3 4 5; do
	rmmod splxmod 2>/dev/null && break
	sleep 1
done
if [ -d /sys/module/splxmod ]; then
	echo "not unloaded:"
	cat /proc/splx/*
	exit 98
fi
grep -s splxmod /proc/slabinfo
exit $status
"""


def run(vm, command, seconds=150):
    vm.put(vm.kernel_module("khm"))
    return vm.check(RUN.format(command=command), seconds=seconds)


@pytest.mark.parametrize(
    "case", [pytest.param(c, marks=pytest.mark.smoke)
             if c.split()[1] in SMOKE else c for c in CASES])
def test_questions(vm, case):
    run(vm, f"/src/build/tests/vm/{case}")


@pytest.mark.smoke
@pytest.mark.seconds(600)
def test_the_device_stands_random_callers(vm, in_full):
    result = run(vm, f"/src/build/tests/vm/fuzzdev {150 if in_full else 10}",
                 seconds=300)
    assert "openers:" in result.out
