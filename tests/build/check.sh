#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
# check.sh PART...: runs tests that are built and counts their cases.
#   unit DIR     every DIR/*_test, a cmocka program
#   fuzz DIR     every DIR/NAME_replay over tests/fuzz/corpus/NAME
#   system       tests/system by pytest, two files at a time; PYTEST_ARGS,
#                CHECK_SYSTEM (which files) narrow it
#   vm           tests/vm by pytest, in virtual machines, two at a time: 6.1 in
#                full, then a smoke test of the other kernels;
#                CHECK_VM (which files), KERNELS and SMOKE narrow it
#   browser      tests/browser by pytest, with Chromium; CHECK_BROWSER (which
#                files) narrows it
#   sanitized    some of them with the suite as built in build/san
# Each failure and each skip is told with its reason, the failures once more
# at the end. The last line is "N passed, N failed, N skipped"; the status is 1
# when anything failed or nothing passed.
set -eu

LIMIT=${CHECK_LIMIT:-300} # seconds for one program
out=build/check
mkdir -p $out
rm -f $out/*.log
: >$out/counts
: >$out/failures

# count NAME PASSED FAILED SKIPPED
count() {
	echo "$2 $3 $4" >>$out/counts
	printf '  %-44s %s passed' "$1" "$2"
	[ "$3" = 0 ] || printf ', %s FAILED' "$3"
	[ "$4" = 0 ] || printf ', %s skipped' "$4"
	echo
}

# A cmocka program's cases as "PASSED FAILED SKIPPED" on standard output, what
# is to be said of them on descriptor 3. A test that skips says why before in
# a line "skip: why". Cases that were announced and never ended failed.
tap() {
	awk -v name="$1" -v status="$2" '
		function say(text) { print "    " text >"/dev/fd/3" }
		/^1\.\.[0-9]+$/ { plan = substr($0, 4) + 0; next }
		/^skip: / { why = substr($0, 7); next }
		/^(not )?ok [0-9]+/ {
			test = $0
			sub(/^(not )?ok [0-9]+ (- )?(# SKIP )?/, "", test)
			number = $0
			sub(/^(not )?ok /, "", number)
			sub(/ .*/, "", number)
			failing = 0
			if (number in seen)
				next
			seen[number] = 1
			if (/^(not )?ok [0-9]+ # SKIP/) {
				skipped++
				say("skipped: " name ": " test ": " \
					(why ? why : "no reason given"))
			} else if (/^not /) {
				failed++
				failing = 1
				say("FAILED: " name ": " test)
			} else {
				passed++
			}
			why = ""
			next
		}
		failing && /^#/ { say("  " $0); next }
		END {
			lost = plan - passed - failed - skipped
			if (lost > 0 || (status != 0 && failed == 0)) {
				if (lost < 1)
					lost = 1
				failed += lost
				say("FAILED: " name ": ended with status " \
					status " before " lost " of its cases did")
			}
			print passed + 0, failed + 0, skipped + 0
		}'
}

run_unit() {
	for program in "$1"/*_test; do
		name=$(basename "$program")
		# A program may lie there whose test is gone.
		[ -e "tests/unit/$name.c" ] || continue
		log=$out/$(echo "$program" | tr / -).log
		status=0
		CMOCKA_MESSAGE_OUTPUT=TAP timeout -k 10 "$LIMIT" \
			"$program" >"$log" 2>&1 </dev/null || status=$?
		numbers=$(tap "$name" $status <"$log" 3>$out/said)
		# shellcheck disable=SC2086 # three numbers
		count "$program" $numbers
		cat $out/said
		[ "$status" = 0 ] || {
			echo "    the end of $log:"
			tail -n 30 "$log" | sed 's/^/    | /'
		}
		grep '^ *FAILED' $out/said >>$out/failures || :
	done
}

run_fuzz() {
	for program in "$1"/*_replay; do
		name=$(basename "$program" _replay)
		[ -e "tests/fuzz/${name}_fuzz.c" ] || continue
		log=$out/$(echo "$program" | tr / -).log
		if timeout -k 10 "$LIMIT" "$program" "tests/fuzz/corpus/$name" \
			>"$log" 2>&1 </dev/null; then
			count "$program" 1 0 0
		else
			count "$program" 0 1 0
			echo "    FAILED: the end of $log:"
			echo "    FAILED: $name, see $log" >>$out/failures
			tail -n 30 "$log" | sed 's/^/    | /'
		fi
	done
}

PYTEST='-p no:cacheprovider -v --tb=short'

is_root() {
	[ "$(id -u)" -ne 0 ] || return 0
	count "$1" 0 0 1
	echo "    skipped: $1: needs root (fanotify, mounts)"
	return 1
}

# count_report NAME XML STATUS
count_report() {
	numbers=$(/usr/bin/python3 tests/build/junit.py "$2" "$3" \
		$out/failures 3>$out/said)
	# shellcheck disable=SC2086 # three numbers
	count "$1" $numbers
	cat $out/said
}

# run_files NAME SUFFIX JOBS FILE...: so many files at a time (each.py), each in a
# pytest of its own; their cases are counted from its report. The reports of
# NAME lie in a folder; SUFFIX is told with each file.
run_files() {
	folder=$out/$1
	suffix=$2
	jobs=$3
	shift 3
	[ $# -gt 0 ] || return 0
	rm -rf "$folder"
	mkdir -p "$folder"
	# shellcheck disable=SC2086 # lists of words
	/usr/bin/python3 tests/build/each.py "$jobs" "$folder" "$@" -- $PYTEST \
		${PYTEST_ARGS:-} || :
	for f in "$folder"/*.status; do
		name=$(basename "$f" .status)
		read -r status <"$f" || status=1
		count_report "tests/${folder##*/}/$name$suffix" \
			"$folder/$name.xml" "$status"
	done
}

