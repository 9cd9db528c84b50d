# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""`make install`, `service splx ...`, `make uninstall` and `make purge`, on a
throw-away copy of this machine."""

import os
import re
import shutil
import time

import pytest

from machine import Machine
from suite import EICAR, MARKER, REPO, wait_for, without_module

CONF = "/etc/splx/splx.conf"
CONFLICTS = "/etc/splx/conflicts.conf"
SCANS = "/etc/splx/scans.conf"
# What useradd and userdel leave of their own, and make.
OF_OTHERS = re.compile(r"/etc/(passwd|group|shadow|gshadow|subuid|subgid)-$"
                       r"|/etc/\.pwd\.lock$|/srv(/protected)?$")

# The file is there and cannot be read.
REFUSED = "cat %s >/dev/null 2>&1 && exit 1; test -e %s"


@pytest.fixture
def machine():
    if os.path.exists("/etc/init.d/splx"):
        pytest.skip("splx is installed on this machine")
    m = Machine()
    yield m
    m.close()


def settings(m, *lines):
    """Only the machine's own tmpfs is protected, and it is mounted."""
    m.check("mountpoint -q /srv/protected")
    text = "\n".join(('Include = {"/srv/protected"}', "LogSyslog = no",
                      "FirstAction = deny", *lines)) + "\n"
    m.write(CONF, text.encode())


def new(m):
    return {p: v for p, v in m.new().items() if not OF_OTHERS.search(p)}


def refused(m, path="/srv/protected/bad.com"):
    return m.run(REFUSED % (path, path))[0] == 0


def processes(m):
    """pid there -> title, of the suite's processes."""
    out = m.check("exec 2>/dev/null; for p in /proc/[0-9]*; do "
                  "case $(readlink $p/exe) in /usr/lib/splx/*) "
                  "echo ${p#/proc/} $(tr '\\0' ' ' <$p/cmdline) ;; "
                  "esac; done; :")
    return {int(line.split(" ", 1)[0]): line.split(" ", 1)[1]
            for line in out.splitlines() if " " in line}


def plain(text):
    return re.sub(" +", " ", text)


def test_the_whole_life_of_an_installation(machine):
    m = machine
    m.make("install")
    settings(m)
    installed = new(m)
    assert "/usr/lib/splx/entity" in installed
    for path, (mode, owner) in installed.items():
        assert owner == "root:root", (path, owner)
        assert mode[0] == "l" or mode[8] != "w", (path, mode)
    assert installed[CONF][0] == "-rw-r-----"
    assert any(re.match(r"/etc/rc2\.d/S\d\dsplx$", p) for p in installed)
    assert any(re.match(r"/etc/rc0\.d/K\d\dsplx$", p) for p in installed)
    assert m.run("service splx status")[0] == 3

    out = m.check("service splx start")
    assert plain(without_module(out)) == (
        "Starting Splx for Linux:\n"
        "Checking configuration file: [ OK ]\n"
        "Starting splxcore:\n"
        "Starting entity: [ OK ]\n"
        "Starting vsapiapp: [ OK ]\n"
        "Splx for Linux core started. [ OK ]\n"
        "Starting splxhttpd:\n"
        "Starting splxhttpd: [ OK ]\n"
        "Splx for Linux httpd started. [ OK ]\n")
    m.write("/srv/protected/bad.com", EICAR)
    m.write("/srv/protected/good.txt", b"fine\n")
    assert refused(m)
    assert m.check("cat /srv/protected/good.txt") == "fine\n"
    assert m.run("service splx status")[0] == 0
    # workers are the new user, and of no group
    uid = m.check("id -u splx").strip()
    worker = next(p for p, t in processes(m).items() if "front worker" in t)
    status = m.check(f"cat /proc/{worker}/status")
    assert re.search(rf"^Uid:\s+{uid}\s+{uid}\s+{uid}\s+{uid}$", status, re.M)
    assert re.search(r"^Groups:\s*$", status, re.M)
    # the web console's process is another, of no group either
    uid = m.check("id -u splxhttpd").strip()
    serving = next(p for p, t in processes(m).items() if "serving" in t)
    status = m.check(f"cat /proc/{serving}/status")
    assert re.search(rf"^Uid:\s+{uid}\s+{uid}\s+{uid}\s+{uid}$", status, re.M)
    modes = m.listing("/run/splx", "/var/lib/splx", "/var/log/splx")
    assert modes["/run/splx"][0] == "drwxr-xr-x"
    assert modes["/run/splx/control.sock"][0] == "srw-------"
    assert modes["/var/lib/splx/quarantine"][0] == "drwx------"
    assert modes["/var/lib/splx/quarantine.key"][0] == "-rw-------"
    assert modes["/var/lib/splx/splx.db"][0] == "-rw-------"
    assert modes["/var/log/splx"][0] == "drwxr-x---"
    for path, (mode, owner) in modes.items():
        assert mode[0] == "s" or mode[8] != "w", (path, mode)

    assert m.run("service splx stop")[0] == 0
    assert processes(m) == {}
    assert not refused(m)

    m.check("service splx start")
    out = m.make("uninstall")
    assert "core stopped normally" in out
    assert processes(m) == {}
    left = set(new(m))
    kept = ("/etc/splx", "/var/lib/splx", "/var/log/splx")
    assert [p for p in left if not p.startswith(kept)] == []
    assert {CONF, CONFLICTS, SCANS, "/var/lib/splx/quarantine",
            "/var/lib/splx/splx.db", "/var/log/splx/splx.log"} <= left
    assert m.run("test -e /run/splx")[0] != 0

    m.check(f"echo '# mine' >>{CONFLICTS}; echo '# mine' >>{SCANS}")
    m.make("install")  # what was kept serves again
    assert "# mine" in m.check(f"cat {SCANS}")
    assert "/srv/protected" in m.check(f"cat {CONF}")
    assert "# mine" in m.check(f"cat {CONFLICTS}")
    m.check("service splx start")
    assert refused(m)
    out = m.make("purge")
    assert processes(m) == {}
    assert set(new(m)) == set() and m.gone() == []
    assert m.run("test -e /run/splx")[0] != 0
    assert m.run("getent passwd splx")[0] != 0
    assert m.run("getent passwd splxhttpd")[0] != 0
    assert m.run("getent group splx")[0] != 0
    m.make("purge")  # again: nothing is there, no error


