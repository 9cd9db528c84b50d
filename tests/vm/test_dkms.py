# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""The kernel module by DKMS: on a machine that gets a new kernel, from the
package's installation to its purge; the tests go on from each other. What is
DKMS's alone, with no kernel in it, is tried in a copy of that machine's disk."""

import re
import shutil
import subprocess

import pytest

import dkms
import installed
from cache import Unavailable
from conftest import kernel_or_skip, machine, skip
from test_packages import NEXT, build
from vm import WORK

pytestmark = pytest.mark.seconds(1800)

# Both are kernels of the machines' Debian, with headers for its compiler.
SECOND = {"6.1": "6.12"}

# The compiler and packages are not what is tested: the module itself passes
# what lies in such directories, and asks nobody.
SETTINGS = """
mkdir -p /etc/splx
cat >/etc/splx/splx.conf <<'END'
ExcludeDirectory = {"/usr", "/etc", "/boot", "/var", "/tmp", "/srv"}
FirstAction = deny
LogSyslog = no
VerdictTimeout = 60s
BreakerTimeouts = 100
ScanAtStart = no
END
"""

LIB = dkms.SETUP + installed.MARKER + r"""
fail() { echo "FAILED: $*"; splxctl status; dkms status
	tail -n 30 /var/log/splx/splx.log /var/lib/dkms/splxmod/*/build/make.log
	exit 1; }
apt() {
	DEBIAN_FRONTEND=noninteractive INITRD=No apt-get -y -q \
		--no-install-recommends -o Dpkg::Use-Pty=0 "$@" 2>&1
}
took() { echo "-- after $(cut -d. -f1 /proc/uptime) s: $*"; }
# protects_by RUNG: and so it is told
protects_by() {
	[ -e /root/bad ] || bad /root/bad
	for _ in $(seq 90); do
		[ "$(splxctl health --field interceptor)" = $1 ] &&
			! cat /root/bad >/dev/null 2>&1 && return
		sleep 1
	done
	fail "it does not protect by $1"
}
# built KERNEL VERSION: by DKMS, and where everybody looks for it
built() {
	dkms status -m splxmod -k $1 | grep -q "^splxmod/$2, .*: installed" ||
		fail "DKMS has no $2 for $1"
	modinfo -k $1 -n splxmod | grep -qx "/lib/modules/$1/updates/dkms/.*" ||
		fail "modprobe does not find it for $1"
}
nothing_left() {
	[ -z "$(dkms status -m splxmod)" ] || fail 'DKMS knows it'
	ls -d /var/lib/dkms/splx* && fail 'left with DKMS'
	find /lib/modules /usr/src -name '*splxmod*' | grep . && fail 'files left'
	ls /lib/modules/*/updates/dkms && fail 'an empty folder left'
	grep -s splxmod /lib/modules/*/modules.dep && fail 'depmod knows it'
	true
}
"""


def sources_of(debs):
    """The modules' sources in the packages, as they lie in /usr/src."""
    folder = WORK / "dkms-sources"
    shutil.rmtree(folder, ignore_errors=True)
    for deb in debs:
        subprocess.run(["dpkg-deb", "-x", deb, folder], check=True)
    return folder / "usr/src"


def version_of(deb):
    names = subprocess.run(["dpkg-deb", "-c", deb], check=True, text=True,
                           stdout=subprocess.PIPE).stdout
    return re.search(r"/usr/src/splxmod-([^/]+)/", names)[1]


class Parts:
    """The two kernels, two versions of the packages, the disk."""

    def __init__(self, series):
        if series not in SECOND:
            pytest.skip(f"kernel {series}: its headers are not for Debian 12")
        self.first = kernel_or_skip(series)
        self.second = kernel_or_skip(SECOND[series])
        self.old, self.new = build(), build(NEXT, f"KHM_VERSION={NEXT}")
        modules = [deb for deb in self.old + self.new if "dkms" in deb.name]
        self.version = version_of(modules[0])
        try:
            self.disk = dkms.disk(self.first, self.second)
            self.kernel = dkms.packages(self.second)
            self.answers = dkms.answers(self.disk, self.kernel,
                                        sources_of(modules))
        except Unavailable as e:
            skip(series, str(e))
        self.lib = f"{LIB}\nversion={self.version} next={NEXT} " \
            f"first={self.first.version} second={self.second.version}\n"

    def inside(self, script):
        """A script in a copy of the disk with both kernels, as if the second
        were running."""
        return dkms.inside(self.disk, self.lib + f"""
            tar -C /var/cache -xf {self.answers.name}
            mv /usr/bin/uname /usr/bin/uname.true
            cat >/usr/bin/uname <<END
#!/bin/sh
[ "\\$1" = -r ] && echo $second || exec /usr/bin/uname.true "\\$@"
END
            chmod 755 /usr/bin/uname
            dpkg -i linux-*.deb || fail kernel
            {script}""", [*self.old, *self.new, *self.kernel, self.answers,
                          installed.archive()])


@pytest.fixture(scope="module")
def parts(series):
    return Parts(series)


@pytest.fixture(scope="module")
def bed(parts):
    """check(SCRIPT) in the machine; all packages lie beside it."""
    bed = machine(parts.first.series, "root", keep=True, disk=parts.disk)
    for f in [*parts.old, *parts.new, *parts.kernel]:
        bed.put(f)
    bed.put(parts.answers, "answers.tar")
    bed.lib, bed.second = parts.lib, parts.second
    yield bed
    bed.close()


def check(bed, script, seconds=400):
    return bed.check(bed.lib + script, seconds)


def plain(text):
    """The console's, without colours."""
    return re.sub(r"\x1b\[[0-9;]*[A-Za-z]|\0", " ", text)


def test_the_package_builds_for_every_kernel_and_leaves_nothing(parts):
    parts.inside("""
        apt install ./splx-dkms_[0-8]*.deb || fail install
        built $first $version
        built $second $version
        apt install ./splx-dkms_$next*.deb || fail upgrade
        built $first $next
        built $second $next
        dkms status -m splxmod -v $version | grep . && fail 'the old one stays'
        [ ! -e /usr/src/splxmod-$version ] || fail 'old sources stay'
        apt remove splx-dkms || fail remove
        nothing_left
        apt install ./splx-dkms_$next*.deb || fail 'install again'
        built $second $next
        apt purge splx-dkms || fail purge
        nothing_left""")


def test_make_install_builds_for_every_kernel_and_leaves_nothing(parts):
    parts.inside("""
        mkdir /srv/splx
        tar -C /srv/splx --no-same-owner -xf splx.tar
        make -C /srv/splx -o all install 2>&1 || fail install
        built $first $version
        built $second $version
        make -C /srv/splx -o all install 2>&1 || fail 'install again'
        built $first $version
        built $second $version
        make -C /srv/splx uninstall 2>&1 || fail uninstall
        nothing_left""")


def test_by_the_package_it_is_built_and_protects(bed):
    check(bed, SETTINGS + """
        tar -C /var/cache -xf answers.tar
        apt install ./splx_[0-8]*.deb ./splx-dkms_[0-8]*.deb || fail install
        took installed
        built $first $version
        protects_by khm
        service splx restart || fail restart
        protects_by khm
        sync""", 900)


def test_a_new_kernel_has_its_module_before_the_reboot(bed):
    check(bed, """
        apt install ./linux-*.deb || fail install
        took installed
        built $second $version
        built $first $version
        protects_by khm
        sync""", 900)


def test_booted_with_the_new_kernel_it_protects_by_the_module(bed):
    bed.shutdown()
    bed.use(bed.second)
    result = check(bed, """
        [ "$(uname -r)" = $second ] || fail "this is $(uname -r)"
        protects_by khm""")
    boot = plain(result.console)
    assert re.search(r"Loading splx kernel module:\s+\[ +OK +\]", boot), \
        boot[-3000:]


def test_an_upgrade_of_its_package_is_taken_into_use(bed):
    check(bed, """
        is_loaded() { grep -qx "version $1" /proc/splx/status ||
            fail "not $1: $(grep ^version /proc/splx/status)"; }
        is_loaded $version
        before=$(cat /run/splx/entity.pid)
        apt install ./splx-dkms_$next*.deb || fail upgrade
        took upgraded
        built $second $next
        built $first $next
        is_loaded $next
        [ "$(cat /run/splx/entity.pid)" != $before ] || fail 'not restarted'
        protects_by khm
        [ "$(splxctl health --field kernelStatus)" = 0 ] || fail health
        sync""", 900)


def test_removed_and_purged_nothing_is_left(bed):
    check(bed, """
        apt remove splx-dkms || fail remove
        nothing_left
        # what is loaded serves on
        protects_by khm
        apt purge splx-dkms || fail purge
        nothing_left
        sync""")


def test_where_no_module_is_for_this_kernel_it_says_so_at_boot(bed):
    bed.shutdown()
    result = check(bed, r"""
        [ ! -d /sys/module/splxmod ] || fail 'a module'
        protects_by fanotify
        splxctl -o json health >said; cat said
        grep -q 20021 said || fail 'no code'
        grep -q "no module is built for this kernel ($second)" said ||
            fail 'no reason'
        splxctl health | grep -q "no module is built for this kernel" ||
            fail 'health for people'
        [ "$(splxctl health --field operational)" = Functional ] ||
            fail operational""")
    boot = plain(result.console)
    assert re.search(r"Loading splx kernel module:\s+\[ *WARNING *\]", boot), \
        boot[-3000:]
    assert f"no module is built for this kernel ({bed.second.version})" \
        in boot, boot[-3000:]
