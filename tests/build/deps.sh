#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
# deps.sh SET...: installs the Debian packages of the sets that are missing.
# Sets: build, test, browser, npm, deb, bench, vm, kasan. Quiet when nothing
# is missing.
set -eu

packages() {
	case $1 in
	build)
		echo gcc make pkg-config libc6-dev libclamav-dev \
			libmicrohttpd-dev libssl-dev libpcre2-dev zlib1g-dev \
			libevent-dev libconfuse-dev libjansson-dev \
			libsqlite3-dev libcurl4-openssl-dev libseccomp-dev \
			libmnl-dev
		;;
	test)
		echo libcmocka-dev python3-pytest clamav clamav-testfiles \
			shellcheck cppcheck clang clang-format clang-tidy \
			universal-ctags sparse lintian \
			libclang-rt-14-dev mandoc e2fsprogs util-linux \
			fuse3 libfuse3-dev strace bzip2 xz-utils zip \
			xfsprogs btrfs-progs logrotate busybox-static \
			rsyslog rsyslog-openssl snmptrapd snmp \
			python3-aiosmtpd iproute2 haproxy nftables
		;;
	browser)
		echo python3-selenium chromium chromium-driver \
			fonts-noto-cjk
		;;
	npm)
		echo npm
		;;
	deb)
		echo dpkg-dev xz-utils
		;;
	bench)
		echo clamav clamav-daemon clamdscan
		;;
	vm)
		echo qemu-system-x86 qemu-utils busybox-static mmdebstrap \
			kmod zstd xz-utils e2fsprogs gcc make dwarves \
			debian-archive-keyring python3-pytest
		;;
	kasan)
		echo bc bison flex libelf-dev libssl-dev xz-utils cpio
		;;
	*)
		echo "deps.sh: unknown set $1" >&2
		exit 2
		;;
	esac
}

missing=
for set in "$@"; do
	for p in $(packages "$set"); do
		dpkg-query -W -f='${Status}\n' "$p" 2>/dev/null |
			grep -q '^install ok installed' || missing="$missing $p"
	done
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
	echo "splx: Debian packages are missing; as root:" \
		"apt-get install$missing" >&2
	exit 1
fi
echo "splx: installing$missing"
export DEBIAN_FRONTEND=noninteractive
# What is known of packages may do, should the network be down.
apt-get update -qq || :
# A machine that upgrades itself meanwhile holds the lock for minutes.
# shellcheck disable=SC2086 # a list of words
apt-get -o DPkg::Lock::Timeout=600 install -y -qq --no-install-recommends \
	$missing >/dev/null || {
	echo "splx: these packages are needed and could not be installed" \
		"(see above):$missing" >&2
	exit 1
}
