# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""splxmod in a machine: what the scripts of its tests have in common."""

# A file that khmctl's readers deny is /tmp/deny; `try` says what became of it.
LIB = r"""
C=/src/build/tests/vm/khmctl
fail() { echo "FAILED: $*"; cat /tmp/serve.log 2>/dev/null; exit 1; }
serve() {
	: >/tmp/serve.log
	$C serve "$@" >>/tmp/serve.log 2>&1 & server=$!
	for _ in $(seq 100); do
		grep -q ready /tmp/serve.log && return
		kill -0 $server 2>/dev/null || return 1
		sleep 0.1
	done
	return 1
}
stop() { kill $server; wait $server; }
try() { if cat /tmp/deny >/dev/null 2>&1; then echo passes; else echo denies; fi; }
expect() { [ "$(try)" = "$1" ] || fail "it should be so that it $1"; }
rivals() { cat /proc/splx/rivals; }
# until_status NAME VALUE: the status comes to say so
until_status() {
	for _ in $(seq 100); do
		[ "$(status $1)" = $2 ] && return; sleep 0.1
	done
	fail "$1 is $(status $1), not $2"
}
status() { $C status | sed -n "s/^$1 //p"; }
# refused COMMAND: it ends with EBUSY, and its report names $1
refused() {
	who=$1; shift
	"$@" >/tmp/report 2>&1; r=$?
	[ $r = 16 ] || fail "$* ended with $r: $(cat /tmp/report)"
	grep -q "$who" /tmp/report || fail "$who is not named: $(cat /tmp/report)"
}
# Load on all CPUs that opens, writes, executes; stopped by `unload`.
load() {
	rm -f /tmp/stop
	for i in 1 2 3 4; do
		(while [ ! -e /tmp/stop ]; do
			echo data$i >/tmp/load$i
			cat /tmp/load$i /bin/busybox >/dev/null 2>&1
		done) &
		loaders="$loaders $!"
	done
}
unload() { touch /tmp/stop; wait $loaders; loaders=; }
echo DENY >/tmp/deny
# Where only those wait who are meant to: serve … only /wait
mkdir -p /wait; grep -q ' /wait ' /proc/mounts || mount -t tmpfs none /wait
"""


_built = {}


def put(vm, *sources):
    """The module, and all that other sources build, beside the script."""
    for source in ("khm", *sources):
        key = vm.kernel.version, source
        if key not in _built:
            _built[key] = list(vm.kernel_module(source).parent.glob("*.ko"))
        for ko in _built[key]:
            vm.put(ko)


def check(vm, script, seconds=90, module="insmod ./splxmod.ko"):
    """The script with the library, between loading and unloading."""
    return vm.check(f"{LIB}\n{module} || fail insmod\n{script}\n"
                    "rmmod splxmod || fail rmmod\n", seconds=seconds)
