# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""The number of the scoreboard's layout is computed: whatever is changed in
what processes take over from one another changes it by itself."""

import re
import shutil
import subprocess

import pytest

from suite import REPO


@pytest.fixture
def number(tmp_path):
    """The number, after `old` was replaced by `new` in a header."""
    def compute(header=None, old="", new=""):
        top = tmp_path / "tree"
        shutil.rmtree(top, ignore_errors=True)
        for folder in ("lib", "common"):
            shutil.copytree(REPO / "splxcore" / folder,
                            top / "splxcore" / folder)
        if header:
            f = top / "splxcore" / header
            text = f.read_text()
            assert re.search(old, text)
            f.write_text(re.sub(old, new, text, count=1))
        r = subprocess.run(
            ["sh", "splxcore/common/layout.sh", "gcc", "-std=gnu11",
             "-D_GNU_SOURCE", "-Isplxcore", "-I."], cwd=top,
            capture_output=True, text=True)
        assert r.returncode == 0, r.stderr
        assert re.fullmatch("[0-9a-f]{8}\n", r.stdout)
        return r.stdout
    return compute


@pytest.mark.parametrize("header, old, new", [
    # two members of one size change places: sizes and asserts see nothing
    ("common/scoreboard.h",
     r"(\t_Atomic uint64_t generation; [^\n]*\n)(\t_Atomic uint64_t \w+;)",
     r"\2\n\1"),
    ("common/scoreboard.h", r"SCOREBOARD_SLOTS 48", "SCOREBOARD_SLOTS 49"),
    ("common/scoreboard.h", r"GUARD_NUMBER 63", "GUARD_NUMBER 62"),
    ("common/scoreboard.h", r"\tHOLD_PARKED,", "\tHOLD_OTHER,\n\tHOLD_PARKED,"),
    ("common/counters.def", r"(?m)^COUNTER\(",
     'COUNTER(NEW, "new", "a new one")\nCOUNTER('),
    ("common/verdict.h", r"uint64_t size;", "int64_t size;"),
    ("lib/hist.h", r"(#define HIST_BUCKETS) (\w+)", r"\1 (\2 + 1)"),
    ("common/control.h", r"INHERIT_LOG = 7,", "INHERIT_LOG = 11,"),
])
def test_a_changed_layout_has_another_number(number, header, old, new):
    assert number(header, old, new) != number()


def test_words_change_no_number(number):
    assert number("common/scoreboard.h", r"/\* The shared|/\*", "/* Well.") \
        == number()


def test_what_is_no_layout_has_no_number(tmp_path):
    r = subprocess.run(
        ["sh", str(REPO / "splxcore/common/layout.sh"), "gcc"],
        cwd=tmp_path, capture_output=True, text=True)
    assert r.returncode != 0 and r.stdout == ""
