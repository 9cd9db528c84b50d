#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
# sizes.sh FILE...: names every function over 120 lines and every file over
# 800; status 1 when there is one. Tables (*.def) may be as long as they are.
set -eu

FUNCTION=120
FILE=800

long=$(
	for f in "$@"; do
		case $f in
		*.def) continue ;;
		esac
		n=$(wc -l <"$f")
		[ "$n" -le $FILE ] ||
			echo "$f: $n lines, more than $FILE"
	done
	# Name, file, pattern, then fields; line: and end: tell where.
	ctags --languages=C,Python --kinds-C=f --kinds-Python=fm \
		--fields=+ne --sort=no -f - "$@" |
		awk -F '\t' -v max=$FUNCTION '{
			first = last = 0
			for (i = 4; i <= NF; i++) {
				if ($i ~ /^line:/)
					first = substr($i, 6)
				if ($i ~ /^end:/)
					last = substr($i, 5)
			}
			if (last - first + 1 > max)
				print $2 ":" first ": " $1 "(): " \
					last - first + 1 " lines, more than " max
		}'
)
[ -z "$long" ] || {
	echo "$long"
	exit 1
}
