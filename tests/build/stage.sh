#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
# stage.sh ROOT BUILD: lays a private tree of the suite at ROOT, from what was
# built in BUILD. It has its own settings, sockets, store, keys and
# quarantine; ROOT/bin/splxctl talks to it. What ROOT holds of an earlier run
# (settings, store, quarantine) is kept.
set -eu
root=$1
build=$2

case $root in
/*) ;;
*) root=$PWD/$root ;;
esac
# sun_path holds 108 bytes
if [ ${#root} -gt 80 ]; then
	echo "splx: $root: the path is too long for the sockets in it (80)" >&2
	exit 1
fi

mkdir -p "$root"
make --no-print-directory -s -o all install DESTDIR="$root" B="$build" \
	>/dev/null
mkdir -p "$root/bin" "$root/run/splx" "$root/protected"
chmod 755 "$root"
cat >"$root/bin/splxctl" <<EOF
#!/bin/sh
exec "$root/usr/sbin/splxctl" -R "$root" "\$@"
EOF
chmod 755 "$root/bin/splxctl"
