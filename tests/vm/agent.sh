#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
# The agent inside a virtual machine. Its second serial line brings lines of
#   run NAME SECONDS TIME    runs /job/NAME/run.sh, answers "done STATUS"
#   shutdown                 ends the system as an administrator does
#   off                      switches the machine off
# /job is the host's job folder, /src the repository (read-only). Nothing is
# mounted from the host before the first line comes: a machine with such a
# mount cannot be frozen.

PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH HOME=/root LC_ALL=C.UTF-8

share() {
	mkdir -p "$2"
	mount -t 9p -o "trans=virtio,version=9p2000.L,msize=512000$3" "$1" "$2"
}

shares() {
	[ ! -e /job/.mounted ] || return 0
	share job /job ,cache=none
	share src /src ,ro,cache=loose
	version=$(uname -r)
	[ -e "/lib/modules/$version/modules.dep" ] ||
		share modules "/lib/modules/$version" ,ro,cache=loose
}

# Status 124 for one that took too long, whichever way `timeout` ended it.
run() {
	shares
	date -s "@$3" >/dev/null
	cd "/job/$1" || return
	begin=$(cut -d. -f1 /proc/uptime)
	timeout -k 5 "$2" sh ./run.sh >out 2>&1 </dev/null 3>&-
	status=$?
	took=$(($(cut -d. -f1 /proc/uptime) - begin))
	case $status in
	137 | 143) [ $took -lt "$2" ] || status=124 ;;
	esac
	echo $status >status.tmp
	mv status.tmp status
	cd /
	echo "done $status" >&3
}

# What the kernel's leak check finds is for the console.
leaks() {
	file=/sys/kernel/debug/kmemleak
	[ -w $file ] || return 0
	echo scan >$file
	sleep 6 # what is younger than 5 s is not told
	echo scan >$file
	cat $file >/dev/console
}

[ "$(cat /proc/1/comm)" = sh ] || ip link set lo up # init scripts may not
exec 3<>/dev/ttyS1
stty -echo <&3
dmesg -n 8
echo 20 >/proc/sys/kernel/hung_task_timeout_secs
echo -1 >/proc/sys/kernel/hung_task_warnings
echo ready >&3
while read -r verb name seconds now <&3; do
	case $verb in
	run) run "$name" "$seconds" "$now" ;;
	shutdown) shutdown -hP now ;; # with all that init scripts stop
	off)
		leaks
		sync
		echo o >/proc/sysrq-trigger
		;;
	esac
done