# What says how long somebody may wait has the machine for itself.
ALONE='tests/system/test_network.py'

# run_system BUILD FILE...
run_system() {
	SPLX_BUILD=$1
	export SPLX_BUILD
	shift
	is_root tests/system || return 0
	[ "$SPLX_BUILD" = build ] && suffix='' || suffix=" ($SPLX_BUILD)"
	# shellcheck disable=SC2046 # lists of files
	run_files system "$suffix" 1 \
		$(printf '%s\n' "$@" | grep -xF "$ALONE")
	# shellcheck disable=SC2046 # lists of files
	run_files system "$suffix" 2 \
		$(printf '%s\n' "$@" | grep -vxF "$ALONE")
}

# run_browser FILE...: where there is none each file says why it is skipped.
run_browser() {
	is_root tests/browser || return 0
	status=0
	rm -f $out/browser.xml
	# shellcheck disable=SC2086 # lists of words
	/usr/bin/python3 -m pytest $PYTEST --junitxml=$out/browser.xml \
		${PYTEST_ARGS:-} "$@" </dev/null || status=$?
	count_report tests/browser $out/browser.xml $status
}

# As asked for by KERNELS and SMOKE, else all of 6.1 before anything of another
# kernel is begun: the machines have only so much time (VM_MINUTES, or until
# VM_END, seconds of the epoch).
run_machines() {
	is_root tests/vm || return 0
	if [ -n "${VM_MINUTES:-}" ]; then
		end=$(($(date +%s) + VM_MINUTES * 60))
		[ "${VM_END:-$end}" -lt $end ] || VM_END=$end
		export VM_END
	fi
	if [ -n "${KERNELS:-}${SMOKE:-}" ]; then
		# shellcheck disable=SC2086 # lists of files
		run_files vm "" 2 ${CHECK_VM:-$VM_FILES $VM_LAST}
		return
	fi
	files=${CHECK_VM:-$VM_FILES}
	export KERNELS=6.1
	# shellcheck disable=SC2086 # a list of files
	run_files vm " (6.1)" 2 $files
	# shellcheck disable=SC2086 # a list of files
	smoke=$(grep -l pytest.mark.smoke $files) && (
		export KERNELS='' SMOKE='5.10 6.12 new'
		PYTEST_ARGS="${PYTEST_ARGS:-} -m smoke"
		# shellcheck disable=SC2086 # a list of files
		run_files vm " (smoke)" 2 $smoke
	)
	# shellcheck disable=SC2086 # a list of files
	[ -n "${CHECK_VM:-}" ] || run_files vm " (6.1)" 2 $VM_LAST
}

# What is run again with the sanitizers in every process of the suite.
SANITIZED='tests/system/test_blocking.py tests/system/test_policy.py
	tests/system/test_input.py'

# long_first FOLDER NAME...: all its files, those that take longest before the
# others: beside them there is something to do to the end.
long_first() {
	for name in "$@"; do
		[ "$name" = "$1" ] || echo "$1/test_$name.py"
	done
	printf '%s\n' "$1"/test_*.py | grep -vxF "$(for name in "$@"; do
		echo "$1/test_$name.py"
	done)"
}

# The suite's own takes longest, so it goes first; beside it the module's, which
# are quick and say most; then the rest. What has a disk of its own to be made
# is not begun before all that is over (VM_MINUTES).
VM_FIRST='tests/vm/test_suite.py tests/vm/test_module.py tests/vm/test_hook.py
	tests/vm/test_rivals.py tests/vm/test_seen.py tests/vm/test_unasked.py
	tests/vm/test_questions.py tests/vm/test_judge.py tests/vm/test_unload.py'
VM_LAST='tests/vm/test_schedules.py tests/vm/test_dkms.py'
# shellcheck disable=SC2086 # lists of words
VM_FILES="$VM_FIRST
	$(printf '%s\n' tests/vm/test_*.py | grep -vxF "$(printf '%s\n' \
		$VM_FIRST $VM_LAST)")"

while [ $# -gt 0 ]; do
	part=$1
	shift
	case $part in
	unit | fuzz)
		"run_$part" "$1"
		shift
		;;
	system)
		# shellcheck disable=SC2086 # a list of files
		run_system build ${CHECK_SYSTEM:-$(long_first tests/system \
			clamav notify pattern pattern_trouble console faults)}
		;;
	vm)
		run_machines
		;;
	browser)
		# shellcheck disable=SC2086 # a list of files
		run_browser ${CHECK_BROWSER:-tests/browser}
		;;
	sanitized)
		# shellcheck disable=SC2086 # a list of files
		run_system build/san $SANITIZED
		;;
	*)
		echo "check.sh: unknown part $part" >&2
		exit 2
		;;
	esac
done

# Far above is where it was said first.
[ ! -s $out/failures ] || {
	echo "what failed:"
	cat $out/failures
}

awk '
	{ p += $1; f += $2; s += $3 }
	END {
		printf "%d passed, %d failed, %d skipped\n", p, f, s
		exit f > 0 || p == 0
	}' $out/counts
