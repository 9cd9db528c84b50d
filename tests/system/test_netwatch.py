# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""What the running network monitor's connections become: lists that prevent,
rules that are taken over by themselves, broken ones that change nothing, the
model's alerts, and the console's page. In network namespaces of its own."""

import os
import sys
import time

import pytest

from console import Console, settings
from netns import CLIENT4, CLIENT6, HERE, SERVER4, SERVER6, Bed
from suite import Suite, wait_for
from test_network import Net
from test_pattern import update

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

PORT = 7001


@pytest.fixture(scope="module")
def net():
    with Bed(haproxy=False) as bed, \
            Suite(life=600, NetworkMonitor="yes", NetworkLearning="3s",
                  **settings()) as s:
        n = Net(bed, s)
        s.start()
        n.wait_active()
        for ns in ("server", "client"):
            bed.start(ns, sys.executable, HERE / "netweb.py", PORT)
        for ns, host in (("client", SERVER4), ("server", CLIENT4)):
            wait_for(lambda: n.connect(ns, host, PORT) == "ok", 10)
        yield n


def write(net, text):
    """By hand; nobody is told."""
    (net.suite.root / "etc/splx/network.conf").write_text(text)


def stay(net, port):
    """A connection from the server that is there for a moment: long enough to
    see whose it is."""
    net.bed.run("server", sys.executable, "-c",
                "import socket, sys, time\n"
                "s = socket.create_connection((sys.argv[1], "
                "int(sys.argv[2])), 3)\n"
                "time.sleep(1)\n", CLIENT4, port)


def told(net, **want):
    """The first event of a connection that is so."""
    return wait_for(lambda: next(
        (e for e in net.suite.events("network")
         if all(e[k] == v for k, v in want.items())), None), 10)


def test_rules_by_hand_are_taken_over_by_themselves(net):
    net.take_over(lambda: write(
        net, f"[ssh]\nAction = reset\nDirection = in\nPort = {PORT}\n"))
    assert net.connect("client", SERVER4, PORT) == "ConnectionRefusedError"
    assert net.connect("client", SERVER6, PORT) == "ConnectionRefusedError"
    e = told(net, rule="ssh", address=CLIENT4)
    assert e["verdict"] == "reset" and e["port"] == PORT
    assert e["direction"] == "in" and not e["list"]
    net.take_over(lambda: net.suite.ctl("network", "remove", "ssh"))
    assert net.connect("client", SERVER4, PORT) == "ok"


def test_broken_rules_change_nothing_and_are_told(net):
    good = f"[ssh]\nAction = reset\nDirection = in\nPort = {PORT}\n"
    net.take_over(lambda: write(net, good))
    write(net, good.replace("[ssh]", "[a]\nAction = allow\n[ssh]")
          .replace("reset", "block"))
    broken = wait_for(lambda: net.status()["broken"], 10)
    assert "network.conf:4: Action: allow, alert, drop or reset" in broken
    assert net.connect("client", SERVER4, PORT) == "ConnectionRefusedError"
    h = net.suite.health()
    assert h["networkStatus"] == 20094
    r = net.suite.ctl("network", "status")
    assert "former rules stay in force" in r.stdout
    net.take_over(lambda: write(net, ""))
    wait_for(lambda: net.status()["broken"] is None, 5)
    assert net.connect("client", SERVER4, PORT) == "ok"
    assert net.suite.health()["networkStatus"] == 0


def test_a_list_prevents_as_soon_as_it_has_come(net):
    s = net.suite
    net.take_over(lambda: write(
        net, "[botnets]\nAction = reset\nList = botnets\n"))
    assert net.connect("client", SERVER6, PORT) == "ok"
    f = s.root / "botnets.netlist"
    f.write_text(f"198.51.100.0/24\n{CLIENT6}/128 ; here\n")
    net.take_over(lambda: update(s, f))
    assert net.status()["networks"] == 2 and net.status()["lists"] == 1
    assert net.connect("client", SERVER6, PORT) == "ConnectionRefusedError"
    assert net.connect("server", CLIENT6, PORT) == "ConnectionRefusedError"
    assert net.connect("client", SERVER4, PORT) == "ok"
    e = told(net, list="botnets", direction="in")
    assert e["rule"] == "botnets" and e["address"] == CLIENT6
    net.take_over(lambda: s.ctl("pattern", "remove", "local"))
    assert net.connect("client", SERVER6, PORT) == "ok"
    write(net, "")


def test_what_is_new_is_an_alert_once_and_goes_on(net):
    s = net.suite
    wait_for(lambda: s.json("network", "model")["state"] == "watching", 15)
    s.ctl("network", "learn")
    stay(net, PORT)
    wait_for(lambda: s.json("network", "model")["entries"], 5)
    wait_for(lambda: s.json("network", "model")["state"] == "watching", 15)
    net.bed.start("client", sys.executable, HERE / "netweb.py", 7009)
    wait_for(lambda: net.connect("client", "127.0.0.1", 7009) == "ok", 10)
    stay(net, 7009)
    e = told(net, port=7009)
    assert e["verdict"] == "alert" and not e["rule"]
    assert e["program"] == os.path.realpath(sys.executable)
    assert "for the first time" in e["message"]
    stay(net, 7009)
    stay(net, PORT)
    time.sleep(1)
    assert [x["port"] for x in s.events("network") if not x["rule"]] == [
        7009]
    new, = s.json("network", "model", "--new")["entries"]
    assert new["port"] == 7009 and new["network"] == "10.77.0.0/24"
    assert s.json("network", "forget", new["id"])["forgotten"] == 1
    stay(net, 7009)
    wait_for(lambda: len([x for x in s.events("network")
                          if x["port"] == 7009]) == 2, 10)


def test_the_console_shows_who_talks_to_whom(net):
    net.connect("client", SERVER4, PORT)
    net.connect("server", CLIENT6, PORT)
    c = Console(net.suite).start()
    try:
        admin = c.admin()
        page = wait_for(lambda: next(
            (p for p in [admin.get("/network")]
             if f"[{CLIENT6}]:{PORT}" in p.text), None), 10)
        assert '<svg class="talks"' in page.text
        assert f"{CLIENT4} → {PORT}" in page.text
        assert "Connections seen" in page.text
        got = admin.ask("POST", "/network/rule", {
            "csrf": page.csrf(), "name": "web", "Action": "alert",
            "Direction": "in", "Port": str(PORT), "Enabled": "yes"})
        assert got.location == "/network?note=saved", got.words
        assert net.suite.json("network", "rules")["rules"][0]["name"] == "web"
        got = admin.ask("POST", "/network/rule", {
            "csrf": page.csrf(), "name": "bad", "Action": "drop",
            "Direction": "in", "Enabled": "yes", "Text": "kept <b>"})
        assert got.status == 422 and "would prevent every" in got.words
        assert 'value="kept &lt;b&gt;"' in got.text
        got = admin.post("/network/test", {"address": CLIENT4, "in": "true",
                                           "port": str(PORT)})
        assert f"{CLIENT4}: alert (web)" in got.words
        got = admin.post("/network/test", {"address": "x y"})
        assert got.status == 400 and "an address is wanted" in got.words
    finally:
        c.stop()
