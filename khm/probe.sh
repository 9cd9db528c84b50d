#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
#
# probe.sh HEADER COMPILER FLAGS…: tries what the kernel has, and writes it to
# the header as SPLXMOD_HAS_NAME 0 or 1. Run by Kbuild.
set -eu
header=$1
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# probe NAME INCLUDES STATEMENT, with the compiler in "$@" after them
compiles() {
	includes=$1 statement=$2
	shift 2
	{
		echo '#include <linux/module.h>'
		for i in $includes; do
			echo "#include <linux/$i>"
		done
		echo 'void splxmod_probe(void);'
		echo "void splxmod_probe(void) { $statement; }"
	} >"$work/probe.c"
	"$@" -DMODULE -DKBUILD_MODNAME='"probe"' -w \
		-Werror=implicit-function-declaration \
		-Werror=incompatible-pointer-types -Werror=int-conversion \
		-fsyntax-only "$work/probe.c" 2>"$work/errors"
}
probe() {
	name=$1
	shift
	if compiles "$@"; then has=1; else has=0; fi
	echo "#define SPLXMOD_HAS_$name $has" >>"$work/probes.h"
}

# Were nothing to compile, nothing would be there.
if ! compiles fs.h 'struct inode *i = NULL; (void)i' "$@"; then
	cat "$work/errors" >&2
	exit 1
fi

echo '/* Written by probe.sh. */' >"$work/probes.h"
probe FILELOCK_H 'filelock.h' '' "$@"
# 6.6
probe INODE_GET_CTIME fs.h \
	'struct timespec64 t = inode_get_ctime((struct inode *)0); (void)t' "$@"
# 5.15
probe DISKSEQ blkdev.h 'u64 n = ((struct gendisk *)0)->diskseq; (void)n' "$@"
# 6.0, and 5.10.220
probe FSNOTIFY_ALLOC_GROUP_FLAGS fsnotify_backend.h \
	'(void)fsnotify_alloc_group((const struct fsnotify_ops *)0, 0)' "$@"
# 6.9: no file system id
probe FSNOTIFY_ADD_MARK_OBJECT fsnotify_backend.h \
	'(void)fsnotify_add_mark((struct fsnotify_mark *)0, (void *)0, 0, 0)' "$@"
probe FSNOTIFY_PRIO_CONTENT fsnotify_backend.h \
	'int p = FSNOTIFY_PRIO_CONTENT; (void)p' "$@"
# 7.2: the registered types are an hlist
probe FS_TYPE_HLIST fs.h \
	'struct hlist_node *n = ((struct file_system_type *)0)->list.next; (void)n' \
	"$@"
mv "$work/probes.h" "$header"
