#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
# khm.sh: the kernel module's sources. What needs a kernel's headers is told as
# not done when there are none ($KDIR, the running kernel's, any other's); so
# is checkpatch, which is in a kernel's full sources ($CHECKPATCH) alone.
set -eu

# Why checkpatch's other rules are not ours:
#  BLOCK_COMMENT_STYLE   all of splx ends a comment on its last line
#  LINUX_VERSION_CODE    compat.h is for it; below is checked that nobody else
#  CONSTANT_COMPARISON   compat.h: takes KERNEL_VERSION() for a constant left
#  MACRO_WITH_FLOW_CONTROL  HOLDS() of selftest.c ends its function, as it says
#  COMPLEX_MACRO         SPLXMOD_COUNTERS() is a table, not an expression
#  MEMORY_BARRIER        wants its comment in the line before alone
#  SPLIT_STRING, LONG_LINE  columns; clang-format decides
#  JIFFIES_COMPARISON    whether the clock has moved at all is a comparison
#  MSLEEP                a few milliseconds more do no harm where it is used
IGNORE=BLOCK_COMMENT_STYLE,LINUX_VERSION_CODE,CONSTANT_COMPARISON
IGNORE=$IGNORE,MACRO_WITH_FLOW_CONTROL,COMPLEX_MACRO,MEMORY_BARRIER
IGNORE=$IGNORE,SPLIT_STRING,LONG_LINE,JIFFIES_COMPARISON,MSLEEP
OUT=build/lint/khm

bad=0
found() { # TEXT FILE... : lines that should not be, and why
	sed "s|\$|: $1|" "$2"
	[ ! -s "$2" ] || bad=1
}
grep_for() { # WHY PATTERN FILE...
	why=$1 pattern=$2
	shift 2
	grep -nE "$pattern" "$@" /dev/null >"$OUT.found" || :
	found "$why" "$OUT.found"
}

mkdir -p "$OUT"
others=$(find khm -name '*.[chS]' ! -name compat.h | sort)
# shellcheck disable=SC2086 # a list of files
{
	grep_for 'tests of the kernel belong into compat.h' \
		'LINUX_VERSION_CODE|KERNEL_VERSION|SPLXMOD_HAS_' $others
	grep_for 'ends the machine; find a way out' '\b(BUG|BUG_ON|panic)\(' \
		$others
	grep_for 'say how important it is: pr_err() and so on' '\bprintk\(' \
		$others
	grep_for 'no types but structs' '^typedef ' $others
}

kdir=
for dir in "${KDIR:-}" "/lib/modules/$(uname -r)/build" /lib/modules/*/build; do
	if [ -z "$kdir" ] && [ -f "$dir/include/generated/autoconf.h" ]; then
		kdir=$dir
	fi
done
if [ -z "$kdir" ]; then
	echo "khm: not built and not looked at by sparse: no kernel headers"
elif ! sh khm/build.sh "$kdir" "$OUT" >"$OUT.log" 2>&1; then
	grep -E 'error|warning' "$OUT.log" || tail -n 5 "$OUT.log"
	bad=1
else
	# Where there is no ftrace, or none to be used.
	: >"$OUT.found"
	sh khm/build.sh "$kdir" "$OUT.plain" KCFLAGS=-DSPLXMOD_NO_FTRACE \
		KAFLAGS=-DSPLXMOD_NO_FTRACE >"$OUT.log" 2>&1 ||
		grep -E 'error|undefined' "$OUT.log" >"$OUT.found" ||
		echo 'it does not build' >"$OUT.found"
	found 'built without ftrace' "$OUT.found"
	# What others could mistake for theirs.
	nm -g --defined-only "$OUT/splxmod.o" |
		awk '$3 !~ /^(__)?splxmod_|^(init|cleanup)_module$|^__/ \
			{ print "khm: " $3 }' >"$OUT.found"
	found 'exported without the prefix splxmod_' "$OUT.found"
	if command -v sparse >/dev/null; then
		sh khm/build.sh "$kdir" "$OUT" C=2 CF=-D__CHECK_ENDIAN__ 2>&1 |
			grep -E '(warning|error): ' |
			sed "s|^.*/$OUT/|khm/|" >"$OUT.found" || :
		found sparse "$OUT.found"
	else
		echo "khm: not looked at by sparse: it is not installed"
	fi
fi

for script in "${CHECKPATCH:-}" "$kdir/scripts/checkpatch.pl"; do
	[ -f "$script" ] || continue
	find khm -name '*.[chS]' -print0 | sort -z |
		xargs -0 perl "$script" --no-tree --no-summary --terse -q \
			--ignore "$IGNORE" -f >"$OUT.found" || :
	found checkpatch "$OUT.found"
	break
done
exit $bad