def test_installing_over_a_running_service_replaces_it(machine):
    m = machine
    m.make("install")
    settings(m, "ScanTimeout = 2m")
    m.check("service splx start")
    m.write("/srv/protected/bad.com", EICAR)
    before = set(processes(m))
    m.check("sed 's/^VerdictTimeout = .*/VerdictTimeout = 9s/' "
            "-i /usr/share/splx/splx.conf.sample && "
            f"echo 'VerdictTimeout = 9s' >>{CONF}")
    out = m.make("install")
    assert "Splx for Linux core started" in out
    assert processes(m) and not before & set(processes(m))
    assert m.run("service splx status")[0] == 0
    assert refused(m)
    # a default that was not touched is the new one, what was set stays
    assert m.check("splxctl config get VerdictTimeout") == "5s\n"
    assert m.check("splxctl config get ScanTimeout") == "2m\n"
    m.check("service splx stop")
    m.make("install")
    assert processes(m) == {}  # it is not started by that


def test_the_words_of_the_service(machine):
    m = machine
    m.make("install")
    settings(m)
    for word, code in (("status", 3), ("reload", 7), ("force-reload", 7),
                       ("condrestart", 0), ("try-restart", 0), ("stop", 0),
                       ("gibberish", 2)):
        assert m.run(f"service splx {word}")[0] == code, word
    assert processes(m) == {}
    for word in ("restart", "reload", "force-reload", "condrestart", "start",
                 "status"):
        status, out = m.run(f"service splx {word}")
        assert status == 0, (word, out)
        m.write(f"/srv/protected/{word}", MARKER)
        assert refused(m, f"/srv/protected/{word}"), word
    assert "Usage:" in m.run("service splx gibberish")[1]
    assert m.run("service splx stop")[0] == 0


def test_an_ordinary_user_is_told_in_one_line(machine):
    m = machine
    m.make("install")
    settings(m)
    m.check("service splx start")
    for command in ("splxctl status", "splxctl config set Workers 3",
                    "splxctl scan /srv/protected",
                    "splxctl quarantine list"):
        status, out = m.run("/usr/sbin/" + command, user=65534)
        assert status != 0 and len(out.splitlines()) == 1, (command, out)
    for path in (CONF, "/var/log/splx/splx.log", "/var/lib/splx/splx.db",
                 "/var/lib/splx/quarantine.key", "/run/splx/active.conf",
                 "/run/splx/vsapiapp.json", "/var/lib/splx/last-good.conf"):
        assert m.run(f"cat {path}", user=65534)[0] != 0, path
    for word in ("start", "stop", "restart", "condrestart", "reload"):
        status, out = m.run(f"service splx {word}", user=65534)
        assert status == 4 and len(out.splitlines()) == 1, (word, out)
    status, out = m.run("service splx status", user=65534)
    assert status == 0 and "splxcore is running (pid " in out, out
    m.check("service splx stop")


def test_an_operators_scan_follows_the_exclusions(machine):
    """The settings are asked for: the files are root's."""
    m = machine
    m.make("install")
    settings(m, 'OperatorUsers = {"nobody"}', "RealtimeScan = 4",
             'ExcludeDirectory = {"/srv/protected/ours"}')
    m.check("service splx start")
    m.check("mkdir /srv/protected/ours")
    m.write("/srv/protected/ours/bad.com", EICAR)
    uid = int(m.check("id -u nobody"))
    scan = "/usr/sbin/splxctl scan --action=none %s /srv/protected"
    status, out = m.run(scan % "", user=uid)
    assert status == 0 and "nothing is excluded" not in out, out
    status, out = m.run(scan % "--no-exclusions", user=uid)
    assert status == 1 and "bad.com" in out, out
    m.check("service splx stop")


