#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
#
# build.sh KDIR OUT [ARGUMENT…]: builds splxmod.ko in the folder OUT for the
# kernel whose headers, or built tree, KDIR is. The arguments go to its make.
# Exit status 2: there are no headers.
set -eu
if [ $# -lt 2 ]; then
	sed -n 's/^# //p' "$0" >&2
	exit 64
fi
kdir=$1 out=$2
shift 2
if [ ! -f "$kdir/Makefile" ] || [ ! -f "$kdir/include/generated/autoconf.h" ]
then
	echo "splxmod: no headers of the kernel in $kdir" \
		"(on Debian: the package linux-headers-$(uname -r);" \
		"KDIR= names others)" >&2
	exit 2
fi

# The kernel's make writes beside the sources: so it gets a copy.
src=$(dirname "$0")
mkdir -p "$out/uapi"
out=$(cd "$out" && pwd)
take() {
	cmp -s "$1" "$2/${1##*/}" || cp "$1" "$2/"
}
for file in "$src"/Kbuild "$src"/probe.sh "$src"/*.[chS]; do
	take "$file" "$out"
done
for file in "$src"/uapi/*.h; do
	take "$file" "$out/uapi"
done

# The flags of a make above are for the rest of the suite.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES || :
exec make -C "$kdir" -j"$(nproc)" --no-print-directory M="$out" "$@" modules
