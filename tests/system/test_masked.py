# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""Secrets in addresses are nowhere to be seen, and are not lost by that."""


import json

import pytest

from suite import wait_for

SOURCE = "http://me:hunter2@127.0.0.1:1/bundle?token=s3cret&k=s3cret"
SHOWN = "http://***@127.0.0.1:1/bundle?token=***&k=***"
HOOK = "https://127.0.0.1:1/hook?key=s3cret"
SECRETS = ("hunter2", "s3cret")


@pytest.fixture
def suite(make_suite):
    return make_suite(PatternProxy="none").start()


def clean(text):
    return not any(s in text for s in SECRETS)


def stored(suite):
    return (suite.root / "etc/splx/splx.conf").read_text()


def everything_told(suite):
    """What people and programs are told, and the log."""
    yield from (suite.ctl(*words, check=False).stdout for words in (
        ("config", "show"), ("config", "show", "-o", "json"),
        ("config", "get", "PatternSource"), ("config", "export"),
        ("events", "list", "--limit=1000", "-o", "json"),
        ("events", "export"), ("notify", "list"), ("task", "list"),
        ("notify", "show", "hook", "-o", "json"), ("pattern", "list"),
        ("health", "-o", "json")))
    yield (suite.root / "entity.out").read_text(errors="replace")
    yield from (p.read_text(errors="replace")
                for p in (suite.root / "var/log/splx").glob("*.log"))


def test_an_address_is_shown_and_kept_without_its_secrets(suite):
    suite.ctl("config", "set", "PatternSource", SOURCE)
    suite.ctl("config", "set", "PatternProxy", "http://a:hunter2@127.0.0.1:1")
    suite.ctl("notify", "set", "hook", "Type=webhook", "Server=" + HOOK)
    failed = suite.ctl("pattern", "update", check=False)
    assert failed.returncode != 0
    assert clean(failed.stdout + failed.stderr)
    assert SHOWN in failed.stderr
    task = json.loads(suite.ctl("-o", "json", "task", "start", "pattern.check",
                                "--", "--from=" + SOURCE).stdout)["task"]
    wait_for(lambda: suite.json("task", "show", str(task))["state"]
             != "running", 60)
    assert clean(suite.ctl("task", "show", str(task)).stdout)
    for told in everything_told(suite):
        assert clean(told), told
    assert SHOWN in suite.ctl("config", "get", "PatternSource").stdout
    assert SOURCE in stored(suite), "it is masked, not lost"
    # what was shown comes back, by a form that was saved as it was
    suite.ctl("config", "set", "PatternSource", SHOWN)
    assert SOURCE in stored(suite)
    suite.ctl("notify", "set", "hook", "Rate=7",
              "Server=https://127.0.0.1:1/hook?key=***")
    assert HOOK in (suite.root / "etc/splx/notify.conf").read_text()
    text = suite.root / "exported.conf"
    text.write_text(suite.ctl("config", "export").stdout)
    suite.ctl("config", "import", f"--text={text}")
    assert SOURCE in stored(suite)
    # but no mask becomes a password
    for bad in (("config", "set", "PatternSource", "https://***@elsewhere"),
                ("notify", "set", "hook", "Server=https://h/?key=***")):
        got = suite.ctl(*bad, check=False)
        assert got.returncode != 0 and "write it out" in got.stderr, got
    assert "elsewhere" not in stored(suite)
