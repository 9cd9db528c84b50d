#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
# run.sh ROOT [DIR]: the suite of the stage ROOT in the foreground, protecting
# DIR. A mount point is protected as the whole file system that it is; any
# other directory is made a mount of its own, so that nothing else is held.
# Ctrl-C (or TERM) ends everything and takes the mount back.
set -eu
root=$1
dir=${2:-}

[ "$(id -u)" -eq 0 ] || {
	echo "splx: make run needs root: fanotify's permission events do" >&2
	exit 4
}
case $root in
/*) ;;
*) root=$PWD/$root ;;
esac
ctl=$root/bin/splxctl
[ -n "$dir" ] || dir=$root/protected
[ -d "$dir" ] || {
	echo "splx: PROTECT=$dir: no such directory" >&2
	exit 2
}
dir=$(readlink -f "$dir")
if [ "$dir" = / ]; then
	echo "splx: PROTECT=/ is for the installed service: make install" >&2
	exit 2
fi

pid='' console='' mounted='' probe='' loaded=''
finish() {
	status=$?
	trap '' INT TERM HUP EXIT
	[ -z "$console" ] || kill -TERM "$console" 2>/dev/null || :
	if [ -n "$pid" ] && kill -TERM "$pid" 2>/dev/null; then
		wait "$pid" || :
	fi
	[ -z "$probe" ] || rm -f "$probe"
	[ -z "$loaded" ] || "$ctl" module unload || :
	[ -z "$mounted" ] || umount "$dir" || umount -l "$dir"
	[ "$status" -ne 0 ] || echo "splx: ended"
	exit "$status"
}
trap finish EXIT
trap 'exit 0' INT TERM HUP

if ! mountpoint -q "$dir"; then
	mount --bind "$dir" "$dir"
	mounted=1
fi

conf=$root/etc/splx/splx.conf
if ! grep -qs '^# written by make run' "$conf"; then
	{
		cat "$root/usr/share/splx/splx.conf.sample"
		echo "# written by make run"
	} >"$conf"
fi
# A scan user of its own that owns nothing and is in no file of the machine.
edit() {
	sed -i -e "/^#\{0,1\}$1[[:space:]]*=/d" "$conf"
	printf '%s = %s\n' "$1" "$2" >>"$conf"
}
quoted=$(printf '%s' "$dir" | sed 's/[\\"]/\\&/g')
edit Include "{\"$quoted\"}"
edit ScanUser '"61184"'
edit LogSyslog no
edit ConsoleUser '"61185"'

# The kernel module where it is there or can be loaded; else fanotify does.
if [ ! -d /sys/module/splxmod ] && "$ctl" module load 2>/dev/null; then
	loaded=1
fi

# A session of its own: Ctrl-C reaches this script alone, which ends the suite
# in order.
setsid "$root/usr/lib/splx/entity" -R "$root" -f -a &
pid=$!

# Ready is when an infected file really cannot be opened any more.
probe=$dir/.splx-probe-$$
ready=''
for _ in $(seq 600); do
	kill -0 "$pid" 2>/dev/null || {
		wait "$pid" && exit 1
		exit
	}
	rm -f "$probe"
	if printf '%s%s\n' 'SPLX-MARKER-' '7c1f09e3-d52b86a4-NOT-A-VIRUS' \
		>"$probe" && ! cat "$probe" >/dev/null 2>&1; then
		ready=1
		break
	fi
	sleep 0.1
done
rm -f "$probe"
[ -n "$ready" ] || {
	echo "splx: nothing is blocked after a minute: $ctl health" >&2
	exit 1
}

# The web console, on loopback; without it all else works.
secret=''
setsid "$root/usr/lib/splx/splxhttpd" -R "$root" -f &
console=$!
for _ in $(seq 100); do
	kill -0 "$console" 2>/dev/null || {
		console=''
		break
	}
	[ "$("$ctl" health --field consoleStatus 2>/dev/null)" = 0 ] &&
		[ -s "$root/run/splx/splxhttpd.pid" ] && break
	sleep 0.1
done
port=$("$ctl" config get ConsoleHttpsPort 2>/dev/null) || port=14943
if [ -z "$console" ]; then
	where="not running: see $root/var/log/splx/splxhttpd.log"
else
	where="https://localhost:$port/ (its certificate is its own)"
	# Once somebody has set a password, nobody needs another one.
	if ! "$ctl" user list --output json 2>/dev/null |
		grep -q '"password": "own"'; then
		secret=$("$ctl" console setup --output json |
			sed -n 's/.*"secret": "\(.*\)".*/\1/p')
	fi
fi

cat <<EOF
splx: ready
Protected: $dir
Console:   $where
${secret:+           log in as admin with $secret (good once, for an hour)
}Try, in another terminal:
  printf '%s%s' 'X5O!P%@AP[4\\PZX54(P^)7CC)7}\$EICAR-' 'STANDARD-ANTIVIRUS-TEST-FILE!\$H+H*' >$dir/eicar.com
  cat $dir/eicar.com            # refused, or gone: see the quarantine
  $ctl status
  $ctl events list
  $ctl quarantine list
  $ctl scan $dir
Ctrl-C ends it.
EOF
wait "$pid" || exit
pid=''
