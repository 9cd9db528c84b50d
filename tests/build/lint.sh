#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
# lint.sh [CHECK...]: what can be seen in the sources without running them.
# All checks when none is named; each goes on after another failed. What they
# find goes to standard output, the status is 1 then.
set -eu

# clang-tidy alone takes minutes; a file is looked at again when it, a header
# or the settings changed.
STAMPS=build/lint/tidy
JOBS=${LINT_JOBS:-$(nproc)}
CFLAGS="-std=gnu11 -D_GNU_SOURCE -Isplxcore -I. -DSCOREBOARD_LAYOUT=1"

# Every file of the project, also one that is not committed yet.
sources() {
	if [ -e .git ]; then
		git ls-files -co --exclude-standard
	else
		find . -name build -prune -o -type f -print | sed 's|^\./||'
	fi | sort | while read -r f; do
		[ ! -f "$f" ] || echo "$f"
	done
}

# The kernel's compiler and checkers look at these.
for_kernel='^(khm/|tests/vm/(toy|rivals)/)'

matching() {
	grep -E "$1" "$all" || :
}

# Scripts by their first line, the sourced ones by their place.
shell_scripts() {
	while read -r f; do
		case $f in
		*.sh | init.d/functions | init.d/messages_*)
			echo "$f"
			;;
		*.[ch] | *.def | *.py | *.mk) ;;
		*)
			head -c 64 "$f" | head -n 1 | tr -d '\0' |
				grep -qE '^#!.*/(env )?(ba|da)?sh' && echo "$f"
			;;
		esac
	done <"$all" || :
}

check_layers() {
	/usr/bin/python3 tests/build/layers.py
}

check_licence() {
	want='SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception'
	bad=0
	for f in $(matching '(\.(c|h|S|def|py|sh|mk|cfg)|(^|/)(Makefile|Kbuild)|^init\.d/.*|^\.ci/run|\.clang-(format|tidy))$'); do
		head -n 3 "$f" | grep -qF "$want" && continue
		echo "$f: no licence line (SPDX) in its first three lines"
		bad=1
	done
	return $bad
}

check_sizes() {
	# shellcheck disable=SC2046 # file names of ours have no blanks
	sh tests/build/sizes.sh $(matching '\.(c|h|py|sh)$')
}

check_format() {
	bad=0
	for f in $(matching '\.[ch]$'); do
		clang-format --dry-run -Werror "$f" 2>/dev/null && continue
		echo "$f: not in our form: make format"
		bad=1
	done
	return $bad
}

check_shell() {
	# Paths beside the script, and from the top, are looked for.
	shell_scripts | xargs -r shellcheck -x -P SCRIPTDIR -P .
}

check_cppcheck() {
	# Not the tests: they leak, overflow and fail on purpose.
	# readdir: every process of ours has one thread at it.
	# shellcheck disable=SC2046,SC2086
	cppcheck --quiet --enable=warning,performance,portability \
		--inline-suppr --error-exitcode=1 --std=c11 -j "$JOBS" \
		--library=posix --library=tests/build/cppcheck.cfg \
		--suppress=missingIncludeSystem --suppress=readdirCalled \
		${CFLAGS#-std=gnu11 } $(matching '\.c$' |
			grep -Ev "^tests/|$for_kernel")
}

# The console's languages say all, and nothing that nobody shows.
check_texts() {
	/usr/bin/python3 tests/build/texts.py
}

check_khm() {
	sh tests/build/khm.sh
}

# One file: what is found, a line each; how clang-tidy came to think so lies
# in build/lint/tidy.
tidy_one() {
	mkdir -p "$STAMPS/$(dirname "$1")"
	# shellcheck disable=SC2086 # a list of words
	if clang-tidy --quiet "$1" -- $CFLAGS >"$STAMPS/$1.log" 2>/dev/null; then
		rm -f "$STAMPS/$1.log"
		touch "$STAMPS/$1"
	else
		grep -E '(error|warning): ' "$STAMPS/$1.log" | sed "s|^$PWD/||"
		return 1
	fi
}

check_tidy() {
	mkdir -p $STAMPS
	newest=$STAMPS/.headers
	# A changed header may change every file that includes it.
	if [ ! -e $newest ] || [ -n "$(matching '\.(h|def)$|\.clang-tidy$|/lint\.sh$' |
		xargs -r -I{} find {} -newer $newest)" ]; then
		find $STAMPS -type f -delete
		touch $newest
	fi
	for f in $(matching '\.c$' | grep -Ev "$for_kernel"); do
		[ -e "$STAMPS/$f" ] &&
			[ -z "$(find "$f" -newer "$STAMPS/$f")" ] || echo "$f"
	done | xargs -r -P "$JOBS" -n 1 sh "$0" --tidy-one
}

if [ "${1:-}" = --tidy-one ]; then
	tidy_one "$2"
	exit
fi

mkdir -p build/lint
all=build/lint/files
sources >$all
failed=
[ $# -gt 0 ] || set -- layers licence sizes texts format shell khm cppcheck tidy
for check in "$@"; do
	if "check_$check" 2>&1; then
		printf '  %-9s %s\n' "$check" ok
	else
		printf '  %-9s %s\n' "$check" FAILED
		failed="$failed $check"
	fi
done
[ -z "$failed" ] || {
	echo "lint: failed:$failed"
	exit 1
}
