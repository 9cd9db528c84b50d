# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""What the kernel module lets pass without a question, and what it does not:
each case of prog/unasked.c and prog/cached.c by both of its hooks, on a module
loaded for it; and what can be tried of it without any file."""

import pathlib
import re

import pytest
from test_questions import run

HERE = pathlib.Path(__file__).parent
CASES = [f"{program} {case}" for program in ("cached", "unasked")
         for case in re.findall(r"^\tCASE\((\w+)\),$",
                                (HERE / f"prog/{program}.c").read_text(),
                                re.M)]
SMOKE = {"known_is_not_asked", "a_write_through_a_mapping_is_seen",
         "an_empty_file_is_not_asked", "an_exempt_process_is_not_asked",
         "a_directory_is_excluded_where_it_was",
         "a_program_is_excluded_by_its_file",
         "a_lease_is_broken_by_the_opener",
         "what_an_overlay_shows_is_known"}


@pytest.mark.parametrize("method", ["ftrace", "fsnotify"])
@pytest.mark.parametrize(
    "case", [pytest.param(c, marks=pytest.mark.smoke)
             if c.split()[1] in SMOKE else c for c in CASES])
def test_unasked(vm, case, method):
    run(vm, f"/src/build/tests/vm/{case} {method}")


@pytest.mark.smoke
def test_the_parts_agree_with_their_models(vm):
    vm.put(vm.kernel_module("khm"))
    vm.check("""insmod ./splxmod.ko selftest=1 || exit 1
        grep -q '^remembered 0' /proc/splx/status || exit 2
        rmmod splxmod""")


def test_rivals_are_for_root_alone(vm):
    run(vm, """sh -c '
        set -e
        grep -q ^nobody: /etc/passwd || echo nobody:x:65534:65534::/:/bin/sh \
            >>/etc/passwd
        su nobody -s /bin/sh -c "cat /proc/splx/status" | grep -q "^state idle"
        su nobody -s /bin/sh -c "cat /proc/splx/queue" >/dev/null
        ! su nobody -s /bin/sh -c "cat /proc/splx/rivals" 2>/dev/null
        cat /proc/splx/rivals'""")
