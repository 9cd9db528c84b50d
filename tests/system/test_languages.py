# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""Who reads Japanese is told in Japanese, and programs are told in English."""

import json
import re
import shutil
import unicodedata

import pytest

from suite import without_module
from test_service import Service

JAPANESE = re.compile("[\u3040-\u30ff\u4e00-\u9fff]")
JA = {"LC_ALL": "", "LC_MESSAGES": "", "LANG": "ja_JP.UTF-8"}
C = {"LC_ALL": "C"}


def columns(text):
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1
               for c in text)


def at_column(line, column):
    """What stands from that column of a terminal on."""
    at = 0
    for i, c in enumerate(line):
        if at == column:
            return line[i:]
        at += columns(c)
    return ""


def test_splxctl_speaks_japanese_to_who_reads_it(shared):
    shared.ctl("config", "set", "RealtimeScan", "3")
    try:
        ja = shared.ctl("health", check=False, env=JA)
        en = shared.ctl("health", check=False, env=C)
        status = shared.ctl("status", check=False, env=JA)
    finally:
        shared.ctl("config", "reset", "RealtimeScan")
    assert ja.returncode == en.returncode == status.returncode == 1
    assert "RealtimeScan is 3: executions are not examined" in en.stdout
    assert not JAPANESE.search(en.stdout)
    assert "RealtimeScan \u304c 3 \u3067\u3059" in ja.stdout
    # no text of more than a few words is left in English
    for out in (ja.stdout, status.stdout):
        assert JAPANESE.search(out)
        for prose in re.findall(r"[a-z]+(?: [a-z]+){3,}", out):
            assert re.match("splxctl|service splx", prose), prose


def test_the_columns_of_a_table_hold(shared):
    for env in (JA, C):
        out = shared.ctl("health", check=False, env=env).stdout
        lines = out.split("vsapiapp")[0].splitlines()[-3:] + [
            line for line in out.splitlines() if line.startswith("vsapiapp")]
        head = next(line for line in lines if "PID" in line)
        pid_end = columns(head[:head.index("PID")]) + 3
        for line in lines[lines.index(head) + 1:]:
            cell = re.match(r"\w+ +\d+", line)[0]
            assert columns(cell) == pid_end, (head, line)
            # and the next column begins where its title does
            assert at_column(line, pid_end + 2)[:1].strip()
            assert at_column(head, pid_end + 2)[:1].strip()


@pytest.mark.parametrize("lang", ["ja_JP.eucJP", "ja_JP", "C.UTF-8", "de_DE"])
def test_any_other_language_is_english(shared, lang):
    out = shared.ctl("status", check=False, env={"LC_ALL": lang})
    assert out.stdout.startswith("Protection:  ")
    assert not JAPANESE.search(out.stdout + out.stderr)


def test_json_is_the_same_in_every_language(shared):
    def health(env):
        h = json.loads(shared.ctl("health", "--output", "json", check=False,
                                  env=env).stdout)
        for changes in ("time", "uptime_s", "processes", "workers",
                        "settings"):
            h.pop(changes)
        return h

    assert health(JA) == health(C)
    # of one that is refused too
    r = shared.ctl("config", "set", "OnError", "x", "--output", "json",
                   check=False, env=JA)
    assert r.returncode == 2 and not JAPANESE.search(r.stdout + r.stderr)


def test_a_refusal_is_told_in_japanese_and_kept_in_english(shared):
    r = shared.ctl("config", "set", "OnError", "x", check=False, env=JA)
    assert r.returncode == 2
    assert r.stderr == (
        'splxctl: OnError: "x" \u306f\u4f7f\u7528\u3067\u304d\u307e\u305b\u3093'
        "\u3002\u4f7f\u7528\u3067\u304d\u308b\u5024: allow, deny\n")
    event = shared.events("audit")[0]
    assert 'OnError: "x" is not known; allowed: allow or deny' in str(event)
    assert not JAPANESE.search(str(event))
    assert not JAPANESE.search((shared.root / "var/log/splx/splx.log")
                               .read_text("utf-8"))


def test_help_is_in_japanese_and_fits_a_terminal(shared):
    out = shared.ctl("help", env=JA).stdout
    assert all(columns(line) <= 80 for line in out.splitlines())
    told = [line for line in out.splitlines() if line.startswith("  ")]
    assert len(told) > 60
    assert not re.search("[a-z]+(?: [a-z]+){4,}", out)


# ---- the init scripts

@pytest.fixture
def service(make_suite):
    sv = Service(make_suite(FirstAction="deny"))
    yield sv
    sv("stop")


SHELLS = [("dash",), ("busybox", "sh")]
LINES = [
    "Splx for Linux \u3092\u8d77\u52d5\u3057\u3066\u3044\u307e\u3059:",
    "\u8a2d\u5b9a\u30d5\u30a1\u30a4\u30eb\u3092\u78ba\u8a8d\u4e2d: [  OK  ]",
    "splxcore \u3092\u8d77\u52d5\u3057\u3066\u3044\u307e\u3059:",
    "entity \u3092\u8d77\u52d5\u4e2d: [  OK  ]",
    "vsapiapp \u3092\u8d77\u52d5\u4e2d: [  OK  ]",
    "Splx for Linux \u306e\u30b3\u30a2\u3092\u8d77\u52d5\u3057\u307e\u3057\u305f"
    "\u3002 [  OK  ]",
]


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_the_service_starts_and_stops_in_japanese(service, shell):
    if not shutil.which(shell[0]):
        pytest.skip(f"no {shell[0]} here")
    assert service("start", shell=shell, env=["LANG=ja_JP.UTF-8"]) == 0
    out = re.sub("^.*\u30ab\u30fc\u30cd\u30eb.*\n", "", service.out, flags=re.M)
    assert out.splitlines() == LINES
    assert service("status", shell=shell, env=["LC_ALL=ja_JP.utf8"]) == 0
    assert service.out.startswith("\u4fdd\u8b77:")
    assert service("stop", shell=shell, env=["LC_MESSAGES=ja_JP.UTF-8"]) == 0
    assert not re.search("[a-z]+ [a-z]+ [a-z]+", service.out)
    # and what it is told of by a program, or at boot, is what it always was
    assert service("status", shell=shell) == 3
    assert service.out == "splxcore is stopped.\n"


@pytest.mark.parametrize("env", [
    [], ["LANG=C", "LC_ALL="], ["LANG=ja_JP.eucJP"],
    ["LANG=ja_JP.UTF-8", "LC_ALL=C.UTF-8"],
    ["LANG=ja_JP.UTF-8", "RUNLEVEL=2"], ["LANG=ja_JP.UTF-8", "TERM=linux"]],
    ids=" ".join)
def test_at_boot_and_elsewhere_the_service_speaks_english(service, env):
    assert service("stop", env=env) == 0
    assert without_module(service.out) == (
        "Shutting down Splx for Linux:\n"
        "splxcore is not running.\n")


def test_what_runs_for_the_service_speaks_english(service):
    """A task's words are kept: they are those of no terminal."""
    s = service.s
    assert service("start", env=["LANG=ja_JP.UTF-8"]) == 0
    number = s.json("task", "start", "pattern.check")["task"]
    s.ctl("task", "list")
    for _ in range(100):
        shown = s.json("task", "show", number)
        if shown["state"] != "running":
            break
    assert shown["output"] and not JAPANESE.search(str(shown))