def test_what_is_installed_beside_the_programs_is_well_formed(machine):
    m = machine
    m.make("install")
    for page in m.check("ls /usr/share/man/man[58]/*splx* "
                        "/usr/share/man/man8/entity.8 "
                        "/usr/share/man/man8/vsapiapp.8").split():
        out = m.check(f"mandoc -T utf8 -W warning {page}")
        out = re.sub(".\b", "", out)  # bold letters are struck twice
        assert "NAME" in out and "DESCRIPTION" in out, page
    m.check("bash -n /usr/share/bash-completion/completions/splxctl")
    out = m.check(
        "bash -c '. /usr/share/bash-completion/completions/splxctl; "
        "complete -p splxctl'")
    assert "splxctl" in out
    if not shutil.which("logrotate", path="/usr/sbin:/usr/bin"):
        pytest.skip("no logrotate on this machine")
    m.check("mkdir -p /var/log/splx && echo x >/var/log/splx/splx.log")
    status, out = m.run("logrotate -d /etc/logrotate.d/splx")
    assert status == 0 and "error" not in out.lower(), out
    assert "/var/log/splx/splx.log" in out


def test_into_a_destdir_only_files_go_and_only_there(machine):
    m = machine
    m.make("install", "DESTDIR=/tmp/x")
    assert new(m) == {}
    assert m.check("find /run/layer ! -type d") == ""  # nor changed
    assert m.run("getent passwd splx")[0] != 0
    m.check("test -x /tmp/x/usr/sbin/splxctl")
    m.check("test -x /tmp/x/etc/init.d/splx")
    m.make("purge", "DESTDIR=/tmp/x")
    assert m.check("find /tmp/x ! -type d") == ""
    assert m.check("find /tmp/x -name '*splx*'") == ""


def openers(m):
    """Opens a clean and an infected file all the time, there; what it counts
    stands in /tmp/opens at its end: opens, longest wait in ms, clean files
    refused."""
    code = (
        "import os, time\n"
        "n = worst = wrong = 0\n"
        "def opened(p):\n"
        "    global worst\n"
        "    t = time.monotonic()\n"
        "    try:\n"
        "        os.close(os.open(p, os.O_RDONLY))\n"
        "        return True\n"
        "    except PermissionError:\n"
        "        return False\n"
        "    finally:\n"
        "        worst = max(worst, time.monotonic() - t)\n"
        "while not os.path.exists('/tmp/enough'):\n"
        "    n += 1\n"
        "    p = f'/srv/protected/good-{n % 50}'\n"
        "    with open(p, 'w') as f:\n"
        "        f.write(str(n))\n"
        "    wrong += not opened(p)\n"
        "    opened('/srv/protected/bad.com')\n"
        "open('/tmp/opens', 'w').write(f'{n} {int(worst * 1000)} {wrong}')\n")
    m.write("/tmp/openers.py", code.encode())
    m.check("rm -f /tmp/enough /tmp/opens; "
            "setsid /usr/bin/python3 /tmp/openers.py >/dev/null 2>&1 &")
    wait_for(lambda: m.run("test -e /srv/protected/good-49")[0] == 0, 20)
    m.check("rm /srv/protected/good-49")


def bounded(m, part):
    m.check("touch /tmp/enough")
    wait_for(lambda: m.run("test -s /tmp/opens")[0] == 0, 20)
    n, worst, wrong = map(int, m.check("cat /tmp/opens").split())
    assert n > 20 and worst < 6500 and wrong == 0, (part, n, worst, wrong)


PARTS = {
    "supervisor": r"entity(?!: core)(?!.*--core)",
    "core": "entity: core|.*--core",
    "master": "vsapiapp: master",
    "generation": "vsapiapp: generation",
    "worker": "vsapiapp: front worker",
}


def pid_of(m, part):
    return next((p for p, t in processes(m).items()
                 if re.match(PARTS[part], t.removeprefix("/usr/lib/splx/"))),
                None)


@pytest.mark.seconds(240)
def test_the_installed_service_survives_the_loss_of_any_process(machine):
    m = machine
    m.make("install")
    settings(m, "VerdictTimeout = 3s")
    m.check("service splx start")
    m.write("/srv/protected/bad.com", EICAR)
    for part in PARTS:
        openers(m)
        pid = wait_for(lambda: pid_of(m, part), 30)
        m.check(f"kill -KILL {pid}")
        wait_for(lambda: pid_of(m, part) not in (None, pid), 40)
        wait_for(lambda: all(refused(m) for _ in range(3)), 20)
        bounded(m, part)
    for part in PARTS:
        openers(m)
        pid = wait_for(lambda: pid_of(m, part), 30)
        m.check(f"kill -STOP {pid}")
        time.sleep(4)
        told = m.run("splxctl --timeout 3s health")
        m.run(f"kill -CONT {pid}")
        if part in ("supervisor", "core", "master"):
            assert told[0] != 0, told
        bounded(m, part)
        wait_for(lambda: all(refused(m) for _ in range(3)), 20)
    wait_for(lambda: m.run("service splx status")[0] == 0, 20)
    assert m.run("service splx stop")[0] == 0
    assert processes(m) == {}
