# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""What cron does for the suite, by the real one, and patterns from a real web
server: on a machine with a disk of its own, which goes down and comes back."""

import pytest

import installed
import root
from conftest import machine

pytestmark = pytest.mark.seconds(1500)

SETTINGS = """
cat >/etc/splx/splx.conf <<'END'
Interceptor = fanotify
FirstAction = deny
LogSyslog = no
VerdictTimeout = 60s
BreakerTimeouts = 100
ScanAtStart = no
UpdateDelay = 0s
ScanDelay = 0ms
Include = {"/srv/watched"}
END
"""
LIB = installed.MARKER + r"""
fail() { echo "FAILED: $*"; splxctl status; splxctl scan list
	splxctl pattern list; cat /etc/cron.d/splx; tail -n 30 \
		/var/log/splx/splx.log /var/log/nginx/*.log; exit 1; }
until_true() {
	seconds=$1 what=$2
	for _ in $(seq $seconds); do
		eval "$what" && return
		sleep 1
	done
	fail "not within $seconds s: $what"
}
# no network is set up there
web_server() {
	ip link set lo up && service nginx restart || fail nginx
	until_true 30 'grep -q ":1F90 0*:0* 0A" /proc/net/tcp'
}
version() { splxctl -o json pattern list |
	sed -n '/"current": true/,/}/s/.*"version": \([0-9]*\).*/\1/p'; }
serves() { [ "$(version)" = "$1" ]; }
# the files that it scanned, in which state, and in how many runs
state() { splxctl -o json scan list | grep -q "\"state\": \"$1\""; }
# the next version of a bundle that nginx has
publish() {
	echo "Test.V$1:0:*:$(printf 'what version %s finds' $1 | od -An -tx1 |
		tr -d ' \n')" >office.ndb
	splxctl pattern bundle /srv/www/patterns office.ndb --name=office \
		--key=/root/office.key --version=$1 "${2:---valid=30d}" ||
		fail "bundle $1"
}
"""


@pytest.fixture(scope="module")
def own(series):
    """A machine whose cron and nginx run, and whose disk is kept."""
    vm = machine(series, "root", keep=True, disk=root.get(["nginx-light"]))
    installed.put(vm)
    vm.check(SETTINGS + LIB + """
        mkdir -p /srv/watched /srv/www/patterns /etc/splx/keys
        cat >/etc/nginx/sites-enabled/default <<'END'
server { listen 127.0.0.1:8080; root /srv/www; }
END
        web_server
        pgrep -x cron >/dev/null || service cron start || fail cron
        splxctl pattern key /root/office.key || fail key
        cp /root/office.key.pem /etc/splx/keys/
        publish 1
        service splx start || fail start
        splxctl config set PatternSource http://127.0.0.1:8080/patterns ||
            fail source
        splxctl pattern update || fail update
        serves 1 || fail 'not version 1'
        sync""", 400)
    yield vm
    vm.ahead = 0
    vm.close()


def test_cron_brings_new_patterns_and_says_nothing(own):
    own.check(LIB + r"""
        splxctl config set UpdateSchedule '* * * * *' || fail config
        grep -q '^\* \* \* \* \* root .*pattern update --cron' \
            /etc/cron.d/splx || fail crontab
        # a link, or one that others may write to, cron does not take
        [ "$(stat -c '%U %a' /etc/cron.d/splx)" = 'root 644' ] || fail mode
        publish 2
        until_true 150 'serves 2'
        grep -q 'GET /patterns/office.ndb' /var/log/nginx/access.log ||
            fail 'not from nginx'
        printf 'what version 2 finds' >/srv/watched/f
        ! cat /srv/watched/f >/dev/null 2>&1 || fail 'it does not serve'
        # what is cut off is no mail either, and nothing but the next run
        service splx stop || fail stop
        publish 3
        until_true 150 'serves 3'
        service splx start || fail start
        [ ! -s /var/mail/root ] || { cat /var/mail/root; fail mail; }
        splxctl config set UpdateSchedule off || fail off
        ! grep -q 'pattern update' /etc/cron.d/splx || fail 'still there'
        """, 700)


def test_cron_runs_a_scan_and_after_a_reboot_it_is_gone_on_with(own):
    own.check(LIB + r"""
        mkdir -p /srv/data/a /srv/data/z
        bad /srv/data/a/bad; bad /srv/data/z/bad
        # slow enough to be seen at it
        head -c 6000000 /dev/urandom >/root/part
        for i in $(seq 100 250); do
            cp /root/part /srv/data/m$i
        done
        sleep 4; sync
        splxctl schedule set nightly 'When=* * * * *' Paths=/srv/data \
            All=yes FirstAction=pass Report=/var/reports || fail schedule
        grep -q 'scan run nightly --cron' /etc/cron.d/splx || fail crontab
        until_true 150 'state running'
        sleep 3
        state running || fail 'it is over already'
        splxctl -o json scan list >/root/before; sync""", 400)
    own.shutdown()
    own.check(LIB + r"""
        until_true 100 'splxctl status >/dev/null; [ $? -lt 2 ]'
        until_true 700 'state done'
        splxctl schedule set nightly When=off || fail off
        splxctl -o json scan list >after
        id() { sed -n 's/.*"id": \([0-9]*\).*/\1/p' "$1" | sort -n |
            head -n 1; }
        [ "$(id after)" = "$(id /root/before)" ] || fail 'another job'
        splxctl -o json scan show "$(id after)" >shown
        cat shown
        for f in a z; do
            grep -q "/srv/data/$f/bad" shown || fail "$f was left out"
        done
        grep -q '"runs": 1[,}]' shown && fail 'it was not interrupted'
        until_true 60 'grep -l "scan nightly done" /var/reports/*.txt'
        """, 1000)


def test_where_the_clock_is_wrong(own):
    """A year before: what serves is old and stays, what comes is past its
    time; right again all is well, and no version came back."""
    own.check(LIB + "publish 10; splxctl pattern update || fail update; sync",
              200)
    own.shutdown()
    own.ahead = 365 * 86400
    own.check(LIB + r"""
        until_true 100 'splxctl status >/dev/null; [ $? -lt 2 ]'
        web_server
        [ "$(date +%Y)" -gt 2026 ] || fail "the clock says $(date)"
        serves 10 || fail 'not version 10'
        printf 'what version 10 finds' >/srv/watched/g
        ! cat /srv/watched/g >/dev/null 2>&1 || fail 'it does not serve'
        splxctl pattern update >said 2>&1 && grep -q 'up to date' said ||
            grep -q 'was good until' said || { cat said; fail 'not told'; }
        until_true 30 'splxctl -o json health | grep -q "\"code\": 2003[15]"'
        # made and signed by that clock
        publish 11
        splxctl pattern update || fail 'nothing new comes'
        serves 11 || fail 'not version 11'
        sync""", 400)
    own.shutdown()
    own.ahead = 0
    own.check(LIB + r"""
        until_true 100 'splxctl status >/dev/null; [ $? -lt 2 ]'
        web_server
        serves 11 || fail 'not version 11'
        publish 10
        ! splxctl pattern update >said 2>&1 || fail 'an old one came'
        grep -q 'older than 11' said || { cat said; fail 'not told'; }
        publish 12
        splxctl pattern update || fail update
        serves 12 || fail 'not version 12'
        """, 400)
