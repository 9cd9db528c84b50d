# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""The network monitor's rules, lists and model by their verbs, without a
monitor that runs: it is off by default, and all this is there all the same."""

import json
import shutil
import time

import pytest

from suite import MARKER, denied
from test_pattern import Maker, update


@pytest.fixture
def rules(shared):
    """Its network.conf; none is left."""
    f = shared.root / "etc/splx/network.conf"
    kept = f.read_text() if f.exists() else None
    if f.exists():
        f.unlink()
    yield f
    if kept is None:
        f.unlink(missing_ok=True)
    else:
        f.write_text(kept)


@pytest.fixture
def feed(shared):
    """A trusted maker of lists; nothing of it is left."""
    maker = Maker(shared, f"feed-{time.monotonic_ns()}").trusted()
    yield maker
    shared.ctl("pattern", "remove", maker.name, check=False)
    shutil.rmtree(shared.root / "etc/splx/keys")


def bundle(s, maker, version, **lists):
    files = []
    for name, text in lists.items():
        p = s.root / f"{name}.netlist"
        p.write_text(text)
        files.append(p)
    s.ctl("pattern", "bundle", maker.dir, *files, f"--name={maker.name}",
          f"--key={maker.key}", f"--version={version}")
    return maker.dir


def names(s):
    return [r["name"] for r in s.json("network", "rules")["rules"]]


def verdict(s, *words):
    t = s.json("network", "test", *words)
    return t["verdict"], t["rule"], t["list"]


def test_it_is_off_and_says_so_calmly(shared, rules):
    st = shared.json("network", "status")
    assert not st["enabled"] and not st["active"] and st["seen"] == 0
    r = shared.ctl("network", "status")
    assert r.stdout.startswith("Monitor      off (splxctl config set")
    assert len(r.stdout.splitlines()) == 1 and not r.stderr
    assert shared.health()["networkStatus"] == 0
    r = shared.ctl("network", "connections")
    assert "not active" in r.stdout
    r = shared.ctl("network", "rules")
    assert r.stdout == "there are no rules: every connection is allowed\n"
    assert shared.json("network", "model")["entries"] == []
    assert "no lists" in shared.ctl("network", "lists").stdout
    assert verdict(shared, "192.0.2.1", "--port=22") == ("allow", None, None)


def test_rules_are_made_moved_and_removed(shared, rules):
    s = shared
    rules.write_text("# the office first\n[office]\nAction = allow\n"
                     "Address = 192.0.2.0/24\n")
    s.ctl("network", "set", "ssh", "Action=reset", "Direction=in", "Port=22")
    s.ctl("network", "set", "mail", "Action=alert", "Direction=out",
          "Port=25", "User=root", "Text=who sends mail?", "--before=ssh")
    assert names(s) == ["office", "mail", "ssh"]
    assert "# the office first\n[office]\n" in rules.read_text()
    assert verdict(s, "198.51.100.1", "--port=22", "--in") == (
        "reset", "ssh", None)
    assert verdict(s, "198.51.100.1", "--port=22")[0] == "allow"
    assert verdict(s, "192.0.2.9", "--port=22", "--in") == (
        "allow", "office", None)
    assert verdict(s, "2001:db8::1", "--port=25", "--user=root") == (
        "alert", "mail", None)
    assert verdict(s, "2001:db8::1", "--port=25", "--user=1")[1] is None
    s.ctl("network", "move", "ssh", "--before=office")
    assert names(s) == ["ssh", "office", "mail"]
    assert verdict(s, "192.0.2.9", "--port=22", "--in")[0] == "reset"
    s.ctl("network", "set", "ssh", "Enabled=no")
    assert verdict(s, "192.0.2.9", "--port=22", "--in")[0] == "allow"
    shown = {r["key"]: r["value"] for r in
             s.json("network", "show", "mail")["settings"]}
    assert shown["Text"] == "who sends mail?" and shown["User"] == "root"
    s.ctl("network", "remove", "office")
    assert names(s) == ["ssh", "mail"]
    r = s.ctl("network", "remove", "office", check=False)
    assert r.returncode != 0 and "office" in r.stderr
    audit = s.json("events", "list", "--kind=audit", "--limit=1")["events"][0]
    assert audit["verb"] == "network.remove"


@pytest.mark.parametrize("words,said", [
    (("x", "Action=block"), "allow, alert, drop or reset"),
    (("x", "Action=drop"), "would prevent every connection"),
    (("x", "Action=drop", "Address=1.2.3"), "1.2.3: addresses and networks"),
    (("x", "Action=drop", "Port=70000"), "70000: ports from 1 to 65535"),
    (("x", "Action=drop", "User=nobody-of-that-name"), "no such user"),
    (("x", "Acton=drop"), "did you mean Action"),
    (("x", "Action=allow", "--before=none"), "none"),
    (("1x", "Action=allow"), "a name is a letter"),
])
def test_what_is_wrong_is_refused_and_nothing_changes(shared, rules, words,
                                                      said):
    rules.write_text("[a]\nAction = allow\n")
    r = shared.ctl("network", "set", *words, check=False)
    assert r.returncode != 0 and said in r.stderr, r.stderr
    assert rules.read_text() == "[a]\nAction = allow\n"


def test_a_file_that_is_wrong_is_told_with_its_line(shared, rules):
    s = shared
    rules.write_text("[a]\nAction = allow\n[b]\nAction = drop\nPort = x\n")
    r = s.ctl("network", "rules", check=False)
    assert "network.conf:5: Port: x: ports" in r.stderr
    assert "former rules stay in force" in r.stderr
    r = s.ctl("network", "test", "192.0.2.1", check=False)
    assert r.returncode != 0 and "network.conf:5: " in r.stderr
    r = s.ctl("network", "set", "c", "Action=allow")
    assert "not in force until" in r.stderr and ":5: " in r.stderr
    s.ctl("network", "remove", "b")
    assert s.ctl("network", "rules").stderr == ""


def test_a_list_comes_with_a_bundle_and_goes_back(shared, rules, feed):
    s = shared
    r = s.ctl("network", "set", "bad", "Action=drop", "List=botnets")
    assert "there is no list botnets yet" in r.stderr
    assert "there is no list botnets" in s.ctl("network", "rules").stderr
    r = update(s, bundle(s, feed, 1, botnets="198.51.100.0/24 ; first\n"
                                             "2001:db8:bad::/48\n"))
    assert "tried: 2 networks in 1 lists" in r.stdout
    assert s.ctl("network", "rules").stderr == ""
    assert verdict(s, "198.51.100.7") == ("drop", "bad", "botnets")
    assert verdict(s, "2001:db8:bad::1", "--in")[0] == "drop"
    assert verdict(s, "203.0.113.7")[0] == "allow"
    row, = s.json("network", "lists")["lists"]
    assert row["name"] == "botnets" and row["networks"] == 2
    assert row["rules"] == ["bad"]
    assert row["sources"][0]["part"] == feed.name
    assert row["sources"][0]["version"] == 1
    # The engine does not see it, and finds what it found.
    assert denied(s.clean("with-a-list.bin", MARKER))
    assert "netlist" not in json.dumps(s.json("pattern", "show"))
    update(s, bundle(s, feed, 2, botnets="203.0.113.0/24\n"))
    assert verdict(s, "203.0.113.7")[0] == "drop"
    assert verdict(s, "198.51.100.7")[0] == "allow"
    s.ctl("pattern", "rollback")
    assert verdict(s, "203.0.113.7")[0] == "allow"
    assert verdict(s, "198.51.100.7")[0] == "drop"


@pytest.mark.parametrize("text,said", [
    ("192.0.2.1\n192.0.2\n", "botnets.netlist:2: 192.0.2: an address"),
    ("0.0.0.0/0\n", "botnets.netlist:1: 0.0.0.0/0: at least"),
    ("192.0.2.1 192.0.2.2\n", "botnets.netlist:1: one address"),
    ("\0", "botnets.netlist:1: no address"),
])
def test_a_list_that_is_wrong_does_not_come_in(shared, rules, feed, text,
                                               said):
    update(shared, bundle(shared, feed, 1, botnets="198.51.100.0/24\n"))
    r = update(shared, bundle(shared, feed, 2, botnets=text), check=False)
    assert r.returncode == 2 and said in r.stderr, r.stderr
    assert "stay as they are" in r.stderr
    rules.write_text("[bad]\nAction = drop\nList = botnets\n")
    assert verdict(shared, "198.51.100.7")[0] == "drop"


def test_a_list_by_hand_is_a_pattern_file_too(shared, rules):
    s = shared
    f = s.root / "own.netlist"
    f.write_text("192.0.2.66\n")
    update(s, f)
    rules.write_text("[own]\nAction = reset\nList = own\n")
    assert verdict(s, "192.0.2.66") == ("reset", "own", "own")
    s.ctl("pattern", "remove", "local")
    assert verdict(s, "192.0.2.66")[0] == "allow"


def test_lists_of_hundreds_of_thousands_are_taken(shared, rules, feed):
    s = shared
    text = "".join(f"{i >> 16 & 255}.{i >> 8 & 255}.{i & 255}.0/24\n"
                   for i in range(0x010000, 0x010000 + 600000, 2))
    r = update(s, bundle(s, feed, 1, many=text))
    assert "tried: 300000 networks" in r.stdout
    rules.write_text("[many]\nAction = drop\nList = many\n")
    assert verdict(s, "1.0.0.9")[0] == "drop"
    assert verdict(s, "1.0.1.9")[0] == "allow"
    assert s.json("network", "lists")["lists"][0]["bytes"] < 3000000

