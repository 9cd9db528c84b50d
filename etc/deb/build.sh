#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
# build.sh OUT VERSION KHM_VERSION: makes OUT/splx_VERSION_ARCH.deb and
# OUT/splx-dkms_VERSION_all.deb of what `make install` installs.
set -eu
out=$1 version=$2 khm=$3
here=etc/deb
arch=$(dpkg --print-architecture)

rm -rf "$out"
mkdir -p "$out"
out=$(cd "$out" && pwd)
core=$out/splx dkms=$out/splx-dkms

# date: of the last change, so that the same sources make the same package
date=$(git log -1 --format=%cD 2>/dev/null) || date=$(date -R)
SOURCE_DATE_EPOCH=$(date -d "$date" +%s)
export SOURCE_DATE_EPOCH

# The build's own words are no news here.
make --no-print-directory -o all install DESTDIR="$core" >"$out/install.log" || {
	cat "$out/install.log" >&2
	exit 1
}
mkdir -p "$dkms/usr"
mv "$core/usr/src" "$dkms/usr/src"
chmod -x "$dkms"/usr/src/*/*.sh
# Who changes it is splxctl: dpkg would ask about each change of ours.
rm "$core/etc/splx/splx.conf"

strip --strip-unneeded "$core"/usr/lib/splx/entity "$core"/usr/lib/splx/vsapiapp \
	"$core"/usr/lib/splx/splxfresh "$core"/usr/lib/splx/splxnotify \
	"$core"/usr/lib/splx/splxnetmon \
	"$core"/usr/lib/splx/splxhttpd \
	"$core"/usr/sbin/splxctl
gzip -9n "$core"/usr/share/man/man?/*

document() { # FOLDER PACKAGE
	doc=$1/usr/share/doc/$2
	mkdir -p "$doc"
	cp $here/copyright "$doc"
	{
		echo "$2 ($version) stable; urgency=medium"
		echo
		echo "  * Built from its sources; their history tells the changes."
		echo
		echo " -- $(sed -n 's/^Maintainer: //p' $here/control |
			head -n 1)  $date"
	} | gzip -9n >"$doc/changelog.gz"
}
document "$core" splx
cp README.md "$core/usr/share/doc/splx"
document "$dkms" splx-dkms

# The stanza of a package, with what is known only now.
stanza() { # PACKAGE ARCH DEPENDS
	size=$(du -sk --apparent-size "$out/$1" | cut -f 1)
	awk -v RS= -v p="$1" '$0 ~ "(^|\n)Package: " p "\n"' $here/control |
		sed "s/@VERSION@/$version/; s/@ARCH@/$2/; s/@SIZE@/$size/
			s/@SHLIBS@/$3/"
}

# Scripts of maintainers: NAME.SCRIPT there is DEBIAN/SCRIPT here.
control_files() { # FOLDER PACKAGE
	mkdir "$1/DEBIAN"
	for f in "$here/$2".*; do
		script=${f##*.}
		sed "s/@KHM_VERSION@/$khm/g" "$f" >"$1/DEBIAN/$script"
		case $script in
		templates | lintian) ;;
		*) chmod 755 "$1/DEBIAN/$script" ;;
		esac
	done
	if [ -f "$1/DEBIAN/lintian" ]; then
		mkdir -p "$1/usr/share/lintian/overrides"
		mv "$1/DEBIAN/lintian" "$1/usr/share/lintian/overrides/$2"
	fi
	(cd "$1" && find etc -type f 2>/dev/null | sort | sed 's|^|/|') \
		>"$1/DEBIAN/conffiles"
	[ -s "$1/DEBIAN/conffiles" ] || rm "$1/DEBIAN/conffiles"
	(cd "$1" && find . -path ./DEBIAN -prune -o -type f -printf '%P\n' |
		sort | xargs -r md5sum) >"$1/DEBIAN/md5sums"
}

# dpkg-shlibdeps wants to stand in a source package.
mkdir -p "$out/debian"
printf 'Source: splx\n\nPackage: splx\nArchitecture: any\n' \
	>"$out/debian/control"
shlibs=$(cd "$out" && dpkg-shlibdeps -O splx/usr/lib/splx/entity \
	splx/usr/lib/splx/vsapiapp splx/usr/lib/splx/splxfresh \
	splx/usr/lib/splx/splxnotify splx/usr/lib/splx/splxnetmon \
	splx/usr/lib/splx/splxhttpd \
	splx/usr/sbin/splxctl 2>"$out/shlibs.log" |
	sed -n 's/^shlibs:Depends=//p')

for p in splx splx-dkms; do
	control_files "$out/$p" $p
done
stanza splx "$arch" "$shlibs" >"$core/DEBIAN/control"
stanza splx-dkms all "" >"$dkms/DEBIAN/control"
find "$core" "$dkms" -type d -exec chmod g-s {} +
for p in splx splx-dkms; do
	dpkg-deb --root-owner-group -Zxz --build "$out/$p" "$out" |
		sed 's/^/  /'
done
