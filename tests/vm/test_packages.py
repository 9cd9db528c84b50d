# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""The Debian packages, as apt installs, upgrades, removes and purges them."""

import re
import subprocess

import pytest

import installed
import khm
from test_service import ABC, SETTINGS
from vm import REPO, WORK

pytestmark = pytest.mark.seconds(900)

NEXT = "99.1"

LIB = installed.MARKER + r"""
fail() { echo "FAILED: $*"; splxctl status; tail -n 30 /var/log/splx/splx.log
	exit 1; }
denied() { ! cat "$1" >/dev/null 2>&1; } # it goes to quarantine
protects() {
	for _ in $(seq 60); do
		bad /root/probe
		denied /root/probe && return
		sleep 1
	done
	fail "it does not protect"
}
apt() { DEBIAN_FRONTEND=noninteractive apt-get -y -q --no-install-recommends \
	-o Dpkg::Use-Pty=0 "$@"; }
"""


def build(version=None, *words):
    """The packages' files, made by make deb."""
    words = [f"DEB_VERSION={version}", *words] if version else []
    subprocess.run(["make", "-s", "-o", "all", "deb", *words], cwd=REPO,
                   check=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL)
    out = WORK / f"deb-{version or 'first'}"
    out.mkdir(parents=True, exist_ok=True)
    for old in out.iterdir():
        old.unlink()
    return sorted(p.rename(out / p.name)
                  for p in (REPO / "build/deb").glob("*.deb"))


@pytest.fixture(scope="module")
def packages():
    return build()


@pytest.fixture
def bed(system, packages):
    for deb in packages:
        system.put(deb)
    yield system
    system.run("echo splx splx/purge-data boolean true | "
               "debconf-set-selections; apt-get -y purge splx", 200)


def test_the_packages_are_without_fault(packages):
    r = subprocess.run(["lintian", "--allow-root", "--fail-on", "error",
                        *packages], stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True)
    assert r.returncode == 0, r.stdout


def test_installed_by_apt_it_protects_and_removed_it_is_gone(bed):
    bed.check(LIB + """
        apt install ./splx_[0-9]*.deb || fail install
        protects
        service splx status || fail status
        ls /etc/rc2.d/S??splx /etc/rc0.d/K??splx || fail links
        [ "$(stat -c %a /etc/splx/splx.conf)" = 640 ] || fail conf
        splxctl config set ScanTimeout 2m || fail 'config set'
        dpkg --verify splx || fail 'changed files'
        apt remove splx || fail remove
        bad /root/probe && sleep 1
        cat /root/probe >/dev/null || fail 'it still blocks'
        [ ! -e /usr/sbin/splxctl ] || fail 'still there'
        # the script stays until a purge, and is no trouble
        [ -z "$(/etc/init.d/splx start 2>&1)" ] || fail 'not quiet'
        /etc/init.d/splx stop || fail stop
        /etc/init.d/splx status; [ $? = 4 ] || fail status
        [ -e /var/lib/splx/splx.db ] && [ -e /etc/splx/splx.conf ] ||
            fail 'more than the programs is gone'
        apt install ./splx_[0-9]*.deb || fail 'install again'
        protects
        [ "$(splxctl config get ScanTimeout)" = 2m ] || fail 'settings lost'
        """, 600)


def test_an_upgrade_keeps_own_changes_and_brings_new_defaults(bed):
    for deb in build(NEXT):
        bed.put(deb)
    bed.check(LIB + f"""
        apt install ./splx_0*.deb || fail install
        protects
        splxctl config set ScanTimeout 2m || fail 'config set'
        # as if the former version had another default
        sed -i 's/^VerdictTimeout = .*/VerdictTimeout = 9s/' \\
            /etc/splx/splx.conf /usr/share/splx/splx.conf.sample
        mkdir -p /etc/splx/km && echo x >/etc/splx/km/.load_lock
        before=$(cat /run/splx/entity.pid)
        apt install ./splx_{NEXT}*.deb || fail upgrade
        protects
        [ "$(cat /run/splx/entity.pid)" != $before ] || fail 'not restarted'
        dpkg-query -W -f '${{Version}}' splx | grep -qx {NEXT} || fail version
        [ "$(splxctl config get ScanTimeout)" = 2m ] || fail 'settings lost'
        [ "$(splxctl config get VerdictTimeout)" = 5s ] || fail 'old default'
        ! grep -qx x /etc/splx/km/.load_lock 2>/dev/null || fail locked
        """, 600)


def test_removed_under_a_rival_it_says_what_is_left(bed):
    khm.put(bed, "tests/vm/rivals")
    out = bed.check(LIB + ABC + """
        mkdir -p /etc/splx""" + SETTINGS + """
        where=/usr/lib/splx/modules/$(uname -r)
        mkdir -p $where && cp splxmod.ko $where || exit 9
        apt install ./splx_0*.deb || fail install
        protects
        grep -qx 'state armed' /proc/splx/status || fail 'not by the module'
        service abc start || fail rival
        apt remove splx >said 2>&1 || { cat said; fail remove; }
        cat said
        [ -d /sys/module/splxmod ] || fail 'no module'
        [ ! -e /usr/sbin/splxctl ] || fail 'still there'
        bad /root/after
        cat /root/after >/dev/null || fail 'it still blocks'
        # it comes again, and takes the same module up
        apt install ./splx_0*.deb || fail 'install again'
        protects
        grep -qx 'state armed' /proc/splx/status || fail 'not taken up'
        service abc stop || fail 'rival stop'
        apt remove splx >gone 2>&1 || fail 'remove again'
        grep 'module of splx stays' gone && fail 'a false message'
        [ ! -d /sys/module/splxmod ] || fail 'still loaded'
        rm -rf $where""", 600).out
    assert re.search(r"Unloading splx kernel module: +\[FAILED\]", out)
    assert "rv_inline" in out
    assert "kernel module of splx stays" in out


def test_a_purge_takes_the_data_only_when_told_to(bed):
    bed.check(LIB + """
        apt install ./splx_[0-9]*.deb || fail install
        protects
        apt purge splx 2>&1 || fail purge
        [ -e /var/lib/splx/splx.db ] || fail 'data gone unasked'
        [ ! -e /etc/splx ] || fail 'settings left'
        ls /etc/rc?.d/*splx 2>/dev/null && fail 'links left'
        apt install ./splx_[0-9]*.deb || fail 'install again'
        echo splx splx/purge-data boolean true | debconf-set-selections
        apt purge splx || fail purge
        [ ! -e /var/lib/splx ] && [ ! -e /var/log/splx ] || fail 'data left'
        ! getent passwd splx || fail 'user left'""", 600)
