#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
# layout.sh COMPILER [FLAG...]: eight hex digits that stand for what processes
# take over from one another (the scoreboard, the numbers of descriptors): a
# hash of our headers' text as the compiler sees it, with their definitions
# and without comments. Nobody has to remember to raise a number.
set -eu

text=$(printf '#include "common/%s.h"\n' scoreboard control |
	"$@" -E -dD -x c - |
	awk '/^# [0-9]+ "/ { ours = $3 ~ /splxcore\//; next } ours' |
	tr -s ' \t\n' ' ')
case $text in
*"struct scoreboard {"*) ;;
*) exit 1 ;;
esac
printf '%s' "$text" | sha256sum | cut -c 1-8
