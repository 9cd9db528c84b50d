#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
# tables.sh GENERATOR: makes anew what is made from tables and compares it with
# what is in the repository.
set -eu

generator=$1
fresh=$(mktemp)
trap 'rm -f "$fresh"' EXIT

"$generator" >"$fresh"
if ! diff -u etc/splx.conf "$fresh"; then
	echo "tables.sh: etc/splx.conf is not what options.def says;" \
		"run: make etc/splx.conf" >&2
	exit 1
fi

# Every number, key and name in the tables is its own.
doubles() {
	sed -n "$2" "$1" | sort | uniq -d
}
for check in \
	'options.def:s/^OPTION([a-z]*, \([A-Za-z]*\),.*/\1/p' \
	'options.def:s/^OPTION([a-z]*, [A-Za-z]*, \([a-z_]*\),.*/\1/p' \
	'verbs.def:s/^VERB(\([a-z_]*\),.*/\1/p' \
	'verbs.def:s/^VERB([a-z_]*, \("[a-z]*", "[a-z]*"\),.*/\1/p' \
	'codes.def:s/^CODE([A-Z_]*, \([0-9]*\),.*/\1/p' \
	'counters.def:s/^COUNTER(\([A-Z_]*\),.*/\1/p'; do
	file=splxcore/common/${check%%:*}
	found=$(doubles "$file" "${check#*:}")
	if [ -n "$found" ]; then
		echo "tables.sh: twice in $file: $found" >&2
		exit 1
	fi
done
