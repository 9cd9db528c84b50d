# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""Conflicts and the start order on Debian with SysV init: the real insserv,
update-rc.d and startpar's files. What a boot makes of them is shown where
boots are."""

import re

import pytest

import installed
import khm

pytestmark = pytest.mark.seconds(900)

# A machine as it was installed, and services to put beside splx.
LIB = r"""
fail() { echo "FAILED: $*"; exit 1; }
# service NAME REQUIRED [LINE]: with an LSB header
service_of() {
	cat >/etc/init.d/$1 <<-END
	#!/bin/sh
	### BEGIN INIT INFO
	# Provides:          $1
	# Required-Start:    $2
	# Required-Stop:     $2
	${3:-# }
	# Default-Start:     2 3 4 5
	# Default-Stop:      0 1 6
	# Short-Description: $1
	### END INIT INFO
	exit 0
	END
	chmod 755 /etc/init.d/$1
}
known() { printf '\n[%s]\nProduct = "%s"\n' "$1" "$1" >>/etc/splx/conflicts.conf; }
link() { ls /etc/rc$1.d | grep "^$2..$3\$"; }
# exits N COMMAND...: it ends with N; its words stay in /tmp/said
exits() {
	want=$1; shift
	"$@" >/tmp/said 2>&1; got=$?
	[ $got = $want ] || fail "$* ended with $got: $(cat /tmp/said)"
}
said() { grep -q -- "$1" /tmp/said || fail "not said: $1: $(cat /tmp/said)"; }
all_links() { (cd /etc && ls rc?.d/[SK]*); }
# Everything but splx is started and stopped where it was before.
services() { all_links | sed 's|/\(.\)..|/\1|' | grep -v splx | sort; }
fresh() {
	for s in abc def other rival; do
		rm -f /etc/init.d/$s /etc/rc?.d/[SK]??$s
	done
	rm -f /etc/insserv/overrides/splx /etc/init.d/.legacy-bootordering
	cp /usr/share/splx/conflicts.conf.sample /etc/splx/conflicts.conf
	update-rc.d splx defaults
}
fresh
"""


@pytest.fixture
def order(system):
    """check(script), in a machine where the suite is installed."""
    installed.put(system)

    def check(script, seconds=200):
        return system.check(LIB + script, seconds)

    return check


def test_the_order_lasts_when_another_package_brings_a_service(order):
    order("""
        service_of abc '$remote_fs'; known abc
        update-rc.d abc defaults
        exits 1 splxctl order check
        said 'abc may start after splx'
        before=$(services)
        exits 0 splxctl order apply --dry-run
        said 'rename /etc/rc2.d/S01splx to S02splx'
        [ "$(link 2 S splx)" = S01splx ] || fail 'a dry run changes links'
        cp /tmp/said /tmp/foretold
        exits 0 splxctl order apply
        grep '^  rename' /tmp/foretold | while read -r _ from _ to; do
            [ -e "${from%/*}/$to" ] || fail "foretold, not done: $from $to"
        done || exit 1
        [ "$(services)" = "$before" ] || fail "$(services)"
        exits 0 splxctl order check
        grep -x 'splx: abc' /etc/init.d/.depend.start || fail depend.start
        grep -x 'abc: splx' /etc/init.d/.depend.stop || fail depend.stop
        service_of other '$remote_fs'
        update-rc.d other defaults || fail update-rc.d
        exits 0 splxctl order check
        update-rc.d splx defaults; update-rc.d abc defaults
        update-rc.d other remove
        exits 0 splxctl order check
        [ "$(link 3 S splx)" \\> "$(link 3 S abc)" ] || fail "$(all_links)"
        exits 0 splxctl order apply
        said 'nothing was changed'
    """)


def test_a_hand_made_number_does_not_last_which_is_why(order):
    order("""
        service_of abc '$remote_fs'; known abc
        update-rc.d abc defaults
        mv /etc/rc3.d/S01splx /etc/rc3.d/S91splx
        service_of other '$remote_fs'
        update-rc.d other defaults
        [ "$(link 3 S splx)" = S01splx ] || fail "$(link 3 S splx)"
    """)


def test_no_loop_is_ever_given_to_the_machine(order):
    """splx asks to start before cron, and the conflict needs cron."""
    order("""
        service_of abc 'cron'; known abc
        update-rc.d abc defaults
        exits 1 splxctl order check
        said 'abc starts after splx'
        exits 0 splxctl order apply
        said 'splx starts before cron no longer: abc has to start after cron'
        exits 0 splxctl order check
        insserv -n 2>&1 | grep -i loop && fail loop
        grep -x 'splx: abc' /etc/init.d/.depend.start || fail depend.start
        service_of other '$remote_fs'
        update-rc.d other defaults 2>&1 | grep -i loop && fail loop
        exits 0 splxctl order check
    """)


@pytest.mark.parametrize("header, words", [
    ("service_of abc '$remote_fs splx'", "headers that are not ours"),
    ("service_of abc '$remote_fs $all'", "after all others"),
])
def test_what_cannot_be_is_refused_and_changes_nothing(order, header, words):
    order(f"""
        {header}; known abc
        update-rc.d abc defaults
        before=$(all_links); sum=$(cat /etc/init.d/.depend.* | md5sum)
        exits 2 splxctl order apply --after=abc
        said '{words}'
        [ "$(all_links)" = "$before" ] || fail links
        [ "$(cat /etc/init.d/.depend.* | md5sum)" = "$sum" ] || fail depend
        [ ! -e /etc/insserv/overrides/splx ] || fail override
    """)


def test_one_that_restarts_itself_gets_remedy_1_alone(order):
    order("""
        service_of ISFtp '$remote_fs'
        update-rc.d ISFtp defaults
        exits 2 splxctl order apply --after=ISFtp
        said 'ISFtp restarts itself when its settings change'
        said 'Only remedy 1'
        exits 2 splxctl order apply
        exits 1 splxctl order check
        exits 0 splxctl conflicts
        said 'Remedy 1: stop it before splx'
        grep 'Remedy 2' /tmp/said && fail 'remedy 2'
        rm /etc/init.d/ISFtp /etc/rc?.d/[SK]??ISFtp
    """)


def test_a_script_without_a_header_is_put_before_us_too(order):
    order("""
        printf '#!/bin/sh\\nexit 0\\n' >/etc/init.d/abc
        chmod 755 /etc/init.d/abc; known abc
        for l in 2 3 4 5; do ln -s ../init.d/abc /etc/rc$l.d/S90abc; done
        exits 1 splxctl order check
        exits 0 splxctl order apply
        exits 0 splxctl order check
        [ "$(link 3 S splx)" \\> "$(link 3 S abc)" ] || fail "$(all_links)"
    """)


def test_where_links_alone_count_they_are_renamed(order):
    """As on a Debian of old: no insserv, and nothing started side by side."""
    order("""
        mv /sbin/insserv /sbin/insserv.away
        trap 'mv /sbin/insserv.away /sbin/insserv' EXIT
        printf '#!/bin/sh\\nexit 0\\n' >/etc/init.d/abc
        chmod 755 /etc/init.d/abc; known abc
        for l in 2 3 4 5; do ln -s ../init.d/abc /etc/rc$l.d/S90abc; done
        for l in 0 1 6; do ln -s ../init.d/abc /etc/rc$l.d/K10abc; done
        exits 2 splxctl order apply
        said 'touch /etc/init.d/.legacy-bootordering'
        touch /etc/init.d/.legacy-bootordering
        exits 1 splxctl order check 3
        exits 0 splxctl order apply 3
        said 'rename /etc/rc3.d/S01splx to S91splx'
        [ "$(link 3 S splx) $(link 2 S splx)" = 'S91splx S01splx' ] ||
            fail "$(all_links)"
        exits 0 splxctl order check 3
        exits 1 splxctl order check 2
        service_of other '$remote_fs'
        update-rc.d other defaults
        [ "$(link 3 S splx)" = S91splx ] || fail "$(all_links)"
        update-rc.d splx defaults
        [ "$(link 3 S splx)" = S91splx ] || fail "$(all_links)"
        exits 0 splxctl order apply --early
        [ "$(link 3 S abc) $(link 3 S splx)" = 'S01abc S02splx' ] ||
            fail "$(all_links)"
        exits 0 splxctl order check 2
        rm /etc/rc?.d/[SK]??splx
    """)


def test_a_list_that_is_wrong_in_one_entry_serves_and_tells(order):
    order("""
        printf '[bad]\\nProdct = x\\n' >>/etc/splx/conflicts.conf
        service_of abc '$remote_fs'; known abc
        update-rc.d abc defaults
        exits 1 splxctl order check
        said 'conflicts.conf:.*Prodct: no such key; did you mean Product'
        said 'abc may start after splx'
    """)


def test_the_bundle_for_support_tells_of_both(order):
    order("""
        service_of abc '$remote_fs'; known abc
        update-rc.d abc defaults
        rm -f /tmp/b.tar.gz
        splxctl diagnose /tmp/b.tar.gz
        rm -rf /tmp/b && mkdir /tmp/b && tar -C /tmp/b -xzf /tmp/b.tar.gz
        grep -q '"service": "abc"' /tmp/b/*/conflicts.json || fail conflicts
        grep -q '"late"' /tmp/b/*/order.json || fail order
    """)


RIVAL = khm.LIB + LIB + r"""
insmod ./splxmod.ko || fail insmod
here=$PWD
cat >/etc/init.d/rival <<-END
	#!/bin/sh
	case \$1 in
	start) /sbin/insmod $here/rv_inline.ko ;;
	stop) /sbin/rmmod rv_inline ;;
	esac
END
chmod 755 /etc/init.d/rival
"""


def test_a_rival_is_tied_to_the_script_that_brings_it(system):
    installed.put(system)
    khm.put(system, "tests/vm/rivals")
    out = system.check(RIVAL + """
        serve ftrace oec || fail serve
        exits 0 env -i /usr/sbin/splxctl conflicts --blocking
        [ ! -s /tmp/said ] || fail "$(cat /tmp/said)"
        sh /etc/init.d/rival start || fail rival
        exits 1 env -i /usr/sbin/splxctl conflicts --blocking
        [ "$(wc -l </tmp/said)" = 1 ] || fail "$(cat /tmp/said)"
        said '^rival (module rv_inline) keeps the kernel module: first: '
        said 'service rival stop$'
        exits 1 splxctl conflicts
        cat /tmp/said
        sh /etc/init.d/rival stop
        exits 0 splxctl conflicts --blocking
        stop
        rmmod splxmod || fail rmmod
        exits 0 splxctl conflicts
        said 'not loaded'
    """, 200).out
    assert re.search(r"rival +rv_inline +inline-patch .*blocks-unload", out)
    assert "known by /etc/init.d/rival:3" in out
